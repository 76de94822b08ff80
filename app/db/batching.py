"""Concurrent calls of one kind share one transaction."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy.exc import DBAPIError

from app.db.engine import Database, Tx
from app.errors import Refusal
from app.metrics import BATCH_SIZE

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
Work = Callable[[Tx, Sequence[Item]], Awaitable[Sequence[Outcome | Refusal]]]
"""Does the work of all items in one transaction; gives each its outcome, or its refusal, in their order."""

ITEMS_MOST = 200


class Batcher(Generic[Item, Outcome]):
    """Calls that arrive while a batch is written go together into the next one; there is no timer.

    A call returns after the commit. When a batch as a whole fails, its items are tried one by one, so that each
    caller gets its own error; not so when the connection broke, for then nobody knows whether it was committed.
    """

    def __init__(self, database: Database, work: Work[Item, Outcome]) -> None:
        self._database = database
        self._work = work
        self._waiting: deque[tuple[Item, asyncio.Future[Outcome]]] = deque()
        self._flusher: asyncio.Task[None] | None = None
        self._sizes = BATCH_SIZE.labels(work=getattr(work, "__name__", "work"))

    async def __call__(self, item: Item) -> Outcome:
        """Return the outcome of ``item``, committed. Raises its Refusal."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._flusher is None:
            self._flusher = asyncio.create_task(self._flush_all())
        return await future

    async def _flush_all(self) -> None:
        try:
            while self._waiting:
                size = min(len(self._waiting), ITEMS_MOST)
                self._sizes.observe(size)
                await self._flush([self._waiting.popleft() for _ in range(size)])
        finally:
            self._flusher = None

    async def _flush(self, entries: Sequence[tuple[Item, asyncio.Future[Outcome]]]) -> None:
        try:
            async with self._database.transaction() as tx:
                outcomes = await self._work(tx, [item for item, _ in entries])
        except Exception as failure:  # noqa: BLE001 - whatever it is, it belongs to the callers
            if len(entries) > 1 and _left_nothing(failure):
                for entry in entries:
                    await self._flush([entry])
                return
            for _, future in entries:
                _settle(future, failure)
            return
        for (_, future), outcome in zip(entries, outcomes, strict=True):
            _settle(future, outcome)


def _left_nothing(failure: Exception) -> bool:
    """Return whether the transaction is known to be rolled back, and trying its items again may help."""
    if isinstance(failure, DBAPIError):
        return not failure.connection_invalidated
    return not isinstance(failure, OSError | TimeoutError)


def _settle(future: asyncio.Future[Any], outcome: Any) -> None:
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


class Batching:
    """One batcher for each kind of work, made on first use."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._batchers: dict[Work[Any, Any], Batcher[Any, Any]] = {}

    async def run(self, work: Work[Item, Outcome], item: Item) -> Outcome:
        """Do ``work`` on ``item`` together with the other calls of the moment. Raises its Refusal."""
        if (batcher := self._batchers.get(work)) is None:
            batcher = self._batchers[work] = Batcher(self._database, work)
        outcome: Outcome = await batcher(item)
        return outcome
