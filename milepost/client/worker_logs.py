"""Lines of a worker for programs that have set up no logging of their own: one event a line, with its fields."""

import logging
from typing import Any

from milepost.lines import escape_text

_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class EventFormatter(logging.Formatter):
    """Writes the time, the event, and what was said of it: `12:00:00 task_failed task_name=charge attempt=1`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        """Return the line; values that hold blanks or quotes are written as Python writes them."""
        said = fields_of(record).items()
        fields = "".join(f" {name}={_write(value)}" for name, value in said if value is not None)
        return escape_text(super().formatMessage(record)) + fields

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the name is logging's
        """Return a traceback, of which no line can be taken for an event."""
        return "\n".join(f"    {escape_text(line)}" for line in super().formatException(ei).split("\n"))


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return what was said of an event besides its name."""
    return {name: value for name, value in vars(record).items() if name not in _OF_EVERY_RECORD}


def _write(value: object) -> str:
    text = str(value)
    return text if text and text.isprintable() and not set(text) & set(" '\"=") else repr(text)


def show_lines(log: logging.Logger) -> None:
    """Let ``log`` write to standard error, unless the program has set up where its lines go."""
    if log.hasHandlers():
        return
    handler = logging.StreamHandler()
    handler.setFormatter(EventFormatter())
    log.addHandler(handler)
    log.setLevel(logging.INFO)
