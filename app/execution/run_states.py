"""One executed run in one transaction: its state as far as it was asked for, and what is to be written of it."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar
from uuid import UUID

from app.db.engine import Parameters, Tx
from app.domain.highway.compiler.plan import Plan
from app.domain.highway.engine.actions import Action, Outcome
from app.domain.highway.engine.advance import act
from app.domain.highway.engine.effects import Effects
from app.domain.highway.engine.operators.table import OPERATORS
from app.domain.highway.engine.state import Emitted, Frame, NotLoaded, Part, RunFacts, State, StepState, merge
from app.domain.highway.language.budgets import BudgetSpentError, make_action_budget, make_inline_budget
from app.domain.highway.language.paths import TOP, outer_region, scope_of
from app.domain.json_texts import JsonValue, read_json
from app.domain.records import ExecutionRow, FrameRow, StepRow
from app.execution.threads import EXECUTING, RUN_SECONDS
from app.store import events as events_store
from app.store import executions as store
from milepost.schemas.steps import StepStatus
from milepost.schemas.workflow_runs import RunStatus

OfRun = TypeVar("OfRun", StepRow, FrameRow)

_SHOWN = 255
"""Characters of an expression that a warning shows: it is part of the key of an index."""
SIBLINGS = 200
"""How many iterations are loaded together."""
STEPS_AT_ONCE = 2000
"""How many steps are loaded together, of runs that have no more."""


class Execution:
    """A run that is locked. Nothing is written before all its actions are taken."""

    def __init__(self, row: ExecutionRow, plan: Plan, *, is_new: bool = False) -> None:
        self.row = row
        self.plan = plan
        self.is_new = is_new
        self.is_to_be_cancelled = row.cancel_requested_at is not None
        """Whether somebody has asked for that, and workers may still finish what they do."""
        self.workflow_run_id: UUID = row.workflow_run_id
        self.tasks: dict[str, UUID] = {}
        """The work item of each step that has one, as far as the steps were loaded."""
        self.stored: set[str] = set()
        """Paths of steps that are in the table."""
        self.steps: dict[str, StepState] = {}
        self.results: dict[str, JsonValue] = {}
        self.frames: dict[str, Frame] = {}
        self.effects: list[Effects] = []
        self.is_swept = False
        """Whether the run ends with so many open steps that those which were not looked at are ended all together."""
        self.has_dropped_children = False
        """Whether steps of it have ended before runs that they had started, which are still to be cancelled."""
        self.begun = 0
        """How many steps its actions have brought into being."""
        self.unsure: set[str] = set()
        """Events that somebody else may be emitting just now: a step that begins to await one is to look again."""
        self._facts_before = RunFacts(
            inputs=read_json(row.inputs),
            run=row.run,
            memory=row.memory,
            breakers=row.breakers,
            strict_templates=row.strict_templates,
            started_at=row.started_at,
            deadline_at=row.deadline_at,
            status=RunStatus(row.status),
        )
        self.state = State(self._facts_before, is_whole=False)

    @property
    def withholds_work(self) -> bool:
        """Return whether no work is handed out: it is paused, or about to be cancelled."""
        return self.row.paused_at is not None or self.is_to_be_cancelled

    @property
    def has_left(self) -> bool:
        """Return whether a loop of it is to go on at once."""
        return any(OPERATORS[step.operator].takes_turns and step.due_at is not None for step in self.steps.values())

    @property
    def has_changed(self) -> bool:
        """Return whether memory, breakers or the deadline are to be written."""
        return self.state.run is not self._facts_before

    async def take(self, tx: Tx, action: Action, scope: str | None, room: int) -> Effects:
        """Take an action for which there is ``room`` in steps, and return what it causes. Raises ActionRefused."""
        is_short = True
        while True:
            try:
                if is_short:
                    outcome = act(self.plan, self.state, action, self.row.now, scope, room, make_inline_budget())
                else:
                    acting = partial(self._act_aside, action, scope, room)
                    outcome = await EXECUTING.run_within(RUN_SECONDS, acting)
            except NotLoaded as want:
                await self._load(tx, want)
            except BudgetSpentError:
                is_short = False
            else:
                break
        if is_short:
            await asyncio.sleep(0)  # of many actions in a row each leaves room for others
        self.begun += outcome.begun
        merge(self.state, outcome.changes)
        self.steps |= outcome.changes.steps
        self.results |= outcome.changes.results
        self.frames |= outcome.changes.frames
        self.effects.append(outcome.effects)
        return outcome.effects

    def _act_aside(self, action: Action, scope: str | None, room: int, is_over: Callable[[], bool]) -> Outcome:
        """Take an action that is too long for the event loop; the step fails with which it comes to too much."""
        return act(self.plan, self.state, action, self.row.now, scope, room, make_action_budget(is_over))

    def begin_next_attempt(self, path: str) -> None:
        """Count the attempt as begun that a loaded step is to have after a pause: it can end before it was offered."""
        step = self.state.steps.get(path)
        if step is not None and "again" in step.facts:
            facts = {name: value for name, value in step.facts.items() if name != "again"}
            status = step.status if "submitted" in facts else StepStatus.runnable
            begun = replace(step, status=status, attempt=step.attempt + 1, due_at=None, facts=facts)
            self.state.put(begun)

    async def load_all(self, tx: Tx) -> None:
        """Load all steps, if they are not very many."""
        rows = await store.list_first_steps(tx, self.workflow_run_id, STEPS_AT_ONCE + 1)
        if len(rows) > STEPS_AT_ONCE:
            return
        by_scope: dict[str, list[StepState]] = {}
        for row in rows:
            by_scope.setdefault(row.scope, []).append(self._read(row))
        for scope, steps in by_scope.items():
            self.state.learn_scope(scope, steps)

    async def _load(self, tx: Tx, want: NotLoaded) -> None:
        key = want.key
        match want.part:
            case Part.scope:
                await self._load_scopes(tx, self._with_siblings(key))
            case Part.result:
                await self._load_results(tx, key)
            case Part.frame:
                await self._load_frames(tx, [key])
            case Part.values:
                await self._load_values(tx, key)
            case Part.open_steps:
                self.state.open_below[key] = self._with_known(await self._list_open(tx, key), key)
            case Part.event:
                self.state.events[key] = await self._see_event(tx, key)
            case Part.awaiting:
                await self._load_awaiting(tx, key)

    async def _list_open(self, tx: Tx, prefix: str) -> Sequence[StepRow]:
        """Return the open steps below a prefix; of a run as a whole none, if those that are left are swept."""
        if self.is_new:
            return []
        most = STEPS_AT_ONCE if prefix == TOP else None
        rows = await store.list_open_steps(tx, self.workflow_run_id, prefix, most and most + 1)
        self.is_swept = self.is_swept or (most is not None and len(rows) > most)
        return [] if self.is_swept else rows

    async def _load_scopes(self, tx: Tx, scopes: Sequence[str]) -> None:
        await load_scopes(tx, [(self, scope) for scope in scopes])

    def learn_scopes(self, scopes: Iterable[str], rows: Iterable[StepRow]) -> None:
        """Take note of all ``rows`` of steps that there are in these scopes."""
        by_scope: dict[str, list[StepState]] = {scope: [] for scope in scopes}
        for row in rows:
            by_scope[row.scope].append(self._read(row))
        for scope, steps in by_scope.items():
            self.state.learn_scope(scope, steps)

    def _with_siblings(self, scope: str) -> list[str]:
        """Return a scope, and if it is an iteration those after it: who asks for one is about to ask for more."""
        if not scope.endswith("]"):
            return [scope]
        loop, _, index = scope[:-1].rpartition("[")
        following = (f"{loop}[{number}]" for number in range(int(index) + 1, int(index) + SIBLINGS))
        return [scope, *(path for path in following if path not in self.state.scopes)]

    async def _load_results(self, tx: Tx, path: str) -> None:
        """Load a result; with one of a branch all of that branch: together they become the result of its container."""
        scope = scope_of(path)
        is_branch = scope != TOP and not scope.endswith("]")
        beside = self.state.scopes.get(scope, {}) if is_branch else {}
        wanted = {path, *(step.path for step in beside.values() if step.status is StepStatus.completed)}
        missing = sorted(wanted - self.state.results.keys())
        found = {} if self.is_new else await store.get_results(tx, self.workflow_run_id, missing)
        self.state.results |= {name: found.get(name) for name in missing}

    async def _load_frames(self, tx: Tx, paths: Sequence[str]) -> None:
        await load_frames(tx, [(self, path) for path in paths])

    def learn_frames(self, paths: Iterable[str], rows: Iterable[FrameRow]) -> None:
        """Take note of the ``rows`` that there are of these frames."""
        found = {
            row.path: Frame(row.variables, row.names.get("keys", {}), row.names.get("ids", {}), row.value)
            for row in rows
        }
        for path in paths:
            self.state.frames.setdefault(path, found.get(path, Frame()))

    async def _load_values(self, tx: Tx, loop: str) -> None:
        paths = [f"{loop}[{index}]" for index in range(self.state.steps[loop].facts["count"])]
        self.state.values[loop] = (
            [None] * len(paths) if self.is_new else await store.get_values(tx, self.workflow_run_id, paths)
        )

    def _with_known(self, rows: Sequence[StepRow], prefix: str) -> list[StepState]:
        steps = {row.path: self.state.steps.get(row.path, self._read(row)) for row in rows}
        known = {path: step for path, step in self.state.steps.items() if path.startswith(prefix)}
        return list((steps | known).values())

    async def _see_event(self, tx: Tx, name: str) -> Emitted | None:
        """Return an event as this run sees it; from now on until the commit nobody else emits it unnoticed."""
        if not await events_store.try_lock_name(tx, self.row.queue, name, is_shared=True):
            self.unsure.add(name)
        seen = await events_store.see_events(tx, self.row.queue, [name], self.workflow_run_id)
        return Emitted(read_json(seen[name].payload), seen[name].emitted_at) if name in seen else None

    async def _load_awaiting(self, tx: Tx, name: str) -> None:
        rows = [] if self.is_new else await store.list_steps_awaiting(tx, self.workflow_run_id, name)
        for row in rows:
            if row.path not in self.state.steps:
                self.state.put(self._read(row))
            else:
                self._read(row)
        paths = {row.path for row in rows}
        self.state.awaiting[name] = paths | {p for p, step in self.state.steps.items() if step.awaits == name}

    def _read(self, row: StepRow) -> StepState:
        self.stored.add(row.path)
        if row.task_id is not None:
            self.tasks.setdefault(row.path, row.task_id)
        return StepState(
            path=row.path,
            region=row.region,
            scope=row.scope,
            operator=row.operator_type,
            status=StepStatus(row.status),
            attempt=row.attempt,
            facts=row.facts,
            error=row.error,
            due_at=row.due_at,
            awaits=row.awaits,
            started_at=row.started_at,
            completed_at=row.completed_at,
        )

    async def hears(self, tx: Tx, name: str) -> bool:
        """Return whether an event was emitted that a step awaits: some accept only emits since the run began."""
        seen = (await events_store.see_events(tx, self.row.queue, [name], self.workflow_run_id)).get(name)
        if seen is None:
            return False
        if self.row.started_at is None or seen.emitted_at >= self.row.started_at:
            return True
        awaiting = await store.list_steps_awaiting(tx, self.workflow_run_id, name)
        steps = [self.plan.step(row.region, row.path) for row in awaiting]
        return any(step.spec.get("metadata", {}).get("after") != "run" for step in steps)

    # What is written

    def new_step_rows(self) -> Iterator[Parameters]:
        """Yield the steps that are not in the table yet."""
        return (self._row(step) for path, step in self.steps.items() if path not in self.stored)

    def changed_step_rows(self) -> Iterator[Parameters]:
        """Yield the steps that have changed."""
        return (
            {**self._row(step), "has_result": path in self.results}
            for path, step in self.steps.items()
            if path in self.stored
        )

    def frame_rows(self) -> Iterator[Parameters]:
        """Yield the frames that have changed."""
        return (
            {
                "workflow_run_id": self.workflow_run_id,
                "path": path,
                "variables": frame.variables,
                "names": {"keys": frame.keys, "ids": frame.ids},
                "value": frame.value,
            }
            for path, frame in self.frames.items()
        )

    def execution_row(self) -> Parameters:
        """Return what is kept of the run as a whole."""
        run = self.state.run
        return {
            "workflow_run_id": self.workflow_run_id,
            "memory": run.memory,
            "breakers": run.breakers,
            "deadline_at": run.deadline_at,
        }

    def warning_rows(self) -> Iterator[Parameters]:
        """Yield the templates that had no value."""
        return (
            {
                "workflow_run_id": self.workflow_run_id,
                "path": path,
                "code": "unresolved_template",
                "expression": text[:_SHOWN],
            }
            for effects in self.effects
            for path, text in effects.unresolved
        )

    def delivery_rows(self) -> list[Parameters]:
        """Return what is to be looked at again: events that may have been emitted while steps began to await them."""
        awaited = {step.awaits for step in self.steps.values() if step.awaits is not None}
        return [
            {"queue": self.row.queue, "event_name": name, "workflow_run_id": self.workflow_run_id}
            for name in sorted(self.unsure & awaited)
        ]

    def _row(self, step: StepState) -> Parameters:
        return {
            "workflow_run_id": self.workflow_run_id,
            "path": step.path,
            "region": step.region,
            "scope": step.scope,
            "operator_type": step.operator,
            "status": step.status,
            "attempt": step.attempt,
            "task_id": self.tasks.get(step.path),
            "result": self.results.get(step.path),
            "error": step.error,
            "facts": step.facts,
            "due_at": step.due_at,
            "awaits": step.awaits,
            "queue": self.row.queue,
            "started_at": step.started_at,
            "completed_at": step.completed_at,
        }


Wanted = Sequence[tuple[Execution, str]]
"""Scopes or frames, each of a run."""


async def prefetch(tx: Tx, steps: Mapping[Execution, Iterable[str]]) -> None:
    """Load what ending steps of runs needs in most cases: their scopes, and the names they can see."""
    scopes = [(run, scope) for run, paths in steps.items() for scope in sorted({scope_of(path) for path in paths})]
    await load_scopes(tx, [(run, scope) for run, scope in scopes if scope not in run.state.scopes])
    frames = dict.fromkeys((run, frame) for run, scope in scopes for frame in (*_regions_of(scope), TOP))
    await load_frames(tx, [(run, frame) for run, frame in frames if frame not in run.state.frames])


def _regions_of(scope: str) -> Iterator[str]:
    region = scope[: scope.rfind("]") + 1]
    while region != TOP:
        yield region
        region = outer_region(region)


async def load_scopes(tx: Tx, scopes: Wanted) -> None:
    """Load the steps of scopes."""
    stored = [(run.workflow_run_id, scope) for run, scope in scopes if not run.is_new]
    rows = _by_run(await store.list_steps_of_scopes(tx, stored) if stored else [])
    for run, names in _of_each(scopes):
        run.learn_scopes(names, rows.get(run.workflow_run_id, []))


async def load_frames(tx: Tx, frames: Wanted) -> None:
    """Load frames."""
    stored = [(run.workflow_run_id, path) for run, path in frames if not run.is_new]
    rows = _by_run(await store.get_frames(tx, stored) if stored else [])
    for run, paths in _of_each(frames):
        run.learn_frames(paths, rows.get(run.workflow_run_id, []))


def _by_run(rows: Iterable[OfRun]) -> dict[UUID, list[OfRun]]:
    by_run: dict[UUID, list[OfRun]] = {}
    for row in rows:
        by_run.setdefault(row.workflow_run_id, []).append(row)
    return by_run


def _of_each(wanted: Wanted) -> Iterable[tuple[Execution, list[str]]]:
    of_each: dict[Execution, list[str]] = {}
    for run, name in wanted:
        of_each.setdefault(run, []).append(name)
    return of_each.items()
