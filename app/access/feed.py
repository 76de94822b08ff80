"""The change feed as readers follow it: recent changes in memory, older ones from the database."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import islice
from typing import NamedTuple

from app.access.api_keys import TOPIC as KEYS
from app.db.engine import Database, Tx
from app.db.failures import DATABASE_FAILURES
from app.db.wakeups import Wakeups
from app.domain.changes import ToldChange, read_changes
from app.errors import ChangesForgotten, Unavailable
from app.store import changes as store

TOPIC = "changes"
"""On which new positions are told."""
RECENT_MOST = 5000
"""Changes that are kept in memory for who follows; who is further behind reads the database."""
ROWS_AT_ONCE = 20
"""Rows of the feed that are read together: each holds up to 500 changes."""
CHANGES_AT_ONCE = 500
READERS_MOST = 2000
PAUSE_A_READER = 0.0002
PAUSE_MOST = 0.2
"""Seconds between two rounds of waking: a thousand readers are woken five times a second, ten at once."""
LOOK_SECONDS = 0.5
"""How often it looks unasked: what tells of news may be lost."""


class Portion(NamedTuple):
    """Some changes in their order, without a gap."""

    changes: Sequence[ToldChange]
    last: int
    """Position of the last of them; where there are none, the position after which they were asked for."""


class Feed:
    """One for each process: reads each new change once, however many follow, and lets all of them go on."""

    def __init__(self, database: Database, wakeups: Wakeups) -> None:
        self._database = database
        self._wakeups = wakeups
        self._recent: deque[ToldChange] = deque(maxlen=RECENT_MOST)
        self._last: int | None = None
        """Position that has been read; None: nobody follows."""
        self._news = asyncio.Event()
        self._readers = 0
        self._following: asyncio.Task[None] | None = None
        self.stopping = asyncio.Event()
        """Set when the process is about to stop."""
        self.key_changes = 0
        """How often keys have changed: whoever reads for long asks again whether theirs is good."""

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Keep up with the feed during the block. Raises Unavailable where too many do."""
        if self._readers >= READERS_MOST:
            raise Unavailable(
                f"{READERS_MOST} readers follow the changes of this process already", retry_after_seconds=5
            )
        self._readers += 1
        if self._following is None:
            self._following = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            self._readers -= 1
            if not self._readers:
                self._stop_following()

    def _stop_following(self) -> None:
        if self._following is not None:
            self._following.cancel()
        self._following = self._last = None
        self._recent.clear()

    def has_news(self, after: int) -> bool:
        """Return whether changes behind ``after`` have been read."""
        return self._last is not None and self._last > after

    async def wait(self, after: int, seconds: float) -> None:
        """Return when there may be changes behind ``after``, when the process stops, or after ``seconds``."""
        if self.has_news(after) or self.stopping.is_set():
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()

    async def read(self, after: int) -> Portion:
        """Return some of the changes behind ``after``. Raises ChangesForgotten where they are not kept any more."""
        if self._last is not None and after >= self._last:
            return Portion((), after)
        if self._recent and self._recent[0].position <= after + 1:
            start = after + 1 - self._recent[0].position
            changes = [*islice(self._recent, start, start + CHANGES_AT_ONCE)]
            return Portion(changes, changes[-1].position if changes else after)
        async with self._database.reading() as tx:
            return await read_portion(tx, after)

    async def _follow(self) -> None:
        """Read what is new whenever somebody says so, and let everybody who waits go on."""
        with self._wakeups.waiting(TOPIC) as waiter, self._wakeups.waiting(KEYS) as keys:
            while True:
                before = (self._last, self.key_changes)
                try:
                    await self._catch_up()
                except DATABASE_FAILURES:
                    pass  # readers wait; it is told elsewhere that the database is away
                except ChangesForgotten as gone:
                    self._skip(gone.oldest)
                if keys.is_woken:
                    await keys.wait(0)
                    self.key_changes += 1
                if self._wakeups.draining:
                    self.stopping.set()
                if self.stopping.is_set() or before != (self._last, self.key_changes):
                    self._wake()
                    await asyncio.sleep(min(PAUSE_A_READER * self._readers, PAUSE_MOST))
                await waiter.wait(LOOK_SECONDS)

    async def _catch_up(self) -> None:
        async with self._database.reading() as tx:
            if self._last is None:
                self._last = (await store.get_reach(tx)).newest
            while changes := (await read_portion(tx, self._last)).changes:
                self._recent.extend(changes)
                self._last = changes[-1].position

    def _skip(self, oldest: int) -> None:
        """Go on where what is kept begins: each reader who stood before that learns of it when it reads."""
        self._recent.clear()
        self._last = oldest - 1

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


async def read_portion(tx: Tx, after: int) -> Portion:
    """Return some of the changes behind ``after``, from the database. Raises ChangesForgotten."""
    rows = await store.list_changes(tx, after, ROWS_AT_ONCE)
    if rows and rows[0].first_position > after + 1:
        raise ChangesForgotten(rows[0].first_position)
    changes = [change for row in rows for change in read_changes(row, after)]
    return Portion(changes, changes[-1].position if changes else after)


async def forget_old_changes(tx: Tx, keep_seconds: float, most: int) -> int:
    """Forget up to ``most`` rows of changes that are older than ``keep_seconds``; how many they were."""
    await store.lock_feed(tx)
    forgotten = await store.forget_changes(tx, keep_seconds, most)
    if forgotten:
        await store.move_oldest(tx, max(forgotten) + 1)
    return len(forgotten)
