"""The log of `milepost worker`: one event a line with its fields, as JSON for machines or as text for a terminal."""

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches

from milepost.cli.exits import ExitCode, leave
from milepost.client.worker_logs import EventFormatter, fields_of

PREFIX = "MILEPOST_"
CHOICES: Mapping[str, tuple[str, ...]] = {
    "LOG_LEVEL": ("debug", "info", "warning", "error"),
    "LOG_FORMAT": ("json", "text"),
}
OF_WORKERS = ("URL", "API_KEY", "WORKFLOW_RUN_ID", *CHOICES)
"""The variables that a worker reads, without their prefix. There may be others beside them: those of the service."""


class JsonFormatter(logging.Formatter):
    """Writes an event as a JSON object: what happened, how important it is, when, and what was said of it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        said: dict[str, object] = {
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
            **fields_of(record),
        }
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said, default=repr)


def configure_logs(environment: Mapping[str, str] = os.environ) -> None:
    """Send all log lines to standard error as the environment asks for, or leave with what is wrong with it."""
    wrong = [*_misspelt(environment), *_unknown(environment)]
    if wrong:
        leave(ExitCode.CANNOT_START, "; ".join(wrong))
    form = environment.get(f"{PREFIX}LOG_FORMAT") or ("text" if sys.stderr.isatty() else "json")
    handler = logging.StreamHandler()
    handler.setFormatter(EventFormatter() if form == "text" else JsonFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel((environment.get(f"{PREFIX}LOG_LEVEL") or "info").upper())
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells of every call


def _misspelt(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield what is wrong with a name that is almost one of those that a worker reads."""
    for name in sorted(environment):
        short = name.upper().removeprefix(PREFIX)
        if name.upper().startswith(PREFIX) and short not in OF_WORKERS:
            for nearest in get_close_matches(short, OF_WORKERS, n=1):
                yield f"{name} is not a setting: did you mean {PREFIX}{nearest}?"


def _unknown(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield what is wrong with a value, without the value."""
    for name, choices in CHOICES.items():
        if environment.get(f"{PREFIX}{name}", "") not in ("", *choices):
            yield f"{PREFIX}{name}: must be one of {', '.join(choices)}"
