"""Tasks and what hangs on them: past attempts, spent leases, late reports and checkpoints."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Text,
    desc,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.json_texts import JsonText
from app.domain.moves import TASK_FINAL, TASK_OPEN
from app.models.base import Base, list_of
from milepost.schemas.tasks import LOST_MOST, TaskStatus

_ALL = list_of(TaskStatus)
_FINAL = list_of(TASK_FINAL)
_OPEN = list_of(TASK_OPEN)


class Task(Base):
    """One unit of work on a queue, with its newest attempt and the lease of that."""

    __tablename__ = "tasks"

    task_id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7 made in the service")
    sequence: Mapped[int] = mapped_column(
        Identity(always=True), comment="Order of creation; the oldest is claimed first"
    )
    queue: Mapped[str] = mapped_column(comment="Set at spawn")
    task_name: Mapped[str] = mapped_column(comment="Set at spawn; what a worker has to do")
    params: Mapped[JsonText | None] = mapped_column(comment="Set at spawn, kept as text; NULL: JSON null")
    headers: Mapped[JsonText] = mapped_column(comment="Set at spawn, kept as text")
    priority: Mapped[int] = mapped_column(Integer, comment="Set at spawn; higher is claimed first")
    workflow_run_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("workflow_runs.workflow_run_id", ondelete="CASCADE"), comment="Set at spawn; NULL: not linked"
    )
    parent_task_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("tasks.task_id", ondelete="SET NULL"), comment="Set at spawn; NULL: none, or deleted"
    )
    step: Mapped[str | None] = mapped_column(comment="Path of the step it executes; NULL: of no definition")
    traceparent: Mapped[str | None] = mapped_column(comment="W3C trace context of the spawn; NULL: none was sent")
    max_attempts: Mapped[int] = mapped_column(Integer, comment="Set at spawn; raised by retry")
    max_lost: Mapped[int] = mapped_column(
        Integer, server_default=str(LOST_MOST), comment="Set at spawn; so many lost attempts are forgiven"
    )
    lost_count: Mapped[int] = mapped_column(
        Integer, server_default="0", comment="Attempts whose lease expired; never goes back"
    )
    forgiven_count: Mapped[int] = mapped_column(
        Integer,
        server_default="0",
        comment="Those of them that do not count against max_attempts; from 0 again by retry",
    )
    retry_strategy: Mapped[dict[str, Any] | None] = mapped_column(comment="Set at spawn; NULL: at once")
    max_delay_seconds: Mapped[float | None] = mapped_column(comment="Cancelled if not started in time; NULL: no limit")
    max_duration_seconds: Mapped[float | None] = mapped_column(
        comment="Cancelled so long after its first start; NULL: no limit"
    )
    idempotency_key: Mapped[str | None] = mapped_column(comment="Unique in its queue; NULL: none")
    spec_hash: Mapped[bytes | None] = mapped_column(
        LargeBinary, comment="SHA-256 of the spec, for repeats of its idempotency key; NULL: no key"
    )
    concurrency_key: Mapped[str | None] = mapped_column(comment="One task of a key runs at a time; NULL: none")
    status: Mapped[TaskStatus] = mapped_column(Text, comment="Moves as app/domain/moves.py says")
    reason: Mapped[str | None] = mapped_column(comment="Why it stands there; NULL: a worker's report says so")
    run_id: Mapped[UUID] = mapped_column(comment="Id of the newest attempt; new with each attempt")
    attempt: Mapped[int] = mapped_column(Integer, server_default="1", comment="From 1; one more for each attempt")
    result: Mapped[JsonText | None] = mapped_column(comment="As completed; NULL: not completed, or JSON null")
    error: Mapped[JsonText | None] = mapped_column(comment="Of the last failure; NULL: none")
    progress: Mapped[JsonText | None] = mapped_column(comment="As last reported by a heartbeat; NULL: none")
    reported_progress: Mapped[dict[str, Any] | None] = mapped_column(
        comment="{done, total, unit, message} as reported by heartbeats and merged; NULL: none"
    )
    available_at: Mapped[datetime] = mapped_column(server_default=func.now(), comment="Not claimable before")
    ready_at: Mapped[datetime | None] = mapped_column(comment="Claimable since; NULL: not claimable now")
    due_at: Mapped[datetime | None] = mapped_column(
        comment="When the housekeeping makes it claimable (or times its wait out); NULL: never by itself"
    )
    limit_at: Mapped[datetime | None] = mapped_column(
        comment="Cancelled when open at this time: max_delay before its first start, max_duration after; NULL: never"
    )
    wake_at: Mapped[datetime | None] = mapped_column(comment="When it wakes by itself; NULL: it does not sleep")
    wake_event: Mapped[str | None] = mapped_column(comment="Event that it awaits, or that woke it; NULL: none")
    event_payload: Mapped[JsonText | None] = mapped_column(
        comment="Payload that woke it, for its next claim; NULL: none"
    )
    wait_step: Mapped[str | None] = mapped_column(comment="Step whose events it awaits; NULL: it awaits none")
    wait_all: Mapped[list[str] | None] = mapped_column(
        ARRAY(Text), comment="Names it awaits together; NULL: one is enough"
    )
    claimed_by: Mapped[str | None] = mapped_column(comment="Worker of the current lease, or of the last")
    lease_token: Mapped[UUID | None] = mapped_column(comment="Of the current lease, or of the one that ended it")
    lease_expires_at: Mapped[datetime | None] = mapped_column(comment="End of the current lease; NULL: not running")
    final_body: Mapped[bytes | None] = mapped_column(
        LargeBinary, comment="SHA-256 of what completed it, for repeats; NULL: not completed"
    )
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), comment="The database's time")
    first_started_at: Mapped[datetime | None] = mapped_column(comment="First claim; NULL: never; anew by retry")
    started_at: Mapped[datetime | None] = mapped_column(comment="First claim of this attempt; NULL: not yet")
    completed_at: Mapped[datetime | None] = mapped_column(comment="When it ended, however; NULL: open")
    cancelled_at: Mapped[datetime | None] = mapped_column(comment="When it was cancelled; NULL: it is not")
    cancel_requested_at: Mapped[datetime | None] = mapped_column(comment="Its worker is asked to stop; NULL: not")
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), comment="Moves with the revision")
    revision: Mapped[int] = mapped_column(server_default="1", comment="From 1; one more for each change; the ETag")

    __table_args__ = (
        CheckConstraint(f"status IN {_ALL}", name="status"),
        CheckConstraint(f"(status IN {_FINAL}) = (completed_at IS NOT NULL)", name="ended_has_completed_at"),
        CheckConstraint("(status = 'cancelled') = (cancelled_at IS NOT NULL)", name="cancelled_has_cancelled_at"),
        CheckConstraint("(status = 'running') = (lease_expires_at IS NOT NULL)", name="running_has_lease"),
        CheckConstraint("ready_at IS NULL OR status IN ('pending', 'sleeping')", name="ready_waits"),
        CheckConstraint("due_at IS NULL OR (status IN ('pending', 'sleeping') AND ready_at IS NULL)", name="due_waits"),
        CheckConstraint(f"limit_at IS NULL OR status IN {_OPEN}", name="limit_only_while_open"),
        CheckConstraint("attempt >= 1 AND attempt - forgiven_count <= max_attempts", name="attempt_within_limit"),
        Index("ix_tasks_ready", "queue", desc("priority"), "sequence", postgresql_where=text("ready_at IS NOT NULL")),
        Index("ix_tasks_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),
        Index("ix_tasks_lease_due", "lease_expires_at", postgresql_where=text("lease_expires_at IS NOT NULL")),
        Index("ix_tasks_limit_due", "limit_at", postgresql_where=text("limit_at IS NOT NULL")),
        Index("ix_tasks_open", "queue", "status", "created_at", postgresql_where=text(f"status IN {_OPEN}")),
        Index(
            "ix_tasks_run",
            "workflow_run_id",
            "created_at",
            "task_id",
            postgresql_include=["status"],
            postgresql_where=text("workflow_run_id IS NOT NULL"),
        ),
        Index(
            "ix_tasks_open_of_run",
            "workflow_run_id",
            postgresql_where=text(f"workflow_run_id IS NOT NULL AND status IN {_OPEN}"),
        ),
        Index("ix_tasks_created", "created_at", "task_id"),
        Index("ix_tasks_by_queue", "queue", "created_at", "task_id"),
        Index(
            "ix_tasks_by_status",
            "status",
            "created_at",
            "task_id",
            postgresql_where=text("status <> 'completed'"),
        ),
        Index(
            "ix_tasks_by_parent",
            "parent_task_id",
            "created_at",
            "task_id",
            postgresql_where=text("parent_task_id IS NOT NULL"),
        ),
        Index("ix_tasks_by_worker", "claimed_by", postgresql_where=text("status = 'running'")),
        Index(
            "ix_tasks_unlinked_ended",
            "queue",
            "completed_at",
            postgresql_where=text("completed_at IS NOT NULL AND workflow_run_id IS NULL"),
        ),
        Index(
            "uq_tasks_idempotency_key",
            "queue",
            "idempotency_key",
            unique=True,
            postgresql_where=text("idempotency_key IS NOT NULL"),
        ),
        Index(
            "uq_tasks_running_concurrency_key",
            "queue",
            "concurrency_key",
            unique=True,
            postgresql_where=text("concurrency_key IS NOT NULL AND status = 'running'"),
        ),
        {
            "comment": "One unit of work on a queue, with its newest attempt and the lease of that",
            "postgresql_with": {
                "fillfactor": "80",
                "autovacuum_vacuum_scale_factor": "0.02",
                "autovacuum_vacuum_threshold": "1000",
                "autovacuum_analyze_scale_factor": "0.05",
            },
        },
    )


class TaskAttempt(Base):
    """An attempt that has ended while its task went on, or that failed; the newest one stands in the task itself."""

    __tablename__ = "task_attempts"

    run_id: Mapped[UUID] = mapped_column(primary_key=True, comment="Id of the attempt")
    task_id: Mapped[UUID] = mapped_column(ForeignKey("tasks.task_id", ondelete="CASCADE"), comment="Whose attempt")
    attempt: Mapped[int] = mapped_column(Integer, comment="From 1")
    status: Mapped[TaskStatus] = mapped_column(Text, comment="How it ended")
    reason: Mapped[str | None] = mapped_column(comment="Why it ended; NULL: a worker's report says so")
    claimed_by: Mapped[str | None] = mapped_column(comment="Worker that had it last; NULL: never claimed")
    lease_token: Mapped[UUID | None] = mapped_column(comment="Of its last lease; NULL: never claimed")
    started_at: Mapped[datetime | None] = mapped_column(comment="Its first claim; NULL: never claimed")
    ended_at: Mapped[datetime] = mapped_column(comment="The database's time")
    error: Mapped[JsonText | None] = mapped_column(comment="What went wrong; NULL: nothing")

    __table_args__ = (
        Index("ix_task_attempts_task", "task_id", "attempt"),
        {"comment": "Attempts that are over"},
    )


class SpentLease(Base):
    """A lease that its worker gave up by a call of its own, and what that was answered, for repeats."""

    __tablename__ = "spent_leases"

    lease_token: Mapped[UUID] = mapped_column(primary_key=True, comment="The token that is worth nothing any more")
    task_id: Mapped[UUID] = mapped_column(ForeignKey("tasks.task_id", ondelete="CASCADE"), comment="Whose lease")
    run_id: Mapped[UUID] = mapped_column(comment="Of which attempt")
    call: Mapped[str] = mapped_column(comment="fail, sleep, release or await_event")
    body: Mapped[bytes] = mapped_column(LargeBinary, comment="SHA-256 of what was sent")
    answer: Mapped[JsonText | None] = mapped_column(comment="What was answered")
    spent_at: Mapped[datetime] = mapped_column(server_default=func.now(), comment="The database's time")

    __table_args__ = (Index("ix_spent_leases_task", "task_id"), {"comment": "Leases given up, for repeats"})


class LateReport(Base):
    """What somebody reported who did not hold the lease any more: evidence, never applied."""

    __tablename__ = "late_reports"

    late_report_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True, comment="Order of arrival")
    task_id: Mapped[UUID] = mapped_column(ForeignKey("tasks.task_id", ondelete="CASCADE"), comment="About which task")
    run_id: Mapped[UUID] = mapped_column(comment="The attempt whose token it carried")
    at: Mapped[datetime] = mapped_column(server_default=func.now(), comment="The database's time")
    lease_token_suffix: Mapped[str] = mapped_column(comment="Last characters of the token")
    call: Mapped[str] = mapped_column(comment="What was called")
    body: Mapped[JsonText | None] = mapped_column(comment="What was sent, without the token")

    __table_args__ = (
        Index("ix_late_reports_task", "task_id", "late_report_id"),
        {"comment": "Reports of workers that had lost their lease"},
    )


class Checkpoint(Base):
    """The stored result of a named step inside a task."""

    __tablename__ = "checkpoints"

    task_id: Mapped[UUID] = mapped_column(ForeignKey("tasks.task_id", ondelete="CASCADE"), comment="Whose step")
    name: Mapped[str] = mapped_column(comment="Name of the step, unique in its task")
    position: Mapped[int] = mapped_column(Identity(always=True), comment="Order of writing")
    state: Mapped[JsonText | None] = mapped_column(comment="As last written; NULL: JSON null")
    is_outcome: Mapped[bool] = mapped_column(comment="True: the outcome of awaiting events, written by the service")
    attempt: Mapped[int] = mapped_column(Integer, comment="Attempt that wrote it last")
    run_id: Mapped[UUID] = mapped_column(comment="Id of that attempt")
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), comment="The database's time")

    __table_args__ = (PrimaryKeyConstraint("task_id", "name"), {"comment": "Results of steps inside tasks"})
