"""Bulk operations, what each is about, and the dry runs that let them be done."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    SmallInteger,
    func,
    literal_column,
    true,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.json_texts import JsonText
from app.models.base import Base, list_of
from milepost.schemas.bulk_operations import BulkResource, BulkStatus, BulkVerb


class BulkOperation(Base):
    """One verb for many runs or tasks; whoever works on it holds its row."""

    __tablename__ = "bulk_operations"

    bulk_operation_id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7, made here")
    resource: Mapped[str] = mapped_column(comment="What it is about")
    verb: Mapped[str] = mapped_column(comment="What is done to each")
    filter: Mapped[JsonText] = mapped_column(comment="As given; what matched stands in bulk_outcomes")
    reason: Mapped[str | None] = mapped_column(comment="As given, for each history")
    status: Mapped[str] = mapped_column(server_default="running", comment="Ends once, and stays")
    total: Mapped[int] = mapped_column(comment="How many matched when it began")
    done: Mapped[int] = mapped_column(server_default="0", comment="How many have an outcome; moves with each")
    refused: Mapped[int] = mapped_column(server_default="0", comment="How many of these are not 200")
    created_by: Mapped[str] = mapped_column(comment="Who asked for it")
    request_id: Mapped[str | None] = mapped_column(comment="By which request, for each history")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), comment="When it began")
    worked_at: Mapped[datetime] = mapped_column(
        server_default=func.now(), comment="Last outcome: who waits longest has the next turn"
    )
    completed_at: Mapped[datetime | None] = mapped_column(comment="NULL: it is running")

    __table_args__ = (
        CheckConstraint(f"resource IN {list_of(BulkResource)}", name="resource"),
        CheckConstraint(f"verb IN {list_of(BulkVerb)}", name="verb"),
        CheckConstraint(f"status IN {list_of(BulkStatus)}", name="status"),
        CheckConstraint("(status = 'running') = (completed_at IS NULL)", name="ends_once"),
        CheckConstraint("refused BETWEEN 0 AND done AND done <= total", name="counts"),
        Index("ix_bulk_operations_running", "worked_at", postgresql_where=literal_column("status = 'running'")),
        Index("ix_bulk_operations_over", "completed_at", postgresql_where=literal_column("completed_at IS NOT NULL")),
        {"comment": "Verbs for many runs or tasks"},
    )


class BulkOutcome(Base):
    """One run or task that a bulk operation is about, and how it went with it."""

    __tablename__ = "bulk_outcomes"

    sequence: Mapped[int] = mapped_column(Identity(always=True), primary_key=True, comment="Order in which it is done")
    bulk_operation_id: Mapped[UUID] = mapped_column(
        ForeignKey("bulk_operations.bulk_operation_id", ondelete="CASCADE"), comment="What it belongs to"
    )
    resource_id: Mapped[UUID] = mapped_column(comment="Id of the run or task, which may be gone since")
    is_open: Mapped[bool] = mapped_column(server_default=true(), comment="False: it has its outcome")
    status: Mapped[int | None] = mapped_column(SmallInteger, comment="As HTTP has it; NULL: none yet")
    code: Mapped[str | None] = mapped_column(comment="Code of the refusal; NULL: done, or none yet")

    __table_args__ = (
        CheckConstraint("is_open = (status IS NULL)", name="open"),
        CheckConstraint("status IN (200, 404, 409)", name="status"),
        CheckConstraint("status <> 200 OR code IS NULL", name="code"),
        Index("ix_bulk_outcomes_operation", "bulk_operation_id", "is_open", "sequence"),
        {"comment": "What bulk operations are about, and how it went"},
    )


class BulkToken(Base):
    """One dry run, whose token lets the same be done while it is good."""

    __tablename__ = "bulk_tokens"

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True, comment="SHA-256 of the token")
    purpose: Mapped[bytes] = mapped_column(LargeBinary, comment="SHA-256 of resource, verb and filter")
    count: Mapped[int] = mapped_column(comment="How many matched")
    expires_at: Mapped[datetime] = mapped_column(comment="Good until then, and forgotten after")

    __table_args__ = (
        Index("ix_bulk_tokens_expires", "expires_at"),
        {"comment": "Dry runs of bulk operations"},
    )
