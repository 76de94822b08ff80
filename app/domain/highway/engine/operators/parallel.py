"""Steps all branches of which begin at once."""

from app.domain.highway.engine.branches import begin_branches, cancel_branches, end_branch, reopen_branches
from app.domain.highway.engine.state import StepState
from app.domain.highway.engine.turn import Phases, Turn


def start(turn: Turn, state: StepState) -> None:
    """Begin all branches."""
    begin_branches(turn, state, turn.plan.region(state.region).branches.get(turn.step_of(state).name, ()))


PHASES = Phases(start, cancel_branches, reopen_branches, end_inside=end_branch)
