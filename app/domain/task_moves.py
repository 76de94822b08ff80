"""How a task moves outside the hot path: from the row as it is stored to the one that is stored next.

Each of them raises UnknownMoveError where the table of moves does not know the move.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from app.domain.json_texts import JsonValue, Storable
from app.domain.moves import TASK_WAITING, UnknownMoveError, check_task_move, check_task_verb
from app.domain.records import AttemptRow, TaskRow
from app.domain.retries import Sequel
from milepost.schemas.reasons import Reason
from milepost.schemas.tasks import TaskStatus


def _touch(task: TaskRow, now: datetime) -> TaskRow:
    return task._replace(revision=task.revision + 1, updated_at=max(now, task.updated_at))


def _move(task: TaskRow, status: TaskStatus) -> TaskRow:
    check_task_move(task.status, status, is_work_item=task.step is not None)
    return task._replace(status=status)


def _stop_waiting(task: TaskRow) -> TaskRow:
    return task._replace(ready_at=None, due_at=None, wake_at=None, wait_step=None, wait_all=None)


def _renew(task: TaskRow, attempt_id: UUID) -> TaskRow:
    """Return a task with its next attempt, which nobody has claimed yet."""
    return task._replace(
        run_id=attempt_id,
        attempt=task.attempt + 1,
        claimed_by=None,
        lease_token=None,
        lease_expires_at=None,
        started_at=None,
        wake_at=None,
        wake_event=None,
        event_payload=None,
    )


def end(task: TaskRow, status: TaskStatus, reason: Reason | None, now: datetime, error: JsonValue = None) -> TaskRow:
    """Return an open task as it stands when it has ended; without an ``error`` it keeps its last one."""
    ended_at = max(now, task.started_at or now)
    return _touch(_stop_waiting(_move(task, status)), now)._replace(
        lease_expires_at=None,
        reason=reason,
        error=task.error if error is None else error,
        limit_at=None,
        completed_at=ended_at,
        cancelled_at=ended_at if status is TaskStatus.cancelled else None,
    )


def follow(task: TaskRow, sequel: Sequel, now: datetime, error: JsonValue, attempt_id: UUID) -> TaskRow:
    """Return a task after its running attempt failed: ended, or with its next attempt, whose id is ``attempt_id``."""
    if sequel.available_at is None:
        return end(task._replace(error=error), sequel.status, sequel.reason, now)
    waits = sequel.status is TaskStatus.sleeping
    return _touch(_renew(_move(task, sequel.status), attempt_id), now)._replace(
        reason=None,
        error=error,
        ready_at=None if waits else now,
        due_at=sequel.available_at if waits else None,
        wake_at=sequel.available_at if waits else None,
    )


def put_to_sleep(task: TaskRow, wake_at: datetime, now: datetime) -> TaskRow:
    """Return a running task that its worker put aside until ``wake_at``; the attempt stays."""
    is_due = wake_at <= now
    return _touch(_move(task, TaskStatus.sleeping), now)._replace(
        lease_expires_at=None,
        lease_token=None,
        ready_at=now if is_due else None,
        due_at=None if is_due else wake_at,
        wake_at=wake_at,
        wake_event=None,
        event_payload=None,
    )


def suspend(
    task: TaskRow, step: str, names: Sequence[str], all_of: Sequence[str] | None, until: datetime | None, now: datetime
) -> TaskRow:
    """Return a running task that its worker put aside until one (or ``all_of``) of the ``names`` is emitted."""
    return _touch(_move(task, TaskStatus.sleeping), now)._replace(
        lease_expires_at=None,
        lease_token=None,
        ready_at=None,
        due_at=until,
        wake_at=until,
        wake_event=names[0] if len(names) == 1 else None,
        event_payload=None,
        wait_step=step,
        wait_all=None if all_of is None else list(all_of),
    )


def wake(task: TaskRow, now: datetime, event_name: str | None = None, payload: JsonValue = None) -> TaskRow:
    """Return a waiting task that can be claimed from now on: its time came, or an event did."""
    if task.status not in TASK_WAITING:
        raise UnknownMoveError(f"a {task.status} task waits for nothing")
    awaited = None if task.wait_step is None else task.wake_event
    return _touch(_stop_waiting(task), now)._replace(
        ready_at=now, wake_event=event_name or awaited, event_payload=payload
    )


def release(task: TaskRow, now: datetime) -> TaskRow:
    """Return a running task that its worker gave back unharmed: the same attempt is claimed again."""
    return _touch(_move(task, TaskStatus.pending), now)._replace(
        lease_expires_at=None, lease_token=None, claimed_by=None, ready_at=now
    )


def reopen(task: TaskRow, max_attempts: int, attempt_id: UUID, now: datetime) -> TaskRow:
    """Return a failed or cancelled task with another attempt, whose id is ``attempt_id``; its clocks start anew."""
    check_task_verb(task.status, "retry")
    return _touch(_renew(task, attempt_id), now)._replace(
        status=TaskStatus.pending,
        reason=None,
        error=None,
        max_attempts=max_attempts,
        forgiven_count=0,
        ready_at=now,
        limit_at=None if task.max_delay_seconds is None else now + timedelta(seconds=task.max_delay_seconds),
        first_started_at=None,
        completed_at=None,
        cancelled_at=None,
        cancel_requested_at=None,
    )


def past_attempt(
    task: TaskRow, status: TaskStatus, reason: Reason | str | None, now: datetime, error: JsonValue
) -> AttemptRow:
    """Return the newest attempt of ``task`` as it is kept when it is over."""
    return AttemptRow(
        run_id=task.run_id,
        task_id=task.task_id,
        attempt=task.attempt,
        status=status,
        reason=reason,
        claimed_by=task.claimed_by,
        lease_token=task.lease_token,
        started_at=task.started_at,
        ended_at=max(now, task.started_at or now),
        error=error,
    )


def checkpoint_row(task: TaskRow, name: str, state: JsonValue, *, is_outcome: bool = False) -> Mapping[str, Storable]:
    """Return the row of a checkpoint that the current attempt of a task writes."""
    return {
        "task_id": task.task_id,
        "name": name,
        "state": state,
        "is_outcome": is_outcome,
        "attempt": task.attempt,
        "run_id": task.run_id,
    }
