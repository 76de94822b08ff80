"""What a failing database means for the caller: one table from SQLSTATE and constraint to refusal."""

from collections.abc import Mapping

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

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


def explain_failure(failure: SQLAlchemyError | OSError | TimeoutError) -> Refusal | None:
    """Return the refusal that tells the caller of a database failure; None when it is an error of ours."""
    if not isinstance(failure, DBAPIError):
        if isinstance(failure, PoolTimeoutError | OSError | TimeoutError):
            return _unavailable("timeout", "the database did not answer in time")
        return None
    state: str = getattr(failure.orig, "sqlstate", None) or ""
    constraint: str = getattr(getattr(failure.orig, "diag", None), "constraint_name", None) or ""
    if constraint in CONSTRAINTS:
        return ValidationFailed.at(*CONSTRAINTS[constraint])
    if state in TRY_AGAIN:
        return _unavailable(state, TRY_AGAIN[state])
    lost = not state and isinstance(failure, OperationalError | InterfaceError)
    if failure.connection_invalidated or lost or state.startswith("08"):
        return _unavailable("connection", "the database cannot be reached")
    return None


def _unavailable(cause: str, detail: str) -> Unavailable:
    DATABASE_REFUSALS.labels(cause=cause).inc()
    return Unavailable(f"{detail}; nothing is known to be written, send the request again")
