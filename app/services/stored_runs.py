"""Workflow runs as they are stored, for everything that hangs on them."""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from app.db.engine import Tx
from app.domain.moves import allowed_for_run
from app.domain.progress import make_progress
from app.errors import MoveNotAllowed
from app.schemas.reasons import Reason
from app.schemas.workflow_runs import RunStatus, WorkflowRun
from app.store import executions as executions_store
from app.store import workflow_runs as store


def read_run(row: Any) -> WorkflowRun:
    """Return the run that ``row`` stores."""
    facts = {name: value for name, value in row._mapping.items() if name in WorkflowRun.model_fields}  # noqa: SLF001 - SQLAlchemy's public name for it
    facts["status"] = RunStatus(row.status)
    facts["reason"] = row.reason and Reason(row.reason)
    return WorkflowRun.model_construct(
        None,
        **facts,
        display_name=f"{row.workflow_name}__{row.workflow_version}",
        progress=make_progress(row.task_count, row.task_counts or {}),
    )


async def hold_runs(tx: Tx, ids: Collection[UUID]) -> Mapping[UUID, Any]:
    """Return those of the runs that exist, and keep them from being ended or deleted before the transaction ends."""
    return {row.workflow_run_id: row for row in await store.share_runs(tx, list(ids))} if ids else {}


async def hold_runs_of_steps(tx: Tx, task_ids: Collection[UUID]) -> None:
    """Keep the runs of tasks that are work items of steps from being moved before the transaction ends."""
    if task_ids and (work := await executions_store.find_work(tx, list(task_ids))):
        await store.share_runs(tx, sorted(set(work.values())))


async def refuse_ended(tx: Tx, workflow_run_id: UUID) -> MoveNotAllowed:
    """Return the refusal of what needs a run that has not ended."""
    run = read_run(await store.get_run(tx, workflow_run_id))
    return MoveNotAllowed(
        f"the run has ended as {run.status}; it takes no tasks", current=run, allowed=allowed_for_run(run.status)
    )
