"""Queues and events on the wire."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import MISSING, Field

from milepost.schemas.tasks import LeaseSeconds
from milepost.schemas.wire import INTEGRAL, Answer, Body, Flag, JsonValue, PageQuery, Seconds, WholeNumber

MaxConcurrency = Annotated[WholeNumber, Field(ge=1, le=1_000_000), INTEGRAL]
Retention = Annotated[Seconds, Field(ge=0, le=315_360_000)]


class QueueSettings(Body):
    """The limits of a queue; what is absent gets its default."""

    paused: Flag = Field(default=False, description="Nothing is handed out while it is paused.")
    max_concurrency: MaxConcurrency | None = Field(default=None, description="Most tasks running at once.")
    default_lease_seconds: LeaseSeconds = 30
    retention_seconds: Retention | None = Field(
        default=None, description="How long ended tasks of no run are kept. Absent: as long as the service keeps them."
    )


class QueueUpdate(Body):
    """What to change on a queue; what is absent stays as it is, null removes a limit."""

    paused: Flag | MISSING = MISSING
    max_concurrency: MaxConcurrency | None | MISSING = MISSING
    default_lease_seconds: LeaseSeconds | MISSING = MISSING
    retention_seconds: Retention | None | MISSING = MISSING


class QueueDepth(Answer):
    """Open tasks by status."""

    pending: int
    running: int
    sleeping: int


class SeenWorker(Answer):
    """A worker that waits in a claim, holds a lease or has claimed within the last minute, and has not signed off."""

    worker_id: str = Field(examples=["worker-7@db1"])
    seen_at: datetime
    """When its last claim began."""
    task_names: list[str] | None
    """The tasks that its last claim was for; null: any."""


class Queue(Answer):
    """A named line of tasks with its own limits."""

    queue: str = Field(examples=["default"])
    paused: Flag
    max_concurrency: int | None
    default_lease_seconds: float
    retention_seconds: float | None
    depth: QueueDepth
    oldest_pending_seconds: float | None
    """Age of the oldest pending task; null when there is none."""
    workers: list[SeenWorker]
    created_at: datetime
    updated_at: datetime


class QueuePage(Answer):
    """Queues by name."""

    items: list[Queue]
    next_cursor: str | None


class EventEmit(Body):
    """What the event carries."""

    payload: JsonValue = Field(default=None, description="Any JSON; comes back exactly as given.")
    workflow_run_id: UUID | None = Field(default=None, description="Makes it an event of this run alone.")


class Event(Answer):
    """A named fact."""

    event_name: str = Field(examples=["order-1234-paid"])
    payload: JsonValue
    """Of the first emit."""
    workflow_run_id: UUID | None
    emitted_at: datetime


class EmittedEvent(Event):
    """A named fact, and whether this was the first emit of it."""

    first: bool


class EventPage(Answer):
    """Events, oldest first."""

    items: list[Event]
    next_cursor: str | None


class EventQuery(PageQuery):
    """Which events of a queue."""

    workflow_run_id: UUID | None = Field(default=None, description="The events of this run alone.")
