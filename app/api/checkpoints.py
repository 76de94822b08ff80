"""Checkpoints over HTTP: the stored results of steps inside tasks."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api.answers import answer, answer_page, answer_report
from app.api.calls import InKernel, ReadTx
from app.api.door import Door, needs
from app.api.leases import TOLD
from app.api.problems import problems
from app.api.tables import checkpoint_table
from app.errors import NotFound
from app.moves.leases import Report
from app.services import checkpoints as service
from milepost.schemas.operations import Scope
from milepost.schemas.tasks import Checkpoint, Checkpoints, CheckpointWrite
from milepost.schemas.wire import PageQuery

router = APIRouter(prefix="/v1/tasks/{task_id}/checkpoints", route_class=Door)


@router.get("", tags=["tasks"], response_model=Checkpoints, responses=problems(NotFound))
@needs(Scope.read)
async def list_checkpoints(
    request: Request, task_id: UUID, query: Annotated[PageQuery, Query()], tx: ReadTx
) -> Response:
    """Return the checkpoints of a task in the order of writing."""
    return answer_page(request, await service.list_checkpoints(tx, task_id, query), checkpoint_table)


@router.get("/{name:text}", tags=["tasks"], response_model=Checkpoint, responses=problems(NotFound))
@needs(Scope.read)
async def get_checkpoint(task_id: UUID, name: str, tx: ReadTx) -> Response:
    """Return one checkpoint."""
    return answer(await service.get_checkpoint(tx, task_id, name))


@router.put("/{name:text}", tags=["worker calls"], response_model=Checkpoint, responses=TOLD)
@needs(Scope.work)
async def put_checkpoint(
    task_id: UUID, name: Annotated[str, Path(min_length=1, max_length=255)], body: CheckpointWrite, kernel: InKernel
) -> Response:
    """Store the result of a step, so that a later attempt need not do it again.

    A task has at most 10,000 checkpoints, and at most 16 MiB of states.
    """
    report = Report(task_id, body, "put_checkpoint", name)
    return answer_report(await service.put_checkpoint(kernel.batching, report))
