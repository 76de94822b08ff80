"""Runs the chores of the housekeeping: each in its own loop, bounded a round, in any number of replicas."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import structlog

from app.background.rounds import Job
from app.background.turns import Turns, pause_after
from app.db.engine import Database
from app.db.outages import describe_failure
from app.metrics import HOUSEKEEPING_AT, HOUSEKEEPING_FAILURES, HOUSEKEEPING_ROWS

ROUNDS_AT_ONCE = 4
"""How many chores are done at the same time: each takes one of the connections that requests need, too."""

log = structlog.get_logger()


class Housekeeping:
    """Keeps all chores going; a round that fails is logged, and tried again within a few seconds."""

    def __init__(self, database: Database, jobs: Sequence[Job]) -> None:
        self._database = database
        self._jobs = jobs
        self._turns = Turns()
        self._places = asyncio.Semaphore(ROUNDS_AT_ONCE)
        self._tasks: list[asyncio.Task[None]] = []
        self._done_at: dict[str, float] = {}
        self._news = {job.name: asyncio.Event() for job in jobs}

    def hurry(self, name: str) -> None:
        """End the pause of a chore: there is something for it to do."""
        self._news[name].set()

    def start(self) -> None:
        """Begin."""
        now = asyncio.get_running_loop().time()
        self._done_at = {job.name: now for job in self._jobs}
        self._tasks = [asyncio.create_task(self._repeat(job)) for job in self._jobs]

    async def stop(self) -> None:
        """End; a round under way is rolled back."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def overdue(self, seconds: float) -> list[str]:
        """Return the chores that have not had a successful round for longer than ``seconds`` beyond their pause."""
        now = asyncio.get_running_loop().time()
        return [job.name for job in self._jobs if now - self._done_at.get(job.name, 0) > job.pause_seconds + seconds]

    async def _repeat(self, job: Job) -> None:
        failures = 0
        while True:
            self._news[job.name].clear()
            try:
                async with self._turns.take(), self._places:
                    taken = await job.take_round(self._database)
            except Exception as failure:  # noqa: BLE001 - whatever it is, the next round comes
                failures += 1
                self._note_failure(job, failure, failures)
                await asyncio.sleep(pause_after(failures))
                continue
            failures = 0
            self._done_at[job.name] = asyncio.get_running_loop().time()
            HOUSEKEEPING_AT.labels(loop=job.name).set_to_current_time()
            HOUSEKEEPING_ROWS.labels(loop=job.name).inc(taken.rows)
            if not taken.is_full:
                await self._rest(job)

    async def _rest(self, job: Job) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(job.pause_seconds):
                await self._news[job.name].wait()

    def _note_failure(self, job: Job, failure: Exception, failures: int) -> None:
        """Count a round that failed, and log the first of several in a row; that the database is away is told once."""
        HOUSEKEEPING_FAILURES.labels(loop=job.name).inc()
        if failures == 1 and not self._database.outage.is_under_way:
            log.warning("housekeeping_failed", chore=job.name, error=describe_failure(failure))
