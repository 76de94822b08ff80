"""Opaque positions in a list: where a page ended, of which order and filters."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic_core import from_json, to_json

from app.domain.json_values import fingerprint
from app.errors import ValidationFailed


@dataclass(frozen=True, slots=True)
class Position:
    """The last row of a page: its value in the list's order (None: it has none) and its id."""

    value: datetime | None
    id: UUID


def write_cursor(position: Position, order: str, filters: Mapping[str, Any]) -> str:
    """Return the cursor that continues a list after ``position``."""
    return _pack([_mark(order, filters), position.value, position.id])


def read_cursor(cursor: str, order: str, filters: Mapping[str, Any]) -> Position:
    """Return the position that ``cursor`` stands for. Raises ValidationFailed if it is not of this list."""
    try:
        mark, value, row_id = _unpack(cursor)
        position = Position(None if value is None else datetime.fromisoformat(value), UUID(row_id))
        aware = position.value is None or position.value.tzinfo is not None
    except (ValueError, TypeError, AttributeError):
        raise _unreadable() from None
    if mark != _mark(order, filters):
        raise ValidationFailed.at("cursor", "is of another order or other filters than this request")
    if not aware:
        raise _unreadable()
    return position


def write_offset(row_id: int, owner: UUID | str) -> str:
    """Return the cursor that continues a list of ``owner`` that is only ever added to, after the row ``row_id``."""
    return _pack([owner, row_id])


def read_offset(cursor: str, owner: UUID | str) -> int:
    """Return the row that ``cursor`` stands for. Raises ValidationFailed if it is not of such a list of ``owner``."""
    try:
        of, row_id = _unpack(cursor)
    except (ValueError, TypeError):
        raise _unreadable() from None
    if of != str(owner) or type(row_id) is not int or not 0 <= row_id < 2**63:
        raise _unreadable()
    return row_id


def write_name(name: str) -> str:
    """Return the cursor that continues a list by name after ``name``."""
    return _pack(name)


def read_name(cursor: str) -> str:
    """Return the name that ``cursor`` stands for. Raises ValidationFailed if it is not of such a list."""
    try:
        name = _unpack(cursor)
    except ValueError:
        raise _unreadable() from None
    if not isinstance(name, str) or "\0" in name:
        raise _unreadable()
    return name


def _pack(value: Any) -> str:
    return urlsafe_b64encode(to_json(value)).decode().rstrip("=")


def _unpack(cursor: str) -> Any:
    try:
        return from_json(urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
    except binascii.Error as error:
        raise ValueError from error


def _unreadable() -> ValidationFailed:
    return ValidationFailed.at("cursor", "is not a cursor of this list; take next_cursor as it is")


def _mark(order: str, filters: Mapping[str, Any]) -> str:
    """Return a text that differs between lists: a cursor of one means nothing in another."""
    return fingerprint([order, from_json(to_json(dict(filters)))]).hex()[:12]
