"""SQL of runs that the service ends: which are due, and how they end without being read."""

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
    and_,
    any_,
    bindparam,
    case,
    cast,
    func,
    null,
    or_,
    select,
    update,
)

from app.db.engine import Tx
from app.domain.moves import OPEN
from app.models import Task, WorkflowExecution, WorkflowRun, WorkflowStep
from app.models.base import constant, is_among
from app.store.locks import Rank
from app.store.parts import Expression, Query
from app.store.set_aside_rows import ids_set_aside_by
from app.store.workflow_runs import as_column, history_of
from milepost.schemas.reasons import Reason
from milepost.schemas.steps import StepStatus
from milepost.schemas.tasks import TaskStatus
from milepost.schemas.workflow_runs import HistoryVerb, RunStatus

_IDS = bindparam("ids", type_=ARRAY(Uuid))
_RUN = bindparam("of_run", type_=Uuid)
_MOST = bindparam("most", type_=Integer)
_HAS_ONE_OF_IDS = WorkflowRun.workflow_run_id == any_(_IDS)
_ENDED_AT = func.greatest(func.now(), WorkflowRun.started_at, WorkflowRun.updated_at)
_IS_PAST_DEADLINE = (
    WorkflowRun.deadline_at <= func.now(),
    is_among(WorkflowRun.status, OPEN),
    WorkflowRun.workflow_id.is_(None),  # the others are ended by their execution
)
_IS_LOST = (WorkflowRun.heartbeat_expires_at <= func.now(),)
"""Only running runs have a heartbeat that can be due, as a constraint holds."""


def _find(chore: str, due_at: Expression, *conditions: ColumnElement[bool]) -> Select[UUID]:
    """Return the statement that finds runs which are due, those that a chore leaves out not among them."""
    return (
        select(WorkflowRun.workflow_run_id)
        .where(*conditions, WorkflowRun.workflow_run_id.not_in(ids_set_aside_by(chore)))
        .order_by(due_at)
        .limit(_MOST)
    )


def _end(
    values: dict[str, Expression], why: ColumnElement[str], verb: HistoryVerb, *conditions: ColumnElement[bool]
) -> Query:
    """Return the statement that ends those of the runs for which ``conditions`` hold, skipping what is locked."""
    due = (
        select(WorkflowRun.workflow_run_id, WorkflowRun.status.label("from_status"))
        .where(_HAS_ONE_OF_IDS, *conditions)
        .order_by(WorkflowRun.workflow_run_id)
        .with_for_update(skip_locked=True, key_share=True)
        .cte("due")
    )
    run = (
        update(WorkflowRun)
        .where(WorkflowRun.workflow_run_id == any_(func.array(select(due.c.workflow_run_id).scalar_subquery())))
        .values(
            completed_at=_ENDED_AT,
            updated_at=_ENDED_AT,
            heartbeat_expires_at=None,
            cancel_due_at=None,
            paused_at=None,
            revision=WorkflowRun.revision + 1,
            **values,
        )
        .returning(
            WorkflowRun.workflow_run_id, WorkflowRun.status, WorkflowRun.attempt, WorkflowRun.completed_at.label("at")
        )
        .cte("run")
    )
    history = history_of(
        run,
        due,
        at=run.c.at,
        verb=as_column(verb),
        from_status=due.c.from_status,
        actor=as_column("housekeeping"),
        reason=why,
        request_id=cast(null(), Text),
    )
    return select(run.c.workflow_run_id).add_cte(history).execution_options(locks=Rank.runs.skipped)


def _expire(reason: Reason, error: Expression, *conditions: ColumnElement[bool]) -> Query:
    values: dict[str, Expression] = {"status": as_column(RunStatus.failed), "reason": as_column(reason), "error": error}
    return _end(values, as_column(reason), HistoryVerb.expire, *conditions)


def _error(name: str, *message: ColumnElement[str] | str) -> Expression:
    """Return an error object as the service makes it, its message put together from texts and columns."""
    parts = [as_column(part) if isinstance(part, str) else part for part in message]
    return func.json_build_object(as_column("name"), as_column(name), as_column("message"), func.concat(*parts))


_is_running_task = (
    select(1)
    .where(Task.workflow_run_id == WorkflowRun.workflow_run_id, Task.status == constant(TaskStatus.running))
    .exists()
)
_IS_TO_BE_CANCELLED = (
    WorkflowRun.cancel_due_at.is_not(None),
    WorkflowRun.workflow_id.is_(None),
    or_(
        WorkflowRun.cancel_due_at <= func.now(),
        and_(WorkflowRun.heartbeat_expires_at.is_(None), ~_is_running_task),
    ),
)
_FIND_PAST_DEADLINE = _find("end_overdue_runs", WorkflowRun.deadline_at, *_IS_PAST_DEADLINE)
_FIND_LOST = _find("end_overdue_runs", WorkflowRun.heartbeat_expires_at, *_IS_LOST)


async def find_overdue_runs(tx: Tx, most: int) -> Sequence[UUID]:
    """SELECT up to ``most`` open runs whose deadline has passed, and as many whose heartbeat did not arrive."""
    past = await tx.fetch_values(_FIND_PAST_DEADLINE, {"most": most})
    return list(dict.fromkeys([*past, *await tx.fetch_values(_FIND_LOST, {"most": most})]))


_END_PAST_DEADLINE = _expire(
    Reason.deadline, _error("DeadlineExceeded", "the run had not ended by its deadline"), *_IS_PAST_DEADLINE
)


async def end_runs_past_deadline(tx: Tx, ids: Sequence[UUID]) -> Sequence[UUID]:
    """UPDATE to failed those of the runs that are open and whose deadline has passed."""
    return await tx.fetch_values(_END_PAST_DEADLINE, {"ids": ids})


_END_LOST = _expire(
    Reason.lost,
    _error("HeartbeatLost", "no heartbeat arrived within ", cast(WorkflowRun.heartbeat_seconds, Text), " seconds"),
    *_IS_LOST,
)


async def end_lost_runs(tx: Tx, ids: Sequence[UUID]) -> Sequence[UUID]:
    """UPDATE to failed those of the runs that are running and whose heartbeat did not arrive."""
    return await tx.fetch_values(_END_LOST, {"ids": ids})


_FIND_CANCELLED = _find("finish_cancelled_runs", WorkflowRun.cancel_due_at, *_IS_TO_BE_CANCELLED)


async def find_cancelled_runs(tx: Tx, most: int) -> Sequence[UUID]:
    """SELECT tracked runs whose cancel was requested and that have nothing to wait for any more."""
    return await tx.fetch_values(_FIND_CANCELLED, {"most": most})


_LOCK_CANCELLED = (
    select(WorkflowRun.workflow_run_id)
    .where(_HAS_ONE_OF_IDS, *_IS_TO_BE_CANCELLED)
    .order_by(WorkflowRun.workflow_run_id)
    .with_for_update(key_share=True, skip_locked=True)
    .execution_options(locks=Rank.runs.skipped)
)


async def lock_cancelled_runs(tx: Tx, ids: Sequence[UUID]) -> Sequence[UUID]:
    """SELECT FOR UPDATE those of the runs that ``find_cancelled_runs`` would find."""
    return await tx.fetch_values(_LOCK_CANCELLED, {"ids": ids})


_is_asked_to_cancel = WorkflowRun.cancel_requested_at.is_not(None)
_GIVE_UP = _end(
    {
        "status": case((_is_asked_to_cancel, as_column(RunStatus.cancelled)), else_=as_column(RunStatus.failed)),
        "reason": case((_is_asked_to_cancel, as_column(Reason.cancel_requested)), else_=cast(null(), Text)),
        "error": bindparam("error", type_=JSON),
    },
    bindparam("why", type_=Text),
    HistoryVerb.expire,
    WorkflowRun.completed_at.is_(None),
)


async def give_up_run(tx: Tx, workflow_run_id: UUID, error: Mapping[str, str]) -> bool:
    """UPDATE an open run to failed, or to cancelled where that was asked for, whatever it holds; whether it was."""
    return bool(await tx.fetch_values(_GIVE_UP, {"ids": [workflow_run_id], "error": error, "why": error["message"]}))


_STEP_ENDS = case(
    (WorkflowStep.completed_at.is_not(None), WorkflowStep.status),
    (WorkflowStep.status == as_column(StepStatus.waiting), as_column(StepStatus.skipped)),
    else_=as_column(StepStatus.cancelled),
)
_END_STEPS = (
    update(WorkflowStep)
    .where(
        WorkflowStep.workflow_run_id == _RUN,
        or_(WorkflowStep.completed_at.is_(None), WorkflowStep.due_at.is_not(None)),
    )
    .values(
        status=_STEP_ENDS,
        completed_at=func.coalesce(WorkflowStep.completed_at, func.now()),
        due_at=None,
        awaits=None,
    )
    .execution_options(locks=Rank.runs.held)
)
_END_EXECUTION = (
    update(WorkflowExecution)
    .where(WorkflowExecution.workflow_run_id == _RUN)
    .values(deadline_at=None)
    .execution_options(locks=Rank.runs.held)
)


async def end_execution(tx: Tx, workflow_run_id: UUID) -> None:
    """UPDATE what is open of the execution of a run that has ended: its steps and its deadline."""
    await tx.execute(_END_STEPS, {"of_run": workflow_run_id})
    await tx.execute(_END_EXECUTION, {"of_run": workflow_run_id})


class Parent(NamedTuple):
    """The step that has started a run, and how the run stands."""

    workflow_run_id: UUID
    step: str
    child: str
    status: RunStatus


_GET_PARENT = (
    select(
        WorkflowRun.parent_workflow_run_id.label("workflow_run_id"),
        WorkflowExecution.parent_step.label("step"),
        WorkflowExecution.parent_child.label("child"),
        WorkflowRun.status,
    )
    .join(WorkflowExecution, WorkflowExecution.workflow_run_id == WorkflowRun.workflow_run_id)
    .where(WorkflowRun.workflow_run_id == _RUN, WorkflowExecution.parent_step.is_not(None))
)


async def get_parent(tx: Tx, workflow_run_id: UUID) -> Parent | None:
    """SELECT the step that has started a run; None: none has."""
    parent = await tx.fetch_one(Parent, _GET_PARENT, {"of_run": workflow_run_id})
    return None if parent is None else parent._replace(status=RunStatus(parent.status))
