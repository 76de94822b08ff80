"""Runs the chores of the housekeeping: each in its own loop, bounded a round, in any number of replicas."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from app.db.engine import Database, Tx
from app.metrics import HOUSEKEEPING_AT, HOUSEKEEPING_FAILURES, HOUSEKEEPING_ROWS

ROWS_PER_ROUND = 500

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Chore:
    """Something to be done again and again."""

    name: str
    work: Callable[[Tx, int], Awaitable[int]]
    """Does up to so many rows in one transaction; how many it did."""
    pause_seconds: float
    """How long to rest when nothing was left to do."""


class Housekeeping:
    """Keeps all chores going; a failing round is logged and tried again after the pause."""

    def __init__(self, database: Database, chores: Sequence[Chore]) -> None:
        self._database = database
        self._chores = chores
        self._tasks: list[asyncio.Task[None]] = []
        self._done_at: dict[str, float] = {}

    def start(self) -> None:
        """Begin."""
        now = asyncio.get_running_loop().time()
        self._done_at = {chore.name: now for chore in self._chores}
        self._tasks = [asyncio.create_task(self._repeat(chore)) for chore in self._chores]

    async def stop(self) -> None:
        """End; a round under way is rolled back."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def overdue(self, seconds: float) -> list[str]:
        """Return the chores that have not had a successful round for longer than ``seconds`` beyond their pause."""
        now = asyncio.get_running_loop().time()
        return [c.name for c in self._chores if now - self._done_at.get(c.name, 0) > c.pause_seconds + seconds]

    async def _repeat(self, chore: Chore) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            done = 0
            try:
                async with self._database.transaction() as tx:
                    done = await chore.work(tx, ROWS_PER_ROUND)
                self._done_at[chore.name] = clock()
                HOUSEKEEPING_AT.labels(loop=chore.name).set_to_current_time()
                HOUSEKEEPING_ROWS.labels(loop=chore.name).inc(done)
            except Exception as failure:  # noqa: BLE001 - whatever it is, the next round comes
                HOUSEKEEPING_FAILURES.labels(loop=chore.name).inc()
                log.warning("housekeeping_failed", chore=chore.name, error=str(failure).splitlines()[:1])
            if done < ROWS_PER_ROUND:
                await asyncio.sleep(chore.pause_seconds)
