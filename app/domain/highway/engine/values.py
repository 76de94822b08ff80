"""What names stand for, seen from a step, and what is kept under its own."""

from collections.abc import Mapping
from dataclasses import replace

from app.domain.highway.engine.names import Names
from app.domain.highway.engine.state import StepState
from app.domain.highway.engine.turn import Turn
from app.domain.highway.language.guards import failed_guard
from app.domain.highway.language.paths import outer_region
from app.domain.highway.language.templates import resolve
from app.domain.json_texts import Json


def names_of(turn: Turn, state: StepState, own: Mapping[str, Json] | None = None) -> Names:
    """Return what names stand for, seen from a step."""
    return Names(turn.plan, turn.draft, state, own)


def resolve_at(turn: Turn, state: StepState, value: Json) -> Json:
    """Return ``value`` with its templates resolved; those without a value are noted."""
    resolved = resolve(value, names_of(turn, state))
    turn.effects.unresolved += [(state.path, text) for text in resolved.unresolved]
    return resolved.value


def broken_postcondition(turn: Turn, state: StepState, result: Json) -> str | None:
    """Return the message of the first postcondition that ``result`` does not meet."""
    step = turn.step_of(state)
    guards = step.spec.get("postconditions")
    if not guards:
        return None
    own = {step.task_id: result, "result": result}
    if key := step.spec.get("result_key"):
        own[key] = result
    return failed_guard(guards, names_of(turn, state, own))


def write_result(turn: Turn, state: StepState, result: Json) -> None:
    """Keep a step's result under its names, in the frame that its region writes to."""
    step = turn.step_of(state)
    turn.draft.changes.results[state.path] = result
    region = state.region
    while turn.plan.region(region).is_named_outside:
        region = outer_region(region)
    frame = turn.draft.frame(region)
    keys, ids = turn.named.get(region, (None, None))
    if keys is not frame.keys or ids is not frame.ids:
        # Copied once: an action may bring very many results into one frame.
        keys, ids = turn.named[region] = dict(frame.keys), dict(frame.ids)
        turn.draft.changes.frames[region] = replace(frame, keys=keys, ids=ids)
    ids[step.task_id] = state.path
    if step.spec.get("result_key"):
        keys[step.spec["result_key"]] = state.path
    if (ending := turn.operators[step.operator].also_named) is not None:
        keys[f"{step.task_id}{ending}"] = state.path
