"""What can be set from outside, with units and defaults."""

import ipaddress
import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

KEY_MIN_LENGTH = 20
PREFIX = "MILEPOST_"
OF_OTHERS = frozenset({"MILEPOST_URL", "MILEPOST_WORKFLOW_RUN_ID", "MILEPOST_TEST_SERVER_URL"})
"""Variables that are no settings of the service: of clients, of a command that a run is about, and of the tests."""
WITHOUT_EFFECT = frozenset(
    f"{PREFIX}{name}"
    for name in (
        "BULK_TOKEN_SECONDS",
        "OTEL",
        "PUBLIC_URL",
        "RETENTION",
        "WEBHOOK_ALLOW_PRIVATE",
    )
)
"""Settings of the contract for what this version does not do yet: who sets them is told so, and served all the same."""


_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s?#@*A-Z]+")


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

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )

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
        default=None,
        description="The first API key, with every scope: 20 characters or more, blanks around it left out. "
        "It is made at the start, in place of the one that another value made before.",
    )
    allow_unauthenticated: bool = Field(
        default=False, description="Listen on any address without API keys: everybody who reaches it may do everything."
    )
    allowed_hosts: str | None = Field(
        default=None,
        description="Names, separated by commas, by which the service may be called while there are no API keys. "
        "Those of loopback and `MILEPOST_HOST` always may.",
    )
    cors_origins: str | None = Field(
        default=None,
        description="Origins, separated by commas, whose pages may call the service from a browser, such as "
        "`https://ops.example`; each is compared as a whole.",
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
    changes_retention_seconds: float = Field(
        default=86_400, ge=1, description="How long changes are kept for those who read them late, in seconds."
    )
    bulk_token_seconds: float = Field(
        default=900,
        gt=0,
        le=86_400,
        description="How long the token of a bulk operation's dry run is good, in seconds.",
    )
    housekeeping_seconds: float = Field(
        default=0.5, gt=0, le=2, description="Pause between two rounds of the housekeeping, in seconds."
    )
    drain_seconds: float = Field(
        default=20,
        ge=0,
        description="How long a stop may last, in seconds: a quarter of it everything is served and told to go "
        "elsewhere, then requests under way are answered.",
    )
    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = Field(
        default="info", description="Least important level that is logged: debug, info, warning or error."
    )
    log_format: LogFormat | None = Field(
        default=None, description="`json` lines or `text`. Unset: text in a terminal, else json."
    )

    @field_validator("api_key")
    @classmethod
    def _check_api_key(cls, key: SecretStr | None) -> SecretStr | None:
        """Strip the key, and refuse one that can be guessed or cannot be sent. What is wrong is told without it."""
        if key is None:
            return None
        secret = key.get_secret_value().strip()
        if len(secret) < KEY_MIN_LENGTH:
            raise ValueError(f"must have {KEY_MIN_LENGTH} characters or more; `openssl rand -hex 32` makes a good one")
        if not re.fullmatch(r"[\x21-\x7e]+", secret):
            raise ValueError("must be of visible ASCII characters: it is sent in a header")
        return SecretStr(secret)

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, text: str | None) -> str | None:
        """Refuse what no browser sends as an origin, for it would never match."""
        if any(_ORIGIN.fullmatch(origin) is None for origin in split_names(text)):
            raise ValueError(
                "must be origins such as https://ops.example, separated by commas: no path, no blank, no *"
            )
        return text

    def listens_beyond_loopback(self) -> bool:
        """Return whether somebody on another machine could reach the service."""
        if self.host == "localhost":
            return False
        try:
            return not ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return True


def split_names(text: str | None) -> list[str]:
    """Return the parts of a setting that are separated by commas."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def find_unknown(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each name of a variable that looks like a setting and is none, and the known one that is nearest to it."""
    known = sorted({f"{PREFIX}{field.upper()}" for field in Settings.model_fields} | OF_OTHERS | WITHOUT_EFFECT)
    for name in sorted(names):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            yield name, get_close_matches(name.upper(), known, n=1, cutoff=0)[0]
