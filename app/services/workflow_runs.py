"""What can be done with workflow runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.access.callers import Caller, Visit
from app.access.watching import watch
from app.db.engine import Database, Tx
from app.db.wakeups import Wakeups
from app.domain.moves import FINAL, allowed_for_run
from app.domain.preconditions import Precondition
from app.domain.records import RunChange, RunRow
from app.domain.run_changes import apply_update, move_refused
from app.domain.shown_runs import show_run
from app.errors import HeartbeatNotDeclared, OpenTasks, Refusal
from app.moves.runs import change_of, check_precondition, lock_run, not_found, topic_of
from app.moves.tasks import cancel_open_tasks
from app.store import run_ends as ends_store
from app.store import tasks as tasks_store
from app.store import workflow_runs as store
from milepost.schemas.reasons import Reason
from milepost.schemas.workflow_runs import (
    HistoryVerb,
    RunHeartbeat,
    RunStatus,
    WorkflowRun,
    WorkflowRunUpdate,
)
from milepost.schemas.workflow_runs import OpenTasks as OpenTasksChoice


@dataclass(frozen=True, slots=True)
class Update:
    """A request to change a run."""

    workflow_run_id: UUID
    change: WorkflowRunUpdate
    caller: Caller
    precondition: Precondition | None = None


async def update_each(tx: Tx, updates: Sequence[Update]) -> Sequence[WorkflowRun | Refusal]:
    """Apply each change to its run, in the order they came, and return how it stands then."""
    rows = await store.lock_runs(tx, list({update.workflow_run_id for update in updates}))
    runs = {row.workflow_run_id: row for row in rows}
    open_tasks = await tasks_store.count_open_tasks(tx, list(runs))
    unwritten: dict[UUID, RunChange] = {}
    outcomes: list[RunRow | Refusal] = []
    bereft: set[UUID] = set()
    for update in updates:
        before = runs.get(update.workflow_run_id)
        try:
            after = _apply(before, update, open_tasks)
        except Refusal as refusal:
            outcomes.append(refusal)
            continue
        outcomes.append(after)
        if before is not None and after is not before:
            if after.workflow_run_id in unwritten:
                await store.update_runs(tx, list(unwritten.values()))
                unwritten.clear()
            unwritten[after.workflow_run_id] = change_of(before, after, update.caller, HistoryVerb.update)
            runs[after.workflow_run_id] = after
            if before.status not in FINAL and after.status in FINAL and _ends_tasks(after, update.change):
                bereft.add(after.workflow_run_id)
    if unwritten:
        await store.update_runs(tx, list(unwritten.values()))
    tx.topics |= {topic_of(run.workflow_run_id) for run in runs.values() if run.status in FINAL}
    outcomes = await _cancel_tasks_of(tx, bereft & open_tasks.keys(), outcomes)
    return [outcome if isinstance(outcome, Refusal) else show_run(outcome) for outcome in outcomes]


def _apply(run: RunRow | None, update: Update, open_tasks: dict[UUID, int]) -> RunRow:
    if run is None:
        raise not_found(update.workflow_run_id)
    check_precondition(run, update.precondition)
    after = apply_update(run, update.change, run.now)
    refuses = update.change.open_tasks is OpenTasksChoice.refuse and after.status is RunStatus.completed
    if refuses and run.status not in FINAL and (count := open_tasks.get(run.workflow_run_id)):
        raise OpenTasks(f"the run has {count} open tasks", current=show_run(run), allowed=allowed_for_run(run.status))
    return after


def _ends_tasks(run: RunRow, change: WorkflowRunUpdate) -> bool:
    return run.status is not RunStatus.completed or change.open_tasks is OpenTasksChoice.cancel


async def _cancel_tasks_of(tx: Tx, run_ids: set[UUID], outcomes: list[RunRow | Refusal]) -> list[RunRow | Refusal]:
    """Cancel the open tasks of runs that have ended, and return the outcomes with the tasks as they stand then."""
    if not run_ids:
        return outcomes
    await cancel_open_tasks(tx, run_ids, Reason.run_ended)
    counts = {row.workflow_run_id: row.task_counts for row in await store.get_runs(tx, list(run_ids))}
    return [
        outcome._replace(task_counts=counts[outcome.workflow_run_id])
        if isinstance(outcome, RunRow) and outcome.workflow_run_id in counts
        else outcome
        for outcome in outcomes
    ]


async def get_run(tx: Tx, workflow_run_id: UUID) -> WorkflowRun:
    """Return one run as it stands. Raises NotFound."""
    row = await store.get_run(tx, workflow_run_id)
    if row is None:
        raise not_found(workflow_run_id)
    return show_run(row)


async def beat_each(tx: Tx, workflow_run_ids: Sequence[UUID]) -> Sequence[RunHeartbeat | Refusal]:
    """Set the clocks of running runs back, and return where each run stands."""
    ids = list(set(workflow_run_ids))
    beaten = {row.workflow_run_id: row for row in await store.beat_runs(tx, ids)}
    others = [run_id for run_id in ids if run_id not in beaten]
    still = {row.workflow_run_id: row for row in await store.get_runs(tx, others)} if others else {}
    return [_heartbeat_of(beaten.get(run_id) or still.get(run_id), run_id) for run_id in workflow_run_ids]


def _heartbeat_of(row: Any, workflow_run_id: UUID) -> RunHeartbeat | Refusal:
    if row is None:
        return not_found(workflow_run_id)
    if row.heartbeat_seconds is None:
        return HeartbeatNotDeclared(
            "the run was created without heartbeat_seconds", current=show_run(row), allowed=allowed_for_run(row.status)
        )
    return RunHeartbeat.model_construct(
        status=RunStatus(row.status),
        cancel_requested=row.cancel_requested_at is not None,
        heartbeat_expires_at=row.heartbeat_expires_at,
    )


async def delete_run(tx: Tx, workflow_run_id: UUID, precondition: Precondition | None) -> None:
    """Delete an ended run with all that hangs on it. Raises NotFound, PreconditionFailed, MoveNotAllowed."""
    run = await lock_run(tx, workflow_run_id)
    check_precondition(run, precondition)
    if run.status not in FINAL:
        raise move_refused(run, f"a {run.status} run cannot be deleted; it has to end first")
    await tasks_store.lock_tasks_to_delete(tx, workflow_run_id)
    await store.delete_run(tx, workflow_run_id)


async def wait_until_ended(
    database: Database, wakeups: Wakeups, workflow_run_id: UUID, timeout_seconds: float, visit: Visit
) -> WorkflowRun:
    """Return the run once it has ended, or as it stands after ``timeout_seconds``. Raises NotFound, Unauthenticated."""

    async def look(tx: Tx) -> WorkflowRun:
        return await get_run(tx, workflow_run_id)

    topic = topic_of(workflow_run_id)
    return await watch(database, wakeups, topic, look, lambda run: run.status in FINAL, timeout_seconds, visit)


async def end_overdue_runs(tx: Tx, run_ids: Sequence[UUID]) -> int:
    """Fail those of the runs that are past their deadline or without a heartbeat; how many they were."""
    ended = [*await ends_store.end_runs_past_deadline(tx, run_ids), *await ends_store.end_lost_runs(tx, run_ids)]
    if ended:
        await cancel_open_tasks(tx, ended, Reason.run_ended)
    tx.topics |= {topic_of(workflow_run_id) for workflow_run_id in ended}
    return len(ended)
