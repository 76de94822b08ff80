"""Deleting workflow runs."""

from uuid import UUID

from app.db.engine import Tx
from app.domain.moves import FINAL
from app.domain.preconditions import Precondition
from app.domain.run_changes import move_refused
from app.execution.dropped_children import cancel_children_of
from app.execution.session import Executions
from app.moves.runs import check_precondition, lock_run
from app.store import tasks as tasks_store
from app.store import workflow_runs as runs_store


async def delete_run(tx: Tx, workflow_run_id: UUID, precondition: Precondition | None) -> None:
    """Delete an ended run with all that hangs on it. Raises NotFound, PreconditionFailed, MoveNotAllowed."""
    executions = Executions(tx)
    await executions.lock_with_children(workflow_run_id)
    run = await lock_run(tx, workflow_run_id)
    check_precondition(run, precondition)
    if run.status not in FINAL:
        raise move_refused(run, f"a {run.status} run cannot be deleted; it has to end first")
    await cancel_children_of(executions, workflow_run_id)  # nobody would find them any more
    await executions.write()
    await tasks_store.lock_tasks_to_delete(tx, workflow_run_id)
    await runs_store.delete_run(tx, workflow_run_id)
