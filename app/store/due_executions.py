"""SQL of executed runs that something happens to by itself: whose steps or deadlines are due, or that are cancelled."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Integer,
    Uuid,
    any_,
    bindparam,
    func,
    or_,
    select,
)

from app.db.engine import Tx
from app.models import (
    Task,
    WorkflowExecution,
    WorkflowRun,
    WorkflowStep,
)
from app.models.base import constant
from app.store.set_aside_rows import ids_set_aside_by
from milepost.schemas.tasks import TaskStatus

_IDS = bindparam("ids", type_=ARRAY(Uuid))
_MOST = bindparam("most", type_=Integer)
_is_running_task = (
    select(1)
    .where(Task.workflow_run_id == WorkflowRun.workflow_run_id, Task.status == constant(TaskStatus.running))
    .exists()
)
_IS_TO_BE_CANCELLED = (
    WorkflowRun.cancel_due_at.is_not(None),
    WorkflowRun.workflow_id.is_not(None),
    or_(WorkflowRun.cancel_due_at <= func.now(), ~_is_running_task),
)


_FIND_DUE = (
    select(WorkflowStep.workflow_run_id)
    .join(WorkflowRun, WorkflowRun.workflow_run_id == WorkflowStep.workflow_run_id)
    .where(WorkflowStep.due_at <= func.now(), WorkflowRun.completed_at.is_(None))
    .where(WorkflowStep.workflow_run_id.not_in(ids_set_aside_by("advance_due_steps")))
    .order_by(WorkflowStep.due_at)
    .limit(_MOST)
)


async def find_due_runs(tx: Tx, most: int) -> Sequence[UUID]:
    """SELECT the runs of up to ``most`` steps whose time has come, those waiting longest first."""
    return list(dict.fromkeys(await tx.fetch_values(_FIND_DUE, {"most": most})))


class DueStep(NamedTuple):
    """A step whose time has come."""

    workflow_run_id: UUID
    path: str
    scope: str


_LIST_DUE = (
    select(WorkflowStep.workflow_run_id, WorkflowStep.path, WorkflowStep.scope)
    .where(WorkflowStep.workflow_run_id == any_(_IDS), WorkflowStep.due_at <= func.now())
    .order_by(WorkflowStep.due_at)
    .limit(_MOST)
)


async def list_due_steps(tx: Tx, workflow_run_ids: Sequence[UUID], most: int) -> Sequence[DueStep]:
    """SELECT up to ``most`` steps of runs whose time has come, those waiting longest first."""
    return await tx.fetch(DueStep, _LIST_DUE, {"ids": list(workflow_run_ids), "most": most})


_LIST_PAST_DEADLINE = (
    select(WorkflowExecution.workflow_run_id)
    .where(WorkflowExecution.deadline_at <= func.now())
    .where(WorkflowExecution.workflow_run_id.not_in(ids_set_aside_by("end_runs_past_deadline")))
    .order_by(WorkflowExecution.deadline_at)
    .limit(_MOST)
)


async def find_runs_past_deadline(tx: Tx, most: int) -> Sequence[UUID]:
    """SELECT executed runs whose deadline has passed."""
    return await tx.fetch_values(_LIST_PAST_DEADLINE, {"most": most})


_LIST_EXPIRED_WORK = (
    select(Task.task_id)
    .where(Task.lease_expires_at <= func.statement_timestamp(), Task.step.is_not(None))
    .where(Task.task_id.not_in(ids_set_aside_by("expire_step_leases")))
    .order_by(Task.lease_expires_at)
    .limit(_MOST)
)


async def find_expired_work(tx: Tx, most: int) -> Sequence[UUID]:
    """SELECT work items of steps whose lease has expired."""
    return await tx.fetch_values(_LIST_EXPIRED_WORK, {"most": most})


_LIST_CANCELLED = (
    select(WorkflowRun.workflow_run_id)
    .where(*_IS_TO_BE_CANCELLED)
    .where(WorkflowRun.workflow_run_id.not_in(ids_set_aside_by("finish_cancelled_runs")))
    .order_by(WorkflowRun.cancel_due_at)
    .limit(_MOST)
)


async def list_cancelled_executions(tx: Tx, most: int) -> Sequence[UUID]:
    """SELECT executed runs whose cancel was requested and that have nothing to wait for any more."""
    return await tx.fetch_values(_LIST_CANCELLED, {"most": most})


_CANCELLED_OF = select(WorkflowRun.workflow_run_id).where(
    WorkflowRun.workflow_run_id == any_(_IDS), *_IS_TO_BE_CANCELLED
)


async def list_cancelled_of(tx: Tx, ids: Sequence[UUID]) -> Sequence[UUID]:
    """SELECT those of the runs that ``list_cancelled_executions`` would list."""
    return await tx.fetch_values(_CANCELLED_OF, {"ids": list(ids)})
