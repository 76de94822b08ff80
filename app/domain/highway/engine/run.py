"""How a run begins and ends."""

from collections.abc import Mapping
from dataclasses import replace

from app.domain.highway.engine.causes import describe_failure, find_cause
from app.domain.highway.engine.effects import RunEnd
from app.domain.highway.engine.sizes import is_too_large, size_together, too_large
from app.domain.highway.engine.state import Frame, StepState
from app.domain.highway.engine.steps import begin_scope, drop
from app.domain.highway.engine.turn import Turn
from app.domain.highway.language.paths import TOP, scope_of
from milepost.schemas.steps import StepStatus
from milepost.schemas.workflow_runs import RunStatus


def start_run(turn: Turn, kept: frozenset[str]) -> None:
    """Let the steps of the top level begin, but for those that are kept as they stand."""
    scope = turn.plan.region(TOP).scopes[TOP]
    if not kept:
        turn.draft.changes.frames[TOP] = Frame()
        begin_scope(turn, None, TOP, scope)
        return
    frame = turn.draft.frame(TOP)
    turn.draft.changes.frames[TOP] = replace(frame, keys=_only_of(frame.keys, kept), ids=_only_of(frame.ids, kept))
    for name in scope.steps:
        if name not in kept:
            state = StepState(name, TOP, TOP, turn.plan.region(TOP).steps[name].operator)
            turn.draft.put(state)
            turn.moved.append(state)
    turn.touch(TOP, TOP, TOP)


def end_run(turn: Turn, end: RunEnd) -> None:
    """End the run at once: what is open is cancelled or skipped."""
    turn.forget()
    for state in turn.draft.open_below(""):
        drop(turn, state)
    finish_run(turn, end)


def finish_run(turn: Turn, end: RunEnd) -> None:
    """Note that the run has ended."""
    turn.effects.run = end
    turn.draft.change_run(status=end.status, deadline_at=None)


def end_top(turn: Turn, *, has_failed: bool) -> None:
    """End the run, all steps of whose top level have ended."""
    states = turn.draft.scope(TOP)
    if turn.plan.has_background:
        for state in turn.draft.open_below(""):
            drop(turn, state)
    named = {
        key: state
        for state in states.values()
        if (key := turn.step_of(state).spec.get("result_key")) and state.status is StepStatus.completed
    }
    is_large = is_too_large(size_together(named.values()))
    results = {} if is_large else {key: turn.draft.result(state.path) for key, state in named.items()}
    if not has_failed:
        error = too_large("the results of the run's steps") if is_large else None
        status = RunStatus.failed if is_large else RunStatus.completed
        finish_run(turn, RunEnd(status, None if is_large else results, error))
        return
    cause = find_cause(states.values())
    if cause is None:
        finish_run(turn, RunEnd(RunStatus.failed, results or None, None, "upstream"))
        return
    told = describe_failure(turn, "StepFailed", cause, f"{cause} failed")
    at_fault = turn.draft.find(scope_of(cause), cause)
    if at_fault is not None and isinstance(at_fault.error, Mapping):
        told["cause"] = dict(at_fault.error)
    finish_run(turn, RunEnd(RunStatus.failed, results or None, told))


def _only_of(names: Mapping[str, str], kept: frozenset[str]) -> dict[str, str]:
    """Return those of the names that stand for results of these steps of the top level, or of steps in them."""
    return {name: path for name, path in names.items() if path.partition(".")[0].partition("[")[0] in kept}
