"""Opening workflow runs again that have failed or were cancelled."""

from uuid import UUID

from app.access.callers import Caller
from app.access.idempotency import IdempotencyKey, Reply, answer_alone
from app.db.engine import Tx
from app.domain.highway.engine.actions import Retry
from app.domain.json_texts import write_json
from app.domain.run_changes import reopen_run
from app.execution.dropped_children import cancel_children_of
from app.execution.session import Executions
from app.moves.runs import change_of, lock_run
from app.moves.tasks import reopen_tasks
from app.services.workflow_runs.read import get_run
from app.store import tasks as tasks_store
from app.store import workflow_runs as runs_store
from milepost.schemas.workflow_runs import HistoryVerb, WorkflowRun, WorkflowRunRetry


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
    executions = Executions(tx, caller)
    await executions.lock_with_children(workflow_run_id)
    run = await lock_run(tx, workflow_run_id)
    reopened = change_of(run, reopen_run(run, run.now), caller, HistoryVerb.retry, why=how.reason)
    execution = executions.runs.get(workflow_run_id)
    if execution is None:
        await runs_store.update_runs(tx, [reopened])
        await reopen_tasks(tx, await tasks_store.lock_tasks_to_reopen(tx, workflow_run_id))
        return await get_run(tx, workflow_run_id)
    await cancel_children_of(executions, workflow_run_id)  # those of the steps that now start others
    execution.is_to_be_cancelled = False
    await execution.load_all(tx)
    await executions.act(workflow_run_id, Retry())
    await runs_store.update_runs(tx, [reopened])
    await executions.write()
    return await get_run(tx, workflow_run_id)
