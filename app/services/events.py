"""Events: emitted once, awaited by tasks; no interleaving leaves a task asleep on an emitted event."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from app.db.engine import Tx
from app.domain.cursors import read_offset, write_offset
from app.domain.records import TaskRow
from app.domain.task_moves import suspend, wake
from app.errors import NotFound, Refusal, ValidationFailed
from app.execution.reports import tell_of_event
from app.execution.session import Executions
from app.moves import runs as stored_runs
from app.moves.event_waits import NO_ROOM, deliver_later, hold_back, look, outcome_row, wake_all, wake_waiters
from app.services.leases import Answered, Report, answered, hold_runs, settle_each, spend
from app.store import checkpoints as checkpoints_store
from app.store import due_tasks as due_tasks_store
from app.store import events as store
from app.store import executions as executions_store
from app.store import queues as queues_store
from app.store import tasks as tasks_store
from milepost.schemas.queues import EmittedEvent, Event, EventEmit, EventPage, EventQuery
from milepost.schemas.tasks import AwaitOutcome, EventAwait, EventAwaited

TIMED_OUT_SIZE = 100
"""Bytes that the outcome of an await which timed out has at most: there is always room for them when it ends."""


def read_event(row: Any) -> Event:
    """Return the event that ``row`` stores."""
    return Event.model_construct(None, **{name: getattr(row, name) for name in Event.model_fields})


async def emit_event(tx: Tx, queue: str, name: str, emit: EventEmit) -> EmittedEvent:
    """Emit an event, and wake every task that awaits it; the first emit of a name wins. Raises ValidationFailed."""
    run_id = emit.workflow_run_id
    executions = Executions(tx)
    await executions.lock(await executions_store.list_runs_awaiting(tx, queue, name, run_id))
    if run_id is not None and not await stored_runs.hold_runs(tx, {run_id}):
        raise ValidationFailed.at("/workflow_run_id", "there is no such workflow run")
    await store.lock_names(tx, {(queue, name)})
    await queues_store.insert_queue(tx, queue)
    row = await store.insert_event(tx, queue, name, run_id, emit.payload)
    if row is not None and await wake_waiters(tx, queue, name, run_id, emit.payload):
        await deliver_later(tx, queue, name, run_id)
    await tell_of_event(executions, queue, name, run_id, emit.payload)
    await executions.write()
    event = read_event(row or await store.get_event(tx, queue, name, run_id))
    return EmittedEvent.model_construct(None, **event.__dict__, first=row is not None)


async def await_each(tx: Tx, reports: Sequence[Report[EventAwait]]) -> Sequence[Answered | Refusal]:
    """Give each what it awaits, or put it aside until that is emitted or the time is over."""
    await hold_runs(tx, reports)
    queues = await tasks_store.get_tasks(tx, [report.task_id for report in reports])
    known = [(queues[report.task_id].queue, report.body) for report in reports if report.task_id in queues]
    await store.lock_names(tx, {(queue, name) for queue, body in known for name in _names(body)})
    return await settle_each(tx, reports, _await)


def _names(body: EventAwait) -> list[str]:
    return list(dict.fromkeys(body.any_of or body.all_of or [body.event_name or ""]))


async def _await(tx: Tx, held: Sequence[tuple[Report[EventAwait], TaskRow]]) -> Sequence[Answered | Refusal]:
    return [await _await_one(tx, report, task) for report, task in held]


async def _await_one(tx: Tx, report: Report[EventAwait], task: TaskRow) -> Answered | Refusal:
    body = report.body
    known = await checkpoints_store.get_checkpoint(tx, report.task_id, body.step_name)
    if known is not None:
        if not known.is_outcome:
            return ValidationFailed.at("/step_name", "is the name of a checkpoint of this task")
        return Answered(known.state.text)
    names = _names(body)
    outcome = await look(tx, task, names, all_of=body.all_of is not None)
    if outcome is None and body.timeout_seconds == 0:
        outcome = EventAwaited.model_construct(outcome=AwaitOutcome.timed_out)
    if isinstance(outcome, Refusal):
        return outcome
    if outcome is not None:
        written = await checkpoints_store.put_checkpoints(tx, [outcome_row(task, body.step_name, outcome)])
        return answered(outcome) if written else ValidationFailed.at("/step_name", NO_ROOM)
    if not await checkpoints_store.has_room(tx, report.task_id, body.step_name, TIMED_OUT_SIZE):
        return ValidationFailed.at("/step_name", NO_ROOM)
    return await _suspend(tx, report, task, names)


async def _suspend(tx: Tx, report: Report[EventAwait], task: TaskRow, names: list[str]) -> Answered:
    body = report.body
    seconds = body.timeout_seconds
    until = None if seconds is None else task.now + timedelta(seconds=seconds)
    all_of = names if body.all_of is not None else None
    await tasks_store.update_tasks(tx, [suspend(task, body.step_name, names, all_of, until, task.now)])
    about = {"task_id": task.task_id, "queue": task.queue, "workflow_run_id": task.workflow_run_id}
    await store.insert_waits(tx, [{**about, "event_name": name} for name in names])
    tx.ready[task.queue] += 1
    outcome = EventAwaited.model_construct(outcome=AwaitOutcome.suspended)
    await spend(tx, [(report, task, outcome)])
    return answered(outcome)


async def wake_due_tasks(tx: Tx, task_ids: Sequence[UUID]) -> int:
    """Let those of the tasks be claimed whose time has come, or whose await has timed out; how many they were."""
    rows = await due_tasks_store.lock_due_tasks(tx, task_ids)
    timed_out = EventAwaited.model_construct(outcome=AwaitOutcome.timed_out)
    await wake_all(tx, [(task, timed_out) for task in rows if task.wait_step is not None])
    due = [wake(task, task.now) for task in rows if task.wait_step is None]
    if due:
        await tasks_store.update_tasks(tx, due)
        await hold_back(tx, due)
    tx.ready.update(task.queue for task in due)
    return len(rows)


async def get_event(tx: Tx, queue: str, name: str, run_id: UUID | None) -> Event:
    """Return the event of this name that belongs to the run, or with None to the whole queue. Raises NotFound."""
    row = await store.get_event(tx, queue, name, run_id)
    if row is None:
        raise NotFound("no such event was emitted")
    return read_event(row)


async def list_events(tx: Tx, queue: str, query: EventQuery) -> EventPage:
    """Return the events of a queue, or of one run there, oldest first. Raises ValidationFailed."""
    owner = f"{queue}/{query.workflow_run_id}"
    after = read_offset(query.cursor, owner) if query.cursor is not None else 0
    page = await store.list_events(tx, queue, query.workflow_run_id, after, query.limit)
    more = write_offset(page.rows[-1].event_id, owner) if page.has_more else None
    return EventPage.model_construct(items=[read_event(row) for row in page.rows], next_cursor=more)
