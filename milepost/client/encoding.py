"""Writing arguments: JSON bodies, query strings and paths."""

import json
from collections.abc import Iterable, Mapping
from datetime import date
from enum import Enum
from typing import Any, Final
from urllib.parse import quote, urlencode
from uuid import UUID

from pydantic import BaseModel


class NotGiven(Enum):
    """The type of an argument that was left out, where None is a value."""

    token = 0


NOT_GIVEN: Final = NotGiven.token


def write_json(value: Any) -> bytes:
    """Return ``value`` as JSON; ids, times, enums and models inside it too. Raises TypeError, ValueError."""
    return json.dumps(value, default=_write_other, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()


def _write_other(value: Any) -> Any:
    match value:
        case UUID():
            return str(value)
        case date():
            return value.isoformat()
        case Enum():
            return value.value
        case BaseModel():
            return value.model_dump(exclude_unset=True, by_alias=True)
        case Mapping():
            return dict(value)
        case Iterable():
            return list(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def write_body(values: Mapping[str, Any], **optional: Any) -> bytes:
    """Return a JSON object of ``values`` that were given, and of ``optional`` ones that are not None."""
    body = {name: value for name, value in values.items() if value is not NOT_GIVEN}
    return write_json(body | {name: value for name, value in optional.items() if value is not None})


def write_query(values: Mapping[str, Any]) -> str:
    """Return a query string; what is None is left out, and several values repeat the name."""
    return urlencode([(name, text) for name, value in values.items() for text in _write_values(value)])


def _write_values(value: Any) -> list[str]:
    match value:
        case None:
            return []
        case bool():
            return ["true" if value else "false"]
        case Enum():
            return [str(value.value)]
        case date():
            return [value.isoformat()]
        case str() | int() | float() | UUID():
            return [str(value)]
        case Iterable():
            return [text for item in value for text in _write_values(item)]
    raise TypeError(f"{type(value).__name__} cannot stand in a query")


def write_path(template: str, *parts: Any) -> str:
    """Return ``template`` with each ``{}`` filled by a part, which stays one segment whatever is in it."""
    return template.format(*(_write_segment(str(part)) for part in parts))


def _write_segment(text: str) -> str:
    if text in (".", ".."):
        return text.replace(".", "%2E")
    return quote(text, safe="")
