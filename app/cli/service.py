"""`milepost serve` and `milepost migrate`."""

import os
import platform
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Annotated

import typer
from pydantic import ValidationError

from app.settings import Settings

Host = Annotated[str | None, typer.Option(help="Address to listen on, instead of MILEPOST_HOST.")]
Port = Annotated[int | None, typer.Option(help="Port to listen on, instead of MILEPOST_PORT; 0 takes a free one.")]
EXIT_CANNOT_START = 3


def read_settings(**overrides: object) -> Settings:
    """Return the settings, or leave with one line for each that is wrong."""
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        for found in error.errors():
            typer.echo(f"milepost: MILEPOST_{str(found['loc'][0]).upper()}: {found['msg']}", err=True)
        raise typer.Exit(EXIT_CANNOT_START) from None


def serve(host: Host = None, port: Port = None) -> None:
    """Serve the API until Ctrl-C or SIGTERM; requests under way are answered first.

    Without MILEPOST_DATABASE_URL an embedded Postgres is started, migrated, and stopped with its last user.
    """
    settings = read_settings(host=host, port=port)
    with _listen(settings.host, settings.port) as listener:
        settings.port = listener.getsockname()[1]
        for name in ("host", "port"):
            os.environ[f"MILEPOST_{name.upper()}"] = str(getattr(settings, name))
        _run_server(settings, listener)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        typer.echo(f"milepost: cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}", err=True)
        raise typer.Exit(EXIT_CANNOT_START) from None
    listener.set_inheritable(True)
    return listener


def _run_server(settings: Settings, listener: socket.socket) -> None:
    import uvicorn  # noqa: PLC0415 - the other commands start faster without it
    from uvicorn.supervisors import Multiprocess  # noqa: PLC0415

    config = uvicorn.Config(
        "app.main:create_app",
        factory=True,
        workers=settings.workers,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        ws="none",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=max(1, round(settings.drain_seconds)),
    )
    if settings.workers > 1:
        with open_database(settings) as url:
            if settings.database_url is None:
                _upgrade(url)
            Multiprocess(config, sockets=[listener]).run()
        return
    server = uvicorn.Server(config)
    server.run(sockets=[listener])
    if not server.started:
        sys.exit(EXIT_CANNOT_START)


def migrate() -> None:
    """Bring the database to the schema that this version needs; safe to run again, and from several places."""
    from app.db.migrations import head_revision  # noqa: PLC0415 - the other commands start faster without it

    with open_database(read_settings()) as url:
        _upgrade(url)
        typer.echo(f"The schema is at {head_revision()}.")


def _upgrade(url: str) -> None:
    from sqlalchemy.exc import OperationalError  # noqa: PLC0415 - the other commands start faster without it

    from app.db.migrations import upgrade  # noqa: PLC0415

    try:
        upgrade(url)
    except OperationalError as error:
        typer.echo(f"milepost: {str(error.orig).strip()}", err=True)
        raise typer.Exit(EXIT_CANNOT_START) from None


@contextmanager
def open_database(settings: Settings) -> Iterator[str]:
    """Give the address of the database; without one that is configured, of the embedded Postgres, running."""
    if settings.database_url:
        yield settings.database_url.get_secret_value()
        return
    from app.db.embedded import EmbeddedPostgresError, start_embedded  # noqa: PLC0415

    try:
        cluster = start_embedded(settings.data_dir)
    except EmbeddedPostgresError as error:
        typer.echo(f"milepost: {error}", err=True)
        raise typer.Exit(EXIT_CANNOT_START) from None
    with cluster:
        yield cluster.url


def show_version() -> None:
    """Print the version."""
    typer.echo(f"milepost {version('milepost')}, Python {platform.python_version()}")
