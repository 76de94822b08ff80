"""Steps of whose branches those begin whose condition holds."""

from app.domain.highway.engine.branches import begin_branches, cancel_branches, end_branch, reopen_branches
from app.domain.highway.engine.state import StepState
from app.domain.highway.engine.steps import fail
from app.domain.highway.engine.turn import Phases, Turn
from app.domain.highway.engine.values import names_of
from app.domain.highway.language.conditions import evaluate


def start(turn: Turn, state: StepState) -> None:
    """Begin the branches whose condition holds."""
    step = turn.step_of(state)
    names = names_of(turn, state)
    chosen = {
        scope: scope[len(step.name) + 1 :]
        for scope in turn.plan.region(state.region).branches.get(step.name, ())
        if evaluate(step.spec["branches"][scope[len(step.name) + 1 :]]["condition"], names)
    }
    least = step.spec.get("minimum_branches", 1)
    if len(chosen) < least:
        message = f"{len(chosen)} branches were chosen; at least {least} must be"
        fail(turn, state, {"name": "TooFewBranches", "message": message})
        return
    if chosen:
        turn.effects.activated.append((state.path, list(chosen.values())))
    begin_branches(turn, state, list(chosen))


PHASES = Phases(start, cancel_branches, reopen_branches, end_inside=end_branch)
