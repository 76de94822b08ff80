"""Changing workflow runs: a new status, result, error, times, task count or tags."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from app.access.callers import Caller
from app.db.batching import batched
from app.db.engine import Tx
from app.domain.moves import FINAL
from app.domain.preconditions import Precondition
from app.domain.records import RunChange, RunRow
from app.domain.run_changes import allowed_for, apply_update
from app.domain.shown_runs import show_run
from app.errors import OpenTasks, Refusal
from app.moves.runs import change_of, check_precondition, run_not_found, topic_of
from app.moves.tasks import cancel_open_tasks
from app.store import tasks as tasks_store
from app.store import workflow_runs as runs_store
from milepost.schemas.reasons import Reason
from milepost.schemas.workflow_runs import HistoryVerb, RunStatus, WorkflowRun, WorkflowRunUpdate
from milepost.schemas.workflow_runs import OpenTasks as OpenTasksChoice


@dataclass(frozen=True, slots=True)
class Update:
    """A request to change a run."""

    workflow_run_id: UUID
    change: WorkflowRunUpdate
    caller: Caller
    precondition: Precondition | None = None


async def _update_runs(tx: Tx, updates: Sequence[Update]) -> Sequence[WorkflowRun | Refusal]:
    """Apply each change to its run, in the order they came, and return how it stands then."""
    rows = await runs_store.lock_runs(tx, list({update.workflow_run_id for update in updates}))
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
                await runs_store.update_runs(tx, list(unwritten.values()))
                unwritten.clear()
            unwritten[after.workflow_run_id] = change_of(before, after, update.caller, HistoryVerb.update)
            runs[after.workflow_run_id] = after
            if before.status not in FINAL and after.status in FINAL and _ends_tasks(after, update.change):
                bereft.add(after.workflow_run_id)
    if unwritten:
        await runs_store.update_runs(tx, list(unwritten.values()))
    tx.topics |= {topic_of(run.workflow_run_id) for run in runs.values() if run.status in FINAL}
    outcomes = await _cancel_tasks_of(tx, bereft & open_tasks.keys(), outcomes)
    return [outcome if isinstance(outcome, Refusal) else show_run(outcome) for outcome in outcomes]


update_run = batched(_update_runs)
"""Change a run, and return how it stands then. Raises NotFound, PreconditionFailed, MoveNotAllowed, OpenTasks."""


def _apply(run: RunRow | None, update: Update, open_tasks: dict[UUID, int]) -> RunRow:
    if run is None:
        raise run_not_found(update.workflow_run_id)
    check_precondition(run, update.precondition)
    after = apply_update(run, update.change, run.now)
    refuses = update.change.open_tasks is OpenTasksChoice.refuse and after.status is RunStatus.completed
    if refuses and run.status not in FINAL and (count := open_tasks.get(run.workflow_run_id)):
        raise OpenTasks(f"the run has {count} open tasks", current=show_run(run), allowed=allowed_for(run))
    return after


def _ends_tasks(run: RunRow, change: WorkflowRunUpdate) -> bool:
    return run.status is not RunStatus.completed or change.open_tasks is OpenTasksChoice.cancel


async def _cancel_tasks_of(
    tx: Tx, workflow_run_ids: set[UUID], outcomes: list[RunRow | Refusal]
) -> list[RunRow | Refusal]:
    """Cancel the open tasks of runs that have ended, and return the outcomes with the tasks as they stand then."""
    if not workflow_run_ids:
        return outcomes
    await cancel_open_tasks(tx, workflow_run_ids, Reason.run_ended)
    counts = {row.workflow_run_id: row.task_counts for row in await runs_store.get_runs(tx, list(workflow_run_ids))}
    return [
        outcome._replace(task_counts=counts[outcome.workflow_run_id])
        if isinstance(outcome, RunRow) and outcome.workflow_run_id in counts
        else outcome
        for outcome in outcomes
    ]
