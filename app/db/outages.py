"""Whether the database is there, as far as this process has seen, and what is said of its failures."""

from time import monotonic

import psycopg
import structlog
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from app.db.sessions import OldPrimaryError

_STOPPING = frozenset({"57P01", "57P02", "57P03"})
"""SQLSTATEs of a server that shuts down, has crashed, or is just starting."""
_WITH_VALUES = ("44", "P0")
"""Classes of SQLSTATEs whose messages may quote what was sent, beside those of wrong data and broken constraints."""

log = structlog.get_logger()


class Outage:
    """Tells once when the database goes, and once when it is back; who fails meanwhile need not tell it again."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._was_there = False

    @property
    def is_under_way(self) -> bool:
        """Whether the database was away when it was last asked for something."""
        return self._since is not None

    def note_failure(self, failure: BaseException) -> None:
        """Take note of a failure; most do not mean that the database is away."""
        if self._since is None and is_away(failure):
            self._since = monotonic()
            log.warning("database_away" if self._was_there else "database_not_ready", error=describe_failure(failure))

    def note_success(self, heard_at: float | None) -> None:
        """Take note that the database has done something, and when; None: it was not asked for anything.

        What it did before it went does not mean that it is back.
        """
        self._was_there = self._was_there or heard_at is not None
        if self._since is not None and heard_at is not None and heard_at > self._since:
            log.warning("database_back", seconds=round(monotonic() - self._since, 1))
            self._since = None


def is_away(failure: BaseException) -> bool:
    """Return whether a failure means that the database cannot be reached, or does not run."""
    if not isinstance(failure, DBAPIError) or isinstance(failure.orig, OldPrimaryError):
        return False
    state: str = getattr(failure.orig, "sqlstate", None) or ""
    lost = not state and isinstance(failure, OperationalError | InterfaceError)
    return failure.connection_invalidated or lost or state in _STOPPING or state.startswith("08")


def describe_failure(failure: BaseException) -> str:
    """Return a failure in one line for the log, without any value that somebody has sent."""
    said = getattr(failure, "orig", None) or failure
    place = getattr(getattr(said, "diag", None), "constraint_name", None)
    words = (type(said).__name__, getattr(said, "sqlstate", None), place, _message_of(said))
    return " ".join(word for word in words if word)


def leave_values_out(raised: Exception) -> None:
    """Let what is raised not quote the values that a statement was run with.

    The driver's messages do, and their DETAIL quotes whole rows; whoever logs such an exception would log those.
    """
    if isinstance(raised, DBAPIError) and raised.orig is not None:
        raised.args = (describe_failure(raised),)
        raised.orig.args = (_message_of(raised.orig),)


def _message_of(said: BaseException) -> str:
    """Return the first line of a message; nothing of one that may quote values."""
    state: str = getattr(said, "sqlstate", None) or ""
    quotes = isinstance(said, psycopg.DataError | psycopg.IntegrityError) or state.startswith(_WITH_VALUES)
    return "" if quotes else str(said).partition("\n")[0].strip()
