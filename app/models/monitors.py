"""Monitors: when runs of a workflow should come, and how that goes."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Integer, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, ReadJsonb, list_of
from milepost.schemas.monitors import MonitorState

_STATES = list_of(MonitorState)


class Monitor(Base):
    """A rule that runs of a workflow should come, and what is known of those that have."""

    __tablename__ = "monitors"

    name: Mapped[str] = mapped_column(primary_key=True, comment="Given by who made it")
    workflow_name: Mapped[str] = mapped_column(comment="Whose runs should come")
    cron: Mapped[str | None] = mapped_column(comment="Five fields; NULL: it goes by every_seconds")
    timezone: Mapped[str | None] = mapped_column(comment="Of the cron fields, an IANA name; NULL: there are none")
    every_seconds: Mapped[float | None] = mapped_column(comment="From since_at on; NULL: it goes by cron")
    grace_seconds: Mapped[float] = mapped_column(comment="How long after a slot a run may still come")
    max_runtime_seconds: Mapped[float | None] = mapped_column(comment="A longer run has failed; NULL: no limit")
    tags: Mapped[dict[str, Any]] = mapped_column(comment="What its runs must have, and those that it records get")
    tag_texts: Mapped[dict[str, str] | None] = mapped_column(
        JSONB(none_as_null=True), comment="The tags' values as texts, as runs have them; NULL: no tags"
    )
    paused: Mapped[bool] = mapped_column(comment="True: it looks at nothing")
    paused_reason: Mapped[str | None] = mapped_column(
        comment="Why the service paused it; NULL: it did not, or it was changed since"
    )
    created_by: Mapped[str | None] = mapped_column(comment="Of the runs that it records, too; NULL: none was given")
    state: Mapped[str] = mapped_column(Text, comment="As app/domain/monitors.py:state_of says")
    last_run_id: Mapped[UUID | None] = mapped_column(comment="The newest run seen, deleted or not; NULL: none")
    last_ok_at: Mapped[datetime | None] = mapped_column(comment="When a run completed last; NULL: none did")
    next_expected_at: Mapped[datetime | None] = mapped_column(
        comment="First slot that no run has met and one still can; NULL: paused, or no more"
    )
    late_since: Mapped[datetime | None] = mapped_column(
        comment="First slot that was not met, until a run completes; NULL: it is not late"
    )
    consecutive_failures: Mapped[int] = mapped_column(
        Integer, server_default="0", comment="Since a run completed; 0: it is not failing"
    )
    since_at: Mapped[datetime] = mapped_column(
        comment="Creation, resume or change of schedule: runs count from here, and slots of every_seconds"
    )
    seen_from: Mapped[datetime] = mapped_column(comment="Runs that were created before need not be looked for")
    followed: Mapped[dict[str, Any]] = mapped_column(
        ReadJsonb(), server_default=text("'{}'::jsonb"), comment="Id of a run -> what was seen of it, revision first"
    )
    look_at: Mapped[datetime | None] = mapped_column(
        comment="Looked at then although no run has changed; NULL: nothing is expected"
    )
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), comment="The database's time")
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), comment="Last change by a caller")
    revision: Mapped[int] = mapped_column(server_default="1", comment="From 1; one more for each change by a caller")

    __table_args__ = (
        CheckConstraint(f"state IN {_STATES}", name="state"),
        CheckConstraint("(state = 'paused') = paused", name="paused_state"),
        CheckConstraint("(cron IS NULL) <> (every_seconds IS NULL)", name="one_schedule"),
        CheckConstraint("(cron IS NULL) = (timezone IS NULL)", name="timezone_of_cron"),
        CheckConstraint("grace_seconds >= 0", name="grace_seconds"),
        CheckConstraint("every_seconds >= 1", name="every_seconds"),
        CheckConstraint("max_runtime_seconds >= 1", name="max_runtime_seconds"),
        Index("ix_monitors_workflow", "workflow_name", "name"),
        {"comment": "When runs of a workflow should come", "postgresql_with": {"fillfactor": "70"}},
    )
