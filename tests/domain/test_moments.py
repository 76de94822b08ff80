"""Moments end where the calendar does."""

from datetime import UTC, datetime, timedelta

import pytest

from app.domain.moments import END_OF_TIME, later

NEW_YEAR = datetime(2025, 1, 1, tzinfo=UTC)


def test_moment_is_so_much_later() -> None:
    assert later(NEW_YEAR, 1.5) == NEW_YEAR + timedelta(seconds=1.5)


@pytest.mark.parametrize("seconds", [0, -1, -1e300])
def test_nothing_is_earlier(seconds: float) -> None:
    assert later(NEW_YEAR, seconds) == NEW_YEAR


@pytest.mark.parametrize("seconds", [1e12, 1e300, 10**400], ids=str)
def test_calendar_has_an_end(seconds: float) -> None:
    assert later(NEW_YEAR, seconds) == END_OF_TIME


def test_nothing_is_later_than_the_end() -> None:
    assert later(END_OF_TIME, 1e-6) == END_OF_TIME
