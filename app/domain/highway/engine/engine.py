"""The engine: (state, action) -> (changes, effects), at a moment that it is told. It has no clock and does no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from app.domain.highway.compiler.plan import Plan, Step
from app.domain.highway.engine.effects import Effects, RunEnd
from app.domain.highway.engine.ending import Ending
from app.domain.highway.engine.rules import Decision, decide, decide_chosen, decide_target
from app.domain.highway.engine.sizes import SIZE, is_too_large, size_of, too_large
from app.domain.highway.engine.state import Changes, Frame, State, StepState
from app.domain.highway.engine.stepping import UNBOUNDED
from app.domain.highway.language.budgets import Budget, current_budget, spending
from app.domain.highway.language.operators import FORKING, LOOPS, WORK, JoinMode, Operator
from app.domain.highway.language.paths import TOP, scope_of
from app.domain.json_values import find_unstorable
from app.schemas.steps import StepStatus
from app.schemas.workflow_runs import RunStatus

__all__ = [
    "Action",
    "ActionRefused",
    "Cancel",
    "Complete",
    "Deadline",
    "Due",
    "EmitEvent",
    "EndChild",
    "Fail",
    "Outcome",
    "Retry",
    "Start",
    "act",
    "scope_of",
]


@dataclass(frozen=True, slots=True)
class Start:
    """The run begins; steps of the top level that are ``kept`` are there already, as another run left them."""

    kept: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Complete:
    """A worker has done a work item."""

    path: str
    result: Any = None
    memory: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fail:
    """An attempt at a work item has failed."""

    path: str
    error: Any = None
    retryable: bool = True
    pause_seconds: float | None = None
    """Until the next attempt, if the worker said so."""
    is_forgiven: bool = False
    """Its worker was lost, which is no failure of the step: it does not count, and another attempt follows."""


@dataclass(frozen=True, slots=True)
class EmitEvent:
    """An event was emitted from outside."""

    event: str
    payload: Any = None


@dataclass(frozen=True, slots=True)
class EndChild:
    """A child run has ended."""

    path: str
    child: str
    status: str
    result: Any = None


@dataclass(frozen=True, slots=True)
class Due:
    """The time of a step has come."""

    path: str
    scope: str


@dataclass(frozen=True, slots=True)
class Deadline:
    """The time of the run is over."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Somebody cancels the run."""


@dataclass(frozen=True, slots=True)
class Retry:
    """What failed, and what did not happen because of that, is tried again."""


_UNSTORABLE_CHILD = {"status": StepStatus.failed.value, "result": None}
"""What a child came to that completed with what cannot be kept in its parent, for that is nested too deep."""

Action = Start | Complete | Fail | EmitEvent | EndChild | Due | Deadline | Cancel | Retry


REOPENED = frozenset({RunStatus.failed, RunStatus.cancelled})
"""How a run has ended that may be tried again."""


class ActionRefused(ValueError):
    """The step that an action names cannot take it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an action has changed, and what it causes."""

    changes: Changes
    effects: Effects
    begun: int = 0
    """Of the room, how much was used."""


def act(
    plan: Plan,
    state: State,
    action: Action,
    now: datetime,
    scope: str | None = None,
    room: int = UNBOUNDED,
    budget: Budget | None = None,
) -> Outcome:
    """Return what ``action`` makes of a run that stands like ``state``, which stays as it is.

    ``scope`` is that of the step in the action, where it is known; ``budget`` what it may come to. Loops for which
    there is no ``room``, in steps, are left due at ``now``. Raises ActionRefused; BudgetSpentError, unless the step
    fails that spends it; NotLoaded, if ``state`` is not a whole one and a part of it is missing.
    """
    status = state.run.status
    is_taken = status in REOPENED if isinstance(action, Retry) else status is RunStatus.running
    if not is_taken:
        raise ActionRefused(f"the run is {status}")
    engine = Engine(plan, state, now, room)
    with spending(budget or current_budget()):
        engine.act(action, scope)
        engine.settle()
        engine.count_turns()
    return Outcome(engine.draft.changes, engine.effects, room - engine.room)


class Engine(Ending):
    """One action on one run."""

    def act(self, action: Action, scope: str | None) -> None:
        """Do what the action says, without its consequences for other steps."""
        match action:
            case Complete() | Fail():
                self._end_attempt(self._take_work(action.path, scope), action)
            case EndChild():
                self._end_child(self._take(action.path, scope), action)
            case Due():
                state = self._take(action.path, action.scope)
                if state.due_at is not None and state.due_at <= self.now:
                    with self.within_budget(state):
                        self._come_due(state)
            case EmitEvent():
                self.emit(action.event, action.payload)
            case _:
                self._act_on_run(action)

    def _act_on_run(self, action: Start | Deadline | Cancel | Retry) -> None:
        match action:
            case Start():
                self._start_run(action.kept)
            case Deadline():
                status = RunStatus.failed if self.plan.deadline_action == "fail" else RunStatus.cancelled
                error = {"name": "DeadlineExceeded", "message": "the run had not ended by its deadline"}
                self.end_run(RunEnd(status, None, error, "deadline"))
            case Cancel():
                self.end_run(RunEnd(RunStatus.cancelled, None, None, "cancel_requested"))
            case Retry():
                self.reopen_run()

    def _end_attempt(self, state: StepState, action: Complete | Fail) -> None:
        if isinstance(action, Fail):
            if action.is_forgiven:
                self.lose_attempt(state, action.error)
            else:
                self.fail_attempt(state, action.error, retryable=action.retryable, pause=action.pause_seconds)
            return
        if action.memory:
            self.remember(action.memory)
        self.finish_work(state, action.result)

    def _start_run(self, kept: frozenset[str]) -> None:
        scope = self.plan.region(TOP).scopes[TOP]
        if not kept:
            self.draft.changes.frames[TOP] = Frame()
            self.begin_scope(None, TOP, scope)
            return
        frame = self.draft.frame(TOP)
        self.draft.changes.frames[TOP] = replace(frame, keys=_only_of(frame.keys, kept), ids=_only_of(frame.ids, kept))
        for name in scope.steps:
            if name not in kept:
                state = StepState(name, TOP, TOP, self.plan.region(TOP).steps[name].operator)
                self.draft.put(state)
                self.moved.append(state)
        self.touch(TOP, TOP, TOP)

    def _take(self, path: str, scope: str | None) -> StepState:
        found = self.draft.find(scope_of(path) if scope is None else scope, path)
        if found is None:
            raise ActionRefused(f"there is no step {path}")
        return found

    def _take_work(self, path: str, scope: str | None) -> StepState:
        state = self._take(path, scope)
        is_offered = state.status in (StepStatus.runnable, StepStatus.running)
        is_submitted = state.facts.get("submitted") == "open"
        if state.operator not in WORK or "again" in state.facts or not (is_offered or is_submitted):
            raise ActionRefused(f"{path} is {state.status}; it has no attempt to end")
        if self.step_of(state).waits_for_branches:
            raise ActionRefused(f"{path} is not done by workers")
        return state

    def _end_child(self, state: StepState, end: EndChild) -> None:
        children = self.step_of(state).spec.get("children", {})
        known = state.facts.get("children", {})
        if state.status is not StepStatus.running or end.child not in children or end.child in known:
            raise ActionRefused(f"{end.path} does not wait for a child {end.child}")
        is_storable = find_unstorable(end.result) is None
        of_child = {"status": end.status, "result": end.result} if is_storable else _UNSTORABLE_CHILD
        size = state.facts.get(SIZE, 0) + size_of({end.child: of_child})
        ended = {**known, end.child: {**of_child, "result": None} if is_too_large(size) else of_child}
        counted = {"open": len(children) - len(ended), "children": ended, SIZE: size}
        after = replace(state, facts={**state.facts, **counted})
        self.draft.put(after)
        if len(ended) < len(children):
            return
        if is_too_large(size):
            self.fail(after, too_large("the results of the children"))
            return
        result = self._results_of_children(after)
        if all(child["status"] == StepStatus.completed for child in ended.values()):
            self.complete(after, result, **{SIZE: size})
            return
        self.write_result(after, result)
        failed = [name for name, child in result.items() if child["status"] != StepStatus.completed]
        self.fail(after, {"name": "ChildFailed", "message": f"not completed: {', '.join(failed)}"})

    def _results_of_children(self, state: StepState) -> dict[str, Any]:
        """Return how each child has ended; what is still open is about to be cancelled."""
        open_child = {"status": StepStatus.cancelled.value, "result": None}
        ended = state.facts.get("children", {})
        return {name: ended.get(name, open_child) for name in self.step_of(state).spec.get("children", {})}

    def _come_due(self, state: StepState) -> None:
        """Do what the time of a step brings: its next attempt or turn, the end of its wait, or its time-out."""
        step = self.step_of(state)
        if "again" in state.facts:
            self.start_work(replace(state, due_at=None))
        elif state.operator is Operator.wait:
            self.complete(state)
        elif state.operator in LOOPS:
            self.take_turn(state)
        elif step.waits_for_branches:
            self.effects.timed_out.append(state.path)
            self.fail(state, _timed_out("the branches had not ended in time"))
        elif state.operator in WORK:
            self.effects.timed_out.append(state.path)
            self.fail_attempt(state, _timed_out(f"attempt {state.attempt} had not ended in time"))
        else:
            if state.operator in FORKING:
                self.drop_open_below(state.path)
            elif state.operator is Operator.child_workflow:
                self.write_result(state, self._results_of_children(state))
            self.effects.dropped.append(state.path)
            self.fail(state, _timed_out("had not ended in time"))

    # Consequences

    def settle(self) -> None:
        """Look at everything that may go on, until nothing does."""
        budget = current_budget()
        while self.effects.run is None:
            if not budget.fails_steps:
                budget.take_step()
            if self.moved:
                self._evaluate(self.moved.popleft(), is_last=False)
            elif self.ready:
                self._start_ready(self.ready.popleft())
            elif (touched := self.next_touched()) is not None:
                self.look_at_scope(*touched)
            elif self.undecided:
                self._evaluate(self.undecided.popleft(), is_last=True)
            else:
                return

    def _evaluate(self, seen: StepState, *, is_last: bool) -> None:
        state = self.current(seen)
        step = self.step_of(state)
        if state.status is StepStatus.running:
            if step.waits_for_branches:
                self.look_at_fork(state)
        elif state.status is StepStatus.waiting and "again" not in state.facts:
            if not is_last and step.operator is Operator.join and step.spec.get("join_mode") == JoinMode.any_of:
                self.undecided.append(state)
            else:
                self._decide(state)

    def _decide(self, state: StepState) -> None:
        match self._decision(state):
            case Decision.wait:
                return
            case Decision.start if state.operator is Operator.join:
                self.judge(state)
            case Decision.start:
                self.ready.append(state)
            case Decision.skip:
                self.set_aside(state, StepStatus.skipped)
            case Decision.upstream_failed:
                self.set_aside(state, StepStatus.upstream_failed)

    def _start_ready(self, seen: StepState) -> None:
        state = self.current(seen)
        if state.status is StepStatus.waiting and "again" not in state.facts:
            self.start(state)

    def _decision(self, state: StepState) -> Decision:
        step = self.step_of(state)
        if "called" in state.facts:
            return Decision.start
        needs = [self.standing(state, need) for need in step.needs]
        routers = [self.find(state, name) for name in step.routers]
        if any(router is not None and router.facts.get("chosen") == step.name for router in routers):
            return decide_chosen(step.trigger, needs)
        if not step.is_handler and not routers and self._is_let_through(state, step):
            return decide(step.trigger, needs)
        callers = [*routers, *(self.find(state, name) for name in (*step.gates, *step.owners))]
        standings = [None if caller is None or caller.is_open else caller.status for caller in callers]
        if step.is_handler:
            return Decision.skip if callers and None not in standings else Decision.wait
        return decide_target(standings)

    def _is_let_through(self, state: StepState, step: Step) -> bool:
        """Return whether the branch that a step is in has been chosen, or it is in none."""
        routers = self.plan.region(state.region).routers
        for router in step.gates:
            found = self.find(state, router)
            if found is not None and step.name in routers[router].branch_of(found.facts.get("chosen") or ""):
                return True
        return not step.gates


def _timed_out(message: str) -> dict[str, Any]:
    return {"name": "TimeoutError", "message": message}


def _only_of(names: Mapping[str, str], kept: frozenset[str]) -> dict[str, str]:
    """Return those of the names that stand for results of these steps of the top level, or of steps in them."""
    return {name: path for name, path in names.items() if path.partition(".")[0].partition("[")[0] in kept}
