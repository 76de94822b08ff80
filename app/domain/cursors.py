"""Opaque positions in a list: where a page ended, of which order and filters."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic_core import from_json, to_json

from app.domain.json_texts import JsonValue, Storable
from app.domain.json_values import fingerprint
from app.errors import ValidationFailed


@dataclass(frozen=True, slots=True)
class Position:
    """The last row of a page: its value in the list's order (None: it has none) and its id."""

    value: datetime | None
    id: UUID


def write_cursor(position: Position, order: str, filters: Mapping[str, Storable]) -> str:
    """Return the cursor that continues a list after ``position``."""
    return _pack([_mark(order, filters), position.value, position.id])


def read_cursor(cursor: str, order: str, filters: Mapping[str, Storable]) -> Position:
    """Return the position that ``cursor`` stands for. Raises ValidationFailed if it is not of this list."""
    match _unpack(cursor):
        case [mark, str() | None as value, str(row_id)]:
            position = _read_position(value, row_id)
        case _:
            raise _unreadable()
    if mark != _mark(order, filters):
        raise ValidationFailed.at("cursor", "is of another order or other filters than this request")
    return position


def _read_position(value: str | None, row_id: str) -> Position:
    try:
        position = Position(None if value is None else datetime.fromisoformat(value), UUID(row_id))
    except ValueError:
        raise _unreadable() from None
    if position.value is not None and position.value.tzinfo is None:
        raise _unreadable()
    return position


@dataclass(frozen=True, slots=True)
class LinePosition:
    """The last line of a log that was looked at: its time, and its place in the order of arrival."""

    at: datetime
    sequence: int


def write_line_cursor(position: LinePosition, order: str, filters: Mapping[str, Storable]) -> str:
    """Return the cursor that continues a log after ``position``."""
    return _pack([_mark(order, filters), position.at, position.sequence])


def read_line_cursor(cursor: str, order: str, filters: Mapping[str, Storable]) -> LinePosition:
    """Return the position that ``cursor`` stands for. Raises ValidationFailed if it is not of this log."""
    match _unpack(cursor):
        case [mark, str(value), int(sequence)] if not isinstance(sequence, bool) and 0 <= sequence < 2**63:
            at = _read_position(value, str(UUID(int=0))).value
        case _:
            raise _unreadable()
    if mark != _mark(order, filters):
        raise ValidationFailed.at("cursor", "is of another order or other filters than this request")
    if at is None:
        raise _unreadable()
    return LinePosition(at, sequence)


def write_offset(row_id: int, owner: UUID | str) -> str:
    """Return the cursor that continues a list of ``owner`` that is only ever added to, after the row ``row_id``."""
    return _pack([owner, row_id])


def read_offset(cursor: str, owner: UUID | str) -> int:
    """Return the row that ``cursor`` stands for. Raises ValidationFailed if it is not of such a list of ``owner``."""
    match _unpack(cursor):
        case [of, int(row_id)] if of == str(owner) and not isinstance(row_id, bool) and 0 <= row_id < 2**63:
            return row_id
        case _:
            raise _unreadable()


def write_name(name: str) -> str:
    """Return the cursor that continues a list by name after ``name``."""
    return _pack(name)


def read_name(cursor: str) -> str:
    """Return the name that ``cursor`` stands for. Raises ValidationFailed if it is not of such a list."""
    name = _unpack(cursor)
    if not isinstance(name, str) or "\0" in name:
        raise _unreadable()
    return name


def _pack(value: Storable) -> str:
    return urlsafe_b64encode(to_json(value)).decode().rstrip("=")


def _unpack(cursor: str) -> JsonValue:
    try:
        unpacked: JsonValue = from_json(urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
    except ValueError:
        raise _unreadable() from None
    return unpacked


def _unreadable() -> ValidationFailed:
    return ValidationFailed.at("cursor", "is not a cursor of this list; take next_cursor as it is")


def _mark(order: str, filters: Mapping[str, Storable]) -> str:
    """Return a text that differs between lists: a cursor of one means nothing in another."""
    return fingerprint([order, from_json(to_json(dict(filters)))]).hex()[:12]
