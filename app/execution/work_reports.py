"""What moves executed runs: reports about the work items of their steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from app.db.engine import Tx
from app.domain.highway.engine.actions import Complete, Fail
from app.domain.json_texts import JsonValue
from app.domain.records import TaskRow
from app.domain.retries import Failure, Sequel, count_loss, forgives_loss
from app.domain.task_moves import past_attempt
from app.execution.session import Executions
from app.execution.work_items import as_error, failed_sequel, follow_step
from app.store import executions as executions_store
from app.store import leases as leases_store
from milepost.schemas.reasons import Reason
from milepost.schemas.tasks import TaskStatus

_CANCELLED = Sequel(TaskStatus.cancelled, Reason.cancel_requested)


@dataclass(frozen=True, slots=True)
class Ended:
    """An attempt at a work item that its run has taken note of."""

    before: TaskRow
    """The task before."""
    after: TaskRow | None
    """The task as it goes on after a failure, still to be stored; None: the attempt was good."""


async def lock_runs_of_steps(tx: Tx, task_ids: Sequence[UUID]) -> tuple[Executions, dict[UUID, UUID]]:
    """Lock the runs of those of the tasks that are work items of steps; the run of each such task."""
    executions = Executions(tx)
    work = await executions_store.find_work(tx, task_ids) if task_ids else {}
    if work:
        await executions.lock(set(work.values()))
    return executions, work


async def complete_work(
    executions: Executions, done: Sequence[tuple[TaskRow, JsonValue, Mapping[str, JsonValue]]]
) -> Sequence[Ended | None]:
    """Tell the runs that work items are done, as (task, result, memory); what became of each task.

    A result that does not meet a postcondition of its step is a failed attempt. None: what was done before has ended
    the step, and its task is cancelled.
    """
    executions.settled |= {task.task_id for task, _, _ in done}
    await _prefetch(executions, [task for task, _, _ in done])
    ended: list[Ended | None] = []
    for task, result, memory in done:
        workflow_run_id, step = task.place
        if executions.has_dropped(workflow_run_id, step):
            executions.settled.discard(task.task_id)
            ended.append(None)
            continue
        ended.append(await _take(executions, task, Complete(step, result, memory), Failure()))
    return ended


async def fail_work(executions: Executions, failures: Sequence[tuple[TaskRow, Failure, JsonValue]]) -> Sequence[Ended]:
    """Tell the runs that attempts have failed, as (task, failure, error); how each task goes on."""
    executions.settled |= {task.task_id for task, _, _ in failures}
    await _prefetch(executions, [task for task, _, _ in failures])
    ended = []
    for before, failure, error in failures:
        is_lost = failure.reason is Reason.lost
        task = count_loss(before) if is_lost else before
        if task.cancel_requested_at is not None:  # nothing is tried again; the run is cancelled in a moment
            ended.append(Ended(task, follow_step(task, _CANCELLED, error)))
            continue
        is_forgiven = is_lost and forgives_loss(before)
        action = Fail(task.place[1], error, failure.retryable, _pause_of(failure, task), is_forgiven=is_forgiven)
        ended.append(await _take(executions, task, action, failure))
    return ended


async def give_up_work(executions: Executions, task: TaskRow) -> None:
    """Tell the run that the work item of a step was cancelled: the step has failed."""
    executions.settled.add(task.task_id)
    await _prefetch(executions, [task])
    workflow_run_id, step = task.place
    run = executions.runs.get(workflow_run_id)
    if run is not None:
        run.begin_next_attempt(step)
    error = {"name": "TaskCancelled", "message": "the work item of the step was cancelled"}
    await executions.act(workflow_run_id, Fail(step, error, retryable=False))
    await executions.write()


def _pause_of(failure: Failure, task: TaskRow) -> float | None:
    """Return the seconds until the next attempt: none after a loss, else None unless the worker said when it is."""
    if failure.reason is Reason.lost:
        return 0.0
    if failure.retry_at is None:
        return None
    return max(0.0, (failure.retry_at - task.now).total_seconds())


async def _prefetch(executions: Executions, tasks: Sequence[TaskRow]) -> None:
    await executions.prefetch([task.place for task in tasks])


async def _take(executions: Executions, task: TaskRow, action: Complete | Fail, failure: Failure) -> Ended:
    workflow_run_id, _ = task.place
    effects = await executions.act(workflow_run_id, action)
    error = getattr(action, "error", None)
    if effects is None:  # the run has ended: nobody waits for the work any more
        return Ended(task, None if isinstance(action, Complete) else _given_up(task, failure, error))
    has_failed = action.path in {*effects.failed, *(retry.path for retry in effects.retry_in)}
    has_failed |= executions.runs[workflow_run_id].steps[action.path].facts.get("submitted") == "failed"
    if isinstance(action, Complete) and not has_failed:
        return Ended(task, None)
    sequel = failed_sequel(effects, action.path, task.now, retryable=failure.retryable)
    if isinstance(action, Complete):
        error = executions.runs[workflow_run_id].steps[action.path].error
    return Ended(task, follow_step(task, sequel or Sequel(TaskStatus.failed, Reason.not_retryable), error))


def _given_up(task: TaskRow, failure: Failure, error: JsonValue) -> TaskRow:
    reason = Reason.attempts_exhausted if failure.retryable else Reason.not_retryable
    return follow_step(task, Sequel(TaskStatus.failed, reason), error)


async def keep_attempts(tx: Tx, ended: Sequence[tuple[Ended, Reason | None, JsonValue]]) -> None:
    """Keep failed attempts, as (what became of the task, why the service ended it, error)."""
    rows = [
        past_attempt(end.before, _status_of(end, reason), reason or _reason_of(end), end.before.now, as_error(error))
        for end, reason, error in ended
        if end.after is not None
    ]
    if rows:
        await leases_store.insert_attempts(tx, rows)


def _status_of(end: Ended, reason: Reason | None) -> TaskStatus:
    is_cancelled = reason is None and end.after is not None and end.after.status == TaskStatus.cancelled
    return TaskStatus.cancelled if is_cancelled else TaskStatus.failed


def _reason_of(end: Ended) -> Reason | None:
    """Return why an attempt ended that its worker reported."""
    why = None if end.after is None else end.after.reason
    return Reason(why) if why in (Reason.not_retryable, Reason.cancel_requested) else None
