"""Steps that wait for a moment."""

from app.domain.highway.engine.run_retry import begin_anew
from app.domain.highway.engine.state import StepState
from app.domain.highway.engine.steps import complete, fail, mark_started, resolve_work, whole_number
from app.domain.highway.engine.turn import Phases, Turn
from app.domain.highway.language.durations import DurationError, parse_wait


def start(turn: Turn, state: StepState) -> None:
    """Wait until the moment that the step says; not at all if that is over."""
    work = resolve_work(turn, state, {"wait_for": turn.step_of(state).spec["wait_for"]})
    if work is None:
        return
    try:
        wakes_at = parse_wait(work["wait_for"], turn.now)
    except DurationError as failure:
        fail(turn, state, {"name": "BadDuration", "message": str(failure)})
        return
    if wakes_at <= turn.now:
        complete(turn, mark_started(turn, state))
        return
    turn.effects.timers.append((state.path, whole_number((wakes_at - turn.now).total_seconds())))
    mark_started(turn, state, due_at=wakes_at)


def come_due(turn: Turn, state: StepState) -> None:
    """End the wait."""
    complete(turn, state)


PHASES = Phases(start, come_due, begin_anew, is_over_when_due=True)
