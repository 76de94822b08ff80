"""Finding and counting workflow runs, and reading their history."""

from typing import Any
from uuid import UUID

from app.db.engine import Tx
from app.domain.cursors import Position, read_cursor, read_offset, write_cursor, write_offset
from app.domain.run_filters import read_filters
from app.domain.shown_runs import show_run
from app.services.workflow_runs import get_run
from app.store import workflow_run_history as history_store
from app.store import workflow_run_lists as store
from milepost.schemas.wire import PageQuery
from milepost.schemas.workflow_runs import (
    CountBy,
    HistoryEntry,
    HistoryPage,
    HistoryVerb,
    RunCountQuery,
    RunQuery,
    RunStatus,
    WorkflowRun,
    WorkflowRunCount,
    WorkflowRunCounts,
    WorkflowRunPage,
)


async def list_runs(tx: Tx, query: RunQuery) -> WorkflowRunPage:
    """Return a page of the runs that match. Raises ValidationFailed."""
    filters = read_filters(query)
    after = read_cursor(query.cursor, query.order, filters) if query.cursor is not None else None
    page = await store.list_runs(tx, query.order, filters, after, query.limit)
    runs = [show_run(row) for row in page.rows]
    more = write_cursor(_position_of(runs[-1], query.order), query.order, filters) if page.has_more else None
    total = (await store.count_runs(tx, (), filters))[0].amount if query.count else None
    return WorkflowRunPage.model_construct(items=runs, next_cursor=more, total=total)


def _position_of(run: WorkflowRun, order: str) -> Position:
    return Position(getattr(run, order.removeprefix("-")), run.workflow_run_id)


async def count_runs(tx: Tx, query: RunCountQuery) -> WorkflowRunCounts:
    """Return how many runs match, for each status (and name) that occurs. Raises ValidationFailed."""
    groups = ("status",) if query.by is CountBy.status else ("workflow_name", "status")
    rows = await store.count_runs(tx, groups, read_filters(query))
    return WorkflowRunCounts.model_construct(counts=[_read_count(row) for row in rows])


def _read_count(row: Any) -> WorkflowRunCount:
    return WorkflowRunCount(
        workflow_name=getattr(row, "workflow_name", None), status=RunStatus(row.status), count=row.amount
    )


async def list_history(tx: Tx, workflow_run_id: UUID, query: PageQuery) -> HistoryPage:
    """Return what happened to a run, oldest first. Raises NotFound, ValidationFailed."""
    await get_run(tx, workflow_run_id)
    after = read_offset(query.cursor, workflow_run_id) if query.cursor is not None else 0
    page = await history_store.list_history(tx, workflow_run_id, after, query.limit)
    entries = [_read_entry(row) for row in page.rows]
    more = write_offset(page.rows[-1].history_id, workflow_run_id) if page.has_more else None
    return HistoryPage.model_construct(items=entries, next_cursor=more)


def _read_entry(row: Any) -> HistoryEntry:
    return HistoryEntry.model_construct(
        at=row.at,
        verb=HistoryVerb(row.verb),
        from_=row.from_status and RunStatus(row.from_status),
        to=RunStatus(row.to_status),
        attempt=row.attempt,
        actor=row.actor,
        reason=row.reason,
        request_id=row.request_id,
    )
