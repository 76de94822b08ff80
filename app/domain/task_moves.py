"""How a task moves outside the hot path: from the facts as they are stored to those that are stored next."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.domain.retries import Sequel
from app.schemas.reasons import Reason
from app.schemas.tasks import TaskStatus

Facts = Mapping[str, Any]
"""A task as it is stored, column by column."""

_NOT_WAITING = dict.fromkeys(("ready_at", "due_at", "wake_at", "wait_step", "wait_all"))
_NOT_LEASED = dict.fromkeys(("lease_expires_at",))
_AS_NEW = dict.fromkeys(
    ("claimed_by", "lease_token", "lease_expires_at", "started_at", "wake_event", "event_payload", "wake_at")
)


def _move(task: Facts, now: datetime, **changes: Any) -> Facts:
    return {**task, **changes, "revision": task["revision"] + 1, "updated_at": max(now, task["updated_at"])}


def end(task: Facts, status: TaskStatus, reason: Reason | None, now: datetime, error: Any = None) -> Facts:
    """Return an open task as it stands when it has ended; without an ``error`` it keeps its last one."""
    ended_at = max(now, task["started_at"] or now)
    return _move(
        task,
        now,
        **_NOT_WAITING,
        **_NOT_LEASED,
        status=status,
        reason=reason,
        error=task["error"] if error is None else error,
        limit_at=None,
        completed_at=ended_at,
        cancelled_at=ended_at if status is TaskStatus.cancelled else None,
    )


def follow(task: Facts, sequel: Sequel, now: datetime, error: Any, run_id: UUID) -> Facts:
    """Return a task after its running attempt failed: ended, or with its next attempt, whose id is ``run_id``."""
    if sequel.available_at is None:
        return end({**task, "error": error}, sequel.status, sequel.reason, now)
    waits = sequel.status is TaskStatus.sleeping
    return _move(
        task,
        now,
        **_AS_NEW | {"wake_at": sequel.available_at if waits else None},
        status=sequel.status,
        reason=None,
        error=error,
        run_id=run_id,
        attempt=task["attempt"] + 1,
        ready_at=None if waits else now,
        due_at=sequel.available_at if waits else None,
    )


def put_to_sleep(task: Facts, wake_at: datetime, now: datetime) -> Facts:
    """Return a running task that its worker put aside until ``wake_at``; the attempt stays."""
    is_due = wake_at <= now
    return _move(
        task,
        now,
        **_NOT_LEASED,
        status=TaskStatus.sleeping,
        lease_token=None,
        ready_at=now if is_due else None,
        due_at=None if is_due else wake_at,
        wake_at=wake_at,
        wake_event=None,
        event_payload=None,
    )


def suspend(
    task: Facts, step: str, names: Sequence[str], all_of: Sequence[str] | None, until: datetime | None, now: datetime
) -> Facts:
    """Return a running task that its worker put aside until one (or ``all_of``) of the ``names`` is emitted."""
    return _move(
        task,
        now,
        **_NOT_LEASED,
        status=TaskStatus.sleeping,
        lease_token=None,
        ready_at=None,
        due_at=until,
        wake_at=until,
        wake_event=names[0] if len(names) == 1 else None,
        event_payload=None,
        wait_step=step,
        wait_all=None if all_of is None else list(all_of),
    )


def wake(task: Facts, now: datetime, event_name: str | None = None, payload: Any = None) -> Facts:
    """Return a waiting task that can be claimed from now on: its time came, or an event did."""
    was_awaiting = task["wait_step"] is not None
    return _move(
        task,
        now,
        **_NOT_WAITING | {"ready_at": now},
        wake_event=event_name or (task["wake_event"] if was_awaiting else None),
        event_payload=payload,
    )


def release(task: Facts, now: datetime) -> Facts:
    """Return a running task that its worker gave back unharmed: the same attempt is claimed again."""
    return _move(
        task,
        now,
        **_NOT_LEASED,
        status=TaskStatus.pending,
        lease_token=None,
        claimed_by=None,
        ready_at=now,
    )


def reopen(task: Facts, max_attempts: int, run_id: UUID, now: datetime) -> Facts:
    """Return a failed or cancelled task with another attempt, whose id is ``run_id``; its clocks start anew."""
    return _move(
        task,
        now,
        **_AS_NEW,
        status=TaskStatus.pending,
        reason=None,
        error=None,
        run_id=run_id,
        attempt=task["attempt"] + 1,
        max_attempts=max_attempts,
        forgiven_count=0,
        ready_at=now,
        limit_at=None if task["max_delay_seconds"] is None else now + timedelta(seconds=task["max_delay_seconds"]),
        first_started_at=None,
        completed_at=None,
        cancelled_at=None,
        cancel_requested_at=None,
    )


def past_attempt(task: Facts, status: TaskStatus, reason: Reason | None, now: datetime, error: Any) -> dict[str, Any]:
    """Return the newest attempt of ``task`` as it is kept when it is over."""
    return {
        "run_id": task["run_id"],
        "task_id": task["task_id"],
        "attempt": task["attempt"],
        "status": status,
        "reason": reason,
        "claimed_by": task["claimed_by"],
        "lease_token": task["lease_token"],
        "started_at": task["started_at"],
        "ended_at": max(now, task["started_at"] or now),
        "error": error,
    }


def checkpoint_row(facts: Facts, name: str, state: Any, *, is_outcome: bool = False) -> dict[str, Any]:
    """Return the row of a checkpoint that the current attempt of a task writes."""
    return {
        "task_id": facts["task_id"],
        "name": name,
        "state": state,
        "is_outcome": is_outcome,
        "attempt": facts["attempt"],
        "run_id": facts["run_id"],
    }
