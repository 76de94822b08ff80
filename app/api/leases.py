"""Leases over HTTP: what a worker says about a task that it holds."""

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from app.api.answers import answer_report
from app.api.calls import InKernel
from app.api.door import Door, needs
from app.api.problems import problems
from app.errors import AttemptFailed, LeaseLost, NotFound, TaskCancelled
from app.moves.leases import Report
from app.services import leases as service
from milepost.schemas.operations import Scope
from milepost.schemas.tasks import (
    EventAwait,
    EventAwaited,
    LeaseBody,
    Task,
    TaskCompletion,
    TaskFailure,
    TaskHeartbeat,
    TaskHeartbeatAnswer,
    TaskSleep,
)

TOLD = problems(NotFound, LeaseLost, TaskCancelled, AttemptFailed)
router = APIRouter(prefix="/v1/tasks/{task_id}", tags=["worker calls"], route_class=Door)


@router.post("/heartbeat", response_model=TaskHeartbeatAnswer, responses=TOLD)
@needs(Scope.work)
async def heartbeat_task(task_id: UUID, body: TaskHeartbeat, kernel: InKernel) -> Response:
    """Extend the lease, from now; learn whether the task is asked to stop."""
    return answer_report(await service.heartbeat_task(kernel.batching, Report(task_id, body, "heartbeat")))


@router.post("/sleep", response_model=Task, responses=TOLD)
@needs(Scope.work)
async def sleep_task(task_id: UUID, body: TaskSleep, kernel: InKernel) -> Response:
    """Put the task aside until a time: the lease ends, the attempt stays, and it is claimed again then."""
    return answer_report(await service.sleep_task(kernel.batching, Report(task_id, body, "sleep")))


@router.post("/await-event", response_model=EventAwaited, responses=TOLD)
@needs(Scope.work)
async def await_event(task_id: UUID, body: EventAwait, kernel: InKernel) -> Response:
    """Get an event that was emitted, or put the task aside until it is: `received`, `timed_out` or `suspended`.

    What came of it is remembered under `step_name`: asked again, the answer is the same.
    """
    return answer_report(await service.await_event(kernel.batching, Report(task_id, body, "await_event")))


@router.post("/complete", response_model=Task, responses=TOLD)
@needs(Scope.work)
async def complete_task(task_id: UUID, body: TaskCompletion, kernel: InKernel) -> Response:
    """Complete the task with its result. The same call with the same token and body is answered the same again."""
    report = Report(task_id, body, "complete")
    return answer_report(await service.complete_task(kernel.batching, report))


@router.post("/fail", response_model=Task, responses=TOLD)
@needs(Scope.work)
async def fail_task(task_id: UUID, body: TaskFailure, kernel: InKernel) -> Response:
    """End the attempt with an error; the task goes on with its next attempt, or has failed, as its spec says."""
    return answer_report(await service.fail_task(kernel.batching, Report(task_id, body, "fail")))


@router.post("/release", response_model=Task, responses=TOLD)
@needs(Scope.work)
async def release_task(task_id: UUID, body: LeaseBody, kernel: InKernel) -> Response:
    """Give the task back unharmed: it can be claimed at once, and no attempt is used up."""
    return answer_report(await service.release_task(kernel.batching, Report(task_id, body, "release")))
