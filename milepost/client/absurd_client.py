"""The older library's calls over HTTP: the same names and arguments, with a ``Client`` as ``conn``."""

import os
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from milepost.client.absurd_records import (
    ClaimedRow,
    Record,
    as_uuid,
    checkpoint_record,
    claimed_row,
    failure_record,
    given,
    payload_of,
    run_record,
    task_record,
    with_local_times,
)
from milepost.client.client import Client
from milepost.client.exceptions import NotFound
from milepost.client.held_leases import HeldLeases
from milepost.schemas.tasks import AwaitOutcome

CLAIM_MOST = 1000
DAY_SECONDS = 86_400
Id: TypeAlias = UUID | str

_QUEUE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")
_held = HeldLeases()


class AbsurdSleepError(Exception):
    """The run was put aside until an event: leave it, it is claimed again later."""

    def __init__(
        self,
        message: str,
        run_id: UUID | None = None,
        event_name: str | None = None,
        wake_at: datetime | None = None,
    ) -> None:
        super().__init__(message)
        self.run_id = run_id
        self.event_name = event_name
        self.wake_at = wake_at


class AbsurdClient:
    """Spawns and works the tasks of one queue, and tracks workflow runs on it.

    Ids and times go out as text, a datetime without zone is local time, and None means not given. The lease tokens of
    what is claimed are kept in this process, for all clients together: a task has to be finished in the process that
    claimed it. A refusal raises ``RefusedError``.
    """

    def __init__(self, queue_name: str | None = None, worker_id: str | None = None) -> None:
        self.queue_name = queue_name or os.environ.get("ABSURD_DEFAULT_QUEUE") or "absurd_default"
        self.worker_id = worker_id or os.environ.get("ABSURD_WORKER_ID") or "absurd_worker_1"
        if not _QUEUE_NAME.fullmatch(self.queue_name):
            raise ValueError(f"{self.queue_name!r} cannot be the name of a queue")

    def create_queue(self, conn: Client) -> None:
        """Make the queue if there is none of this name; its limits stay otherwise."""
        try:
            conn.get_queue(self.queue_name)
        except NotFound:
            conn.put_queue(self.queue_name)

    def spawn_task(
        self,
        conn: Client,
        task_name: str,
        params: Any = None,
        options: Mapping[str, Any] | None = None,
        headers: Mapping[str, Any] | None = None,
        retry_strategy: Mapping[str, Any] | None = None,
        max_attempts: int | None = None,
        cancellation: Mapping[str, Any] | None = None,
        workflow_run_id: Id | None = None,
    ) -> tuple[UUID, UUID, UUID]:
        """Spawn a task and return ``(task_id, run_id, workflow_run_id)``; without a workflow run, its own run id."""
        fields = given(**(options or {})) | given(
            params=params, retry_strategy=retry_strategy, max_attempts=max_attempts, cancellation=cancellation
        )
        all_headers = {**fields.get("headers", {}), **with_local_times(headers or {})}
        if workflow_run_id is not None:
            all_headers["workflow_run_id"] = str(workflow_run_id)
        spawned = conn.spawn_task(task_name, **{**fields, "headers": all_headers, "queue": self.queue_name})
        _held.spawned(spawned.task_id, spawned.run_id)
        return spawned.task_id, spawned.run_id, spawned.workflow_run_id or spawned.run_id

    def claim_task(
        self, conn: Client, worker_id: str | None = None, claim_timeout: float = 30, qty: int = 1
    ) -> list[ClaimedRow]:
        """Claim up to ``qty`` tasks for ``claim_timeout`` seconds (0: a day), without waiting for one.

        Each is ``(run_id, task_id, attempt, task_name, params, retry_strategy, max_attempts, headers, wake_event,
        event_payload)``.
        """
        claimed = conn.claim_tasks(
            self.queue_name,
            worker_id=worker_id or self.worker_id,
            limit=min(qty, CLAIM_MOST),
            lease_seconds=min(claim_timeout or DAY_SECONDS, DAY_SECONDS),
        )
        for task in claimed.tasks:
            _held.claimed(task)
        return [claimed_row(task) for task in claimed.tasks]

    def complete_task(self, conn: Client, run_id: Id, result: Any = None) -> None:
        """Report a run as done."""
        held = _held.find(run_id)
        conn.complete_task(held.task_id, held.lease_token, **given(result=result))

    def fail_task(
        self, conn: Client, run_id: Id, reason: str | Mapping[str, Any], retry_at: datetime | None = None
    ) -> None:
        """Report a run as failed; with ``retry_at`` the next attempt comes then."""
        held = _held.find(run_id)
        conn.fail_task(held.task_id, held.lease_token, failure_record(reason), **given(retry_at=retry_at))

    def cancel_task(self, conn: Client, run_id: Id) -> bool:
        """Cancel a task, also a running one; return whether it is cancelled, and has not ended otherwise."""
        return conn.cancel_task(_held.find(run_id).task_id).status == "cancelled"

    def extend_claim(self, conn: Client, run_id: Id, extend_by_seconds: float) -> None:
        """Extend the lease to so many seconds from now."""
        held = _held.find(run_id)
        conn.heartbeat_task(held.task_id, held.lease_token, lease_seconds=extend_by_seconds)

    def set_checkpoint(
        self,
        conn: Client,
        task_id: Id,
        step_name: str,
        state: Any,
        owner_run: Id | None = None,
        extend_claim_by: float | None = None,
    ) -> None:
        """Store the result of a step; extend the lease as well when asked."""
        held = _held.find(owner_run or task_id)
        conn.put_checkpoint(
            task_id, step_name, held.lease_token, with_local_times(state), lease_seconds=extend_claim_by
        )

    def get_checkpoint(self, conn: Client, task_id: Id, step_name: str, include_pending: bool = False) -> Record | None:
        """Return a checkpoint, or None; all checkpoints are committed, so ``include_pending`` changes nothing."""
        del include_pending
        try:
            return checkpoint_record(conn.get_checkpoint(task_id, step_name))
        except NotFound:
            return None

    def get_all_checkpoints(self, conn: Client, task_id: Id, run_id: Id | None = None) -> list[Record]:
        """Return the checkpoints of a task in the order of writing."""
        del run_id
        return [checkpoint_record(checkpoint) for checkpoint in conn.iterate_checkpoints(task_id)]

    def get_checkpoints_for_run(self, conn: Client, run_id: Id) -> Record:
        """Return the state of each checkpoint of the run's task by name."""
        task_id = _held.find(run_id).task_id
        return {checkpoint.name: checkpoint.state for checkpoint in conn.iterate_checkpoints(task_id)}

    def get_run_checkpoint(self, conn: Client, run_id: Id, step_name: str) -> Any:
        """Return the state of one checkpoint of the run's task, or None."""
        found = self.get_checkpoint(conn, _held.find(run_id).task_id, step_name)
        return found and found["state"]

    def save_checkpoint_for_run(
        self, conn: Client, run_id: Id, step_name: str, data: Any, task_id: Id | None = None
    ) -> None:
        """Store the result of a step of the run's task."""
        self.set_checkpoint(conn, task_id or _held.find(run_id).task_id, step_name, data, run_id)

    def await_event(
        self,
        conn: Client,
        task_id: Id,
        run_id: Id,
        step_name: str,
        event_name: str,
        timeout: float | None = None,
    ) -> tuple[bool, Any]:
        """Return ``(should_suspend, payload)``; when True, the task has been put aside. A time-out has no payload."""
        held = _held.find(run_id)
        awaited = conn.await_event(task_id, held.lease_token, step_name, event_name=event_name, timeout_seconds=timeout)
        return awaited.outcome is AwaitOutcome.suspended, payload_of(awaited)

    def wait_for_event(
        self,
        conn: Client,
        run_id: Id,
        event_name: str,
        timeout_seconds: float | None = None,
        task_id: Id | None = None,
        step_name: str | None = None,
    ) -> Any:
        """Return the payload of an event. Raises AbsurdSleepError while it has not come, TimeoutError when too late."""
        if timeout_seconds is None:
            raise ValueError(f"waiting for {event_name} needs timeout_seconds")
        held = _held.find(run_id)
        awaited = conn.await_event(
            task_id or held.task_id,
            held.lease_token,
            step_name or f"wait_for_{event_name}"[:255],
            event_name=event_name,
            timeout_seconds=timeout_seconds,
        )
        match awaited.outcome:
            case AwaitOutcome.suspended:
                raise AbsurdSleepError(f"run {run_id} sleeps until {event_name}", as_uuid(run_id), event_name)
            case AwaitOutcome.timed_out:
                raise TimeoutError(f"{event_name} did not come within {timeout_seconds} seconds")
        return payload_of(awaited)

    def set_run_sleeping(self, conn: Client, run_id: Id, event_name: str) -> None:
        """Do nothing: ``wait_for_event`` has put the run aside already."""

    def emit_event(self, conn: Client, event_name: str, payload: Any = None) -> None:
        """Emit an event on the queue; the first emit counts."""
        conn.emit_event(self.queue_name, event_name, **given(payload=payload))

    def schedule_task(self, conn: Client, run_id: Id, wake_at: datetime) -> None:
        """Put a claimed run aside until a time."""
        held = _held.find(run_id)
        conn.sleep_task(held.task_id, held.lease_token, wake_at=with_local_times(wake_at))

    def sleep(self, conn: Client, run_id: Id, duration_seconds: float) -> None:
        """Put a claimed run aside for so many seconds."""
        held = _held.find(run_id)
        conn.sleep_task(held.task_id, held.lease_token, seconds=duration_seconds)

    def get_task_status(self, conn: Client, task_id: Id) -> Record | None:
        """Return where a task stands, or None if there is none."""
        try:
            return task_record(conn.get_task(task_id))
        except NotFound:
            return None

    def get_run_status(self, conn: Client, run_id: Id) -> Record | None:
        """Return where a run that was spawned or claimed in this process stands, or None."""
        held = _held.find(run_id)
        try:
            task = conn.get_task(held.task_id)
        except NotFound:
            return None
        wanted = {as_uuid(run_id), held.run_id}
        attempts = [found for found in conn.iterate_task_attempts(held.task_id) if found.run_id in wanted]
        return run_record(task, attempts[-1]) if attempts else None

    def cleanup_tasks(self, conn: Client, ttl_seconds: float, limit: int = 1000) -> int:
        """Do nothing and return 0: the service deletes ended tasks by itself, by the queue's ``retention_seconds``."""
        del conn, ttl_seconds, limit
        return 0

    def cleanup_events(self, conn: Client, ttl_seconds: float, limit: int = 1000) -> int:
        """Do nothing and return 0: the service deletes old events by itself."""
        del conn, ttl_seconds, limit
        return 0

    def create_workflow_run(
        self,
        conn: Client,
        workflow_name: str,
        workflow_version: str,
        inputs: Any = None,
        absurd_run_id: Id | None = None,
        created_by: str | None = None,
        tags: Mapping[str, Any] | None = None,
        workflow_hash: str | None = None,
    ) -> UUID:
        """Record a workflow run and return its id."""
        fields = given(
            inputs=inputs,
            absurd_run_id=absurd_run_id and str(absurd_run_id),
            created_by=created_by,
            tags=tags,
            workflow_hash=workflow_hash,
        )
        run = conn.create_workflow_run(workflow_name, workflow_version, **{**fields, "queue": self.queue_name})
        return run.workflow_run_id

    def update_workflow_run_status(
        self,
        conn: Client,
        workflow_run_id: Id,
        status: str,
        result: Any = None,
        error: Mapping[str, Any] | str | None = None,
        started_at: datetime | None = None,
        completed_at: datetime | None = None,
        task_count: int | None = None,
    ) -> None:
        """Move a workflow run, and set what is given."""
        changes = given(
            status=status,
            result=result,
            error={"message": error} if isinstance(error, str) else error,
            started_at=started_at,
            completed_at=completed_at,
            task_count=task_count,
        )
        conn.update_workflow_run_status(workflow_run_id, **changes)
