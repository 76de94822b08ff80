"""Bulk operations on the wire: one verb for all runs or tasks that match a filter."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BeforeValidator, ConfigDict, Field

from milepost.schemas.reasons import Reason
from milepost.schemas.tasks import TaskStatus
from milepost.schemas.wire import (
    INTEGRAL,
    Answer,
    Body,
    Flag,
    JsonObject,
    QueueName,
    ShortText,
    Time,
    WholeNumber,
)
from milepost.schemas.workflow_runs import RunStatus

SAMPLE_MOST = 20
_EXAMPLE: dict[str, Any] = {
    "resource": "workflow_runs",
    "verb": "retry",
    "filter": {"status": "failed", "workflow_name": "nightly_etl"},
}


class BulkResource(StrEnum):
    """What a bulk operation is about."""

    workflow_runs = "workflow_runs"
    tasks = "tasks"


class BulkVerb(StrEnum):
    """What is done to each; tasks take `cancel` and `retry` only."""

    cancel = "cancel"
    retry = "retry"
    delete = "delete"
    pause = "pause"
    resume = "resume"


class BulkStatus(StrEnum):
    """Where a bulk operation stands."""

    running = "running"
    completed = "completed"
    cancelled = "cancelled"


def _as_list(value: Any) -> Any:
    """Return a value alone as a list of it, and null as one of none."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


Texts = Annotated[list[ShortText], BeforeValidator(_as_list, json_schema_input_type=ShortText | list[ShortText] | None)]
Queues = Annotated[
    list[QueueName], BeforeValidator(_as_list, json_schema_input_type=QueueName | list[QueueName] | None)
]
Ids = Annotated[list[UUID], BeforeValidator(_as_list, json_schema_input_type=UUID | list[UUID] | None)]
RunStatuses = Annotated[
    list[RunStatus], BeforeValidator(_as_list, json_schema_input_type=RunStatus | list[RunStatus] | None)
]
TaskStatuses = Annotated[
    list[TaskStatus], BeforeValidator(_as_list, json_schema_input_type=TaskStatus | list[TaskStatus] | None)
]
Reasons = Annotated[list[Reason], BeforeValidator(_as_list, json_schema_input_type=Reason | list[Reason] | None)]
_Tag = Annotated[str, Field(json_schema_extra={"pattern": ":"})]
Tags = Annotated[list[str], BeforeValidator(_as_list, json_schema_input_type=_Tag | list[_Tag] | None)]
_OneTime = Annotated[list[Time], Field(max_length=1)]
OneTime = Annotated[_OneTime, BeforeValidator(_as_list, json_schema_input_type=Time | _OneTime | None)]


def _check_flag(value: Any) -> Any:
    """Return what the list's parameter takes, too. Raises ValueError."""
    if not isinstance(value, bool) and value not in ("true", "false"):
        raise ValueError("must be true or false")
    return value


_Said = bool | Literal["true", "false"]
_OneFlag = Annotated[list[Annotated[bool, BeforeValidator(_check_flag)]], Field(max_length=1)]
OneFlag = Annotated[
    _OneFlag,
    BeforeValidator(_as_list, json_schema_input_type=_Said | Annotated[list[_Said], Field(max_length=1)] | None),
]


class RunMatch(Body):
    """Which workflow runs: the filters of their list, each a value or a list of any of several; all must hold."""

    workflow_name: Texts = Field(default_factory=list, description="Any of these names.")
    workflow_version: Texts = Field(default_factory=list, description="Any of these versions.")
    status: RunStatuses = Field(default_factory=list, description="Any of these statuses.")
    reason: Reasons = Field(default_factory=list, description="Why the service ended it: any of these.")
    late: OneFlag = Field(default_factory=list, description="Those that are or were late, or those that never were.")
    created_by: Texts = Field(default_factory=list, description="Who or what started it: any of these.")
    queue: Queues = Field(default_factory=list, description="The queue of its tasks: any of these.")
    parent_workflow_run_id: Ids = Field(default_factory=list, description="The run that it is a part of: any of these.")
    tag: Tags = Field(
        default_factory=list,
        description="`key:value`, split at the first colon; compared with the value's text. Of several, all must hold.",
        examples=[["env:prod"]],
    )
    created_after: OneTime = Field(default_factory=list, description="Exclusive, as all bounds are.")
    created_before: OneTime = Field(default_factory=list, description="Created before this moment.")
    started_after: OneTime = Field(default_factory=list, description="Started after this moment.")
    started_before: OneTime = Field(default_factory=list, description="Started before this moment.")
    completed_after: OneTime = Field(default_factory=list, description="Ended after this moment.")
    completed_before: OneTime = Field(default_factory=list, description="Ended before this moment.")
    updated_after: OneTime = Field(default_factory=list, description="Changed after this moment.")
    updated_before: OneTime = Field(default_factory=list, description="Changed before this moment.")


class TaskMatch(Body):
    """Which tasks: the filters of their list, each a value or a list of any of several; all must hold."""

    queue: Queues = Field(default_factory=list, description="The queue that they wait in: any of these.")
    status: TaskStatuses = Field(default_factory=list, description="Any of these statuses.")
    task_name: Texts = Field(default_factory=list, description="What they are called: any of these.")
    workflow_run_id: Ids = Field(default_factory=list, description="The run that they are linked to: any of these.")
    parent_task_id: Ids = Field(default_factory=list, description="The task that spawned them: any of these.")
    claimed_by: Texts = Field(default_factory=list, description="The worker that claimed them last: any of these.")
    created_after: OneTime = Field(default_factory=list, description="Exclusive, as all bounds are.")
    created_before: OneTime = Field(default_factory=list, description="Created before this moment.")


def _keep(value: Any) -> Any:
    return value


Match = Annotated[Any, BeforeValidator(_keep, json_schema_input_type=RunMatch | TaskMatch)]
"""It is read as what the resource has; which that is stands beside it."""


class BulkOperationCreate(Body):
    """A verb for all that match, or with `dry_run` the question how many these are."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    resource: BulkResource
    verb: BulkVerb
    filter: Match = Field(description="Filters of the list, at least one: each a value, or a list of several.")
    reason: ShortText | None = Field(default=None, description="Kept in each history.", examples=["upstream is back"])
    dry_run: Flag = Field(default=True, description="Only count, and give a token to do it with.")
    token: str | None = Field(
        default=None, description="From a dry run of the same: as many must match as it has counted."
    )
    expect_count: Annotated[WholeNumber, Field(ge=0, le=2**53), INTEGRAL] | None = Field(
        default=None, description="In place of a token: how many must match."
    )


class BulkDryRun(Answer):
    """What a bulk operation would be about."""

    count: int
    """How many match now."""
    sample: list[UUID]
    """Ids of up to 20 of them, the newest first."""
    token: str = Field(examples=["6mCzZ3yXyQ1vQF0mJb7kS1n2b8d4e6f0"])
    """Lets the same be done, for 15 minutes unless the service is configured otherwise."""


class BulkOperation(Answer):
    """A verb that is being done, or was, to all that matched when it began."""

    bulk_operation_id: UUID
    resource: BulkResource
    verb: BulkVerb
    filter: JsonObject
    reason: str | None = Field(examples=["upstream is back"])
    status: BulkStatus
    total: int
    """How many matched when it began."""
    done: int
    """How many have an outcome, refused ones among them."""
    refused: int
    """How many of these were refused."""
    created_by: str = Field(examples=["ops"])
    created_at: datetime
    completed_at: datetime | None


class BulkOutcome(Answer):
    """How it went with one run or task."""

    id: UUID
    status: int = Field(examples=[200])
    """200: done, or nothing was to be done. 404: it is gone. 409: refused."""
    code: str | None = Field(examples=["move-not-allowed"])
    """The refusal's code; null where there was none."""


class BulkOperationPage(Answer):
    """A part of the list of bulk operations."""

    items: list[BulkOperation]
    next_cursor: str | None


class BulkOutcomePage(Answer):
    """A part of the outcomes of a bulk operation."""

    items: list[BulkOutcome]
    next_cursor: str | None
