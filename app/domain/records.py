"""Stored things, one typed row each: the store reads them, the rules move them, and what is shown is made of them."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from app.domain.json_texts import Json, JsonText
from milepost.schemas.workflow_runs import HistoryVerb, RunStatus


class RunRow(NamedTuple):
    """A workflow run as it is stored; what the columns mean is said at the model."""

    workflow_run_id: UUID
    workflow_name: str
    workflow_version: str
    workflow_hash: str | None
    status: RunStatus
    reason: str | None
    queue: str
    inputs: Json
    result: Json
    error: Json
    tags: Mapping[str, Json]
    created_by: str | None
    absurd_run_id: str | None
    parent_workflow_run_id: UUID | None
    workflow_id: UUID | None
    rerun_of_workflow_run_id: UUID | None
    schedule_id: UUID | None
    data_interval_start: datetime | None
    data_interval_end: datetime | None
    task_count: int | None
    attempt: int
    revision: int
    cancel_requested_at: datetime | None
    cancel_due_at: datetime | None
    paused_at: datetime | None
    deadline_at: datetime | None
    heartbeat_seconds: float | None
    heartbeat_expires_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    updated_at: datetime
    task_counts: Mapping[str, int]
    """How many linked tasks there are of each status."""
    now: datetime
    """The database's time when it was read: of its transaction."""

    @property
    def data_interval(self) -> tuple[datetime, datetime] | None:
        """Return what time it is about; None unless the service executes it."""
        begins, ends = self.data_interval_start, self.data_interval_end
        return None if begins is None or ends is None else (begins, ends)


class RunChange(NamedTuple):
    """A run as it is stored next, and what its history says of that."""

    after: RunRow
    from_status: RunStatus
    verb: HistoryVerb
    actor: str
    request_id: str | None
    why: str | None = None


class VersionRow(NamedTuple):
    """A registered version of a definition, without what it says; what the columns mean is said at the model."""

    workflow_id: UUID
    workflow_name: str
    workflow_version: str
    workflow_hash: str
    description: str
    media_type: str
    warnings: Json
    created_by: str
    created_at: datetime
    sequence: int


class WorkflowRow(NamedTuple):
    """A registered version of a definition, with its document."""

    workflow_id: UUID
    workflow_name: str
    workflow_version: str
    workflow_hash: str
    description: str
    document: JsonText
    source: str
    media_type: str
    warnings: Json
    created_by: str
    created_at: datetime
    sequence: int


class ScheduleRow(NamedTuple):
    """A schedule as it is stored; what the columns mean is said at the model."""

    schedule_id: UUID
    workflow_name: str
    workflow_version: str | None
    cron: str
    timezone: str
    start_at: datetime
    end_at: datetime | None
    catchup: bool
    max_active_runs: int
    overlap: str
    paused: bool
    paused_reason: str | None
    queue: str
    inputs: Json
    tags: Mapping[str, Json]
    created_by: str | None
    workflow_id: UUID | None
    next_fire_at: datetime | None
    last_fire_at: datetime | None
    created_at: datetime
    updated_at: datetime
    revision: int
    now: datetime
    """The database's time when it was read: of its transaction."""


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
