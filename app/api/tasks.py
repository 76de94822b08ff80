"""Tasks over HTTP: units of work on queues, as those see them who want them done."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api.answers import answer_created, answer_page, answer_revision, answer_verb
from app.api.calls import Creating, CurrentVisit, InKernel, OnceKey, Patience, ReadTx, WriteTx
from app.api.door import Door, needs
from app.api.problems import problems
from app.api.tables import attempt_table, task_facts, task_table
from app.errors import IdempotencyKeyReused, MoveNotAllowed, NotFound, ValidationFailed
from app.services import tasks as service
from milepost.schemas.operations import Scope
from milepost.schemas.tasks import (
    Spawned,
    SpawnedTasks,
    Task,
    TaskAttempts,
    TaskBatch,
    TaskPage,
    TaskQuery,
    TaskRetry,
    TaskSpec,
)
from milepost.schemas.wire import NoBody, PageQuery

SPAWNING = problems(MoveNotAllowed, ValidationFailed, IdempotencyKeyReused)
RETRYING = problems(NotFound, MoveNotAllowed, ValidationFailed, IdempotencyKeyReused)
ADDRESS = "/v1/tasks"
router = APIRouter(prefix=ADDRESS, tags=["tasks"], route_class=Door)


@router.post("", status_code=201, response_model=Spawned, responses=SPAWNING)
@needs(Scope.write)
async def spawn_task(body: TaskSpec, call: Creating) -> Response:
    """Spawn a task on a queue; a worker that claims it gets it under a lease.

    With `idempotency_key` a task is spawned once for ever: again, it is answered 200 and `created: false`. A task that
    names a workflow run is linked to it and counts in its progress.
    """
    spawn = service.Spawn([body], call.caller, call.key, traceparent=call.traceparent)
    return answer_created(await service.spawn_tasks(call.kernel.batching, spawn), ADDRESS)


@router.post("/batch", status_code=201, response_model=SpawnedTasks, responses=SPAWNING)
@needs(Scope.write)
async def spawn_tasks(body: TaskBatch, call: Creating) -> Response:
    """Spawn up to 1000 tasks in one transaction: all of them or none."""
    spawn = service.Spawn(body.tasks, call.caller, call.key, many=True, traceparent=call.traceparent)
    return answer_created(await service.spawn_tasks(call.kernel.batching, spawn))


@router.get("", response_model=TaskPage)
@needs(Scope.read)
async def list_tasks(request: Request, query: Annotated[TaskQuery, Query()], tx: ReadTx) -> Response:
    """Find tasks by queue, status, name, run, parent or worker, newest first unless `order` says otherwise.

    With `Accept: text/plain` the page is an aligned table for a terminal.
    """
    return answer_page(request, await service.list_tasks(tx, query), task_table)


@router.get("/{task_id}", response_model=Task, responses=problems(NotFound))
@needs(Scope.read)
async def get_task(request: Request, task_id: UUID, kernel: InKernel) -> Response:
    """Return one task with its newest attempt.

    With `Accept: text/plain` it is written one fact a line for a terminal.
    """
    return answer_revision(await service.fetch_task(kernel.batching, task_id), request=request, text=task_facts)


@router.get("/{task_id}/attempts", response_model=TaskAttempts, responses=problems(NotFound))
@needs(Scope.read)
async def list_task_attempts(
    request: Request, task_id: UUID, query: Annotated[PageQuery, Query()], tx: ReadTx
) -> Response:
    """Return every attempt of a task, oldest first, with what workers reported that had lost their lease."""
    return answer_page(request, await service.list_attempts(tx, task_id, query), attempt_table)


@router.get("/{task_id}/wait", response_model=Task, responses=problems(NotFound))
@needs(Scope.read)
async def wait_for_task(task_id: UUID, kernel: InKernel, patience: Patience, visit: CurrentVisit) -> Response:
    """Answer when the task has ended, or at the time-out, with the task as it then stands (200 both times)."""
    found = await service.wait_until_ended(kernel.database, kernel.wakeups, task_id, patience, visit)
    return answer_revision(found)


@router.post("/{task_id}/cancel", response_model=Task, responses=problems(NotFound))
@needs(Scope.write)
async def cancel_task(task_id: UUID, tx: WriteTx, body: NoBody | None = None) -> Response:
    """Cancel an open task at once; its worker learns it from its next call. An ended one stays as it is.

    Of a work item of an executed run the step fails, and the run goes on from there.
    """
    del body
    return answer_revision(await service.cancel_task(tx, task_id))


@router.post("/{task_id}/retry", response_model=Task, responses=RETRYING)
@needs(Scope.write)
async def retry_task(task_id: UUID, tx: WriteTx, key: OnceKey, body: TaskRetry | None = None) -> Response:
    """Open a failed or cancelled task for another attempt, or spawn a fresh task with the same spec.

    In place its checkpoints stay and its clocks start anew. A work item of an executed run is not retried by itself:
    its run is. With an `Idempotency-Key` a repeat is answered as the first was, and changes nothing.
    """
    return answer_verb(await service.retry_task_once(tx, task_id, body or TaskRetry(), key))
