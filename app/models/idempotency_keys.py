"""Idempotency keys: what was answered to a creating request, for its repeats."""

from datetime import datetime

from sqlalchemy import Index, LargeBinary, func
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class AnsweredKey(Base):
    """One `Idempotency-Key` of one caller on one address."""

    __tablename__ = "idempotency_keys"

    scope: Mapped[bytes] = mapped_column(
        LargeBinary, primary_key=True, comment="SHA-256 of method, path, caller and key"
    )
    body: Mapped[bytes] = mapped_column(LargeBinary, comment="SHA-256 of the canonical JSON of the body")
    answer: Mapped[str] = mapped_column(comment="The body of the first answer")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), comment="Pruned some time after")

    __table_args__ = (
        Index("ix_idempotency_keys_created", "created_at"),
        {"comment": "Answers to creating requests, kept for their repeats"},
    )
