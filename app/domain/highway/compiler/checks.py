"""What is found about a document once its steps are linked: cycles, events and the length of paths."""

from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter

from app.domain.highway.compiler.outline import RawRegion
from app.domain.highway.compiler.plan import Node, Plan, Region
from app.domain.highway.compiler.precedence import waits_of
from app.domain.highway.document.findings import Finding
from app.domain.highway.language.expressions import has_template

PATH_BYTES_MOST = 1000
"""Bytes of the longest path, its indices left out: paths are keys of indexes, whose rows take about 2,700 bytes."""
CYCLES_MOST = 20
"""How many cycles of one region are told."""


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
    steps = [step for region in regions for step in region.steps.values() if not step.is_summoned]
    emitted = {step.spec[member] for step in steps if (member := step.form.emits) is not None}
    for step in steps:
        member = step.form.awaits
        if member is None or step.spec[member] in emitted:
            continue
        is_of_run = (step.spec.get("metadata") or {}).get("after") == "run"
        if not is_of_run and not has_template(step.spec[member]):
            detail = (
                f"{step.task_id} waits for {step.spec[member]!r}, which is the same in every run: the first emit"
                " is kept for all of them. Put {{ds}} or {{run.id}} into the name, or set metadata to {after: run}."
            )
            warnings.append(Finding("constant_event_name", step.pointer(member), detail))


def check_paths(plan: Plan, errors: list[Finding]) -> None:
    """Find a path that would be too long."""
    for region in plan.regions.values():
        for name in region.steps:
            if len(f"{region.key}{name}".encode(errors="replace")) > PATH_BYTES_MOST:
                detail = f"The path of a step is longer than {PATH_BYTES_MOST} bytes; shorten names or nest less."
                errors.append(Finding("bad_name", "/tasks", detail))
                return
