"""Tasks that are moved: spawned, ended, cancelled, opened again; and how they are shown."""

from collections.abc import Collection, Mapping, Sequence
from operator import attrgetter
from uuid import UUID

from uuid_utils.compat import uuid7

from app.db.engine import Parameters, Tx
from app.domain.json_texts import Storable
from app.domain.moves import allowed_for_task
from app.domain.records import IdempotencyKeyRow, TaskRow
from app.domain.reported_progress import show_progress
from app.domain.task_moves import end, past_attempt, reopen
from app.errors import IdempotencyKeyReused, MoveNotAllowed, NotFound
from app.moves.new_tasks import TaskToSpawn
from app.store import due_tasks as due_tasks_store
from app.store import events as events_store
from app.store import leases as leases_store
from app.store import tasks as store
from app.store.recordsets import as_bytes
from milepost.schemas.problems import FieldError
from milepost.schemas.reasons import Reason
from milepost.schemas.tasks import Spawned, Task, TaskStatus

TASKS_AT_ONCE = 500
"""How many tasks of a run that ends are cancelled one by one; more are by one statement."""


def task_topic(task_id: UUID) -> str:
    """Return the topic on which the end of a task is told."""
    return f"task:{task_id}"


def task_not_found(task_id: UUID) -> NotFound:
    """Return the refusal for a task that does not exist."""
    return NotFound(f"there is no task {task_id}")


_SHOWN = [name for name in Task.model_fields if name in TaskRow._fields]


def read_task(row: TaskRow) -> Task:
    """Return a stored task as it is shown."""
    shown = {name: getattr(row, name) for name in _SHOWN}
    limits = {"max_delay": row.max_delay_seconds, "max_duration": row.max_duration_seconds}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    shown["status"] = TaskStatus(row.status)
    shown["reported_progress"] = show_progress(row.reported_progress)
    shown["reason"] = row.reason and Reason(row.reason)
    return Task.model_construct(None, **shown, cancellation=given or None)


_MEMBERS: Mapping[str, Storable] = dict.fromkeys(Task.model_fields)
_values_of = attrgetter(*_SHOWN)


def show_task(row: TaskRow) -> Parameters:
    """Return what `Task` says of a stored task; plain, for where it is only written."""
    given = {"max_delay": row.max_delay_seconds, "max_duration": row.max_duration_seconds}
    limits = {name: limit for name, limit in given.items() if limit is not None}
    return {**_MEMBERS, **dict(zip(_SHOWN, _values_of(row), strict=True)), "cancellation": limits or None}


def refuse_move(task: TaskRow, detail: str) -> MoveNotAllowed:
    """Return the refusal that tells where a task stands and what it can do from there."""
    return MoveNotAllowed(detail, current=read_task(task), allowed=allowed_for_task(TaskStatus(task.status)))


async def insert_tasks(tx: Tx, tasks: Sequence[TaskToSpawn]) -> Sequence[Spawned]:
    """Insert tasks and return them in their order; one whose idempotency key is known returns the task that has it.

    Raises IdempotencyKeyReused if that was spawned from another spec.
    """
    if not tasks:
        return []
    keys = {task.key for task in tasks if task.key is not None}
    if keys:
        await store.lock_idempotency_keys(tx, keys)
    stored = await store.insert_tasks(tx, [task._asdict() for task in tasks])
    known = await store.get_tasks_by_key(tx, list(keys)) if keys else {}
    if bereft := [task for task in tasks if task.task_id not in stored and task.key not in known]:
        # The tasks with their keys were deleted just now.
        stored |= await store.insert_tasks(tx, [task._asdict() for task in bereft])
        known = await store.get_tasks_by_key(tx, list(keys))
    for row in stored.values():
        if row.ready_at is not None:
            tx.ready[row.queue] += 1
    return [
        _spawned(task)
        if task.task_id in stored
        else _spawned_before(task, known[task.queue, task.idempotency_key or ""])
        for task in tasks
    ]


async def insert_answered_tasks(tx: Tx, tasks: Sequence[TaskToSpawn], keys: Sequence[IdempotencyKeyRow]) -> None:
    """Insert tasks that nobody need look anything up for, and what was answered to the requests with ``keys``."""
    for queue in await store.insert_answered_tasks(tx, [task._asdict() for task in tasks], keys):
        if queue.ready:
            tx.ready[queue.queue] += queue.ready


def _spawned(task: TaskToSpawn) -> Spawned:
    return Spawned.model_construct(
        task_id=task.task_id, run_id=task.run_id, workflow_run_id=task.workflow_run_id, attempt=1, created=True
    )


def _spawned_before(task: TaskToSpawn, first: store.KnownTask) -> Spawned:
    if as_bytes(first.spec_hash) != task.spec_hash:
        detail = "was used before for another task; make a new one"
        raise IdempotencyKeyReused([FieldError(pointer=f"{task.at}/idempotency_key", detail=detail)])
    return Spawned.model_construct(
        task_id=first.task_id,
        run_id=first.run_id,
        workflow_run_id=first.workflow_run_id,
        attempt=first.attempt,
        created=False,
    )


async def cancel_tasks(tx: Tx, rows: Sequence[TaskRow], reason: Reason) -> Sequence[TaskRow]:
    """Cancel open tasks that are locked, and return them."""
    ended = [end(row, TaskStatus.cancelled, reason, row.now) for row in rows]
    await store_ended(tx, ended)
    return ended


async def cancel_open_tasks(
    tx: Tx, workflow_run_ids: Collection[UUID], reason: Reason, *, running_too: bool = True
) -> None:
    """Cancel the open tasks of runs. Where there are very many, who waits for one of them looks for it later."""
    ids = list(workflow_run_ids)
    rows = await store.lock_open_tasks_of_runs(tx, ids, TASKS_AT_ONCE + 1, running_too=running_too)
    if len(rows) <= TASKS_AT_ONCE:
        await cancel_tasks(tx, rows, reason)
        return
    tx.ready.update(await store.cancel_tasks_of_runs(tx, ids, reason, running_too=running_too))
    await events_store.delete_waits_of_runs(tx, ids)


async def store_ended(tx: Tx, ended: Sequence[TaskRow]) -> None:
    """Store tasks that have ended outside the hot path, and tell those who wait for that or for their places."""
    if not ended:
        return
    await store.update_tasks(tx, ended)
    awaiting = [task.task_id for task in ended]
    await events_store.delete_waits(tx, awaiting)
    tx.topics |= {task_topic(task_id) for task_id in awaiting}
    tx.ready.update(task.queue for task in ended)


async def reopen_tasks(tx: Tx, rows: Sequence[TaskRow], max_attempts: int | None = None) -> Sequence[TaskRow]:
    """Give failed or cancelled tasks that are locked another attempt, and return them."""
    cancelled = [
        past_attempt(row, TaskStatus.cancelled, row.reason, row.completed_at or row.now, None)
        for row in rows
        if row.status == TaskStatus.cancelled
    ]
    if cancelled:
        await leases_store.insert_attempts(tx, cancelled)
    opened = [reopen(row, max(max_attempts or row.max_attempts, row.attempt + 1), uuid7(), row.now) for row in rows]
    if opened:
        await store.update_tasks(tx, opened)
    tx.ready.update(task.queue for task in opened)
    return opened


async def cancel_limited_tasks(tx: Tx, task_ids: Sequence[UUID]) -> int:
    """Cancel those of the tasks that have reached their max_delay or max_duration; how many they were."""
    rows = await due_tasks_store.lock_limited_tasks(tx, task_ids)
    for reason in (Reason.max_delay, Reason.max_duration):
        await cancel_tasks(tx, [row for row in rows if _limit_of(row) is reason], reason)
    return len(rows)


def _limit_of(row: TaskRow) -> Reason:
    return Reason.max_delay if row.first_started_at is None else Reason.max_duration
