"""Health, version and keys on the wire."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field
from typing_extensions import TypeAliasType

from milepost.schemas.wire import Answer


class Scope(StrEnum):
    """What an API key may do; `admin` may do everything."""

    read = "read"
    write = "write"
    work = "work"
    admin = "admin"


Checks = TypeAliasType(
    "Checks",
    Annotated[
        dict[str, str],
        Field(description="What was looked at, and what was found.", examples=[{"database": "ok", "migrations": "ok"}]),
    ],
)


class Health(Answer):
    """Whether the service can do its work, check by check."""

    status: str = Field(examples=["ok"])
    checks: Checks


class Version(Answer):
    """What runs here."""

    version: str = Field(examples=["0.1.0"])
    python: str = Field(examples=["3.14.1"])
    postgres: str | None = Field(examples=["18.1"])
    schema_revision: str | None = Field(examples=["0001"])
