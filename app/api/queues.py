"""Queues over HTTP: claiming from them, their limits, and the events on them."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api.answers import answer, answer_page
from app.api.calls import InKernel, ReadTx, WriteTx
from app.api.door import Door, needs
from app.api.problems import problems
from app.api.tables import queue_table
from app.errors import IdempotencyKeyReused, MoveNotAllowed, NotFound, ValidationFailed
from app.services import queues as service
from milepost.schemas.operations import Scope
from milepost.schemas.queues import (
    Queue,
    QueuePage,
    QueueSettings,
    QueueUpdate,
)
from milepost.schemas.tasks import WorkerId
from milepost.schemas.wire import PageQuery, QueueName

InQueue = Annotated[QueueName, Path(description="Name of the queue.")]
Name = Annotated[str, Path(min_length=1, max_length=255, description="Name of the event.")]
Worker = Annotated[WorkerId, Path(description="The worker, as it calls itself in claims.")]
CLAIMING = problems(ValidationFailed, IdempotencyKeyReused)
router = APIRouter(prefix="/v1/queues", tags=["queues"], route_class=Door)


@router.get("", response_model=QueuePage)
@needs(Scope.read)
async def list_queues(request: Request, query: Annotated[PageQuery, Query()], kernel: InKernel, tx: ReadTx) -> Response:
    """Return the queues by name, with their depth and who works on them."""
    return answer_page(request, await service.list_queues(tx, kernel.sightings, query), queue_table)


@router.get("/{queue}", response_model=Queue, responses=problems(NotFound))
@needs(Scope.read)
async def get_queue(queue: InQueue, kernel: InKernel, tx: ReadTx) -> Response:
    """Return one queue, with its depth and who works on it."""
    return answer(await service.show_queue(tx, kernel.sightings, queue))


@router.put(
    "/{queue}",
    response_model=Queue,
    responses={201: {"model": Queue, "description": "The queue was made."}},
)
@needs(Scope.write)
async def put_queue(queue: InQueue, tx: WriteTx, body: QueueSettings | None = None) -> Response:
    """Give a queue these limits, and the others their defaults; it is made if need be (201)."""
    found, is_new = await service.put_queue(tx, queue, body or QueueSettings())
    return answer(found, status=201 if is_new else 200)


@router.patch("/{queue}", response_model=Queue, responses=problems(NotFound))
@needs(Scope.write)
async def update_queue(queue: InQueue, body: QueueUpdate, tx: WriteTx) -> Response:
    """Change limits of a queue, or pause or resume it; what is absent stays as it is, null removes a limit."""
    return answer(await service.update_queue(tx, queue, body))


@router.delete("/{queue}", status_code=204, responses=problems(NotFound, MoveNotAllowed))
@needs(Scope.write)
async def delete_queue(queue: InQueue, tx: WriteTx) -> None:
    """Delete a queue that has no open tasks, with its limits and its events."""
    await service.delete_queue(tx, queue)


@router.delete("/{queue}/workers/{worker_id:text}", status_code=204)
@needs(Scope.work)
async def sign_off_worker(queue: InQueue, worker_id: Worker, kernel: InKernel, tx: WriteTx) -> None:
    """Say that a worker stops in good order: it does not count as seen any more, until it claims again.

    Its leases stay. Saying it twice, or of a worker that nobody has seen, changes nothing.
    """
    await service.sign_off_worker(tx, kernel.sightings, queue, worker_id)
