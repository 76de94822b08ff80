"""File locks that the kernel drops when their holder ends, however it ends."""

import fcntl
import os
from pathlib import Path
from typing import Self
from weakref import WeakSet


class FileLock:
    """An open lock file; closing it, or the death of the process, gives the lock up.

    A program started from this process does not inherit the file, and a forked child closes it at once, so neither
    keeps the lock after the process that took it.
    """

    def __init__(self, path: Path) -> None:
        self._fd: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        if os.geteuid() == 0:
            owner = path.parent.stat()
            os.fchown(self._fd, owner.st_uid, owner.st_gid)
        _open_locks.add(self)

    @property
    def closed(self) -> bool:
        """Whether the lock was given up for good."""
        return self._fd is None

    def fileno(self) -> int:
        """Return the open file, for a program that shall inherit the lock."""
        if self._fd is None:
            raise ValueError("the lock is closed")
        return self._fd

    def share(self) -> None:
        """Hold the lock together with others; waits for an exclusive holder to end."""
        fcntl.flock(self, fcntl.LOCK_SH)

    def own(self) -> None:
        """Hold the lock alone; waits for every other holder to end."""
        fcntl.flock(self, fcntl.LOCK_EX)

    def try_own(self) -> bool:
        """Hold the lock alone if nobody else holds it; otherwise a lock that was shared before may be lost."""
        try:
            fcntl.flock(self, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Give the lock up; again does nothing."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_open_locks: WeakSet[FileLock] = WeakSet()


def _close_all() -> None:
    for lock in list(_open_locks):
        lock.close()


os.register_at_fork(after_in_child=_close_all)
