"""What handlers print, and tell loggers, is written to the logs of their tasks too."""

import logging
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TextIO

from milepost.client.task_logs import TaskLog
from milepost.client.worker_logs import EventFormatter, fields_of
from milepost.schemas.logs import LogLevel


class Work:
    """The attempt that the running code works on."""

    def __init__(self, log: TaskLog, facts: Mapping[str, Any]) -> None:
        self.log = log
        self.facts = facts


CURRENT: ContextVar[Work | None] = ContextVar("milepost_work", default=None)
"""Each handler has its own, be it a thread or a task of the event loop."""
OWN = ("milepost", "httpx", "httpcore")
"""Loggers of what the worker does itself: sending a line must not write the next one."""
FACTS = ("task_id", "workflow_run_id", "attempt")
_lock = threading.Lock()
_users = 0


def current_work() -> Work | None:
    """Return what the running code works on; None where that is no handler."""
    work = CURRENT.get()
    return None if work is None else work


class CapturingHandler(logging.Handler):
    """Writes records of handlers to the logs of their tasks."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, unless it is none of a handler."""
        work = current_work()
        if work is None or record.name.partition(".")[0] in OWN:
            return
        try:
            said = {name: value for name, value in fields_of(record).items() if name not in FACTS}
            work.log.add(_text_of(record), level_of(record.levelno), {"logger": record.name, **said})
        except Exception:  # noqa: BLE001 - as logging has it: a line that cannot be written stops nobody
            self.handleError(record)


def level_of(number: int) -> LogLevel:
    """Return the level of a line for the number that `logging` has for it."""
    if number >= logging.ERROR:
        return LogLevel.error
    if number >= logging.WARNING:
        return LogLevel.warning
    return LogLevel.info if number >= logging.INFO else LogLevel.debug


def _text_of(record: logging.LogRecord) -> str:
    text = record.getMessage()
    if record.exc_info and record.exc_info[0] is not None:
        text = f"{text}\n{logging.Formatter().formatException(record.exc_info)}"
    return text


class WorkFilter(logging.Filter):
    """Lets every record through; those of handlers say from then on which task they are of."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True."""
        work = current_work()
        for name, fact in {} if work is None else work.facts.items():
            if not hasattr(record, name):
                setattr(record, name, fact)
        return True


class CapturedOutput:
    """Stands for standard output: what handlers write goes to the logs of their tasks too."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write to where it went before, and to the log of the task."""
        written = self.stream.write(text)
        if (work := current_work()) is not None:
            work.log.write(text)
        return written

    def writelines(self, lines: Any) -> None:
        """Write each of them."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def capturing(*, enabled: bool = True) -> Iterator[None]:
    """Capture what handlers print and log for the time of the block; several workers of a process share that."""
    global _users  # noqa: PLW0603 - there is one standard output, and one root of all loggers
    if not enabled:
        yield
        return
    with _lock:
        _users += 1
        if _users == 1:
            _install()
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _remove()


_handler = CapturingHandler()
_filter = WorkFilter()
_shown = logging.StreamHandler()
_filtered: list[logging.Handler] = []


def _install() -> None:
    root = logging.getLogger()
    if not root.handlers:  # nobody shows lines: Python itself would, as long as no handler is there
        _shown.setFormatter(EventFormatter())
        _shown.setStream(sys.stderr)
        _shown.setLevel(logging.WARNING)
        _shown.filters[:] = [_is_shown_here]
        root.addHandler(_shown)
    _filtered[:] = list(root.handlers)
    for handler in _filtered:
        handler.addFilter(_filter)
    root.addHandler(_handler)
    sys.stdout = CapturedOutput(sys.stdout)


def _is_shown_here(record: logging.LogRecord) -> bool:
    """Return whether nothing else shows the record: the worker's own lines may have their place."""
    return record.name.partition(".")[0] != "milepost" or not logging.getLogger("milepost").handlers


def _remove() -> None:
    root = logging.getLogger()
    root.removeHandler(_handler)
    root.removeHandler(_shown)
    for handler in _filtered:
        handler.removeFilter(_filter)
    if isinstance(sys.stdout, CapturedOutput):
        sys.stdout = sys.stdout.stream
