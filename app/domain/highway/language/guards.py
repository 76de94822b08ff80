"""Guards: what has to hold of the values before and after a step."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import NoneType

import regex

from app.domain.highway.language.budgets import current_budget, measure
from app.domain.highway.language.conditions import compare, equals
from app.domain.highway.language.expressions import has_template, whole_template
from app.domain.highway.language.templates import UNKNOWN, Context, as_text, look_up, resolve
from app.domain.json_texts import Json

PATTERN_LENGTH_MOST = 1000
"""Characters of a pattern; a longer one matches nothing."""
PATTERN_PARTS_MOST = 10_000
"""Parts of a pattern with its repetitions written out; `a{99999999}` would take gigabytes."""
_PATTERN_COST = 4096
"""Characters that making a pattern is as dear as."""

_REPETITION = re.compile(r"\{\s*+([0-9]++)")
_MAY_END_GROUP = frozenset({"", *")}+*? \t\r\n\v\f"})

_TYPES: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("string", "str", "text"), (str,)),
    **dict.fromkeys(("integer", "int"), (int,)),
    **dict.fromkeys(("number", "float"), (int, float)),
    **dict.fromkeys(("boolean", "bool"), (bool,)),
    **dict.fromkeys(("list", "array"), (list,)),
    **dict.fromkeys(("object", "dict", "map"), (dict,)),
    **dict.fromkeys(("null", "none"), (NoneType,)),
}


def failed_guard(guards: Sequence[Mapping[str, Json]], context: Context) -> str | None:
    """Return the message of the first guard that does not hold, else None; one is made if it has no `message`.

    A guard is `{variable, check, value, message}`, where `value` may hold templates. A variable without a value is null
    to all checks but `exists` and `type_check`, and a check that there is not never holds.
    """
    for guard in guards:
        current_budget().take_elements()
        variable, check = str(guard["variable"]), str(guard["check"])
        expected = resolve(guard.get("value"), context).value
        holds = _CHECKS.get(check)
        if holds is None or not holds(_find_value(variable, context), expected):
            return guard.get("message") or f"The guard `{check}` of {variable} does not hold"
    return None


def _find_value(variable: str, context: Context) -> Json:
    if (expression := whole_template(variable)) is not None:
        return look_up(expression, context)
    if has_template(variable):
        resolved = resolve(variable, context)
        return UNKNOWN if resolved.unresolved else resolved.value
    return look_up(variable, context)


def _exists(value: Json, _: Json) -> bool:
    return value is not UNKNOWN


def _is_not_null(value: Json, _: Json) -> bool:
    return value is not UNKNOWN and value is not None


def _differs(value: Json, expected: Json) -> bool:
    return not equals(value, expected)


def _is_in_range(value: Json, expected: Json) -> bool:
    match expected:
        case [least, most]:
            return compare(value, least) in {0, 1} and compare(value, most) in {-1, 0}
    return False


def _matches(value: Json, expected: Json) -> bool:
    if not _is_not_null(value, expected) or not isinstance(expected, str):
        return False
    budget = current_budget()
    budget.take_characters(_PATTERN_COST + measure(value))
    try:
        pattern = compile_pattern(expected)
        if pattern is None:
            return False
        # What searches a text that cannot change lets other threads go on meanwhile.
        return pattern.search(as_text(value), timeout=budget.match_seconds, concurrent=True) is not None
    except TimeoutError:
        budget.end_match()
        return False
    except (RecursionError, OverflowError, MemoryError):
        return False


@lru_cache(maxsize=64)
def compile_pattern(text: str) -> regex.Pattern[str] | None:
    """Return the regular expression that `text` is, or None if it is broken or too large."""
    if len(text) > PATTERN_LENGTH_MOST or _count_parts(text) > PATTERN_PARTS_MOST:
        return None
    try:
        return regex.compile(text, cache_pattern=False)
    except (regex.error, ValueError, RecursionError, OverflowError):
        return None


def _count_parts(text: str) -> int:
    """Return how many parts a pattern has at most once its repetitions are written out, as compiling does.

    A repetition that follows a character or a class is of that alone; any other may contain all that the pattern has.
    """
    single, nested = len(text), 1
    for repetition in _REPETITION.finditer(text):
        if text[repetition.start() - 1 : repetition.start()] in _MAY_END_GROUP:
            nested *= max(int(repetition[1]), 1)
        else:
            single += int(repetition[1])
    return single * nested


def _has_type(value: Json, expected: Json) -> bool:
    types = _TYPES.get(expected.lower(), ()) if isinstance(expected, str) else ()
    return isinstance(value, types) and (bool in types or not isinstance(value, bool))


def _is_in_set(value: Json, expected: Json) -> bool:
    return isinstance(expected, list) and any(equals(value, member) for member in expected)


_CHECKS: Mapping[str, Callable[[Json, Json], bool]] = {
    "exists": _exists,
    "not_null": _is_not_null,
    "equals": equals,
    "not_equals": _differs,
    "in_range": _is_in_range,
    "matches_regex": _matches,
    "type_check": _has_type,
    "in_set": _is_in_set,
}
CHECKS = frozenset(_CHECKS)
