"""What moves executed runs without a report: leases that expire, times that come, events."""

from collections.abc import Sequence
from uuid import UUID

from app.db.engine import Tx
from app.domain.highway.engine.actions import Deadline, Due, EmitEvent
from app.domain.json_texts import JsonValue
from app.domain.retries import Failure
from app.execution.session import Executions
from app.execution.work_reports import fail_work, keep_attempts, lock_runs_of_steps
from app.moves.attempts import lease_error, store_followed
from app.moves.event_waits import deliver_later
from app.store import due_executions as due_executions_store
from app.store import executions as executions_store
from app.store import tasks as tasks_store
from milepost.schemas.reasons import Reason

RUNS_PER_ROUND = 50
"""How many runs one round of a chore moves: each is locked until the end of the round."""

STEPS_PER_ROUND = 500
"""How many steps of these runs come due in one round."""


async def expire_step_leases(tx: Tx, task_ids: Sequence[UUID]) -> int:
    """End those of the attempts at work items whose lease has expired, as lost; how many they were."""
    executions, expired = await lock_runs_of_steps(tx, task_ids)
    rows = await tasks_store.lock_tasks(tx, sorted(expired))
    late = [row for row in rows.values() if row.lease_expires_at and row.lease_expires_at <= row.now]
    ended = await fail_work(executions, [(task, Failure(reason=Reason.lost), lease_error(task)) for task in late])
    await keep_attempts(tx, [(end, Reason.lost, lease_error(end.before)) for end in ended])
    after = [end.after for end in ended if end.after is not None]
    await store_followed(tx, after)
    tx.ready.update(task.queue for task in after if task.completed_at is None)
    await executions.write()
    return len(late)


async def advance_due_steps(tx: Tx, workflow_run_ids: Sequence[UUID]) -> int:
    """Let the times of steps of the runs come: retries, waits and time-outs; how many they were."""
    executions = Executions(tx)
    await executions.lock(workflow_run_ids)
    due = await due_executions_store.list_due_steps(tx, list(executions.runs), STEPS_PER_ROUND)
    await executions.prefetch([(row.workflow_run_id, row.path) for row in due])
    done = 0
    for row in due:
        if executions.room <= 0:
            break
        await executions.act(row.workflow_run_id, Due(row.path, row.scope))
        done += 1
    await executions.write()
    return STEPS_PER_ROUND if done < len(due) or executions.has_left else done


async def end_runs_past_deadline(tx: Tx, workflow_run_ids: Sequence[UUID]) -> int:
    """End those of the executed runs whose deadline has passed; how many they were."""
    executions = Executions(tx)
    await executions.lock(workflow_run_ids)
    late = [run for run in executions.runs.values() if run.row.deadline_at and run.row.deadline_at <= run.row.now]
    for run in late:
        if run.workflow_run_id in workflow_run_ids:
            await executions.act(run.workflow_run_id, Deadline())
    await executions.write()
    return len(late)


async def tell_of_event(
    executions: Executions, queue: str, name: str, workflow_run_id: UUID | None, payload: JsonValue
) -> None:
    """Let runs go on whose steps await an event that is emitted just now; who is not locked is told in a moment."""
    awaiting = set(await executions_store.list_runs_awaiting(executions.tx, queue, name, workflow_run_id))
    for told in sorted(awaiting & executions.runs.keys()):
        await executions.act(told, EmitEvent(name, payload))
    if awaiting - executions.runs.keys():
        await deliver_later(executions.tx, queue, name, workflow_run_id)
