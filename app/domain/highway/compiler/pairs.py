"""Steps that belong together by what one reads: a fork and its join, an activity and the wait for its event."""

from collections.abc import Iterable, Iterator

from app.domain.highway.compiler.outline import RawRegion, RawStep, scopes_around
from app.domain.highway.language.expressions import paths_in
from app.domain.highway.language.operators import WAIT_FOR_BRANCHES, Operator
from app.domain.json_texts import Json


def find_forks(region: RawRegion) -> dict[str, str | None]:
    """Return the parallel whose result each task reads that waits for branches; None: it reads none."""
    return {
        step.name: next(
            (
                parallel.name
                for key in _names_read([step.spec.get("args", []), step.spec.get("kwargs", {})])
                for parallel in _find_keyed(region, step.scope, Operator.parallel, key)
            ),
            None,
        )
        for step in region.steps.values()
        if step.operator is Operator.task and step.spec.get("function") == WAIT_FOR_BRANCHES
    }


def find_activities(regions: Iterable[RawRegion]) -> dict[tuple[str, str], tuple[str, str]]:
    """Return the activity that each wait for an event is about, if it is about one; both as (region, name)."""
    return {
        (region.key, step.name): activity
        for region in regions
        for step in region.steps.values()
        if step.operator is Operator.wait_for_event and (activity := _find_activity(region, step)) is not None
    }


def _find_activity(region: RawRegion, step: RawStep) -> tuple[str, str] | None:
    for key in _names_read(step.spec["event_name"], "completion_event"):
        inside: RawRegion | None = region
        scope = step.scope
        while inside is not None:
            for activity in _find_keyed(inside, scope, Operator.activity, key):
                return inside.key, activity.name
            scope, inside = inside.outer_scope, inside.outer
    return None


def _find_keyed(region: RawRegion, scope: str, operator: Operator, result_key: str) -> Iterator[RawStep]:
    """Yield the steps of a region with this result key: those in ``scope`` and around it first."""
    around = [scope, *(name for outer, name in scopes_around(region, scope) if outer is region)]
    found = region.keyed.get((operator, result_key), ())
    yield from sorted(found, key=lambda step: around.index(step.scope) if step.scope in around else len(around))


def _names_read(value: Json, member: str | None = None) -> list[str]:
    """Return the names that the templates in ``value`` read, or read ``member`` of."""
    paths = [path[1:] if path[0] == "results" and len(path) > 1 else path for path in paths_in(value)]
    return [str(path[0]) for path in paths if member is None or path[1:2] == (member,)]
