"""Workflow runs as they are stored, for everything that hangs on them."""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from app.db.engine import Tx
from app.domain.run_changes import move_refused
from app.errors import MoveNotAllowed
from app.store import executions as executions_store
from app.store import workflow_runs as store


async def hold_runs(tx: Tx, ids: Collection[UUID]) -> Mapping[UUID, Any]:
    """Return those of the runs that exist, and keep them from being ended or deleted before the transaction ends."""
    return {row.workflow_run_id: row for row in await store.share_runs(tx, list(ids))} if ids else {}


async def hold_runs_of_steps(tx: Tx, task_ids: Collection[UUID]) -> None:
    """Keep the runs of tasks that are work items of steps from being moved before the transaction ends."""
    if task_ids and (work := await executions_store.find_work(tx, list(task_ids))):
        await store.share_runs(tx, sorted(set(work.values())))


async def refuse_ended(tx: Tx, workflow_run_id: UUID) -> MoveNotAllowed:
    """Return the refusal of what needs a run that has not ended."""
    run = await store.get_run(tx, workflow_run_id)
    assert run is not None  # noqa: S101 - it is locked
    return move_refused(run, f"the run has ended as {run.status}; it takes no tasks")
