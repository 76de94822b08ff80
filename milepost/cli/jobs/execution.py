"""One command from its start to its exit code, and what is told of it meanwhile."""

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from milepost.cli.jobs.options import clean
from milepost.cli.jobs.output import Lines, Tail
from milepost.cli.jobs.process import OF_SIGNALS, CannotStart, Job
from milepost.cli.jobs.reporter import END_SECONDS, FIRST_SECONDS, Reporter
from milepost.cli.jobs.spool import Spool
from milepost.cli.jobs.story import Story

RUN_ID = "MILEPOST_WORKFLOW_RUN_ID"


class Clock:
    """Tells moments that only grow, whatever is done to the clock of the machine."""

    def __init__(self) -> None:
        self._began = datetime.now(UTC)
        self._counted_from = time.monotonic()

    def read(self) -> str:
        """Return what time it is."""
        passed = timedelta(seconds=time.monotonic() - self._counted_from)
        return (self._began + passed).isoformat().replace("+00:00", "Z")


class Execution:
    """A command, and the story that its run is told by."""

    def __init__(self, story: Story, command: Sequence[str]) -> None:
        self._story = story
        self._command = command
        self._clock = Clock()
        self._tail = Tail()
        self._output, self._errors = Lines("info", self._take), Lines("error", self._take)
        self._job = Job()
        self._reporter = Reporter(
            story,
            story.run["heartbeat_seconds"],
            ripen=self._ripen,
            end_job=self._job.end,
            warn=self._warn,
        )
        self._has_warned = False

    def run(self) -> NoReturn:
        """Run the command, tell of it, and end with its exit code; no thread is waited for."""
        keep_descriptors()
        self._job.take_signals()
        self._story.run["started_at"] = self._clock.read()
        self._reporter.start()
        self._reporter.answered.wait(FIRST_SECONDS)
        code, error = self._work()
        status = {"status": "completed"} if error is None else {"status": "failed", "error": error}
        self._story.finish({**status, "completed_at": self._clock.read()})
        self._reporter.finish()
        self._job.wait_unless_told(self._reporter.over, END_SECONDS)
        if not self._reporter.is_told:
            self._keep()
        os._exit(code)

    def _keep(self) -> None:
        """Keep for later what the service was not told."""
        try:
            Spool().keep(self._story)
        except OSError as error:
            self._warn(f"what happened cannot be kept: {error}")

    def _work(self) -> tuple[int, dict[str, Any] | None]:
        """Return the exit code, and what went wrong."""
        environment = dict(os.environ)
        if self._story.run_id is not None:
            environment[RUN_ID] = self._story.run_id
        try:
            code = self._job.run(self._command, environment, [self._hear_output, self._hear_errors])
        except CannotStart as problem:
            _write(str(problem))
            return problem.code, {"type": "ExitCode", "message": clean(str(problem)), "exit_code": problem.code}
        self._output.end()
        self._errors.end()
        return (code if code >= 0 else OF_SIGNALS - code), self._error_of(code)

    def _error_of(self, code: int) -> dict[str, Any] | None:
        if code == 0:
            return None
        tail = {"output_tail": self._tail.text()}
        if code > 0:
            return {"type": "ExitCode", "message": f"exit code {code}", "exit_code": code, **tail}
        name = _name_of(-code)
        return {"type": "Signal", "message": f"ended by {name}", "signal": name, **tail}

    def _hear_output(self, chunk: bytes) -> None:
        self._tail.add(chunk)
        self._output.add(chunk)

    def _hear_errors(self, chunk: bytes) -> None:
        self._tail.add(chunk)
        self._errors.add(chunk)

    def _take(self, text: str, level: str) -> None:
        self._story.add_line(text, level, self._clock.read())

    def _ripen(self) -> None:
        self._output.end_ripe()
        self._errors.end_ripe()

    def _warn(self, message: str) -> None:
        """Say once that the service does not hear of the job."""
        if not self._has_warned:
            self._has_warned = True
            _write(f"{message}; the command runs all the same")


def keep_descriptors() -> None:
    """Let no pipe become standard input, output or error where these are closed: they stay unusable."""
    for descriptor, wrong in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, wrong)
            os.set_inheritable(descriptor, True)


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _write(message: str) -> None:
    """Say something, if somebody hears it."""
    line = f"milepost: {' '.join(message.split())}\n"
    with suppress(OSError):
        os.write(2, line.encode(errors="surrogateescape"))
