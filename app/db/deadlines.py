"""How long the database may take, also one that swallows what it is sent."""

import asyncio
from types import TracebackType
from typing import Self

GRACE_SECONDS = 0.5
INTERRUPTIONS_MOST = 3


class ending_within:  # noqa: N801 - it reads like `asyncio.timeout`, of which it is three in one
    """Raise TimeoutError after ``seconds``, or little more where the database does not let go.

    The driver, interrupted, asks the server to end the statement and waits for that; then comes the rollback. A server
    that has fallen silent answers neither: each is interrupted again, and then the driver closes the connection.
    """

    __slots__ = ("_before", "_interruptions", "_seconds", "_task", "_timer")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._interruptions = 0

    async def __aenter__(self) -> Self:
        task = asyncio.current_task()
        assert task, "only a task can be interrupted"  # noqa: S101 - seen by the first test
        self._task = task
        self._before = task.cancelling()
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._interrupt)
        return self

    def _interrupt(self) -> None:
        self._interruptions += 1
        self._task.cancel()
        if self._interruptions < INTERRUPTIONS_MOST:
            self._timer = asyncio.get_running_loop().call_later(GRACE_SECONDS, self._interrupt)

    async def __aexit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if not self._interruptions:
            return
        for _ in range(self._interruptions):
            left = self._task.uncancel()
        if left <= self._before and kind is not None and issubclass(kind, asyncio.CancelledError):
            raise TimeoutError from raised
