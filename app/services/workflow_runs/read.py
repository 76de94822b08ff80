"""Reading workflow runs: one, many, counts, and what belongs to one."""

from collections.abc import Sequence
from uuid import UUID

from app.access.callers import Visit
from app.access.watching import watch
from app.db.batching import WHOLE_MOST, batched
from app.db.engine import Database, Tx
from app.db.wakeups import Wakeups
from app.domain.cursors import Position, read_cursor, read_offset, write_cursor, write_offset
from app.domain.json_texts import Storable
from app.domain.moves import FINAL
from app.domain.records import HistoryRow, WarningRow
from app.domain.run_filters import read_filters
from app.domain.shown_runs import show_run
from app.errors import Refusal
from app.moves.runs import run_not_found, topic_of
from app.services.tasks import list_page, read_statuses
from app.store import steps as steps_store
from app.store import workflow_run_history as history_store
from app.store import workflow_run_lists as run_lists_store
from app.store import workflow_runs as runs_store
from milepost.schemas.steps import RunWarning, RunWarningPage, StepQuery, StepStatus, WorkflowStep, WorkflowStepPage
from milepost.schemas.tasks import RunTaskQuery, TaskPage
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


async def get_run(tx: Tx, workflow_run_id: UUID) -> WorkflowRun:
    """Return one run as it stands. Raises NotFound."""
    row = await runs_store.get_run(tx, workflow_run_id)
    if row is None:
        raise run_not_found(workflow_run_id)
    return show_run(row)


async def _fetch_runs(tx: Tx, workflow_run_ids: Sequence[UUID]) -> Sequence[WorkflowRun | Refusal]:
    """Return each run as it stands."""
    tx.is_promise = False
    tx.commit_each()
    rows = await runs_store.get_runs(tx, list(set(workflow_run_ids)))
    runs = {row.workflow_run_id: show_run(row) for row in rows}
    return [runs.get(workflow_run_id) or run_not_found(workflow_run_id) for workflow_run_id in workflow_run_ids]


fetch_run = batched(_fetch_runs, WHOLE_MOST)
"""Return one run as it stands, read together with what others ask for. Raises NotFound."""


async def wait_until_ended(
    database: Database, wakeups: Wakeups, workflow_run_id: UUID, timeout_seconds: float, visit: Visit
) -> WorkflowRun:
    """Return the run once it has ended, or as it stands after ``timeout_seconds``. Raises NotFound, Unauthenticated."""

    async def look(tx: Tx) -> WorkflowRun:
        return await get_run(tx, workflow_run_id)

    topic = topic_of(workflow_run_id)
    return await watch(database, wakeups, topic, look, lambda run: run.status in FINAL, timeout_seconds, visit)


async def list_runs(tx: Tx, query: RunQuery) -> WorkflowRunPage:
    """Return a page of the runs that match. Raises ValidationFailed."""
    filters = read_filters(query)
    after = read_cursor(query.cursor, query.order, filters) if query.cursor is not None else None
    page = await run_lists_store.list_runs(tx, query.order, filters, after, query.limit)
    runs = [show_run(row) for row in page.rows]
    more = write_cursor(_position_of(runs[-1], query.order), query.order, filters) if page.has_more else None
    total = (await run_lists_store.count_runs(tx, (), filters))[0].amount if query.count else None
    return WorkflowRunPage.model_construct(items=runs, next_cursor=more, total=total)


def _position_of(run: WorkflowRun, order: str) -> Position:
    return Position(getattr(run, order.removeprefix("-")), run.workflow_run_id)


async def count_runs(tx: Tx, query: RunCountQuery) -> WorkflowRunCounts:
    """Return how many runs match, for each status (and name) that occurs. Raises ValidationFailed."""
    groups = ("status",) if query.by is CountBy.status else ("workflow_name", "status")
    rows = await run_lists_store.count_runs(tx, groups, read_filters(query))
    return WorkflowRunCounts.model_construct(counts=[_read_count(row) for row in rows])


def _read_count(row: run_lists_store.Counted) -> WorkflowRunCount:
    status = RunStatus(row.values["status"])
    return WorkflowRunCount(workflow_name=row.values.get("workflow_name"), status=status, count=row.amount)


async def list_history(tx: Tx, workflow_run_id: UUID, query: PageQuery) -> HistoryPage:
    """Return what happened to a run, oldest first. Raises NotFound, ValidationFailed."""
    await get_run(tx, workflow_run_id)
    after = read_offset(query.cursor, workflow_run_id) if query.cursor is not None else 0
    page = await history_store.list_history(tx, workflow_run_id, after, query.limit)
    entries = [_read_entry(row) for row in page.rows]
    more = write_offset(page.rows[-1].history_id, workflow_run_id) if page.has_more else None
    return HistoryPage.model_construct(items=entries, next_cursor=more)


def _read_entry(row: HistoryRow) -> HistoryEntry:
    return HistoryEntry.model_construct(
        at=row.at,
        verb=HistoryVerb(row.verb),
        from_=None if row.from_status is None else RunStatus(row.from_status),
        to=RunStatus(row.to_status),
        attempt=row.attempt,
        actor=row.actor,
        reason=row.reason,
        request_id=row.request_id,
    )


async def list_steps(tx: Tx, workflow_run_id: UUID, query: StepQuery) -> WorkflowStepPage:
    """Return a page of the steps of a run; a run that is only tracked has none. Raises NotFound, ValidationFailed."""
    await get_run(tx, workflow_run_id)
    owner = f"{workflow_run_id}/{','.join(sorted(query.status))}"
    after = read_offset(query.cursor, owner) if query.cursor is not None else 0
    page = await steps_store.list_steps(tx, workflow_run_id, query.status, after, query.limit)
    items = [_read_step(row) for row in page.rows]
    more = write_offset(page.rows[-1].sequence, owner) if page.has_more else None
    return WorkflowStepPage.model_construct(items=items, next_cursor=more)


def _read_step(row: steps_store.ListedStep) -> WorkflowStep:
    shown = {name: getattr(row, name) for name in WorkflowStep.model_fields}
    return WorkflowStep.model_construct(None, **shown | {"status": StepStatus(row.status)})


async def list_warnings(tx: Tx, workflow_run_id: UUID, query: PageQuery) -> RunWarningPage:
    """Return a page of the warnings of a run. Raises NotFound, ValidationFailed."""
    await get_run(tx, workflow_run_id)
    after = read_offset(query.cursor, workflow_run_id) if query.cursor is not None else 0
    page = await steps_store.list_warnings(tx, workflow_run_id, after, query.limit)
    items = [_read_warning(row) for row in page.rows]
    more = write_offset(page.rows[-1].warning_id, workflow_run_id) if page.has_more else None
    return RunWarningPage.model_construct(items=items, next_cursor=more)


def _read_warning(row: WarningRow) -> RunWarning:
    detail = f"{row.path}: {{{{{row.expression}}}}} has no value; the text was left as it stands"
    return RunWarning.model_construct(path=row.path, code=row.code, expression=row.expression, detail=detail, at=row.at)


async def list_tasks_of_run(tx: Tx, workflow_run_id: UUID, query: RunTaskQuery) -> TaskPage:
    """Return a page of the tasks of a run. Raises NotFound, ValidationFailed."""
    await get_run(tx, workflow_run_id)
    filters: dict[str, Storable] = {"workflow_run_id": workflow_run_id, **read_statuses(query.status)}
    if query.task_name is not None:
        filters["task_name"] = query.task_name
    return await list_page(tx, query, filters)
