"""Log lines of workflow runs and tasks."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Integer,
    SmallInteger,
    false,
    func,
    literal_column,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.json_texts import JsonText
from app.models.base import Base


class LogLine(Base):
    """One line of the log of a run, of a task, or of both; rows are only ever added, and go with what they are of."""

    __tablename__ = "log_lines"

    sequence: Mapped[int] = mapped_column(Identity(always=True), primary_key=True, comment="Order of arrival")
    workflow_run_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("workflow_runs.workflow_run_id", ondelete="CASCADE"),
        comment="In whose log it stands; NULL: of a task without a run",
    )
    task_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("tasks.task_id", ondelete="CASCADE"), comment="Task that it is of; NULL: the run's own"
    )
    attempt: Mapped[int] = mapped_column(Integer, comment="Attempt of the task, or of the run, when it was appended")
    level: Mapped[int] = mapped_column(SmallInteger, comment="0 debug, 1 info, 2 warning, 3 error")
    is_truncated: Mapped[bool] = mapped_column(server_default=false(), comment="True: the text was longer")
    at: Mapped[datetime] = mapped_column(
        server_default=func.now(), comment="As given, else the database's time of the append"
    )
    text: Mapped[str] = mapped_column(comment="Up to 16 KiB of UTF-8; may be empty")
    fields: Mapped[JsonText | None] = mapped_column(comment="As given, kept as text; NULL: none")
    call: Mapped[int] = mapped_column(
        SmallInteger, server_default="0", comment="Which of the calls it came with that were stored by one statement"
    )

    __table_args__ = (
        CheckConstraint("workflow_run_id IS NOT NULL OR task_id IS NOT NULL", name="of_something"),
        CheckConstraint("level BETWEEN 0 AND 3", name="level"),
        CheckConstraint("octet_length(text) <= 16384", name="text_is_bounded"),
        Index(
            "ix_log_lines_run",
            "workflow_run_id",
            "at",
            "sequence",
            postgresql_where=literal_column("workflow_run_id IS NOT NULL"),
        ),
        Index("ix_log_lines_task", "task_id", "at", "sequence", postgresql_where=literal_column("task_id IS NOT NULL")),
        {"comment": "Log lines of workflow runs and tasks"},
    )
