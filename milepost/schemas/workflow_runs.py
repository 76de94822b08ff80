"""Workflow runs on the wire."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import MISSING, AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from typing_extensions import TypeAliasType

from milepost.schemas import examples
from milepost.schemas.links import Links
from milepost.schemas.progress import ProgressReport, ReportedProgress
from milepost.schemas.reasons import Reason
from milepost.schemas.tasks import TASKS_PER_BATCH, TaskSpec
from milepost.schemas.wire import (
    INTEGRAL,
    Answer,
    Body,
    CountTotal,
    JsonObject,
    JsonValue,
    PageQuery,
    QueueName,
    Seconds,
    ShortText,
    Time,
    WholeNumber,
    WorkflowName,
    WorkflowVersion,
)

TAGS_MOST = 64
TAG_KEY_MAX_LENGTH = 100
RUNS_PER_BATCH = 1000
TEN_YEARS_SECONDS = 315_360_000


class RunStatus(StrEnum):
    """Where a workflow run stands; the last three are final."""

    pending = "pending"
    running = "running"
    completed = "completed"
    failed = "failed"
    cancelled = "cancelled"


def check_tag_keys(tags: Any) -> Any:
    """Return ``tags`` if its keys are short enough and few enough."""
    if isinstance(tags, dict):
        if len(tags) > TAGS_MOST:
            raise ValueError(f"has {len(tags)} tags; at most {TAGS_MOST} are allowed")
        if any(not 1 <= len(key) <= TAG_KEY_MAX_LENGTH for key in tags):
            raise ValueError(f"has a key that is empty or longer than {TAG_KEY_MAX_LENGTH} characters")
    return tags


def _check_scalar(value: Any) -> Any:
    if isinstance(value, dict | list):
        raise ValueError("must be a text, a number or a boolean")  # noqa: TRY004 - pydantic reads ValueError
    return value


def _check_tag(value: Any) -> Any:
    if value is None:
        raise ValueError("must be a text, a number or a boolean, not null")
    return _check_scalar(value)


_SCALAR = {"type": ["string", "number", "boolean"]}
_SCALAR_OR_NULL = {"type": ["string", "number", "boolean", "null"]}
Tag = Annotated[Any, AfterValidator(_check_tag), Field(json_schema_extra=_SCALAR)]
TagOrRemoval = Annotated[Any, AfterValidator(_check_scalar), Field(json_schema_extra=_SCALAR_OR_NULL)]
_TAG_KEYS: dict[str, Any] = {"propertyNames": {"minLength": 1, "maxLength": TAG_KEY_MAX_LENGTH}}
Tags = TypeAliasType(
    "Tags",
    Annotated[
        dict[str, Tag],
        Field(max_length=TAGS_MOST, description="Scalars to find it by.", json_schema_extra=_TAG_KEYS),
        BeforeValidator(check_tag_keys),
    ],
)
TagChanges = TypeAliasType(
    "TagChanges",
    Annotated[
        dict[str, TagOrRemoval],
        Field(description="Merged into the tags; null removes a key.", json_schema_extra=_TAG_KEYS),
    ],
)
TaskCount = Annotated[WholeNumber, Field(ge=0, le=2_147_483_647), INTEGRAL]


class WorkflowRunCreate(Body):
    """A workflow run to record."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.RUN_CREATE, examples.RUN_RECORD]})

    workflow_name: WorkflowName
    workflow_version: WorkflowVersion
    inputs: JsonValue = Field(default_factory=dict, description="Any JSON; comes back exactly as given.")
    created_by: ShortText | None = Field(default=None, description="Who or what started it.", examples=["cron@db1"])
    tags: Tags = Field(default_factory=dict)
    workflow_hash: ShortText | None = Field(default=None, description="What was executed, such as a commit or digest.")
    absurd_run_id: ShortText | None = Field(default=None, description="The caller's own root task id; opaque here.")
    queue: QueueName = "default"
    parent_workflow_run_id: UUID | None = Field(default=None, description="The run that it is a part of.")
    task_count: TaskCount | None = Field(default=None, description="How many tasks it is going to have.")
    deadline_seconds: Annotated[Seconds, Field(gt=0, le=TEN_YEARS_SECONDS)] | None = Field(
        default=None, description="Counted from creation; a run that has not ended by then fails, reason `deadline`."
    )
    heartbeat_seconds: Annotated[Seconds, Field(ge=1, le=86_400)] | None = Field(
        default=None,
        description="While running, a heartbeat must arrive this often; else the run fails, reason `lost`.",
    )
    expected_by: Time | None = Field(
        default=None,
        description="When it should have ended: open at this time it goes on, and `late_at` is set.",
        examples=["2026-02-01T04:00:00Z"],
    )
    status: RunStatus = Field(
        default=RunStatus.pending, description="Where it stands already: one that is over is recorded by one call."
    )
    result: JsonValue = Field(default=None, description="Any JSON; comes back exactly as given.")
    error: JsonObject | None = Field(
        default=None, examples=[{"type": "TimeoutError", "message": "no answer from the warehouse in 30 s"}]
    )
    started_at: Time | None = Field(
        default=None, description="When it started. Absent, the time of creation if it is `running`, else unknown."
    )
    completed_at: Time | None = Field(
        default=None, description="Only together with a final status. Absent, the time of creation."
    )
    tasks: Annotated[list[TaskSpec], Field(max_length=TASKS_PER_BATCH)] = Field(
        default_factory=list,
        description="Tasks of the run, spawned in the same transaction; none for one that has ended.",
    )


class WorkflowRunBatch(Body):
    """Workflow runs to record together: all of them or none."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.RUN_BATCH]})

    workflow_runs: Annotated[list[WorkflowRunCreate], Field(min_length=1, max_length=RUNS_PER_BATCH)]


class OpenTasks(StrEnum):
    """What becomes of open tasks when their run is completed."""

    keep = "keep"
    cancel = "cancel"
    refuse = "refuse"


class WorkflowRunCancel(Body):
    """How to cancel a workflow run."""

    reason: ShortText | None = Field(default=None, description="Kept in the history.", examples=["wrong inputs"])
    grace_seconds: Annotated[Seconds, Field(ge=0, le=86_400)] = Field(
        default=30, description="How long running tasks may take to stop by themselves."
    )


class WorkflowRunRetry(Body):
    """Why a workflow run is opened again."""

    reason: ShortText | None = Field(default=None, description="Kept in the history.", examples=["upstream is back"])


class WorkflowRunUpdate(Body):
    """What to change on a workflow run; what is absent stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.RUN_UPDATE]})

    status: RunStatus | MISSING = MISSING
    result: JsonValue | MISSING = Field(default=MISSING, description="Any JSON; comes back exactly as given.")
    error: JsonObject | None | MISSING = Field(
        default=MISSING, examples=[{"type": "TimeoutError", "message": "no answer from the warehouse in 30 s"}]
    )
    started_at: Time | None | MISSING = Field(
        default=MISSING,
        description="May fill a null; never changes a value. Absent, the database's time when it starts.",
    )
    completed_at: Time | None | MISSING = Field(
        default=MISSING, description="Only together with a final status. Absent, the database's time when it ends."
    )
    task_count: TaskCount | None | MISSING = MISSING
    tags: TagChanges | MISSING = MISSING
    reported_progress: ProgressReport | None | MISSING = Field(
        default=MISSING, description="How far it is, merged member by member; null clears all of it."
    )
    open_tasks: OpenTasks = Field(
        default=OpenTasks.keep,
        description="With `completed`: open tasks finish (`keep`), are cancelled, or make it refused with 409.",
    )


class Progress(Answer):
    """How many of a run's tasks stand where."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.PROGRESS]})

    total: int
    """The declared `task_count`, else the number of linked tasks."""
    pending: int
    running: int
    sleeping: int
    completed: int
    failed: int
    cancelled: int
    percent: float | None
    """100 x ended / total; null when total is 0."""


class WorkflowRun(Answer):
    """One execution of a named, versioned workflow."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.RUN]})

    workflow_run_id: UUID
    workflow_name: str
    workflow_version: str
    display_name: str
    """`{workflow_name}__{workflow_version}`."""
    workflow_hash: str | None
    status: RunStatus
    reason: Reason | None
    """Why it ended, when the service ended it."""
    queue: str
    inputs: JsonValue
    result: JsonValue
    error: JsonObject | None
    tags: JsonObject
    links: Links
    reported_progress: ReportedProgress | None
    """How far it is, as was reported."""
    created_by: str | None
    absurd_run_id: str | None
    parent_workflow_run_id: UUID | None
    rerun_of_workflow_run_id: UUID | None
    """The run that it does again from one of its steps."""
    schedule_id: UUID | None
    """The schedule that created it."""
    data_interval_start: datetime | None
    """What time it is about; null unless the service executes it. Empty at its creation when it was started by hand."""
    data_interval_end: datetime | None
    task_count: int | None
    attempt: int
    """1, and one more for each retry."""
    revision: int
    """Grows with every change; the `ETag` of the run."""
    cancel_requested_at: datetime | None
    paused_at: datetime | None
    """Since when a run that the service executes hands out no work."""
    deadline_at: datetime | None
    expected_by: datetime | None
    """When it should have ended."""
    late_at: datetime | None
    """Since when it is known that it had not ended by `expected_by`; it stays, also when the run ends."""
    heartbeat_seconds: float | None
    heartbeat_expires_at: datetime | None
    """When the run is lost unless a heartbeat arrives before; null unless it is running and declared heartbeats."""
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    updated_at: datetime
    progress: Progress


class WorkflowRunPage(Answer):
    """Workflow runs, in the order asked for."""

    items: list[WorkflowRun]
    next_cursor: str | None
    """Pass it as `cursor` for what follows; null at the end."""
    total: int | None = Field(default=None, exclude_if=lambda total: total is None)
    """How many match the filters; only with `count=exact`."""


class WorkflowRuns(Answer):
    """The workflow runs that were created, in the order they were sent."""

    items: list[WorkflowRun]


class WorkflowRunCount(Answer):
    """How many workflow runs share a status (and a name, when counted by it)."""

    workflow_name: str | None = Field(default=None, exclude_if=lambda name: name is None)
    status: RunStatus = Field(examples=["failed"])
    count: int = Field(examples=[3])


class WorkflowRunCounts(Answer):
    """Workflow runs counted by status, or by name and status."""

    counts: list[WorkflowRunCount]


class RunHeartbeat(Answer):
    """Where the run stands, for the process that keeps it alive."""

    status: RunStatus = Field(examples=["running"])
    cancel_requested: bool
    heartbeat_expires_at: datetime | None = Field(examples=["2026-02-01T02:01:30Z"])


class RunBeat(Body):
    """What a heartbeat may tell."""

    reported_progress: ProgressReport | None | MISSING = Field(
        default=MISSING, description="How far it is, merged member by member; null clears all of it."
    )


class HistoryVerb(StrEnum):
    """What was done to a workflow run."""

    create = "create"
    update = "update"
    expire = "expire"
    cancel = "cancel"
    retry = "retry"
    late = "late"
    execute = "execute"
    pause = "pause"
    resume = "resume"


class HistoryEntry(Answer):
    """One status change or verb in the life of a workflow run."""

    at: datetime
    verb: HistoryVerb = Field(examples=["update"])
    from_: RunStatus | None = Field(serialization_alias="from", validation_alias="from", examples=["pending"])
    to: RunStatus = Field(examples=["running"])
    attempt: int
    actor: str = Field(examples=["etl-host"])
    """The name of the API key, `anonymous` without keys, or `housekeeping`."""
    reason: str | None
    request_id: str | None = Field(examples=["0197c2a4-6d00-7a10-8000-1f2e3d4c5b6a"])


class HistoryPage(Answer):
    """The history of a workflow run, oldest first."""

    items: list[HistoryEntry]
    next_cursor: str | None


class RunOrder(StrEnum):
    """What a list is sorted by; `-` before it for descending."""

    created_at = "created_at"
    started_at = "started_at"
    completed_at = "completed_at"
    updated_at = "updated_at"
    newest_created = "-created_at"
    newest_started = "-started_at"
    newest_completed = "-completed_at"
    newest_updated = "-updated_at"


class CountBy(StrEnum):
    """What runs are counted by."""

    status = "status"
    workflow_name_and_status = "workflow_name,status"


class RunFilter(BaseModel):
    """Which workflow runs; all that is given must hold."""

    model_config = ConfigDict(extra="forbid")

    workflow_name: list[ShortText] = Field(default_factory=list, description="Repeat it for any of several.")
    workflow_version: list[ShortText] = Field(default_factory=list, description="Repeat it for any of several.")
    status: list[RunStatus] = Field(default_factory=list, description="Repeat it for any of several.")
    reason: list[Reason] = Field(
        default_factory=list, description="Why the service ended it. Repeat it for any of several."
    )
    late: bool | None = Field(default=None, description="Those that are or were late, or those that never were.")
    created_by: ShortText | None = Field(default=None, description="Who or what started it.")
    queue: QueueName | None = Field(default=None, description="The queue of its tasks.")
    parent_workflow_run_id: UUID | None = Field(default=None, description="The run that it is a part of.")
    tag: list[Annotated[str, Field(json_schema_extra={"pattern": ":"})]] = Field(
        default_factory=list,
        description="`key:value`, split at the first colon; compared with the value's text. Repeated, all must hold.",
        examples=[["env:prod"]],
    )
    created_after: Time | None = Field(
        default=None,
        description="Created after this moment; all bounds are exclusive.",
        examples=["2026-01-31T00:00:00Z"],
    )
    created_before: Time | None = Field(default=None, description="Created before this moment.")
    started_after: Time | None = Field(default=None, description="Started after this moment.")
    started_before: Time | None = Field(default=None, description="Started before this moment.")
    completed_after: Time | None = Field(default=None, description="Ended after this moment.")
    completed_before: Time | None = Field(default=None, description="Ended before this moment.")
    updated_after: Time | None = Field(default=None, description="Changed after this moment.")
    updated_before: Time | None = Field(default=None, description="Changed before this moment.")


class RunQuery(RunFilter, PageQuery):
    """Which workflow runs, in which order, and which part of them."""

    order: RunOrder = Field(
        default=RunOrder.newest_created, description="Runs without that time come last, and first when descending."
    )
    count: CountTotal | None = Field(default=None, description="`exact` adds `total`: it costs a count of all matches.")


class RunCountQuery(RunFilter):
    """Which workflow runs are counted, and by what."""

    by: CountBy = Field(default=CountBy.status, description="What is counted apart.")
