"""When cron expressions fire."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from app.domain.cron import (
    CronError,
    firings_after,
    firings_before,
    firings_between,
    first_firing,
    next_firing,
    parse_cron,
    previous_firing,
    read_timezone,
)

BERLIN = "Europe/Berlin"
SPRING = datetime(2025, 3, 30, tzinfo=UTC)
"""On this day Berlin's clocks go from 02:00 to 03:00, at 01:00 UTC."""
AUTUMN = datetime(2025, 10, 26, tzinfo=UTC)
"""On this day Berlin's clocks go from 03:00 to 02:00, at 01:00 UTC."""
APIA = datetime(2011, 12, 29, tzinfo=UTC)
"""The day before the one that Apia left out."""
ZONES = [
    (BERLIN, SPRING),
    (BERLIN, AUTUMN),
    ("America/New_York", datetime(2025, 3, 9, tzinfo=UTC)),
    ("America/New_York", datetime(2025, 11, 2, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2025, 4, 5, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2025, 10, 4, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 11, 4, tzinfo=UTC)),
    ("Africa/Cairo", datetime(2024, 4, 26, tzinfo=UTC)),
    ("Pacific/Apia", APIA + timedelta(days=1)),
    ("Asia/Kathmandu", SPRING),
    ("UTC", SPRING),
]
TEXTS = [
    "30 2 * * *",
    "* * * * *",
    "*/15 2 * * *",
    "0 */2 * * *",
    "30 * * * *",
    "0 0 * * *",
    "*/7 * * * *",
    "0 * 30 * *",
]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def on_day(text: str, timezone: str, day: datetime) -> list[str]:
    """Return the firings of a day of UTC, as hours and minutes of UTC."""
    firings = firings_between(parse_cron(text), timezone, day, day + timedelta(days=1))
    return [f"{firing:%H:%M}" for firing in firings]


def texts(firings: Iterator[datetime], count: int) -> list[str]:
    return [f"{firing:%Y-%m-%dT%H:%M}" for firing in islice(firings, count)]


class TestParse:
    @pytest.mark.parametrize(
        "text", ["0 2 * * *", "*/5 * * * *", "0 9-17/2 * JAN-mar mon-FRI", "0 0 L * *", "0 0 * * FRI#2", " 0  2 * * * "]
    )
    def test_five_fields_are_taken(self, text: str) -> None:
        assert next_firing(parse_cron(text), "UTC", SPRING) is not None

    @pytest.mark.parametrize("text", ["", "* * * *", "* * * * * *", "@daily", "0 2", "* " * 100 + "*", "0" * 300])
    def test_other_numbers_of_fields_are_refused(self, text: str) -> None:
        with pytest.raises(CronError, match="five fields"):
            parse_cron(text)

    @pytest.mark.parametrize(
        ("text", "field"),
        [
            ("60 * * * *", "minute"),
            ("*/0 * * * *", "minute"),
            ("5-1 * * * *", "minute"),
            ("x * * * *", "minute"),
            ("\uff11 * * * *", "minute"),
            ("0 24 * * *", "hour"),
            ("0 0 0 * *", "day-of-month"),
            ("0 0 * 13 *", "month"),
            ("0 0 * * 8", "day-of-week"),
        ],
    )
    def test_field_that_does_not_exist_is_named(self, text: str, field: str) -> None:
        with pytest.raises(CronError, match=field):
            parse_cron(text)

    @pytest.mark.parametrize("text", ["0 0 30 2 *", "0 0 31 4,6 *", "0 0 */28 * 1#3"])
    def test_what_never_fires_is_refused(self, text: str) -> None:
        with pytest.raises(CronError):
            parse_cron(text)

    def test_rare_days_are_taken(self) -> None:
        assert texts(firings_after(parse_cron("0 0 29 2 *"), "UTC", SPRING), 1) == ["2028-02-29T00:00"]

    @pytest.mark.parametrize("name", ["", "Mars/Base", "europe/berlin", "../etc/passwd", "Europe", "+01:00", "a\0"])
    def test_unknown_time_zone_is_refused(self, name: str) -> None:
        with pytest.raises(CronError):
            read_timezone(name)


class TestFirings:
    def test_next_is_strictly_after(self) -> None:
        daily = parse_cron("0 2 * * *")
        assert next_firing(daily, "UTC", utc("2025-01-15T01:59:59.999999")) == utc("2025-01-15T02:00")
        assert next_firing(daily, "UTC", utc("2025-01-15T02:00")) == utc("2025-01-16T02:00")

    def test_previous_is_strictly_before(self) -> None:
        daily = parse_cron("0 2 * * *")
        assert previous_firing(daily, "UTC", utc("2025-01-15T02:00:00.000001")) == utc("2025-01-15T02:00")
        assert previous_firing(daily, "UTC", utc("2025-01-15T02:00")) == utc("2025-01-14T02:00")

    def test_fields_are_local_times(self) -> None:
        daily = parse_cron("0 2 * * *")
        assert next_firing(daily, BERLIN, utc("2025-01-15T00:00")) == utc("2025-01-15T01:00")
        assert next_firing(daily, BERLIN, utc("2025-07-14T12:00")) == utc("2025-07-15T00:00")

    def test_start_is_in_and_end_is_not(self) -> None:
        firings = firings_between(parse_cron("0 * * * *"), "UTC", utc("2025-01-01T02:00"), utc("2025-01-01T04:00"))
        assert texts(firings, 9) == ["2025-01-01T02:00", "2025-01-01T03:00"]

    @pytest.mark.parametrize("moment", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
    @pytest.mark.parametrize("timezone", ["UTC", BERLIN, "America/New_York"])
    @pytest.mark.parametrize("text", ["0 2 * * *", "* * * * *"])
    def test_calendar_has_ends(self, text: str, timezone: str, moment: datetime) -> None:
        cron = parse_cron(text)
        first_firing(cron, timezone, moment)
        later, earlier = next_firing(cron, timezone, moment), previous_firing(cron, timezone, moment)
        assert later is None or later > moment
        assert earlier is None or earlier < moment


class TestFirstFiring:
    def test_its_whole_interval_lies_after_the_start(self) -> None:
        daily = parse_cron("0 2 * * *")
        assert first_firing(daily, "UTC", utc("2025-01-01T00:00")) == utc("2025-01-02T02:00")

    def test_interval_may_begin_at_the_start(self) -> None:
        daily = parse_cron("0 2 * * *")
        assert first_firing(daily, "UTC", utc("2025-01-01T02:00")) == utc("2025-01-02T02:00")
        assert first_firing(daily, "UTC", utc("2025-01-01T02:00:00.000001")) == utc("2025-01-03T02:00")


class TestClocksSetForward:
    def test_time_that_is_skipped_fires_at_the_end_of_the_gap(self) -> None:
        assert on_day("30 2 * * *", BERLIN, SPRING) == ["01:00"]

    def test_times_that_are_skipped_together_fire_once(self) -> None:
        assert on_day("*/15 2,3 * * *", BERLIN, SPRING) == ["01:00", "01:15", "01:30", "01:45"]

    def test_every_hour_fires_without_a_pause(self) -> None:
        assert on_day("30 * * * *", BERLIN, SPRING) == [f"{hour:02}:30" for hour in range(24)]

    def test_day_that_is_skipped_fires_at_its_end(self) -> None:
        firings = firings_after(parse_cron("0 12 * * *"), "Pacific/Apia", APIA)
        assert texts(firings, 3) == ["2011-12-29T22:00", "2011-12-30T10:00", "2011-12-30T22:00"]


class TestClocksSetBack:
    def test_time_that_comes_twice_fires_the_first_time(self) -> None:
        assert on_day("30 2 * * *", BERLIN, AUTUMN) == ["00:30"]

    def test_no_fixed_time_fires_twice(self) -> None:
        assert on_day("*/30 1-3 * * *", BERLIN, AUTUMN) == ["00:00", "00:30", "02:00", "02:30"]

    def test_every_second_hour_fires_once_in_the_hour_that_comes_twice(self) -> None:
        assert on_day("0 */2 * * *", BERLIN, AUTUMN)[:3] == ["00:00", "03:00", "05:00"]

    def test_every_hour_fires_in_both(self) -> None:
        assert on_day("30 * * * *", BERLIN, AUTUMN) == [f"{hour:02}:30" for hour in range(24)]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(("timezone", "day"), ZONES)
class TestBothDirections:
    def test_backward_is_forward_reversed(self, text: str, timezone: str, day: datetime) -> None:
        cron, start, end = parse_cron(text), day - timedelta(days=2), day + timedelta(days=2)
        forward = list(firings_between(cron, timezone, start, end))
        backward = list(islice(firings_before(cron, timezone, end), len(forward)))
        assert forward == backward[::-1]
        assert forward == sorted(set(forward))

    def test_any_moment_leads_to_its_neighbours(self, text: str, timezone: str, day: datetime) -> None:
        cron = parse_cron(text)
        for minutes in range(0, 2 * 24 * 60, 37):
            moment = day - timedelta(days=1) + timedelta(minutes=minutes)
            later, earlier = next_firing(cron, timezone, moment), previous_firing(cron, timezone, moment)
            assert later is not None
            assert earlier is not None
            assert earlier < moment < later
            assert next_firing(cron, timezone, earlier) in (moment, later)
