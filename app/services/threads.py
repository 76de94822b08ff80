"""Long work of the processor, beside the event loop: requests and the housekeeping go on meanwhile."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, NamedTuple, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_AT_ONCE = 2


class _Job(NamedTuple):
    """Work, and who waits for it."""

    work: Callable[[], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]


async def run_aside(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what ``work`` returns; at most two such calls are worked on at once, the others wait their turn.

    Work that has begun cannot be stopped, and does not keep the process from ending.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    _start_threads().put(_Job(partial(work, *args, **kwargs), loop, future))
    return await future


@cache
def _start_threads() -> SimpleQueue[_Job]:
    """Return where jobs are taken from, by threads that an executor would wait for at the end of the process."""
    waiting: SimpleQueue[_Job] = SimpleQueue()
    for number in range(_AT_ONCE):
        Thread(target=_work, args=(waiting,), name=f"aside-{number}", daemon=True).start()
    return waiting


def _work(waiting: SimpleQueue[_Job]) -> None:
    while True:
        job = waiting.get()
        if not job.future.cancelled():
            settle = _try(job)
            with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
                job.loop.call_soon_threadsafe(settle)


def _try(job: _Job) -> Callable[[], None]:
    """Do the work of a job, and return what tells its outcome to who waits for it."""
    try:
        result = job.work()
    except BaseException as failure:  # noqa: BLE001 - whatever it is, it belongs to who waits
        return partial(_settle, job.future, failure=failure)
    return partial(_settle, job.future, result)


def _settle(future: asyncio.Future[Any], result: Any = None, failure: BaseException | None = None) -> None:
    if future.done():
        return
    if failure is not None:
        future.set_exception(failure)
    else:
        future.set_result(result)
