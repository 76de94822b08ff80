"""Steps that emit an event."""

from app.domain.highway.engine.events import emit, read_event
from app.domain.highway.engine.state import StepState
from app.domain.highway.engine.steps import complete, mark_started, resolve_work
from app.domain.highway.engine.turn import Turn
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
