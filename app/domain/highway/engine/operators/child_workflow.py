"""Steps that wait for runs of other workflows."""

from collections.abc import Mapping
from dataclasses import replace

from app.domain.error_lines import error_line
from app.domain.highway.engine.actions import ActionRefused, EndChild
from app.domain.highway.engine.effects import Child
from app.domain.highway.engine.run_retry import begin_anew
from app.domain.highway.engine.sizes import SIZE, is_too_large, size_of, too_large
from app.domain.highway.engine.state import StepState
from app.domain.highway.engine.steps import complete, fail, mark_started, resolve_work, run_out_of_time
from app.domain.highway.engine.turn import Phases, Turn
from app.domain.highway.engine.values import write_result
from app.domain.json_texts import Json
from app.domain.json_values import find_unstorable
from milepost.schemas.steps import StepStatus

_UNSTORABLE_CHILD = {"status": StepStatus.failed.value, "result": None}
"""What a child came to that completed with what cannot be kept in its parent, for that is nested too deep."""

_ERRORS = "errors"
"""Fact of such a step: in a line each, why children did not complete."""
_TOLD_MOST = 10
"""How many of them its own error names."""


def start(turn: Turn, state: StepState) -> None:
    """Start a run for each child."""
    spec = turn.step_of(state).spec
    children: Mapping[str, Json] = spec.get("children", {})
    inputs = resolve_work(turn, state, {name: child.get("inputs") or {} for name, child in children.items()})
    if inputs is None:
        return
    started = mark_started(turn, state, facts={**state.facts, "open": len(children), "children": {}})
    if not children:
        complete(turn, started, {})
        return
    for name, child in children.items():
        turn.effects.children.append(Child(state.path, name, child["workflow_name"], inputs[name]))
    if (timeout := spec.get("timeout_seconds")) is not None:
        turn.draft.put(replace(started, due_at=turn.after(timeout)))


def come_due(turn: Turn, state: StepState) -> None:
    """Fail a step whose children take too long; how the others have ended is kept."""
    write_result(turn, state, _results_of_children(turn, state))
    run_out_of_time(turn, state)


def end_child(turn: Turn, state: StepState, end: EndChild) -> None:
    """Note how a child has ended, and end the step after the last one. Raises ActionRefused."""
    children = turn.step_of(state).spec.get("children", {})
    known = state.facts.get("children", {})
    if state.status is not StepStatus.running or end.child not in children or end.child in known:
        raise ActionRefused(f"{end.path} does not wait for a child {end.child}")
    is_storable = find_unstorable(end.result) is None
    of_child = {"status": end.status, "result": end.result} if is_storable else _UNSTORABLE_CHILD
    size = state.facts.get(SIZE, 0) + size_of({end.child: of_child})
    ended = {**known, end.child: {**of_child, "result": None} if is_too_large(size) else of_child}
    line = error_line(end.error)
    errors = {**state.facts.get(_ERRORS, {}), end.child: line} if line else state.facts.get(_ERRORS, {})
    counted = {"open": len(children) - len(ended), "children": ended, SIZE: size, _ERRORS: errors}
    after = replace(state, facts={**state.facts, **counted})
    turn.draft.put(after)
    if len(ended) < len(children):
        return
    if is_too_large(size):
        fail(turn, after, too_large("the results of the children"))
        return
    result = _results_of_children(turn, after)
    if all(child["status"] == StepStatus.completed for child in ended.values()):
        complete(turn, after, result, **{SIZE: size})
        return
    write_result(turn, after, result)
    failed = [name for name, child in result.items() if child["status"] != StepStatus.completed]
    told = "; ".join(f"{name} ({errors[name]})" if name in errors else name for name in failed[:_TOLD_MOST])
    more = f"; and {len(failed) - _TOLD_MOST} more" if len(failed) > _TOLD_MOST else ""
    fail(turn, after, {"name": "ChildFailed", "message": f"not completed: {told}{more}"})


def _results_of_children(turn: Turn, state: StepState) -> dict[str, Json]:
    """Return how each child has ended; what is still open is about to be cancelled."""
    open_child = {"status": StepStatus.cancelled.value, "result": None}
    ended = state.facts.get("children", {})
    return {name: ended.get(name, open_child) for name in turn.step_of(state).spec.get("children", {})}


PHASES = Phases(start, come_due, begin_anew, end_child=end_child)
