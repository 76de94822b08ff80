"""Durations and moments."""

import math
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.highway.language.durations import (
    DAY_SECONDS,
    DURATION_SECONDS_MOST,
    DurationError,
    parse_duration,
    parse_wait,
)

NOW = datetime(2025, 1, 15, 2, 30, 15, 500, tzinfo=UTC)
PARTS = [
    "P",
    "T",
    "-",
    "+",
    "1",
    "99999999999",
    ".5",
    ",5",
    "Y",
    "M",
    "W",
    "D",
    "H",
    "S",
    "duration:",
    "time:",
    ":",
    " ",
]
PARTS += [
    "datetime:",
    "2025-01-15",
    "25:00",
    "0001-01-01",
    "9999-12-31T23:59:59",
    "-23:59",
    "Z",
    "e5",
    "m",
    "\ud800",
    "٣",
]
ANYTHING = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()) | st.binary()
) | st.lists(st.sampled_from(PARTS), max_size=8).map("".join)


class TestDuration:
    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            ("PT30S", 30),
            ("PT5M", 300),
            ("PT1H", 3600),
            ("P1D", DAY_SECONDS),
            ("P2W", 14 * DAY_SECONDS),
            ("P1M", 30 * DAY_SECONDS),
            ("P1Y", 365 * DAY_SECONDS),
            ("P1Y2M1W3DT4H5M6.5S", (365 + 60 + 7 + 3) * DAY_SECONDS + 4 * 3600 + 5 * 60 + 6.5),
            ("P1DT2H", DAY_SECONDS + 7200),
            ("PT1.5H", 5400),
            ("PT1,5H", 5400),
            ("P0.5D", DAY_SECONDS / 2),
            ("PT86400.0S", DAY_SECONDS),
            ("PT0S", 0),
            ("P0D", 0),
            ("PT36H", 36 * 3600),
            ("P100Y", 36_500 * DAY_SECONDS),
            (" PT1S\n", 1),
        ],
    )
    def test_iso_8601_is_read_in_full(self, text: str, seconds: float) -> None:
        assert parse_duration(text) == seconds

    @pytest.mark.parametrize(
        ("value", "seconds"),
        [(0, 0), (5, 5), (1.5, 1.5), ("5", 5), ("0.25", 0.25), ("1e3", 1000), ("+7", 7), (DURATION_SECONDS_MOST,) * 2],
    )
    def test_numbers_are_seconds(self, value: Any, seconds: float) -> None:
        assert parse_duration(value) == seconds

    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            ("duration:90", 90),
            ("duration:1.5", 1.5),
            ("duration:90s", 90),
            ("duration:5m", 300),
            ("duration:2h", 7200),
            ("duration:0.5d", DAY_SECONDS / 2),
            ("duration: 5 m", 300),
        ],
    )
    def test_a_unit_may_follow_the_prefix(self, text: str, seconds: float) -> None:
        assert parse_duration(text) == seconds

    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            ("PT", "no parts"),
            ("P", "no parts"),
            ("PT-5S", "sign"),
            ("-PT5S", "sign"),
            ("+PT5S", "sign"),
            ("P1DT", "ISO 8601"),
            ("P1H", "ISO 8601"),
            ("PT5M3H", "ISO 8601"),
            ("PT5", "ISO 8601"),
            ("PT.5S", "ISO 8601"),
            ("PTS", "ISO 8601"),
            ("pt5s", "ISO 8601"),
            ("duration:", "after `duration:`"),
            ("duration:5w", "after `duration:`"),
            ("duration:-5", "0 or more"),
            (-1, "0 or more"),
            (-0.5, "0 or more"),
            ("-1", "0 or more"),
            (float("nan"), "0 or more"),
            ("nan", "write seconds"),
            ("inf", "write seconds"),
            ("1e400", "write seconds"),
            ("", "write seconds"),
            ("5 minutes", "write seconds"),
            (float("inf"), "a hundred years"),
            (10**400, "a hundred years"),
            ("P101Y", "a hundred years"),
            ("PT" + "9" * 190 + "S", "a hundred years"),
            ("P" + "9" * 1000 + "D", "too long"),
            (True, "bool"),
            (None, "NoneType"),
            ([5], "list"),
        ],
    )
    def test_anything_else_is_refused_with_a_reason(self, value: Any, reason: str) -> None:
        with pytest.raises(DurationError) as refused:
            parse_duration(value)
        assert reason in str(refused.value)
        assert len(str(refused.value)) < 200

    @given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
    def test_parts_add_up(self, days: int, hours: int, minutes: int, seconds: int) -> None:
        span = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        assert parse_duration(f"P{days}DT{hours}H{minutes}M{seconds}S") == span.total_seconds()

    @given(ANYTHING)
    def test_any_value_is_a_length_of_time_or_refused(self, value: Any) -> None:
        with suppress(DurationError):
            seconds = parse_duration(value)
            assert math.isfinite(seconds)
            assert 0 <= seconds <= DURATION_SECONDS_MOST


class TestWait:
    @pytest.mark.parametrize(
        ("value", "seconds"), [("PT5S", 5), (5, 5), ("5", 5), (1.5, 1.5), ("duration:2m", 120), ("P1D", DAY_SECONDS)]
    )
    def test_durations_count_from_now(self, value: Any, seconds: float) -> None:
        assert parse_wait(value, NOW) == NOW + timedelta(seconds=seconds)

    @pytest.mark.parametrize(
        ("text", "moment"),
        [
            ("time:03:00", datetime(2025, 1, 15, 3, tzinfo=UTC)),
            ("time:02:30:16", datetime(2025, 1, 15, 2, 30, 16, tzinfo=UTC)),
            ("time:02:30:15", datetime(2025, 1, 16, 2, 30, 15, tzinfo=UTC)),
            ("time:02:30", datetime(2025, 1, 16, 2, 30, tzinfo=UTC)),
            ("time:0:00", datetime(2025, 1, 16, tzinfo=UTC)),
        ],
    )
    def test_a_time_is_the_next_one(self, text: str, moment: datetime) -> None:
        assert parse_wait(text, NOW) == moment

    def test_the_time_that_is_now_is_tomorrow(self) -> None:
        noon = datetime(2025, 1, 31, 12, tzinfo=UTC)
        assert parse_wait("time:12:00", noon) == datetime(2025, 2, 1, 12, tzinfo=UTC)

    def test_a_time_is_in_utc_wherever_now_is_told(self) -> None:
        now = datetime(2025, 1, 15, 23, tzinfo=timezone(timedelta(hours=-5)))
        assert parse_wait("time:05:00", now) == datetime(2025, 1, 16, 5, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("text", "moment"),
        [
            ("2025-06-01T10:00:00Z", datetime(2025, 6, 1, 10, tzinfo=UTC)),
            ("2025-06-01T10:00:00", datetime(2025, 6, 1, 10, tzinfo=UTC)),
            ("2025-06-01 10:00", datetime(2025, 6, 1, 10, tzinfo=UTC)),
            ("2025-06-01T10:00:00.25+02:00", datetime(2025, 6, 1, 8, 0, 0, 250_000, tzinfo=UTC)),
            ("2025-06-01", datetime(2025, 6, 1, tzinfo=UTC)),
            ("datetime:2025-06-01T10:00:00", datetime(2025, 6, 1, 10, tzinfo=UTC)),
            ("datetime:20250601", datetime(2025, 6, 1, tzinfo=UTC)),
            ("20250601T100000Z", datetime(2025, 6, 1, 10, tzinfo=UTC)),
        ],
    )
    def test_a_moment_is_utc_unless_it_says_otherwise(self, text: str, moment: datetime) -> None:
        assert parse_wait(text, NOW) == moment
        assert parse_wait(text, NOW).utcoffset() == timedelta(0)

    def test_a_moment_may_be_past(self) -> None:
        assert parse_wait("2020-01-01", NOW) == datetime(2020, 1, 1, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            ("time:25:00", "no time of day"),
            ("time:24:00", "no time of day"),
            ("time:12:60", "no time of day"),
            ("time:12", "no time of day"),
            ("time:", "no time of day"),
            ("2025-02-30", "that exists"),
            ("2025-01-01T25:00", "that exists"),
            ("0001-01-01T00:00:00+14:00", "that exists"),
            ("datetime:soon", "that exists"),
            ("PT-5S", "sign"),
            ("-5", "0 or more"),
            ("tomorrow", "no duration"),
            ("{{when}}", "no duration"),
            (None, "NoneType"),
            (True, "bool"),
            ([], "list"),
            ({"seconds": 5}, "dict"),
        ],
    )
    def test_anything_else_is_refused_with_a_reason(self, value: Any, reason: str) -> None:
        with pytest.raises(DurationError, match=reason):
            parse_wait(value, NOW)

    def test_no_wait_reaches_beyond_the_calendar(self) -> None:
        with pytest.raises(DurationError):
            parse_wait("P1D", datetime.max.replace(tzinfo=UTC))
        with pytest.raises(DurationError):
            parse_wait("time:00:00", datetime.max.replace(tzinfo=UTC))

    @given(ANYTHING, st.datetimes(timezones=st.just(UTC)))
    @example("9999-12-31T23:59:59-23:59", NOW)
    @example("datetime:\ud800", NOW)
    def test_any_value_is_a_moment_or_refused(self, value: Any, now: datetime) -> None:
        with suppress(DurationError):
            assert parse_wait(value, now).utcoffset() == timedelta(0)

    @given(st.times(), st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
    def test_a_time_comes_within_a_day(self, time: Any, now: datetime) -> None:
        assert timedelta(0) < parse_wait(f"time:{time:%H:%M:%S}", now) - now <= timedelta(days=1)
