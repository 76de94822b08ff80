"""Listening, and running the server until it is told to stop."""

import os
import signal
import socket
import sys
from typing import Any

import structlog
import typer
from uvicorn.lifespan.on import LifespanOn

from app.cli.database import explain, open_database
from app.db.embedded import EmbeddedPostgresError
from app.db.failures import DATABASE_FAILURES
from app.db.migrations import UnknownSchemaError
from app.main import UnsafeStartError
from app.server import serving
from app.server.connections import Connection
from app.server.limits import Limits
from app.settings import Settings
from milepost.cli.exits import ExitCode, leave

CANNOT_START = (UnsafeStartError, EmbeddedPostgresError, UnknownSchemaError, *DATABASE_FAILURES)
"""What keeps the service from starting and can be told in one line."""

BACKLOG = 2048
START_SECONDS = 60
"""How long a process may be silent, above all at its start, before it is taken for one that hangs."""

log = structlog.get_logger()


class Lifespan(LifespanOn):
    """Starts and stops the application; where that fails for a known reason, one line says so."""

    async def send(self, message: Any) -> None:
        """Take note of how far the application is; why it failed is told by ``main``."""
        if not message["type"].endswith(".failed"):
            await super().send(message)

    async def main(self) -> None:
        """Run the application's lifespan."""
        scope: Any = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self.config.loaded_app(scope, self.receive, self.send)
        except CANNOT_START as error:
            typer.echo(f"milepost: {explain(error)}", err=True)
            self.should_exit = True
        except Exception:
            log.exception("cannot_start_or_stop")
            self.should_exit = True
        finally:
            self.startup_event.set()
            self.shutdown_event.set()


class ServiceConfig(serving.Config):
    """Our configuration of uvicorn, with our way of starting; also in the processes that it starts."""

    def load(self) -> None:
        """Load the application."""
        super().load()
        self.lifespan_class = Lifespan


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on the address, or leave with the reason why that is not possible."""
    listener: socket.socket | None = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)  # who calls during the start waits for it, and is not refused
    except (OSError, UnicodeError) as error:
        if listener:
            listener.close()
        leave(ExitCode.CANNOT_START, f"cannot listen on {host} port {port}: {getattr(error, 'strerror', error)}")
    listener.set_inheritable(True)
    return listener


def run_server(settings: Settings, listener: socket.socket) -> None:
    """Serve until a signal says stop, which ends the process with 0."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    config = ServiceConfig(
        "app.main:create_app",
        factory=True,
        workers=settings.workers,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        ws="none",
        backlog=BACKLOG,
        http=Connection,
        timeout_worker_healthcheck=START_SECONDS,
    )
    config.limits = _limits_of(settings)
    if settings.workers > 1:
        with open_database(settings):
            _run_processes(config, listener)
        return
    serving.Server(config).run(sockets=[listener])


def _limits_of(settings: Settings) -> Limits:
    return Limits(
        drain_seconds=settings.drain_seconds,
        other_descriptors=Limits.other_descriptors + settings.database_pool_size,
    )


def _stop(number: int, frame: object) -> None:
    """End: the server raises the signal that stopped it again, once all requests are answered."""
    del number, frame
    sys.exit(ExitCode.OK)


def _run_processes(config: ServiceConfig, listener: socket.socket) -> None:
    supervisor = serving.Supervisor(config, sockets=[listener])
    supervisor.run()
    if any(process.exitcode == ExitCode.CANNOT_START for process in supervisor.processes):
        raise typer.Exit(ExitCode.CANNOT_START)


def tell_children(settings: Settings) -> None:
    """Put into the environment what the command line changed: the application reads its settings from there."""
    os.environ |= {"MILEPOST_HOST": settings.host, "MILEPOST_PORT": str(settings.port)}
