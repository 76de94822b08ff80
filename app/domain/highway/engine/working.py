"""Steps that workers do: their attempts, retries, time limits and circuit breakers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.domain.highway.compiler.plan import Step
from app.domain.highway.engine import breakers
from app.domain.highway.engine.effects import Emit, RetryIn, Runnable
from app.domain.highway.engine.state import StepState
from app.domain.highway.engine.stepping import Stepping, whole_number
from app.domain.highway.language.budgets import BudgetSpentError, current_budget
from app.domain.highway.language.operators import REFLEXIVE_LOOP, Operator
from app.domain.highway.language.storable_values import ACTIVITY_EVENT
from app.schemas.steps import StepStatus

_ARGUMENTS: Mapping[str, Any] = {"generator_kwargs": {}, "verifier_kwargs": {}}
_CORRECTION = "correction_prompt_template"
_TURNS = 3
DROPPED: Mapping[str, Any] = {"name": "Cancelled", "message": "the activity was cancelled"}
"""Error of a wait for an activity whose work item was cancelled."""


class Working(Stepping):
    """The attempts of work items."""

    def start_work(self, state: StepState) -> None:
        """Start the first attempt, or the next one."""
        step = self.step_of(state)
        policy = breakers.read_policy(step.spec.get("circuit_breaker_policy"))
        if policy is not None:
            until = breakers.closes_at(self.draft.run.breakers.get(function_of(step)), self.now)
            if until is not None:
                status = state.status if "submitted" in state.facts else StepStatus.waiting
                facts = {**state.facts, "again": True}
                self.draft.put(replace(state, status=status, due_at=until, facts=facts))
                return
        self._dispatch(state, step)

    def _dispatch(self, state: StepState, step: Step) -> None:
        work = self.resolve_work(state, _work_of(step))
        if work is None:
            return
        attempt = state.attempt + 1
        kwargs = _as_kwargs(step, work) if step.operator is Operator.reflexive else work["kwargs"]
        key = work["idempotency_key"]
        self.effects.runnable.append(
            Runnable(state.path, attempt, function_of(step), work.get("args", []), kwargs, key)
        )
        due_at = None if step.timeout_seconds is None else self.after(step.timeout_seconds)
        facts = {name: value for name, value in state.facts.items() if name != "again"}
        started = replace(state, attempt=attempt, facts=facts)
        if not step.is_submitted or "submitted" in facts:
            status = state.status if "submitted" in facts else StepStatus.runnable
            self.draft.put(self.mark_started(started, status, due_at=due_at))
            return
        self._submit(self.mark_started(started, StepStatus.runnable), due_at)

    def _submit(self, state: StepState, due_at: Any) -> None:
        """Complete an activity at its submission; its work item stays open."""
        self.write_result(state, {"completion_event": ACTIVITY_EVENT + state.path})
        self.effects.submitted.append(state.path)
        self.end(state, StepStatus.completed, submitted="open")
        self.draft.put(replace(self.current(state), due_at=due_at))

    def finish_work(self, state: StepState, result: Any) -> None:
        """Take the result of an attempt."""
        try:
            message = self.broken_postcondition(state, result)
        except BudgetSpentError as spent:
            if not current_budget().fails_steps:
                raise
            error = {"name": "BudgetExceeded", "message": f"the step was given up: {spent}"}
            self.fail_attempt(state, error, retryable=False)
            return
        if message is not None:
            self.fail_attempt(state, {"name": "PostconditionFailed", "message": message})
            return
        self._count(state, None)
        if state.facts.get("submitted") == "open":
            self.draft.put(replace(state, due_at=None, facts={**state.facts, "submitted": "done", "report": result}))
            self.emit(ACTIVITY_EVENT + state.path, result)
            return
        self.succeed(state, result)

    def fail_attempt(self, state: StepState, error: Any, *, retryable: bool = True, pause: float | None = None) -> None:
        """End an attempt that failed: another one follows after a pause (in seconds), or the step has failed."""
        step = self.step_of(state)
        self._count(state, error)
        retry = step.retry
        tries = state.attempt - state.facts.get("before", 0) - state.facts.get("lost", 0)
        if not retryable or retry is None or tries > retry.max_retries:
            self._fail_finally(state, error)
            return
        self._try_again(state, error, _pause(retry.delay_seconds, retry.factor, tries) if pause is None else pause)

    def lose_attempt(self, state: StepState, error: Any) -> None:
        """End an attempt whose worker was lost: it counts neither as a try nor for the breaker; another one follows."""
        lost = state.facts.get("lost", 0) + 1
        self._try_again(replace(state, facts={**state.facts, "lost": lost}), error, 0)

    def _try_again(self, state: StepState, error: Any, pause: float) -> None:
        seconds = whole_number(pause)
        self.effects.retry_in.append(RetryIn(state.path, seconds, state.attempt + 1))
        facts = {**state.facts, "again": True}
        status = state.status if "submitted" in facts else StepStatus.waiting
        self.draft.put(replace(state, status=status, error=error, due_at=self.after(seconds), facts=facts))

    def _fail_finally(self, state: StepState, error: Any) -> None:
        if state.facts.get("submitted") != "open":
            self.fail(state, error)
            return
        facts = {name: value for name, value in state.facts.items() if name != "again"}
        self.draft.put(replace(state, due_at=None, facts={**facts, "submitted": "failed", "report": error}))
        self._fail_waits(state, error)

    def _fail_waits(self, activity: StepState, error: Any) -> None:
        """Fail the waits for a submitted activity that will never be reported as done."""
        for waiting in self.draft.awaiting(ACTIVITY_EVENT + activity.path):
            self.fail(waiting, error)

    def drop_open_below(self, path: str) -> None:
        """Cancel all open steps below the step at ``path``, whose time is over."""
        dropped = [*self.draft.open_below(f"{path}."), *self.draft.open_below(f"{path}[")]
        for state in dropped:
            self.drop(state, is_timeout=True)
        for state in dropped:
            if "submitted" in state.facts:
                self._fail_waits(state, DROPPED)
            self.look_at_dependents(self.current(state))

    def _count(self, state: StepState, error: Any) -> None:
        """Tell the circuit breaker of the step's function how an attempt ended; ``error`` is None after a success."""
        step = self.step_of(state)
        policy = breakers.read_policy(step.spec.get("circuit_breaker_policy"))
        if policy is None or (error is not None and not policy.counts(error)):
            return
        known = self.draft.run.breakers
        function = function_of(step)
        before = known.get(function)
        after = breakers.count_success(before, policy)
        if error is not None:
            after = breakers.count_failure(before, policy, self.now)
        self.draft.change_run(breakers={**known, function: after})

    def emit(self, event: str, payload: Any) -> None:
        """Emit an event: the steps of this run that wait for it go on; the first payload stays."""
        first = self.draft.event(event)
        self.effects.emitted.append(Emit(event, payload, is_new=first is None))
        if first is None:
            first = self.draft.keep_event(event, payload, self.now)
        # What waits although it was emitted before accepts only emits since the run began: this is one.
        kept = first.payload if self.draft.run.started_at is None or first.at >= self.draft.run.started_at else payload
        for waiting in self.draft.awaiting(event):
            self.complete(waiting, {"event": event, "payload": kept})

    def remember(self, memory: Mapping[str, Any]) -> None:
        """Put values into the memory of the run."""
        self.draft.change_run(memory={**self.draft.run.memory, **memory})


def function_of(step: Step) -> str:
    """Return the function that the work item of ``step`` asks for."""
    return REFLEXIVE_LOOP if step.operator is Operator.reflexive else str(step.spec["function"])


def _work_of(step: Step) -> dict[str, Any]:
    """Return what of a step is resolved for its work item."""
    named = _ARGUMENTS if step.operator is Operator.reflexive else {"args": [], "kwargs": {}}
    return {name: step.spec.get(name, empty) for name, empty in named.items()} | {
        "idempotency_key": step.spec.get("idempotency_key")
    }


def _as_kwargs(step: Step, work: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a worker needs for a reflexive step; what it corrects with is a template of its own."""
    kwargs = {"generator": step.spec["generator"], "verifier": step.spec["verifier"]}
    kwargs |= {name: work[name] for name in _ARGUMENTS} | {"max_turns": step.spec.get("max_turns", _TURNS)}
    template = step.spec.get(_CORRECTION)
    return kwargs if template is None else {**kwargs, _CORRECTION: template}


def _pause(delay_seconds: float, factor: float, tries: int) -> float:
    try:
        return min(delay_seconds * factor ** (tries - 1), 10 * 365 * 86_400.0)
    except OverflowError:
        return 10 * 365 * 86_400.0
