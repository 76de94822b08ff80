"""The service under load: a real uvicorn process."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.http import API_KEY
from benchmarks.sampling import SAMPLES_FILE

_START_SECONDS = 30.0
_OPTIONS = (
    "--factory",
    "--no-access-log",
    "--no-server-header",
    "--log-level=warning",
    "--lifespan=on",
    "--ws=none",
    "--timeout-keep-alive=75",
)


@dataclass(frozen=True, slots=True)
class Service:
    """A running service."""

    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """Return the CPU time the process has used. Source: proc(5); Linux only."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running_service(database_url: str, samples_file: Path | None = None) -> Iterator[Service]:
    """Give the service on this database; with ``samples_file`` it samples itself and writes there at its end."""
    port = _free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MILEPOST_")},
        "MILEPOST_DATABASE_URL": database_url,
        "MILEPOST_API_KEY": API_KEY,
        "MILEPOST_LOG_LEVEL": "warning",
        **({SAMPLES_FILE: str(samples_file)} if samples_file else {}),
    }
    command = [sys.executable, "-m", "uvicorn", "benchmarks.validate_only_app:create_app", *_OPTIONS, f"--port={port}"]
    process = subprocess.Popen(command, env=environment)
    try:
        _wait_until_open(process, port)
        yield Service(port, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_open(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the service did not start")
