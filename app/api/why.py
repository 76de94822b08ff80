"""Why over HTTP: what tasks, runs and schedules wait for, and what would change it."""

from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.api.answers import answer_explanation
from app.api.calls import InKernel, ReadTx
from app.api.door import Door, needs
from app.api.problems import problems
from app.errors import NotFound
from app.services import why as service
from milepost.schemas.operations import Scope
from milepost.schemas.why import Explanation

router = APIRouter(prefix="/v1", route_class=Door)


@router.get(
    "/workflow-runs/{workflow_run_id}/why",
    tags=["workflow runs"],
    response_model=Explanation,
    responses=problems(NotFound),
)
@needs(Scope.read)
async def explain_workflow_run(request: Request, workflow_run_id: UUID, kernel: InKernel, tx: ReadTx) -> Response:
    """Return why a run stands where it stands, and the call that would change it: the most decisive reason first.

    The reasons of its open tasks are among them. With `Accept: text/plain` they are sentences.
    """
    return answer_explanation(request, await service.explain_run(tx, kernel.sightings, workflow_run_id))


@router.get("/tasks/{task_id}/why", tags=["tasks"], response_model=Explanation, responses=problems(NotFound))
@needs(Scope.read)
async def explain_task(request: Request, task_id: UUID, kernel: InKernel, tx: ReadTx) -> Response:
    """Return why a task stands where it stands, and the call that would change it: the most decisive reason first.

    With `Accept: text/plain` the reasons are sentences.
    """
    return answer_explanation(request, await service.explain_task(tx, kernel.sightings, task_id))


@router.get(
    "/schedules/{schedule_id}/why", tags=["schedules"], response_model=Explanation, responses=problems(NotFound)
)
@needs(Scope.read)
async def explain_schedule(request: Request, schedule_id: UUID, tx: ReadTx) -> Response:
    """Return why a schedule fires or does not, and the call that would change it.

    With `Accept: text/plain` the reasons are sentences.
    """
    return answer_explanation(request, await service.explain_schedule(tx, schedule_id))
