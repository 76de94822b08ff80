"""How what a step waits for has ended: another step, or what a router has chosen."""

from collections.abc import Sequence

from app.domain.highway.compiler.plan import Branches, Need, Region
from app.domain.highway.engine.state import SATISFIED, UNSUCCESSFUL, StepState
from app.domain.highway.engine.turn import Turn
from milepost.schemas.steps import StepStatus

Standing = StepStatus | None


def standing(turn: Turn, near: StepState, need: Need) -> Standing:
    """Return how what a step waits for has ended; None while it has not."""
    found = turn.find(near, need.step)
    if found is None:
        return _standing_of_absent(turn, near, need.step)
    if found.is_open:
        return None
    if need.branches is None or found.status is not StepStatus.completed:
        return found.status
    return _standing_of_choice(turn, found, need.branches)


def _standing_of_absent(turn: Turn, near: StepState, name: str) -> Standing:
    """Return how a step has ended that does not exist: as the branch that it would be in, which never began."""
    region = turn.plan.region(near.region)
    container = region.scopes[region.steps[name].scope].container
    if container is None:
        return None
    found = turn.find(near, container)
    if found is None:
        return _standing_of_absent(turn, near, container)
    if "begun" in found.facts and region.steps[name].scope not in found.facts["begun"]:
        return StepStatus.skipped
    if found.is_open:
        return None
    return StepStatus.skipped if found.status in SATISFIED else StepStatus.upstream_failed


def _standing_of_choice(turn: Turn, router: StepState, branches: Branches) -> Standing:
    """Return how the branch that a router has chosen has ended: failed, if one of its leaves has."""
    members = branches.branch_of(router.facts.get("chosen") or "")
    if not have_ended(turn, router, members):
        return None
    if router.path not in turn.choices:
        turn.choices[router.path] = _judge_branch(turn, router, members)
    return turn.choices[router.path]


def have_ended(turn: Turn, router: StepState, members: Sequence[str]) -> bool:
    """Return whether all these steps beside a router have ended; those known to have are not looked at again."""
    count = turn.ended.get(router.path, 0)
    while count < len(members):
        found = turn.find(router, members[count])
        if found is None or found.is_open:
            break
        count += 1
    turn.ended[router.path] = count
    return count == len(members)


def _judge_branch(turn: Turn, router: StepState, members: Sequence[str]) -> StepStatus:
    """Return how a branch has ended all steps of which have."""
    region = turn.plan.region(router.region)
    inside = set(members)
    choosers = {chooser for name in members for chooser in region.choosers.get(name, ())}
    continued = {
        chooser
        for chooser in choosers
        if any(
            name in inside and name not in region.routers[chooser].members
            for name in region.continuing.get(chooser, ())
        )
    }
    for name in members:
        found = turn.find(router, name)
        is_end = inside.isdisjoint(region.steps[name].followers) and continued.isdisjoint(region.choosers.get(name, ()))
        if is_end and found is not None and found.status in UNSUCCESSFUL:
            return found.status
    return StepStatus.completed


def dependents_of(turn: Turn, ended: StepState, region: Region) -> Sequence[str]:
    """Return the steps that wait for one, or for a branch whose last step it is, in the order of the region."""
    name = turn.step_of(ended).name
    direct = region.dependents.get(name, ())
    choosers = region.choosers.get(name, ())
    over = [chooser for chooser in choosers if chooser in region.continuing and _ends_choice(turn, ended, chooser)]
    if not over:
        return direct
    names = {*direct, *(other for chooser in over for other in region.continuing[chooser])}
    return sorted(names, key=region.routers[over[0]].places.__getitem__)


def _ends_choice(turn: Turn, ended: StepState, name: str) -> bool:
    """Return whether what a router has chosen is over, and was not known to be."""
    router = turn.find(ended, name)
    if router is None or router.status is not StepStatus.completed:
        return False
    members = turn.plan.region(ended.region).routers[name].branch_of(router.facts.get("chosen") or "")
    return turn.ended.get(router.path, -1) < len(members) and have_ended(turn, router, members)
