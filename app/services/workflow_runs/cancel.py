"""Cancelling workflow runs, with grace for what runs."""

from datetime import timedelta
from uuid import UUID

from app.access.callers import Caller
from app.db.engine import Tx
from app.domain.moves import FINAL
from app.domain.run_changes import move_refused, request_cancel
from app.domain.shown_runs import show_run
from app.execution.cancelled_runs import finish_cancel
from app.execution.session import Executions
from app.moves.runs import change_of, lock_run
from app.moves.tasks import cancel_open_tasks
from app.services.workflow_runs.read import get_run
from app.store import tasks as tasks_store
from app.store import workflow_runs as runs_store
from milepost.schemas.reasons import Reason
from milepost.schemas.workflow_runs import HistoryVerb, RunStatus, WorkflowRun, WorkflowRunCancel


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
        await runs_store.update_runs(tx, [change_of(run, asked, caller, HistoryVerb.cancel, why=how.reason)])
        await tasks_store.request_cancel(tx, [workflow_run_id])
    else:
        await finish_cancel(executions, [workflow_run_id], caller, how.reason)
    return await get_run(tx, workflow_run_id)
