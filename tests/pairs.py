"""A primary and its standby: real servers, made by Postgres' own programs, killed and promoted by tests."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from app.db.embedded import Cluster, find_binaries, start_embedded
from app.db.embedded.accounts import account_for
from app.db.migrations import upgrade
from tests.conftest import connect
from tests.waiting import wait_until

PROGRAMS = find_binaries()[0]
QUICK = {"fsync": "off"}


class Pair:
    """Two servers of one history; the second follows the first until it is promoted."""

    def __init__(self, home: Path, *, is_synchronous: bool) -> None:
        self._homes = home / "one", home / "two"
        self.primary = start_embedded(self._homes[0], settings=QUICK)
        upgrade(self.primary.url)
        self._copy()
        self.standby = self.start_standby()
        wait_until(lambda: is_following(self.primary.url))
        if is_synchronous:
            with connect(self.primary.url) as connection:
                connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
                connection.execute("SELECT pg_reload_conf()")
            wait_until(lambda: "sync" in states_of_standbys(self.primary.url))

    def _copy(self) -> None:
        """Make the standby's data from the primary's, as an administrator would."""
        place = self._homes[1] / f"pg{PROGRAMS.major}"
        account = account_for(self._homes[0] / place.name)
        self._homes[1].mkdir()
        account.make_home(place)
        if os.geteuid() == 0:
            os.chown(self._homes[1], account.uid, account.gid)
        where = ("-h", self.primary.data_dir.parent, "-p", "5432", "-U", "milepost", "-D", place / "data")
        done = account.run(PROGRAMS.bin_dir / "pg_basebackup", *where, "-R", "-X", "stream", "-c", "fast", "-N")
        assert done.returncode == 0, done.stderr

    def start_standby(self) -> Cluster:
        return start_embedded(self._homes[1], settings=QUICK)

    def kill_standby(self) -> None:
        kill(self.standby)

    def promote(self) -> Cluster:
        """End the primary, start what is left of the standby, and make it the primary."""
        kill(self.primary)
        kill(self.standby)
        self.standby.close()
        self.standby = self.start_standby()
        with connect(self.standby.url) as connection:
            assert connection.execute("SELECT pg_promote()").fetchone() == (True,)
        return self.standby

    def close(self) -> None:
        for cluster in (self.standby, self.primary):
            kill(cluster)
            cluster.close()


def postmaster_of(cluster: Cluster) -> int | None:
    """Return the process of a server; None if it has ended."""
    with suppress(OSError, ValueError, IndexError):
        return int((cluster.data_dir / "postmaster.pid").read_text().splitlines()[0])
    return None


def processes_of(cluster: Cluster) -> list[int]:
    """Return the server's processes, the postmaster first."""
    first = postmaster_of(cluster)
    if first is None:
        return []
    with suppress(OSError):
        return [first, *map(int, Path(f"/proc/{first}/task/{first}/children").read_text().split())]
    return []


def kill(cluster: Cluster) -> None:
    """Let a server's machine lose its power: all of its processes at once."""
    pids = processes_of(cluster)
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextmanager
def pair(home: Path, *, is_synchronous: bool) -> Iterator[Pair]:
    """Give a pair that is gone after the block."""
    made = Pair(home, is_synchronous=is_synchronous)
    try:
        yield made
    finally:
        made.close()


def is_following(primary_url: str) -> bool:
    """Whether a standby streams from the primary."""
    return bool(states_of_standbys(primary_url))


def states_of_standbys(primary_url: str) -> list[str]:
    """Return whether each standby that streams is waited for: `sync` or `async`."""
    query = "SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'"
    with suppress(psycopg.OperationalError), connect(primary_url) as connection:
        return [state for (state,) in connection.execute(query)]
    return []
