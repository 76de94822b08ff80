"""Attempts that have failed or were lost, and how their tasks go on."""

import random
from collections.abc import Sequence
from uuid import UUID

from uuid_utils.compat import uuid7

from app.db.engine import Tx
from app.domain.json_texts import JsonValue
from app.domain.records import TaskRow
from app.domain.retries import Failure, after_failure, count_loss
from app.domain.task_moves import follow, past_attempt
from app.moves.tasks import store_ended
from app.store import due_tasks as due_tasks_store
from app.store import leases as leases_store
from app.store import tasks as tasks_store
from milepost.schemas.reasons import Reason
from milepost.schemas.tasks import TaskStatus


async def end_attempts(tx: Tx, failures: Sequence[tuple[TaskRow, Failure, JsonValue]]) -> Sequence[TaskRow]:
    """Keep the failed attempts of running tasks, and return how each task goes on; that is still to be stored."""
    after = []
    past = []
    for before, failure, error in failures:
        task = count_loss(before) if failure.reason is Reason.lost else before
        now = task.now
        sequel = after_failure(task, failure, now, random.random())  # noqa: S311 - chance, not a secret
        after.append(follow(task, sequel, now, error, uuid7()))
        why = sequel.reason if sequel.reason in (Reason.not_retryable, Reason.cancel_requested) else None
        is_cancelled = failure.reason is None and sequel.status is TaskStatus.cancelled
        status = TaskStatus.cancelled if is_cancelled else TaskStatus.failed
        past.append(past_attempt(task, status, failure.reason or why, now, error))
    if past:
        await leases_store.insert_attempts(tx, past)
    return after


async def expire_leases(tx: Tx, task_ids: Sequence[UUID]) -> int:
    """End those of the attempts whose lease has expired, as lost; how many they were."""
    rows = await due_tasks_store.lock_expired_tasks(tx, task_ids)
    after = await end_attempts(tx, [(task, Failure(reason=Reason.lost), lease_error(task)) for task in rows])
    await store_followed(tx, after)
    tx.ready.update(task.queue for task in after if task.completed_at is None)
    return len(rows)


async def store_followed(tx: Tx, after: Sequence[TaskRow]) -> None:
    """Store tasks whose attempt has failed: some have ended, some go on."""
    still_open = [task for task in after if task.completed_at is None]
    if still_open:
        await tasks_store.update_tasks(tx, still_open)
    await store_ended(tx, [task for task in after if task.completed_at is not None])


def lease_error(task: TaskRow) -> dict[str, JsonValue]:
    """Return the error of an attempt whose lease has expired."""
    return {
        "name": "LeaseExpired",
        "message": f"{task.claimed_by} did not finish or extend its lease in time",
        "claimed_by": task.claimed_by,
        "attempt": task.attempt,
    }
