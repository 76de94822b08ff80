"""Workflow runs over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api.answers import answer, answer_created, answer_page, answer_revision, prefers_text
from app.api.calls import CurrentCaller, IfMatch, InKernel, Once, ReadTx, WriteTx
from app.api.door import Door, needs
from app.api.problems import problems
from app.api.run_tables import history_table, run_facts, run_table
from app.errors import (
    HeartbeatNotDeclared,
    IdempotencyKeyReused,
    MoveNotAllowed,
    NotFound,
    PreconditionFailed,
    ValidationFailed,
)
from app.schemas.operations import Scope
from app.schemas.wire import NoBody
from app.schemas.workflow_runs import (
    HistoryPage,
    PageQuery,
    RunCountQuery,
    RunHeartbeat,
    RunQuery,
    WorkflowRun,
    WorkflowRunBatch,
    WorkflowRunCounts,
    WorkflowRunCreate,
    WorkflowRunPage,
    WorkflowRuns,
    WorkflowRunUpdate,
)
from app.services import workflow_run_lists as lists
from app.services import workflow_runs as service

CREATING = problems(ValidationFailed, IdempotencyKeyReused)
ADDRESS = "/v1/workflow-runs"
router = APIRouter(prefix=ADDRESS, tags=["workflow runs"], route_class=Door)


@router.post("", status_code=201, response_model=WorkflowRun, responses=CREATING)
@needs(Scope.write)
async def create_workflow_run(body: WorkflowRunCreate, kernel: InKernel, caller: CurrentCaller, key: Once) -> Response:
    """Record a workflow run; it is `pending` until a PATCH moves it.

    Send an `Idempotency-Key` and the request can be repeated safely after a lost answer: a repeat is answered with
    status 200, `Idempotency-Replayed: true` and the first answer.
    """
    reply = await kernel.batching.run(service.create_each, service.Creation([body], caller, key))
    return answer_created(reply, ADDRESS)


@router.post("/batch", status_code=201, response_model=WorkflowRuns, responses=CREATING)
@needs(Scope.write)
async def create_workflow_runs(body: WorkflowRunBatch, tx: WriteTx, caller: CurrentCaller, key: Once) -> Response:
    """Record up to 1000 workflow runs in one transaction: all of them or none."""
    return answer_created(await service.create_batch(tx, service.Creation(body.workflow_runs, caller, key, many=True)))


@router.get("", response_model=WorkflowRunPage)
@needs(Scope.read)
async def list_workflow_runs(request: Request, query: Annotated[RunQuery, Query()], tx: ReadTx) -> Response:
    """Find workflow runs by name, status, tags, times and more, newest first unless `order` says otherwise.

    With `Accept: text/plain` the page is an aligned table for a terminal.
    """
    return answer_page(request, await lists.list_runs(tx, query), run_table)


@router.get("/counts", response_model=WorkflowRunCounts)
@needs(Scope.read)
async def count_workflow_runs(query: Annotated[RunCountQuery, Query()], tx: ReadTx) -> Response:
    """Count the workflow runs that match, by status or by name and status; what does not occur is left out."""
    return answer(await lists.count_runs(tx, query))


@router.get("/{workflow_run_id}", response_model=WorkflowRun, responses=problems(NotFound))
@needs(Scope.read)
async def get_workflow_run(request: Request, workflow_run_id: UUID, tx: ReadTx) -> Response:
    """Return one workflow run with its progress.

    With `Accept: text/plain` it is written one fact a line for a terminal.
    """
    run = await service.get_run(tx, workflow_run_id)
    return run_facts(run) if prefers_text(request) else answer_revision(run)


@router.patch(
    "/{workflow_run_id}",
    response_model=WorkflowRun,
    responses=problems(NotFound, MoveNotAllowed, PreconditionFailed),
)
@needs(Scope.write)
async def update_workflow_run_status(
    workflow_run_id: UUID, body: WorkflowRunUpdate, kernel: InKernel, caller: CurrentCaller, if_match: IfMatch
) -> Response:
    """Move a workflow run to a new status, or set its result, error, times, task count or tags.

    What is absent stays as it is; null is a value. A run that has ended keeps its status, result, error and times;
    saying again what it already holds is answered 200 and changes nothing.
    """
    update = service.Update(workflow_run_id, body, caller, if_match)
    return answer_revision(await kernel.batching.run(service.update_each, update))


@router.post(
    "/{workflow_run_id}/heartbeat", response_model=RunHeartbeat, responses=problems(NotFound, HeartbeatNotDeclared)
)
@needs(Scope.write)
async def heartbeat_workflow_run(workflow_run_id: UUID, kernel: InKernel, body: NoBody | None = None) -> Response:
    """Say that the process behind a running workflow run is alive; learn whether it is asked to stop.

    Only for runs created with `heartbeat_seconds`. The answer to a heartbeat for an ended run is 200 with its status.
    """
    del body
    return answer(await kernel.batching.run(service.beat_each, workflow_run_id))


@router.get("/{workflow_run_id}/history", response_model=HistoryPage, responses=problems(NotFound))
@needs(Scope.read)
async def list_workflow_run_history(
    request: Request, workflow_run_id: UUID, query: Annotated[PageQuery, Query()], tx: ReadTx
) -> Response:
    """Return every status change and verb in the life of a workflow run, oldest first; the first is its creation."""
    return answer_page(request, await lists.list_history(tx, workflow_run_id, query), history_table)


@router.get("/{workflow_run_id}/wait", response_model=WorkflowRun, responses=problems(NotFound))
@needs(Scope.read)
async def wait_for_workflow_run(
    workflow_run_id: UUID,
    kernel: InKernel,
    timeout_seconds: Annotated[float, Query(ge=0, le=60, description="How long to wait, in seconds.")] = 30,
) -> Response:
    """Answer when the workflow run has ended, or at the time-out, with the run as it then stands (200 both times)."""
    run = await service.wait_until_ended(kernel.database, kernel.wakeups, workflow_run_id, timeout_seconds)
    return answer_revision(run)


@router.delete("/{workflow_run_id}", status_code=204, responses=problems(NotFound, MoveNotAllowed, PreconditionFailed))
@needs(Scope.write)
async def delete_workflow_run(workflow_run_id: UUID, tx: WriteTx, if_match: IfMatch) -> None:
    """Delete a workflow run that has ended, with its history. Runs that name it as parent stay, without one."""
    await service.delete_run(tx, workflow_run_id, if_match)
