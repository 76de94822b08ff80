"""JSON values: when two are the same, and which ones cannot be stored."""

import math
from collections.abc import Iterable
from hashlib import sha256

from pydantic_core import to_json

from app.domain.json_texts import JsonText, JsonValue, Storable

DEPTH_MOST = 64


def canonical(value: Storable) -> str:
    """Return one text for all JSON texts that mean the same: keys sorted, no blanks, 1.0 as 1."""
    return to_json(_normal(value)).decode()


def same_json(one: Storable, other: Storable) -> bool:
    """Return whether both are the same JSON value; 1 and 1.0 are, 1 and true are not."""
    return canonical(one) == canonical(other)


def fingerprint(value: Storable) -> bytes:
    """Return 32 bytes that are the same for the same JSON value."""
    return sha256(to_json(_normal(value))).digest()


def _normal(value: Storable) -> Storable:
    """Return ``value`` with names in order and whole numbers as such; by its kind: patterns cost three times more."""
    kind = type(value)
    if kind is str or kind is int or value is None or kind is bool:
        return value
    if isinstance(value, dict):
        return {key: _normal(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_normal(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return _normal(value.read()) if isinstance(value, JsonText) else value


def find_unstorable(value: JsonValue, pointer: str = "", depth: int = 0) -> tuple[str, str] | None:
    """Return the JSON pointer of the first part that Postgres cannot hold, and why; None if all can be stored."""
    match value:
        case str():
            return _check_text(value, pointer)
        case float() if not math.isfinite(value):
            return pointer, "is a number too large to be kept"
        case dict() | list() if depth >= DEPTH_MOST:
            return pointer, f"is nested deeper than {DEPTH_MOST} levels"
        case dict():
            members: Iterable[tuple[str | int, JsonValue]] = value.items()
        case list():
            members = enumerate(value)
        case _:
            return None
    for key, member in members:
        if isinstance(key, str) and (found := _check_text(key, pointer)):
            return found
        if found := find_unstorable(member, f"{pointer}/{escape_pointer(key)}", depth + 1):
            return found
    return None


def _check_text(text: str, pointer: str) -> tuple[str, str] | None:
    if "\0" in text:
        return pointer, "contains the character NUL, which cannot be kept"
    if not text.isascii() and not _can_be_encoded(text):
        return pointer, "contains half of a surrogate pair, which is not a character"
    return None


def _can_be_encoded(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def escape_pointer(part: str | int) -> str:
    """Return ``part`` as a reference token of a JSON pointer. Source: RFC 6901, section 3."""
    return str(part).replace("~", "~0").replace("/", "~1")
