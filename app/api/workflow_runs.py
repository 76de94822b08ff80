"""Workflow runs over HTTP: executions of named, versioned workflows, and how far they are."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api.answers import answer, answer_created, answer_page, answer_report, answer_revision, answer_verb
from app.api.calls import Creating, CurrentCaller, CurrentVisit, IfMatch, InKernel, OnceKey, Patience, ReadTx, WriteTx
from app.api.door import Door, needs
from app.api.problems import problems
from app.api.tables import history_table, run_facts, run_table, step_table, task_table, warning_table
from app.errors import (
    HeartbeatNotDeclared,
    IdempotencyKeyReused,
    MoveNotAllowed,
    NotFound,
    OpenTasks,
    PreconditionFailed,
    ValidationFailed,
)
from app.services.workflow_runs import cancel, create, delete, heartbeat, pause, read, rerun, retry, spawn, update
from milepost.schemas.operations import Scope
from milepost.schemas.steps import RunWarningPage, StepQuery, WorkflowRunRerun, WorkflowStepPage
from milepost.schemas.tasks import RunTaskQuery, Spawned, TaskPage, TaskSpec
from milepost.schemas.wire import NoBody, PageQuery
from milepost.schemas.workflow_runs import (
    HistoryPage,
    RunBeat,
    RunCountQuery,
    RunHeartbeat,
    RunQuery,
    WorkflowRun,
    WorkflowRunBatch,
    WorkflowRunCancel,
    WorkflowRunCounts,
    WorkflowRunCreate,
    WorkflowRunPage,
    WorkflowRunRetry,
    WorkflowRuns,
    WorkflowRunUpdate,
)

RETRYING = problems(NotFound, MoveNotAllowed, ValidationFailed, IdempotencyKeyReused)
CREATING = problems(ValidationFailed, IdempotencyKeyReused)
ADDRESS = "/v1/workflow-runs"
router = APIRouter(prefix=ADDRESS, tags=["workflow runs"], route_class=Door)


@router.post("", status_code=201, response_model=WorkflowRun, responses=CREATING)
@needs(Scope.write)
async def create_workflow_run(body: WorkflowRunCreate, call: Creating) -> Response:
    """Record a workflow run; it is `pending` until a PATCH moves it.

    Send an `Idempotency-Key` and the request can be repeated safely after a lost answer: a repeat is answered with
    status 200, `Idempotency-Replayed: true` and the first answer.
    """
    new = create.Creation([body], call.caller, call.key, traceparent=call.traceparent)
    return answer_created(await create.create_runs(call.kernel.batching, new), ADDRESS)


@router.post("/batch", status_code=201, response_model=WorkflowRuns, responses=CREATING)
@needs(Scope.write)
async def create_workflow_runs(body: WorkflowRunBatch, call: Creating) -> Response:
    """Record up to 1000 workflow runs in one transaction: all of them or none."""
    new = create.Creation(body.workflow_runs, call.caller, call.key, many=True, traceparent=call.traceparent)
    return answer_created(await create.create_runs(call.kernel.batching, new))


@router.get("", response_model=WorkflowRunPage)
@needs(Scope.read)
async def list_workflow_runs(request: Request, query: Annotated[RunQuery, Query()], tx: ReadTx) -> Response:
    """Find workflow runs by name, status, tags, times and more; newest first unless `order` says otherwise.

    With `Accept: text/plain` the page is an aligned table for a terminal.
    """
    return answer_page(request, await read.list_runs(tx, query), run_table)


@router.get("/counts", response_model=WorkflowRunCounts)
@needs(Scope.read)
async def count_workflow_runs(query: Annotated[RunCountQuery, Query()], tx: ReadTx) -> Response:
    """Count the workflow runs that match, by status or by name and status; what does not occur is left out."""
    return answer(await read.count_runs(tx, query))


@router.get("/{workflow_run_id}", response_model=WorkflowRun, responses=problems(NotFound))
@needs(Scope.read)
async def get_workflow_run(request: Request, workflow_run_id: UUID, kernel: InKernel) -> Response:
    """Return one workflow run with its progress.

    With `Accept: text/plain` it is written one fact a line for a terminal.
    """
    run = await read.fetch_run(kernel.batching, workflow_run_id)
    return answer_revision(run, request=request, text=run_facts)


@router.patch(
    "/{workflow_run_id}",
    response_model=WorkflowRun,
    responses=problems(NotFound, MoveNotAllowed, OpenTasks, PreconditionFailed),
)
@needs(Scope.write)
async def update_workflow_run_status(
    workflow_run_id: UUID,
    body: Annotated[WorkflowRunUpdate, Body(default_factory=WorkflowRunUpdate)],
    kernel: InKernel,
    caller: CurrentCaller,
    if_match: IfMatch,
) -> Response:
    """Move a workflow run to a new status, or set its result, error, times, task count or tags.

    What is absent stays as it is; null is a value. A run that has ended keeps its status, result, error and times;
    saying again what it already holds is answered 200 and changes nothing.
    """
    change = update.Update(workflow_run_id, body, caller, if_match)
    return answer_report(await update.update_run(kernel.batching, change))


@router.post(
    "/{workflow_run_id}/heartbeat", response_model=RunHeartbeat, responses=problems(NotFound, HeartbeatNotDeclared)
)
@needs(Scope.write)
async def heartbeat_workflow_run(workflow_run_id: UUID, kernel: InKernel, body: RunBeat | None = None) -> Response:
    """Say that the process behind a running workflow run is alive, and how far; learn whether it is asked to stop.

    Only for runs created with `heartbeat_seconds`. The answer to a heartbeat for an ended run is 200 with its status.
    """
    beat = heartbeat.Beat(workflow_run_id, body or RunBeat())
    return answer(await heartbeat.heartbeat_run(kernel.batching, beat))


@router.post("/{workflow_run_id}/cancel", response_model=WorkflowRun, responses=problems(NotFound, MoveNotAllowed))
@needs(Scope.write)
async def cancel_workflow_run(
    workflow_run_id: UUID, tx: WriteTx, caller: CurrentCaller, body: WorkflowRunCancel | None = None
) -> Response:
    """Cancel a workflow run: what does not run is cancelled now, what runs is asked to stop.

    When the last of it has ended, or the grace is over, the run is `cancelled`; at once where nothing runs.
    """
    return answer_revision(await cancel.cancel_run(tx, workflow_run_id, body or WorkflowRunCancel(), caller))


@router.post("/{workflow_run_id}/retry", response_model=WorkflowRun, responses=RETRYING)
@needs(Scope.write)
async def retry_workflow_run(
    workflow_run_id: UUID, tx: WriteTx, caller: CurrentCaller, key: OnceKey, body: WorkflowRunRetry | None = None
) -> Response:
    """Open a failed or cancelled workflow run again, as its next attempt, with its failed and cancelled tasks.

    What has been completed stays. The clocks of its deadline and heartbeat start anew. With an `Idempotency-Key` a
    repeat is answered as the first was, and nothing is retried again.
    """
    how = body or WorkflowRunRetry()
    return answer_verb(await retry.retry_run_once(tx, workflow_run_id, how, caller, key))


@router.get("/{workflow_run_id}/tasks", response_model=TaskPage, responses=problems(NotFound))
@needs(Scope.read)
async def list_workflow_run_tasks(
    request: Request, workflow_run_id: UUID, query: Annotated[RunTaskQuery, Query()], tx: ReadTx
) -> Response:
    """Return the tasks of a workflow run, oldest first unless `order` says otherwise."""
    return answer_page(request, await read.list_tasks_of_run(tx, workflow_run_id, query), task_table)


@router.post(
    "/{workflow_run_id}/tasks",
    status_code=201,
    response_model=Spawned,
    responses=problems(NotFound, MoveNotAllowed, ValidationFailed, IdempotencyKeyReused),
)
@needs(Scope.write)
async def spawn_linked_task(
    workflow_run_id: UUID,
    body: TaskSpec,
    call: Creating,
) -> Response:
    """Spawn a task that belongs to this workflow run; on the run's queue unless the task names another."""
    spawning = spawn.spawn_task(call.kernel.batching, workflow_run_id, body, call.caller, call.key, call.traceparent)
    return answer_created(await spawning, "/v1/tasks")


@router.get("/{workflow_run_id}/history", response_model=HistoryPage, responses=problems(NotFound))
@needs(Scope.read)
async def list_workflow_run_history(
    request: Request, workflow_run_id: UUID, query: Annotated[PageQuery, Query()], tx: ReadTx
) -> Response:
    """Return every status change and verb in the life of a workflow run, oldest first; the first is its creation."""
    return answer_page(request, await read.list_history(tx, workflow_run_id, query), history_table)


@router.get("/{workflow_run_id}/wait", response_model=WorkflowRun, responses=problems(NotFound))
@needs(Scope.read)
async def wait_for_workflow_run(
    workflow_run_id: UUID, kernel: InKernel, patience: Patience, visit: CurrentVisit
) -> Response:
    """Wait until a workflow run has ended. Answers 200 with the run as it then stands, at the time-out too."""
    run = await read.wait_until_ended(kernel.database, kernel.wakeups, workflow_run_id, patience, visit)
    return answer_revision(run)


@router.delete("/{workflow_run_id}", status_code=204, responses=problems(NotFound, MoveNotAllowed, PreconditionFailed))
@needs(Scope.write)
async def delete_workflow_run(workflow_run_id: UUID, tx: WriteTx, if_match: IfMatch) -> None:
    """Delete a workflow run that has ended, with its history. Runs that name it as parent stay, without one."""
    await delete.delete_run(tx, workflow_run_id, if_match)


@router.get("/{workflow_run_id}/steps", response_model=WorkflowStepPage, responses=problems(NotFound))
@needs(Scope.read)
async def list_workflow_run_steps(
    request: Request, workflow_run_id: UUID, query: Annotated[StepQuery, Query()], tx: ReadTx
) -> Response:
    """Return the steps of an executed run, in the order in which they came into being; a tracked run has none."""
    return answer_page(request, await read.list_steps(tx, workflow_run_id, query), step_table)


@router.get("/{workflow_run_id}/warnings", response_model=RunWarningPage, responses=problems(NotFound))
@needs(Scope.read)
async def list_workflow_run_warnings(
    request: Request, workflow_run_id: UUID, query: Annotated[PageQuery, Query()], tx: ReadTx
) -> Response:
    """Return what was worth a warning in an executed run, such as a template without a value, oldest first."""
    return answer_page(request, await read.list_warnings(tx, workflow_run_id, query), warning_table)


@router.post("/{workflow_run_id}/pause", response_model=WorkflowRun, responses=problems(NotFound, MoveNotAllowed))
@needs(Scope.write)
async def pause_workflow_run(
    workflow_run_id: UUID, tx: WriteTx, caller: CurrentCaller, body: NoBody | None = None
) -> Response:
    """Let an executed run hand out no more work; what is being worked on is finished, and its clocks go on."""
    del body
    return answer_revision(await pause.pause_run(tx, workflow_run_id, caller))


@router.post("/{workflow_run_id}/resume", response_model=WorkflowRun, responses=problems(NotFound, MoveNotAllowed))
@needs(Scope.write)
async def resume_workflow_run(
    workflow_run_id: UUID, tx: WriteTx, caller: CurrentCaller, body: NoBody | None = None
) -> Response:
    """Let a paused run hand out its work again."""
    del body
    return answer_revision(await pause.resume_run(tx, workflow_run_id, caller))


@router.post(
    "/{workflow_run_id}/rerun",
    status_code=201,
    response_model=WorkflowRun,
    responses=problems(NotFound, MoveNotAllowed, ValidationFailed, IdempotencyKeyReused),
)
@needs(Scope.write)
async def rerun_workflow_run(workflow_run_id: UUID, body: WorkflowRunRerun, call: Creating) -> Response:
    """Do an executed run again from one of its steps, as a new run.

    What does not follow from the step and went well is taken over from this run; the rest is done again.
    """
    again = rerun.Rerun(workflow_run_id, body, call.caller, call.key)
    return answer_created(await rerun.rerun_run(call.kernel.batching, again), ADDRESS)
