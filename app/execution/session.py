"""The execution of definitions: runs are started and moved by the engine, in the transaction that reports the cause."""

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from pydantic_core import to_json
from uuid_utils.compat import uuid7

from app.access.callers import HOUSEKEEPING, Caller
from app.db.engine import Parameters, Tx
from app.domain.highway.engine.actions import Action, ActionRefused, Cancel, EndChild
from app.domain.highway.engine.actions import Start as Begin
from app.domain.highway.engine.effects import Child, Effects, RunEnd
from app.domain.highway.language.storable_values import ACTIVITY_EVENT
from app.domain.json_texts import JsonValue
from app.domain.records import ExecutionRow, VersionRow
from app.domain.run_changes import end_run
from app.domain.tags import tag_texts
from app.execution.plans import get_plan
from app.execution.run_memory import MemorySize
from app.execution.run_states import Execution, prefetch
from app.execution.work_items import apply_to_tasks
from app.moves.event_waits import deliver_later, wake_waiters
from app.moves.new_runs import RunToCreate
from app.moves.runs import change_of, lock_run, topic_of
from app.moves.tasks import cancel_open_tasks
from app.store import deliveries as deliveries_store
from app.store import dropped_children as dropped_store
from app.store import events as events_store
from app.store import executions as store
from app.store import planned_runs as planned_store
from app.store import queues as queues_store
from app.store import steps as steps_store
from app.store import workflow_runs as runs_store
from app.store import workflows as workflows_store
from app.store.recordsets import ROWS_A_STATEMENT, in_portions
from milepost.schemas.reasons import Reason
from milepost.schemas.workflow_runs import HistoryVerb, RunStatus

GENERATIONS_MOST = 10
"""How deep runs may start runs of their own: a workflow that starts itself would never come to an end."""
NEW_RUNS_MOST = 1000
"""How many child runs one transaction may start."""
STEPS_A_TURN = 500
"""How many steps loops may bring into being in one transaction: the others come by the housekeeping, in its turns."""
BYTES_A_STATEMENT = 4 * 1024 * 1024
"""About how much of runs is inserted by one statement."""
_RANDOM_BITS = 80
"""Of a UUIDv7, behind its milliseconds; with those of its version and variant."""


@dataclass(frozen=True, slots=True)
class ExecutionStart:
    """A run of a registered definition that is to be executed."""

    workflow: VersionRow
    inputs: JsonValue = field(default_factory=dict)
    tags: Mapping[str, JsonValue] = field(default_factory=dict)
    created_by: str | None = None
    queue: str = "default"
    strict_templates: bool = False
    schedule_id: UUID | None = None
    data_interval: tuple[datetime, datetime] | None = None
    """None: empty, at its creation time."""
    caller: Caller = HOUSEKEEPING
    parent: tuple[UUID, str, str] | None = None
    """The run, the path of its step and the child that it is of that."""
    rerun_of: UUID | None = None
    kept: frozenset[str] = frozenset()
    """Steps of the top level that are taken over from the run that it repeats."""


async def plan_runs(tx: Tx, starts: Sequence[ExecutionStart], most: int) -> Sequence[UUID]:
    """Create runs of schedules of which up to ``most`` begin, as far as there is room; their ids, in order."""
    executions = Executions(tx)
    ids = await executions.plan(starts, most)
    await executions.write()
    return ids


async def start_runs(tx: Tx, starts: Sequence[ExecutionStart]) -> Sequence[UUID]:
    """Create runs and start them; their ids, in order."""
    executions = Executions(tx)
    ids = await executions.begin(starts)
    await executions.write()
    return ids


class Executions:
    """The executed runs that one transaction is about, locked as `store/locks.py` says."""

    def __init__(self, tx: Tx, caller: Caller = HOUSEKEEPING) -> None:
        self.tx = tx
        self.caller = caller
        self.runs: dict[UUID, Execution] = {}
        self.settled: set[UUID] = set()
        """Tasks whose own transition is the business of who reports about them."""
        self._memories: dict[UUID, MemorySize] = {}
        self.room = STEPS_A_TURN
        """How many more steps loops may bring into being in this transaction; what they leave is due at once."""
        self._below: set[UUID] = set()
        """Runs that were locked with one above them, to be ended with it."""
        self._ahead: deque[tuple[UUID, Action]] = deque()
        self._begun = 0
        self._emitted: list[tuple[Execution, str, JsonValue]] = []

    async def lock(self, workflow_run_ids: Collection[UUID]) -> None:
        """Lock executed runs, together with the runs that started them: those are told of their ends."""
        missing = set(workflow_run_ids) - self.runs.keys()
        if not missing:
            return
        lines: set[UUID] = set()
        while missing:
            found = await store.list_parents(self.tx, list(missing))
            lines |= {row.workflow_run_id for row in found}
            missing = {row.parent for row in found if row.parent is not None} - lines
            for workflow_id in {row.workflow_id for row in found}:
                await get_plan(self.tx, workflow_id)  # now, for it may take long to compile: nothing is locked yet
        for row in await store.lock_executions(self.tx, sorted(lines - self.runs.keys())):
            plan = await get_plan(self.tx, row.workflow_id)
            self.runs[row.workflow_run_id] = Execution(row, plan)

    async def lock_with_children(self, workflow_run_id: UUID) -> None:
        """Lock an executed run with all open runs below it: what ends them all locks tasks only after that.

        Those below are many, perhaps, and not read before they are ended. A run that is locked starts no other: what
        those started that were waited for is found by looking again.
        """
        await self.lock([workflow_run_id])
        while workflow_run_id in self.runs and (
            below := set(await store.list_open_runs_below(self.tx, workflow_run_id)) - self._below
        ):
            await runs_store.lock_run_rows(self.tx, sorted(below))
            self._below |= below

    async def prefetch(self, steps: Iterable[tuple[UUID, str]]) -> None:
        """Load at once what most actions on steps of locked runs need; each loads what else it needs."""
        wanted: dict[Execution, list[str]] = {}
        for workflow_run_id, path in steps:
            if workflow_run_id in self.runs:
                wanted.setdefault(self.runs[workflow_run_id], []).append(path)
        await prefetch(self.tx, wanted)

    async def act(self, workflow_run_id: UUID, action: Action, scope: str | None = None) -> Effects | None:
        """Take an action on a locked run, with all that it leads to in other runs; None if the run cannot take it."""
        effects = await self._take(workflow_run_id, action, scope)
        while self._ahead:
            await self._take(*self._ahead.popleft())
        return effects

    @property
    def has_left(self) -> bool:
        """Return whether a loop is left for the next turn."""
        return any(run.has_left for run in self.runs.values())

    def has_dropped(self, workflow_run_id: UUID, path: str) -> bool:
        """Return whether an action of this transaction has ended a step that was under way."""
        run = self.runs.get(workflow_run_id)
        return run is not None and any(path in effects.dropped for effects in run.effects)

    def takes_memory(self, workflow_run_id: UUID, memory: Mapping[str, JsonValue]) -> bool:
        """Return whether a run can take these values into its memory; then they are to be told it."""
        run = self.runs.get(workflow_run_id)
        if run is None or not memory:
            return True
        if run.workflow_run_id not in self._memories:
            self._memories[run.workflow_run_id] = MemorySize(run.state.run.memory)
        return self._memories[run.workflow_run_id].take(memory)

    async def _take(self, workflow_run_id: UUID, action: Action, scope: str | None = None) -> Effects | None:
        run = self.runs.get(workflow_run_id)
        if run is None:
            return None
        try:
            begun = run.begun
            effects = await run.take(self.tx, action, scope, max(self.room, 1))
            self.room -= run.begun - begun
        except ActionRefused:
            return None
        self._emitted += [
            (run, emit.event, emit.payload)
            for emit in effects.emitted
            if emit.is_new and not emit.event.startswith(ACTIVITY_EVENT)
        ]
        if effects.dropped or run.is_swept:
            await self._cancel_children(run, None if run.is_swept else effects.dropped)
        if children := [child for child in effects.children if run.steps[child.path].is_open]:
            await self._begin_children(run, children)
        if effects.run is not None:
            if effects.run.status is RunStatus.failed and run.is_to_be_cancelled:
                # A cancel that was requested wins over what fails in the meantime.
                effects.run = replace(effects.run, status=RunStatus.cancelled, reason=Reason.cancel_requested)
            self._tell_parent(run, effects.run)
        return effects

    def _tell_parent(self, run: Execution, end: RunEnd) -> None:
        parent, step, child = run.row.parent_workflow_run_id, run.row.parent_step, run.row.parent_child
        if parent is not None and step is not None and child is not None:
            self._ahead.append((parent, EndChild(step, child, end.status, end.result, end.error)))

    async def list_children(self, workflow_run_id: UUID, paths: Sequence[str] | None = None) -> Sequence[UUID]:
        """Return the open runs that these steps of a run, or any of its steps, have started; those locked, with all."""
        children = await store.list_open_children(self.tx, workflow_run_id, paths)
        await self.lock(self._below.intersection(children))
        return children

    async def _cancel_children(self, run: Execution, paths: Sequence[str] | None) -> None:
        """Cancel what dropped steps have started: at once where it is locked, or else by the housekeeping.

        To lock it now would be out of order: reports hold tasks by then, and other runs with greater ids.
        """
        children = await self.list_children(run.workflow_run_id, paths)
        self._ahead.extend((child, Cancel()) for child in children if child in self.runs)
        run.has_dropped_children |= not self.runs.keys() >= {*children}

    # New runs

    async def begin(self, starts: Sequence[ExecutionStart]) -> Sequence[UUID]:
        """Create runs, and let them begin."""
        runs = [_new_run(start) for start in starts]
        stored = await runs_store.insert_runs(self.tx, [run._asdict() for run in runs]) if runs else {}
        for start, run in zip(starts, runs, strict=True):
            await self._begin_one(start, run, stored[run.workflow_run_id].created_at)
        return [run.workflow_run_id for run in runs]

    async def plan(self, starts: Sequence[ExecutionStart], most: int) -> Sequence[UUID]:
        """Create runs of schedules, and let up to ``most`` begin as far as there is room; the others stay pending."""
        runs = [_new_run(start) for start in starts]
        size = max((len(to_json(start.inputs)) for start in starts[:1]), default=1)
        created: dict[UUID, runs_store.NewRun] = {}
        for portion in in_portions(runs, max(1, min(ROWS_A_STATEMENT, BYTES_A_STATEMENT // size))):
            created |= await runs_store.insert_runs(self.tx, [run._asdict() for run in portion])
        planned = []
        for place, (start, run) in enumerate(zip(starts, runs, strict=True)):
            if place < most and self.room > 0:
                await self._begin_one(start, run, created[run.workflow_run_id].created_at)
            else:
                planned.append(_planned_row(start, run))
        for rows in in_portions(planned):
            await planned_store.plan_runs(self.tx, rows)
        return [run.workflow_run_id for run in runs]

    async def begin_planned(self, start: ExecutionStart, workflow_run_id: UUID, now: datetime) -> None:
        """Let a pending run begin that is locked."""
        await self._begin_one(start, _new_run(start)._replace(workflow_run_id=workflow_run_id), now)

    async def _begin_one(self, start: ExecutionStart, run: RunToCreate, now: datetime) -> None:
        plan = await get_plan(self.tx, start.workflow.workflow_id)
        execution = _execution_of(start, run, now, plan.deadline_seconds)
        begins, ends = start.data_interval or (now, now)
        begun: Parameters = {
            "workflow_run_id": run.workflow_run_id,
            "workflow_id": execution.workflow_id,
            "deadline_at": execution.deadline_at,
            "rerun_of_workflow_run_id": start.rerun_of,
            "schedule_id": start.schedule_id,
            "data_interval_start": begins,
            "data_interval_end": ends,
            "actor": start.caller.name,
            "request_id": start.caller.request_id,
        }
        await store.insert_executions(self.tx, [execution])
        await runs_store.begin_runs(self.tx, [begun])
        if start.rerun_of is not None:
            await steps_store.copy_steps(self.tx, start.rerun_of, run.workflow_run_id, sorted(start.kept))
        self.runs[run.workflow_run_id] = Execution(execution, plan, is_new=not start.kept)
        await self.act(run.workflow_run_id, Begin(start.kept))

    def _generation(self, run: Execution) -> int:
        """Return how many runs stand above a run, each started by a step of the one above it."""
        above = 0
        while run.row.parent_step is not None and run.row.parent_workflow_run_id in self.runs:
            run = self.runs[run.row.parent_workflow_run_id]
            above += 1
        return above

    async def _begin_children(self, run: Execution, children: Sequence[Child]) -> None:
        """Start the runs that a step asks for; one that cannot be started has failed."""
        is_too_deep = self._generation(run) >= GENERATIONS_MOST
        for child in children:
            workflow = await workflows_store.share_workflow(self.tx, child.workflow, None)
            self._begun += 1
            if workflow is None or is_too_deep or self._begun > NEW_RUNS_MOST:
                why = (
                    "no workflow of this name is registered"
                    if workflow is None
                    else "too many runs start runs of their own"
                )
                error = {"name": "ChildNotStarted", "message": f"{child.workflow}: {why}"}
                ended = EndChild(child.path, child.child, RunStatus.failed, {"error": error}, error)
                self._ahead.append((run.workflow_run_id, ended))
                continue
            start = ExecutionStart(
                workflow,
                inputs=child.inputs,
                created_by=f"workflow-run/{run.workflow_run_id}",
                queue=run.row.queue,
                strict_templates=run.row.strict_templates,
                caller=self.caller,
                parent=(run.workflow_run_id, child.path, child.child),
            )
            await self.begin([start])

    # What is written

    async def write(self) -> None:
        """Write everything down that the actions have changed, and do what they cause."""
        runs = [
            self.runs[workflow_run_id] for workflow_run_id in sorted(self.runs) if self.runs[workflow_run_id].effects
        ]
        await self._emit()
        await apply_to_tasks(self.tx, runs, self.settled)
        for new in in_portions(row for run in runs for row in run.new_step_rows()):
            await store.insert_steps(self.tx, new)
        for changed in in_portions(row for run in runs for row in run.changed_step_rows()):
            await store.update_steps(self.tx, changed)
        for frames in in_portions(row for run in runs for row in run.frame_rows()):
            await store.save_frames(self.tx, frames)
        if changed_runs := [run.execution_row() for run in runs if run.has_changed]:
            await store.update_executions(self.tx, changed_runs)
        if deliveries := [row for run in runs for row in run.delivery_rows()]:
            await deliveries_store.insert_deliveries(self.tx, deliveries)
        for warnings in in_portions(row for run in runs for row in run.warning_rows()):
            await store.insert_warnings(self.tx, warnings)
        dropping = [run.workflow_run_id for run in runs if run.has_dropped_children]
        await dropped_store.mark_children_dropped(self.tx, dropping)
        for ended, end in [(run, effects.run) for run in runs for effects in run.effects if effects.run is not None]:
            await self._end(ended, end)

    async def _emit(self) -> None:
        """Store what steps have emitted, wake the tasks that await it, and send it on its way to other runs.

        In the order of the names, and all before the first task is woken: two transactions that emit the same ones, or
        wake the same task, do not wait for each other.
        """
        for queue in sorted({run.row.queue for run, _, _ in self._emitted}):
            await queues_store.insert_queue(self.tx, queue)
        new: list[tuple[Execution, str, JsonValue, bool]] = []
        for run, name, payload in sorted(self._emitted, key=lambda emitted: (emitted[0].row.queue, emitted[1])):
            queue = run.row.queue
            is_alone = await events_store.try_lock_name(self.tx, queue, name, is_shared=False)
            if await events_store.insert_event(self.tx, queue, name, None, payload) is not None:
                new.append((run, name, payload, is_alone))
        for run, name, payload, is_alone in new:
            queue = run.row.queue
            are_left = await wake_waiters(self.tx, queue, name, None, payload)
            others = await store.list_runs_awaiting(self.tx, queue, name, None)
            if set(others) - {run.workflow_run_id} or not is_alone or are_left:
                await deliver_later(self.tx, queue, name, None)

    async def _end(self, run: Execution, end: RunEnd) -> None:
        before = await lock_run(self.tx, run.workflow_run_id)
        if before.completed_at is not None:
            return
        now = before.now
        after = end_run(before, end.status, max(now, before.started_at or now), now)
        after = after._replace(result=end.result, error=end.error, reason=end.reason)
        if end.reason == Reason.cancel_requested:
            after = after._replace(cancel_requested_at=before.cancel_requested_at or now)
        verb = HistoryVerb.cancel if end.reason == Reason.cancel_requested else HistoryVerb.execute
        await runs_store.update_runs(self.tx, [change_of(before, after, self.caller, verb)])
        if run.is_swept:
            await store.sweep_steps(self.tx, run.workflow_run_id)
        if run.is_swept or end.status is not RunStatus.completed:
            is_asked = run.is_swept and end.reason == Reason.cancel_requested
            await cancel_open_tasks(
                self.tx, [run.workflow_run_id], Reason.cancel_requested if is_asked else Reason.run_ended
            )
        self.tx.topics.add(topic_of(run.workflow_run_id))


def _planned_row(start: ExecutionStart, run: RunToCreate) -> Parameters:
    """Return what a new run of a schedule is to execute."""
    begins, ends = start.data_interval or (None, None)
    return {
        "workflow_run_id": run.workflow_run_id,
        "workflow_id": start.workflow.workflow_id,
        "schedule_id": start.schedule_id,
        "data_interval_start": begins,
        "data_interval_end": ends,
    }


def _new_run(start: ExecutionStart) -> RunToCreate:
    """Return the run that is to be created."""
    workflow, parent = start.workflow, start.parent and start.parent[0]
    return RunToCreate(
        workflow_run_id=_new_id(parent),
        workflow_name=workflow.workflow_name,
        workflow_version=workflow.workflow_version,
        workflow_hash=workflow.workflow_hash,
        queue=start.queue,
        inputs=start.inputs,
        tags=start.tags,
        created_by=start.created_by,
        absurd_run_id=None,
        parent_workflow_run_id=parent,
        task_count=None,
        heartbeat_seconds=None,
        tag_texts=tag_texts(start.tags),
        deadline_seconds=None,
        actor=start.caller.name,
        request_id=start.caller.request_id,
    )


def _execution_of(
    start: ExecutionStart, run: RunToCreate, now: datetime, deadline_seconds: float | None
) -> ExecutionRow:
    """Return the execution of a new run, which begins now."""
    return ExecutionRow(
        workflow_run_id=run.workflow_run_id,
        status=RunStatus.running,
        inputs=run.inputs,
        queue=run.queue,
        workflow_hash=run.workflow_hash,
        started_at=now,
        cancel_requested_at=None,
        parent_workflow_run_id=run.parent_workflow_run_id,
        workflow_id=start.workflow.workflow_id,
        strict_templates=start.strict_templates,
        run=_run_variables(run, now, *(start.data_interval or (now, now))),
        memory={},
        breakers={},
        parent_step=start.parent and start.parent[1],
        parent_child=start.parent and start.parent[2],
        deadline_at=None if deadline_seconds is None else now + timedelta(seconds=deadline_seconds),
        paused_at=None,
        now=now,
    )


def _new_id(parent: UUID | None) -> UUID:
    """Return the id of a new run: after that of its parent, whatever the clocks say, for runs are locked in order."""
    new = uuid7()
    if parent is None or new > parent:
        return new
    milliseconds = (parent.int >> _RANDOM_BITS) + 1
    return UUID(int=milliseconds << _RANDOM_BITS | new.int & ((1 << _RANDOM_BITS) - 1))


def _run_variables(run: RunToCreate, now: datetime, begins: datetime, ends: datetime) -> Mapping[str, JsonValue]:
    """Return what `{{run.KEY}}` reads."""
    day = begins.date().isoformat()
    return {
        "id": str(run.workflow_run_id),
        "workflow_run_id": str(run.workflow_run_id),
        "ds": day,
        "run_date": day,
        "data_interval_start": _as_text(begins),
        "data_interval_end": _as_text(ends),
        "started_at": _as_text(now),
        "created_by": run.created_by,
        "queue": run.queue,
        "tags": run.tags,
    }


def _as_text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
