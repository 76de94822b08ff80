"""No process and no directory of a test run outlives it, however it ends: passed, interrupted or killed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

MARK = "TESTS_OF_MILEPOST"
"""Stands in the environment of every process that a run starts, and of what those start."""
_KILLING_SECONDS = 10.0

_watcher: "subprocess.Popen[str] | None" = None


def watch() -> None:
    """Start the process that clears up after this one and all that it starts from now on."""
    global _watcher  # noqa: PLW0603 - a process has one
    outside = {name: value for name, value in os.environ.items() if name != MARK}
    os.environ[MARK] = uuid4().hex
    _watcher = subprocess.Popen(
        [sys.executable, __file__, os.environ[MARK]],
        env=outside,
        stdin=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def clear_up() -> None:
    """Have everything cleared up that is left."""
    if _watcher is not None and _watcher.stdin is not None:
        _watcher.stdin.close()
        _watcher.wait()


def remove_at_end(directory: Path) -> None:
    """Have ``directory`` removed when the run is over."""
    if _watcher is not None and _watcher.stdin is not None:
        print(directory, file=_watcher.stdin, flush=True)


def find_marked(mark: str) -> list[int]:
    """Return the processes that a run has started, and all below them; none where there is no /proc."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def _kill_and_remove(mark: str, directories: list[str]) -> None:
    """Kill what carries ``mark`` until nothing does, and remove the directories."""
    deadline = time.monotonic() + _KILLING_SECONDS
    while (left := find_marked(mark)) and time.monotonic() < deadline:
        for pid in left:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    _kill_and_remove(sys.argv[1], sys.stdin.read().splitlines())  # the end of its input is the end of the run
