"""What is to be told of one job, in its order, and telling it: once, however often that is begun."""

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from milepost.cli.jobs.service import Away, Refused, Service

RUNS = "/v1/workflow-runs"
MONITORS = "/v1/monitors"
FORBIDDEN = 403
LINES_A_CALL = 1000
CALL_BYTES = 256 * 1024
LINE_BYTES = 100
"""What a line takes beside its text."""
LINES_MOST = 20_000
BYTES_MOST = 8 * 1024 * 1024
"""What is kept at most that is not told yet; further lines are dropped, and counted."""

KEPT = ("url", "run", "monitor", "keeps_name", "key", "is_asked", "run_id", "end")

Line = dict[str, str]


@dataclass
class Part:
    """Lines that are sent by one call, and known by their key when they are sent again."""

    lines: list[Line]
    key: str = field(default_factory=lambda: str(uuid4()))


@dataclass
class Story:
    """What a service has not been told yet; its members change under its lock alone."""

    url: str
    run: dict[str, Any]
    """The body that creates the run."""
    monitor: str | None = None
    """Monitor whose workflow name and tags the run is to have, as long as these are not known."""
    keeps_name: bool = False
    """Whether the run has a workflow name of its own all the same."""
    complaint: str | None = None
    """Why the monitor could not be had."""
    key: str = field(default_factory=lambda: str(uuid4()))
    is_asked: bool = False
    """Whether the run may have been created: then the same is asked for again."""
    run_id: str | None = None
    parts: deque[Part] = field(default_factory=deque)
    """Lines that are not known to have arrived, the first of which may be under way."""
    lines: deque[Line] = field(default_factory=deque)
    """Lines that come after them."""
    end: dict[str, Any] | None = None
    """The body that ends the run."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    _size: int = 0
    _dropped: int = 0

    def add_line(self, text: str, level: str, at: str) -> None:
        """Take a line, as long as there is room for it."""
        with self.lock:
            size = len(text) + LINE_BYTES
            if len(self.lines) >= LINES_MOST or self._size + size > BYTES_MOST:
                self._dropped += 1
                return
            self._tell_dropped(at)
            self.lines.append({"text": text, "level": level, "at": at})
            self._size += size

    def finish(self, end: dict[str, Any]) -> None:
        """Take how the job has ended; no line follows."""
        with self.lock:
            self._tell_dropped(end["completed_at"])
            self.end = end

    def _tell_dropped(self, at: str) -> None:
        if self._dropped:
            text = f"{self._dropped} lines were dropped here: they could not be sent in time"
            self.lines.append({"text": text, "level": "warning", "at": at})
            self._dropped = 0

    def next_part(self) -> Part | None:
        """Return the lines that are sent next: the same again, as long as they are not known to have arrived."""
        with self.lock:
            if not self.parts and self.lines:
                self._cut_part()
            return self.parts[0] if self.parts else None

    def _cut_part(self) -> None:
        lines: list[Line] = []
        left = CALL_BYTES
        while self.lines and left > 0 and len(lines) < LINES_A_CALL:
            lines.append(self.lines.popleft())
            self._size -= len(lines[-1]["text"]) + LINE_BYTES
            left -= len(lines[-1]["text"]) + LINE_BYTES
        self.parts.append(Part(lines))

    def to_json(self) -> dict[str, Any]:
        """Return what is left to be told, with the keys that it is known by."""
        with self.lock:
            while self.lines:
                self._cut_part()
            kept = {name: getattr(self, name) for name in KEPT}
            return {**kept, "parts": [{"key": part.key, "lines": part.lines} for part in self.parts]}

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> "Story":
        """Return a story that was kept. Raises TypeError, ValueError, KeyError for what is none."""
        parts = deque(Part(**part) for part in kept["parts"])
        return cls(**{**kept, "parts": parts})

    def follow(self, monitor: dict[str, Any]) -> None:
        """Let the run be one that its monitor waits for."""
        with self.lock:
            name = self.run["workflow_name"] if self.keeps_name else monitor["workflow_name"]
            tags = {**self.run["tags"], **monitor["tags"]}
            self.run = {**self.run, "workflow_name": name, "tags": tags}
            self.monitor = None

    def do_without_monitor(self, why: str) -> None:
        """Let the run be as it was given."""
        with self.lock:
            self.monitor, self.complaint = None, why

    def creation(self) -> dict[str, Any]:
        """Return the body that creates the run: with its end, if that is known before the run was ever asked for."""
        with self.lock:
            if not self.is_asked and self.end is not None:
                self.run, self.end = {**self.run, **self.end}, None
            self.is_asked = True
            return self.run


def tell(story: Story, service: Service, seconds: float) -> None:
    """Tell all that is known so far; each call takes ``seconds`` at most. Raises Away, Refused.

    What has come between and is final counts: a run that others have ended, or deleted, stays as it is.
    """
    if story.monitor is not None:
        _follow(story, service, seconds)
    if story.run_id is None:
        _create(story, service, seconds)
    while (part := story.next_part()) is not None:
        _pass_by(service, "POST", f"{RUNS}/{story.run_id}/logs", {"lines": part.lines}, part.key, seconds)
        with story.lock:
            story.parts.popleft()
    if story.end is not None:
        _pass_by(service, "PATCH", f"{RUNS}/{story.run_id}", story.end, None, seconds)
        with story.lock:
            story.end = None


def _follow(story: Story, service: Service, seconds: float) -> None:
    try:
        story.follow(service.call("GET", f"{MONITORS}/{story.monitor}", seconds=seconds))
    except Refused as refusal:
        if refusal.may_pass and refusal.status != FORBIDDEN:
            raise
        story.do_without_monitor(str(refusal))


def _create(story: Story, service: Service, seconds: float) -> None:
    was_asked = story.is_asked
    try:
        created = service.call("POST", RUNS, story.creation(), key=story.key, seconds=seconds)
    except Away as error:
        with story.lock:
            story.is_asked = was_asked or error.may_have_arrived
        raise
    with story.lock:
        story.run_id = str(created["workflow_run_id"])


def _pass_by(service: Service, method: str, path: str, body: Any, key: str | None, seconds: float) -> None:
    """Call the service; what it will never take is given up."""
    try:
        service.call(method, path, body, key=key, seconds=seconds)
    except Refused as refusal:
        if refusal.may_pass:
            raise
