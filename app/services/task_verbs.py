"""The verbs of tasks: cancel and retry. What is done to a work item is done to the step that it is of."""

from uuid import UUID

from uuid_utils.compat import uuid7

from app.access.idempotency import IdempotencyKey, Reply, answer_alone
from app.db.engine import Tx
from app.domain.json_texts import write_json
from app.domain.moves import TASK_FINAL
from app.domain.records import TaskRow
from app.errors import MoveNotAllowed, ValidationFailed
from app.execution.reports import give_up_work, hold_steps
from app.moves import runs as stored_runs
from app.moves.tasks import cancel_tasks, insert_tasks, not_found, read_task, refuse_move, reopen_tasks
from app.services.tasks import get_task
from app.store import tasks as store
from milepost.schemas.reasons import Reason
from milepost.schemas.tasks import Task, TaskRetry, TaskStatus


async def cancel_task(tx: Tx, task_id: UUID) -> Task:
    """Cancel an open task at once; an ended one stays as it is. Raises NotFound.

    A step whose work item is cancelled has failed, and its run goes on from there.
    """
    executions, work = await hold_steps(tx, [task_id])
    row = (await store.lock_tasks(tx, [task_id])).get(task_id)
    if row is None:
        raise not_found(task_id)
    if row.status not in TASK_FINAL:
        (row,) = await cancel_tasks(tx, [row], Reason.cancel_requested)
        if task_id in work:
            await give_up_work(executions, row)
    return read_task(row)


async def retry_task_once(tx: Tx, task_id: UUID, how: TaskRetry, key: IdempotencyKey | None) -> Reply:
    """Retry a task, unless a request with this key has done so before. Raises what `retry_task` does, and its own."""

    async def retry() -> Reply:
        task = await retry_task(tx, task_id, how)
        return Reply(write_json(task), task.task_id)

    return await answer_alone(tx, key, retry)


async def retry_task(tx: Tx, task_id: UUID, how: TaskRetry) -> Task:
    """Open a failed or cancelled task again, or spawn its like. Raises NotFound, MoveNotAllowed, ValidationFailed."""
    known = await get_task(tx, task_id)
    if known.step is not None:
        detail = f"the task is the work of step {known.step} of a run; retry the run"
        raise MoveNotAllowed(detail, current=known, allowed=[])
    if known.workflow_run_id is not None:
        run = (await stored_runs.hold_runs(tx, {known.workflow_run_id})).get(known.workflow_run_id)
        if run is not None and run.completed_at is not None:
            raise await stored_runs.refuse_ended(tx, known.workflow_run_id)
    row = (await store.lock_tasks(tx, [task_id])).get(task_id)
    if row is None:
        raise not_found(task_id)
    if row.status not in (TaskStatus.failed, TaskStatus.cancelled):
        raise refuse_move(row, f"a {row.status} task cannot be retried")
    if how.spawn_new:
        return await _spawn_like(tx, row, how.max_attempts or row.max_attempts)
    if how.max_attempts is not None and how.max_attempts <= row.attempt:
        raise ValidationFailed.at("/max_attempts", f"must be more than the {row.attempt} attempts it has had")
    (row,) = await reopen_tasks(tx, [row], how.max_attempts)
    return read_task(row)


async def _spawn_like(tx: Tx, row: TaskRow, max_attempts: int) -> Task:
    """Spawn a fresh task with the spec of ``row``: without its history, its checkpoints and its idempotency key."""
    task_id = uuid7()
    like = row._replace(task_id=task_id, run_id=uuid7(), max_attempts=max_attempts, idempotency_key=None)
    spec = {name: getattr(like, name) for name in store.GIVEN if name != "spec_hash"}
    await insert_tasks(tx, [spec | {"spec_hash": None, "available_at": None, "delay_seconds": None}])
    return await get_task(tx, task_id)
