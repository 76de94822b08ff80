"""Moments that are counted from others: none lies behind the end of the calendar."""

from datetime import UTC, datetime, timedelta

END_OF_TIME = datetime.max.replace(tzinfo=UTC)
"""The last moment that Python, and with it the service, can read; Postgres knows later ones."""


def later(moment: datetime, seconds: float) -> datetime:
    """Return the moment so many ``seconds`` (from 0) after ``moment``; the end of the calendar, if it is later."""
    if seconds <= 0:
        return moment
    try:
        return moment + timedelta(seconds=seconds)
    except OverflowError:
        return END_OF_TIME
