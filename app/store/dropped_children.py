"""SQL of runs whose step was ended before them: nobody waits for them any more, and they are to be cancelled."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ARRAY, Integer, Uuid, any_, bindparam, func, select, update
from sqlalchemy.orm import aliased

from app.db.engine import Tx
from app.models import WorkflowExecution, WorkflowRun, WorkflowStep
from app.store.locks import Rank
from app.store.set_aside_rows import ids_set_aside_by

TOPIC = "dropped_children"
"""Has news when a run was marked."""
_IDS = bindparam("ids", type_=ARRAY(Uuid))
_MOST = bindparam("most", type_=Integer)

_MARK = (
    update(WorkflowExecution)
    .where(WorkflowExecution.workflow_run_id == any_(_IDS))
    .values(children_dropped_at=func.coalesce(WorkflowExecution.children_dropped_at, func.now()))
    .execution_options(locks=Rank.runs.held)
)


async def mark_children_dropped(tx: Tx, workflow_run_ids: Sequence[UUID]) -> None:
    """UPDATE locked runs whose ended steps may have open children."""
    if workflow_run_ids:
        await tx.execute(_MARK, {"ids": list(workflow_run_ids)})
        tx.topics.add(TOPIC)


_FIND = (
    select(WorkflowExecution.workflow_run_id)
    .where(WorkflowExecution.children_dropped_at.is_not(None))
    .where(WorkflowExecution.workflow_run_id.not_in(ids_set_aside_by("cancel_dropped_children")))
    .order_by(WorkflowExecution.children_dropped_at)
    .limit(_MOST)
)


async def find_runs_with_dropped_children(tx: Tx, most: int) -> Sequence[UUID]:
    """SELECT up to ``most`` runs that are marked, those waiting longest first."""
    return await tx.fetch_values(_FIND, {"most": most})


_child = aliased(WorkflowExecution)
_dropped = (
    select(WorkflowRun.workflow_run_id)
    .join(_child, _child.workflow_run_id == WorkflowRun.workflow_run_id)
    .join(
        WorkflowStep,
        (WorkflowStep.workflow_run_id == WorkflowRun.parent_workflow_run_id)
        & (WorkflowStep.path == _child.parent_step),
    )
    .where(WorkflowRun.completed_at.is_(None), WorkflowStep.completed_at.is_not(None))
)
_LIST = (
    _dropped.where(WorkflowRun.parent_workflow_run_id == any_(_IDS)).order_by(WorkflowRun.workflow_run_id).limit(_MOST)
)


async def list_dropped_children(tx: Tx, workflow_run_ids: Sequence[UUID], most: int) -> Sequence[UUID]:
    """SELECT up to ``most`` open runs that were started by steps of these runs which have ended."""
    return await tx.fetch_values(_LIST, {"ids": list(workflow_run_ids), "most": most})


_CLEAR = (
    update(WorkflowExecution)
    .where(WorkflowExecution.workflow_run_id == any_(_IDS))
    .where(~_dropped.where(WorkflowRun.parent_workflow_run_id == WorkflowExecution.workflow_run_id).exists())
    .values(children_dropped_at=None)
    .execution_options(locks=Rank.runs.held)
)


async def clear_children_dropped(tx: Tx, workflow_run_ids: Sequence[UUID]) -> None:
    """UPDATE those of the locked runs whose ended steps have no open children any more."""
    await tx.execute(_CLEAR, {"ids": list(workflow_run_ids)})
