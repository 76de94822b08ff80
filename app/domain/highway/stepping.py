"""What the parts of the engine share: steps that start and end, and what that leads to.

Everything that is to be looked at again is put on a list, so that nothing recurses: first the steps whose dependencies
moved, then those that are ready to start, then whether scopes are over, and at last joins for which the first ending
decides (of several at once a success wins).
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import Any

from app.domain.highway.effects import Effects
from app.domain.highway.guards import failed_guard
from app.domain.highway.names import Names
from app.domain.highway.plan import Need, Operator, Plan, Scope, Step, outer_region, path_near, scope_of
from app.domain.highway.state import OPEN, SATISFIED, UNSUCCESSFUL, Draft, State, StepState
from app.domain.highway.templates import resolve
from app.schemas.steps import StepStatus

Standing = StepStatus | None


class Stepping:
    """One action on a run: its draft, its effects, and what is still to be looked at."""

    def __init__(self, plan: Plan, state: State, now: datetime) -> None:
        self.plan = plan
        self.draft = Draft(state)
        self.now = now
        self.effects = Effects()
        self.repeated = 0
        """Iterations of while loops that have begun."""
        self.moved: deque[StepState] = deque()
        self.ready: deque[StepState] = deque()
        self.undecided: deque[StepState] = deque()
        self._touched: dict[str, tuple[str, str]] = {}
        """Scopes that may be over, by path: (region, name)."""
        self._deepest: list[tuple[int, str]] = []

    # What stands where

    def step_of(self, state: StepState) -> Step:
        """Return what ``state`` is one of."""
        return self.plan.step(state.region, state.path)

    def find(self, near: StepState, name: str) -> StepState | None:
        """Return the step of that name in the region of ``near``, as that means it; None if it does not exist (yet)."""
        path = path_near(near.path, near.region, name)
        return self.draft.find(scope_of(path), path)

    def current(self, state: StepState) -> StepState:
        """Return ``state`` as it stands now."""
        return self.draft.find(state.scope, state.path) or state

    def names(self, state: StepState, own: Mapping[str, Any] | None = None) -> Names:
        """Return what names stand for, seen from a step."""
        return Names(self.plan, self.draft, state, own)

    def resolve(self, state: StepState, value: Any) -> Any:
        """Return ``value`` with its templates resolved; those without a value are noted."""
        resolved = resolve(value, self.names(state))
        self.effects.unresolved += [(state.path, text) for text in resolved.unresolved]
        return resolved.value

    def resolve_work(self, state: StepState, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return ``values`` resolved; None, and the step fails, if one has no value and templates are strict."""
        before = len(self.effects.unresolved)
        resolved = {name: self.resolve(state, value) for name, value in values.items()}
        missing = sorted({text for _, text in self.effects.unresolved[before:]})
        if not missing or not self.draft.run.strict_templates:
            return resolved
        message = "no value for " + ", ".join("{{" + text + "}}" for text in missing)
        self.fail(state, {"name": "UnresolvedTemplate", "message": message})
        return None

    def standing(self, near: StepState, need: Need) -> Standing:
        """Return how what a step waits for has ended; None while it has not."""
        found = self.find(near, need.step)
        if found is None:
            return self._standing_of_absent(near, need.step)
        if found.is_open:
            return None
        if need.branches is None or found.status is not StepStatus.completed:
            return found.status
        return self._branch_standing(near, need.branches.get(found.facts.get("chosen") or "", ()))

    def _standing_of_absent(self, near: StepState, name: str) -> Standing:
        """Return how a step has ended that does not exist: as the branch that it would be in, which never began."""
        region = self.plan.region(near.region)
        container = region.scopes[region.steps[name].scope].container
        if container is None:
            return None
        found = self.find(near, container)
        if found is None:
            return self._standing_of_absent(near, container)
        if "begun" in found.facts and region.steps[name].scope not in found.facts["begun"]:
            return StepStatus.skipped
        if found.is_open:
            return None
        return StepStatus.skipped if found.status in SATISFIED else StepStatus.upstream_failed

    def _branch_standing(self, near: StepState, members: Sequence[str]) -> Standing:
        """Return how the branch that a router has chosen has ended: failed, if one of its leaves has."""
        steps = self.plan.region(near.region).steps
        inside = set(members)
        found = {name: self.find(near, name) for name in members}
        if any(state is None or state.is_open for state in found.values()):
            return None
        ends = [state for name, state in found.items() if state and not inside & set(steps[name].followers)]
        failed = (state.status for state in ends if state.status in UNSUCCESSFUL)
        return next(failed, StepStatus.completed)

    # Beginning

    def begin_scope(self, container: StepState | None, region: str, scope: Scope) -> None:
        """Let a scope begin: its steps exist from now on."""
        path = path_near(container.path if container else "", region, scope.name)
        self.draft.begin_scope(path)
        steps = self.plan.region(region).steps
        prefix = f"{path}." if path else ""
        needs_look = not scope.steps
        for name in scope.steps:
            step = steps[name]
            state = StepState(f"{prefix}{step.task_id}", region, path, step.operator)
            self.draft.put(state)
            self.moved.append(state)
            needs_look = needs_look or step.is_handler
        if needs_look:
            self.touch(path, region, scope.name)

    def mark_started(self, state: StepState, status: StepStatus = StepStatus.running, **changes: Any) -> StepState:
        """Return the step after it has started."""
        started = replace(state, status=status, started_at=state.started_at or self.now, **changes)
        self.draft.put(started)
        return started

    # Ending

    def complete(self, state: StepState, result: Any = None, **facts: Any) -> None:
        """Complete a step with its result, unless a postcondition of it does not hold: then it fails."""
        message = self.broken_postcondition(state, result)
        if message is not None:
            self.fail(state, {"name": "PostconditionFailed", "message": message})
            return
        self.succeed(state, result, **facts)

    def broken_postcondition(self, state: StepState, result: Any) -> str | None:
        """Return the message of the first postcondition that ``result`` does not meet."""
        step = self.step_of(state)
        guards = step.spec.get("postconditions")
        if not guards:
            return None
        own = {step.task_id: result, "result": result}
        if key := step.spec.get("result_key"):
            own[key] = result
        return failed_guard(guards, self.names(state, own))

    def succeed(self, state: StepState, result: Any, **facts: Any) -> None:
        """Complete a step."""
        self.write_result(state, result)
        self.effects.completed.append(state.path)
        self.end(state, StepStatus.completed, **facts)

    def fail(self, state: StepState, error: Any, **facts: Any) -> None:
        """Fail a step."""
        self.effects.failed.append(state.path)
        self.end(state, StepStatus.failed, error, **facts)

    def set_aside(self, state: StepState, status: StepStatus) -> None:
        """End a step that did not do anything, as what it waited for has ended."""
        effects = self.effects
        listed = {StepStatus.skipped: effects.skipped, StepStatus.cancelled: effects.cancelled}
        listed.get(status, effects.upstream_failed).append(state.path)
        self.end(state, status)

    def end(self, state: StepState, status: StepStatus, error: Any = None, **facts: Any) -> None:
        """End a step, call its handler, and look at what waits for it."""
        kept = {name: value for name, value in state.facts.items() if name != "again"}
        ended = replace(
            state,
            status=status,
            error=error,
            facts=kept | facts,
            due_at=None,
            awaits=None,
            completed_at=self.now,
            started_at=state.started_at or (self.now if status is StepStatus.completed else None),
        )
        self.draft.put(ended)
        self.look_at_dependents(ended)
        self._call_handler(ended)
        self.touch(ended.scope, ended.region, self.step_of(ended).scope)

    def look_at_dependents(self, ended: StepState) -> None:
        """Look again at the steps that may go on now."""
        region = self.plan.region(ended.region)
        for name in region.dependents.get(self.step_of(ended).name, ()):
            found = first = self.find(ended, name)
            number = 1
            while found is not None and first is not None:
                if found.is_open:
                    self.moved.append(found)
                number += 1
                is_handler = region.steps[name].is_handler
                found = self.draft.find(first.scope, f"{first.path}#{number}") if is_handler else None

    def touch(self, path: str, region: str, name: str) -> None:
        """Look later whether the scope at ``path`` is over."""
        if path not in self._touched:
            self._touched[path] = (region, name)
            heappush(self._deepest, (-path.count(".") - path.count("["), path))

    def next_touched(self) -> tuple[str, str, str] | None:
        """Take the deepest scope that may be over: its path, its region and its name."""
        if not self._deepest:
            return None
        path = heappop(self._deepest)[1]
        return path, *self._touched.pop(path)

    def forget(self) -> None:
        """Look at nothing any more."""
        self.moved.clear()
        self.ready.clear()
        self.undecided.clear()
        self._touched.clear()
        self._deepest.clear()

    def write_result(self, state: StepState, result: Any) -> None:
        """Keep a step's result under its names, in the frame that its region writes to."""
        step = self.step_of(state)
        self.draft.changes.results[state.path] = result
        region = state.region
        while self.plan.region(region).is_while:
            region = outer_region(region)
        frame = self.draft.frame(region)
        keys = {step.spec["result_key"]: state.path} if step.spec.get("result_key") else {}
        if step.operator is Operator.foreach:
            keys[f"{step.task_id}_results"] = state.path
        changes: dict[str, Any] = {"ids": {**frame.ids, step.task_id: state.path}}
        if keys:
            changes["keys"] = {**frame.keys, **keys}
        self.draft.changes.frames[region] = replace(frame, **changes)

    # Handlers

    def _call_handler(self, owner: StepState) -> None:
        step = self.step_of(owner)
        if owner.status is StepStatus.completed:
            name, called = step.on_success, {}
        elif owner.status is StepStatus.failed:
            name, called = step.on_failure, {"failed_task_id": owner.path, "error_message": error_message(owner.error)}
        else:
            return
        if name is not None:
            self._call(owner, name, called)

    def _call(self, owner: StepState, name: str, called: Mapping[str, Any]) -> None:
        """Start the handler called ``name`` in the owner's scope; called again, it is another step."""
        step = self.plan.region(owner.region).steps[name]
        there = self.draft.scope(owner.scope)
        first = path_near(owner.path, owner.region, name)
        paths = (first if number == 1 else f"{first}#{number}" for number in range(1, len(there) + 2))
        path = next(path for path in paths if path not in there or _may_be_called(there[path]))
        handler = StepState(path, owner.region, owner.scope, step.operator, facts={"called": dict(called)})
        known = there.get(path)
        if known is not None:
            handler = replace(known, facts={**known.facts, "called": dict(called)})
        self.draft.put(handler)
        self.moved.append(handler)

    # Below a step

    def drop(self, state: StepState, *, is_timeout: bool = False) -> None:
        """End one open step without consequences, and what is done for it: what has not begun is skipped.

        When the time of their container is over, all of it is cancelled.
        """
        self.effects.dropped.append(state.path)
        if state.status not in OPEN:
            self.draft.put(replace(state, facts={**state.facts, "submitted": "dropped"}, due_at=None))
            return
        is_cancelled = is_timeout or state.has_begun
        (self.effects.cancelled if is_cancelled else self.effects.skipped).append(state.path)
        status = StepStatus.cancelled if is_cancelled else StepStatus.skipped
        self.draft.put(replace(state, status=status, due_at=None, awaits=None, completed_at=self.now))

    def after(self, seconds: float) -> datetime:
        """Return the moment ``seconds`` from now."""
        return self.now + timedelta(seconds=seconds)


def _may_be_called(handler: StepState) -> bool:
    return handler.status is StepStatus.waiting and "called" not in handler.facts


def error_message(error: Any) -> Any:
    """Return what a handler is told of an error: its message, if it is an object that has one."""
    return error["message"] if isinstance(error, Mapping) and "message" in error else error


def whole_number(seconds: float) -> float:
    """Return ``seconds``, without a fraction where there is none."""
    return int(seconds) if float(seconds).is_integer() else seconds
