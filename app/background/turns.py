"""Pauses after failures: of one chore, and of all while the database is away."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.db.failures import DATABASE_FAILURES, may_be_of_one

FIRST_PAUSE_SECONDS = 0.25
LAST_PAUSE_SECONDS = 3.0


def pause_after(failures: int) -> float:
    """Return how many seconds to wait after so many failures in a row: longer each time, and a part left to chance."""
    pause = min(FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 10), LAST_PAUSE_SECONDS)
    return pause * random.uniform(0.6, 1.0)  # noqa: S311 - chance, not a secret


class Turns:
    """While the database is away, the rounds of all chores take turns to look whether it is back."""

    def __init__(self) -> None:
        self._failures = 0
        self._look_at = 0.0
        self._turns = asyncio.Lock()

    @property
    def lasts(self) -> bool:
        """Return whether the last round that was tried found no database."""
        return self._failures > 0

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Let a round be tried, as soon as it is its turn."""
        if not self.lasts:
            async with self._watch():
                yield
            return
        async with self._turns:
            await self._wait()
            async with self._watch():
                yield

    async def _wait(self) -> None:
        if self.lasts:
            await asyncio.sleep(max(0.0, self._look_at - asyncio.get_running_loop().time()))

    @asynccontextmanager
    async def _watch(self) -> AsyncIterator[None]:
        try:
            yield
        except DATABASE_FAILURES as failure:
            if not may_be_of_one(failure):
                self._failures += 1
                self._look_at = asyncio.get_running_loop().time() + pause_after(self._failures)
            raise
        self._failures = 0
