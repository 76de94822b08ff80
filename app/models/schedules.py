"""Schedules, and the slots that they have fired."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, PrimaryKeyConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.json_texts import JsonText
from app.models.base import Base


class Schedule(Base):
    """A rule that creates runs of a definition."""

    __tablename__ = "schedules"

    schedule_id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7 made in the service")
    workflow_name: Mapped[str] = mapped_column(comment="Set at creation")
    workflow_version: Mapped[str | None] = mapped_column(comment="NULL: the newest at each firing")
    cron: Mapped[str] = mapped_column(comment="Five fields")
    timezone: Mapped[str] = mapped_column(comment="IANA name; the cron fields are local times there")
    start_at: Mapped[datetime] = mapped_column(comment="The first interval begins at or after this time")
    end_at: Mapped[datetime | None] = mapped_column(comment="Nothing fires after this time; NULL: no end")
    catchup: Mapped[bool] = mapped_column(comment="True: slots that were missed are fired later")
    max_active_runs: Mapped[int] = mapped_column(Integer, comment="Most open runs at once")
    overlap: Mapped[str] = mapped_column(comment="What a slot does that finds no room: wait or skip")
    paused: Mapped[bool] = mapped_column(comment="True: it fires nothing")
    paused_reason: Mapped[str | None] = mapped_column(
        comment="Why the service paused it; NULL: it did not, or it was resumed since"
    )
    queue: Mapped[str] = mapped_column(comment="Of its runs")
    inputs: Mapped[JsonText | None] = mapped_column(comment="Of its runs; NULL: JSON null")
    tags: Mapped[dict[str, Any]] = mapped_column(comment="Of its runs")
    created_by: Mapped[str | None] = mapped_column(comment="Of its runs; NULL: none was given")
    workflow_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("workflows.workflow_id", ondelete="CASCADE"),
        comment="Definition whose own schedule it is; NULL: it was made by hand",
    )
    next_fire_at: Mapped[datetime | None] = mapped_column(
        comment="Its next slot, kept while it is paused; NULL: no more"
    )
    last_fire_at: Mapped[datetime | None] = mapped_column(comment="Its newest slot that became a run; NULL: none")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), comment="The database's time")
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), comment="Last change by a caller")
    revision: Mapped[int] = mapped_column(server_default="1", comment="From 1; one more for each change by a caller")

    __table_args__ = (
        CheckConstraint("max_active_runs >= 1", name="max_active_runs"),
        CheckConstraint("overlap IN ('wait', 'skip')", name="overlap"),
        Index("ix_schedules_due", "next_fire_at", postgresql_where=text("next_fire_at IS NOT NULL AND NOT paused")),
        Index("ix_schedules_workflow", "workflow_name", "schedule_id"),
        Index("uq_schedules_definition", "workflow_id", unique=True, postgresql_where=text("workflow_id IS NOT NULL")),
        {"comment": "Rules that create runs"},
    )


class ScheduleSlot(Base):
    """A slot of a schedule that has been dealt with: at most once, however many replicas fire."""

    __tablename__ = "schedule_slots"

    schedule_id: Mapped[UUID] = mapped_column(
        ForeignKey("schedules.schedule_id", ondelete="CASCADE"), comment="Whose slot"
    )
    fire_at: Mapped[datetime] = mapped_column(comment="When it was to fire: the end of its data interval")
    workflow_run_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("workflow_runs.workflow_run_id", ondelete="SET NULL"),
        comment="The run that it became; NULL: it was missed or skipped, or the run was deleted",
    )
    outcome: Mapped[str] = mapped_column(comment="fired, missed (too late, without catch-up) or skipped (no room)")
    at: Mapped[datetime] = mapped_column(server_default=func.now(), comment="When it was dealt with")

    __table_args__ = (
        PrimaryKeyConstraint("schedule_id", "fire_at"),
        CheckConstraint("outcome IN ('fired', 'missed', 'skipped')", name="outcome"),
        Index("ix_schedule_slots_run", "workflow_run_id", postgresql_where=text("workflow_run_id IS NOT NULL")),
        {"comment": "Slots that were dealt with, each once"},
    )
