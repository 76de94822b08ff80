"""Errors in short: for a line of text, and for what only names them."""

from collections.abc import Mapping

from app.domain.json_texts import Json, JsonText, JsonValue, write_json

MESSAGE_MOST = 1000
"""How many characters of a message are told."""


def short_error(error: JsonValue) -> dict[str, Json] | None:
    """Return an error with its name (or type) and its message alone; None where there is none."""
    read = error.read() if isinstance(error, JsonText) else error
    if read is None:
        return None
    if not isinstance(read, Mapping):
        return {"name": "Error", "message": _cut(read)}
    named = next((key for key in ("name", "type") if read.get(key)), None)
    shown: dict[str, Json] = {} if named is None else {named: _cut(read[named])}
    if "message" in read:
        return shown | {"message": _cut(read["message"])}
    return shown or {"message": _cut(dict(read))}


def error_line(error: JsonValue) -> str | None:
    """Return an error on one line, such as `ValueError: card declined`; None where there is none."""
    shown = short_error(error)
    if shown is None:
        return None
    name = shown.get("name") or shown.get("type")
    return ": ".join(str(part) for part in (name, shown.get("message")) if part)


def _cut(value: Json) -> str:
    text = value if isinstance(value, str) else write_json(value).decode()
    return text if len(text) <= MESSAGE_MOST else text[: MESSAGE_MOST - 3] + "..."
