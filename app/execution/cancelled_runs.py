"""Runs that are asked to end: they are cancelled when nobody works on them any more, or their grace is over."""

from collections.abc import Sequence
from uuid import UUID

from app.access.callers import HOUSEKEEPING, Caller
from app.db.engine import Tx
from app.domain.highway.engine.actions import Cancel
from app.domain.run_changes import cancel_run as cancelled
from app.execution.session import Executions
from app.moves.runs import change_of, topic_of
from app.moves.tasks import cancel_open_tasks
from app.store import due_executions as due_executions_store
from app.store import run_ends as ends_store
from app.store import workflow_runs as runs_store
from milepost.schemas.reasons import Reason
from milepost.schemas.workflow_runs import HistoryVerb


async def find_cancelled_runs(tx: Tx, most: int) -> Sequence[UUID]:
    """Return up to about ``most`` runs whose grace is over or whose last running task has ended."""
    executed = await due_executions_store.list_cancelled_executions(tx, most)
    return [*executed, *await ends_store.find_cancelled_runs(tx, most)]


async def finish_cancelled_runs(tx: Tx, workflow_run_ids: Sequence[UUID]) -> int:
    """Cancel those of the runs whose grace is over or whose last running task has ended; how many they were."""
    executions = await lock_executions(tx, workflow_run_ids, HOUSEKEEPING)
    ids = [*await ends_store.lock_cancelled_runs(tx, workflow_run_ids)]
    ids += executions.runs.keys() & set(await due_executions_store.list_cancelled_of(tx, workflow_run_ids))
    if ids:
        await finish_cancel(executions, ids, HOUSEKEEPING)
    return len(ids)


async def lock_executions(tx: Tx, ids: Sequence[UUID], caller: Caller) -> Executions:
    """Lock those of the runs that the service executes, with the runs that started them."""
    executions = Executions(tx, caller)
    await executions.lock(ids)
    return executions


async def finish_cancel(executions: Executions, ids: Sequence[UUID], caller: Caller, why: str | None = None) -> None:
    """Cancel those of the runs that are open, with their tasks; the executed ones of them are locked."""
    tx = executions.tx
    executed = set(ids) & executions.runs.keys()
    for workflow_run_id in sorted(executed):
        await executions.act(workflow_run_id, Cancel())
    await executions.write()
    rows = await runs_store.lock_runs(
        tx, [workflow_run_id for workflow_run_id in ids if workflow_run_id not in executed]
    )
    open_runs = [row for row in rows if row.completed_at is None]
    await runs_store.update_runs(
        tx,
        [
            change_of(run, cancelled(run, run.now), caller, HistoryVerb.cancel, why=why or Reason.cancel_requested)
            for run in open_runs
        ],
    )
    await cancel_open_tasks(tx, ids, Reason.cancel_requested)
    tx.topics |= {topic_of(run.workflow_run_id) for run in open_runs}
