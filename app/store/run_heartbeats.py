"""SQL of the heartbeats of workflow runs."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import and_, case, func, or_, select, update

from app.db.engine import Parameters, Tx
from app.models import WorkflowRun
from app.store.locks import Rank
from app.store.recordsets import as_rows, rows_like, seconds
from app.store.reported_progress import REPORT, merge


class BeatenRun(NamedTuple):
    """A run whose clock was wound up."""

    workflow_run_id: UUID
    status: str
    cancel_requested_at: datetime | None
    heartbeat_seconds: float
    heartbeat_expires_at: datetime | None


_beat = rows_like(WorkflowRun, ("workflow_run_id",), *REPORT)
_ticking = (
    select(WorkflowRun.workflow_run_id)
    .where(
        WorkflowRun.workflow_run_id == _beat.c.workflow_run_id,
        or_(
            WorkflowRun.heartbeat_expires_at.is_not(None),
            and_(_beat.c.report_clears.is_not(None), WorkflowRun.heartbeat_seconds.is_not(None)),
        ),
    )
    .order_by(WorkflowRun.workflow_run_id)
    .with_for_update(key_share=True, of=WorkflowRun)
    .cte("ticking")
)
_merged = merge(WorkflowRun.reported_progress, _beat.c.report, _beat.c.report_clears)
_moment = func.clock_timestamp(type_=WorkflowRun.__table__.c.updated_at.type)
_winds_up = WorkflowRun.heartbeat_expires_at.is_not(None)
_BEAT = (
    update(WorkflowRun)
    .where(
        WorkflowRun.workflow_run_id == _ticking.c.workflow_run_id,
        WorkflowRun.workflow_run_id == _beat.c.workflow_run_id,
    )
    .values(
        heartbeat_expires_at=case((_winds_up, _moment + seconds(WorkflowRun.heartbeat_seconds))),
        reported_progress=_merged.value,
        revision=case((_merged.is_new, WorkflowRun.revision + 1), else_=WorkflowRun.revision),
        updated_at=case((_merged.is_new, func.greatest(_moment, WorkflowRun.updated_at)), else_=WorkflowRun.updated_at),
    )
    .returning(
        WorkflowRun.workflow_run_id,
        WorkflowRun.status,
        WorkflowRun.cancel_requested_at,
        WorkflowRun.heartbeat_seconds,
        WorkflowRun.heartbeat_expires_at,
    )
    .execution_options(locks=Rank.runs)
)


async def beat_runs(tx: Tx, rows: Sequence[Parameters]) -> Sequence[BeatenRun]:
    """UPDATE the clocks of those runs that have one ticking, and what is reported, locked in the order of their ids.

    Only reported progress that is new makes a revision.
    """
    return await tx.fetch(BeatenRun, _BEAT, as_rows(rows))
