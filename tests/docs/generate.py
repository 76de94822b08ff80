"""What is written from the code, in docs and docs/inside; `python -m tests.docs.generate` writes it anew."""

import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from prometheus_client.metrics import MetricWrapperBase
from pydantic import SecretStr

from app import metrics
from app.access.sightings import Sightings
from app.api.openapi import all_routes
from app.background.chores import make_chores
from app.cli import COMMANDS
from app.domain.moves import RUN_MOVES, RUN_VERBS
from app.domain.why.runs import RUN_RULES
from app.domain.why.schedules import SCHEDULE_RULES
from app.domain.why.tasks import TASK_RULES
from app.errors import PROBLEMS
from app.main import create_app
from app.settings import Settings
from milepost.cli.commands import make_command
from milepost.cli.exits import MEANINGS
from milepost.schemas.why import WHY_MEANINGS, WhyCode
from milepost.schemas.workflow_runs import RunStatus
from tests.docs.compiled_sql import STATEMENTS, write_statements
from tests.docs.rooms import write_rooms

DOCS = Path(__file__).parents[2] / "docs"
REFERENCE = DOCS / "reference.md"
ARCHITECTURE = DOCS / "inside" / "architecture.md"
_TYPE_NAMES: Mapping[Any, str] = {
    str: "text",
    SecretStr: "text, secret",
    int: "integer",
    float: "number",
    bool: "true or false",
    Path: "path",
}


def write_settings() -> str:
    """Return the table of settings."""
    rows = [
        (f"`MILEPOST_{name.upper()}`", _type_of(field.annotation), _default_of(field.default), field.description or "")
        for name, field in Settings.model_fields.items()
    ]
    return _table(("setting", "type", "default", "meaning"), rows)


def _type_of(annotation: Any) -> str:
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(kind for kind in get_args(annotation) if kind is not type(None))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(f"`{member.value}`" for member in annotation)
    return _TYPE_NAMES[annotation]


def _default_of(default: Any) -> str:
    return "" if default is None else f"`{str(default).lower() if isinstance(default, bool) else default}`"


def write_routes() -> str:
    """Return the table of operations."""
    rows = [
        (f"`{method} {route.path}`", f"`{route.name}`", route.scope or "", _first_line(route.endpoint))
        for route in all_routes(create_app(Settings()))
        if route.include_in_schema
        for method in sorted(route.methods or ())
    ]
    return _table(("call", "operation", "scope", "does"), rows)


def write_moves() -> str:
    """Return the table of a run's statuses."""
    rows = [(f"`{status}`", _codes(RUN_MOVES[status]), _codes(RUN_VERBS[status])) for status in RunStatus]
    return _table(("a run that is", "may become", "verbs"), rows)


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def write_problems() -> str:
    """Return the table of problems."""
    rows = [
        (f"`{code}`", problem.status, problem.title, " ".join((inspect.getdoc(problem) or "").split("\n\n")[0].split()))
        for code, problem in sorted(PROBLEMS.items(), key=lambda item: (item[1].status, item[0]))
    ]
    return _table(("code", "status", "title", "meaning"), rows)


def all_metrics() -> Iterator[tuple[str, str, Iterable[str], str]]:
    """Yield name, type, labels and meaning of each metric of ours."""
    for collector in vars(metrics).values():
        if isinstance(collector, MetricWrapperBase):
            (metric,) = collector.describe()
            suffix = "_total" if metric.type == "counter" else ""
            yield metric.name + suffix, metric.type, collector._labelnames, metric.documentation


def write_metrics() -> str:
    """Return the table of metrics."""
    rows = [(f"`{name}`", kind, _codes(labels), meaning) for name, kind, labels, meaning in sorted(all_metrics())]
    return _table(("metric", "type", "labels", "meaning"), rows)


def write_commands() -> str:
    """Return the table of commands."""
    return _table(("command", "does"), list(_commands(make_command(COMMANDS), "milepost")))


def _commands(group: Any, path: str) -> Iterator[tuple[str, str]]:
    for name in group.list_commands(None):
        entry = group.get_command(None, name)
        if hasattr(entry, "commands"):
            yield from _commands(entry, f"{path} {name}")
        else:
            names = [part.human_readable_name for part in entry.params if part.param_type_name == "argument"]
            arguments = "".join(f" {name.upper()}" for name in names)
            yield f"`{path} {name}{arguments}`", _first_line(entry.callback)


def write_exits() -> str:
    """Return the table of exit codes."""
    return _table(("code", "meaning"), [(code.value, meaning) for code, meaning in MEANINGS.items()])


def _first_line(function: Callable[..., Any]) -> str:
    first = (inspect.getdoc(function) or "").split("\n\n")[0].replace("\n", " ")
    return first.partition("; how many")[0].rstrip(".") + "."


def _table(columns: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    lines = [columns, tuple("---" for _ in columns), *rows]
    return "".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def write_why() -> str:
    """Return the glossary of the codes of reasons, the most decisive first, and of what they are told."""
    rows = []
    for code, meaning in WHY_MEANINGS.items():
        told = [name for name, rules in _RULES.items() if code in rules]
        rows.append((f"`{code}`", ", ".join(told), meaning))
    return _table(("code", "of", "means"), rows)


def write_loops() -> str:
    """Return the table of the housekeeping's loops."""
    rows = [
        (f"`{chore.name}`", f"{chore.pause_seconds:g} s", _first_line(getattr(chore, "work", chore.take_round)))
        for chore in make_chores(Settings(), Sightings())
    ]
    return _table(("loop", "pause", "does"), rows)


_RULES: Mapping[str, Collection[WhyCode]] = {"tasks": TASK_RULES, "runs": RUN_RULES, "schedules": SCHEDULE_RULES}
PARTS: Mapping[Path, Mapping[str, Callable[[], str]]] = {
    REFERENCE: {
        "settings": write_settings,
        "routes": write_routes,
        "moves": write_moves,
        "problems": write_problems,
        "metrics": write_metrics,
        "loops": write_loops,
        "why": write_why,
        "commands": write_commands,
        "exits": write_exits,
    },
    ARCHITECTURE: {"rooms": write_rooms},
}
"""What writes the parts of a page between `<!-- begin NAME -->` and `<!-- end NAME -->`."""


def rewrite(path: Path) -> str:
    """Return a page with each of its parts as the code has it now."""
    page = path.read_text()
    for name, write in PARTS[path].items():
        begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
        before, _, rest = page.partition(begin)
        _, found_end, after = rest.partition(end)
        assert found_end, f"{path} has no part {name}"
        page = before + begin + write() + end + after
    return page


if __name__ == "__main__":
    for path in PARTS:
        path.write_text(rewrite(path))
    STATEMENTS.write_text(write_statements())
