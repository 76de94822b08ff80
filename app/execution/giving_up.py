"""Ending what cannot go on: nothing here needs what is stored in a run, a task or a schedule to make sense."""

from collections.abc import Sequence
from uuid import UUID

from app.db.engine import Tx
from app.db.failures import may_be_of_one
from app.db.outages import describe_failure
from app.domain.highway.engine.actions import EndChild
from app.execution.session import Executions
from app.moves.runs import topic_of
from app.moves.tasks import task_topic
from app.store import dropped_children as dropped_store
from app.store import due_tasks as tasks_store
from app.store import events as events_store
from app.store import monitors as monitors_store
from app.store import run_ends as store
from app.store import schedules as schedules_store
from app.store import workflow_runs as runs_store

_CHILDREN_MOST = 500


async def give_up_run(tx: Tx, workflow_run_id: UUID, why: str) -> None:
    """End an open run as failed, with all that is open of it; as cancelled, if that was asked for.

    The run that started it is told; where that one cannot take it, it is ended as well.
    """
    await _lock_line(tx, workflow_run_id)
    ended: UUID | None = workflow_run_id
    while ended is not None and await store.give_up_run(tx, ended, _error(why)):
        await store.end_execution(tx, ended)
        await dropped_store.mark_children_dropped(tx, [ended])
        await _tell(tx, await tasks_store.give_up_tasks_of_run(tx, ended))
        tx.topics.add(topic_of(ended))
        parent = await store.get_parent(tx, ended)
        ended = None
        if parent is not None and (failure := await _try_to_tell(tx, parent)) is not None:
            ended, why = parent.workflow_run_id, f"it could not be told that a child has ended: {failure}"


async def give_up_dropped_children(tx: Tx, workflow_run_id: UUID, why: str) -> None:
    """End the runs that ended steps of a run have left open."""
    children = await dropped_store.list_dropped_children(tx, [workflow_run_id], _CHILDREN_MOST)
    await runs_store.lock_run_rows(tx, await _find_line(tx, workflow_run_id) + [*children])
    for child in children:
        await give_up_run(tx, child, why)
    await dropped_store.clear_children_dropped(tx, [workflow_run_id])


async def _lock_line(tx: Tx, workflow_run_id: UUID) -> None:
    """Lock a run with those that started it, which may have to be told or ended once its tasks are locked."""
    await runs_store.lock_run_rows(tx, await _find_line(tx, workflow_run_id))


async def _find_line(tx: Tx, workflow_run_id: UUID) -> list[UUID]:
    line = [workflow_run_id]
    while (parent := await store.get_parent(tx, line[-1])) is not None:
        line.append(parent.workflow_run_id)
    return line


async def _try_to_tell(tx: Tx, parent: store.Parent) -> str | None:
    """Tell a run that a child of it has ended; what is in the way of that."""
    try:
        async with tx.savepoint():
            executions = Executions(tx)
            await executions.lock([parent.workflow_run_id])
            await executions.act(parent.workflow_run_id, EndChild(parent.step, parent.child, parent.status))
            await executions.write()
    except Exception as failure:
        if not may_be_of_one(failure):
            raise
        return describe_failure(failure)
    return None


async def give_up_task(tx: Tx, task_id: UUID, why: str) -> None:
    """End an open task as failed; with the work item of a step its run cannot go on either."""
    owner = await tasks_store.get_owner(tx, task_id)
    if owner is not None and owner.step is not None and owner.workflow_run_id is not None:
        await give_up_run(tx, owner.workflow_run_id, why)
    await _tell(tx, await tasks_store.give_up_task(tx, task_id, _error(why)))


async def pause_schedule(tx: Tx, schedule_id: UUID, why: str) -> None:
    """Pause a schedule that cannot fire; its reader sees why, and resumes it when that is mended."""
    await schedules_store.pause_schedule(tx, schedule_id, why)


async def pause_monitor(tx: Tx, name: str, why: str) -> None:
    """Pause a monitor that cannot be looked at; its reader sees why, and resumes it when that is mended."""
    await monitors_store.pause_monitor(tx, name, why)


async def _tell(tx: Tx, ended: Sequence[tasks_store.EndedTask]) -> None:
    """Forget what ended tasks were waiting for, and tell those who wait for their ends or for their places."""
    if ended:
        await events_store.delete_waits(tx, [row.task_id for row in ended])
    tx.topics |= {task_topic(row.task_id) for row in ended}
    tx.ready.update(row.queue for row in ended)


def _error(why: str) -> dict[str, str]:
    return {"name": "Unworkable", "message": why}
