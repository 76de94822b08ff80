"""Changes: the feed read in parts, and followed."""

import asyncio
from collections.abc import AsyncIterator
from itertools import islice
from typing import Protocol

from app.access.callers import Visit
from app.access.feed import Feed, Portion, read_portion
from app.db.engine import Database, Parameters, Tx
from app.db.failures import DATABASE_FAILURES
from app.domain.changes import ChangeSieve, ToldChange
from app.domain.json_texts import write_json
from app.errors import ChangesForgotten, Refusal, Unavailable, ValidationFailed
from app.store import changes as store
from app.store.changes import ROWS_NUMBERED_MOST, Reach
from milepost.schemas.changes import ChangeQuery, ChangeStreamQuery

SCANNED_MOST = 20_000
"""Changes that one call looks through for those that its filter wants; the next one goes on behind them."""
NUMBERINGS_MOST = 3
"""How often a reader who begins gives positions to what is committed: others may write faster than it counts."""
QUIET_SECONDS = 15.0
"""A stream says something at least so often."""


class Parts(Protocol):
    """What of a process reads changes."""

    @property
    def database(self) -> Database:
        """Where they are kept."""

    @property
    def feed(self) -> Feed:
        """How they are followed."""


async def find_start(tx: Tx, after: int | None, *, place: str = "after") -> tuple[int, Reach]:
    """Return after which position to go on, and how far the feed reaches; what is committed has a position then.

    Raises ValidationFailed for a position that does not exist yet, named by its ``place``, and ChangesForgotten.
    """
    for _ in range(NUMBERINGS_MOST):
        if await store.number_changes(tx, ROWS_NUMBERED_MOST) is None:
            break
    reach = await store.get_reach(tx)
    if after is None:
        return reach.newest, reach
    if after > reach.newest:
        raise ValidationFailed.at(place, f"there is no position {after} yet: the newest is {reach.newest}")
    if after == 0:
        return reach.oldest - 1, reach
    if after < reach.oldest - 1:
        raise ChangesForgotten(reach.oldest)
    return after, reach


class _Reading:
    """One call that collects changes."""

    def __init__(self, query: ChangeQuery, after: int) -> None:
        self._sieve = ChangeSieve(query)
        self._limit = query.limit
        self._scanned = 0
        self.found: list[ToldChange] = []
        self.after = after

    def take(self, portion: Portion) -> None:
        """Take what is wanted of a portion; where that is more than fits, the next call goes on behind the last."""
        wanted = self._sieve.pick(portion.changes)
        room = self._limit - len(self.found)
        self.found += islice(wanted, room)
        self.after = portion.last if len(wanted) <= room else self.found[-1].position
        self._scanned += len(portion.changes)

    @property
    def is_full(self) -> bool:
        """Return whether it takes no more."""
        return len(self.found) >= self._limit or self._scanned >= SCANNED_MOST


async def list_changes(parts: Parts, query: ChangeQuery, wait_seconds: float, visit: Visit) -> Parameters:
    """Return changes as `ChangePage` has them, those that come within ``wait_seconds`` if there are none yet.

    Raises ValidationFailed, ChangesForgotten, Unauthenticated.
    """
    async with parts.database.reading() as tx:
        after, reach = await find_start(tx, query.after)
        reading = _Reading(query, after)
        while not reading.is_full and (portion := await read_portion(tx, reading.after)).changes:
            reading.take(portion)
    newest = reach.newest
    if wait_seconds and not reading.found and reading.after >= newest:
        await _await_first(parts.feed, reading, wait_seconds, visit)
    items: list[Parameters] = [change.members for change in reading.found]
    return {"items": items, "next_after": reading.after, "newest": max(newest, reading.after)}


async def _await_first(feed: Feed, reading: _Reading, wait_seconds: float, visit: Visit) -> None:
    clock = asyncio.get_running_loop().time
    give_up_at = clock() + wait_seconds
    async with feed.following():
        keys = feed.key_changes
        while not reading.found and not feed.stopping.is_set() and (left := give_up_at - clock()) > 0:
            await feed.wait(reading.after, left)
            if feed.key_changes != keys:
                keys = feed.key_changes
                await visit.check_key()
            reading.take(await feed.read(reading.after))


async def stream_changes(
    parts: Parts, query: ChangeStreamQuery, last_event_id: int | None, visit: Visit
) -> AsyncIterator[bytes]:
    """Return the changes as server-sent events, as they come. Raises as ``list_changes`` does, before the first.

    `Last-Event-ID` wins over ``after``: it is what a reader sends who comes back.
    """
    after, place = (query.after, "after") if last_event_id is None else (last_event_id, "Last-Event-ID")
    async with parts.database.reading() as tx:
        start, reach = await find_start(tx, after, place=place)
    del reach
    return _tell(parts.feed, ChangeSieve(query), start, visit)


async def _tell(feed: Feed, wanted: ChangeSieve, position: int, visit: Visit) -> AsyncIterator[bytes]:
    """Yield `hello`, then what is wanted behind ``position``, and `bye` at the end."""
    async with feed.following():
        clock = asyncio.get_running_loop().time
        keys, speaks_at = feed.key_changes, clock() + QUIET_SECONDS
        yield _event("hello", {"position": position}, position)
        while not feed.stopping.is_set():
            try:
                portion = await feed.read(position)
                if feed.key_changes != keys:
                    keys = feed.key_changes
                    await visit.check_key()
            except (Refusal, *DATABASE_FAILURES) as failure:
                code = failure.code if isinstance(failure, Refusal) else Unavailable.code
                yield _event("bye", {"reason": code, "position": position})
                return
            position = portion.last
            if not portion.changes:
                await feed.wait(position, speaks_at - clock())
            events = b"".join(change.event for change in wanted.pick(portion.changes))
            if events or clock() >= speaks_at:
                speaks_at = clock() + QUIET_SECONDS
                yield events or b": still here\n\n"
        yield _event("bye", {"reason": "stopping", "position": position})


def _event(name: str, data: Parameters, position: int | None = None) -> bytes:
    number = "" if position is None else f"id: {position}\n"
    return f"{number}event: {name}\ndata: ".encode() + write_json(data) + b"\n\n"
