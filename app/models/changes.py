"""The change feed: changes as transactions leave them, changes in their places, and how far they reach."""

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Identity, Integer, SmallInteger, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.json_texts import JsonText
from app.models.base import Base

_VACUUM = {
    "autovacuum_vacuum_scale_factor": "0",
    "autovacuum_vacuum_threshold": "5000",
    "autovacuum_analyze_scale_factor": "0.2",
}


class NewChanges(Base):
    """Changes of one statement that have no positions yet; written by triggers, in the transaction that makes them."""

    __tablename__ = "new_changes"

    sequence: Mapped[int] = mapped_column(
        Identity(always=True), primary_key=True, comment="Taken while the changed rows are locked: it agrees with them"
    )
    transaction: Mapped[int] = mapped_column(
        BigInteger,
        server_default=text("pg_current_xact_id()::text::bigint"),
        comment="Whose changes these are; they get their positions together",
    )
    rank: Mapped[int] = mapped_column(SmallInteger, comment="Order within the transaction, before the sequence")
    kind: Mapped[str] = mapped_column(Text, comment="Of what: workflow_run, task, step ...")
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp(), comment="When they were written")
    change_count: Mapped[int] = mapped_column(Integer, comment="How many they are")
    changes: Mapped[JsonText] = mapped_column(comment="What each one says, in the order of app/domain/changes.py:TOLD")

    __table_args__ = (
        CheckConstraint("change_count >= 1", name="some"),
        {"comment": "Changes without positions, each row those of one statement", "postgresql_with": _VACUUM},
    )


class NumberedChanges(Base):
    """Changes with consecutive positions, the last of which is their key."""

    __tablename__ = "changes"

    last_position: Mapped[int] = mapped_column(
        BigInteger, primary_key=True, autoincrement=False, comment="Position of the last of them"
    )
    change_count: Mapped[int] = mapped_column(Integer, comment="How many they are")
    kind: Mapped[str] = mapped_column(Text, comment="Of what: workflow_run, task, step ...")
    at: Mapped[datetime] = mapped_column(comment="When they were written")
    changes: Mapped[JsonText] = mapped_column(comment="What each one says, in the order of app/domain/changes.py:TOLD")

    __table_args__ = (
        CheckConstraint("change_count >= 1", name="some"),
        {"comment": "The change feed, as long as it is kept"},
    )


class ChangeFeed(Base):
    """How far the change feed reaches; its one row is locked by whoever gives positions or forgets them."""

    __tablename__ = "change_feed"

    is_only: Mapped[bool] = mapped_column(
        Boolean, primary_key=True, server_default=text("true"), comment="Always true: there is one feed"
    )
    newest: Mapped[int] = mapped_column(BigInteger, comment="The last position that was given; 0: none was")
    oldest: Mapped[int] = mapped_column(BigInteger, comment="The first position that is kept, or the next one")

    __table_args__ = (
        CheckConstraint("is_only", name="is_only"),
        CheckConstraint("oldest >= 1 AND newest >= 0 AND oldest <= newest + 1", name="reach"),
        {"comment": "How far the change feed reaches", "postgresql_with": {"fillfactor": "10"}},
    )
