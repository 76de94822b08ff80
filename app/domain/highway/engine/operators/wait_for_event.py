"""Steps that wait for an event, or for the report of an activity."""

from collections.abc import Mapping

from app.domain.highway.engine.effects import Awaiting
from app.domain.highway.engine.events import DROPPED, read_event
from app.domain.highway.engine.run_retry import begin_anew
from app.domain.highway.engine.state import Emitted, StepState
from app.domain.highway.engine.steps import complete, fail, mark_started, resolve_work, run_out_of_time
from app.domain.highway.engine.turn import Phases, Turn
from app.domain.highway.language.paths import scope_of
from app.domain.highway.language.storable_values import ACTIVITY_EVENT
from app.domain.json_texts import Json


def start(turn: Turn, state: StepState) -> None:
    """Wait for the event, unless it was emitted already."""
    spec = turn.step_of(state).spec
    work = resolve_work(turn, state, {"event_name": spec["event_name"]})
    event = None if work is None else read_event(turn, state, work["event_name"])
    if event is None:
        return
    if event.startswith(ACTIVITY_EVENT) and _take_report(turn, state, event):
        return
    emitted = turn.draft.event(event)
    if emitted is not None and _counts(turn, spec, emitted):
        complete(turn, mark_started(turn, state), {"event": event, "payload": emitted.payload})
        return
    timeout = spec.get("timeout_seconds")
    turn.effects.awaiting.append(Awaiting(state.path, event, timeout))
    mark_started(turn, state, awaits=event, due_at=None if timeout is None else turn.after(timeout))


def _counts(turn: Turn, spec: Mapping[str, Json], emitted: Emitted) -> bool:
    """Return whether a wait accepts an event that was emitted before it began."""
    began = turn.draft.run.started_at
    return spec.get("metadata", {}).get("after") != "run" or began is None or emitted.at >= began


def _take_report(turn: Turn, state: StepState, event: str) -> bool:
    """End a wait for an activity that has been reported already; whether it has been."""
    path = event.removeprefix(ACTIVITY_EVENT)
    activity = turn.draft.find(scope_of(path), path)
    match None if activity is None else activity.facts.get("submitted"):
        case "done":
            payload = activity and activity.facts.get("report")
            complete(turn, mark_started(turn, state), {"event": event, "payload": payload})
        case "failed":
            fail(turn, mark_started(turn, state), activity and activity.facts.get("report"))
        case "dropped":
            fail(turn, mark_started(turn, state), DROPPED)
        case _:
            return False
    return True


PHASES = Phases(start, run_out_of_time, begin_anew)
