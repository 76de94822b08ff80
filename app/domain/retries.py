"""What follows a failed attempt: another one, and when, or the end of the task."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.domain.json_texts import Json
from app.domain.records import TaskRow
from milepost.schemas.reasons import Reason
from milepost.schemas.tasks import DAY_SECONDS, RetryKind, TaskStatus

_FIRST_PAUSE_SECONDS = {RetryKind.fixed: 60.0, RetryKind.exponential: 30.0}
_FACTOR = 2.0


@dataclass(frozen=True, slots=True)
class Failure:
    """How an attempt failed."""

    retryable: bool = True
    retry_at: datetime | None = None
    """When to try again, if the worker said so."""
    reason: Reason | None = None
    """Why the service ended the attempt; None: its worker reported it."""


@dataclass(frozen=True, slots=True)
class Sequel:
    """How the task goes on: ended with ``reason``, or with another attempt from ``available_at``."""

    status: TaskStatus
    reason: Reason | None
    available_at: datetime | None = None


def after_failure(task: TaskRow, failure: Failure, now: datetime, chance: float) -> Sequel:
    """Return how a task goes on after its running attempt failed; ``chance`` from 0 to 1 decides the jitter.

    ``task`` is the task as it is stored, a loss counted. Nothing is retried once a cancel was requested; what was
    lost is at once.
    """
    if task.cancel_requested_at is not None:
        return Sequel(TaskStatus.cancelled, Reason.cancel_requested)
    if not failure.retryable:
        return Sequel(TaskStatus.failed, Reason.not_retryable)
    if task.attempt - task.forgiven_count >= task.max_attempts:
        return Sequel(TaskStatus.failed, Reason.attempts_exhausted)
    if failure.reason is Reason.lost:
        return Sequel(TaskStatus.pending, None, now)
    failures = task.attempt - task.lost_count
    available_at = failure.retry_at or now + timedelta(seconds=pause_seconds(task.retry_strategy, failures, chance))
    if available_at > now:
        return Sequel(TaskStatus.sleeping, None, available_at)
    return Sequel(TaskStatus.pending, None, now)


def forgives_loss(task: TaskRow) -> bool:
    """Return whether the next lost attempt of a task does not count against its limit: no fault of its own."""
    return task.forgiven_count < task.max_lost


def count_loss(task: TaskRow) -> TaskRow:
    """Return a task whose running attempt was lost, with that counted."""
    return task._replace(lost_count=task.lost_count + 1, forgiven_count=task.forgiven_count + forgives_loss(task))


def pause_seconds(strategy: Mapping[str, Json] | None, failures: int, chance: float) -> float:
    """Return the pause after so many ``failures`` (from 1), in seconds: base x factor^(failures - 1), capped."""
    kind = RetryKind(strategy["kind"]) if strategy else RetryKind.none
    if strategy is None or kind is RetryKind.none:
        return 0
    base = _given(strategy, "base_seconds", _FIRST_PAUSE_SECONDS[kind])
    most = _given(strategy, "max_seconds", DAY_SECONDS)
    growth = 1.0 if kind is RetryKind.fixed else _power(_given(strategy, "factor", _FACTOR), failures - 1)
    pause = min(base * growth, most) if base else 0
    return pause * (1 - float(_given(strategy, "jitter", 0)) * chance)


def _given(strategy: Mapping[str, Json], name: str, default: float) -> float:
    value: float | None = strategy.get(name)
    return default if value is None else value


def _power(factor: float, exponent: int) -> float:
    try:
        return factor**exponent
    except OverflowError:
        return float("inf")
