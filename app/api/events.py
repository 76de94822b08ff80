"""Events over HTTP: emitted on a queue, or for one workflow run, looked at, and forgotten."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api.answers import answer, answer_page
from app.api.calls import ReadTx, WriteTx
from app.api.door import Door, needs
from app.api.problems import problems
from app.api.tables import event_table
from app.errors import IdempotencyKeyReused, NotFound, ValidationFailed
from app.services import events as service
from milepost.schemas.operations import Scope
from milepost.schemas.queues import (
    EmittedEvent,
    Event,
    EventEmit,
    EventPage,
    EventQuery,
)
from milepost.schemas.wire import QueueName

InQueue = Annotated[QueueName, Path(description="Name of the queue.")]
Name = Annotated[str, Path(min_length=1, max_length=255, description="Name of the event.")]
CLAIMING = problems(ValidationFailed, IdempotencyKeyReused)
router = APIRouter(prefix="/v1/queues/{queue}/events", tags=["queues"], route_class=Door)


@router.post(
    "/{event_name:text}",
    status_code=201,
    response_model=EmittedEvent,
    responses={200: {"model": EmittedEvent, "description": "It was emitted before; this is the first emit."}},
)
@needs(Scope.write)
async def emit_event(queue: InQueue, event_name: Name, tx: WriteTx, body: EventEmit | None = None) -> Response:
    """Emit an event: every task that awaits it wakes, and whoever awaits it later gets it at once.

    The first emit of a name wins. With `workflow_run_id` the name is that run's own.
    """
    event = await service.emit_event(tx, queue, event_name, body or EventEmit())
    return answer(event, status=201 if event.first else 200)


@router.get("", response_model=EventPage)
@needs(Scope.read)
async def list_events(request: Request, queue: InQueue, query: Annotated[EventQuery, Query()], tx: ReadTx) -> Response:
    """Return the events of a queue, oldest first."""
    return answer_page(request, await service.list_events(tx, queue, query), event_table)


@router.get("/{event_name:text}", response_model=Event, responses=problems(NotFound))
@needs(Scope.read)
async def get_event(
    queue: InQueue,
    event_name: Name,
    tx: ReadTx,
    workflow_run_id: Annotated[UUID | None, Query(description="The event of this run alone.")] = None,
) -> Response:
    """Return an event that was emitted."""
    return answer(await service.get_event(tx, queue, event_name, workflow_run_id))


@router.delete("/{event_name:text}", status_code=204, responses=problems(NotFound))
@needs(Scope.admin)
async def delete_event(
    queue: InQueue,
    event_name: Name,
    tx: WriteTx,
    workflow_run_id: Annotated[UUID | None, Query(description="The event of this run alone.")] = None,
) -> None:
    """Forget an event: who awaits its name from now on waits for the next emit, which is the first again.

    A wait that has had it keeps it.
    """
    await service.delete_event(tx, queue, event_name, workflow_run_id)
