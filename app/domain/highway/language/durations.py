"""Durations and moments: how long something lasts and when a wait ends, as definitions write them."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from app.domain.highway.language.expressions import parse_number
from app.domain.json_texts import Json

DAY_SECONDS = 86_400
DURATION_SECONDS_MOST = 36_525 * DAY_SECONDS
"""A hundred years."""

_LENGTH_MOST = 200
_PART = r"[0-9]++(?:[.,][0-9]++)?+"
_ISO = re.compile(
    rf"P(?=[0-9T])(?:(?P<years>{_PART})Y)?(?:(?P<months>{_PART})M)?(?:(?P<weeks>{_PART})W)?(?:(?P<days>{_PART})D)?"
    rf"(?:T(?=[0-9])(?:(?P<hours>{_PART})H)?(?:(?P<minutes>{_PART})M)?(?:(?P<seconds>{_PART})S)?)?"
)
_PART_SECONDS: Mapping[str, int] = {
    "years": 365 * DAY_SECONDS,
    "months": 30 * DAY_SECONDS,
    "weeks": 7 * DAY_SECONDS,
    "days": DAY_SECONDS,
    "hours": 3600,
    "minutes": 60,
    "seconds": 1,
}
_PREFIXED = re.compile(r"duration:\s*+(?P<number>-?[0-9]++(?:\.[0-9]++)?+)\s*+(?P<unit>[smhd]?)")
_UNIT_SECONDS: Mapping[str, int] = {"": 1, "s": 1, "m": 60, "h": 3600, "d": DAY_SECONDS}
_TIME = re.compile(r"time:\s*+([01]?[0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?+")
_MOMENT = re.compile(r"(?:datetime:\s*+)?+([0-9]{4}-?[0-9W].*+)", re.DOTALL)


class DurationError(ValueError):
    """The value is no duration or no moment; the message says why."""


def parse_duration(value: str | float) -> float:
    """Return a duration in seconds, from 0 to a hundred years.

    Numbers and numeric texts are seconds; `duration:N` too, unless a unit (s, m, h, d) follows; and ISO 8601, with a
    fraction in any part. A year has 365 days and a month 30, as there is no date to count from.
    Raises DurationError. Source: ISO 8601, durations.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise DurationError(f"{_show(value)} is no duration: write seconds or ISO 8601 like `PT30S`")
    seconds = _read_seconds(value.strip()) if isinstance(value, str) else value
    if not seconds >= 0:  # nor is it, if it is no number at all
        raise DurationError(f"{_show(value)} is no duration: it must be a number, 0 or more")
    if seconds > DURATION_SECONDS_MOST:
        raise DurationError(f"{_show(value)} is longer than a hundred years")
    return float(seconds)


def parse_wait(value: Json, now: datetime) -> datetime:
    """Return when a wait that begins `now` ends, in UTC.

    `value` is a duration, `time:HH:MM[:SS]` (the next such time in UTC, never `now` itself), or a date and time as ISO
    8601 writes it (UTC unless it has an offset; midnight if there is no time), which may be past. Raises DurationError.
    """
    try:
        now = _in_utc(now)
        if not isinstance(value, str):
            return now + timedelta(seconds=parse_duration(value))
        text = value.strip()
        if text.startswith("time:"):
            return _next_time(text, now)
        if parse_number(text) is None and (moment := _MOMENT.fullmatch(text)):
            return _in_utc(datetime.fromisoformat(moment[1]))
        if text.startswith("datetime:"):
            return _in_utc(datetime.fromisoformat(text.removeprefix("datetime:").strip()))
        return now + timedelta(seconds=parse_duration(text))
    except DurationError:
        raise
    except (ValueError, OverflowError) as error:
        raise DurationError(f"{_show(value)} is no date and time that exists") from error


def _read_seconds(text: str) -> float:
    if (number := parse_number(text)) is not None:
        return number
    if len(text) > _LENGTH_MOST:
        raise DurationError(f"{_show(text)} is too long for a duration")
    if prefixed := _PREFIXED.fullmatch(text):
        return float(prefixed["number"]) * _UNIT_SECONDS[prefixed["unit"]]
    if parts := _ISO.fullmatch(text):
        return math.fsum(
            float(part.replace(",", ".")) * _PART_SECONDS[name] for name, part in parts.groupdict().items() if part
        )
    raise DurationError(f"{_show(text)} is no duration: {_advise(text)}")


def _advise(text: str) -> str:
    if text in {"P", "PT"}:
        return "it has no parts, write for example `PT30S`"
    if text.startswith(("P", "-P", "+P")) and ("-" in text or "+" in text):
        return "it must not have a sign"
    if text.startswith("P"):
        return "ISO 8601 is `P1DT2H3M4.5S`, in this order and in capitals"
    if text.startswith("duration:"):
        return "after `duration:` stands a number and s, m, h, d or nothing"
    return "write seconds, `duration:5m` or ISO 8601 like `PT30S`"


def _next_time(text: str, now: datetime) -> datetime:
    time = _TIME.fullmatch(text)
    if time is None:
        raise DurationError(f"{_show(text)} is no time of day: write `time:HH:MM` or `time:HH:MM:SS`")
    hour, minute, second = (int(part or 0) for part in time.groups())
    moment = now.replace(hour=hour, minute=minute, second=second, microsecond=0)
    return moment if moment > now else moment + timedelta(days=1)


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _show(value: Json) -> str:
    # Half a surrogate pair could not be sent to anybody.
    shown = value[:40].encode(errors="replace").decode() if isinstance(value, str) else None
    return f"`{shown}`" if shown is not None else f"A value of type {type(value).__name__}"
