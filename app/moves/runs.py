"""Workflow runs that are held or moved, for everything that hangs on them."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from app.access.callers import Caller
from app.db.engine import Tx
from app.domain.preconditions import Precondition
from app.domain.records import RunChange, RunRow
from app.domain.run_changes import allowed_for, move_refused
from app.domain.shown_runs import show_run
from app.errors import MoveNotAllowed, NotFound, PreconditionFailed
from app.moves.tasks import cancel_open_tasks
from app.store import executions as executions_store
from app.store import late_runs as late_runs_store
from app.store import run_ends as ends_store
from app.store import workflow_runs as runs_store
from app.store.workflow_runs import SharedRun
from milepost.schemas.reasons import Reason
from milepost.schemas.workflow_runs import HistoryVerb


async def pin_runs(tx: Tx, ids: Collection[UUID]) -> Mapping[UUID, SharedRun]:
    """Return those of the runs that exist, and keep them from being ended or deleted before the transaction ends."""
    return {row.workflow_run_id: row for row in await runs_store.share_runs(tx, list(ids))} if ids else {}


async def pin_runs_of_steps(tx: Tx, task_ids: Collection[UUID]) -> None:
    """Keep the runs of tasks that are work items of steps from being moved before the transaction ends."""
    if task_ids and (work := await executions_store.find_work(tx, list(task_ids))):
        await runs_store.share_runs(tx, sorted(set(work.values())))


async def refuse_ended(tx: Tx, workflow_run_id: UUID) -> MoveNotAllowed:
    """Return the refusal of what needs a run that has not ended."""
    run = await runs_store.get_run(tx, workflow_run_id)
    assert run is not None  # noqa: S101 - it is locked
    return move_refused(run, f"the run has ended as {run.status}; it takes no tasks")


def topic_of(workflow_run_id: UUID) -> str:
    """Return the topic on which the end of a run is told."""
    return f"run:{workflow_run_id}"


def run_not_found(workflow_run_id: UUID) -> NotFound:
    """Return the refusal for a run that does not exist."""
    return NotFound(f"there is no workflow run {workflow_run_id}")


def check_precondition(run: RunRow, precondition: Precondition | None) -> None:
    """Raise PreconditionFailed if the caller has seen another revision of ``run`` than it has now."""
    if precondition and not precondition.holds_for(run.revision):
        raise PreconditionFailed(
            f"the run is at revision {run.revision}", current=show_run(run), allowed=allowed_for(run)
        )


def change_of(before: RunRow, after: RunRow, caller: Caller, verb: HistoryVerb, *, why: str | None = None) -> RunChange:
    """Return what is to be stored when ``before`` becomes ``after``, and of its history ``verb`` and ``why``."""
    return RunChange(after, before.status, verb, caller.name, caller.request_id, why)


async def lock_run(tx: Tx, workflow_run_id: UUID) -> RunRow:
    """Return one run, locked. Raises NotFound."""
    rows = await runs_store.lock_runs(tx, [workflow_run_id])
    if not rows:
        raise run_not_found(workflow_run_id)
    return rows[0]


async def end_overdue_runs(tx: Tx, workflow_run_ids: Sequence[UUID]) -> int:
    """Fail those of the runs that are past their deadline or without a heartbeat; how many they were."""
    ended = [
        *await ends_store.end_runs_past_deadline(tx, workflow_run_ids),
        *await ends_store.end_lost_runs(tx, workflow_run_ids),
    ]
    if ended:
        await cancel_open_tasks(tx, ended, Reason.run_ended)
    tx.topics |= {topic_of(workflow_run_id) for workflow_run_id in ended}
    return len(ended)


async def mark_late_runs(tx: Tx, workflow_run_ids: Sequence[UUID]) -> int:
    """Note of those of the runs that they are late: open when they should have ended; how many they were."""
    return len(await late_runs_store.mark_late_runs(tx, workflow_run_ids))
