"""Chores, and what one round of them does: all rows that are due together, or fewer where one of them fails."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, Protocol, TypeVar
from uuid import UUID

import structlog

from app.db.engine import Database, Tx
from app.db.failures import (
    is_hopeless,
    is_of_schema,
    is_too_slow,
    is_worth_another_try,
    may_be_of_one,
)
from app.db.outages import describe_failure
from app.metrics import GIVEN_UP, SET_ASIDE
from app.store import set_aside_rows as store

ROWS_PER_ROUND = 500
ROUND_SECONDS = 8.0
"""How long a round may take: less than what makes a chore overdue."""
PARTS = 8
"""Into how many parts rows are split that have failed together."""
FAILURES_MOST = 12
"""How often a row may fail alone, over about half an hour, before it is ended: a mistake of ours may be mended."""

K = TypeVar("K")

log = structlog.get_logger()


class Taken(NamedTuple):
    """What a round has done."""

    rows: int
    is_full: bool = False
    """There may be more: the next round follows at once."""


class Job(Protocol):
    """Something to be done again and again, in rounds."""

    @property
    def name(self) -> str:
        """What logs, metrics and probes call it."""

    @property
    def pause_seconds(self) -> float:
        """How long to rest when nothing was left to do."""

    async def take_round(self, database: Database) -> Taken:
        """Do what there is to do, up to a limit."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """A chore that is about no row in particular."""

    name: str
    work: Callable[[Tx, int], Awaitable[int]]
    """Does up to so many rows in one transaction; how many it did."""
    pause_seconds: float

    async def take_round(self, database: Database) -> Taken:
        """Do up to a round of rows."""
        async with database.transaction() as tx:
            done = await self.work(tx, ROWS_PER_ROUND)
        return Taken(done, done >= ROWS_PER_ROUND)


@dataclass(slots=True)
class Chore(Generic[K]):
    """A chore that does rows which are due, each with a key.

    A round does them in one transaction. When that fails by something that may be of a row, they are done in parts,
    down to the one row that fails: it is set aside, so that it stops no other, and ended where it cannot succeed.
    """

    name: str
    find: Callable[[Tx, int], Awaitable[Sequence[K]]]
    """Keys of up to so many rows that are due, without those that are set aside."""
    work: Callable[[Tx, Sequence[K]], Awaitable[int]]
    """Does those of the rows that (still) are due; how many things it did."""
    end: Callable[[Tx, K, str], Awaitable[None]]
    """Ends a row for good, without needing what fails in it; told why."""
    pause_seconds: float
    rows_most: int = ROWS_PER_ROUND
    read_key: Callable[[str], Any] = UUID
    """Reads the text of a key."""
    each_alone: bool = False
    """Whether each row is done in a transaction of its own: what is locked for it is held no longer."""
    _most: int = field(init=False)
    """Of the next round: fewer after one that failed."""

    def __post_init__(self) -> None:
        """Begin with full rounds."""
        self._most = self.rows_most

    async def take_round(self, database: Database) -> Taken:
        """Do what is due, up to a round of rows. Raises what no row is to blame for.

        Most rounds find nothing: they look without a transaction, in one round trip.
        """
        async with asyncio.timeout(ROUND_SECONDS), database.reading() as tx:
            keys = await self.find(tx, self._most)  # not one row: it may be found and then left out
        if not keys:
            return Taken(0)
        if self.each_alone:
            return await self._do_each(database, keys)
        keys = ()
        try:
            async with asyncio.timeout(ROUND_SECONDS), database.transaction() as tx:
                keys = await self.find(tx, self._most)
                done = await self.work(tx, keys) if keys else 0
        except Exception as failure:
            if not keys or not _may_be_of_a_row(failure):
                raise
            return await self._narrow_down(database, keys, failure)
        is_full = len(keys) >= self._most or done >= ROWS_PER_ROUND
        self._most = min(self.rows_most, 2 * self._most)
        return Taken(done, is_full)

    async def _narrow_down(self, database: Database, keys: Sequence[K], failure: Exception) -> Taken:
        """Do rows that have failed together in smaller and smaller parts, until the one is alone that fails.

        What took too long is not tried again as a whole: the next round takes fewer rows. What is not reached in time
        is left to the next round as well.
        """
        if is_too_slow(failure) and self._most > 1:
            self._most = max(1, min(self._most, len(keys)) // PARTS)
            return Taken(0, is_full=True)
        done = 0
        clock = asyncio.get_running_loop().time
        ends_at = clock() + ROUND_SECONDS
        left = [(keys, failure)]
        while left and clock() < ends_at:
            failed, failure = left.pop()
            if len(failed) == 1:
                await self._set_aside(database, failed[0], failure)
                continue
            for part in _split(failed):
                try:
                    done += await self._do(database, part)
                except Exception as failure_of_part:
                    if not _may_be_of_a_row(failure_of_part):
                        raise
                    left.append((part, failure_of_part))
        return Taken(done, is_full=True)

    async def _do_each(self, database: Database, keys: Sequence[K]) -> Taken:
        """Do rows one after the other; what is not reached in time is left to the next round."""
        done = 0
        clock = asyncio.get_running_loop().time
        ends_at = clock() + ROUND_SECONDS
        for key in keys:
            try:
                done += await self._do(database, [key])
            except Exception as failure:
                if not _may_be_of_a_row(failure):
                    raise
                await self._set_aside(database, key, failure)
            if clock() > ends_at:
                break
        return Taken(done, is_full=done > 0)

    async def _do(self, database: Database, keys: Sequence[K]) -> int:
        async with asyncio.timeout(ROUND_SECONDS), database.transaction() as tx:
            return await self.work(tx, keys)

    async def do_alone(self, database: Database, key: K) -> None:
        """Do one row that was set aside; it stays that, or is ended, if it fails."""
        try:
            async with asyncio.timeout(ROUND_SECONDS), database.transaction() as tx:
                await self.work(tx, [key])
                await store.forget(tx, self.name, str(key))
        except Exception as failure:
            if not _may_be_of_a_row(failure):
                raise
            await self._set_aside(database, key, failure)

    async def _set_aside(self, database: Database, key: K, failure: Exception) -> None:
        """Leave a row out that has failed alone, for a pause that grows; end one that cannot succeed."""
        if is_worth_another_try(failure):  # it only lost to another transaction
            return
        error = describe_failure(failure)
        async with database.transaction() as tx:
            failures = await store.set_aside(tx, self.name, str(key), error)
        log.warning("row_set_aside", chore=self.name, row=str(key), failures=failures, error=error)
        if is_hopeless(failure) or (failures >= FAILURES_MOST and not is_too_slow(failure)):
            await self._end(database, key, error)

    async def _end(self, database: Database, key: K, error: str) -> None:
        try:
            async with database.transaction() as tx:
                await self.end(tx, key, f"{self.name} could not be done: {error}")
                await store.forget(tx, self.name, str(key))
        except Exception as failure:
            if not _may_be_of_a_row(failure):
                raise
            log.error("row_cannot_be_ended", chore=self.name, row=str(key), error=describe_failure(failure))  # noqa: TRY400 - the failure is of the row
        else:
            GIVEN_UP.labels(loop=self.name).inc()
            log.error("row_given_up", chore=self.name, row=str(key), error=error)


def _may_be_of_a_row(failure: Exception) -> bool:
    return is_too_slow(failure) or (may_be_of_one(failure) and not is_of_schema(failure))


def _split(keys: Sequence[K]) -> Iterator[Sequence[K]]:
    size = max(1, len(keys) // PARTS)
    return (keys[start : start + size] for start in range(0, len(keys), size))


@dataclass(frozen=True, slots=True)
class Retries:
    """Tries the rows again that other chores have set aside, each alone."""

    chores: Sequence[Chore[Any]]
    pause_seconds: float
    name: str = "retry_set_aside_rows"

    async def take_round(self, database: Database) -> Taken:
        """Try a row again that was set aside, when its pause is over."""
        async with database.reading() as tx:
            amounts = await store.count_by_chore(tx)
        for chore in self.chores:
            SET_ASIDE.labels(loop=chore.name).set(amounts.get(chore.name, 0))
        if not amounts:
            return Taken(0)
        async with database.transaction() as tx:
            due = await store.take_due(tx)
        for chore in self.chores:
            if due is not None and due.chore == chore.name:
                await chore.do_alone(database, chore.read_key(due.row_key))
        return Taken(0 if due is None else 1, is_full=due is not None)
