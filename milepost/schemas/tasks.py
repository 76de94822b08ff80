"""Tasks on the wire: what is spawned, handed out and reported."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import MISSING, AfterValidator, BaseModel, ConfigDict, Field, model_validator

from milepost.schemas.progress import ProgressReport, ReportedProgress
from milepost.schemas.reasons import Reason
from milepost.schemas.wire import (
    INTEGRAL,
    NOT_BLANK,
    Answer,
    Body,
    CountTotal,
    Flag,
    JsonObject,
    JsonValue,
    PageQuery,
    QueueName,
    Seconds,
    ShortText,
    Time,
    WholeNumber,
)

TASKS_PER_BATCH = 1000
NAMES_AWAITED_MOST = 1000
TEN_YEARS_SECONDS = 315_360_000
DAY_SECONDS = 86_400
LOST_MOST = 5
"""How many lost attempts are forgiven, unless a task says otherwise."""

TaskName = Annotated[str, Field(min_length=1, max_length=200, pattern=NOT_BLANK, examples=["send_invoice"])]
StepName = Annotated[str, Field(min_length=1, max_length=255, examples=["charge-card"])]
EventName = Annotated[str, Field(min_length=1, max_length=255, examples=["order-1234-paid"])]
WorkerId = Annotated[str, Field(min_length=1, max_length=255, examples=["worker-7@db1"])]
LeaseToken = Annotated[
    str,
    Field(
        min_length=1,
        max_length=100,
        description="Proves that you hold the task: from the claim.",
        examples=["0197c2a4-9d2e-7b41-8c55-2e4f6a8b0c1d"],
    ),
]
LeaseSeconds = Annotated[Seconds, Field(ge=1, le=DAY_SECONDS, description="How long the lease lasts, from now.")]
Delay = Annotated[Seconds, Field(ge=0, le=TEN_YEARS_SECONDS)]
Limit = Annotated[Seconds, Field(gt=0, le=TEN_YEARS_SECONDS)]
Attempts = Annotated[WholeNumber, Field(ge=1, le=10_000), INTEGRAL]
Losses = Annotated[WholeNumber, Field(ge=0, le=100), INTEGRAL]
Priority = Annotated[WholeNumber, Field(ge=-1_000_000, le=1_000_000), INTEGRAL]


def _check_jitter(value: Any) -> Any:
    if isinstance(value, bool) or (isinstance(value, int | float) and 0 <= value <= 1):
        return value
    raise ValueError("must be a number from 0 to 1, or true or false")


Jitter = Annotated[
    Any,
    AfterValidator(_check_jitter),
    Field(
        json_schema_extra={"type": ["number", "boolean"], "minimum": 0, "maximum": 1},
        description="Share of the pause that is left to chance, so that many do not come back at once; true: all.",
    ),
]


class TaskStatus(StrEnum):
    """Where a task stands; the last three are final."""

    pending = "pending"
    running = "running"
    sleeping = "sleeping"
    completed = "completed"
    failed = "failed"
    cancelled = "cancelled"


class RetryKind(StrEnum):
    """How the pause before the next attempt grows."""

    none = "none"
    fixed = "fixed"
    exponential = "exponential"


class RetryStrategy(Body):
    """How long to pause before the next attempt: base x factor^(failures - 1), at most max_seconds."""

    kind: RetryKind
    base_seconds: Annotated[Seconds, Field(ge=0, le=DAY_SECONDS)] | None = Field(
        default=None, description="First pause. Absent: 60 when fixed, 30 when exponential."
    )
    factor: Annotated[Seconds, Field(ge=1, le=1000)] | None = Field(default=None, description="Absent: 2.")
    max_seconds: Annotated[Seconds, Field(ge=0, le=DAY_SECONDS)] | None = Field(
        default=None, description="Longest pause. Absent: a day."
    )
    jitter: Jitter | None = None


class Cancellation(Body):
    """Limits of time; a task that reaches one is cancelled, running or not."""

    max_delay: Limit | None = Field(default=None, description="Seconds until it must have been started.")
    max_duration: Limit | None = Field(default=None, description="Seconds from its first start until its end.")


class TaskSpec(Body):
    """A task to spawn."""

    task_name: TaskName
    params: JsonValue = Field(default_factory=dict, description="Any JSON; comes back exactly as given.")
    headers: JsonObject = Field(default_factory=dict, description="For what travels along, such as a tenant.")
    queue: QueueName | None = Field(default=None, description="Absent: the run's queue, else `default`.")
    workflow_run_id: UUID | None = Field(
        default=None, description="Links it. Taken from `params` or `headers` when it stands there instead."
    )
    parent_task_id: UUID | None = None
    priority: Priority = Field(default=0, description="Higher is handed out first.")
    available_at: Time | None = Field(default=None, description="Not handed out before.")
    delay_seconds: Delay | None = Field(default=None, description="The same, from now.")
    max_attempts: Attempts = 1
    max_lost: Losses = Field(
        default=LOST_MOST,
        description="So many attempts whose lease expired do not count against `max_attempts`; 0: each does.",
    )
    retry_strategy: RetryStrategy | None = Field(default=None, description="Absent: the next attempt comes at once.")
    cancellation: Cancellation | None = None
    idempotency_key: ShortText | None = Field(default=None, description="Unique in its queue, for ever.")
    concurrency_key: ShortText | None = Field(default=None, description="One task of a key runs at a time.")

    @model_validator(mode="after")
    def _has_one_time(self) -> Self:
        if self.available_at is not None and self.delay_seconds is not None:
            raise ValueError("takes available_at or delay_seconds, not both")
        return self


class TaskBatch(Body):
    """Tasks to spawn together: all of them or none."""

    tasks: Annotated[list[TaskSpec], Field(min_length=1, max_length=TASKS_PER_BATCH)]


class Spawned(Answer):
    """A task that was spawned, or that its idempotency key had spawned before."""

    task_id: UUID
    run_id: UUID
    """Of its newest attempt."""
    workflow_run_id: UUID | None
    attempt: int
    created: bool
    """False when the idempotency key was known."""


class SpawnedTasks(Answer):
    """Spawned tasks, in the order they were sent."""

    items: list[Spawned]


class Task(Answer):
    """One unit of work on a queue, with its newest attempt."""

    task_id: UUID
    run_id: UUID
    """Of the newest attempt."""
    task_name: str = Field(examples=["send_invoice"])
    queue: str = Field(examples=["default"])
    status: TaskStatus
    reason: Reason | None
    """Why it stands where it stands, when no worker's report says so."""
    attempt: int
    max_attempts: int
    max_lost: int
    """So many lost attempts do not count against `max_attempts`."""
    lost_count: int
    """Attempts whose lease expired."""
    params: JsonValue
    headers: JsonObject
    result: JsonValue
    error: JsonObject | None
    progress: JsonValue
    reported_progress: ReportedProgress | None
    """How far it is, as its worker has reported."""
    workflow_run_id: UUID | None
    parent_task_id: UUID | None
    step: str | None
    """Path of the step of the definition that it executes."""
    traceparent: str | None
    priority: int
    retry_strategy: JsonObject | None
    cancellation: JsonObject | None
    idempotency_key: str | None
    concurrency_key: str | None
    claimed_by: str | None
    lease_expires_at: datetime | None
    available_at: datetime
    wake_at: datetime | None
    wake_event: str | None
    created_at: datetime
    first_started_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    """When it ended, however it did."""
    cancelled_at: datetime | None
    cancel_requested_at: datetime | None
    updated_at: datetime
    revision: int


class TaskPage(Answer):
    """Tasks, in the order asked for."""

    items: list[Task]
    next_cursor: str | None
    total: int | None = Field(default=None, exclude_if=lambda total: total is None)
    """How many match the filters; only with `count=exact`."""


class TaskOrder(StrEnum):
    """What a list of tasks is sorted by; `-` before it for descending."""

    created_at = "created_at"
    newest_created = "-created_at"


class TaskFilter(BaseModel):
    """Which tasks; all that is given must hold."""

    model_config = ConfigDict(extra="forbid")

    queue: QueueName | None = Field(default=None, description="The queue that they wait in.")
    status: list[TaskStatus] = Field(default_factory=list, description="Repeat it for any of several.")
    task_name: ShortText | None = Field(default=None, description="What they are called.")
    workflow_run_id: UUID | None = Field(default=None, description="The run that they are linked to.")
    parent_task_id: UUID | None = Field(default=None, description="The task that spawned them.")
    claimed_by: ShortText | None = Field(default=None, description="The worker that claimed them last.")
    created_after: Time | None = Field(default=None, description="Exclusive, as all bounds are.")
    created_before: Time | None = Field(default=None, description="Created before this moment.")


class TaskQuery(TaskFilter, PageQuery):
    """Which tasks, in which order, and which part of them."""

    order: TaskOrder = Field(default=TaskOrder.newest_created, description="Newest first unless it says otherwise.")
    count: CountTotal | None = Field(default=None, description="`exact` adds `total`: it costs a count of all matches.")


class RunTaskQuery(PageQuery):
    """Which tasks of a workflow run."""

    status: list[TaskStatus] = Field(default_factory=list, description="Repeat it for any of several.")
    task_name: ShortText | None = Field(default=None, description="What they are called.")
    order: TaskOrder = Field(default=TaskOrder.created_at, description="Oldest first unless it says otherwise.")
    count: CountTotal | None = Field(default=None, description="`exact` adds `total`: it costs a count of all matches.")


class LateReport(Answer):
    """What a worker reported that did not hold the lease any more; never applied."""

    at: datetime
    lease_token_suffix: str = Field(examples=["6a8b0c1d"])
    call: str = Field(examples=["complete"])
    body: JsonValue


class TaskAttempt(Answer):
    """One try of a task."""

    run_id: UUID
    attempt: int
    status: TaskStatus
    reason: Reason | None
    claimed_by: str | None
    started_at: datetime | None
    ended_at: datetime | None
    result: JsonValue
    error: JsonObject | None
    late_reports: list[LateReport]


class TaskAttempts(Answer):
    """A page of the attempts of a task, oldest first."""

    items: list[TaskAttempt]
    next_cursor: str | None


class TaskRetry(Body):
    """How to open a failed or cancelled task again."""

    max_attempts: Attempts | None = Field(default=None, description="New limit. Absent: at least one more attempt.")
    spawn_new: Flag = Field(default=False, description="Spawn a fresh task with the same spec instead.")


class Checkpoint(Answer):
    """The stored result of a named step."""

    name: str = Field(examples=["charge-card"])
    state: JsonValue
    attempt: int
    """The attempt that wrote it last."""
    run_id: UUID
    updated_at: datetime


class Checkpoints(Answer):
    """Checkpoints in the order of writing."""

    items: list[Checkpoint]
    next_cursor: str | None


class Claim(Body):
    """What a worker asks for."""

    worker_id: WorkerId
    limit: Annotated[WholeNumber, Field(ge=1, le=1000), INTEGRAL] = Field(
        default=1, description="At most so many tasks."
    )
    lease_seconds: LeaseSeconds | None = Field(default=None, description="Absent: the queue's default, itself 30.")
    wait_seconds: Annotated[Seconds, Field(ge=0, le=60)] = Field(default=0, description="How long to wait for work.")
    task_names: Annotated[list[TaskName], Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="Only tasks of these names. Absent: of any."
    )


class ClaimedTask(Answer):
    """A task that is yours until its lease expires."""

    task_id: UUID
    run_id: UUID
    attempt: int
    lease_token: str = Field(examples=["0197c2a4-9d2e-7b41-8c55-2e4f6a8b0c1d"])
    lease_expires_at: datetime
    task_name: str = Field(examples=["send_invoice"])
    params: JsonValue
    headers: JsonObject
    retry_strategy: JsonObject | None
    max_attempts: int
    workflow_run_id: UUID | None
    step: str | None
    traceparent: str | None
    wake_event: str | None
    event_payload: JsonValue
    checkpoints: JsonObject
    """Name -> state of the steps that are done."""
    server_time: datetime


class ClaimedTasks(Answer):
    """Tasks that are yours; none when there was nothing to do."""

    tasks: list[ClaimedTask]


class LeaseBody(Body):
    """A call by the worker that holds the lease."""

    lease_token: LeaseToken


class TaskHeartbeat(LeaseBody):
    """I am still at it."""

    lease_seconds: LeaseSeconds | None = Field(default=None, description="Absent: the queue's default.")
    progress: JsonValue | MISSING = Field(default=MISSING, description="Any JSON, shown on the task.")
    reported_progress: ProgressReport | None | MISSING = Field(
        default=MISSING, description="How far it is, merged member by member; null clears all of it."
    )


class TaskHeartbeatAnswer(Answer):
    """How long the lease lasts now, and whether to stop."""

    lease_expires_at: datetime
    cancel_requested: bool
    server_time: datetime


class CheckpointWrite(LeaseBody):
    """The result of a step."""

    state: JsonValue = Field(default=None, description="Any JSON; comes back exactly as given.")
    lease_seconds: LeaseSeconds | None = Field(default=None, description="Extends the lease as well.")


class TaskSleep(LeaseBody):
    """Put it aside until a time; exactly one of the two."""

    wake_at: Time | None = None
    seconds: Delay | None = None

    @model_validator(mode="after")
    def _has_one_time(self) -> Self:
        if (self.wake_at is None) == (self.seconds is None):
            raise ValueError("takes exactly one of wake_at and seconds")
        return self


class EventAwait(LeaseBody):
    """Put it aside until an event, or any or all of several; exactly one of the three."""

    step_name: StepName
    event_name: EventName | None = None
    any_of: Annotated[list[EventName], Field(min_length=1, max_length=NAMES_AWAITED_MOST)] | None = None
    all_of: Annotated[list[EventName], Field(min_length=1, max_length=NAMES_AWAITED_MOST)] | None = None
    timeout_seconds: Delay | None = Field(default=None, description="Absent: for ever.")

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        if sum(asked is not None for asked in (self.event_name, self.any_of, self.all_of)) != 1:
            raise ValueError("takes exactly one of event_name, any_of and all_of")
        return self


class AwaitOutcome(StrEnum):
    """What came of awaiting."""

    received = "received"
    timed_out = "timed_out"
    suspended = "suspended"


class EventAwaited(Answer):
    """What came of awaiting; when `suspended`, the lease has ended and the task is claimed again later."""

    outcome: AwaitOutcome
    event_name: str | None = Field(default=None, exclude_if=lambda name: name is None)
    payload: JsonValue | MISSING = Field(default=MISSING, exclude_if=lambda payload: payload is MISSING)
    """Of the event; of `all_of`, an object of name -> payload. Only when received."""


class TaskCompletion(LeaseBody):
    """It is done."""

    result: JsonValue = Field(default=None, description="Any JSON; comes back exactly as given.")
    memory: JsonObject | None = Field(
        default=None,
        description="Of a work item of an executed run: merged into what `{{memory.KEY}}` reads.",
        examples=[{"cursor": 42}],
    )


class TaskFailure(LeaseBody):
    """It went wrong."""

    error: JsonObject | None = Field(default=None, examples=[{"name": "TimeoutError", "message": "no answer"}])
    retryable: Flag = Field(default=True, description="False: there will be no other attempt.")
    retry_at: Time | None = Field(default=None, description="When to try again, instead of the strategy's pause.")
    retry_after_seconds: Delay | None = Field(default=None, description="The same, from now.")

    @model_validator(mode="after")
    def _has_one_time(self) -> Self:
        if self.retry_at is not None and self.retry_after_seconds is not None:
            raise ValueError("takes retry_at or retry_after_seconds, not both")
        return self


class CompletedItem(LeaseBody):
    """One task of a batch that is done."""

    task_id: UUID
    result: JsonValue = None


class TaskCompletions(Body):
    """Tasks that are done, and a claim for the next ones."""

    tasks: Annotated[list[CompletedItem], Field(max_length=TASKS_PER_BATCH)] = Field(default_factory=list)
    claim: Claim | None = Field(default=None, description="Asks for the next tasks in the same round trip.")


class CompletionOutcome(Answer):
    """What came of one report; 200 or the status of the refusal that it would have got alone."""

    task_id: UUID
    status: int
    code: str | None
    task_status: TaskStatus | None


class CompletionOutcomes(Answer):
    """What came of each report, in their order, and the tasks that are yours now."""

    outcomes: list[CompletionOutcome]
    tasks: list[ClaimedTask]
