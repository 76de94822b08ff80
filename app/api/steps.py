"""Executed runs over HTTP: their steps and warnings, and what only they can do: pause, resume, be done again."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api.answers import answer_created, answer_page, answer_revision
from app.api.calls import Creating, CurrentCaller, ReadTx, WriteTx
from app.api.door import Door, needs
from app.api.problems import problems
from app.api.tables import step_table, warning_table
from app.errors import IdempotencyKeyReused, MoveNotAllowed, NotFound, ValidationFailed
from app.services import run_verbs as verbs
from app.services import steps as service
from milepost.schemas.operations import Scope
from milepost.schemas.steps import RunWarningPage, StepQuery, WorkflowRunRerun, WorkflowStepPage
from milepost.schemas.wire import NoBody, PageQuery
from milepost.schemas.workflow_runs import WorkflowRun

router = APIRouter(prefix="/v1/workflow-runs/{workflow_run_id}", tags=["workflow runs"], route_class=Door)


@router.get("/steps", response_model=WorkflowStepPage, responses=problems(NotFound))
@needs(Scope.read)
async def list_workflow_run_steps(
    request: Request, workflow_run_id: UUID, query: Annotated[StepQuery, Query()], tx: ReadTx
) -> Response:
    """Return the steps of an executed run, in the order in which they came into being; a tracked run has none."""
    return answer_page(request, await service.list_steps(tx, workflow_run_id, query), step_table)


@router.get("/warnings", response_model=RunWarningPage, responses=problems(NotFound))
@needs(Scope.read)
async def list_workflow_run_warnings(
    request: Request, workflow_run_id: UUID, query: Annotated[PageQuery, Query()], tx: ReadTx
) -> Response:
    """Return what was worth a warning in an executed run, such as a template without a value, oldest first."""
    return answer_page(request, await service.list_warnings(tx, workflow_run_id, query), warning_table)


@router.post("/pause", response_model=WorkflowRun, responses=problems(NotFound, MoveNotAllowed))
@needs(Scope.write)
async def pause_workflow_run(
    workflow_run_id: UUID, tx: WriteTx, caller: CurrentCaller, body: NoBody | None = None
) -> Response:
    """Let an executed run hand out no more work; what is being worked on is finished, and its clocks go on."""
    del body
    return answer_revision(await verbs.set_run_paused(tx, workflow_run_id, caller, is_paused=True))


@router.post("/resume", response_model=WorkflowRun, responses=problems(NotFound, MoveNotAllowed))
@needs(Scope.write)
async def resume_workflow_run(
    workflow_run_id: UUID, tx: WriteTx, caller: CurrentCaller, body: NoBody | None = None
) -> Response:
    """Let a paused run hand out its work again."""
    del body
    return answer_revision(await verbs.set_run_paused(tx, workflow_run_id, caller, is_paused=False))


@router.post(
    "/rerun",
    status_code=201,
    response_model=WorkflowRun,
    responses=problems(NotFound, MoveNotAllowed, ValidationFailed, IdempotencyKeyReused),
)
@needs(Scope.write)
async def rerun_workflow_run(workflow_run_id: UUID, body: WorkflowRunRerun, call: Creating) -> Response:
    """Do an executed run again from one of its steps, as a new run.

    What does not follow from the step and went well is taken over from this run; the rest is done again.
    """
    rerun = service.Rerun(workflow_run_id, body, call.caller, call.key)
    return answer_created(await call.kernel.batching.run(service.rerun_each, rerun), "/v1/workflow-runs")
