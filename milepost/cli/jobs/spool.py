"""What could not be told, kept in files of the user, and telling it later: once, whoever begins it how often."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from milepost.cli.jobs.service import Away, Refused, Service
from milepost.cli.jobs.story import Story, tell

CALL_SECONDS = 10.0
KEPT, REFUSED = ".json", ".refused"


@dataclass
class Flushed:
    """What became of what was kept."""

    sent: int = 0
    away: int = 0
    refused: int = 0
    last_complaint: str = ""


class Spool:
    """A directory of stories, one a file."""

    def __init__(self) -> None:
        from platformdirs import user_state_path  # noqa: PLC0415 - it takes as long to load as a job to run

        self.directory = user_state_path("milepost") / "spool"

    def keep(self, story: Story) -> None:
        """Keep what is left of a story. Raises OSError."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._write(self.directory / f"{time.time_ns()}-{uuid4()}{KEPT}", story)

    def _write(self, place: Path, story: Story) -> None:
        draft = place.with_suffix(f".{os.getpid()}.draft")
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123
                json.dump(story.to_json(), file)
                file.flush()
                os.fsync(file.fileno())
            draft.rename(place)
        except OSError:
            draft.unlink(missing_ok=True)
            raise

    def names(self, suffix: str = KEPT) -> list[str]:
        """Return the names of what is kept, oldest first."""
        with suppress(OSError):
            return sorted(entry.name for entry in os.scandir(self.directory) if entry.name.endswith(suffix))
        return []

    def flush(self, url: str, *, waits: bool) -> Flushed:
        """Tell what is kept, each to the service that it was meant for; the key goes to ``url`` alone.

        While another does that, this one ``waits``, or has nothing to do. Raises OSError.
        """
        flushed = Flushed()
        if not self.names():
            return flushed
        with self._alone(waits=waits) as is_alone:
            services: dict[str, Service | None] = {}
            for name in self.names() if is_alone else []:
                self._tell(self.directory / name, url.rstrip("/"), services, flushed)
        return flushed

    @contextmanager
    def _alone(self, *, waits: bool) -> Iterator[bool]:
        lock = os.open(self.directory / "lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield _lock(lock, waits=waits)
        finally:
            os.close(lock)

    def _tell(self, place: Path, url: str, services: dict[str, Service | None], flushed: Flushed) -> None:
        """Tell one story, and forget it; a service that was away once is not asked again."""
        try:
            story = Story.from_json(json.loads(place.read_bytes()))
            service = services.setdefault(story.url, Service(story.url, has_key=story.url == url))
        except (ValueError, TypeError, KeyError, AttributeError):
            self._set_aside(place, flushed, f"{place} cannot be read")
            return
        if service is None:
            flushed.away += 1
            return
        try:
            tell(story, service, CALL_SECONDS)
            place.unlink()
            flushed.sent += 1
        except Refused as refusal:
            if refusal.may_pass:
                self._leave(place, story, services, flushed, refusal)
            else:
                self._set_aside(place, flushed, str(refusal))
        except Away as error:
            self._leave(place, story, services, flushed, error)

    def _leave(
        self, place: Path, story: Story, services: dict[str, Service | None], flushed: Flushed, error: Exception
    ) -> None:
        """Keep what is left of a story."""
        services[story.url] = None
        flushed.away += 1
        flushed.last_complaint = str(error)
        self._write(place, story)

    def _set_aside(self, place: Path, flushed: Flushed, complaint: str) -> None:
        """Put a story where nobody sends it, but everybody can read it."""
        flushed.refused += 1
        flushed.last_complaint = complaint
        place.rename(place.with_suffix(REFUSED))


def _lock(descriptor: int, *, waits: bool) -> bool:
    """Return whether nobody else has the lock; it is given back when the file is closed, or the process is killed."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True
