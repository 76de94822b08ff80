"""Claims over HTTP: tasks handed out and results taken in."""

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from app.api.answers import answer_plain
from app.api.calls import CurrentVisit, InKernel, OnceKey
from app.api.door import Door, needs
from app.api.problems import problems
from app.errors import IdempotencyKeyReused, ValidationFailed
from app.services import claims as service
from milepost.schemas.operations import Scope
from milepost.schemas.tasks import Claim, ClaimedTasks, CompletionOutcomes, TaskCompletions
from milepost.schemas.wire import QueueName

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
    taken = await service.claim_tasks(kernel, queue, body, key, visit)
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
    taken = await service.complete_tasks(kernel, queue, body, key, visit)
    return answer_plain({"outcomes": taken.outcomes, "tasks": taken.tasks}, is_replayed=taken.replayed)
