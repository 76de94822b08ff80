"""Tells the service of a job while it runs, and hears from it whether the job is to go on."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any

from milepost.cli.jobs.service import Away, Refused, Service
from milepost.cli.jobs.spool import Spool
from milepost.cli.jobs.story import RUNS, Story, tell

FIRST_SECONDS = 1.0
"""How long a job waits for its run at most."""
END_SECONDS = 10.0
"""How long its end waits for the service at most."""
SEND_SECONDS = 1.0
"""How often what was said is sent."""
LONGEST_PAUSE_SECONDS = 15.0
AGAIN_SECONDS = 0.2
WAIT_SECONDS = 30
WAIT_MOST = 60.0
CHANGES = "/v1/changes"
BEATS = 3
"""How many heartbeats are sent in the time in which one must arrive."""
OPEN = ("pending", "running")

Act = Callable[[], None]


class Reporter(threading.Thread):
    """Sends a story as it comes, and heartbeats."""

    def __init__(
        self, story: Story, heartbeat_seconds: float, *, ripen: Act, end_job: Act, warn: Callable[[str], None]
    ) -> None:
        super().__init__(daemon=True)
        self.answered = threading.Event()
        """Set when it is known whether there is a run."""
        self.over = threading.Event()
        """Set when all was told, or nothing more is tried."""
        self.is_told = False
        self._story = story
        self._service = Service(story.url)
        self._beat_seconds = heartbeat_seconds / BEATS
        self._beat_at = monotonic() + self._beat_seconds
        self._ripen, self._end_job, self._warn = ripen, end_job, warn
        self._finished = threading.Event()
        self._failures = 0
        self._watcher: Watcher | None = None

    def finish(self) -> None:
        """Send the rest: how the job ended is in the story."""
        self._finished.set()

    def run(self) -> None:
        """Send until the job has ended; then the rest, for some seconds if the service was there before."""
        while not self._finished.is_set():
            self._try(self._report)
            self.answered.set()
            self._finished.wait(self._pause())
        is_patient, until = not self._failures, monotonic() + END_SECONDS
        self.is_told = self._try(self._tell)
        while not self.is_told and is_patient and monotonic() < until:
            time.sleep(AGAIN_SECONDS)
            self.is_told = self._try(self._tell)
        if self.is_told:
            flush_spool(self._story.url)
        self.over.set()

    def _pause(self) -> float:
        """Return how long to wait: until more may have been said, or ever longer for a service that is away."""
        return min(LONGEST_PAUSE_SECONDS, self._beat_seconds, SEND_SECONDS * 2.0 ** max(0, min(self._failures, 9) - 1))

    def _try(self, act: Act) -> bool:
        try:
            act()
        except (Away, Refused) as error:
            self._failures += 1
            self._warn(str(error))
            return False
        self._failures = 0
        return True

    def _tell(self) -> None:
        self._ripen()
        tell(self._story, self._service, END_SECONDS / 2)
        if self._story.complaint is not None:
            self._warn(f"the monitor is not followed: {self._story.complaint}")

    def _report(self) -> None:
        """Tell what is known, and that the job goes on; begin to listen when it lasts longer."""
        if self._watcher is None and self._story.run_id is not None:
            self._watcher = Watcher(self._story, self._hear)
            self._watcher.start()
        self._tell()
        if monotonic() >= self._beat_at:
            self._beat_at = monotonic() + self._beat_seconds
            self._beat()

    def _beat(self) -> None:
        try:
            answer = self._service.call("POST", f"{RUNS}/{self._story.run_id}/heartbeat")
        except Refused as refusal:
            if refusal.may_pass:
                raise
            return
        if answer["status"] not in OPEN or answer["cancel_requested"]:
            self._hear(self._service.call("GET", f"{RUNS}/{self._story.run_id}"))

    def _hear(self, run: dict[str, Any]) -> None:
        """End the job of a run that somebody has ended; that heartbeats did not arrive is not its fault."""
        if (run["status"] not in OPEN and run["reason"] != "lost") or run["cancel_requested_at"]:
            self._end_job()


class Watcher(threading.Thread):
    """Hears at once when somebody ends a run, or asks it to stop; where that cannot be heard, heartbeats tell it."""

    def __init__(self, story: Story, hear: Callable[[dict[str, Any]], None]) -> None:
        super().__init__(daemon=True)
        self._service = Service(story.url)
        self._run = f"{RUNS}/{story.run_id}"
        self._changes = f"{CHANGES}?kind=workflow_run&workflow_run_id={story.run_id}"
        self._hear = hear

    def run(self) -> None:
        """Look at the run now, and whenever it changes, until it has ended."""
        since = ""
        while True:
            try:
                page = self._service.call("GET", self._changes + since, seconds=WAIT_MOST)
                since = f"&after={page['next_after']}&wait_seconds={WAIT_SECONDS}"
                run = self._service.call("GET", self._run)
            except Away:
                time.sleep(LONGEST_PAUSE_SECONDS)
                continue
            except Refused:
                return
            self._hear(run)
            if run["status"] not in OPEN:
                return


def flush_spool(url: str) -> None:
    """Tell what jobs before this one could not."""
    with suppress(OSError):
        Spool().flush(url, waits=False)
