"""The change feed on the wire."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from milepost.schemas import examples
from milepost.schemas.wire import Answer

POSITION_MOST = 2**63 - 1
CHANGES_MOST = 1000
WAIT_MOST = 60


class ChangeKind(StrEnum):
    """What a change is of."""

    workflow_run = "workflow_run"
    task = "task"
    step = "step"
    event = "event"
    schedule = "schedule"
    queue = "queue"
    monitor = "monitor"
    log = "log"


class ChangeVerb(StrEnum):
    """What has happened."""

    created = "created"
    started = "started"
    updated = "updated"
    completed = "completed"
    failed = "failed"
    cancelled = "cancelled"
    retried = "retried"
    paused = "paused"
    resumed = "resumed"
    deleted = "deleted"
    claimed = "claimed"
    released = "released"
    slept = "slept"
    woken = "woken"
    lost = "lost"
    skipped = "skipped"
    upstream_failed = "upstream_failed"
    emitted = "emitted"
    fired = "fired"
    missed = "missed"
    late = "late"
    recovered = "recovered"
    appended = "appended"


class Change(Answer):
    """One committed change; values are those after it, and what does not apply is null."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.CHANGE]})

    position: int
    """Its place in the order of all changes: from 1, without gaps."""
    at: datetime
    kind: ChangeKind
    verb: ChangeVerb
    id: str
    """The resource's own: a step's is its path, a queue's and an event's the name, a log's that of its run or task."""
    workflow_run_id: UUID | None
    workflow_name: str | None
    queue: str | None
    status: str | None
    attempt: int | None
    revision: int | None
    reason: str | None
    actor: str | None
    """Who did it: a caller's key, a worker or the housekeeping; null where that is not kept."""


class ChangePage(Answer):
    """A part of the change feed."""

    items: list[Change]
    next_after: int
    """Where to go on: `after` of the next call."""
    newest: int
    """The newest position there is."""


class ChangeFilter(BaseModel):
    """Which changes: several values of one name are alternatives, several names must all hold."""

    model_config = ConfigDict(extra="forbid")

    kind: list[ChangeKind] = Field(default_factory=list, description="Of which kind; may be repeated.")
    verb: list[ChangeVerb] = Field(default_factory=list, description="What has happened; may be repeated.")
    status: list[str] = Field(default_factory=list, max_length=20, description="Status after it; may be repeated.")
    workflow_run_id: list[UUID] = Field(default_factory=list, max_length=100, description="Of these runs alone.")
    workflow_name: list[str] = Field(default_factory=list, max_length=100, description="Of runs of these names.")
    queue: list[str] = Field(default_factory=list, max_length=100, description="On these queues.")


class ChangeStreamQuery(ChangeFilter):
    """Which changes, and where to begin."""

    after: int | None = Field(
        default=None,
        ge=0,
        le=POSITION_MOST,
        description="The position to go on after; 0: from the oldest that is kept. Absent: nothing older than now.",
    )


class ChangeQuery(ChangeStreamQuery):
    """Which changes, where to begin, how many, and how long to wait for the first."""

    limit: int = Field(default=100, ge=1, le=CHANGES_MOST, description="Most changes in the answer.")
    wait_seconds: float = Field(
        default=0, ge=0, le=WAIT_MOST, description="How long to wait for the first, where there is none yet."
    )
