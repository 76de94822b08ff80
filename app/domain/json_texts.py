"""JSON that is passed on as it is stored: nobody parses it, and it is written as it stands."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any, TypeAlias, Union
from uuid import UUID

from pydantic_core import from_json, to_json

Json: TypeAlias = Any
"""A JSON value into which the code looks as definitions and their expressions do: what is in it is found there."""


class JsonText:
    """A JSON value as Postgres keeps it. No dataclass: pydantic would write its members."""

    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        self.text = text

    def read(self) -> Json:
        """Return the value."""
        return from_json(self.text)


JsonValue: TypeAlias = Union[None, bool, int, float, str, "Sequence[JsonValue]", "Mapping[str, JsonValue]", JsonText]
"""A JSON value that is passed on: as plain Python, or as the text that it is stored as."""
Storable: TypeAlias = Union[JsonValue, bytes, UUID, datetime, timedelta, "Sequence[Storable]", "Mapping[str, Storable]"]
"""What a statement can be given: a value of a column, or many of them."""


def read_json(value: JsonValue) -> Json:
    """Return the value of a JSON text; what is none is a value already."""
    return value.read() if isinstance(value, JsonText) else value


_SECRET = token_hex(16)
"""No caller knows it: what is sent never looks like the place of a text."""
_PLACE = re.compile(f'"{_SECRET}:([0-9]+)"'.encode())


def write_json(value: object) -> bytes:
    """Return a plain value or a model as JSON, and every JSON text in it as it stands."""
    texts: list[bytes] = []

    def leave_place(unknown: object) -> str:
        if not isinstance(unknown, JsonText):
            raise TypeError(f"{type(unknown).__name__} is no JSON")
        texts.append(unknown.text)
        return f"{_SECRET}:{len(texts) - 1}"

    written = to_json(value, by_alias=True, fallback=leave_place)
    return _PLACE.sub(lambda place: texts[int(place[1])], written) if texts else written
