"""Cron expressions: the moments at which they fire, by the clock on the wall of a time zone."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import takewhile
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

FIELDS = 5
TEXT_MAX_LENGTH = 200
HOURS = 24

_ANY_DAY = datetime(2000, 1, 1)  # noqa: DTZ001 - read as a local time that no clock skips
_EARLIEST = datetime(2, 1, 1, tzinfo=UTC)
"""From here on every local time is one that Python can hold."""
_RESOLUTION = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)


class CronError(ValueError):
    """What a schedule says about time cannot be read."""


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression that fires at some time; made by ``parse_cron``."""

    text: str
    every_hour: bool
    """Whether it fires in every hour: then it goes by elapsed time, and not by the clock on the wall."""


@lru_cache(maxsize=1024)
def parse_cron(text: str) -> Cron:
    """Return the expression of five fields: minute, hour, day of the month, month, day of the week.

    Names (`JAN`, `MON`), lists, ranges, steps, `L`, `LW` and `MON#2` are known. Where both days are restricted, one of
    them has to match. Raises CronError, which says in words what is wrong. Source: cron as Debian has it.
    """
    fields = text.split()
    if len(fields) != FIELDS or len(text) > TEXT_MAX_LENGTH:
        raise CronError("must have five fields: minute, hour, day of the month, month and day of the week")
    try:
        times = CronSim(text, _ANY_DAY)
        every_hour = len(times.hours) == HOURS
        next(times)
    except CronSimError as error:
        raise CronError(f"has a {str(error).removeprefix('Bad ')} that does not exist") from None
    except StopIteration:
        raise CronError("never fires: no day is ever like that") from None
    minute, hour, *days = fields
    return Cron(" ".join([minute, "*" if every_hour else hour, *days]), every_hour)


@lru_cache(maxsize=1024)
def read_timezone(name: str) -> ZoneInfo:
    """Return the time zone of that name. Raises CronError if the IANA database has none."""
    if name not in _names_of_timezones():
        raise CronError("is not the name of a time zone, such as UTC or Europe/Berlin")
    return ZoneInfo(name)


@lru_cache(maxsize=1)
def _names_of_timezones() -> frozenset[str]:
    return frozenset(available_timezones())


def next_firing(cron: Cron, timezone: str, after: datetime) -> datetime | None:
    """Return the first firing after ``after``, in UTC; None if there is none in the next fifty years."""
    return next(firings_after(cron, timezone, after), None)


def previous_firing(cron: Cron, timezone: str, before: datetime) -> datetime | None:
    """Return the last firing before ``before``, in UTC; None if there was none in the fifty years before."""
    return next(firings_before(cron, timezone, before), None)


def first_firing(cron: Cron, timezone: str, start_at: datetime) -> datetime | None:
    """Return the first firing whose whole interval, from the firing before it, lies at or after ``start_at``."""
    begin = next_firing(cron, timezone, start_at - _RESOLUTION if start_at > _EARLIEST else _EARLIEST)
    return None if begin is None else next_firing(cron, timezone, begin)


def firings_between(cron: Cron, timezone: str, start: datetime, end: datetime) -> Iterator[datetime]:
    """Yield the firings from ``start`` on and before ``end``, in UTC."""
    after = start - _RESOLUTION if start > _EARLIEST else _EARLIEST
    return takewhile(lambda firing: firing < end, firings_after(cron, timezone, after))


def firings_after(cron: Cron, timezone: str, after: datetime) -> Iterator[datetime]:
    """Yield the firings after ``after``, in UTC, each later than the one before.

    A fixed local time fires once on each of its days: the first time where clocks are set back, and at the first
    moment after the gap where they are set forward over it. What fires in every hour goes by elapsed time instead.
    """
    zone = read_timezone(timezone)
    last = after
    walk = _elapsed_after if cron.every_hour else _wall_after
    try:
        for instant in walk(cron, zone, max(after, _EARLIEST)):
            if instant > last:
                last = instant
                yield instant
    except OverflowError:
        return  # the end of the calendar


def firings_before(cron: Cron, timezone: str, before: datetime) -> Iterator[datetime]:
    """Yield the firings before ``before``, in UTC, each earlier than the one before: those of ``firings_after``."""
    zone = read_timezone(timezone)
    last = before
    walk = _elapsed_before if cron.every_hour else _wall_before
    try:
        for instant in walk(cron, zone, before):
            if instant < last:
                last = instant
                yield instant
    except OverflowError:
        return  # the beginning of the calendar


def _wall_after(cron: Cron, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Yield when the clocks show what ``cron`` asks for, from what they show at ``after`` on."""
    wall = after.astimezone(zone).replace(tzinfo=None)
    return (_instant_of(time, zone) for time in CronSim(cron.text, wall))


def _wall_before(cron: Cron, zone: ZoneInfo, before: datetime) -> Iterator[datetime]:
    """Yield when the clocks showed what ``cron`` asks for, back from what they show at ``before``.

    While an hour passes again, all that clocks will show in it has been there before.
    """
    local = before.astimezone(zone)
    repeated = max(_offset(local.replace(fold=0)) - _offset(local), timedelta())
    wall = local.replace(tzinfo=None) + repeated
    return (_instant_of(time, zone) for time in CronSim(cron.text, wall, reverse=True))


def _elapsed_after(cron: Cron, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Yield every moment at which the clocks show what ``cron`` asks for, and begin anew where they are set."""
    begin = after + _RESOLUTION
    while True:
        offset = _offset(begin.astimezone(zone))
        for time in CronSim(cron.text, (begin + offset - _RESOLUTION).replace(tzinfo=None)):
            instant = time.replace(tzinfo=UTC) - offset
            if _offset(instant.astimezone(zone)) != offset:
                begin = _change_between(begin, instant, zone)
                break
            yield instant
            begin = instant
        else:
            return


def _elapsed_before(cron: Cron, zone: ZoneInfo, before: datetime) -> Iterator[datetime]:
    """Yield, back from ``before``, every moment at which the clocks showed what ``cron`` asks for."""
    end = before
    while True:
        offset = _offset((end - _RESOLUTION).astimezone(zone))
        for time in CronSim(cron.text, (end + offset).replace(tzinfo=None), reverse=True):
            instant = time.replace(tzinfo=UTC) - offset
            if _offset(instant.astimezone(zone)) != offset:
                end = _change_between(instant, end - _RESOLUTION, zone)
                break
            yield instant
            end = instant
        else:
            return


def _instant_of(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return when the clocks of ``zone`` show ``wall`` for the first time; the end of the gap if they skip it."""
    instant = wall.replace(tzinfo=zone).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == wall:
        return instant
    return _change_between(wall.replace(tzinfo=zone, fold=1).astimezone(UTC), instant, zone)


def _change_between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment between the two at which the clocks of ``zone`` are set; they are, on a whole second."""
    before = before.replace(microsecond=0)
    offset = _offset(before.astimezone(zone))
    seconds = range((after - before) // _SECOND + 1)

    def is_behind(second: int) -> bool:
        return _offset((before + second * _SECOND).astimezone(zone)) != offset

    return before + bisect_left(seconds, True, key=is_behind) * _SECOND


def _offset(local: datetime) -> timedelta:
    return local.utcoffset() or timedelta()
