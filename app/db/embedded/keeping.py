"""Starting an embedded Postgres again that was killed under its users."""

import threading
from collections.abc import Callable

import structlog

from app.db.embedded.errors import EmbeddedPostgresError

LOOK_SECONDS = 0.5
PAUSE_SECONDS = 5.0
"""After a start that failed: the disk may be full."""

log = structlog.get_logger()


class Keeper:
    """A thread that sees whether the server lives, and starts it again when it does not."""

    def __init__(self, lives: Callable[[], bool], start: Callable[[], None]) -> None:
        self._lives = lives
        self._start = start
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="embedded-postgres", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Return when it looks no more; a start under way is waited for."""
        self._stopping.set()
        self._thread.join()

    def _keep(self) -> None:
        pause = LOOK_SECONDS
        while not self._stopping.wait(pause):
            pause = LOOK_SECONDS if self._lives() or self._try_start() else PAUSE_SECONDS

    def _try_start(self) -> bool:
        log.error("embedded_postgres_gone")
        try:
            self._start()
        except (EmbeddedPostgresError, OSError) as failure:
            log.error("embedded_postgres_does_not_start", error=str(failure))  # noqa: TRY400 - it is told in words
            return False
        log.warning("embedded_postgres_started_again")
        return True
