"""SQL of runs that are late: open when they should have ended."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ARRAY, Integer, Text, Uuid, any_, bindparam, cast, func, null, select, update

from app.db.engine import Tx
from app.domain.moves import OPEN
from app.models import WorkflowRun
from app.models.base import is_among
from app.store.locks import Rank
from app.store.parts import Query
from app.store.set_aside_rows import ids_set_aside_by
from app.store.workflow_runs import as_column, history_of
from milepost.schemas.workflow_runs import HistoryVerb

_IS_LATE = (
    WorkflowRun.expected_by <= func.now(),
    WorkflowRun.late_at.is_(None),
    is_among(WorkflowRun.status, OPEN),
)
_FIND = (
    select(WorkflowRun.workflow_run_id)
    .where(*_IS_LATE, WorkflowRun.workflow_run_id.not_in(ids_set_aside_by("mark_late_runs")))
    .order_by(WorkflowRun.expected_by)
    .limit(bindparam("most", type_=Integer))
)


async def find_late_runs(tx: Tx, most: int) -> Sequence[UUID]:
    """SELECT up to ``most`` open runs that should have ended by now and are not known to be late."""
    return await tx.fetch_values(_FIND, {"most": most})


def _mark() -> Query:
    """Return the statement that notes lateness, skipping what is locked."""
    late = (
        select(WorkflowRun.workflow_run_id, WorkflowRun.status)
        .where(WorkflowRun.workflow_run_id == any_(bindparam("ids", type_=ARRAY(Uuid))), *_IS_LATE)
        .order_by(WorkflowRun.workflow_run_id)
        .with_for_update(skip_locked=True, key_share=True)
        .cte("late")
    )
    noted_at = func.greatest(func.now(), WorkflowRun.updated_at)
    run = (
        update(WorkflowRun)
        .where(WorkflowRun.workflow_run_id == any_(func.array(select(late.c.workflow_run_id).scalar_subquery())))
        .values(late_at=noted_at, updated_at=noted_at, revision=WorkflowRun.revision + 1)
        .returning(WorkflowRun.workflow_run_id, WorkflowRun.status, WorkflowRun.attempt, WorkflowRun.late_at)
        .cte("run")
    )
    history = history_of(
        run,
        late,
        at=run.c.late_at,
        verb=as_column(HistoryVerb.late),
        from_status=late.c.status,
        actor=as_column("housekeeping"),
        reason=cast(null(), Text),
        request_id=cast(null(), Text),
    )
    return select(run.c.workflow_run_id).add_cte(history).execution_options(locks=Rank.runs.skipped)


_MARK = _mark()


async def mark_late_runs(tx: Tx, ids: Sequence[UUID]) -> Sequence[UUID]:
    """UPDATE those of the runs that are open and should have ended: they are late, which is noted once."""
    return await tx.fetch_values(_MARK, {"ids": ids})
