"""Pausing executed runs, and letting them go on."""

from uuid import UUID

from app.access.callers import Caller
from app.db.engine import Tx
from app.domain.moves import FINAL
from app.domain.run_changes import is_executed, move_refused
from app.domain.run_changes import pause_run as paused
from app.domain.shown_runs import show_run
from app.execution.cancelled_runs import lock_executions
from app.moves.runs import change_of, lock_run
from app.services.workflow_runs.read import get_run
from app.store import tasks as tasks_store
from app.store import workflow_runs as runs_store
from milepost.schemas.workflow_runs import HistoryVerb, WorkflowRun


async def pause_run(tx: Tx, workflow_run_id: UUID, caller: Caller, why: str | None = None) -> WorkflowRun:
    """Let an executed run hand out no work any more, and return it. Raises NotFound, MoveNotAllowed."""
    return await _set_paused(tx, workflow_run_id, caller, why, is_paused=True)


async def resume_run(tx: Tx, workflow_run_id: UUID, caller: Caller, why: str | None = None) -> WorkflowRun:
    """Let a paused run go on, and return it. Raises NotFound, MoveNotAllowed."""
    return await _set_paused(tx, workflow_run_id, caller, why, is_paused=False)


async def _set_paused(
    tx: Tx, workflow_run_id: UUID, caller: Caller, why: str | None, *, is_paused: bool
) -> WorkflowRun:
    await lock_executions(tx, [workflow_run_id], caller)
    run = await lock_run(tx, workflow_run_id)
    verb = HistoryVerb.pause if is_paused else HistoryVerb.resume
    if not is_executed(run):
        raise move_refused(run, f"only runs that the service executes can {verb}; this one is tracked for its caller")
    if run.status in FINAL:
        raise move_refused(run, f"the run has ended as {run.status}")
    if (run.paused_at is not None) is is_paused:
        return show_run(run)
    if is_paused:
        await tasks_store.withhold_tasks_of_run(tx, workflow_run_id)
    else:
        tx.ready[run.queue] += await tasks_store.offer_tasks_of_run(tx, workflow_run_id)
    after = paused(run, run.now, is_paused=is_paused)
    await runs_store.update_runs(tx, [change_of(run, after, caller, verb, why=why)])
    return await get_run(tx, workflow_run_id)
