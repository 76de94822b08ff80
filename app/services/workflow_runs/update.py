"""Changing workflow runs: a new status, result, error, times, task count or tags."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from app.access.callers import Caller
from app.db.batching import batched
from app.db.engine import Tx
from app.domain.json_texts import write_json
from app.domain.moves import FINAL
from app.domain.preconditions import Precondition
from app.domain.records import RunChange, RunRow
from app.domain.run_changes import allowed_for, apply_update
from app.domain.shown_runs import run_members, show_run
from app.errors import OpenTasks, Refusal
from app.moves.leases import Answered
from app.moves.runs import change_of, check_precondition, run_not_found, topic_of
from app.moves.tasks import cancel_open_tasks
from app.store import tasks as tasks_store
from app.store import workflow_runs as runs_store
from milepost.schemas.reasons import Reason
from milepost.schemas.workflow_runs import HistoryVerb, RunStatus, WorkflowRunUpdate
from milepost.schemas.workflow_runs import OpenTasks as OpenTasksChoice


@dataclass(frozen=True, slots=True)
class Update:
    """A request to change a run."""

    workflow_run_id: UUID
    change: WorkflowRunUpdate
    caller: Caller
    precondition: Precondition | None = None


async def _update_runs(tx: Tx, updates: Sequence[Update]) -> Sequence[Answered | Refusal]:
    """Apply each change to its run, in the order they came, and answer how it stands then."""
    outcomes = await (_update_as_read if _are_plain(updates) else update_locked_runs)(tx, updates)
    return [outcome if isinstance(outcome, Refusal) else answer(outcome) for outcome in outcomes]


def answer(run: RunRow) -> Answered:
    """Return what is answered of a run."""
    return Answered(write_json(run_members(run)), run.revision)


def _are_plain(updates: Sequence[Update]) -> bool:
    """Return whether each change is of another run, can be made whatever becomes of its tasks meanwhile, and repeated.

    One that is stored is made again where another one of the batch has to be: it must not find its own revision then.
    """
    is_distinct = len({update.workflow_run_id for update in updates}) == len(updates)
    is_repeatable = len(updates) == 1 or not any(update.precondition for update in updates)
    return is_distinct and is_repeatable and not any(update.change.status in FINAL for update in updates)


async def _update_as_read(tx: Tx, updates: Sequence[Update]) -> Sequence[RunRow | Refusal]:
    """Apply each change to its run as it is read, without a lock; where another one comes between, again with one."""
    tx.commit_each()
    rows = await runs_store.get_runs(tx, [update.workflow_run_id for update in updates])
    runs = {row.workflow_run_id: row for row in rows}
    outcomes = [_apply(runs.get(update.workflow_run_id), update, {}) for update in updates]
    changes = [
        (before, change_of(before, after, update.caller, HistoryVerb.update))
        for update, after in zip(updates, outcomes, strict=True)
        if isinstance(after, RunRow) and (before := runs[after.workflow_run_id]) is not after
    ]
    if not changes:
        return outcomes
    stored = await runs_store.update_read_runs(tx, changes)
    losers = {before.workflow_run_id for before, _ in changes} - stored
    lost = [update for update in updates if update.workflow_run_id in losers]
    if not lost:
        return outcomes
    tx.commit_together()
    again = iter(await update_locked_runs(tx, lost))
    return [
        next(again) if update.workflow_run_id in losers else outcome
        for update, outcome in zip(updates, outcomes, strict=True)
    ]


async def update_locked_runs(tx: Tx, updates: Sequence[Update]) -> Sequence[RunRow | Refusal]:
    """Apply each change to its run, which nobody else can change meanwhile."""
    rows = await runs_store.lock_runs(tx, list({update.workflow_run_id for update in updates}))
    runs = {row.workflow_run_id: row for row in rows}
    open_tasks = await tasks_store.count_open_tasks(tx, list(runs))
    unwritten: dict[UUID, RunChange] = {}
    outcomes: list[RunRow | Refusal] = []
    bereft: set[UUID] = set()
    for update in updates:
        before = runs.get(update.workflow_run_id)
        after = _apply(before, update, open_tasks)
        outcomes.append(after)
        if before is not None and isinstance(after, RunRow) and after is not before:
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
    return await _cancel_tasks_of(tx, bereft & open_tasks.keys(), outcomes)


update_run = batched(_update_runs)
"""Change a run, and answer how it stands then. Raises NotFound, PreconditionFailed, MoveNotAllowed, OpenTasks."""


def _apply(run: RunRow | None, update: Update, open_tasks: Mapping[UUID, int]) -> RunRow | Refusal:
    """Return the run as a change leaves it, ``run`` itself where it changes nothing, or why it is refused."""
    if run is None:
        return run_not_found(update.workflow_run_id)
    try:
        check_precondition(run, update.precondition)
        after = apply_update(run, update.change, run.now)
    except Refusal as refusal:
        return refusal
    refuses = update.change.open_tasks is OpenTasksChoice.refuse and after.status is RunStatus.completed
    if refuses and run.status not in FINAL and (count := open_tasks.get(run.workflow_run_id)):
        return OpenTasks(f"the run has {count} open tasks", current=show_run(run), allowed=allowed_for(run))
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
