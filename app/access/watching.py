"""Waiting for the end of something."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.access.api_keys import TOPIC as KEYS
from app.access.callers import Visit
from app.db.engine import Database, Tx
from app.db.wakeups import Wakeups

Thing = TypeVar("Thing")


async def watch(
    database: Database,
    wakeups: Wakeups,
    topic: str,
    look: Callable[[Tx], Awaitable[Thing]],
    has_ended: Callable[[Thing], object],
    timeout_seconds: float,
    visit: Visit,
) -> Thing:
    """Return what ``look`` sees once it has ended, or what it sees after ``timeout_seconds``.

    Raises Unauthenticated when the key of ``visit`` is revoked meanwhile.
    """
    clock = asyncio.get_running_loop().time
    give_up_at = clock() + timeout_seconds
    with wakeups.waiting(topic, KEYS) as waiter:
        while True:
            async with database.reading() as tx:
                thing = await look(tx)
            left = give_up_at - clock()
            if has_ended(thing) or left <= 0 or wakeups.draining:
                return thing
            await waiter.wait(left)
            await visit.check_key()
