"""Monitors on the wire: when runs of a workflow should come, and how that goes."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import MISSING, ConfigDict, Field

from milepost.schemas import examples
from milepost.schemas.schedules import CronText, TimezoneName
from milepost.schemas.wire import Answer, Body, Flag, JsonValue, PageQuery, Seconds, ShortText, WorkflowName
from milepost.schemas.workflow_runs import TEN_YEARS_SECONDS, Tags

MESSAGE_MAX_LENGTH = 10_000


class MonitorState(StrEnum):
    """How it goes: `late` and `failing` hold until a run completes."""

    waiting = "waiting"
    ok = "ok"
    running = "running"
    late = "late"
    failing = "failing"
    paused = "paused"


class MonitorSettings(Body):
    """When runs should come: `cron` or `every_seconds` says it; what is absent gets its default."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.MONITOR_SETTINGS]})

    workflow_name: WorkflowName
    cron: CronText | None = None
    timezone: TimezoneName | None = Field(default=None, description="Of `cron`. Absent: UTC.")
    every_seconds: Annotated[Seconds, Field(ge=1, le=TEN_YEARS_SECONDS)] | None = Field(
        default=None, description="Counted from creation, resume or a change of the schedule.", examples=[None]
    )
    grace_seconds: Annotated[Seconds, Field(ge=0, le=TEN_YEARS_SECONDS)] = Field(
        default=300, description="How long after its time a run may still come."
    )
    max_runtime_seconds: Annotated[Seconds, Field(ge=1, le=TEN_YEARS_SECONDS)] | None = Field(
        default=None, description="One that runs longer counts as failed. Absent: no limit."
    )
    tags: Tags = Field(default_factory=dict, description="What its runs must have, and those that ping records get.")
    paused: Flag = Field(default=False, description="Looks at nothing while it is paused.")
    created_by: ShortText | None = Field(default=None, description="Kept on the runs that ping records.")


class Monitor(Answer):
    """When runs of a workflow should come, and how that goes."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.MONITOR]})

    name: str
    workflow_name: str
    cron: str | None
    timezone: str | None
    every_seconds: float | None
    grace_seconds: float
    max_runtime_seconds: float | None
    tags: Tags
    paused: bool
    paused_reason: str | None
    """Why the service paused it: it could not be looked at. Null otherwise; resuming clears it."""
    created_by: str | None
    state: MonitorState = Field(examples=["ok"])
    last_run_id: UUID | None
    """The newest of its runs, which may have been deleted since."""
    last_ok_at: datetime | None
    """When one of its runs completed last."""
    next_expected_at: datetime | None
    """The earliest time that no run has met yet, grace not counted; null while it is paused."""
    late_since: datetime | None
    """The time that no run has met, the first since one completed; null when it is not late."""
    consecutive_failures: int
    """How many runs have failed, or ran too long, since one completed."""
    created_at: datetime
    updated_at: datetime
    """Its last change by a caller."""
    revision: int
    """Grows with every change by a caller."""


class MonitorPage(Answer):
    """Monitors by name."""

    items: list[Monitor]
    next_cursor: str | None


class MonitorQuery(PageQuery):
    """Which monitors."""

    workflow_name: ShortText | None = Field(default=None, description="Those of this workflow.")
    state: list[MonitorState] = Field(default_factory=list, description="Those in this state; may be repeated.")


class PingState(StrEnum):
    """What a ping tells of a run."""

    started = "started"
    completed = "completed"
    failed = "failed"


class MonitorPing(Body):
    """What has happened to a run; nothing, or `{}`: one has completed."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.MONITOR_PING]})

    state: PingState = PingState.completed
    message: Annotated[str, Field(min_length=1, max_length=MESSAGE_MAX_LENGTH)] | None = Field(
        default=None, description="Of a failure it becomes the error's message, else a line of the log."
    )
    result: JsonValue | MISSING = Field(default=MISSING, description="Of the run; any JSON.")
