"""Steps that workers do: their attempts, retries, time limits and circuit breakers."""

from dataclasses import replace
from datetime import datetime

from app.domain.highway.compiler.plan import Step
from app.domain.highway.engine import breakers
from app.domain.highway.engine.actions import Complete, Fail
from app.domain.highway.engine.effects import RetryIn, Runnable
from app.domain.highway.engine.events import emit, fail_waits
from app.domain.highway.engine.state import StepState
from app.domain.highway.engine.steps import end, fail, mark_started, resolve_work, succeed, timed_out, whole_number
from app.domain.highway.engine.turn import Assignment, Turn
from app.domain.highway.engine.values import broken_postcondition, write_result
from app.domain.highway.language.budgets import BudgetSpentError
from app.domain.highway.language.storable_values import ACTIVITY_EVENT
from app.domain.json_texts import Json
from milepost.schemas.steps import StepStatus

CALL = Assignment(
    function_of=lambda step: str(step.spec["function"]),
    work_of=lambda step: {"args": step.spec.get("args", []), "kwargs": step.spec.get("kwargs", {})},
    kwargs_of=lambda _, work: work["kwargs"],
)
"""What a step asks for that calls a function of workers."""
ISOLATED = "circuit"
"""What stands in the fact `again` of a step that waits for its circuit breaker, and not for its next attempt alone."""
_PAUSE_MOST = 10 * 365 * 86_400.0
"""Seconds."""


def start(turn: Turn, state: StepState) -> None:
    """Start an attempt, unless the circuit breaker of its function is open."""
    step = turn.step_of(state)
    policy = breakers.read_policy(step.spec.get("circuit_breaker_policy"))
    if policy is not None:
        until = breakers.closes_at(turn.draft.run.breakers.get(_function_of(turn, step)), turn.now)
        if until is not None:
            status = state.status if "submitted" in state.facts else StepStatus.waiting
            facts = {**state.facts, "again": ISOLATED}
            turn.draft.put(replace(state, status=status, due_at=until, facts=facts))
            return
    _dispatch(turn, state, step)


def come_due(turn: Turn, state: StepState) -> None:
    """Start the next attempt, or end one that has taken too long."""
    if "again" in state.facts:
        start(turn, replace(state, due_at=None))
    else:
        turn.effects.timed_out.append(state.path)
        _fail_attempt(turn, state, timed_out(f"attempt {state.attempt} had not ended in time"))


def end_attempt(turn: Turn, state: StepState, action: Complete | Fail) -> None:
    """Take what a worker reports of an attempt."""
    if isinstance(action, Fail):
        if action.is_forgiven:
            _lose_attempt(turn, state, action.error)
        else:
            _fail_attempt(turn, state, action.error, retryable=action.retryable, pause=action.pause_seconds)
        return
    if action.memory:
        turn.draft.change_run(memory={**turn.draft.run.memory, **action.memory})
    _finish(turn, state, action.result)


def _dispatch(turn: Turn, state: StepState, step: Step) -> None:
    assignment = _assignment_of(turn, step)
    work = resolve_work(turn, state, assignment.work_of(step) | {"idempotency_key": step.spec.get("idempotency_key")})
    if work is None:
        return
    attempt = state.attempt + 1
    function, kwargs = assignment.function_of(step), assignment.kwargs_of(step, work)
    key = work["idempotency_key"]
    turn.effects.runnable.append(Runnable(state.path, attempt, function, work.get("args", []), kwargs, key))
    due_at = None if step.timeout_seconds is None else turn.after(step.timeout_seconds)
    facts = {name: value for name, value in state.facts.items() if name != "again"}
    started = replace(state, attempt=attempt, facts=facts)
    if not step.is_submitted or "submitted" in facts:
        status = state.status if "submitted" in facts else StepStatus.runnable
        turn.draft.put(mark_started(turn, started, status, due_at=due_at))
        return
    _submit(turn, mark_started(turn, started, StepStatus.runnable), due_at)


def _submit(turn: Turn, state: StepState, due_at: datetime | None) -> None:
    """Complete an activity at its submission; its work item stays open."""
    write_result(turn, state, {"completion_event": ACTIVITY_EVENT + state.path})
    turn.effects.submitted.append(state.path)
    end(turn, state, StepStatus.completed, submitted="open")
    turn.draft.put(replace(turn.current(state), due_at=due_at))


def _finish(turn: Turn, state: StepState, result: Json) -> None:
    """Take the result of an attempt."""
    try:
        message = broken_postcondition(turn, state, result)
    except BudgetSpentError as spent:
        if not turn.budget.fails_steps:
            raise
        error = {"name": "BudgetExceeded", "message": f"the step was given up: {spent}"}
        _fail_attempt(turn, state, error, retryable=False)
        return
    if message is not None:
        _fail_attempt(turn, state, {"name": "PostconditionFailed", "message": message})
        return
    _count(turn, state, None)
    if state.facts.get("submitted") == "open":
        turn.draft.put(replace(state, due_at=None, facts={**state.facts, "submitted": "done", "report": result}))
        emit(turn, ACTIVITY_EVENT + state.path, result)
        return
    succeed(turn, state, result)


def _fail_attempt(
    turn: Turn, state: StepState, error: Json, *, retryable: bool = True, pause: float | None = None
) -> None:
    """End an attempt that failed: another one follows after a pause (in seconds), or the step has failed."""
    step = turn.step_of(state)
    _count(turn, state, error)
    retry = step.retry
    tries = state.attempt - state.facts.get("before", 0) - state.facts.get("lost", 0)
    if not retryable or retry is None or tries > retry.max_retries:
        _fail_finally(turn, state, error)
        return
    _try_again(turn, state, error, _pause(retry.delay_seconds, retry.factor, tries) if pause is None else pause)


def _lose_attempt(turn: Turn, state: StepState, error: Json) -> None:
    """End an attempt whose worker was lost: it counts neither as a try nor for the breaker; another one follows."""
    lost = state.facts.get("lost", 0) + 1
    _try_again(turn, replace(state, facts={**state.facts, "lost": lost}), error, 0)


def _try_again(turn: Turn, state: StepState, error: Json, pause: float) -> None:
    seconds = whole_number(pause)
    turn.effects.retry_in.append(RetryIn(state.path, seconds, state.attempt + 1))
    facts = {**state.facts, "again": True}
    status = state.status if "submitted" in facts else StepStatus.waiting
    turn.draft.put(replace(state, status=status, error=error, due_at=turn.after(seconds), facts=facts))


def _fail_finally(turn: Turn, state: StepState, error: Json) -> None:
    if state.facts.get("submitted") != "open":
        fail(turn, state, error)
        return
    facts = {name: value for name, value in state.facts.items() if name != "again"}
    turn.draft.put(replace(state, due_at=None, facts={**facts, "submitted": "failed", "report": error}))
    fail_waits(turn, state, error)


def _count(turn: Turn, state: StepState, error: Json) -> None:
    """Tell the circuit breaker of the step's function how an attempt ended; ``error`` is None after a success."""
    step = turn.step_of(state)
    policy = breakers.read_policy(step.spec.get("circuit_breaker_policy"))
    if policy is None or (error is not None and not policy.counts(error)):
        return
    known = turn.draft.run.breakers
    function = _function_of(turn, step)
    before = known.get(function)
    after = breakers.count_success(before, policy)
    if error is not None:
        after = breakers.count_failure(before, policy, turn.now)
    turn.draft.change_run(breakers={**known, function: after})


def _function_of(turn: Turn, step: Step) -> str:
    """Return the function that the work item of ``step`` asks for."""
    return _assignment_of(turn, step).function_of(step)


def _assignment_of(turn: Turn, step: Step) -> Assignment:
    assignment = turn.operators[step.operator].assignment
    if assignment is None:
        raise LookupError(f"{step.operator} is not done by workers")
    return assignment


def _pause(delay_seconds: float, factor: float, tries: int) -> float:
    try:
        return min(delay_seconds * factor ** (tries - 1), _PAUSE_MOST)
    except OverflowError:
        return _PAUSE_MOST
