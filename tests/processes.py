"""Real `milepost` processes for tests."""

import contextlib
import json
import os
import signal
import subprocess
import sysconfig
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

from tests.waiting import wait_until

ROOT = Path(__file__).parents[1]
SCRIPTS = Path(sysconfig.get_path("scripts"))
MILEPOST = SCRIPTS / "milepost"
START_SECONDS = 180.0


def environment(settings: Mapping[str, object] | None = None) -> dict[str, str]:
    """Return an environment with no settings but these, and a short stop."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MILEPOST_", "PG"))}
    inherited["MILEPOST_DRAIN_SECONDS"] = "2"
    return inherited | {f"MILEPOST_{name.upper()}": str(value) for name, value in (settings or {}).items()}


def run_milepost(*arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """Return how `milepost` with these arguments ended."""
    return subprocess.run(
        [MILEPOST, *arguments],
        env=environment(settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )


class Serving:
    """A command that serves, from its first line `serving` until it is stopped."""

    def __init__(self, *command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> None:
        self.lines: list[str] = []
        self.url = ""
        self._said_url = threading.Event()
        self.process = subprocess.Popen(
            command or (MILEPOST, "serve"),
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.lines.append(line)
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if event.get("event") == "serving":
                    self.url = event["url"]
                    self._said_url.set()
        self._said_url.set()

    def ready(self) -> Self:
        """Return when it serves."""
        assert self._said_url.wait(START_SECONDS), f"not ready in time: {''.join(self.lines)}"
        assert self.url, f"ended: {''.join(self.lines)}"
        return self

    def stop(self, with_signal: int = signal.SIGTERM) -> int:
        """Send a signal to the process alone and return what it ended with."""
        self.process.send_signal(with_signal)
        return self.wait()

    def wait(self) -> int:
        """Return what the process ended with."""
        code = self.process.wait(START_SECONDS)
        self._reader.join(START_SECONDS)
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.wait()
        if self.process.stderr:
            self.process.stderr.close()


@contextlib.contextmanager
def open_directory() -> Iterator[Path]:
    """Give an empty directory that the user of the embedded Postgres can enter (a ``tmp_path`` is root's alone)."""
    with tempfile.TemporaryDirectory(prefix="milepost-test-", dir="/tmp") as name:
        directory = Path(name)
        directory.chmod(0o755)
        yield directory
        wait_until(lambda: not postgres_processes(directory))  # a database that is being stopped still writes there


def postgres_processes(directory: Path) -> list[int]:
    """Return the processes that work in ``directory`` or below."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "cwd").readlink().is_relative_to(directory):
                found.append(int(entry.name))
    return found
