"""The process that stops a server once nobody uses it; standard library only, run by its path.

A server is only ever known by its pid file *and* a look at that process: pids are reused, and a zombie is not a server.
"""

import contextlib
import fcntl
import os
import signal
import sys
import time

# What lies in a cluster's own directory.
DATA = "data"
USERS_LOCK = "users.lock"
STARTING = "starting"  # there while a starter waits for its server, and if it was killed then

_STOP_SECONDS = 60.0  # for a shutdown with a checkpoint; then one without, which loses no committed row either
_LATE_START_SECONDS = 2.0  # a server whose starter was killed shows its pid file within this time
_POLL_SECONDS = 0.01


def server_pid(data_dir: str, pid_file: str = "postmaster.pid") -> int | None:
    """Return the process that ``pid_file`` (relative to ``data_dir``) names, if it lives and serves ``data_dir``."""
    try:
        with open(os.path.join(data_dir, pid_file), encoding="ascii") as file:  # noqa: PTH118, PTH123 (starts quicker)
            pid = int(file.readline())
    except (FileNotFoundError, ValueError):
        return None
    return pid if pid > 0 and _serves(pid, data_dir) else None


def stop_server(data_dir: str) -> bool:
    """Stop the server of ``data_dir`` and wait until it is gone; False if none ran."""
    pid = server_pid(data_dir)
    if pid is None:
        return False
    for stop in (signal.SIGINT, signal.SIGQUIT):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, stop)
        deadline = time.monotonic() + _STOP_SECONDS
        while _serves(pid, data_dir) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        if not _serves(pid, data_dir):
            break
    return True


def wait_and_stop(home: str, reaper_fd: int) -> None:
    """Return when the last user is gone and the server is stopped; ``reaper_fd`` is the lock of being the reaper."""
    data_dir, users_lock, starting = (os.path.join(home, name) for name in (DATA, USERS_LOCK, STARTING))  # noqa: PTH118
    users_fd = os.open(users_lock, os.O_RDWR)
    fcntl.flock(users_fd, fcntl.LOCK_EX)
    deadline = time.monotonic() + _LATE_START_SECONDS
    while not stop_server(data_dir) and os.path.exists(starting) and time.monotonic() < deadline:  # noqa: PTH110
        time.sleep(_POLL_SECONDS)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(starting)  # noqa: PTH108
    os.close(reaper_fd)  # before the users lock: who gets that one must not count on this reaper


def _serves(pid: int, data_dir: str) -> bool:
    """Whether the process lives and a server of ``data_dir`` runs in it."""
    if sys.platform != "linux":
        return _serves_by_ps(pid, data_dir)
    try:
        return os.readlink(f"/proc/{pid}/cwd") == os.path.realpath(data_dir)  # noqa: PTH115 (starts quicker)
    except PermissionError:  # another user's process, seen by a container's root without CAP_SYS_PTRACE
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123
            return os.fsencode(data_dir) in file.read().split(b"\0")
    except OSError:  # gone, or a zombie
        pass
    return False


def _serves_by_ps(pid: int, data_dir: str) -> bool:
    with os.popen(f"ps -p {pid} -o stat= -o command=") as answer:  # noqa: S605 (an int)
        line = answer.read().strip()
    return not line.startswith("Z") and data_dir in line


def main() -> None:
    """Leave the starter's process tree and do the work: ``reaper.py <home> <reaper_fd>``."""
    if os.fork():
        os._exit(0)
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    home, reaper_fd = sys.argv[1:]
    wait_and_stop(home, int(reaper_fd))


if __name__ == "__main__":
    main()
