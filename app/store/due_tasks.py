"""SQL of tasks that something happens to by itself: which are due, and how they end without being read."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    JSON,
    ColumnElement,
    Integer,
    Select,
    Text,
    Uuid,
    any_,
    bindparam,
    cast,
    func,
    null,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import ReturningUpdate

from app.db.engine import Tx
from app.domain.json_texts import JsonValue
from app.domain.moves import TASK_OPEN
from app.domain.records import TaskRow
from app.models import Task, TaskAttempt
from app.models.base import is_among
from app.store.locks import Rank
from app.store.parts import Expression
from app.store.set_aside_rows import ids_set_aside_by
from app.store.tasks import lock_statement
from milepost.schemas.reasons import Reason
from milepost.schemas.tasks import TaskStatus

_IDS = bindparam("ids", type_=ARRAY(Uuid))
_MOST = bindparam("most", type_=Integer)
_IS_OPEN = is_among(Task.status, TASK_OPEN)
_HAS_ONE_OF_IDS = Task.task_id == any_(_IDS)
_BY_NOW = func.statement_timestamp()
_IS_EXPIRED = (Task.lease_expires_at <= _BY_NOW, Task.step.is_(None))
_IS_DUE = (Task.due_at <= _BY_NOW,)
_IS_LIMITED = (Task.limit_at <= _BY_NOW,)


def _find(chore: str, due_at: Expression, *conditions: ColumnElement[bool]) -> Select[UUID]:
    """Return the statement that locks tasks which are due, those that a chore leaves out not among them."""
    return (
        select(Task.task_id)
        .where(*conditions, Task.task_id.not_in(ids_set_aside_by(chore)))
        .order_by(due_at)
        .limit(_MOST)
        .with_for_update(key_share=True, skip_locked=True)
        .execution_options(locks=Rank.tasks.skipped)
    )


_ENDED_AT = func.greatest(func.now(), Task.started_at, Task.updated_at)


def _end(*conditions: ColumnElement[bool], **values: Expression) -> ReturningUpdate[UUID, str]:
    """Return the statement that ends open tasks, whatever they hold."""
    nothing = ("ready_at", "due_at", "limit_at", "wake_at", "wait_step", "wait_all", "lease_expires_at")
    open_tasks = select(Task.task_id).where(*conditions, _IS_OPEN).order_by(Task.task_id)
    to_end = open_tasks.with_for_update(key_share=True).cte("to_end")
    return (
        update(Task)
        .where(Task.task_id == any_(func.array(select(to_end.c.task_id).scalar_subquery())))
        .values(dict.fromkeys(nothing))
        .values(completed_at=_ENDED_AT, updated_at=_ENDED_AT, revision=Task.revision + 1, **values)
        .returning(Task.task_id, Task.queue)
        .execution_options(locks=Rank.tasks)
    )


class EndedTask(NamedTuple):
    """A task that was open, and has ended."""

    task_id: UUID
    queue: str


_FIND_EXPIRED = _find("expire_leases", Task.lease_expires_at, *_IS_EXPIRED)


async def find_expired_tasks(tx: Tx, most: int) -> Sequence[UUID]:
    """SELECT FOR UPDATE running tasks whose lease has expired, skipping those being changed just now."""
    return await tx.fetch_values(_FIND_EXPIRED, {"most": most})


_FIND_DUE = _find("wake_due_tasks", Task.due_at, *_IS_DUE)


async def find_due_tasks(tx: Tx, most: int) -> Sequence[UUID]:
    """SELECT FOR UPDATE waiting tasks whose time has come, skipping those being changed just now."""
    return await tx.fetch_values(_FIND_DUE, {"most": most})


_FIND_LIMITED = _find("cancel_limited_tasks", Task.limit_at, *_IS_LIMITED)


async def find_limited_tasks(tx: Tx, most: int) -> Sequence[UUID]:
    """SELECT FOR UPDATE open tasks that have reached a limit of time, skipping those being changed just now."""
    return await tx.fetch_values(_FIND_LIMITED, {"most": most})


_LOCK_EXPIRED = lock_statement(_HAS_ONE_OF_IDS, *_IS_EXPIRED, order=Task.task_id)


async def lock_expired_tasks(tx: Tx, ids: Sequence[UUID]) -> Sequence[TaskRow]:
    """SELECT FOR UPDATE those of the tasks whose lease has expired."""
    return await tx.fetch(TaskRow, _LOCK_EXPIRED, {"ids": ids})


_LOCK_DUE = lock_statement(_HAS_ONE_OF_IDS, *_IS_DUE, order=Task.task_id)


async def lock_due_tasks(tx: Tx, ids: Sequence[UUID]) -> Sequence[TaskRow]:
    """SELECT FOR UPDATE those of the tasks whose time has come."""
    return await tx.fetch(TaskRow, _LOCK_DUE, {"ids": ids})


_LOCK_LIMITED = lock_statement(_HAS_ONE_OF_IDS, *_IS_LIMITED, order=Task.task_id)


async def lock_limited_tasks(tx: Tx, ids: Sequence[UUID]) -> Sequence[TaskRow]:
    """SELECT FOR UPDATE those of the tasks that have reached a limit of time."""
    return await tx.fetch(TaskRow, _LOCK_LIMITED, {"ids": ids})


class Owner(NamedTuple):
    """The run of a task and the step that it is the work item of, if it has one."""

    workflow_run_id: UUID | None
    step: str | None


_OWNER = select(Task.workflow_run_id, Task.step).where(Task.task_id == bindparam("of_task", type_=Uuid))


async def get_owner(tx: Tx, task_id: UUID) -> Owner | None:
    """SELECT whose work a task is."""
    return await tx.fetch_one(Owner, _OWNER, {"of_task": task_id})


_ATTEMPT = ("run_id", "task_id", "attempt", "status", "claimed_by", "lease_token", "started_at", "ended_at", "error")
_KEEP_ATTEMPT = (
    insert(TaskAttempt)
    .from_select(
        _ATTEMPT,
        select(
            Task.run_id,
            Task.task_id,
            Task.attempt,
            cast(TaskStatus.failed, Text),
            Task.claimed_by,
            Task.lease_token,
            Task.started_at,
            _ENDED_AT,
            bindparam("error", type_=JSON),
        ).where(_HAS_ONE_OF_IDS, _IS_OPEN),
    )
    .on_conflict_do_nothing(index_elements=["run_id"])
)
_FAIL = _end(
    _HAS_ONE_OF_IDS,
    status=cast(TaskStatus.failed, Text),
    reason=cast(null(), Text),
    error=bindparam("error", type_=JSON),
)


async def give_up_task(tx: Tx, task_id: UUID, error: Mapping[str, JsonValue]) -> Sequence[EndedTask]:
    """UPDATE an open task to failed, whatever it holds, and INSERT its attempt; the task if it was open."""
    await tx.execute(_KEEP_ATTEMPT, {"ids": [task_id], "error": error})
    return await tx.fetch(EndedTask, _FAIL, {"ids": [task_id], "error": error})


_CANCEL_OF_RUN = _end(
    Task.workflow_run_id == bindparam("of_run", type_=Uuid),
    status=cast(TaskStatus.cancelled, Text),
    reason=cast(Reason.run_ended, Text),
    cancelled_at=_ENDED_AT,
)


async def give_up_tasks_of_run(tx: Tx, workflow_run_id: UUID) -> Sequence[EndedTask]:
    """UPDATE the open tasks of a run to cancelled, whatever they hold."""
    return await tx.fetch(EndedTask, _CANCEL_OF_RUN, {"of_run": workflow_run_id})
