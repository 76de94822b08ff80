"""The log says what happened, in lines that no caller can write."""

import subprocess
import sys

from tests.processes import ROOT, environment

PROGRAM = """
import logging
import structlog
from app.logs import configure_logs
from app.settings import Settings

configure_logs(Settings())
text = "a\\n2026-01-01T00:00:00Z [info     ] forged\\x1b[2J\\x9b\\r\\u2028\\u202e\\x00"
structlog.get_logger().warning("told", path=text, places=[text], error=ValueError(text))
logging.getLogger("another").warning("said %s", text)
try:
    secret = "hunter2"
    raise ValueError(text)
except ValueError:
    structlog.get_logger().exception("failed", path=text)
"""
EVENTS = ("told", "said", "failed")


def log_of_program(log_format: str) -> str:
    """Return what the program logs in this form."""
    command = [sys.executable, "-c", PROGRAM]
    ended = subprocess.run(
        command, env=environment({"log_format": log_format}), cwd=ROOT, capture_output=True, check=True, timeout=180
    )
    return ended.stderr.decode()


class TestLogs:
    def test_text_of_a_caller_begins_no_line_and_moves_no_cursor(self) -> None:
        log = log_of_program("text")
        lines = [line for line in log.split("\n") if line and not line.startswith(" ")]
        assert len(lines) == len(EVENTS), log
        assert all(event in line for event, line in zip(EVENTS, lines, strict=True))
        assert all(line.isprintable() for line in log.split("\n")), log
        assert "forged" in log

    def test_json_is_one_line_an_event(self) -> None:
        log = log_of_program("json")
        assert len(log.splitlines()) == len(EVENTS)
        assert all(line.isprintable() for line in log.split("\n")), log

    def test_traceback_shows_no_local_variables(self) -> None:
        for log_format in ("text", "json"):
            log = log_of_program(log_format)
            assert "ValueError" in log
            assert "hunter2" not in log.replace('secret = \\"hunter2\\"', "").replace('secret = "hunter2"', "")
