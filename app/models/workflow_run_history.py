"""The history of workflow runs: every status change and verb, written with it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Identity, Index, Integer, func
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class WorkflowRunHistory(Base):
    """One status change or verb; rows are only ever added."""

    __tablename__ = "workflow_run_history"

    history_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True, comment="Order within a run")
    workflow_run_id: Mapped[UUID] = mapped_column(
        ForeignKey("workflow_runs.workflow_run_id", ondelete="CASCADE"), comment="Whose history this is"
    )
    at: Mapped[datetime] = mapped_column(server_default=func.now(), comment="The database's time of the change")
    verb: Mapped[str] = mapped_column(comment="What was done: create, update, expire ...")
    from_status: Mapped[str | None] = mapped_column(comment="Status before; NULL: it did not exist")
    to_status: Mapped[str] = mapped_column(comment="Status after")
    attempt: Mapped[int] = mapped_column(Integer, comment="The run's attempt after the change")
    actor: Mapped[str] = mapped_column(comment="Name of the API key, `anonymous`, or `housekeeping`")
    reason: Mapped[str | None] = mapped_column(comment="Why; NULL: a caller's report")
    request_id: Mapped[str | None] = mapped_column(comment="X-Request-ID of the call; NULL: not a call")

    __table_args__ = (
        Index("ix_workflow_run_history_run", "workflow_run_id", "history_id"),
        {"comment": "Every status change and verb in the life of a workflow run"},
    )
