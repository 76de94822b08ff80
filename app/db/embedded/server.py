"""One cluster's server: its files, its programs, and how it comes to answer."""

import hashlib
import os
import re
import shlex
import shutil
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from urllib.parse import quote

import psycopg

from app.db.embedded.accounts import Account, account_for
from app.db.embedded.binaries import Binaries
from app.db.embedded.errors import EmbeddedPostgresError
from app.db.embedded.reaper import DATA, STARTING, server_pid

ROLE = DATABASE = "milepost"

_PORT = 5432
_SOCKET = f".s.PGSQL.{_PORT}"
_SOCKET_PATH_BYTES = 103
_START_SECONDS = 60.0
_RECOVERY_SECONDS = 900  # replaying 2 GB of WAL on a slow disk
_POLL_SECONDS = 0.05
_LOG_BYTES = 10_000_000
_LOG_TAIL_LINES = 20

_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "port": str(_PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "wal_compression": "on",
    "autovacuum_naptime": "10s",  # a minute of claims leaves so much behind that they become half as quick
    "fsync": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
}

# What a start says while the processes of a killed server are still ending.
_NOT_YET = ("still in use", "already exists")


@dataclass(frozen=True)
class EmbeddedServer:
    """The server of the cluster in ``home``: its data, its socket, its log and its locks lie in there."""

    home: Path
    binaries: Binaries
    account: Account

    @property
    def data_dir(self) -> Path:
        """Return what Postgres calls its data directory."""
        return self.home / DATA

    @property
    def log_file(self) -> Path:
        """Return the server's log; a start moves one of more than 10 MB aside to ``server.log.1``."""
        return self.home / "server.log"

    @property
    def socket_dir(self) -> Path:
        """Return ``home``, or a short directory if its path is too long for a socket or not plain enough for a URL."""
        plain = re.fullmatch(r"[\w/. -]+", str(self.home), re.ASCII)
        if plain and len(os.fsencode(self.home / _SOCKET)) <= _SOCKET_PATH_BYTES:
            return self.home
        digest = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        return Path(f"/tmp/milepost-{self.account.uid}-{digest}")  # noqa: S108 (made 0700, its owner is checked)

    @property
    def url(self) -> str:
        """Return the URL for psycopg and SQLAlchemy; names the port, since PGPORT would stand in for it."""
        return f"postgresql://{ROLE}@/{DATABASE}?host={quote(str(self.socket_dir))}&port={_PORT}"

    def ensure_running(self, settings: Mapping[str, str]) -> None:
        """Return once the server answers, started now if it did not run. Needs the start lock."""
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"the server in {self.data_dir} did not answer within {_START_SECONDS:.0f} s\n{self._log_tail()}"
                )
            if server_pid(str(self.data_dir)) or not self._try_start(settings):
                time.sleep(_POLL_SECONDS)

    def ensure_database(self) -> None:
        """Make the database if it is not there: this start is the first, or the first was cut short."""
        try:
            with self._connect() as connection:
                known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
                if known is None:
                    connection.execute(f"CREATE DATABASE {DATABASE}")
        except psycopg.Error as error:
            raise EmbeddedPostgresError(f"no database in {self.data_dir}: {error}\n{self._log_tail()}") from error

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host=str(self.socket_dir), port=_PORT, user=ROLE, dbname="postgres", connect_timeout=5, autocommit=True
        )

    def _answers(self) -> bool:
        """Whether a connection gets through; the only proof that a server runs."""
        try:
            with self._connect() as connection:
                row = connection.execute("SHOW data_directory").fetchone()
        except psycopg.OperationalError:
            return False
        directory = row[0] if row else None
        if directory is None or Path(directory).resolve() != self.data_dir.resolve():
            raise EmbeddedPostgresError(f"the socket in {self.socket_dir} belongs to the server of {directory}")
        return True

    def _try_start(self, settings: Mapping[str, str]) -> bool:
        """Start the server and wait until it is ready; False while a killed one's processes are still ending."""
        self._make_socket_dir()
        self._drop_stale_files()
        programs = self._runnable_binaries()
        if not (self.data_dir / "PG_VERSION").exists():
            self._initialize(programs)
        logged = self._rotate_log()
        (self.home / STARTING).touch()
        outcome = self._run_pg_ctl(programs, {**_SETTINGS, "unix_socket_directories": str(self.socket_dir), **settings})
        (self.home / STARTING).unlink()
        if outcome.returncode == 0:
            return True
        log = self._log_tail(logged)
        if any(text in log for text in _NOT_YET):
            return False
        raise EmbeddedPostgresError(f"Postgres did not start: {outcome.stderr.strip()}\n{log}")

    def _run_pg_ctl(self, programs: Binaries, settings: Mapping[str, str]) -> CompletedProcess[str]:
        """Run the start to its end, which is a server that takes connections or none."""
        options = " ".join("-c " + shlex.quote(f"{name}={value}") for name, value in settings.items())
        wait = ("-w", "-t", str(_RECOVERY_SECONDS))
        place = ("-D", self.data_dir, "-l", self.log_file)
        return self.account.run(programs.bin_dir / "pg_ctl", "start", *wait, *place, "-o", options)

    def _initialize(self, programs: Binaries) -> None:
        """Make the data directory, whole or not at all: what a killed start leaves has another name."""
        scratch = self.home / f"initdb-{uuid.uuid4().hex}"
        outcome = self.account.run(programs.bin_dir / "initdb", "-D", scratch, *_initdb_options(programs.major))
        if outcome.returncode != 0:
            raise EmbeddedPostgresError(f"initdb failed in {self.home}: {outcome.stderr.strip()}")
        scratch.rename(self.data_dir)
        directory = os.open(self.home, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)

    def _runnable_binaries(self) -> Binaries:
        """Return the programs, copied into ``home`` if they lie where the database user cannot go."""
        if self.account.can_run(self.binaries.bin_dir / "postgres"):
            return self.binaries
        refusal = f"the database user {self.account.name} cannot run the programs in {self.binaries.bin_dir}"
        if self.binaries.package_dir is None:
            raise EmbeddedPostgresError(f"{refusal}: open that directory to it, or set MILEPOST_DATABASE_URL")
        built = (self.binaries.bin_dir / "postgres").stat()
        place = self.home / f"binaries-{built.st_size}-{built.st_mtime_ns}"
        copy = self.binaries.copy_to(place, uid=self.account.uid, gid=self.account.gid)
        for older in set(self.home.glob("binaries-*")) - {place}:
            shutil.rmtree(older, ignore_errors=True)
        if not self.account.can_run(copy.bin_dir / "postgres"):
            raise EmbeddedPostgresError(f"{refusal}, nor their copy in {copy.bin_dir}")
        return copy

    def _make_socket_dir(self) -> None:
        """Make a socket directory outside ``home``; one that somebody else put there is refused."""
        directory = self.socket_dir
        if directory == self.home:
            return
        if not directory.exists():
            directory.mkdir(mode=0o700)
            os.chown(directory, self.account.uid, self.account.gid)
        found = directory.lstat()
        if directory.is_symlink() or found.st_uid != self.account.uid or found.st_mode & 0o077:
            raise EmbeddedPostgresError(f"{directory} is not a private directory of {self.account.name}: remove it")

    def _drop_stale_files(self) -> None:
        """Remove what a killed start or server left: pid files that name no server of ours, half-made directories."""
        for file in (self.data_dir / "postmaster.pid", self.socket_dir / f"{_SOCKET}.lock"):
            if server_pid(str(self.data_dir), str(file)) is None:
                file.unlink(missing_ok=True)
        for leftover in self.home.glob("initdb-*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def _rotate_log(self) -> int:
        """Move a log that has grown large aside and return the size of the present one."""
        size = self.log_file.stat().st_size if self.log_file.exists() else 0
        if size <= _LOG_BYTES:
            return size
        self.log_file.replace(self.home / "server.log.1")
        return 0

    def _log_tail(self, offset: int = 0) -> str:
        """Return the last lines of what was logged after ``offset`` bytes."""
        text = self.log_file.read_bytes()[offset:] if self.log_file.exists() else b""
        lines = text.decode(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
        return "\n".join([f"last lines of {self.log_file}:", *lines])


def open_server(home: Path, binaries: Binaries) -> EmbeddedServer:
    """Return the server of ``home``, which exists from now on and can be reached by its user."""
    account = account_for(home)
    account.make_home(home)
    return EmbeddedServer(home, binaries, account)


def _initdb_options(major: int) -> list[str]:
    """Return options that give UTF-8 text in byte order on every machine, whatever its locales."""
    locale = ["--locale=C.UTF-8"]
    if major >= 17:  # noqa: PLR2004 (the version that brought the built-in provider)
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    return ["-U", ROLE, "-E", "UTF8", *locale, "--auth-local=trust", "--auth-host=scram-sha-256"]
