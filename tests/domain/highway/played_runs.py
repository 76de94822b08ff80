"""Runs played to their end by chance, as far as something is left that can happen."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from random import Random

from app.domain.highway.compiler.plan import Plan
from app.domain.highway.engine.actions import Action, Complete, Due, EmitEvent, EndChild, Fail, Outcome, Start
from app.domain.highway.engine.advance import act
from app.domain.highway.engine.operators.table import OPERATORS
from app.domain.highway.engine.state import RunFacts, State, StepState, merge
from app.domain.highway.engine.turn import UNBOUNDED
from milepost.schemas.steps import StepStatus
from milepost.schemas.workflow_runs import RunStatus

BEGAN = datetime(2025, 1, 15, 2, tzinfo=UTC)
INPUTS = {"flag": True, "list": '["x", {"y": 1}]'}
TURNS_MOST = 3000


@dataclass
class Played:
    """A run that is played."""

    plan: Plan
    random: Random
    is_steady: bool = False
    """What is done about a step depends on its path alone, and what an event brings not on who emits it first."""
    failures: float = 0.2
    now: datetime = BEGAN
    room: int = UNBOUNDED
    """For loops, in steps; what an action leaves is done by later ones."""
    state: State = field(default_factory=lambda: State(RunFacts(INPUTS, {"ds": "2025-01-15"}, started_at=BEGAN)))

    def play(self) -> Iterator[tuple[Action, Outcome]]:
        """Yield all that happens; before each is merged."""
        yield from self._play(Start())

    def go_on(self) -> None:
        """Let all happen that still can."""
        for _ in self._play(self.next_action()):
            pass

    def _play(self, action: Action | None) -> Iterator[tuple[Action, Outcome]]:
        for _ in range(TURNS_MOST):
            if action is None:
                return
            outcome = act(self.plan, self.state, action, self.now, room=self.room)
            yield action, outcome
            merge(self.state, outcome.changes)
            action = self.next_action()
        raise AssertionError("the run goes on and on")

    def next_action(self) -> Action | None:
        """Return something that may happen; None, if nothing can any more."""
        if self.state.run.status is not RunStatus.running:
            return None
        possible = [action for step in self.state.steps.values() for action in self.actions_on(step)]
        if (turn := self.next_turn()) is not None:
            return turn
        dues = sorted((s.due_at, s.path) for s in self.state.steps.values() if s.due_at is not None)
        if dues and (not possible or (not self.is_steady and self.random.random() < 0.2)):
            at, path = dues[0]
            self.now = max(self.now, at)
            return Due(path, self.state.steps[path].scope)
        return self.random.choice(possible) if possible else None

    def next_turn(self) -> Action | None:
        """Return the turn of a loop that was left, which comes before anything else does."""
        left = (s for s in self.state.steps.values() if OPERATORS[s.operator].takes_turns and s.due_at is not None)
        return next((Due(step.path, step.scope) for step in left), None)

    def actions_on(self, step: StepState) -> Iterator[Action]:
        is_offered = step.status in (StepStatus.runnable, StepStatus.running)
        if OPERATORS[step.operator].assignment is not None and "again" not in step.facts:
            is_built_in = self.plan.step(step.region, step.path).waits_for_branches
            if (is_offered or step.facts.get("submitted") == "open") and not is_built_in:
                yield self.report(step)
        elif OPERATORS[step.operator].end_child is not None and step.status is StepStatus.running:
            status = "failed" if self.fails(step) else "completed"
            yield EndChild(step.path, "x", status, {"n": 1})
        elif step.awaits is not None and step.is_open and not step.awaits.startswith("$activity:"):
            yield EmitEvent(step.awaits, {} if self.is_steady else {"n": 1})

    def report(self, step: StepState) -> Action:
        if self.fails(step):
            return Fail(step.path, {"name": "Error", "message": "boom"}, retryable=self.is_steady or step.attempt < 2)
        return Complete(step.path, 7)

    def fails(self, step: StepState) -> bool:
        if not self.is_steady:
            return self.random.random() < self.failures
        return sha256(f"{step.path}/{step.attempt}".encode()).digest()[0] < 256 * self.failures
