"""How long the database may take, also one that swallows what it is sent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

GRACE_SECONDS = 0.5


@asynccontextmanager
async def ending_within(seconds: float) -> AsyncIterator[None]:
    """Raise TimeoutError after ``seconds``, or little more where the database does not let go.

    The driver, interrupted, asks the server to end the statement and waits for that; then comes the rollback. A server
    that has fallen silent answers neither: each is interrupted again, and then the driver closes the connection.
    """
    async with (
        asyncio.timeout(seconds + 2 * GRACE_SECONDS),
        asyncio.timeout(seconds + GRACE_SECONDS),
        asyncio.timeout(seconds),
    ):
        yield
