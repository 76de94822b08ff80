"""SQL of runs of schedules that are to be executed as soon as there is room."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Integer,
    Uuid,
    and_,
    any_,
    bindparam,
    func,
    literal_column,
    select,
    update,
)

from app.db.engine import Parameters, Tx
from app.domain.moves import OPEN
from app.domain.records import RunRow
from app.models import Schedule, WorkflowRun
from app.models.base import constant, is_among
from app.store.locks import Rank
from app.store.recordsets import as_rows, rows_like
from app.store.set_aside_rows import ids_set_aside_by
from app.store.workflow_runs import RUN_COLUMNS, read_runs
from milepost.schemas.workflow_runs import RunStatus

_IDS = bindparam("ids", type_=ARRAY(Uuid))
_MOST = bindparam("most", type_=Integer)
_IS_OPEN = is_among(WorkflowRun.status, OPEN)
_IS_RUNNING = WorkflowRun.status == constant(RunStatus.running)
_IS_PLANNED = and_(
    WorkflowRun.status == constant(RunStatus.pending),
    WorkflowRun.workflow_id.is_not(None),
    WorkflowRun.paused_at.is_(None),
)
_PLANNED = ("workflow_run_id", "workflow_id", "schedule_id", "data_interval_start", "data_interval_end")
_planned = rows_like(WorkflowRun, _PLANNED)
_PLAN = (
    update(WorkflowRun)
    .where(WorkflowRun.workflow_run_id == _planned.c.workflow_run_id)
    .values({name: _planned.c[name] for name in _PLANNED[1:]})
    .execution_options(locks=Rank.runs.held)
)


async def plan_runs(tx: Tx, rows: Sequence[Parameters]) -> None:
    """UPDATE runs that were inserted just now: the service executes them, as soon as there is room."""
    await tx.execute(_PLAN, as_rows(rows))


_of_schedules = (
    select(WorkflowRun.schedule_id, func.count().filter(_IS_RUNNING).label("running"))
    .where(WorkflowRun.schedule_id.is_not(None), _IS_OPEN)
    .group_by(WorkflowRun.schedule_id)
    .having(func.bool_or(_IS_PLANNED))
    .subquery("planned")
)
_LIST_SCHEDULES = (
    select(_of_schedules.c.schedule_id)
    .outerjoin(Schedule, Schedule.schedule_id == _of_schedules.c.schedule_id)
    .where(func.coalesce(_of_schedules.c.running < Schedule.max_active_runs, literal_column("true")))
    .order_by(_of_schedules.c.schedule_id)
    .limit(_MOST)
)
"""By the index of the open runs of schedules: its size does not grow with what is past."""


async def list_planning_schedules(tx: Tx, most: int) -> Sequence[UUID]:
    """SELECT schedules with runs that may begin now: they are pending, and there is room for more running ones."""
    return await tx.fetch_values(_LIST_SCHEDULES, {"most": most})


_COUNT_RUNNING = (
    select(WorkflowRun.schedule_id, func.count().label("amount"))
    .where(WorkflowRun.schedule_id == any_(_IDS), _IS_OPEN, _IS_RUNNING)
    .group_by(WorkflowRun.schedule_id)
)


async def count_running_runs(tx: Tx, schedule_ids: Sequence[UUID]) -> dict[UUID, int]:
    """SELECT how many runs of schedules are running; those without any are left out."""
    rows = await tx.execute(_COUNT_RUNNING, {"ids": list(schedule_ids)})
    return {row.schedule_id: row.amount for row in rows}


_FIND = (
    select(WorkflowRun.workflow_run_id)
    .where(WorkflowRun.schedule_id == bindparam("of_schedule", type_=Uuid), _IS_OPEN, _IS_PLANNED)
    .where(WorkflowRun.workflow_run_id.not_in(ids_set_aside_by("begin_planned_runs")))
    .order_by(WorkflowRun.data_interval_end, WorkflowRun.workflow_run_id)
    .limit(_MOST)
    .with_for_update(key_share=True, skip_locked=True)
    .execution_options(locks=Rank.runs.skipped)
)


async def find_planned_runs(tx: Tx, schedule_id: UUID, most: int) -> Sequence[UUID]:
    """SELECT FOR UPDATE pending runs of a schedule that are to be executed, in the order of their intervals."""
    return await tx.fetch_values(_FIND, {"of_schedule": schedule_id, "most": most})


_SCHEDULES_OF_RUNS = (
    select(WorkflowRun.schedule_id)
    .where(WorkflowRun.workflow_run_id == any_(_IDS), WorkflowRun.schedule_id.is_not(None))
    .distinct()
)


async def list_schedules_of_runs(tx: Tx, ids: Sequence[UUID]) -> Sequence[UUID]:
    """SELECT the schedules that have created the runs."""
    found = await tx.fetch_values(_SCHEDULES_OF_RUNS, {"ids": list(ids)})
    return [schedule_id for schedule_id in found if schedule_id is not None]


_LOCK = (
    select(*RUN_COLUMNS)
    .where(WorkflowRun.workflow_run_id == any_(_IDS), WorkflowRun.schedule_id.is_not(None), _IS_OPEN, _IS_PLANNED)
    .order_by(WorkflowRun.workflow_run_id)
    .with_for_update(key_share=True)
    .execution_options(locks=Rank.runs)
)


async def lock_planned_runs(tx: Tx, ids: Sequence[UUID]) -> Sequence[RunRow]:
    """SELECT FOR UPDATE those of the runs that are pending and to be executed, in the order of their intervals."""
    runs = await read_runs(tx, _LOCK, {"ids": list(ids)})
    return sorted(runs, key=lambda run: (run.data_interval_end or run.now, run.workflow_run_id))
