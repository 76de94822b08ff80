"""Stored things, one typed row each: the store reads them, the rules move them, and what is shown is made of them."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from app.domain.json_texts import Json


class TaskRow(NamedTuple):
    """A task as it is stored; what the columns mean is said at the model."""

    task_id: UUID
    queue: str
    task_name: str
    params: Json
    headers: Json
    priority: int
    workflow_run_id: UUID | None
    parent_task_id: UUID | None
    step: str | None
    traceparent: str | None
    max_attempts: int
    max_lost: int
    lost_count: int
    forgiven_count: int
    retry_strategy: Mapping[str, Json] | None
    max_delay_seconds: float | None
    max_duration_seconds: float | None
    idempotency_key: str | None
    concurrency_key: str | None
    status: str
    reason: str | None
    run_id: UUID
    attempt: int
    result: Json
    error: Json
    progress: Json
    available_at: datetime
    ready_at: datetime | None
    due_at: datetime | None
    limit_at: datetime | None
    wake_at: datetime | None
    wake_event: str | None
    event_payload: Json
    wait_step: str | None
    wait_all: list[str] | None
    claimed_by: str | None
    lease_token: UUID | None
    lease_expires_at: datetime | None
    final_body: bytes | None
    created_at: datetime
    first_started_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    cancelled_at: datetime | None
    cancel_requested_at: datetime | None
    updated_at: datetime
    revision: int
    now: datetime
    """The database's time when it was read, after the lock where it was locked."""

    @property
    def place(self) -> tuple[UUID, str]:
        """Return the run and the path of the step whose work item it is. Raises ValueError for a task that is none."""
        if self.workflow_run_id is None or self.step is None:
            raise ValueError(f"task {self.task_id} is the work item of no step")
        return self.workflow_run_id, self.step


class AttemptRow(NamedTuple):
    """An attempt at a task that is over, as it is stored."""

    run_id: UUID
    task_id: UUID
    attempt: int
    status: str
    reason: str | None
    claimed_by: str | None
    lease_token: UUID | None
    started_at: datetime | None
    ended_at: datetime
    error: Json
