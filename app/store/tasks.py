"""SQL of tasks: spawning, reading, and the moves that are not a worker's."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID
from zlib import crc32

from sqlalchemy import (
    ARRAY,
    CTE,
    Boolean,
    ColumnElement,
    DateTime,
    Float,
    Integer,
    Text,
    Uuid,
    any_,
    bindparam,
    case,
    cast,
    column,
    delete,
    func,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from app.db.engine import Parameters, Tx
from app.domain.moments import END_OF_TIME
from app.domain.moves import TASK_OPEN, TASK_WAITING
from app.domain.records import IdempotencyKeyRow, TaskRow
from app.models import AnsweredKey, Queue, Task, WorkflowRun
from app.models.base import constant, is_among
from app.store.advisory_locks import KEYS_OF_SPAWNS
from app.store.idempotency_keys import as_key_rows
from app.store.locks import Rank
from app.store.parts import Expression, Query
from app.store.recordsets import as_rows, rows_like, seconds
from milepost.schemas.tasks import TaskStatus

MOMENT = func.clock_timestamp(type_=DateTime(timezone=True)).label("now")
TASK_COLUMNS = tuple(Task.__table__.c[name] for name in TaskRow._fields if name != MOMENT.name)
"""What a task is read with, in the order of its row; the moment comes last."""
GIVEN = (
    "task_id",
    "run_id",
    "queue",
    "task_name",
    "params",
    "headers",
    "priority",
    "workflow_run_id",
    "parent_task_id",
    "step",
    "traceparent",
    "max_attempts",
    "max_lost",
    "retry_strategy",
    "max_delay_seconds",
    "max_duration_seconds",
    "idempotency_key",
    "spec_hash",
    "concurrency_key",
)
_IDS = bindparam("ids", type_=ARRAY(Uuid))
_IS_OPEN = is_among(Task.status, TASK_OPEN)


def lock_statement(
    *conditions: ColumnElement[bool], order: Expression, most: ColumnElement[int] | None = None, skip: bool = False
) -> Query:
    """Return the statement that locks tasks to move them; `now` is the moment after that.

    Those that are locked by others are waited for, or with ``skip`` left out.
    """
    rows = select(*TASK_COLUMNS).where(*conditions).order_by(order).limit(most)
    locked = rows.with_for_update(key_share=True, skip_locked=skip).cte("locked")
    return select(locked, MOMENT).execution_options(locks=Rank.tasks)


_MOST = bindparam("most", type_=Integer)
_of_runs = (
    Task.workflow_run_id == any_(_IDS),
    _IS_OPEN,
    or_(bindparam("running_too", type_=Boolean), Task.status != constant(TaskStatus.running)),
)
_IS_WORK = (Task.workflow_run_id == any_(_IDS), Task.step.is_not(None))
_LOCK_KEYS = select(
    func.pg_advisory_xact_lock(
        KEYS_OF_SPAWNS, func.unnest(bindparam("hashes", type_=ARRAY(Integer))).column_valued("hash")
    )
).execution_options(locks=Rank.spawn_keys)


async def lock_idempotency_keys(tx: Tx, keys: Collection[tuple[str, str]]) -> None:
    """Lock the idempotency keys of tasks until the end of the transaction, in one order.

    Tasks are inserted in the order they were sent: two batches with the same keys in another order would wait for each
    other. By a few hashes: more locks would fill Postgres's table.
    """
    hashes = sorted({crc32(f"{queue}/{key}".encode()) % 64 for queue, key in keys})
    await tx.execute(_LOCK_KEYS, {"hashes": hashes})


class NewTask(NamedTuple):
    """A task that was inserted."""

    task_id: UUID
    ready_at: datetime | None
    queue: str


def _insertions() -> tuple[CTE, CTE]:
    """Return the insertion of tasks, in the order of the rows, and that of queues on their first use."""
    item = rows_like(Task, (*GIVEN, "available_at"), column("delay_seconds", Float), column("place", Float))
    available_at = func.coalesce(item.c.available_at, func.now() + seconds(item.c.delay_seconds), func.now())
    delayed = available_at > func.now()
    values = [
        *(item.c[name] for name in GIVEN),
        cast(TaskStatus.pending, Text),
        available_at,
        case((delayed, None), else_=func.now()),
        case((delayed, available_at), else_=None),
        case(
            (
                item.c.max_delay_seconds.is_not(None),
                func.least(func.greatest(available_at, func.now()) + seconds(item.c.max_delay_seconds), END_OF_TIME),
            )
        ),
    ]
    queues = (
        insert(Queue)
        .from_select(["queue"], select(item.c.queue).distinct().order_by(item.c.queue))
        .on_conflict_do_nothing()
        .cte("made_queue")
    )
    task = (
        insert(Task)
        .from_select(
            [*GIVEN, "status", "available_at", "ready_at", "due_at", "limit_at"],
            select(*values).order_by(item.c.place),
        )
        .on_conflict_do_nothing(
            index_elements=["queue", "idempotency_key"], index_where=Task.idempotency_key.is_not(None)
        )
        .returning(Task.task_id, Task.ready_at, Task.queue)
        .cte("task")
    )
    return task, queues


def _insert_tasks() -> Query:
    task, queues = _insertions()
    return select(task.c.task_id, task.c.ready_at, task.c.queue).add_cte(queues).execution_options(locks=Rank.tasks.new)


_INSERT = _insert_tasks()


async def insert_tasks(tx: Tx, rows: Sequence[Parameters]) -> dict[UUID, NewTask]:
    """INSERT tasks and the queues they are the first of; by id, without those whose idempotency key is known."""
    return {row.task_id: row for row in await tx.fetch(NewTask, _INSERT, as_rows(_in_order(rows)))}


def _in_order(rows: Sequence[Parameters]) -> list[Parameters]:
    return [{**row, "place": place} for place, row in enumerate(rows)]


class NewOnQueue(NamedTuple):
    """What was inserted on one queue."""

    queue: str
    ready: int
    """How many of the tasks can be claimed now."""


def _insert_answered_tasks() -> Query:
    task, queues = _insertions()
    fields = IdempotencyKeyRow._fields
    key = rows_like(AnsweredKey, fields, parameter="keys", name="key")
    answered = insert(AnsweredKey).from_select(fields, select(*(key.c[name] for name in fields))).cte("answered")
    counts = select(task.c.queue, func.count(task.c.ready_at).label("ready")).group_by(task.c.queue)
    return counts.add_cte(queues, answered).execution_options(locks=Rank.answers)


_INSERT_ANSWERED = _insert_answered_tasks()


async def insert_answered_tasks(
    tx: Tx, rows: Sequence[Parameters], keys: Sequence[IdempotencyKeyRow]
) -> Sequence[NewOnQueue]:
    """INSERT tasks without idempotency keys of their own, their queues, and the keys that they were sent with.

    Guarantee 5: a request under way with the same key is waited for, and then one of the two fails on the primary key.
    """
    return await tx.fetch(NewOnQueue, _INSERT_ANSWERED, as_rows(_in_order(rows)) | as_rows(as_key_rows(keys), "keys"))


_GET = select(*TASK_COLUMNS, MOMENT).where(Task.task_id == any_(_IDS))


async def get_tasks(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, TaskRow]:
    """SELECT those of the tasks that exist, by id."""
    return {row.task_id: row for row in await tx.fetch(TaskRow, _GET, {"ids": ids})}


async def get_task(tx: Tx, task_id: UUID) -> TaskRow | None:
    """SELECT one task."""
    return (await get_tasks(tx, [task_id])).get(task_id)


class KnownTask(NamedTuple):
    """A task that was spawned with an idempotency key."""

    queue: str
    idempotency_key: str
    task_id: UUID
    run_id: UUID
    workflow_run_id: UUID | None
    attempt: int
    spec_hash: bytes | None


_KEYS = bindparam("keys", type_=ARRAY(Text))
_QUEUES = bindparam("queues", type_=ARRAY(Text))
_wanted = select(func.unnest(_QUEUES).label("queue"), func.unnest(_KEYS).label("idempotency_key")).subquery("wanted")
_GET_BY_KEY = select(
    Task.queue, Task.idempotency_key, Task.task_id, Task.run_id, Task.workflow_run_id, Task.attempt, Task.spec_hash
).join(_wanted, (Task.queue == _wanted.c.queue) & (Task.idempotency_key == _wanted.c.idempotency_key))


async def get_tasks_by_key(tx: Tx, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], KnownTask]:
    """SELECT the tasks that have one of these idempotency keys, by (queue, key)."""
    parameters: Parameters = {"queues": [queue for queue, _ in keys], "keys": [key for _, key in keys]}
    return {(row.queue, row.idempotency_key): row for row in await tx.fetch(KnownTask, _GET_BY_KEY, parameters)}


_LOCK = lock_statement(Task.task_id == any_(_IDS), order=Task.task_id)


async def lock_tasks(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, TaskRow]:
    """SELECT tasks FOR UPDATE in the order of their ids, by id."""
    return {row.task_id: row for row in await tx.fetch(TaskRow, _LOCK, {"ids": ids})}


_LOCK_OF_RUNS = lock_statement(*_of_runs, order=Task.task_id, most=_MOST)


async def lock_open_tasks_of_runs(
    tx: Tx, workflow_run_ids: Sequence[UUID], most: int, *, running_too: bool = True
) -> Sequence[TaskRow]:
    """SELECT FOR UPDATE up to ``most`` open tasks of runs."""
    return await tx.fetch(TaskRow, _LOCK_OF_RUNS, {"ids": workflow_run_ids, "most": most, "running_too": running_too})


_ended_at = func.greatest(func.now(), Task.started_at)
_to_cancel = (
    select(Task.task_id).where(*_of_runs).order_by(Task.task_id).with_for_update(key_share=True).cte("to_cancel")
)
_cancelled = (
    update(Task)
    .where(Task.task_id == any_(func.array(select(_to_cancel.c.task_id).scalar_subquery())))
    .values(
        status=constant(TaskStatus.cancelled),
        reason=bindparam("why", type_=Text),
        **dict.fromkeys(("ready_at", "due_at", "limit_at", "wake_at", "wait_step", "wait_all", "lease_expires_at")),
        completed_at=_ended_at,
        cancelled_at=_ended_at,
        updated_at=func.greatest(func.now(), Task.updated_at),
        revision=Task.revision + 1,
    )
    .returning(Task.queue)
    .cte("cancelled")
)
_CANCEL_OF_RUNS = select(_cancelled.c.queue).distinct().execution_options(locks=Rank.tasks)


async def cancel_tasks_of_runs(
    tx: Tx, workflow_run_ids: Sequence[UUID], why: str, *, running_too: bool
) -> Sequence[str]:
    """UPDATE all open tasks of runs to cancelled, as ``task_moves.end`` does it with one; the queues they were on."""
    return await tx.fetch_values(_CANCEL_OF_RUNS, {"ids": workflow_run_ids, "why": why, "running_too": running_too})


_HAS_RUNNING = select(
    select(1).where(Task.workflow_run_id == any_(_IDS), Task.status == constant(TaskStatus.running)).exists()
)


async def has_running_tasks(tx: Tx, workflow_run_id: UUID) -> bool:
    """SELECT whether any task of a run is being worked on."""
    return await tx.fetch_value(_HAS_RUNNING, {"ids": [workflow_run_id]})


_LOCK_TO_REOPEN = lock_statement(
    Task.workflow_run_id == any_(_IDS),
    is_among(Task.status, (TaskStatus.failed, TaskStatus.cancelled)),
    order=Task.task_id,
)


async def lock_tasks_to_reopen(tx: Tx, workflow_run_id: UUID) -> Sequence[TaskRow]:
    """SELECT FOR UPDATE the failed and cancelled tasks of a run."""
    return await tx.fetch(TaskRow, _LOCK_TO_REOPEN, {"ids": [workflow_run_id]})


_to_delete = select(Task.task_id).where(Task.workflow_run_id == any_(_IDS)).order_by(Task.task_id).with_for_update()
_LOCK_TO_DELETE = select(func.count()).select_from(_to_delete.subquery("to_delete")).execution_options(locks=Rank.tasks)


async def lock_tasks_to_delete(tx: Tx, workflow_run_id: UUID) -> None:
    """SELECT FOR UPDATE all tasks of a run in the order of their ids: a cascade would take them in any order."""
    await tx.execute(_LOCK_TO_DELETE, {"ids": [workflow_run_id]})


_CHANGED = (
    "status",
    "reason",
    "run_id",
    "attempt",
    "max_attempts",
    "lost_count",
    "forgiven_count",
    "error",
    "ready_at",
    "due_at",
    "limit_at",
    "wake_at",
    "wake_event",
    "event_payload",
    "wait_step",
    "wait_all",
    "claimed_by",
    "lease_token",
    "lease_expires_at",
    "first_started_at",
    "started_at",
    "completed_at",
    "cancelled_at",
    "cancel_requested_at",
    "updated_at",
    "revision",
)
"""What the moves outside the hot path may change."""
_item = rows_like(Task, ("task_id", *_CHANGED))
_UPDATE = (
    update(Task)
    .where(Task.task_id == _item.c.task_id, Task.revision < _item.c.revision)
    .values({name: _item.c[name] for name in _CHANGED})
    .execution_options(locks=Rank.tasks.held)
)


async def update_tasks(tx: Tx, tasks: Sequence[TaskRow]) -> None:
    """UPDATE locked tasks to what each row says."""
    kept = ("task_id", *_CHANGED)
    await tx.execute(_UPDATE, as_rows([{name: getattr(task, name) for name in kept} for task in tasks]))


_to_stop = (
    select(Task.task_id)
    .where(Task.workflow_run_id == any_(_IDS), Task.status == constant(TaskStatus.running))
    .where(Task.cancel_requested_at.is_(None))
    .order_by(Task.task_id)
    .with_for_update(key_share=True)
    .cte("to_stop")
)
_REQUEST_CANCEL = (
    update(Task)
    .where(Task.task_id == any_(func.array(select(_to_stop.c.task_id).scalar_subquery())))
    .values(cancel_requested_at=func.now(), revision=Task.revision + 1)
    .values(updated_at=func.greatest(func.now(), Task.updated_at))
    .execution_options(locks=Rank.tasks)
)


async def request_cancel(tx: Tx, workflow_run_ids: Sequence[UUID]) -> None:
    """UPDATE the running tasks of runs: their workers are asked to stop."""
    await tx.execute(_REQUEST_CANCEL, {"ids": workflow_run_ids})


_WITHHOLD = (
    update(Task)
    .where(Task.task_id == any_(_IDS))
    .values(ready_at=None, wake_at=None)
    .execution_options(locks=Rank.tasks.held)
)


async def withhold_tasks(tx: Tx, ids: Sequence[UUID]) -> None:
    """UPDATE tasks of locked runs so that nobody can claim them."""
    await tx.execute(_WITHHOLD, {"ids": list(ids)})


_is_halted = (
    select(1)
    .where(WorkflowRun.workflow_run_id == Task.workflow_run_id)
    .where(or_(WorkflowRun.paused_at.is_not(None), WorkflowRun.cancel_requested_at.is_not(None)))
    .exists()
)
_WITHHOLD_OF_HALTED = _WITHHOLD.where(Task.step.is_not(None), _is_halted)


async def withhold_tasks_of_halted_runs(tx: Tx, ids: Sequence[UUID]) -> None:
    """UPDATE those of the tasks so that nobody can claim them that are work items of runs which hand out none."""
    await tx.execute(_WITHHOLD_OF_HALTED, {"ids": list(ids)})


_WITHHOLD_OF_RUN = (
    update(Task).where(*_IS_WORK, Task.ready_at.is_not(None)).values(ready_at=None).execution_options(locks=Rank.tasks)
)


async def withhold_tasks_of_run(tx: Tx, workflow_run_id: UUID) -> None:
    """UPDATE the work items of a locked run so that nobody can claim them."""
    await tx.execute(_WITHHOLD_OF_RUN, {"ids": [workflow_run_id]})


_OFFER_OF_RUN = (
    update(Task)
    .where(*_IS_WORK, is_among(Task.status, TASK_WAITING))
    .where(Task.ready_at.is_(None), Task.due_at.is_(None), Task.wake_at.is_(None), Task.wait_step.is_(None))
    .values(ready_at=func.now())
    .execution_options(locks=Rank.tasks)
)


async def offer_tasks_of_run(tx: Tx, workflow_run_id: UUID) -> int:
    """UPDATE the work items of a locked run that only wait to be claimed, so that they can be."""
    return await tx.change(_OFFER_OF_RUN, {"ids": [workflow_run_id]})


_COUNT_OPEN = (
    select(Task.workflow_run_id, func.count().label("open"))
    .where(Task.workflow_run_id == any_(_IDS), _IS_OPEN)
    .group_by(Task.workflow_run_id)
)


async def count_open_tasks(tx: Tx, workflow_run_ids: Sequence[UUID]) -> dict[UUID, int]:
    """SELECT how many open tasks each run has; runs without any are left out."""
    return {row.workflow_run_id: row.open for row in await tx.execute(_COUNT_OPEN, {"ids": workflow_run_ids})}


_first_queue = (
    select(Task.queue)
    .where(Task.workflow_run_id.is_(None), Task.completed_at.is_not(None))
    .order_by(Task.queue)
    .limit(1)
)
_queues = select(_first_queue.scalar_subquery().label("queue")).cte("queues_of_old", recursive=True)
_next_queue = _first_queue.where(Task.queue > _queues.c.queue).correlate(_queues).scalar_subquery()
_queues = _queues.union_all(select(_next_queue).where(_queues.c.queue.is_not(None)))
_kept = func.coalesce(Queue.retention_seconds, bindparam("keep", type_=Float))
_old_of_queue = (
    select(Task.task_id)
    .where(Task.queue == _queues.c.queue, Task.workflow_run_id.is_(None))
    .where(Task.completed_at < func.now() - seconds(_kept))
    .order_by(Task.completed_at)
    .limit(_MOST)
    .correlate(_queues, Queue)
    .with_for_update(skip_locked=True)
    .lateral("old_of_queue")
)
_with_limits = _queues.outerjoin(Queue, Queue.queue == _queues.c.queue)
_old = select(_old_of_queue.c.task_id).select_from(_with_limits.join(_old_of_queue, true())).limit(_MOST).cte("old")
_PRUNE = (
    delete(Task)
    .where(Task.task_id == any_(func.array(select(_old.c.task_id).scalar_subquery())))
    .execution_options(locks=Rank.tasks.skipped)
)


async def delete_old_tasks(tx: Tx, keep_seconds: float, most: int) -> int:
    """DELETE up to ``most`` ended tasks of no run that ended longer ago than their queue keeps them.

    It goes from queue to queue in the index of such tasks: however many there are, also those that were deleted.
    """
    return await tx.change(_PRUNE, {"keep": keep_seconds, "most": most})
