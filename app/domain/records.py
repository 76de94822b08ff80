"""Stored things, one typed row each: the store reads them, the rules move them, and what is shown is made of them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from app.domain.json_texts import Json, JsonText, JsonValue
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
    inputs: JsonValue
    result: JsonValue
    error: JsonValue
    tags: Mapping[str, JsonValue]
    links: Mapping[str, Mapping[str, str | None]] | None
    reported_progress: Mapping[str, JsonValue] | None
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
    expected_by: datetime | None
    late_at: datetime | None
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
    warnings: Sequence[Mapping[str, str]]
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
    warnings: Sequence[Mapping[str, str]]
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
    inputs: JsonValue
    tags: Mapping[str, JsonValue]
    created_by: str | None
    workflow_id: UUID | None
    next_fire_at: datetime | None
    last_fire_at: datetime | None
    created_at: datetime
    updated_at: datetime
    revision: int
    now: datetime
    """The database's time when it was read: of its transaction."""


class MonitorRow(NamedTuple):
    """A monitor as it is stored; what the columns mean is said at the model."""

    name: str
    workflow_name: str
    cron: str | None
    timezone: str | None
    every_seconds: float | None
    grace_seconds: float
    max_runtime_seconds: float | None
    tags: Mapping[str, JsonValue]
    paused: bool
    paused_reason: str | None
    created_by: str | None
    state: str
    last_run_id: UUID | None
    last_ok_at: datetime | None
    next_expected_at: datetime | None
    late_since: datetime | None
    consecutive_failures: int
    since_at: datetime
    seen_from: datetime
    followed: Mapping[str, Json]
    look_at: datetime | None
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
    params: JsonValue
    headers: Mapping[str, JsonValue] | JsonText
    priority: int
    workflow_run_id: UUID | None
    parent_task_id: UUID | None
    step: str | None
    traceparent: str | None
    max_attempts: int
    max_lost: int
    lost_count: int
    forgiven_count: int
    retry_strategy: Mapping[str, JsonValue] | None
    max_delay_seconds: float | None
    max_duration_seconds: float | None
    idempotency_key: str | None
    concurrency_key: str | None
    status: str
    reason: str | None
    run_id: UUID
    attempt: int
    result: JsonValue
    error: JsonValue
    progress: JsonValue
    reported_progress: Mapping[str, JsonValue] | None
    available_at: datetime
    ready_at: datetime | None
    due_at: datetime | None
    limit_at: datetime | None
    wake_at: datetime | None
    wake_event: str | None
    event_payload: JsonValue
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
    error: JsonValue


class ApiKeyRow(NamedTuple):
    """An API key as it is stored, without its secret."""

    api_key_id: UUID
    name: str
    scopes: list[str]
    created_at: datetime
    revoked_at: datetime | None


class IdempotencyKeyRow(NamedTuple):
    """An idempotency key as it is stored: of what request, what it was sent with, and what was answered."""

    scope: bytes
    body: bytes
    answer: str


class QueueRow(NamedTuple):
    """A queue as it is stored; what the columns mean is said at the model."""

    queue: str
    paused: bool
    max_concurrency: int | None
    default_lease_seconds: float
    retention_seconds: float | None
    created_at: datetime
    updated_at: datetime


class WorkerRow(NamedTuple):
    """A worker that was seen on a queue, as it is stored."""

    queue: str
    worker_id: str
    seen_at: datetime
    task_names: Sequence[str] | None
    signed_off_at: datetime | None


class CheckpointRow(NamedTuple):
    """A checkpoint of a task as it is stored; what the columns mean is said at the model."""

    task_id: UUID
    name: str
    position: int
    state: JsonText | None
    is_outcome: bool
    attempt: int
    run_id: UUID
    updated_at: datetime


class SpentLeaseRow(NamedTuple):
    """A lease that was given up, as it is stored, with what that was answered."""

    lease_token: UUID
    task_id: UUID
    run_id: UUID
    call: str
    body: bytes
    answer: JsonText | None
    spent_at: datetime


class LateReportRow(NamedTuple):
    """The report of a worker that had lost its lease, as it is stored."""

    late_report_id: int
    task_id: UUID
    run_id: UUID
    at: datetime
    lease_token_suffix: str
    call: str
    body: JsonText | None


class LogLineRow(NamedTuple):
    """A line of a log as it is stored; what the columns mean is said at the model."""

    sequence: int
    workflow_run_id: UUID | None
    task_id: UUID | None
    attempt: int
    level: int
    is_truncated: bool
    at: datetime
    text: str
    fields: JsonText | None
    call: int


class EventRow(NamedTuple):
    """An event as it is stored; which queue it is of is known to whoever reads it."""

    event_id: int
    event_name: str
    workflow_run_id: UUID | None
    payload: JsonText | None
    emitted_at: datetime


class DeliveryRow(NamedTuple):
    """An event on its way to other runs, as it is stored."""

    delivery_id: int
    queue: str
    event_name: str
    workflow_run_id: UUID | None


class SlotRow(NamedTuple):
    """A slot of a schedule that has been dealt with, as it is stored."""

    schedule_id: UUID
    fire_at: datetime
    workflow_run_id: UUID | None
    outcome: str
    at: datetime


class HistoryRow(NamedTuple):
    """An entry of the history of a run, as it is stored."""

    history_id: int
    workflow_run_id: UUID
    at: datetime
    verb: str
    from_status: str | None
    to_status: str
    attempt: int
    actor: str
    reason: str | None
    request_id: str | None


class FrameRow(NamedTuple):
    """The names of results of a run or an iteration, as they are stored."""

    workflow_run_id: UUID
    path: str
    variables: Mapping[str, JsonValue]
    names: Mapping[str, Mapping[str, str]]
    value: JsonValue


class StepRow(NamedTuple):
    """A step of an executed run as it is stored, without its result; what the columns mean is said at the model."""

    workflow_run_id: UUID
    path: str
    region: str
    scope: str
    operator_type: str
    status: str
    attempt: int
    task_id: UUID | None
    error: JsonValue
    facts: Mapping[str, JsonValue]
    due_at: datetime | None
    awaits: str | None
    started_at: datetime | None
    completed_at: datetime | None


class WarningRow(NamedTuple):
    """A warning of an executed run, as it is stored."""

    warning_id: int
    workflow_run_id: UUID
    path: str
    code: str
    expression: str
    at: datetime


class ExecutionRow(NamedTuple):
    """An executed run and what its execution keeps, as both are stored."""

    workflow_run_id: UUID
    status: str
    inputs: JsonValue
    queue: str
    workflow_hash: str | None
    started_at: datetime | None
    cancel_requested_at: datetime | None
    parent_workflow_run_id: UUID | None
    workflow_id: UUID
    strict_templates: bool
    run: Mapping[str, JsonValue]
    memory: Mapping[str, JsonValue]
    breakers: Mapping[str, JsonValue]
    parent_step: str | None
    parent_child: str | None
    deadline_at: datetime | None
    paused_at: datetime | None
    now: datetime
    """The database's time when it was read: of its transaction."""
