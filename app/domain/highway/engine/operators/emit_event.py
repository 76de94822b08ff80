"""Steps that emit an event."""

from app.domain.highway.engine.events import emit, read_event
from app.domain.highway.engine.run_retry import begin_anew
from app.domain.highway.engine.state import StepState
from app.domain.highway.engine.steps import complete, mark_started, resolve_work, run_out_of_time
from app.domain.highway.engine.turn import Phases, Turn
from milepost.schemas.steps import StepStatus


def start(turn: Turn, state: StepState) -> None:
    """Emit the event, and complete."""
    spec = turn.step_of(state).spec
    work = resolve_work(turn, state, {"event_name": spec["event_name"], "payload": spec.get("payload", {})})
    event = None if work is None else read_event(turn, state, work["event_name"])
    if work is None or event is None:
        return
    complete(turn, mark_started(turn, state), {"event": event})
    if turn.current(state).status is StepStatus.completed:
        emit(turn, event, work["payload"])


PHASES = Phases(start, run_out_of_time, begin_anew)
