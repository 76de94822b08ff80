"""Waiting for what happens by itself: looking again and again, for as long as a busy machine may take."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx

PATIENCE_SECONDS = 120.0
"""How long a test waits for a fact: it ends with the fact, and only a defect lasts this long."""
PROMPT_SECONDS = 10.0
"""How long something may take that is woken: less than the 15 s after which whoever waits looks by themselves."""

Found = TypeVar("Found")


async def eventually(look: Callable[[], Awaitable[Found | None]], *, within_seconds: float = PATIENCE_SECONDS) -> Found:
    """Return the first true answer of ``look``. Raises TimeoutError when there is none in time."""
    async with asyncio.timeout(within_seconds):
        while not (found := await look()):  # noqa: ASYNC110 - what is looked at sends no signal
            await asyncio.sleep(0.01)
    return found


def wait_until(look: Callable[[], Found], seconds: float = PATIENCE_SECONDS) -> Found:
    """Return the first true answer of ``look``; a service that does not answer has not said yes."""
    deadline = time.monotonic() + seconds
    refusal: httpx.TransportError | None = None
    while True:
        try:
            if found := look():
                return found
        except httpx.TransportError as error:
            refusal = error
        assert time.monotonic() < deadline, f"not within {seconds} s; last failure of a call: {refusal!r}"
        time.sleep(0.005)
