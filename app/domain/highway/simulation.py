"""Scripts: a run played through without anything being stored or done, at times that the script tells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush

from app.domain.highway.compiler.plan import Plan
from app.domain.highway.engine.actions import (
    Action,
    ActionRefused,
    Cancel,
    Complete,
    Deadline,
    Due,
    EmitEvent,
    EndChild,
    Fail,
    Start,
)
from app.domain.highway.engine.advance import act
from app.domain.highway.engine.effects import Effects, Emit
from app.domain.highway.engine.operators.table import OPERATORS
from app.domain.highway.engine.state import Emitted, RunFacts, State, StepState, merge
from app.domain.highway.language.budgets import Budget, BudgetSpentError, current_budget, spending
from app.domain.json_texts import Json
from app.domain.moments import END_OF_TIME, later
from milepost.schemas.workflow_runs import RunStatus

RUN: Mapping[str, Json] = {"id": "run-1", "ds": "2025-01-15", "run_date": "2025-01-15"}
START_TIME = datetime(2025, 1, 15, 2, tzinfo=UTC)
_PATHS = (
    "completed",
    "failed",
    "skipped",
    "upstream_failed",
    "cancelled",
    "submitted",
    "builtin_waiting",
    "timed_out",
)
TURNS_MOST = 100_000
"""How many things may come due while a script goes on."""


class ScriptRefused(ValueError):
    """A step of the script cannot be taken; ``place`` says which, from 0."""

    def __init__(self, place: int, detail: str) -> None:
        super().__init__(detail)
        self.place = place


_Moment = tuple[datetime, bool, int, str]
"""When a step is due, and what of several at once comes first: waits and retries before time-outs, then the deepest."""


@dataclass(slots=True)
class Simulation:
    """A run that is played through."""

    plan: Plan
    state: State
    now: datetime
    begun: bool = False
    result: Json = None
    turns: int = 0
    dues: list[_Moment] = field(default_factory=list)
    """A heap of all moments that steps were due at; those that are so no more are passed over."""

    def take(self, action: Mapping[str, Json]) -> dict[str, Json]:
        """Take one action of a script, and return everything that it caused. Raises ActionRefused."""
        match action["do"]:
            case "advance":
                return self._advance(float(action["seconds"]))
            case "event" if not self.begun or self.state.run.status is not RunStatus.running:
                return self._emit(action["event"], action.get("payload"))
            case "start" if self.begun:
                raise ActionRefused("the run has begun")
            case "start":
                self.begun = True
                self.state.run = replace(self.state.run, started_at=self.now)
            case _ if not self.begun:
                raise ActionRefused("the run has to be started first")
        return show([self._act(read_action(action))])

    def _emit(self, event: str, payload: Json) -> dict[str, Json]:
        """Emit an event before the run began, or after it has ended: events belong to the queue."""
        if event not in self.state.events:
            before = datetime.min.replace(tzinfo=UTC) if not self.begun else self.now
            self.state.events[event] = Emitted(payload, before)
        return show([Effects(emitted=[Emit(event, payload)])])

    def _act(self, action: Action) -> Effects:
        outcome = act(self.plan, self.state, action, self.now)
        merge(self.state, outcome.changes)
        end = outcome.effects.run
        if end is not None and end.reason == "terminated":
            self.result = end.result
        if isinstance(action, Start) and self.plan.deadline_seconds is not None and end is None:
            deadline_at = self.now + timedelta(seconds=self.plan.deadline_seconds)
            self.state.run = replace(self.state.run, deadline_at=deadline_at)
        for step in outcome.changes.steps.values():
            if step.due_at is not None:
                is_over_time = not OPERATORS[step.operator].is_over_when_due and "again" not in step.facts
                depth = step.path.count(".") + step.path.count("[")
                heappush(self.dues, (step.due_at, is_over_time, -depth, step.path))
        return outcome.effects

    def _advance(self, seconds: float) -> dict[str, Json]:
        """Let time pass: everything that comes due happens at its own moment. Raises ActionRefused."""
        until = later(self.now, seconds)
        if until == END_OF_TIME:
            raise ActionRefused("the calendar ends before so much time has passed")
        effects: list[Effects] = []
        while (due := self._next_due(until)) is not None:
            self.turns += 1
            if self.turns > TURNS_MOST:
                raise ActionRefused(f"more than {TURNS_MOST} things come due")
            at, action = due
            self.now = max(self.now, at)
            effects.append(self._act(action))
        self.now = until
        return show(effects)

    def _next_due(self, until: datetime) -> tuple[datetime, Action] | None:
        """Return what comes due next, up to ``until``, and when; of several at once the deadline is the last."""
        if not self.begun or self.state.run.status is not RunStatus.running:
            return None
        while self.dues and self._step_due(self.dues[0]) is None:
            heappop(self.dues)
        deadline_at = self.state.run.deadline_at
        if self.dues and self.dues[0][0] <= min(until, deadline_at or until):
            moment = heappop(self.dues)
            step = self.state.steps[moment[-1]]
            return moment[0], Due(step.path, step.scope)
        return (deadline_at, Deadline()) if deadline_at is not None and deadline_at <= until else None

    def _step_due(self, moment: _Moment) -> StepState | None:
        step = self.state.steps[moment[-1]]
        return step if step.due_at == moment[0] else None

    def final(self) -> dict[str, Json]:
        """Return how everything stands at the end."""
        final: dict[str, Json] = {
            "run_status": self.state.run.status if self.begun else RunStatus.pending,
            "tasks": {step.path: step.status for step in self.state.steps.values()},
        }
        return final | ({"result": self.result} if self.result else {})


def simulate(
    plan: Plan,
    script: Sequence[Mapping[str, Json]],
    inputs: Json = None,
    run: Mapping[str, Json] | None = None,
    start_time: datetime | None = None,
    *,
    strict_templates: bool = False,
    budget: Budget | None = None,
) -> dict[str, Json]:
    """Return the script with what each action caused, and how everything stands at the end. Raises ScriptRefused."""
    now = start_time or START_TIME
    facts = RunFacts(
        inputs={} if inputs is None else inputs,
        run={**RUN, **(run or {})},
        strict_templates=strict_templates,
    )
    simulation = Simulation(plan, State(facts), now)
    steps = []
    for place, action in enumerate(script):
        try:
            with spending(budget or current_budget()):
                steps.append({**action, "then": simulation.take(action)})
        except BudgetSpentError as spent:
            raise ScriptRefused(place, f"the simulation is given up: {spent}") from spent
        except (ActionRefused, OverflowError) as refusal:
            raise ScriptRefused(place, str(refusal)) from refusal
    return {"steps": steps, "final": simulation.final()}


def read_action(action: Mapping[str, Json]) -> Action:
    """Return the action that a step of a script says."""
    match action["do"]:
        case "start":
            return Start()
        case "complete":
            return Complete(action["task"], action.get("result"), action.get("memory") or {})
        case "fail":
            return Fail(action["task"], action.get("error"), action.get("retryable", True))
        case "event":
            return EmitEvent(action["event"], action.get("payload"))
        case "child":
            return EndChild(
                action["task"], action["child"], action["status"], action.get("result"), action.get("error")
            )
        case "cancel":
            return Cancel()
    raise ActionRefused(f"there is no action {action['do']!r}")


def show(all_effects: Sequence[Effects]) -> dict[str, Json]:
    """Return what actions caused, as a trace shows it: only what there was."""
    then: dict[str, list[Json]] = {}
    for effects in all_effects:
        for name, things in _show(effects).items():
            then.setdefault(name, []).extend(things)
    then["unresolved"] = list(dict.fromkeys(then.get("unresolved", [])))
    shown: dict[str, Json] = {name: things for name, things in then.items() if things}
    ends = [effects.run.status for effects in all_effects if effects.run is not None]
    return {**shown, "run": ends[-1]} if ends else shown


def _show(effects: Effects) -> dict[str, list[Json]]:
    optional = ("args", "kwargs", "idempotency_key")
    listed: dict[str, list[Json]] = {
        "runnable": [
            {"task": item.path, "attempt": item.attempt, "function": item.function}
            | {name: value for name in optional if (value := getattr(item, name))}
            for item in effects.runnable
        ],
        "retry_in": [
            {"task": retry.path, "seconds": retry.seconds, "next_attempt": retry.next_attempt}
            for retry in effects.retry_in
        ],
        "timers": [{"task": path, "seconds": seconds} for path, seconds in effects.timers],
        "awaiting": [{"task": a.path, "event": a.event, "timeout": a.timeout} for a in effects.awaiting],
        "emitted": [{"event": emit.event, "payload": emit.payload} for emit in effects.emitted],
        "activated": [{"task": path, "branches": branches} for path, branches in effects.activated],
        "children": [
            {"task": c.path, "child": c.child, "workflow": c.workflow, "inputs": c.inputs} for c in effects.children
        ],
        "unresolved": [text for _, text in effects.unresolved],
    }
    return listed | {name: getattr(effects, name) for name in _PATHS}
