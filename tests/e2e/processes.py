"""The service as processes: started, asked, killed."""

import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.factories import RUNS, run_body
from tests.waiting import PATIENCE_SECONDS, wait_until

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Service:
    """`milepost serve` in a process of its own; killed at the end if it still runs, with all that it started."""

    def __init__(self, **settings: object) -> None:
        self.port = free_port()
        given = {f"MILEPOST_{name.upper()}": str(value) for name, value in settings.items()}
        usual = {"MILEPOST_PORT": str(self.port), "MILEPOST_LOG_LEVEL": "warning", "MILEPOST_DRAIN_SECONDS": "4"}
        environment = {**os.environ, **usual, **given}
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the service
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app", "serve"], cwd=ROOT, env=environment, stdout=self._log, stderr=self._log
        )
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=PATIENCE_SECONDS)

    def with_descriptors(self, most: int) -> Self:
        """Allow the process so many open files; to be said before it has started."""
        resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, (most, most))
        return self

    def __enter__(self) -> Self:
        return self.wait_ready()

    def wait_ready(self) -> Self:
        def ready() -> bool:
            assert self.process.poll() is None, self.log()
            return self.http.get("/readyz").status_code == 200

        wait_until(ready)
        return self

    def log(self) -> str:
        """Return what it has said so far; the place where it goes on writing stays."""
        return os.pread(self._log.fileno(), os.fstat(self._log.fileno()).st_size, 0).decode()

    def create(self, **changes: Any) -> dict[str, Any]:
        response = self.http.post(RUNS, json=run_body(**changes))
        assert response.status_code == 201, response.text
        run: dict[str, Any] = response.json()
        return run

    def get(self, run: dict[str, Any], rest: str = "", **query: Any) -> dict[str, Any]:
        response = self.http.get(f"{RUNS}/{run['workflow_run_id']}{rest}", params=query)
        assert response.status_code == 200, response.text
        got: dict[str, Any] = response.json()
        return got

    def patch(self, run: dict[str, Any], **change: Any) -> httpx.Response:
        return self.http.patch(f"{RUNS}/{run['workflow_run_id']}", json=change)

    def workers(self) -> list[int]:
        """Return the processes that serve for the one that was started."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]

    def stop(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Return the exit code after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_SECONDS)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        workers = self.workers() if self.process.poll() is None else []
        self.process.kill()
        self.process.wait(PATIENCE_SECONDS)
        for worker in workers:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        self.http.close()
        self._log.close()


def is_running(pid: int) -> bool:
    """Whether a process has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
