"""The verbs of workflow runs: cancel with grace, and retry."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from app.access.callers import HOUSEKEEPING, Caller
from app.access.idempotency import IdempotencyKey, Reply, answer_alone
from app.db.engine import Tx
from app.domain.highway.engine.actions import Cancel, Retry
from app.domain.json_texts import write_json
from app.domain.moves import FINAL
from app.domain.run_changes import cancel_run as cancelled
from app.domain.run_changes import is_executed, move_refused, pause_run, reopen_run, request_cancel
from app.domain.shown_runs import show_run
from app.execution.session import Executions
from app.moves.runs import change_of, lock_run, topic_of
from app.moves.tasks import cancel_open_tasks, reopen_tasks
from app.services.workflow_runs import get_run
from app.store import executions as executions_store
from app.store import run_ends as ends_store
from app.store import tasks as tasks_store
from app.store import workflow_runs as store
from milepost.schemas.reasons import Reason
from milepost.schemas.workflow_runs import (
    HistoryVerb,
    RunStatus,
    WorkflowRun,
    WorkflowRunCancel,
    WorkflowRunRetry,
)


async def cancel_run(tx: Tx, workflow_run_id: UUID, how: WorkflowRunCancel, caller: Caller) -> WorkflowRun:
    """Cancel what does not run, ask what runs to stop, and return the run. Raises NotFound, MoveNotAllowed.

    A run that nobody works on any more is cancelled at once; one that is cancelled already stays as it is, and so does
    one that was asked to end no later.
    """
    executions = Executions(tx, caller)
    await executions.lock_with_children(workflow_run_id)
    run = await lock_run(tx, workflow_run_id)
    if run.status is RunStatus.cancelled:
        return show_run(run)
    if run.status in FINAL:
        raise move_refused(run, f"the run has ended as {run.status}; it cannot be cancelled")
    await cancel_open_tasks(tx, [workflow_run_id], Reason.cancel_requested, running_too=False)
    is_worked_on = run.heartbeat_expires_at or await tasks_store.has_running_tasks(tx, workflow_run_id)
    if is_worked_on and how.grace_seconds > 0:
        due_at = run.now + timedelta(seconds=how.grace_seconds)
        if run.cancel_requested_at is not None and due_at >= (run.cancel_due_at or run.now):
            return show_run(run)
        asked = request_cancel(run, run.now, due_at)
        await store.update_runs(tx, [change_of(run, asked, caller, HistoryVerb.cancel, why=how.reason)])
        await tasks_store.request_cancel(tx, [workflow_run_id])
    else:
        await _finish(executions, [workflow_run_id], caller, how.reason)
    return await get_run(tx, workflow_run_id)


async def find_cancelled_runs(tx: Tx, most: int) -> Sequence[UUID]:
    """Return up to about ``most`` runs whose grace is over or whose last running task has ended."""
    executed = await executions_store.list_cancelled_executions(tx, most)
    return [*executed, *await ends_store.find_cancelled_runs(tx, most)]


async def finish_cancelled_runs(tx: Tx, run_ids: Sequence[UUID]) -> int:
    """Cancel those of the runs whose grace is over or whose last running task has ended; how many they were."""
    executions = await _lock_executions(tx, run_ids, HOUSEKEEPING)
    ids = [*await ends_store.lock_cancelled_runs(tx, run_ids)]
    ids += executions.runs.keys() & set(await executions_store.list_cancelled_of(tx, run_ids))
    if ids:
        await _finish(executions, ids, HOUSEKEEPING)
    return len(ids)


async def _lock_executions(tx: Tx, ids: Sequence[UUID], caller: Caller) -> Executions:
    """Lock those of the runs that the service executes, with the runs that started them."""
    executions = Executions(tx, caller)
    await executions.lock(ids)
    return executions


async def _finish(executions: Executions, ids: Sequence[UUID], caller: Caller, why: str | None = None) -> None:
    tx = executions.tx
    executed = set(ids) & executions.runs.keys()
    for run_id in sorted(executed):
        await executions.act(run_id, Cancel())
    await executions.write()
    rows = await store.lock_runs(tx, [run_id for run_id in ids if run_id not in executed])
    open_runs = [row for row in rows if row.completed_at is None]
    await store.update_runs(
        tx,
        [
            change_of(run, cancelled(run, run.now), caller, HistoryVerb.cancel, why=why or Reason.cancel_requested)
            for run in open_runs
        ],
    )
    await cancel_open_tasks(tx, ids, Reason.cancel_requested)
    tx.topics |= {topic_of(run.workflow_run_id) for run in open_runs}


async def set_run_paused(tx: Tx, workflow_run_id: UUID, caller: Caller, *, is_paused: bool) -> WorkflowRun:
    """Let an executed run hand out no work any more, or go on, and return it. Raises NotFound, MoveNotAllowed."""
    await _lock_executions(tx, [workflow_run_id], caller)
    run = await lock_run(tx, workflow_run_id)
    verb = HistoryVerb.pause if is_paused else HistoryVerb.resume
    if not is_executed(run):
        raise move_refused(run, f"only runs that the service executes can {verb}; this one is tracked for its caller")
    if run.status in FINAL:
        raise move_refused(run, f"the run has ended as {run.status}")
    if (run.paused_at is not None) is is_paused:
        return show_run(run)
    if is_paused:
        await tasks_store.hold_tasks_of_run(tx, workflow_run_id)
    else:
        tx.ready[run.queue] += await tasks_store.release_tasks_of_run(tx, workflow_run_id)
    await store.update_runs(tx, [change_of(run, pause_run(run, run.now, is_paused=is_paused), caller, verb)])
    return await get_run(tx, workflow_run_id)


async def retry_run_once(
    tx: Tx, workflow_run_id: UUID, how: WorkflowRunRetry, caller: Caller, key: IdempotencyKey | None
) -> Reply:
    """Retry a run, unless a request with this key has done so before. Raises what `retry_run` does, and its own."""

    async def retry() -> Reply:
        run = await retry_run(tx, workflow_run_id, how, caller)
        return Reply(write_json(run), run.workflow_run_id)

    return await answer_alone(tx, key, retry)


async def retry_run(tx: Tx, workflow_run_id: UUID, how: WorkflowRunRetry, caller: Caller) -> WorkflowRun:
    """Open a failed or cancelled run again, with its failed and cancelled tasks. Raises NotFound, MoveNotAllowed."""
    executions = await _lock_executions(tx, [workflow_run_id], caller)
    run = await lock_run(tx, workflow_run_id)
    reopened = change_of(run, reopen_run(run, run.now), caller, HistoryVerb.retry, why=how.reason)
    execution = executions.runs.get(workflow_run_id)
    if execution is None:
        await store.update_runs(tx, [reopened])
        await reopen_tasks(tx, await tasks_store.lock_tasks_to_reopen(tx, workflow_run_id))
        return await get_run(tx, workflow_run_id)
    execution.is_to_be_cancelled = False
    await execution.load_all(tx)
    await executions.act(workflow_run_id, Retry())
    await store.update_runs(tx, [reopened])
    await executions.write()
    return await get_run(tx, workflow_run_id)
