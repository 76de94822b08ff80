"""Logs over HTTP: lines of workflow runs and tasks."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api.answers import answer_created, answer_page
from app.api.calls import Creating, ReadTx
from app.api.door import Door, needs
from app.api.problems import problems
from app.api.tables import log_lines
from app.errors import IdempotencyKeyReused, NotFound, ValidationFailed
from app.services import logs as service
from milepost.schemas.logs import LogAppend, LogAppended, LogPage, LogQuery
from milepost.schemas.operations import Scope

APPENDING = problems(NotFound, ValidationFailed, IdempotencyKeyReused)
router = APIRouter(prefix="/v1", route_class=Door)


@router.post(
    "/workflow-runs/{workflow_run_id}/logs",
    tags=["workflow runs"],
    status_code=201,
    response_model=LogAppended,
    responses=APPENDING,
)
@needs(Scope.write, Scope.work)
async def append_run_logs(workflow_run_id: UUID, body: LogAppend, call: Creating) -> Response:
    """Append lines to the log of a workflow run, also of one that has ended. They keep the run's attempt.

    All lines of a call are appended, or none, in their order. With an `Idempotency-Key` a repeat appends nothing more.
    """
    append = service.Append(workflow_run_id, body, call.key)
    return answer_created(await service.append_to_run(call.kernel.batching, append))


@router.get(
    "/workflow-runs/{workflow_run_id}/logs",
    tags=["workflow runs"],
    response_model=LogPage,
    responses=problems(NotFound),
)
@needs(Scope.read)
async def list_run_logs(
    request: Request, workflow_run_id: UUID, query: Annotated[LogQuery, Query()], tx: ReadTx
) -> Response:
    """Return the log of a workflow run with the lines of its tasks, oldest first unless `order` says otherwise.

    With `level`, `q` or `attempt` a page may hold few lines, or none, and still have a `next_cursor`: it looks at a
    bounded number of lines. With `Accept: text/plain` a line is its time, its level and its text.
    """
    return answer_page(request, await service.list_run_lines(tx, workflow_run_id, query), log_lines)


@router.post("/tasks/{task_id}/logs", tags=["tasks"], status_code=201, response_model=LogAppended, responses=APPENDING)
@needs(Scope.write, Scope.work)
async def append_task_logs(task_id: UUID, body: LogAppend, call: Creating) -> Response:
    """Append lines to the log of a task; they keep its attempt, and stand in the log of its run too.

    It needs no lease. All lines of a call are appended, or none, in their order. With an `Idempotency-Key` a repeat
    appends nothing more.
    """
    append = service.Append(task_id, body, call.key)
    return answer_created(await service.append_to_task(call.kernel.batching, append))


@router.get("/tasks/{task_id}/logs", tags=["tasks"], response_model=LogPage, responses=problems(NotFound))
@needs(Scope.read)
async def list_task_logs(request: Request, task_id: UUID, query: Annotated[LogQuery, Query()], tx: ReadTx) -> Response:
    """Return the log of a task, oldest first unless `order` says otherwise.

    With `level`, `q` or `attempt` a page may hold few lines, or none, and still have a `next_cursor`: it looks at a
    bounded number of lines. With `Accept: text/plain` a line is its time, its level and its text.
    """
    return answer_page(request, await service.list_task_lines(tx, task_id, query), log_lines)
