"""What a failing database means for the caller: one table from SQLSTATE and constraint to refusal."""

import re
from collections.abc import Mapping

from pydantic_core import PydanticSerializationError
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.db.sessions import OldPrimaryError
from app.errors import Refusal, Unavailable, ValidationFailed
from app.metrics import DATABASE_REFUSALS

DATABASE_FAILURES = (SQLAlchemyError, OSError, TimeoutError)
"""What is raised when a database cannot do what it is asked."""

TRY_AGAIN: Mapping[str, str] = {
    "40001": "two transactions got in each other's way",
    "40P01": "two transactions waited for each other",
    "53100": "the database's disk is full",
    "53200": "the database has no memory left",
    "53300": "the database has no connection left",
    "55P03": "a lock was not to be had in time",
    "57014": "the database took too long",
    "57P01": "the database is shutting down",
    "57P02": "the database has crashed",
    "57P03": "the database is starting",
    "25006": "the database is a standby that takes no writes",
}
"""SQLSTATEs after which the same request may succeed."""

CONSTRAINTS: Mapping[str, tuple[str, str]] = {
    "fk_workflow_runs_parent_workflow_run_id": ("/parent_workflow_run_id", "there is no such workflow run"),
    "fk_tasks_parent_task_id": ("/parent_task_id", "there is no such task"),
}
"""Constraints that a caller can break: which place, and what is wrong with it."""

NO_CONNECTION_LEFT = re.compile(
    r"too many (clients|connections)|connection slots are reserved|no more connections allowed"
)
"""What a server or a PgBouncer says who has no room; the driver does not hand the SQLSTATE of a failed connect on."""

WON_BY_ANOTHER = frozenset({"40001", "40P01"})
"""SQLSTATEs of a transaction that was rolled back because of another that goes on: there is nothing wrong with it."""
ONE_AT_A_TIME = frozenset({"uq_tasks_running_concurrency_key", "fk_late_reports_task_id", "pk_idempotency_keys"})
"""Constraints that only another transaction of the same moment can make a statement break: it had looked before.

Another replica has just claimed a task of the key; the task that a late report is about has just been deleted; a
request with the same idempotency key has just been answered.
"""


def is_worth_another_try(failure: Exception) -> bool:
    """Return whether the same work will most likely succeed at once: it only lost to another transaction.

    Not so after a time-out or when the database is away or full: trying again would only add to the load.
    """
    if not isinstance(failure, DBAPIError) or failure.connection_invalidated:
        return False
    state: str = getattr(failure.orig, "sqlstate", None) or ""
    constraint: str = getattr(getattr(failure.orig, "diag", None), "constraint_name", None) or ""
    return state in WON_BY_ANOTHER or constraint in ONE_AT_A_TIME


BEYOND_ROWS = frozenset({"08", "25", "53", "57"})
"""Classes of SQLSTATE that no row is to blame for: connection, standby, no room, shutting down."""
HOPELESS = frozenset({"22", "54"})
"""Classes of SQLSTATE of what Postgres will never take: data that it cannot hold, and what is beyond its limits."""
OF_SCHEMA = frozenset({"0A", "28", "3D", "3F", "42"})
"""Classes of SQLSTATE of a statement that does not fit the database, or may not be executed there."""
TOO_SLOW = "57014"


def may_be_of_one(failure: Exception) -> bool:
    """Return whether the transaction is known to be rolled back, and trying its rows alone may help some of them."""
    if isinstance(failure, DBAPIError):
        state = _state_of(failure)
        if failure.connection_invalidated or (not state and isinstance(failure, OperationalError | InterfaceError)):
            return False
        return state[:2] not in BEYOND_ROWS
    return not isinstance(failure, PoolTimeoutError | OSError | TimeoutError)


def is_hopeless(failure: Exception) -> bool:
    """Return whether the same work can never succeed, for it makes what cannot be stored or read."""
    if isinstance(failure, DBAPIError):
        state = _state_of(failure)
        return state[:2] in HOPELESS or (not state and isinstance(failure, DataError))
    return isinstance(failure, PydanticSerializationError | UnicodeError | OverflowError | RecursionError)


def is_of_schema(failure: Exception) -> bool:
    """Return whether the statement itself fails, whatever its rows: the schema is that of another version."""
    return isinstance(failure, DBAPIError) and _state_of(failure)[:2] in OF_SCHEMA


def is_too_slow(failure: Exception) -> bool:
    """Return whether the work did not come to its end in time."""
    if isinstance(failure, DBAPIError):
        return _state_of(failure) == TOO_SLOW
    return isinstance(failure, TimeoutError)


def _state_of(failure: DBAPIError) -> str:
    return getattr(failure.orig, "sqlstate", None) or ""


def explain_failure(failure: SQLAlchemyError | OSError | TimeoutError) -> Refusal | None:
    """Return the refusal that tells the caller of a database failure; None when it is an error of ours."""
    if not isinstance(failure, DBAPIError):
        if isinstance(failure, PoolTimeoutError):
            return _unavailable(
                "pool", "no connection of the service's own (MILEPOST_DATABASE_POOL_SIZE) got free in time"
            )
        if isinstance(failure, OSError | TimeoutError):
            return _unavailable("timeout", "the database did not answer in time")
        return None
    state: str = getattr(failure.orig, "sqlstate", None) or ""
    constraint: str = getattr(getattr(failure.orig, "diag", None), "constraint_name", None) or ""
    if constraint in CONSTRAINTS:
        return ValidationFailed.at(*CONSTRAINTS[constraint])
    if state in TRY_AGAIN:
        return _unavailable(state, TRY_AGAIN[state])
    if not state and NO_CONNECTION_LEFT.search(str(failure.orig)):
        return _unavailable("53300", TRY_AGAIN["53300"])
    if isinstance(failure.orig, OldPrimaryError):
        return _unavailable("old_primary", "the database that answers was replaced by another one")
    lost = not state and isinstance(failure, OperationalError | InterfaceError)
    if failure.connection_invalidated or lost or state.startswith("08"):
        return _unavailable("connection", "the database cannot be reached")
    return None


def _unavailable(cause: str, detail: str) -> Unavailable:
    DATABASE_REFUSALS.labels(cause=cause).inc()
    return Unavailable(f"{detail}; nothing is known to be written, send the request again")
