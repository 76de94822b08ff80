"""Checks of the small languages in a document: conditions, durations, dates, cron and guards."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime

import regex

from app.domain.cron import CronError, parse_cron
from app.domain.highway.document.checks_of_values import (
    Check,
    check_anything,
    check_filled_text,
    check_members,
    check_text,
    cut,
    is_number,
    one_of,
    show,
)
from app.domain.highway.document.findings import Finding
from app.domain.highway.language.conditions import ConditionSyntaxError, parse_condition
from app.domain.highway.language.durations import DurationError, parse_duration, parse_wait
from app.domain.highway.language.expressions import has_template, parse_number
from app.domain.highway.language.guards import CHECKS, PATTERN_LENGTH_MOST
from app.domain.json_texts import Json
from milepost.schemas.tasks import TEN_YEARS_SECONDS

_NOW = datetime(2025, 1, 1, tzinfo=UTC)
"""Some moment: whether a form is right does not depend on it."""
TYPES = (
    "string",
    "str",
    "text",
    "integer",
    "int",
    "number",
    "float",
    "boolean",
    "bool",
    "list",
    "array",
    "object",
    "dict",
    "map",
    "null",
    "none",
)
_REASON_LENGTH_MOST = 300


def check_condition(value: Json, pointer: str) -> Iterable[Finding]:
    """Find a condition that does not follow the grammar."""
    if not isinstance(value, str):
        return (Finding("bad_condition", pointer, f"must be a text such as {{{{x}}}} > 1, not {show(value)}"),)
    try:
        parse_condition(value)
    except ConditionSyntaxError as error:
        return (Finding("bad_condition", pointer, _say(value, error)),)
    return ()


def check_wait(value: Json, pointer: str) -> Iterable[Finding]:
    """Find a wait that is no duration, time of day or date; with a template in it only its run can tell."""
    if isinstance(value, str) and has_template(value):
        return ()
    if not (isinstance(value, str) or is_number(value)):
        return (_refuse_duration(value, pointer),)
    try:
        parse_wait(value, _NOW)
    except DurationError as error:
        return (Finding("bad_duration", pointer, cut(str(error), _REASON_LENGTH_MOST)),)
    return ()


def duration_from(least: float, *, excluded: bool = False) -> Check:
    """Return a check for a duration of ``least`` seconds, or of more if that is ``excluded``, up to ten years."""
    wanted = f"{'longer than' if excluded else 'at least'} {least:g} seconds and at most ten years"

    def check(value: Json, pointer: str) -> Iterable[Finding]:
        if not (isinstance(value, str) or is_number(value)):
            return (_refuse_duration(value, pointer),)
        try:
            seconds = parse_duration(value)
        except DurationError as error:
            return (Finding("bad_duration", pointer, cut(str(error), _REASON_LENGTH_MOST)),)
        if (seconds > least or (seconds == least and not excluded)) and seconds <= TEN_YEARS_SECONDS:
            return ()
        return (Finding("bad_duration", pointer, f"must be {wanted}, not {show(value)}"),)

    return check


def _refuse_duration(value: Json, pointer: str) -> Finding:
    return Finding(
        "bad_duration", pointer, f"must be a duration such as PT30S or a number of seconds, not {show(value)}"
    )


def _say(value: Json, error: Exception) -> str:
    return f"{show(value)}: {cut(str(error), _REASON_LENGTH_MOST)}"


def check_cron(value: Json, pointer: str) -> Iterable[Finding]:
    """Find a cron expression that has not five fields, that is wrong in one of them, or that never fires."""
    if not isinstance(value, str):
        return (Finding("bad_cron", pointer, f"must be a text such as 0 2 * * *, not {show(value)}"),)
    try:
        parse_cron(value)
    except CronError as error:
        return (Finding("bad_cron", pointer, _say(value, error)),)
    return ()


def check_date(value: Json, pointer: str) -> Iterable[Finding]:
    """Find what is no ISO 8601 date and time; without an offset it is UTC."""
    try:
        moment = datetime.fromisoformat(value)
        (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return (
            Finding("bad_value", pointer, f"must be a date and time such as 2025-01-01T02:00:00, not {show(value)}"),
        )
    return ()


def _check_range(value: Json) -> str | None:
    match value:
        case [least, most] if _are_comparable(least, most):
            return None
    return "in_range needs a list of two numbers or two texts, the least and the greatest"


def _are_comparable(*ends: Json) -> bool:
    if all(isinstance(end, str) for end in ends):
        return True
    return all(is_number(end) or (isinstance(end, str) and _may_be_number(end)) for end in ends)


def _may_be_number(text: str) -> bool:
    return parse_number(text) is not None or has_template(text)


def _check_set(value: Json) -> str | None:
    return None if isinstance(value, list) else "in_set needs a list"


def _check_type(value: Json) -> str | None:
    if isinstance(value, str) and (value.lower() in TYPES or has_template(value)):
        return None
    return f"type_check needs one of {', '.join(TYPES)}"


def _check_pattern(value: Json) -> str | None:
    if not isinstance(value, str) or len(value) > PATTERN_LENGTH_MOST:
        return f"matches_regex needs a text of at most {PATTERN_LENGTH_MOST} characters"
    if has_template(value):
        return None
    try:
        regex.compile(value)
    except RecursionError:
        return "this regular expression is nested too deep"
    except (regex.error, OverflowError, ValueError) as error:
        return f"this is no regular expression, as {cut(str(error), _REASON_LENGTH_MOST)}"
    return None


_CHECKS_OF_GUARD_VALUES: Mapping[str, Callable[[Json], str | None]] = {
    "in_range": _check_range,
    "in_set": _check_set,
    "matches_regex": _check_pattern,
    "type_check": _check_type,
}
_GUARD: Mapping[str, Check] = {
    "variable": check_filled_text,
    "check": one_of(*sorted(CHECKS)),
    "value": check_anything,
    "message": check_text,
}
_REQUIRED_OF_GUARD = {"variable": "bad_value", "check": "bad_value"}


def check_guard(value: Json, pointer: str) -> Iterator[Finding]:
    """Find what is wrong with a precondition or postcondition, its value included, which depends on its check."""
    if not isinstance(value, dict):
        yield Finding("bad_value", pointer, f"must be an object, not {show(value)}")
        return
    yield from check_members(value, pointer, _GUARD, _REQUIRED_OF_GUARD)
    name = value.get("check")
    check = _CHECKS_OF_GUARD_VALUES.get(name) if isinstance(name, str) else None
    if check and (reason := check(value.get("value"))):
        yield Finding("bad_value", f"{pointer}/value", f"{show(value.get('value'))}: {reason}")
