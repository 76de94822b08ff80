"""Finding tasks."""

from typing import Any
from uuid import UUID

from app.db.engine import Tx
from app.domain.cursors import Position, read_cursor, write_cursor
from app.moves.tasks import read_task
from app.services.workflow_runs import get_run
from app.store import task_lists as store
from milepost.schemas.tasks import RunTaskQuery, TaskPage, TaskQuery, TaskStatus

_ALONE = ("queue", "task_name", "workflow_run_id", "parent_task_id", "claimed_by", "created_after", "created_before")


async def list_tasks(tx: Tx, query: TaskQuery) -> TaskPage:
    """Return a page of the tasks that match. Raises ValidationFailed."""
    filters = {name: getattr(query, name) for name in _ALONE if getattr(query, name) is not None}
    return await _list(tx, query, filters | _read_statuses(query.status))


async def list_tasks_of_run(tx: Tx, workflow_run_id: UUID, query: RunTaskQuery) -> TaskPage:
    """Return a page of the tasks of a run. Raises NotFound, ValidationFailed."""
    await get_run(tx, workflow_run_id)
    filters: dict[str, Any] = {"workflow_run_id": workflow_run_id} | _read_statuses(query.status)
    if query.task_name is not None:
        filters["task_name"] = query.task_name
    return await _list(tx, query, filters)


def _read_statuses(wanted: list[TaskStatus]) -> dict[str, Any]:
    statuses = sorted(set(wanted))
    if len(statuses) == 1:
        return {"status": statuses[0]}
    return {"statuses": statuses} if statuses else {}


async def _list(tx: Tx, query: TaskQuery | RunTaskQuery, filters: dict[str, Any]) -> TaskPage:
    after = read_cursor(query.cursor, query.order, filters) if query.cursor is not None else None
    page = await store.list_tasks(tx, query.order, filters, after, query.limit)
    tasks = [read_task(row) for row in page.rows]
    more = None
    if page.has_more:
        more = write_cursor(Position(tasks[-1].created_at, tasks[-1].task_id), query.order, filters)
    total = await store.count_tasks(tx, filters) if query.count else None
    return TaskPage.model_construct(items=tasks, next_cursor=more, total=total)
