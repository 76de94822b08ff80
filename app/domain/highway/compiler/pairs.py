"""Steps that belong together by what one reads: a fork and its join, an activity and the wait for its event."""

from collections.abc import Iterable, Iterator, Sequence

from app.domain.highway.compiler.outline import RawRegion, RawStep, scopes_around
from app.domain.highway.document.forms import Bond


def find_forks(region: RawRegion) -> dict[str, str | None]:
    """Return the fork whose result each step reads that waits for branches; None: it reads none."""
    return {
        step.name: next(
            (fork.name for key in keys for fork in _find_keyed(region, step.scope, Bond.branches, key)), None
        )
        for step in region.steps.values()
        if (keys := _names_bound(step, Bond.branches)) is not None
    }


def find_activities(regions: Iterable[RawRegion]) -> dict[tuple[str, str], tuple[str, str]]:
    """Return the activity that each wait for an event is about, if it is about one; both as (region, name)."""
    return {
        (region.key, step.name): activity
        for region in regions
        for step in region.steps.values()
        if (activity := _find_activity(region, step)) is not None
    }


def _find_activity(region: RawRegion, step: RawStep) -> tuple[str, str] | None:
    for key in _names_bound(step, Bond.report) or ():
        inside: RawRegion | None = region
        scope = step.scope
        while inside is not None:
            for activity in _find_keyed(inside, scope, Bond.report, key):
                return inside.key, activity.name
            scope, inside = inside.outer_scope, inside.outer
    return None


def _names_bound(step: RawStep, bond: Bond) -> Sequence[str] | None:
    """Return the names by which a step is bound to another in this way; None if it is not."""
    form = step.form
    return form.names_read(step.spec) if form.bond is bond and form.names_read is not None else None


def _find_keyed(region: RawRegion, scope: str, bond: Bond, result_key: str) -> Iterator[RawStep]:
    """Yield the steps of a region with this result key: those in ``scope`` and around it first."""
    around = [scope, *(name for outer, name in scopes_around(region, scope) if outer is region)]
    found = region.keyed.get((bond, result_key), ())
    yield from sorted(found, key=lambda step: around.index(step.scope) if step.scope in around else len(around))
