"""Rows that a chore of the housekeeping could not do, and leaves out until it tries them again."""

from datetime import datetime

from sqlalchemy import Integer, PrimaryKeyConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class SetAsideRow(Base):
    """One row that failed in one chore, whichever replica saw it."""

    __tablename__ = "set_aside_rows"

    chore: Mapped[str] = mapped_column(comment="Name of the chore that leaves it out")
    row_key: Mapped[str] = mapped_column(comment="Id of the run, task, schedule or delivery")
    failures: Mapped[int] = mapped_column(Integer, server_default="1", comment="How often it has failed alone")
    error: Mapped[str] = mapped_column(comment="What went wrong the last time")
    set_aside_at: Mapped[datetime] = mapped_column(server_default=func.now(), comment="First failure")
    retry_at: Mapped[datetime] = mapped_column(comment="Tried again at this time, alone")

    __table_args__ = (
        PrimaryKeyConstraint("chore", "row_key"),
        {"comment": "Rows that the housekeeping leaves out for a while, so that they do not stop the others"},
    )
