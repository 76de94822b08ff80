"""The servers under load, each a process of its own: the service as it is served, and a stock FastAPI application."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.http import API_KEY, make_request
from benchmarks.processes import cpu_seconds_of

_START_SECONDS = 60.0
_QUIET_SECONDS = 0.25
_QUIET_SHARE = 0.2
"""Of one core: a server that uses less than that has started."""


@dataclass(frozen=True, slots=True)
class Service:
    """A running server."""

    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """Return the CPU time that its processes have used."""
        return cpu_seconds_of(self.pid)


@contextmanager
def running_service(
    database_url: str, *, workers: int = 1, samples_file: Path | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[Service]:
    """Give the service on this database, as `milepost serve` serves it; with ``samples_file`` it can be sampled."""
    port = find_free_port()
    environment = {
        **_without_settings(os.environ),
        "MILEPOST_DATABASE_URL": database_url,
        "MILEPOST_API_KEY": API_KEY,
        "MILEPOST_LOG_LEVEL": "warning",
        "MILEPOST_WORKERS": str(workers),
        "MILEPOST_DRAIN_SECONDS": "1",
        **(settings or {}),
    }
    command = [*_python(samples_file), "app", "serve", f"--port={port}"]
    with running_process(command, port, environment) as service:
        yield service


@contextmanager
def running_stock_app(samples_file: Path | None = None) -> Iterator[Service]:
    """Give the stock application on plain uvicorn; it writes no log of its requests, as the service writes none."""
    port = find_free_port()
    options = [f"--port={port}", "--log-level=warning", "--no-access-log"]
    command = [*_python(samples_file), "uvicorn", "benchmarks.stock_app:app", *options]
    with running_process(command, port, os.environ) as service:
        yield service


def _python(samples_file: Path | None) -> Sequence[str]:
    """Return how a module is run that follows, so that it can be sampled where that is wanted."""
    sampled = ["benchmarks.sampled", str(samples_file)] if samples_file else []
    return [sys.executable, "-m", *sampled]


def _without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith("MILEPOST_")}


@contextmanager
def running_process(command: Sequence[str], port: int, environment: Mapping[str, str]) -> Iterator[Service]:
    """Give a server from its first answer on, once it is no longer busy with its start; Ctrl-C stops it."""
    process = subprocess.Popen(command, env=environment)
    service = Service(port, process.pid)
    try:
        _wait_for_answer(process, port)
        _wait_until_quiet(service)
        yield service
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def find_free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for_answer(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=_START_SECONDS) as connection:
                connection.sendall(make_request("GET", "/livez", headers="Connection: close\r\n"))
                if connection.recv(1):
                    return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("the server did not start")


def _wait_until_quiet(service: Service) -> None:
    """Wait until no process of it is starting any more: that takes much more CPU time than being there."""
    used = service.cpu_seconds()
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        time.sleep(_QUIET_SECONDS)
        used, before = service.cpu_seconds(), used
        if used - before < _QUIET_SHARE * _QUIET_SECONDS:
            return
