"""Health, version and keys on the wire."""

from enum import StrEnum

from app.schemas.wire import Answer


class Scope(StrEnum):
    """What an API key may do; `admin` may do everything."""

    read = "read"
    write = "write"
    work = "work"
    admin = "admin"


class Health(Answer):
    """Whether the service can do its work, check by check."""

    status: str
    checks: dict[str, str]


class Version(Answer):
    """What runs here."""

    version: str
    python: str
    postgres: str | None
    schema_revision: str | None
