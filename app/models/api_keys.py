"""API keys: hashed, with scopes; revoked ones stay."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, LargeBinary, Text, false, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base
from milepost.schemas.operations import Scope

_SCOPES = ", ".join(f"'{scope}'" for scope in Scope)


class ApiKey(Base):
    """One key that a caller proves itself with."""

    __tablename__ = "api_keys"

    api_key_id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7 made in the service")
    name: Mapped[str] = mapped_column(unique=True, comment="Who uses it; the actor in histories")
    secret_hash: Mapped[bytes] = mapped_column(
        LargeBinary, unique=True, comment="SHA-256 of the key, which has 256 random bits itself"
    )
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text), comment="What it may do")
    is_from_environment: Mapped[bool] = mapped_column(
        server_default=false(),
        comment="Set when made; whether it is the key of MILEPOST_API_KEY, which another value of it replaces",
    )
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), comment="The database's time")
    revoked_at: Mapped[datetime | None] = mapped_column(comment="Refused from this time on; NULL: it is valid")

    __table_args__ = (
        CheckConstraint(f"scopes <@ ARRAY[{_SCOPES}]::text[] AND cardinality(scopes) > 0", name="scopes"),
        {"comment": "API keys, as hashes"},
    )
