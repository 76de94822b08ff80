"""Workflow runs: one row for each execution that is tracked."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, Integer, Text, func, literal_column, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.json_texts import JsonText
from app.domain.moves import FINAL, OPEN
from app.models.base import Base, list_of
from milepost.schemas.workflow_runs import RunStatus

_ALL = list_of(RunStatus)
_FINAL = list_of(FINAL)
_OPEN = list_of(OPEN)
_NEVER: ColumnElement[datetime] = literal_column("'infinity'::timestamptz")


class WorkflowRun(Base):
    """One execution of a named, versioned workflow."""

    __tablename__ = "workflow_runs"

    workflow_run_id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7 made in the service")
    workflow_name: Mapped[str] = mapped_column(comment="Set at creation")
    workflow_version: Mapped[str] = mapped_column(comment="Set at creation")
    workflow_hash: Mapped[str | None] = mapped_column(comment="Set at creation; NULL: the caller gave none")
    status: Mapped[RunStatus] = mapped_column(Text, comment="Moves as app/domain/moves.py says")
    reason: Mapped[str | None] = mapped_column(comment="Why the service ended it; NULL: a caller's report did")
    queue: Mapped[str] = mapped_column(comment="Set at creation; where its tasks go unless they say otherwise")
    inputs: Mapped[JsonText | None] = mapped_column(comment="Set at creation, kept as text; NULL: JSON null")
    result: Mapped[JsonText | None] = mapped_column(comment="As last reported; NULL: none yet, or JSON null")
    error: Mapped[JsonText | None] = mapped_column(comment="As reported or made by the service; NULL: none")
    tags: Mapped[dict[str, Any]] = mapped_column(comment="As given and merged since; {} when there are none")
    tag_texts: Mapped[dict[str, str] | None] = mapped_column(
        JSONB(none_as_null=True), comment="The tags' values as texts, for the filter; NULL: no tags"
    )
    links: Mapped[dict[str, Any] | None] = mapped_column(comment="Name -> {url, title}, as put; NULL: none")
    reported_progress: Mapped[dict[str, Any] | None] = mapped_column(
        comment="{done, total, unit, message} as last reported and merged; NULL: none"
    )
    created_by: Mapped[str | None] = mapped_column(comment="Set at creation; NULL: the caller gave none")
    absurd_run_id: Mapped[str | None] = mapped_column(comment="The caller's root task id, opaque; NULL: none")
    parent_workflow_run_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("workflow_runs.workflow_run_id", ondelete="SET NULL"),
        comment="Set at creation; NULL: none, or the parent was deleted",
    )
    workflow_id: Mapped[UUID | None] = mapped_column(
        comment="Registered definition that the service executes; NULL: the run is tracked for its caller"
    )
    rerun_of_workflow_run_id: Mapped[UUID | None] = mapped_column(
        comment="Run that it does again from one of its steps; NULL: none"
    )
    schedule_id: Mapped[UUID | None] = mapped_column(comment="Schedule that created it; NULL: none did")
    data_interval_start: Mapped[datetime | None] = mapped_column(comment="Set at creation; NULL: not executed")
    data_interval_end: Mapped[datetime | None] = mapped_column(comment="Set at creation; NULL: not executed")
    task_count: Mapped[int | None] = mapped_column(
        Integer, comment="Declared by the caller at any time; NULL: count the linked tasks"
    )
    attempt: Mapped[int] = mapped_column(Integer, server_default="1", comment="From 1; one more for each retry")
    revision: Mapped[int] = mapped_column(server_default="1", comment="From 1; one more for each change; the ETag")
    cancel_requested_at: Mapped[datetime | None] = mapped_column(comment="NULL: nobody asked to cancel it")
    cancel_due_at: Mapped[datetime | None] = mapped_column(
        comment="End of the grace of a requested cancel; NULL: nobody asked, or it has ended"
    )
    paused_at: Mapped[datetime | None] = mapped_column(
        comment="Executed, and hands out no work since this time; NULL: it does, or has ended"
    )
    deadline_at: Mapped[datetime | None] = mapped_column(comment="Fails when open at this time; NULL: no deadline")
    expected_by: Mapped[datetime | None] = mapped_column(
        comment="Set at creation; late when open at this time; NULL: it may take as long as it likes"
    )
    late_at: Mapped[datetime | None] = mapped_column(
        comment="Set once, when it was seen to be late; stays when it ends or is retried; NULL: it was not"
    )
    heartbeat_seconds: Mapped[float | None] = mapped_column(comment="Set at creation; NULL: it sends no heartbeats")
    heartbeat_expires_at: Mapped[datetime | None] = mapped_column(
        comment="Lost at this time; moves with each heartbeat; NULL: not running, or no heartbeats"
    )
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), comment="The database's time of creation")
    started_at: Mapped[datetime | None] = mapped_column(comment="Set once; NULL: not started, or unknown")
    completed_at: Mapped[datetime | None] = mapped_column(comment="Set when it ends; NULL: it is open")
    updated_at: Mapped[datetime] = mapped_column(
        server_default=func.now(), comment="Moves with the revision, not with heartbeats"
    )

    __table_args__ = (
        CheckConstraint(f"status IN {_ALL}", name="status"),
        CheckConstraint(f"(status IN {_FINAL}) = (completed_at IS NOT NULL)", name="ended_has_completed_at"),
        CheckConstraint("status <> 'running' OR started_at IS NOT NULL", name="running_has_started_at"),
        CheckConstraint("completed_at >= started_at", name="ends_after_start"),
        CheckConstraint("status = 'running' OR heartbeat_expires_at IS NULL", name="heartbeat_only_while_running"),
        Index("ix_workflow_runs_created", "created_at", "workflow_run_id"),
        Index("ix_workflow_runs_updated", "updated_at", "workflow_run_id"),
        Index("ix_workflow_runs_started", func.coalesce(text("started_at"), _NEVER), "workflow_run_id"),
        Index("ix_workflow_runs_completed", func.coalesce(text("completed_at"), _NEVER), "workflow_run_id"),
        Index(
            "ix_workflow_runs_unsuccessful",
            "status",
            func.coalesce(text("completed_at"), _NEVER),
            "workflow_run_id",
            postgresql_where=text("status IN ('failed', 'cancelled')"),
        ),
        Index("ix_workflow_runs_by_status", "status", "created_at", "workflow_run_id"),
        Index("ix_workflow_runs_by_name", "workflow_name", "status", "created_at", "workflow_run_id"),
        Index("ix_workflow_runs_by_queue", "queue", "created_at", "workflow_run_id"),
        Index(
            "ix_workflow_runs_by_creator",
            "created_by",
            "created_at",
            "workflow_run_id",
            postgresql_where=text("created_by IS NOT NULL"),
        ),
        Index(
            "ix_workflow_runs_by_parent",
            "parent_workflow_run_id",
            "created_at",
            "workflow_run_id",
            postgresql_where=text("parent_workflow_run_id IS NOT NULL"),
        ),
        Index(
            "ix_workflow_runs_by_tag",
            "tag_texts",
            postgresql_using="gin",
            postgresql_ops={"tag_texts": "jsonb_path_ops"},
            postgresql_where=text("tag_texts IS NOT NULL"),
        ),
        Index(
            "ix_workflow_runs_open_of_schedule",
            "schedule_id",
            postgresql_where=text(f"schedule_id IS NOT NULL AND status IN {_OPEN}"),
        ),
        Index(
            "ix_workflow_runs_deadline_due",
            "deadline_at",
            postgresql_where=text(f"deadline_at IS NOT NULL AND status IN {_OPEN}"),
        ),
        Index(
            "ix_workflow_runs_late_due",
            "expected_by",
            postgresql_where=text(f"expected_by IS NOT NULL AND late_at IS NULL AND status IN {_OPEN}"),
        ),
        Index(
            "ix_workflow_runs_late",
            "created_at",
            "workflow_run_id",
            postgresql_where=text("late_at IS NOT NULL"),
        ),
        Index(
            "ix_workflow_runs_by_reason",
            "reason",
            "created_at",
            "workflow_run_id",
            postgresql_where=text("reason IS NOT NULL"),
        ),
        Index(
            "ix_workflow_runs_cancel_due",
            "cancel_due_at",
            postgresql_where=text("cancel_due_at IS NOT NULL"),
        ),
        Index(
            "ix_workflow_runs_heartbeat_due",
            "heartbeat_expires_at",
            postgresql_where=text("heartbeat_expires_at IS NOT NULL"),
        ),
        {
            "comment": "One execution of a named, versioned workflow",
            "postgresql_with": {"fillfactor": "85", "autovacuum_vacuum_scale_factor": "0.05"},
        },
    )
