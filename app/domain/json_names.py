"""Names in JSON objects: whether one stands twice, so that one of two values would be lost unnoticed."""

import json
import re
from collections.abc import Iterable

from app.domain.json_texts import JsonValue
from app.domain.json_values import escape_pointer

_NAME_END = re.compile(rb'"[ \t\r\n]*:')
_BLANKS_BEFORE = (b" :", b"\n:", b"\t:", b"\r:")


def find_repeated_name(text: bytes, value: JsonValue) -> str | None:
    """Return the JSON pointer of a name that stands twice in an object of ``text``; None if there is none.

    ``value`` is what was read from the text. Reading keeps one of the two, so the text then has more names than the
    value. They are counted in ways that give no less than there are, the cheapest first; only where all of them give
    more than the value has, because a text looks like it, is the text read again with an eye on each name.
    """
    if type(value) is not dict and type(value) is not list:
        return None
    names = _count_names(value)
    if text.count(b":") == names:
        return None
    if text.count(b'":') == names and not any(blank in text for blank in _BLANKS_BEFORE):
        return None
    if sum(1 for _ in _NAME_END.finditer(text)) == names:
        return None
    return _find_repeated(json.loads(text, object_pairs_hook=_read_object, parse_int=str))


def _count_names(value: dict[str, JsonValue] | list[JsonValue]) -> int:
    """Return how many names all objects in ``value`` have together."""
    members: Iterable[JsonValue] = value
    count = 0
    if type(value) is dict:
        count = len(value)
        members = value.values()
    for member in members:
        if type(member) is dict or type(member) is list:
            count += _count_names(member)
    return count


class _Repeating(dict[str, JsonValue]):
    """An object in which a name stands twice."""

    name: str


def _read_object(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    repeating = _Repeating(found)
    seen: set[str] = set()
    repeating.name = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
    return repeating


def _find_repeated(value: JsonValue, pointer: str = "") -> str | None:
    match value:
        case _Repeating():
            return f"{pointer}/{escape_pointer(value.name)}"
        case dict():
            members: Iterable[tuple[str | int, JsonValue]] = value.items()
        case list():
            members = enumerate(value)
        case _:
            return None
    found = (_find_repeated(member, f"{pointer}/{escape_pointer(key)}") for key, member in members)
    return next((place for place in found if place is not None), None)
