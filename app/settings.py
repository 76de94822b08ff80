"""What can be set from outside, with units and defaults."""

import ipaddress
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Prepare(StrEnum):
    """Whether statements are prepared on the server."""

    auto = "auto"
    off = "off"


class LogFormat(StrEnum):
    """How log lines look."""

    json = "json"
    text = "text"


class Settings(BaseSettings):
    """Read from the environment: each field is `MILEPOST_` and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix="MILEPOST_", env_ignore_empty=True, extra="ignore")

    host: str = Field(
        default="127.0.0.1",
        description="Address to listen on. Another than loopback is refused while there is no API key.",
    )
    port: int = Field(default=8000, ge=0, le=65535, description="TCP port to listen on; 0 takes a free one.")
    workers: int = Field(default=1, ge=1, le=64, description="Server processes.")
    database_url: SecretStr | None = Field(
        default=None,
        description="Postgres 15 or later, as `postgresql://user:password@host/name`. Unset: an embedded Postgres.",
    )
    listen_url: SecretStr | None = Field(
        default=None,
        description="A direct connection for LISTEN, where `MILEPOST_DATABASE_URL` goes through a transaction pooler.",
    )
    database_prepare: Prepare = Field(
        default=Prepare.auto,
        description="`off` where a pooler does not carry prepared statements (PgBouncer before 1.21).",
    )
    database_pool_size: int = Field(default=12, ge=2, le=500, description="Connections that each process holds.")
    database_timeout_seconds: float = Field(
        default=10,
        gt=0,
        description="How long a request waits for the database, for a connection too, before it is answered 503.",
    )
    data_dir: Path | None = Field(
        default=None,
        description="Where the embedded Postgres keeps its data. Unset: the user's data directory, or "
        "`/var/lib/milepost` for root. Need not exist.",
    )
    api_key: SecretStr | None = Field(
        default=None, description="A first API key with every scope, made at the start if it does not exist."
    )
    allow_unauthenticated: bool = Field(
        default=False, description="Listen on any address without API keys: everybody who reaches it may do everything."
    )
    max_body_bytes: int = Field(default=1_048_576, ge=1024, description="Largest request body, in bytes.")
    idempotency_hours: float = Field(
        default=48, ge=24, description="How long an `Idempotency-Key` is remembered, in hours."
    )
    task_retention_days: float = Field(
        default=30,
        gt=0,
        description="How long ended tasks of no run are kept, in days, where their queue does not say.",
    )
    housekeeping_seconds: float = Field(
        default=0.5, gt=0, le=2, description="Pause between two rounds of the housekeeping, in seconds."
    )
    drain_seconds: float = Field(
        default=20, ge=0, description="How long a stop waits for requests under way, in seconds."
    )
    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = Field(
        default="info", description="Least important level that is logged: debug, info, warning or error."
    )
    log_format: LogFormat | None = Field(
        default=None, description="`json` lines or `text`. Unset: text in a terminal, else json."
    )

    def listens_beyond_loopback(self) -> bool:
        """Return whether somebody on another machine could reach the service."""
        if self.host == "localhost":
            return False
        try:
            return not ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return True
