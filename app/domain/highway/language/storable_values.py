"""What steps make of templates, as far as it can be stored: names of events and values."""

from collections.abc import Mapping

from app.domain.highway.language.templates import as_text
from app.domain.json_texts import Json
from app.domain.json_values import find_unstorable

EVENT_NAME_LENGTH_MOST = 255
ACTIVITY_EVENT = "$activity:"
"""Prefix of the event that carries the result of a submitted activity; the path of the step follows."""
_OWN_NAME_BYTES_MOST = 1500


class UnstorableError(ValueError):
    """A step has made something that cannot be stored: the name of the error, and what is wrong."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.error = {"name": name, "message": message}


def read_event_name(value: Json) -> str:
    """Return what a resolved event name is. Raises UnstorableError where no event can be called like that."""
    name = as_text(value)
    if not name.strip():
        raise UnstorableError("BadEventName", "the name of the event is blank")
    is_own = name.startswith(ACTIVITY_EVENT) and len(name.encode(errors="replace")) <= _OWN_NAME_BYTES_MOST
    if len(name) > EVENT_NAME_LENGTH_MOST and not is_own:
        message = f"the name of the event has {len(name)} characters; at most {EVENT_NAME_LENGTH_MOST} are allowed"
        raise UnstorableError("BadEventName", message)
    if found := find_unstorable(name):
        raise UnstorableError("BadEventName", f"the name of the event {found[1]}")
    return name


def check_values(values: Mapping[str, Json]) -> None:
    """Raise UnstorableError if one of the values cannot be stored."""
    for name, value in values.items():
        if found := find_unstorable(value, f"/{name}"):
            raise UnstorableError("UnstorableValue", f"{found[0]} {found[1]}")
