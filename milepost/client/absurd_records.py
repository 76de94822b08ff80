"""The shapes in which the older calls take and give things."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from pydantic import MISSING

from milepost.schemas.tasks import Checkpoint, ClaimedTask, EventAwaited, Task, TaskAttempt, TaskStatus

Record: TypeAlias = dict[str, Any]
ClaimedRow: TypeAlias = tuple[Any, ...]


def with_local_times(value: Any) -> Any:
    """Return ``value`` with each naive datetime in it as the local time that it means."""
    match value:
        case datetime() if value.tzinfo is None:
            return value.astimezone()
        case Mapping():
            return {str(key): with_local_times(item) for key, item in value.items()}
        case list() | tuple():
            return [with_local_times(item) for item in value]
    return value


def given(**values: Any) -> Record:
    """Return ``values`` without those that are None: there None means not given."""
    return {name: with_local_times(value) for name, value in values.items() if value is not None}


def claimed_row(task: ClaimedTask) -> ClaimedRow:
    """Return a claimed task as the older claim gave it."""
    return (
        task.run_id,
        task.task_id,
        task.attempt,
        task.task_name,
        task.params,
        task.retry_strategy,
        task.max_attempts,
        task.headers,
        task.wake_event,
        task.event_payload,
    )


def checkpoint_record(checkpoint: Checkpoint) -> Record:
    """Return a checkpoint."""
    return {
        "checkpoint_name": checkpoint.name,
        "state": checkpoint.state,
        "status": "committed",
        "owner_run_id": checkpoint.run_id,
        "updated_at": checkpoint.updated_at,
    }


def task_record(task: Task) -> Record:
    """Return where a task stands."""
    return {
        "task_id": task.task_id,
        "task_name": task.task_name,
        "params": task.params,
        "headers": task.headers,
        "retry_strategy": task.retry_strategy,
        "max_attempts": task.max_attempts,
        "cancellation": task.cancellation,
        "enqueue_at": task.created_at,
        "first_started_at": task.first_started_at,
        "state": task.status.value,
        "attempts": task.attempt,
        "last_attempt_run": task.run_id,
        "completed_payload": task.result,
        "cancelled_at": task.cancelled_at,
        "tenant_id": None,
    }


def run_record(task: Task, attempt: TaskAttempt) -> Record:
    """Return where an attempt stands; what only the newest attempt has is None for the others."""
    newest = task.run_id == attempt.run_id
    ended = {status: attempt.ended_at if attempt.status is status else None for status in TaskStatus}
    return {
        "run_id": attempt.run_id,
        "task_id": task.task_id,
        "attempt": attempt.attempt,
        "state": attempt.status.value,
        "claimed_by": attempt.claimed_by,
        "claim_expires_at": task.lease_expires_at if newest else None,
        "available_at": task.available_at if newest else None,
        "wake_event": task.wake_event if newest else None,
        "event_payload": None,
        "started_at": attempt.started_at,
        "completed_at": ended[TaskStatus.completed],
        "failed_at": ended[TaskStatus.failed],
        "result": attempt.result,
        "failure_reason": attempt.error,
        "created_at": task.created_at,
        "last_heartbeat": None,
        "tenant_id": None,
    }


def payload_of(awaited: EventAwaited) -> Any:
    """Return what the event carried; None without an event."""
    return None if awaited.payload is MISSING else awaited.payload


def failure_record(reason: str | Mapping[str, Any]) -> Record:
    """Return a reason as the error of an attempt."""
    if isinstance(reason, Mapping):
        return dict(with_local_times(reason))
    return {"name": "TaskExecutionError", "message": str(reason)}


def as_uuid(value: UUID | str) -> UUID:
    """Return an id that may have come as text."""
    return value if isinstance(value, UUID) else UUID(str(value))
