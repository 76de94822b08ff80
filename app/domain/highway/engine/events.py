"""Events of a run: who waits for them, and what they bring."""

from collections.abc import Mapping

from app.domain.highway.engine.effects import Emit
from app.domain.highway.engine.state import StepState
from app.domain.highway.engine.steps import complete, fail
from app.domain.highway.engine.turn import Turn
from app.domain.highway.language.storable_values import ACTIVITY_EVENT, UnstorableError, read_event_name
from app.domain.json_texts import Json

DROPPED: Mapping[str, Json] = {"name": "Cancelled", "message": "the activity was cancelled"}
"""Error of a wait for an activity whose work item was cancelled."""


def emit(turn: Turn, event: str, payload: Json) -> None:
    """Emit an event: the steps of this run that wait for it go on; the first payload stays."""
    first = turn.draft.event(event)
    turn.effects.emitted.append(Emit(event, payload, is_new=first is None))
    if first is None:
        first = turn.draft.keep_event(event, payload, turn.now)
    # What waits although it was emitted before accepts only emits since the run began: this is one.
    kept = first.payload if turn.draft.run.started_at is None or first.at >= turn.draft.run.started_at else payload
    for waiting in turn.draft.awaiting(event):
        complete(turn, waiting, {"event": event, "payload": kept})


def fail_waits(turn: Turn, activity: StepState, error: Json) -> None:
    """Fail the waits for a submitted activity that will never be reported as done."""
    for waiting in turn.draft.awaiting(ACTIVITY_EVENT + activity.path):
        fail(turn, waiting, error)


def read_event(turn: Turn, state: StepState, value: Json) -> str | None:
    """Return the event that a step means; None, and the step fails, if none can be called like that."""
    try:
        return read_event_name(value)
    except UnstorableError as failure:
        fail(turn, state, failure.error)
        return None
