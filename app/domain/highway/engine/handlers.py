"""Handlers: steps that are called when another one has completed or failed."""

from collections.abc import Mapping
from dataclasses import replace

from app.domain.highway.engine.state import StepState
from app.domain.highway.engine.turn import Turn
from app.domain.highway.language.paths import path_near
from app.domain.json_texts import Json
from milepost.schemas.steps import StepStatus


def call_handler(turn: Turn, owner: StepState) -> None:
    """Call the handler that a step has for how it has ended."""
    step = turn.step_of(owner)
    if owner.status is StepStatus.completed:
        name, called = step.on_success, {}
    elif owner.status is StepStatus.failed:
        name, called = step.on_failure, {"failed_task_id": owner.path, "error_message": _message_of(owner.error)}
    else:
        return
    if name is not None:
        _call(turn, owner, name, called)


def _call(turn: Turn, owner: StepState, name: str, called: Mapping[str, Json]) -> None:
    """Start the handler called ``name`` in the owner's scope; called again, it is another step."""
    step = turn.plan.region(owner.region).steps[name]
    there = turn.draft.scope(owner.scope)
    first = path_near(owner.path, owner.region, name)
    paths = (first if number == 1 else f"{first}#{number}" for number in range(1, len(there) + 2))
    path = next(path for path in paths if path not in there or _may_be_called(there[path]))
    handler = StepState(path, owner.region, owner.scope, step.operator, facts={"called": dict(called)})
    known = there.get(path)
    if known is not None:
        handler = replace(known, facts={**known.facts, "called": dict(called)})
    turn.draft.put(handler)
    turn.moved.append(handler)


def _may_be_called(handler: StepState) -> bool:
    return handler.status is StepStatus.waiting and "called" not in handler.facts


def _message_of(error: Json) -> Json:
    """Return what a handler is told of an error: its message, if it is an object that has one."""
    return error["message"] if isinstance(error, Mapping) and "message" in error else error
