"""What the parts of the engine share: steps that start and end, and what that leads to.

Everything that is to be looked at again is put on a list, so that nothing recurses: first the steps whose dependencies
moved, then those that are ready to start, then whether scopes are over, and at last joins for which the first ending
decides (of several at once a success wins).
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from heapq import heappop, heappush
from typing import Any

from app.domain.highway.compiler.plan import Branches, Need, Plan, Region, Scope, Step
from app.domain.highway.engine.effects import Effects
from app.domain.highway.engine.names import Names
from app.domain.highway.engine.sizes import SIZE, size_of
from app.domain.highway.engine.state import OPEN, SATISFIED, UNSUCCESSFUL, Draft, State, StepState
from app.domain.highway.language.budgets import BudgetSpentError, current_budget
from app.domain.highway.language.guards import failed_guard
from app.domain.highway.language.operators import Operator
from app.domain.highway.language.paths import outer_region, path_near, scope_of
from app.domain.highway.language.storable_values import UnstorableError, check_values
from app.domain.highway.language.templates import resolve
from app.domain.moments import later
from app.schemas.steps import StepStatus

Standing = StepStatus | None
UNBOUNDED = 2**62
"""Room for everything."""


class Stepping:
    """One action on a run: its draft, its effects, and what is still to be looked at."""

    def __init__(self, plan: Plan, state: State, now: datetime, room: int = UNBOUNDED) -> None:
        self.plan = plan
        self.draft = Draft(state)
        self.now = now
        self.effects = Effects()
        self.room = room
        """How many more steps are to come into being by loops: what has no room is left to a later action."""
        self.came = 0
        """Steps of parallel loops that come into being because of this action, or of that which it goes on for."""
        self.repeated = 0
        """Iterations that have followed others, counted like these steps."""
        self.left: list[StepState] = []
        """Loops for which there was no room."""
        self.counting: tuple[str, str] | None = None
        """Scope and path of the loop that keeps both counts from turn to turn."""
        self.moved: deque[StepState] = deque()
        self.ready: deque[StepState] = deque()
        self.undecided: deque[StepState] = deque()
        self._touched: dict[str, tuple[str, str]] = {}
        """Scopes that may be over, by path: (region, name)."""
        self._deepest: list[tuple[int, str]] = []
        self._named: dict[str, tuple[dict[str, str], dict[str, str]]] = {}
        """Names by result key and by id, of frames that this action has copied, by region."""
        self._ended: dict[str, int] = {}
        """How many steps of the branch that a router has chosen are known to have ended, by its path."""
        self._choices: dict[str, StepStatus] = {}
        """How branches have ended, by the path of their router."""

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
        """Return ``values`` resolved; None, and the step fails, if that is not to be.

        It is not if a value cannot be stored, or if one is missing and templates are strict.
        """
        before = len(self.effects.unresolved)
        resolved = {name: self.resolve(state, value) for name, value in values.items()}
        try:
            check_values(resolved)
        except UnstorableError as failure:
            self.fail(state, failure.error)
            return None
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
        return self._standing_of_choice(found, need.branches)

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

    def _standing_of_choice(self, router: StepState, branches: Branches) -> Standing:
        """Return how the branch that a router has chosen has ended: failed, if one of its leaves has."""
        members = branches.branch_of(router.facts.get("chosen") or "")
        if not self._have_ended(router, members):
            return None
        if router.path not in self._choices:
            self._choices[router.path] = self._judge_branch(router, members)
        return self._choices[router.path]

    def _have_ended(self, router: StepState, members: Sequence[str]) -> bool:
        """Return whether all these steps beside a router have ended; those known to have are not looked at again."""
        count = self._ended.get(router.path, 0)
        while count < len(members):
            found = self.find(router, members[count])
            if found is None or found.is_open:
                break
            count += 1
        self._ended[router.path] = count
        return count == len(members)

    def _judge_branch(self, router: StepState, members: Sequence[str]) -> StepStatus:
        """Return how a branch has ended all steps of which have."""
        region = self.plan.region(router.region)
        inside = set(members)
        choosers = {chooser for name in members for chooser in region.choosers.get(name, ())}
        continued = {
            chooser
            for chooser in choosers
            if any(
                name in inside and name not in region.routers[chooser].members
                for name in region.continuing.get(chooser, ())
            )
        }
        for name in members:
            found = self.find(router, name)
            is_end = inside.isdisjoint(region.steps[name].followers) and continued.isdisjoint(
                region.choosers.get(name, ())
            )
            if is_end and found is not None and found.status in UNSUCCESSFUL:
                return found.status
        return StepStatus.completed

    # Beginning

    def begin_scope(self, container: StepState | None, region: str, scope: Scope) -> None:
        """Let a scope begin: its steps exist from now on."""
        path = path_near(container.path if container else "", region, scope.name)
        self.draft.begin_scope(path)
        self.room -= len(scope.steps)
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

    @contextmanager
    def within_budget(self, state: StepState) -> Iterator[None]:
        """Fail the step, without another attempt, if what the block does for it spends what is left of the budget."""
        try:
            yield
        except BudgetSpentError as spent:
            if not current_budget().fails_steps:
                raise
            now = self.current(state)
            if now.is_open:
                self.fail(now, {"name": "BudgetExceeded", "message": f"the step was given up: {spent}"})

    def complete(self, state: StepState, result: Any = None, **facts: Any) -> None:
        """Complete a step with its result, unless a postcondition of it does not hold: then it fails."""
        with self.within_budget(state):
            message = self.broken_postcondition(state, result)
            if message is None:
                self.succeed(state, result, **facts)
            else:
                self.fail(state, {"name": "PostconditionFailed", "message": message})

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
        if SIZE not in facts:
            facts[SIZE] = size_of(result)
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
        for name in self._dependents_of(ended, region):
            found = first = self.find(ended, name)
            number = 1
            while found is not None and first is not None:
                if found.is_open:
                    self.moved.append(found)
                number += 1
                is_handler = region.steps[name].is_handler
                found = self.draft.find(first.scope, f"{first.path}#{number}") if is_handler else None

    def _dependents_of(self, ended: StepState, region: Region) -> Sequence[str]:
        """Return the steps that wait for one, or for a branch whose last step it is, in the order of the region."""
        name = self.step_of(ended).name
        direct = region.dependents.get(name, ())
        choosers = region.choosers.get(name, ())
        over = [chooser for chooser in choosers if chooser in region.continuing and self._ends_choice(ended, chooser)]
        if not over:
            return direct
        names = {*direct, *(other for chooser in over for other in region.continuing[chooser])}
        return sorted(names, key=region.routers[over[0]].places.__getitem__)

    def _ends_choice(self, ended: StepState, name: str) -> bool:
        """Return whether what a router has chosen is over, and was not known to be."""
        router = self.find(ended, name)
        if router is None or router.status is not StepStatus.completed:
            return False
        members = self.plan.region(ended.region).routers[name].branch_of(router.facts.get("chosen") or "")
        return self._ended.get(router.path, -1) < len(members) and self._have_ended(router, members)

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

    def forget_choices(self) -> None:
        """Know nothing any more of what has ended: it may have been opened again."""
        self._ended.clear()
        self._choices.clear()

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
        keys, ids = self._named.get(region, (None, None))
        if keys is not frame.keys or ids is not frame.ids:
            # Copied once: an action may bring very many results into one frame.
            keys, ids = self._named[region] = dict(frame.keys), dict(frame.ids)
            self.draft.changes.frames[region] = replace(frame, keys=keys, ids=ids)
        ids[step.task_id] = state.path
        if step.spec.get("result_key"):
            keys[step.spec["result_key"]] = state.path
        if step.operator is Operator.foreach:
            keys[f"{step.task_id}_results"] = state.path

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
        return later(self.now, seconds)


def _may_be_called(handler: StepState) -> bool:
    return handler.status is StepStatus.waiting and "called" not in handler.facts


def error_message(error: Any) -> Any:
    """Return what a handler is told of an error: its message, if it is an object that has one."""
    return error["message"] if isinstance(error, Mapping) and "message" in error else error


def whole_number(seconds: float) -> float:
    """Return ``seconds``, without a fraction where there is none."""
    return int(seconds) if float(seconds).is_integer() else seconds
