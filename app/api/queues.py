"""Queues over HTTP: claiming from them, their limits, and the events on them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api.answers import answer, answer_page, answer_plain
from app.api.calls import CurrentVisit, InKernel, OnceKey, ReadTx, WriteTx
from app.api.door import Door, needs
from app.api.problems import problems
from app.api.tables import event_table, queue_table
from app.errors import IdempotencyKeyReused, MoveNotAllowed, NotFound, ValidationFailed
from app.services import claims, events
from app.services import queues as service
from milepost.schemas.operations import Scope
from milepost.schemas.queues import (
    EmittedEvent,
    Event,
    EventEmit,
    EventPage,
    EventQuery,
    Queue,
    QueuePage,
    QueueSettings,
    QueueUpdate,
)
from milepost.schemas.tasks import Claim, ClaimedTasks, CompletionOutcomes, TaskCompletions
from milepost.schemas.wire import PageQuery, QueueName

InQueue = Annotated[QueueName, Path(description="Name of the queue.")]
Name = Annotated[str, Path(min_length=1, max_length=255, description="Name of the event.")]
CLAIMING = problems(ValidationFailed, IdempotencyKeyReused)
router = APIRouter(prefix="/v1/queues", tags=["queues"], route_class=Door)


@router.post("/{queue}/claim", response_model=ClaimedTasks, responses=CLAIMING)
@needs(Scope.work)
async def claim_tasks(queue: InQueue, body: Claim, kernel: InKernel, visit: CurrentVisit, key: OnceKey) -> Response:
    """Take up to `limit` tasks, highest priority and then oldest first; each is yours until its lease expires.

    With `wait_seconds` the answer comes as soon as there is something to do. Empty when there is nothing. With an
    `Idempotency-Key` a repeat gives the same tasks and tokens as long as their leases last, without those that have
    been reported since; then it is a new claim.
    """
    turn = claims.Turn(queue, (), body, key)
    taken = await claims.take_turn(kernel.batching, kernel.wakeups, kernel.sightings, turn, visit)
    return answer_plain({"tasks": taken.tasks}, is_replayed=taken.replayed)


@router.post("/{queue}/complete", response_model=CompletionOutcomes, responses=CLAIMING)
@needs(Scope.work)
async def complete_tasks(
    queue: InQueue, body: TaskCompletions, kernel: InKernel, visit: CurrentVisit, key: OnceKey
) -> Response:
    """Complete a batch of tasks and, with `claim`, take the next ones in the same round trip.

    Each report has its own outcome: one that is refused does not stop the others. A report may be repeated as it is,
    the claim with an `Idempotency-Key`, as in `claim_tasks`.
    """
    turn = claims.Turn(queue, body.tasks, body.claim, key)
    taken = await claims.take_turn(kernel.batching, kernel.wakeups, kernel.sightings, turn, visit)
    return answer_plain({"outcomes": taken.outcomes, "tasks": taken.tasks}, is_replayed=taken.replayed)


@router.get("", response_model=QueuePage)
@needs(Scope.read)
async def list_queues(request: Request, query: Annotated[PageQuery, Query()], tx: ReadTx) -> Response:
    """Return the queues by name, with their depth and who works on them."""
    return answer_page(request, await service.list_queues(tx, query), queue_table)


@router.get("/{queue}", response_model=Queue, responses=problems(NotFound))
@needs(Scope.read)
async def get_queue(queue: InQueue, tx: ReadTx) -> Response:
    """Return one queue, with its depth and who works on it."""
    return answer(await service.get_queue(tx, queue))


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


@router.post(
    "/{queue}/events/{event_name:text}",
    status_code=201,
    response_model=EmittedEvent,
    responses={200: {"model": EmittedEvent, "description": "It was emitted before; this is the first emit."}},
)
@needs(Scope.write)
async def emit_event(queue: InQueue, event_name: Name, tx: WriteTx, body: EventEmit | None = None) -> Response:
    """Emit an event: every task that awaits it wakes, and whoever awaits it later gets it at once.

    The first emit of a name wins. With `workflow_run_id` the name is that run's own.
    """
    event = await events.emit_event(tx, queue, event_name, body or EventEmit())
    return answer(event, status=201 if event.first else 200)


@router.get("/{queue}/events", response_model=EventPage)
@needs(Scope.read)
async def list_events(request: Request, queue: InQueue, query: Annotated[EventQuery, Query()], tx: ReadTx) -> Response:
    """Return the events of a queue, oldest first."""
    return answer_page(request, await events.list_events(tx, queue, query), event_table)


@router.get("/{queue}/events/{event_name:text}", response_model=Event, responses=problems(NotFound))
@needs(Scope.read)
async def get_event(
    queue: InQueue,
    event_name: Name,
    tx: ReadTx,
    workflow_run_id: Annotated[UUID | None, Query(description="The event of this run alone.")] = None,
) -> Response:
    """Return an event that was emitted."""
    return answer(await events.get_event(tx, queue, event_name, workflow_run_id))
