"""What each connection asks of its server, so that a dead client holds nothing and an old primary is not believed."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import psycopg
import structlog
from sqlalchemy.exc import InvalidatePoolError

from app.db.deadlines import ending_within

Connection: TypeAlias = psycopg.AsyncConnection[Any]

CONNECT_SECONDS = 5
DEAD_SECONDS = 5
"""How much longer than a request waits for the database its session is left alone there."""

_LIMITS: Mapping[str, str] = {
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "2",
    "tcp_user_timeout": "10000",
}
"""By these the server finds that the machine of a client has gone; a Unix socket needs none of them."""
_WATCH = {"client_connection_check_interval": "5000"}
"""By this it finds that a client whose statement it runs has gone; refused where its system has no way to look."""
_SET = "SELECT set_config(name, value, false) FROM json_each_text(CAST(%s AS json)) AS given (name, value)"
_TIMELINE = """
    SELECT system_identifier,
        CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END
    FROM pg_control_system()
"""

log = structlog.get_logger()


class OldPrimaryError(psycopg.OperationalError):
    """The server stands on a timeline that another one has left behind: what is written there is lost."""


class Timelines:
    """The newest timeline that this process has seen of its database.

    Each promotion of a standby begins a new one. A server on an older one is a primary that was replaced and is still
    there; one of another origin (its system identifier says so) is another database, and begins anew.
    """

    def __init__(self) -> None:
        self._system: int | None = None
        self._newest = 0
        self._refusing = False

    def see(self, system: int, timeline: int) -> None:
        """Remember the timeline. Raises OldPrimaryError for one that is older than one that was seen."""
        if system != self._system:
            self._system, self._newest = system, 0
        if timeline < self._newest:
            if not self._refusing:
                log.error("database_is_old_primary", timeline=timeline, newest_timeline=self._newest)
            self._refusing = True
            raise OldPrimaryError(f"the server is an old primary: its timeline is {timeline}, not {self._newest}")
        self._newest = timeline
        self._refusing = False

    def is_old(self, system: int, timeline: int) -> bool:
        """Whether a connection that was made earlier leads to a primary that was replaced since."""
        return system == self._system and timeline < self._newest


class Sessions:
    """Opens the connections of a process; each is ready for use, and leads to no old primary."""

    def __init__(self, timeout_seconds: float) -> None:
        longest = str(round((timeout_seconds + DEAD_SECONDS) * 1000))
        self._limits = {**_LIMITS, "idle_in_transaction_session_timeout": longest, "statement_timeout": longest}
        self._timelines = Timelines()
        self._made_on: WeakKeyDictionary[Connection, tuple[int, int]] = WeakKeyDictionary()

    async def open(self, conninfo: str = "", **arguments: Any) -> Connection:
        """Connect, speak UTC, and let the server end what a dead client has begun; nothing begins by itself.

        Raises OldPrimaryError.
        """
        connection = await Connection.connect(conninfo, **{**arguments, "autocommit": True})
        try:
            async with ending_within(CONNECT_SECONDS):
                await self._prepare(connection)
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _prepare(self, connection: Connection) -> None:
        is_utc = connection.info.parameter_status("TimeZone") == "UTC"
        if not is_utc:  # a parameter that PgBouncer keeps for each client
            await connection.execute("SET TIME ZONE 'UTC'")
        await connection.execute(_SET, [json.dumps(self._limits)])
        with suppress(psycopg.DataError, psycopg.NotSupportedError):
            await connection.execute(_SET, [json.dumps(_WATCH)])
        if found := await _read_timeline(connection):
            self._timelines.see(*found)
            self._made_on[connection] = found

    def check(self, connection: Any, _record: object, _proxy: object) -> None:
        """Let a connection be taken from the pool. Raises InvalidatePoolError if its primary was replaced since."""
        found = self._made_on.get(connection.driver_connection)
        if found and self._timelines.is_old(*found):
            raise InvalidatePoolError("the primary was replaced")


async def _read_timeline(connection: Connection) -> tuple[int, int] | None:
    """Return which database this is, and on which timeline; None for a standby, and where the server does not say."""
    try:
        row = await (await connection.execute(_TIMELINE)).fetchone()
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedFunction, psycopg.NotSupportedError):
        return None
    return (row[0], int(row[1], 16)) if row and row[1] else None
