"""Work items of steps as tasks: spawned, woken, opened again and ended as the engine says."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from app.db.engine import Tx
from app.domain.highway.compiler.plan import RetryRule
from app.domain.highway.engine.effects import Effects, Runnable
from app.domain.json_texts import JsonValue
from app.domain.moments import later
from app.domain.moves import TASK_FINAL
from app.domain.records import TaskRow
from app.domain.retries import Sequel
from app.domain.task_moves import follow, past_attempt, wake
from app.execution.run_states import Execution
from app.moves.new_tasks import TaskToSpawn
from app.moves.tasks import cancel_tasks, insert_tasks, reopen_tasks, store_ended
from app.store import leases as leases_store
from app.store import tasks as tasks_store
from milepost.schemas.reasons import Reason
from milepost.schemas.tasks import RetryKind, TaskStatus

_ATTEMPTS_MOST = 2_147_483_647


def failed_sequel(effects: Effects, path: str, now: datetime, *, retryable: bool) -> Sequel | None:
    """Return how a task goes on whose attempt the engine has taken as failed; None: it has not."""
    for retry in effects.retry_in:
        if retry.path == path:
            return Sequel(TaskStatus.sleeping, None, later(now, retry.seconds))
    is_failed = path in effects.failed or path not in effects.completed
    reason = Reason.attempts_exhausted if retryable else Reason.not_retryable
    return Sequel(TaskStatus.failed, reason) if is_failed else None


def follow_step(task: TaskRow, sequel: Sequel, error: JsonValue) -> TaskRow:
    """Return the task of a step after its attempt failed: its next attempt begins when the engine says so."""
    attempts = max(task.max_attempts, task.attempt + 1 - task.forgiven_count)
    after = follow(task._replace(max_attempts=attempts), sequel, task.now, as_error(error), uuid7())
    return after._replace(due_at=None)


def as_error(error: JsonValue) -> Mapping[str, JsonValue] | None:
    """Return an error in the form that tasks keep."""
    return error if error is None or isinstance(error, dict) else {"name": "Error", "message": str(error)}


async def apply_to_tasks(tx: Tx, executions: Sequence[Execution], settled: set[UUID]) -> None:
    """Do with the tasks what the actions of these runs cause; those in ``settled`` are their callers' business."""
    spawned = await _spawn(tx, executions)
    wanted = sorted({task_id for run in executions for task_id in _touched(run)} - settled - spawned)
    if not wanted:
        return
    rows = await tasks_store.lock_tasks(tx, wanted)
    for run in executions:
        await _end_attempts(tx, run, rows, settled)
        await _drop(tx, run, rows)
        await _offer_again(tx, run, rows)


def _touched(run: Execution) -> list[UUID]:
    paths = {
        path
        for effects in run.effects
        for path in (
            *effects.dropped,
            *effects.failed,
            *effects.timed_out,
            *(retry.path for retry in effects.retry_in),
            *(item.path for item in effects.runnable),
        )
    }
    return [run.tasks[path] for path in paths if path in run.tasks]


async def _spawn(tx: Tx, executions: Sequence[Execution]) -> set[UUID]:
    """Spawn the work items of steps that have none yet, and return them."""
    spawned: list[tuple[TaskToSpawn, Execution]] = []
    for run in executions:
        for item in _last_offers(run).values():
            if item.path not in run.tasks and not _is_over(run, item.path):
                task = _new_task(run, item)
                run.tasks[item.path] = task.task_id
                spawned.append((task, run))
    await insert_tasks(tx, [task for task, _ in spawned])
    if withheld := [task.task_id for task, run in spawned if run.withholds_work]:
        await tasks_store.withhold_tasks(tx, withheld)
    return {task.task_id for task, _ in spawned}


def _last_offers(run: Execution) -> dict[str, Runnable]:
    return {item.path: item for effects in run.effects for item in effects.runnable}


def _is_over(run: Execution, path: str) -> bool:
    """Return whether a step that was offered in this transaction has ended in it as well."""
    step = run.steps[path]
    return not step.is_open and step.facts.get("submitted") != "open"


def _new_task(run: Execution, item: Runnable) -> TaskToSpawn:
    retry = run.plan.step(run.steps[item.path].region, item.path).retry
    return TaskToSpawn(
        task_id=uuid7(),
        run_id=uuid7(),
        at="",
        queue=run.row.queue,
        task_name=item.function,
        params={"args": item.args, "kwargs": item.kwargs},
        headers={} if item.idempotency_key is None else {"idempotency_key": item.idempotency_key},
        workflow_run_id=run.workflow_run_id,
        step=item.path,
        max_attempts=1 if retry is None else min(retry.max_retries + 1, _ATTEMPTS_MOST),
        retry_strategy=_strategy(retry),
    )


def _strategy(retry: RetryRule | None) -> Mapping[str, JsonValue] | None:
    if retry is None or not retry.max_retries:
        return None
    return {"kind": RetryKind.exponential, "base_seconds": retry.delay_seconds, "factor": retry.factor}


async def _end_attempts(tx: Tx, run: Execution, rows: Mapping[UUID, TaskRow], settled: set[UUID]) -> None:
    """End attempts that the engine has ended by itself: their time was over, or what they waited for failed."""
    past, still_open, ended = [], [], []
    for effects in run.effects:
        for path in {*effects.failed, *effects.timed_out, *(retry.path for retry in effects.retry_in)}:
            task_id = run.tasks.get(path)
            row = rows.get(task_id) if task_id is not None else None
            if row is None or row.status in TASK_FINAL or row.task_id in settled:
                continue
            task = row
            error = as_error(run.steps[path].error)
            sequel = failed_sequel(effects, path, row.now, retryable=True)
            reason = Reason.timeout if path in effects.timed_out else None
            past.append(past_attempt(task, TaskStatus.failed, reason, row.now, error))
            if sequel is None or sequel.available_at is None:
                over = Sequel(TaskStatus.failed, reason or Reason.upstream)
                ended.append(follow(task, over, row.now, error, uuid7()))
            else:
                still_open.append(follow_step(task, sequel, error))
    if past:
        await leases_store.insert_attempts(tx, past)
    if still_open:
        await tasks_store.update_tasks(tx, still_open)
    await store_ended(tx, ended)


async def _drop(tx: Tx, run: Execution, rows: Mapping[UUID, TaskRow]) -> None:
    """Cancel the work items of steps that nobody needs any more."""
    dropped = {run.tasks[path] for effects in run.effects for path in effects.dropped if path in run.tasks}
    open_rows = [rows[t] for t in dropped if t in rows and rows[t].status not in TASK_FINAL]
    ends = [effects.run for effects in run.effects if effects.run is not None]
    reason = Reason.timeout
    if ends:
        reason = Reason.cancel_requested if ends[-1].reason == Reason.cancel_requested else Reason.run_ended
    await cancel_tasks(tx, open_rows, reason)


async def _offer_again(tx: Tx, run: Execution, rows: Mapping[UUID, TaskRow]) -> None:
    """Let the next attempts of work items that exist be claimed."""
    offered = {run.tasks[item.path]: item for item in _last_offers(run).values() if item.path in run.tasks}
    again = {task_id: rows[task_id] for task_id in offered if task_id in rows}
    closed = [row for row in again.values() if row.status in TASK_FINAL]
    if closed:
        await reopen_tasks(tx, closed)
    waiting = [
        wake(row, row.now)
        for row in again.values()
        if row.status == TaskStatus.sleeping and row.ready_at is None and row.due_at is None
    ]
    if waiting:
        await tasks_store.update_tasks(tx, waiting)
        tx.ready.update(task.queue for task in waiting)
    if run.withholds_work and again:
        await tasks_store.withhold_tasks(tx, list(again))
