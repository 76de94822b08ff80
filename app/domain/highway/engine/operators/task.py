"""Tasks: workers do them, but for those that wait for the branches of a fork."""

from app.domain.highway.engine import attempts, branch_wait
from app.domain.highway.engine.attempts import CALL
from app.domain.highway.engine.run_retry import begin_anew
from app.domain.highway.engine.state import StepState
from app.domain.highway.engine.turn import Phases, Turn


def start(turn: Turn, state: StepState) -> None:
    """Start the first attempt, or wait for the branches of a fork if that is what the task is for."""
    if turn.step_of(state).waits_for_branches:
        branch_wait.start(turn, state)
    else:
        attempts.start(turn, state)


def come_due(turn: Turn, state: StepState) -> None:
    """Start the next attempt, or end what has taken too long."""
    if turn.step_of(state).waits_for_branches:
        branch_wait.come_due(turn, state)
    else:
        attempts.come_due(turn, state)


def follow(turn: Turn, state: StepState) -> None:
    """See whether the branches are over that the task waits for."""
    if turn.step_of(state).waits_for_branches:
        branch_wait.look_at_fork(turn, state)


PHASES = Phases(start, come_due, begin_anew, follow=follow, assignment=CALL)
