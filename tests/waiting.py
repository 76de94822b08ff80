"""Waiting for what happens by itself: looking again and again, up to a deadline."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

Found = TypeVar("Found")


async def eventually(look: Callable[[], Awaitable[Found | None]], *, within_seconds: float = 2.0) -> Found:
    """Return the first true answer of ``look``. Raises TimeoutError when there is none in time."""
    async with asyncio.timeout(within_seconds):
        while not (found := await look()):  # noqa: ASYNC110 - what is looked at sends no signal
            await asyncio.sleep(0.01)
    return found
