"""Queues, the workers seen on them, and events."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Identity, Index, Integer, PrimaryKeyConstraint, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.json_texts import JsonText
from app.models.base import Base


class Queue(Base):
    """A named line of tasks with its own limits."""

    __tablename__ = "queues"

    queue: Mapped[str] = mapped_column(primary_key=True, comment="Its name")
    paused: Mapped[bool] = mapped_column(server_default=text("false"), comment="True: nothing is handed out")
    max_concurrency: Mapped[int | None] = mapped_column(Integer, comment="Most tasks running at once; NULL: no limit")
    default_lease_seconds: Mapped[float] = mapped_column(server_default="30", comment="Of claims that name none")
    retention_seconds: Mapped[float | None] = mapped_column(
        comment="How long ended tasks of no run are kept; NULL: as long as the service keeps them"
    )
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), comment="First use")
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), comment="Last change of its limits")

    __table_args__ = ({"comment": "Queues and their limits; made on first use"},)


class QueueWorker(Base):
    """A worker that has claimed from a queue."""

    __tablename__ = "queue_workers"

    queue: Mapped[str] = mapped_column(comment="Where it claims; it may wait before there is such a queue")
    worker_id: Mapped[str] = mapped_column(comment="As it calls itself")
    seen_at: Mapped[datetime] = mapped_column(server_default=func.now(), comment="When its last claim began")
    task_names: Mapped[list[str] | None] = mapped_column(
        ARRAY(Text), comment="Tasks that its last claim was for; NULL: any"
    )
    signed_off_at: Mapped[datetime | None] = mapped_column(
        comment="When it said that it stops; it has, unless it was seen since; NULL: it did not say so"
    )

    __table_args__ = (
        PrimaryKeyConstraint("queue", "worker_id"),
        Index("ix_queue_workers_seen", "queue", "seen_at"),
        {"comment": "Workers seen on queues"},
    )


class Event(Base):
    """A named fact; the first emit of a name wins."""

    __tablename__ = "events"

    event_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True, comment="Order of emits")
    queue: Mapped[str] = mapped_column(comment="Where it can be awaited")
    event_name: Mapped[str] = mapped_column(comment="Unique in its queue, or in its run there")
    workflow_run_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("workflow_runs.workflow_run_id", ondelete="CASCADE"),
        comment="Seen by tasks of this run only; NULL: by the whole queue",
    )
    payload: Mapped[JsonText | None] = mapped_column(comment="Of the first emit; NULL: JSON null")
    emitted_at: Mapped[datetime] = mapped_column(server_default=func.now(), comment="The database's time")

    __table_args__ = (
        Index(
            "uq_events_name",
            "queue",
            "event_name",
            "workflow_run_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
        Index("ix_events_by_queue", "queue", "event_id"),
        Index("ix_events_by_run", "workflow_run_id", postgresql_where=text("workflow_run_id IS NOT NULL")),
        {"comment": "Named facts that tasks may await"},
    )


class EventWait(Base):
    """One event that a sleeping task awaits."""

    __tablename__ = "event_waits"

    task_id: Mapped[UUID] = mapped_column(ForeignKey("tasks.task_id", ondelete="CASCADE"), comment="Who waits")
    event_name: Mapped[str] = mapped_column(comment="For what")
    queue: Mapped[str] = mapped_column(comment="The task's queue")
    workflow_run_id: Mapped[UUID | None] = mapped_column(comment="The task's run; NULL: none")

    __table_args__ = (
        PrimaryKeyConstraint("task_id", "event_name"),
        Index("ix_event_waits_name", "queue", "event_name"),
        {"comment": "Events that sleeping tasks await"},
    )
