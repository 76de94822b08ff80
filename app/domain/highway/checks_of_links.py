"""What is found about a document once its steps are linked: copies, cycles, events and the length of paths."""

from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter

from app.domain.highway.findings import Finding
from app.domain.highway.linking import (
    Elsewhere,
    Linker,
    depends_on_itself,
    first_of_each,
    ignores_dependencies,
    ignores_joined,
    joined_twice,
    joins_nothing,
    names_itself,
    targets_of,
)
from app.domain.highway.plan import Operator, Plan, Region
from app.domain.highway.reading import RawRegion, RawScope, RawStep
from app.domain.highway.templates import has_template
from app.domain.highway.waits import Node, waits_of

PATH_LENGTH_MAX = 1000
"""Characters of the longest path, its indices left out: paths are keys of an index."""
CYCLES_MOST = 20
"""How many cycles of one region are told."""


def check_copies(linker: Linker) -> None:
    """Find what the copies name that loop bodies leave at the outer level, and that does not exist there.

    The copies are not executed; what is wrong with them is wrong in the body too, and is told at both places.
    """
    for scope in linker.raw.scopes.values():
        copies = copies_in(scope)
        called = {name for copy in copies for _, name in _handlers_of(copy) if name != copy.task_id}
        for copy in copies:
            _check_names(linker, copy, known={*scope.steps, *scope.copies})
            linker.errors.extend(_errors_of(copy))
            linker.warnings.extend(
                names_itself(copy, member) for member, name in _handlers_of(copy) if name == copy.task_id
            )
            if copy.task_id in called and copy.spec.get("dependencies"):
                linker.warnings.append(ignores_dependencies(copy))
            elif joined_twice(copy):
                linker.warnings.append(ignores_joined(copy))


def copies_in(scope: RawScope) -> list[RawStep]:
    """Return the copies in a scope as the steps that they would be there."""
    return [
        RawStep(task_id, task_id, scope.name, Operator(node["operator_type"]), node, place, None)
        for task_id, (node, place) in scope.copies.items()
    ]


def _handlers_of(copy: RawStep) -> list[tuple[str, str]]:
    return [
        (member, copy.spec[member]) for member in ("on_success_task_id", "on_failure_task_id") if member in copy.spec
    ]


def _errors_of(copy: RawStep) -> Iterator[Finding]:
    for member in ("dependencies", "join_tasks"):
        for index, name in enumerate(copy.spec.get(member, [])):
            if name == copy.task_id:
                yield depends_on_itself(copy, member, index)
    if copy.operator is Operator.join and not copy.spec.get("join_tasks"):
        yield joins_nothing(copy)


def _check_names(linker: Linker, copy: RawStep, known: set[str]) -> None:
    for code, member, name in _names_in(copy):
        if name in known or (code != "missing_target" and linker.resolve(copy.scope, name) is not Elsewhere.missing):
            continue
        detail = f"{copy.task_id} names {name!r}, and there is no such task."
        linker.errors.append(Finding(code, copy.pointer(*member), detail))


def _names_in(copy: RawStep) -> Iterator[tuple[str, tuple[str | int, ...], str]]:
    """Yield (code, where, name) for everything that a node names."""
    for place, target in first_of_each(targets_of(copy.spec)):
        yield "missing_target", place, target
    for index, name in enumerate(copy.spec.get("dependencies", [])):
        yield "missing_dependency", ("dependencies", index), name
    for index, name in enumerate(copy.spec.get("join_tasks", [])):
        yield "missing_join_task", ("join_tasks", index), name
    for member, name in _handlers_of(copy):
        yield "missing_callback", (member,), name


def check_cycles(region: Region, raw: RawRegion, errors: list[Finding]) -> None:
    """Find steps of a region that wait for each other, and so would wait for ever."""
    waits = waits_of(region)
    for _ in range(CYCLES_MOST):
        cycle = _find_cycle(waits)
        if cycle is None:
            return
        waits[cycle[1]].discard(cycle[0])
        names = list(dict.fromkeys(name for name, _ in reversed(cycle)))
        path = " -> ".join([*names, names[0]])
        place = raw.steps[names[0]].pointer("dependencies")
        errors.append(Finding("cycle", place, f"These wait for each other, so none of them can start: {path}."))


def _find_cycle(waits: dict[Node, set[Node]]) -> list[Node] | None:
    """Return nodes each of which the next one waits for, the first repeated at the end; None if there are none."""
    try:
        TopologicalSorter(waits).prepare()
    except CycleError as error:
        cycle: list[Node] = error.args[1]
        return cycle
    return None


def check_events(regions: Iterable[RawRegion], warnings: list[Finding]) -> None:
    """Find waits for an event whose name is the same in every run, and that no step of the workflow itself emits."""
    steps = [
        step
        for region in regions
        for steps in (region.steps.values(), *(copies_in(scope) for scope in region.scopes.values()))
        for step in steps
        if not step.is_summoned
    ]
    emitted = {step.spec["event_name"] for step in steps if step.operator is Operator.emit_event}
    for step in steps:
        if step.operator is not Operator.wait_for_event or step.spec["event_name"] in emitted:
            continue
        is_of_run = (step.spec.get("metadata") or {}).get("after") == "run"
        if not is_of_run and not has_template(step.spec["event_name"]):
            detail = (
                f"{step.task_id} waits for {step.spec['event_name']!r}, which is the same in every run: the first emit"
                " is kept for all of them. Put {{ds}} or {{run.id}} into the name, or set metadata to {after: run}."
            )
            warnings.append(Finding("constant_event_name", step.pointer("event_name"), detail))


def check_paths(plan: Plan, errors: list[Finding]) -> None:
    """Find a path that would be too long."""
    for region in plan.regions.values():
        for name in region.steps:
            if len(region.key) + len(name) > PATH_LENGTH_MAX:
                detail = f"The path of a step is longer than {PATH_LENGTH_MAX} characters; shorten names or nest less."
                errors.append(Finding("bad_name", "/tasks", detail))
                return
