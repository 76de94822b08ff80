"""Concurrent calls of one kind share one transaction."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from app.db.engine import Database, Tx
from app.db.failures import is_worth_another_try, may_be_of_one
from app.errors import Refusal
from app.metrics import BATCH_SIZE

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
Work = Callable[[Tx, Sequence[Item]], Awaitable[Sequence[Outcome | Refusal]]]
"""Does the work of all items in one transaction; gives each its outcome, or its refusal, in their order."""

Entry = tuple[Item, asyncio.Future[Outcome]]
"""What a caller asked for, and where it waits for the answer."""

ITEMS_MOST = 200
WHOLE_MOST = 16
"""How many are read as a whole by one batch: each may come to some MB, and all are in memory at once."""
WARY_BATCHES = 100
"""How many batches look before they leap after one that lost to another transaction: it will not be the last."""
TRIES_MOST = 5
"""How often a batch is tried that loses to other transactions, before its items are tried one by one."""


class Batcher(Generic[Item, Outcome]):
    """Calls that arrive while a batch is written go together into the next one; there is no timer.

    A call returns after the commit. When a batch as a whole fails, its items are tried one by one, so that each
    caller gets its own error; not so when the connection broke, for then nobody knows whether it was committed, nor
    when the database is away or full, for then each try would only take its time.
    """

    def __init__(self, database: Database, work: Work[Item, Outcome], most: int = ITEMS_MOST) -> None:
        self._database = database
        self._work = work
        self._most = most
        self._waiting: deque[Entry[Item, Outcome]] = deque()
        self._flusher: asyncio.Task[None] | None = None
        self._wary_batches = 0
        self._sizes = BATCH_SIZE.labels(work=getattr(work, "__name__", "work").lstrip("_"))

    async def __call__(self, item: Item) -> Outcome:
        """Return the outcome of ``item``, committed. Raises its Refusal, and TimeoutError when it waits too long.

        Its time counts from now, also while an earlier batch has not ended.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()
        self._waiting.append((item, future))
        if self._flusher is None:
            self._flusher = asyncio.create_task(self._flush_all())
        timer = loop.call_later(self._database.timeout_seconds, _end_waiting, future)  # a third of `asyncio.timeout`
        try:
            return await future
        finally:
            timer.cancel()

    async def _flush_all(self) -> None:
        try:
            while self._waiting:
                size = min(len(self._waiting), self._most)
                taken = (self._waiting.popleft() for _ in range(size))
                if entries := [entry for entry in taken if not entry[1].done()]:
                    self._sizes.observe(len(entries))
                    await self._flush(entries)
        finally:
            self._flusher = None
            _let_go(self._waiting)

    async def _flush(self, entries: Sequence[Entry[Item, Outcome]]) -> None:
        try:
            failure = await self._write(entries)
            if failure is not None and len(entries) > 1 and may_be_of_one(failure):
                failure = await self._write_one_by_one(entries)
            for _, future in entries:
                _settle(future, failure)
        finally:
            _let_go(entries)

    async def _write_one_by_one(self, entries: Sequence[Entry[Item, Outcome]]) -> Exception | None:
        """Return the failure that those get who were not tried any more; the others have their own."""
        for entry in entries:
            failure = await self._write([entry])
            if failure is not None and not may_be_of_one(failure):
                return failure
            _settle(entry[1], failure)
        return None

    async def _write(self, entries: Sequence[Entry[Item, Outcome]]) -> Exception | None:
        """Write ``entries``, again if another transaction won; return the failure if that did not help."""
        self._wary_batches = max(0, self._wary_batches - 1)
        for _ in range(TRIES_MOST):
            failure = await self._write_once(entries)
            if failure is None or not is_worth_another_try(failure):
                break
            self._wary_batches = WARY_BATCHES
        return failure

    async def _write_once(self, entries: Sequence[Entry[Item, Outcome]]) -> Exception | None:
        """Do the work of ``entries`` in one transaction and settle them; return the failure if it was rolled back."""
        try:
            async with self._database.transaction(is_wary=self._wary_batches > 0, is_promise=True) as tx:
                outcomes = await self._work(tx, [item for item, _ in entries])
                settled = list(zip(entries, outcomes, strict=True))
                tx.is_promise = tx.is_promise and not all(isinstance(outcome, Refusal) for outcome in outcomes)
        except Exception as failure:  # noqa: BLE001 - whatever it is, it belongs to the callers
            return failure
        for (_, future), outcome in settled:
            _settle(future, outcome)
        return None


def _end_waiting(future: asyncio.Future[Any]) -> None:
    _settle(future, TimeoutError())


def _let_go(entries: Iterable[Entry[Any, Any]]) -> None:
    """Cancel who was not answered: the process is ending, and nobody else will answer."""
    for _, future in entries:
        future.cancel()


def _settle(future: asyncio.Future[Any], outcome: Any) -> None:
    """Answer a caller who still waits for it, once."""
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

    def batcher_of(self, work: Work[Item, Outcome], most: int) -> Batcher[Item, Outcome]:
        """Return what collects the calls of ``work``, up to ``most`` at a time."""
        batcher: Batcher[Item, Outcome] | None = self._batchers.get(work)
        if batcher is None:
            batcher = self._batchers[work] = Batcher(self._database, work, most)
        return batcher


@dataclass(frozen=True, slots=True)
class Batched(Generic[Item, Outcome]):
    """A function for one caller, whose calls of the moment are done together."""

    work: Work[Item, Outcome]
    """Does it for all of them."""
    most: int
    """How many are done together."""

    def __call__(self, batching: Batching, item: Item) -> Awaitable[Outcome]:
        """Return the outcome of ``item``, committed. Raises its Refusal."""
        return batching.batcher_of(self.work, self.most)(item)


def batched(work: Work[Item, Outcome], most: int = ITEMS_MOST) -> Batched[Item, Outcome]:
    """Return the function for one caller that lets ``work`` do what up to ``most`` ask for at the same time."""
    return Batched(work, most)
