"""Log lines: one event a line with its fields, as JSON for machines or as text for a terminal."""

import logging
import sys
import traceback
from typing import Any, TextIO

import structlog

from app.settings import LogFormat, Settings
from milepost.lines import escape_text


def logs_as_text(settings: Settings) -> bool:
    """Return whether a person reads the log."""
    return settings.log_format is LogFormat.text or (settings.log_format is None and sys.stderr.isatty())


def configure_logs(settings: Settings) -> None:
    """Send all log lines to standard error, in the form that ``settings`` (or a terminal) ask for."""
    as_text = logs_as_text(settings)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
    ]
    renderer: list[structlog.typing.Processor] = (
        [
            _escape_texts,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_write_traceback),
        ]
        if as_text
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer]
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level.upper())
    logging.getLogger("alembic").setLevel("WARNING")
    logging.getLogger("uvicorn").setLevel("WARNING")
    structlog.configure(
        processors=[*shared[:-1], structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _escape_texts(_logger: object, _method: str, event: Any) -> Any:
    """Let no text of a caller end a line of the log, or tell the terminal what to do."""
    return {name: escape_text(value) if isinstance(value, str) else value for name, value in event.items()}


def _write_traceback(out: TextIO, error: Any) -> None:
    """Write how an error came about, without local variables; only what begins a line without a blank is an event."""
    lines = "".join(traceback.format_exception(*error)).rstrip().split("\n")
    out.writelines(f"\n    {escape_text(line)}" for line in lines)
