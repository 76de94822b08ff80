"""Schedules on the wire: rules that create runs, and what became of their slots."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import MISSING, BaseModel, ConfigDict, Field

from milepost.schemas import examples
from milepost.schemas.wire import (
    INTEGRAL,
    Answer,
    Body,
    Flag,
    JsonValue,
    PageQuery,
    QueueName,
    ShortText,
    Time,
    WholeNumber,
    WorkflowName,
    WorkflowVersion,
)
from milepost.schemas.workflow_runs import TagChanges, Tags

BACKFILL_MOST = 1000
NEXT_MOST = 100
RUNS_MOST = 1_000_000

CronText = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        description="Minute, hour, day of the month, month and day of the week, in local time of the time zone.",
        examples=["0 2 * * *"],
    ),
]
TimezoneName = Annotated[
    str, Field(min_length=1, max_length=100, description="Of the IANA database.", examples=["Europe/Berlin"])
]
MaxActiveRuns = Annotated[
    WholeNumber, Field(ge=1, le=RUNS_MOST, description="Most of its runs open at once."), INTEGRAL
]


class Overlap(StrEnum):
    """What a slot does that finds as many open runs as there may be."""

    wait = "wait"
    skip = "skip"


class ScheduleCreate(Body):
    """A rule that creates runs."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.SCHEDULE_CREATE]})

    workflow_name: WorkflowName
    workflow_version: WorkflowVersion | None = Field(default=None, description="Null: the newest at each firing.")
    cron: CronText
    timezone: TimezoneName = "UTC"
    start_at: Time | None = Field(
        default=None,
        description="The first firing is the one whose whole interval lies after it. Absent: the beginning of the"
        " interval that is under way, so that the next firing is the first.",
    )
    end_at: Time | None = Field(default=None, description="Nothing that is due after it fires.")
    catchup: Flag = Field(default=False, description="Slots that have passed are fired too, in order.")
    max_active_runs: MaxActiveRuns = 1
    overlap: Overlap = Field(
        default=Overlap.wait, description="What a slot does that finds no room: it waits, or it is skipped."
    )
    paused: Flag = Field(default=False, description="Fires nothing while it is paused.")
    queue: QueueName = "default"
    inputs: JsonValue = Field(default_factory=dict, description="Of its runs; any JSON.")
    tags: Tags = Field(default_factory=dict)
    created_by: ShortText | None = Field(default=None, description="Kept on its runs.", examples=["ada"])


class ScheduleUpdate(Body):
    """What to change on a schedule; what is absent stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.SCHEDULE_UPDATE]})

    workflow_version: WorkflowVersion | None | MISSING = Field(
        default=MISSING, description="Null: the newest at each firing."
    )
    cron: CronText | MISSING = MISSING
    timezone: TimezoneName | MISSING = MISSING
    start_at: Time | MISSING = MISSING
    end_at: Time | None | MISSING = Field(default=MISSING, description="Null: no end.")
    catchup: Flag | MISSING = MISSING
    max_active_runs: MaxActiveRuns | MISSING = MISSING
    overlap: Overlap | MISSING = MISSING
    paused: Flag | MISSING = MISSING
    queue: QueueName | MISSING = MISSING
    inputs: JsonValue | MISSING = Field(default=MISSING, description="Of its runs from now on; any JSON.")
    tags: TagChanges | MISSING = MISSING
    created_by: ShortText | None | MISSING = MISSING


class Schedule(Answer):
    """A rule that creates runs of a definition."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.SCHEDULE]})

    schedule_id: UUID
    workflow_name: str
    workflow_version: str | None
    """Null: the newest at each firing."""
    workflow_id: UUID | None
    """The definition that brought it; null when it was made by a call."""
    cron: str
    timezone: str
    start_at: datetime
    end_at: datetime | None
    catchup: bool
    max_active_runs: int
    overlap: Overlap
    paused: bool
    paused_reason: str | None
    """Why the service paused it: its runs could not be started. Null otherwise; resuming clears it."""
    queue: str
    inputs: JsonValue
    tags: Tags
    created_by: str | None
    next_fire_at: datetime | None
    """Its next slot, in the past while that waits for room; null when it is paused, or when there are no more."""
    last_fire_at: datetime | None
    """Its newest slot that became a run."""
    active_runs: int
    """Its runs that are pending or running."""
    created_at: datetime
    updated_at: datetime
    """Its last change by a caller; firings are none."""
    revision: int
    """Grows with every change by a caller; the `ETag` of the schedule."""


class SchedulePage(Answer):
    """Schedules, newest first."""

    items: list[Schedule]
    next_cursor: str | None


class ScheduleQuery(PageQuery):
    """Which schedules."""

    workflow_name: ShortText | None = Field(default=None, description="Those of this workflow.")
    paused: bool | None = Field(default=None, description="Those that are paused, or those that are not.")


class Firing(Answer):
    """A slot of a schedule, and the time that its run is about."""

    fire_at: datetime
    data_interval_start: datetime
    """The slot before."""
    data_interval_end: datetime
    """The slot itself."""


class Firings(Answer):
    """The next slots of a schedule, in order."""

    items: list[Firing]


class FiringQuery(BaseModel):
    """Which of the slots to come."""

    model_config = ConfigDict(extra="forbid")

    count: int = Field(default=5, ge=1, le=NEXT_MOST, description="How many.")
    after: Time | None = Field(default=None, description="Those after this moment. Absent: now.")


class Backfill(Body):
    """The slots from `start` on and before `end`."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.BACKFILL]})

    start: Time
    end: Time


class BackfilledFiring(Firing):
    """A slot that had no run, and the run that it has now."""

    workflow_run_id: UUID


class BackfilledFirings(Answer):
    """The slots that have got a run, in order."""

    items: list[BackfilledFiring]


class SlotOutcome(StrEnum):
    """What became of a slot."""

    fired = "fired"
    missed = "missed"
    skipped = "skipped"


class ScheduleSlot(Answer):
    """A slot of a schedule that has been dealt with."""

    fire_at: datetime
    outcome: SlotOutcome = Field(examples=["fired"])
    """`missed`: it had passed, and there is no catch-up; `skipped`: there was no room."""
    workflow_run_id: UUID | None
    """The run that it became; null when it became none, or when that was deleted."""
    at: datetime
    """When it was dealt with."""


class ScheduleSlotPage(Answer):
    """Slots of a schedule that have been dealt with, newest first."""

    items: list[ScheduleSlot]
    next_cursor: str | None
