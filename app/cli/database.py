"""The settings and the database of a command that works without the service."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from pydantic import SecretStr, ValidationError

from app.api.messages import explain as say_what_is_wrong
from app.settings import WITHOUT_EFFECT, Settings, find_unknown
from milepost.cli.exits import ExitCode, leave

SCHEMES = frozenset({"postgres", "postgresql", "postgresql+psycopg"})


def read_settings(**overrides: object) -> Settings:
    """Return the settings, or leave with what is wrong with them, without any value: it may be a secret."""
    if unknown := list(find_unknown(os.environ)):
        leave(
            ExitCode.CANNOT_START,
            "; ".join(f"{name} is not a setting: did you mean {nearest}?" for name, nearest in unknown),
        )
    if early := sorted(WITHOUT_EFFECT & os.environ.keys()):
        typer.echo(f"milepost: without effect in this version: {', '.join(early)}", err=True)
    try:
        settings = Settings(**{name: value for name, value in overrides.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        wrong = (
            f"MILEPOST_{str(found['loc'][0]).upper()}: {say_what_is_wrong(found['type'], found.get('ctx'))}"
            for found in error.errors()
        )
        leave(ExitCode.CANNOT_START, "; ".join(wrong))
    _check_url("MILEPOST_DATABASE_URL", settings.database_url)
    _check_url("MILEPOST_LISTEN_URL", settings.listen_url)
    return settings


def _check_url(name: str, url: SecretStr | None) -> None:
    """Leave if ``url`` is not one of a Postgres. It is not echoed: it may hold a password."""
    if url is None:
        return
    from sqlalchemy import make_url  # noqa: PLC0415 - help and errors need no database code
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        scheme = make_url(url.get_secret_value()).drivername
    except (ArgumentError, ValueError):
        scheme = ""
    if scheme not in SCHEMES:
        leave(ExitCode.CANNOT_START, f"{name}: must look like postgresql://user:password@host:5432/name")


@contextmanager
def open_database(settings: Settings) -> Iterator[str]:
    """Give the address of the database; without one that is configured, of the embedded Postgres, up to date."""
    if settings.database_url:
        yield settings.database_url.get_secret_value()
        return
    from app.db.migrations import start_upgraded  # noqa: PLC0415 - only where it is needed

    with _leaving_with_reasons():
        cluster = start_upgraded(settings.data_dir)
    with cluster:
        yield cluster.url


def migrate_database(url: str) -> None:
    """Bring the schema to what this version needs, or leave with the reason why that is not possible."""
    from app.db.migrations import upgrade  # noqa: PLC0415 - help and errors need no database code

    with _leaving_with_reasons():
        upgrade(url)


@contextmanager
def _leaving_with_reasons() -> Iterator[None]:
    """Leave with the reason why the database or its schema cannot be had."""
    from app.db.embedded import EmbeddedPostgresError  # noqa: PLC0415 - help and errors need no database code
    from app.db.failures import DATABASE_FAILURES  # noqa: PLC0415
    from app.db.migrations import UnknownSchemaError  # noqa: PLC0415

    try:
        yield
    except (EmbeddedPostgresError, UnknownSchemaError) as error:
        leave(ExitCode.CANNOT_START, str(error))
    except DATABASE_FAILURES as error:
        leave(ExitCode.CANNOT_START, explain(error))


def explain(error: Exception) -> str:
    """Return what Postgres said, and what to do where that is known."""
    said = str(getattr(error, "orig", None) or error).partition("\n")[0].strip()
    if getattr(getattr(error, "orig", None), "sqlstate", None) == "42P01":
        return f"{said}: run `milepost migrate` first"
    return said
