"""The right to work one task: kept alive, and ended by exactly one report."""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, TypeVar

from milepost.client.completions import Completions
from milepost.client.exceptions import (
    AttemptFailed,
    InternalError,
    LeaseLost,
    NotFound,
    NotJson,
    PayloadTooLarge,
    RefusedError,
    TaskCancelled,
    Unavailable,
    UnreachableError,
    ValidationFailed,
)
from milepost.client.signals import NonRetryable, RetryLater, Suspended
from milepost.client.task_logs import TaskLogs
from milepost.schemas.tasks import AwaitOutcome, ClaimedTask, EventAwaited

TRACEBACK_MAX_LENGTH = 20_000
MESSAGE_MAX_LENGTH = 10_000
INSIST_SECONDS = 0.5

T = TypeVar("T")
log = logging.getLogger("milepost.worker")


class Ending(Enum):
    """Why a lease has ended."""

    reported = "reported"
    suspended = "suspended"
    released = "released"
    lost = "lost"
    cancelled = "cancelled"


class Lease:
    """One claimed task; after its end nothing is sent for it any more."""

    def __init__(
        self, completions: Completions, task: ClaimedTask, lease_seconds: float, logs: TaskLogs | None = None
    ) -> None:
        self.completions = completions
        self.client = completions.client
        self.queue = completions.queue
        self.task = task
        self.lease_seconds = lease_seconds
        self.cancel_requested = False
        self.ending: Ending | None = None
        self.gone = asyncio.Event()
        """Set when the task was taken away while its handler was busy with something else."""
        self.memory: dict[str, Any] = {}
        """What goes into the memory of the run when the task is completed."""
        self._refusal: RefusedError | None = None
        self._loop = asyncio.get_running_loop()
        self._hear(task.server_time, task.lease_expires_at)
        self.logs = logs or TaskLogs(self.client)
        self.log = self.logs.open(task.task_id, self.now)

    def _hear(self, server_time: datetime, expires_at: datetime) -> None:
        """Take over the service's clock: it alone says what time it is and when the lease ends."""
        self._server_time, self._heard_at = server_time, self._loop.time()
        self._ends_at = self._heard_at + (expires_at - server_time).total_seconds()

    def now(self) -> datetime:
        """Return the service's time."""
        return self._server_time + timedelta(seconds=self._loop.time() - self._heard_at)

    def remaining_seconds(self) -> float:
        """Return how long the lease lasts if nothing extends it."""
        return self._ends_at - self._loop.time()

    def end(self, ending: Ending, refusal: RefusedError | None = None) -> None:
        """End it; the first end counts."""
        if self.ending is None:
            self.ending, self._refusal = ending, refusal

    def _lose(self) -> None:
        self.end(Ending.lost, LeaseLost(409, "lease-lost", {"detail": "the lease ended before it could be extended"}))

    def check(self) -> None:
        """Raise what ended the lease, if it has ended."""
        if self._refusal is not None:
            raise self._refusal
        if self.ending is Ending.suspended:
            raise Suspended
        if self.ending is not None:
            raise LeaseLost(409, "lease-lost", {"detail": f"the lease was {self.ending.value} by this worker"})

    async def call(self, call: Awaitable[T]) -> T:
        """Return what the service answers to the holder of the lease, and notice when it says that it holds no more."""
        try:
            return await call
        except TaskCancelled as refusal:
            self.cancel_requested = True
            self.end(Ending.cancelled, refusal)
            raise
        except (LeaseLost, AttemptFailed, NotFound) as refusal:
            self.end(Ending.lost, refusal)
            raise

    async def heartbeat(self, **progress: Any) -> None:
        """Extend the lease, and hear whether to stop."""
        self.check()
        task = self.task
        answer = await self.call(
            self.client.heartbeat_task(task.task_id, task.lease_token, lease_seconds=self.lease_seconds, **progress)
        )
        self.cancel_requested |= answer.cancel_requested
        self._hear(answer.server_time, answer.lease_expires_at)

    async def keep_alive(self) -> None:
        """Extend the lease at a third of its time, until it has ended."""
        while self.ending is None:
            await asyncio.sleep(self.lease_seconds / 3)
            try:
                async with asyncio.timeout(max(0.0, self.remaining_seconds())):
                    await self.heartbeat()
            except (RefusedError, UnreachableError, TimeoutError, Suspended):
                if self.remaining_seconds() <= 0:
                    self._lose()
        if self.ending in (Ending.lost, Ending.cancelled):
            self.gone.set()

    async def save(self, name: str, state: object) -> Any:
        """Store a checkpoint and return it as JSON gives it back."""
        self.check()
        stored = await self.call(self.client.put_checkpoint(self.task.task_id, name, self.task.lease_token, state))
        self.task.checkpoints[name] = stored.state
        return stored.state

    async def suspend_until(self, wake_at: datetime) -> None:
        """Put the task aside until a time. Raises Suspended."""
        self.check()
        await self.call(self.client.sleep_task(self.task.task_id, self.task.lease_token, wake_at=wake_at))
        self.end(Ending.suspended)
        raise Suspended

    async def await_event(self, step_name: str, **wanted: Any) -> EventAwaited:
        """Return the event, or that it did not come in time. Raises Suspended while it has not."""
        self.check()
        awaited = await self.call(
            self.client.await_event(self.task.task_id, self.task.lease_token, step_name, **wanted)
        )
        if awaited.outcome is AwaitOutcome.suspended:
            self.end(Ending.suspended)
            raise Suspended
        return awaited

    async def complete(self, result: object) -> None:
        """Report the result; one that the service does not take fails the attempt."""
        try:
            await self._report(lambda: self._complete(result))
        except (TypeError, ValueError, NotJson, PayloadTooLarge) as error:
            log.warning("result_refused", extra={**self.facts(), "error": str(error)})
            await self.fail(NonRetryable(f"the result cannot be stored: {error}"))

    async def _complete(self, result: object) -> None:
        """Report the result: together with others, unless something goes into the memory of the run."""
        if not self.memory:
            await self.completions.complete(self.task, result)
            return
        await self.client.complete_task(self.task.task_id, self.task.lease_token, result, memory=self.memory)

    async def fail(self, error: BaseException) -> None:
        """Report the attempt as failed."""
        task = self.task
        how: dict[str, Any] = {"retryable": not isinstance(error, NonRetryable)}
        if isinstance(error, RetryLater):
            how |= {"retry_after_seconds": error.seconds, "retry_at": error.at}
        await self._report(lambda: self.client.fail_task(task.task_id, task.lease_token, describe_error(error), **how))

    async def release(self) -> None:
        """Give the task back unharmed, if that can be said at once."""
        if self.ending is None:
            self.end(Ending.released)
            try:
                await self.client.release_task(self.task.task_id, self.task.lease_token)
            except (RefusedError, UnreachableError) as error:
                log.warning("release_failed", extra={**self.facts(), "error": str(error)})

    async def _report(self, send: Callable[[], Awaitable[object]]) -> None:
        """Send the last word, as long as the lease lasts while the service is away.

        Raises what says that the word itself cannot be accepted.
        """
        while self.ending is None:
            try:
                await self.call(send())
            except (NotJson, PayloadTooLarge, ValidationFailed):
                raise
            except (UnreachableError, Unavailable, InternalError):
                if self.remaining_seconds() <= 0:
                    self._lose()
                await asyncio.sleep(INSIST_SECONDS)
            except RefusedError as refusal:
                log.warning("report_refused", extra={**self.facts(), "error": str(refusal)})
                self.end(Ending.lost, refusal)
            else:
                self.end(Ending.reported)

    def facts(self) -> Mapping[str, Any]:
        """Return what the worker's own lines about the task say."""
        task = self.task
        return {"task_id": str(task.task_id), "task_name": task.task_name, "attempt": task.attempt}


def describe_error(error: BaseException) -> dict[str, str]:
    """Return ``error`` as an attempt keeps it."""
    lines = "".join(traceback.format_exception(error))
    return {
        "name": type(error).__name__,
        "message": _as_text(str(error))[:MESSAGE_MAX_LENGTH],
        "traceback": _as_text(lines)[-TRACEBACK_MAX_LENGTH:],
    }


def _as_text(text: str) -> str:
    """Return ``text`` without what JSON or Postgres cannot carry."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
