"""Long work of the processor, beside the event loop: requests and the housekeeping go on meanwhile."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread
from time import monotonic, thread_time
from typing import Generic, ParamSpec, TypeVar

from app.errors import Unavailable

P = ParamSpec("P")
T = TypeVar("T")

RUN_SECONDS = 2.0
"""Of the processor, for one action of a run."""
SIMULATION_SECONDS = 10.0
"""Of the processor, for one simulation."""
_WAITS_AT_MOST = 2.5
"""How many times as long work may take by the clock on a busy machine: a transaction does not wait for ever."""


class WaitingAction(Generic[T]):
    """Work, and who waits for it."""

    def __init__(self, work: Callable[[], T]) -> None:
        self.work = work
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self.loop.create_future()
        self.is_abandoned = False
        """Whether nobody waits for it any more."""

    def do(self) -> None:
        """Do the work, and tell its outcome to who waits for it."""
        if self.is_abandoned:
            return
        try:
            settle = partial(self._succeed, self.work())
        except BaseException as failure:  # noqa: BLE001 - whatever it is, it belongs to who waits
            settle = partial(self._fail, failure)
        with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            self.loop.call_soon_threadsafe(settle)

    def _succeed(self, result: T) -> None:
        if not self.future.done():
            self.future.set_result(result)

    def _fail(self, failure: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(failure)


class Lane:
    """Threads for one kind of work: what is done in one lane does not wait for what is done in another.

    Work that has begun does not keep the process from ending, as that of an executor would.
    """

    def __init__(self, name: str, threads: int, waiting_most: int) -> None:
        self._name = name
        self._threads_most = threads
        self._most = threads + waiting_most
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        """What does each of them."""
        self._lock = Lock()
        self._threads = 0
        self._under_way = 0
        """Jobs that wait or are being done."""

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what ``work`` returns; what waits when its caller is cancelled is left out. Raises Unavailable."""
        return await self._wait_for(WaitingAction(partial(work, *args, **kwargs)))

    async def run_within(self, seconds: float, work: Callable[[Callable[[], bool]], T]) -> T:
        """Return what ``work`` returns, which is given what tells that it is to end.

        That is after ``seconds`` of the processor, or when nobody waits for it any more. Raises Unavailable.
        """
        began: list[float] = []
        gives_up_at = monotonic() + seconds * _WAITS_AT_MOST

        def is_over() -> bool:
            is_late = thread_time() - began[0] > seconds or monotonic() > gives_up_at
            return is_late or job.is_abandoned

        def begin() -> T:
            began.append(thread_time())
            return work(is_over)

        job = WaitingAction(begin)
        return await self._wait_for(job)

    async def _wait_for(self, job: WaitingAction[T]) -> T:
        self._take(job.do)
        try:
            return await job.future
        finally:
            job.is_abandoned = True

    def _take(self, do: Callable[[], None]) -> None:
        with self._lock:
            if self._under_way >= self._most:
                raise Unavailable(f"too much is to be {self._name} at the moment; try again", retry_after_seconds=2)
            self._under_way += 1
            is_short_of_threads = self._threads < min(self._under_way, self._threads_most)
            self._threads += is_short_of_threads
        self._jobs.put(do)
        if is_short_of_threads:
            Thread(target=self._work, name=f"{self._name}-{self._threads}", daemon=True).start()

    def _work(self) -> None:
        while True:
            self._jobs.get()()
            with self._lock:
                self._under_way -= 1


EXAMINING = Lane("examined", threads=2, waiting_most=200)
"""Definitions that were sent: read and checked. That is over soon, as it takes time by their size alone."""
DRAWING = Lane("drawn", threads=1, waiting_most=200)
"""Definitions that are registered: drawn, compared and written."""
SIMULATING = Lane("simulated", threads=2, waiting_most=20)
EXECUTING = Lane("executed", threads=500, waiting_most=10_000)
"""Actions of runs that are not over soon; each holds a connection, so there are no more than those."""
