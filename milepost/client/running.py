"""Running the handler of one claimed task, and reporting how it ended."""

import asyncio
import contextvars
import logging
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from milepost.client.captures import CURRENT, Work
from milepost.client.context import AsyncTaskContext, TaskContext
from milepost.client.exceptions import LeaseLost, TaskCancelled
from milepost.client.lease import Lease
from milepost.client.signals import RetryLater, Suspended, TimeLimitExceeded

UNWIND_SECONDS = 5.0
"""How long a cancelled async handler may take to clean up while the worker stops."""
log = logging.getLogger("milepost.worker")


@dataclass(frozen=True, slots=True)
class Handler:
    """A registered function."""

    run: Callable[..., Any]
    asynchronous: bool
    time_limit_seconds: float | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a handler was left: with a result, or with an error."""

    result: Any = None
    error: BaseException | None = None


async def work_task(lease: Lease, handler: Handler, give_up: asyncio.Event) -> None:
    """Run ``handler`` until it ends, its time is over, its lease is gone or the worker gives up; report that."""
    alive = asyncio.create_task(lease.keep_alive())
    work = asyncio.create_task(_run_async(handler, lease) if handler.asynchronous else _run_in_thread(handler, lease))
    stops = [asyncio.create_task(lease.gone.wait()), asyncio.create_task(give_up.wait())]
    try:
        await asyncio.wait([work, *stops], timeout=handler.time_limit_seconds, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            await _interrupt(lease, handler, work, give_up)
        else:
            await lease.logs.end(lease.log)
            if lease.ending is None:
                await _report(lease, work.result())
    finally:
        for waiting in (alive, *stops):
            waiting.cancel()
        await asyncio.gather(alive, *stops, return_exceptions=True)
    log.info("task_left", extra={**lease.facts(), "ending": lease.ending and lease.ending.value})


async def _interrupt(lease: Lease, handler: Handler, work: asyncio.Task[Outcome], give_up: asyncio.Event) -> None:
    """Stop a handler that is not done; a thread cannot be stopped, and keeps its place until it ends by itself.

    One whose task was taken away has some seconds to notice by ``ctx.cancelled`` and to clean up.
    """
    if lease.gone.is_set():
        await _wait_for(work, give_up, UNWIND_SECONDS)
    if handler.asynchronous:
        work.cancel()
        await asyncio.wait([work], timeout=UNWIND_SECONDS)
    if give_up.is_set():
        await lease.release()
    elif not lease.gone.is_set():
        await lease.fail(TimeLimitExceeded(f"it ran longer than {handler.time_limit_seconds} seconds"))
    await _wait_for(work, give_up, None)


async def _wait_for(work: asyncio.Task[Outcome], give_up: asyncio.Event, seconds: float | None) -> None:
    """Wait until the handler ends, the worker gives up, or ``seconds`` have passed."""
    giving_up = asyncio.create_task(give_up.wait())
    await asyncio.wait([work, giving_up], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    giving_up.cancel()


async def _report(lease: Lease, outcome: Outcome) -> None:
    match outcome.error:
        case None:
            await lease.complete(outcome.result)
        case Suspended():
            log.error("suspended_without_cause", extra=lease.facts())
            await lease.release()
        case RetryLater():
            log.info("task_put_off", extra={**lease.facts(), "why": str(outcome.error) or None})
            await lease.fail(outcome.error)
        case error:
            if not isinstance(error, LeaseLost | TaskCancelled):
                log.warning("task_failed", extra=lease.facts(), exc_info=error)
            await lease.fail(error)


def _begin(lease: Lease) -> Work:
    """Let what this handler prints and logs from now on be its task's; it is seen by nobody else."""
    facts = {"task_id": str(lease.task.task_id), "attempt": lease.task.attempt}
    if lease.task.workflow_run_id is not None:
        facts["workflow_run_id"] = str(lease.task.workflow_run_id)
    work = Work(lease.log, facts)
    CURRENT.set(work)
    return work


async def _run_async(handler: Handler, lease: Lease) -> Outcome:
    run: Callable[..., Awaitable[Any]] = handler.run
    _begin(lease)
    try:
        return Outcome(await run(AsyncTaskContext(lease), lease.task.params))
    except BaseException as error:  # noqa: BLE001 - whatever leaves a handler is how its attempt ended
        return Outcome(error=error)


async def _run_in_thread(handler: Handler, lease: Lease) -> Outcome:
    """Return how the handler was left; its thread is a daemon, so that it never keeps a stopped worker alive."""
    loop = asyncio.get_running_loop()
    left: asyncio.Future[Outcome] = loop.create_future()
    ctx = TaskContext(lease)

    def leave(outcome: Outcome) -> None:
        if not left.done():
            left.set_result(outcome)

    def run() -> None:
        _begin(lease)
        try:
            outcome = Outcome(handler.run(ctx, lease.task.params))
        except BaseException as error:  # noqa: BLE001 - whatever leaves a handler is how its attempt ended
            outcome = Outcome(error=error)
        if not loop.is_closed():
            loop.call_soon_threadsafe(leave, outcome)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(run,), name=f"milepost-{lease.task.task_name}", daemon=True).start()
    return await left
