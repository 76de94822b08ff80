"""Gives committed changes their places in the feed."""

import asyncio
from contextlib import suppress

import structlog

from app.access.feed import TOPIC
from app.db.engine import Database
from app.db.outages import describe_failure
from app.db.wakeups import Wakeups
from app.store.changes import ROWS_NUMBERED_MOST, number_changes

PAUSE_SECONDS = 0.03
"""Between two rounds: what is committed meanwhile gets its positions together, by one commit."""
LOOK_SECONDS = 0.5
"""How often it looks unasked: a replica may die between the commit of a change and its numbering."""
FAILED_SECONDS = 1.0

log = structlog.get_logger()


class Numbering:
    """Numbers what this process commits soon after, and what others left behind; any number may do so at once."""

    def __init__(self, database: Database, wakeups: Wakeups) -> None:
        self._database = database
        self._wakeups = wakeups
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def hurry(self) -> None:
        """Say that something was committed."""
        self._news.set()

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._repeat())

    async def stop(self) -> None:
        """Number what this process has committed, and end."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with suppress(Exception):
            await self._number()

    async def _repeat(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._news.wait()
            self._news.clear()
            try:
                await self._number()
            except Exception as failure:  # noqa: BLE001 - whatever it is, the next round comes
                if not self._database.outage.is_under_way:
                    log.warning("numbering_failed", error=describe_failure(failure))
                await asyncio.sleep(FAILED_SECONDS)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _number(self) -> None:
        async with self._database.reading() as tx:
            newest = await number_changes(tx, ROWS_NUMBERED_MOST)
        if newest is not None:
            self._news.set()  # there may be more than one round takes
            self._wakeups.publish({TOPIC})
