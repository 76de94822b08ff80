"""Connections of a pool that nobody uses go back to the server, where other replicas may need them."""

import asyncio
from time import monotonic
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import greenlet_spawn

IDLE_SECONDS = 30.0
LOOK_SECONDS = 5.0


class IdleConnections:
    """Knows since when each connection of a pool rests; the pool gives the one out first that came back last."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._since: dict[ConnectionPoolEntry, float] = {}
        event.listen(engine.sync_engine, "checkin", self._begin_rest)
        event.listen(engine.sync_engine, "checkout", self._end_rest)

    def _begin_rest(self, connection: Any, entry: ConnectionPoolEntry) -> None:
        if connection is not None:
            self._since[entry] = monotonic()

    def _end_rest(self, _connection: object, entry: ConnectionPoolEntry, _proxy: object) -> None:
        self._since.pop(entry, None)

    async def close_old(self) -> None:
        """Close the connections that have rested too long; the pool opens others when it needs them."""
        began_before = monotonic() - IDLE_SECONDS
        for entry in [entry for entry, since in self._since.items() if since < began_before]:
            if self._since.pop(entry, None):
                await greenlet_spawn(entry.invalidate)

    async def keep_closing(self) -> None:
        """Look again and again."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.close_old()
