"""What a handler is given beside its parameters, for sync and for async handlers."""

import asyncio
import inspect
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar, Unpack, cast, overload

from milepost.client.encoding import NOT_GIVEN, NotGiven
from milepost.client.exceptions import TaskCancelled
from milepost.client.fields import ProgressFields, SpawnFields
from milepost.client.lease import Lease
from milepost.client.signals import EventTimeout, NonRetryable
from milepost.schemas.logs import LogLevel
from milepost.schemas.tasks import AwaitOutcome, ClaimedTask, EventAwaited, Spawned

T = TypeVar("T")


class Steps:
    """The steps of one attempt, by name; what earlier attempts stored is known."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._seen: Counter[str] = Counter()

    def name(self, name: str) -> str:
        """Return the name of the checkpoint: the second step of one name is ``name#2``, and so on."""
        self._seen[name] += 1
        return name if self._seen[name] == 1 else f"{name}#{self._seen[name]}"

    def recall(self, name: str) -> Any:
        """Return what the step stored, or NOT_GIVEN."""
        self._lease.check()
        return self._lease.task.checkpoints.get(name, NOT_GIVEN)


class AnyContext:
    """What both kinds of handler can look at."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._steps = Steps(lease)

    @property
    def task(self) -> ClaimedTask:
        """The task as it was claimed."""
        return self._lease.task

    @property
    def cancelled(self) -> bool:
        """Whether the work is not wanted any more: a cancel was requested, or the lease is gone."""
        return self._lease.cancel_requested or self._lease.ending is not None

    def log(self, text: object, /, level: str = LogLevel.info, **fields: Any) -> None:
        """Write a line to the log of the task, and so to that of its run; it is sent in the background.

        ``level`` is debug, info, warning or error. Raises ValueError for another one.
        """
        self._lease.log.add(str(text), level, fields)

    def remember(self, **memory: Any) -> None:
        """Put values into the memory of the executed run, where templates read ``{{memory.KEY}}``.

        They are sent with the result: what a failed attempt remembered is forgotten. Raises NonRetryable when the task
        is no step of an executed run.
        """
        if self.task.step is None:
            raise NonRetryable("only a step of an executed run can remember something for the others")
        self._lease.memory |= memory

    def raise_if_cancelled(self) -> None:
        """Leave the handler when the work is not wanted any more. Raises TaskCancelled, LeaseLost."""
        self._lease.check()
        if self._lease.cancel_requested:
            raise TaskCancelled(409, "task-cancelled", {"detail": "a cancel was requested"})


class AsyncTaskContext(AnyContext):
    """Given to async handlers."""

    @overload
    async def step(self, name: str, run: Callable[..., Awaitable[T]], /, *args: Any, **kwargs: Any) -> T: ...
    @overload
    async def step(self, name: str, run: Callable[..., T], /, *args: Any, **kwargs: Any) -> T: ...
    async def step(self, name: str, run: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Return the result of ``run``, which runs once: later attempts get what was stored, as JSON gives it back."""
        name = self._steps.name(name)
        stored = self._steps.recall(name)
        if stored is not NOT_GIVEN:
            return stored
        result = run(*args, **kwargs)
        return await self._lease.save(name, await result if inspect.isawaitable(result) else result)

    async def sleep(self, seconds: float | timedelta | None = None, *, until: datetime | None = None) -> None:
        """Put the task aside for a while; later attempts do not sleep again."""
        wake_at = _wake_at(self._lease.now(), seconds, until)
        name = self._steps.name("$sleep")
        stored = self._steps.recall(name)
        if stored is NOT_GIVEN:
            stored = await self._lease.save(name, {"wake_at": wake_at})
        wake_at = datetime.fromisoformat(stored["wake_at"])
        if wake_at > self._lease.now():
            await self._lease.suspend_until(wake_at)

    async def await_event(
        self, event_name: str, *, timeout_seconds: float | None = None, step_name: str | None = None
    ) -> Any:
        """Return the payload of an event, putting the task aside until it comes. Raises EventTimeout."""
        wanted = {"event_name": event_name, "timeout_seconds": timeout_seconds}
        return (await self._await(step_name or f"$await:{event_name}", wanted)).payload

    async def await_any(
        self, event_names: Sequence[str], *, timeout_seconds: float | None = None, step_name: str = "$await-any"
    ) -> tuple[str, Any]:
        """Return the name and payload of the first of several events. Raises EventTimeout."""
        awaited = await self._await(step_name, {"any_of": list(event_names), "timeout_seconds": timeout_seconds})
        return cast("str", awaited.event_name), awaited.payload

    async def await_all(
        self, event_names: Sequence[str], *, timeout_seconds: float | None = None, step_name: str = "$await-all"
    ) -> dict[str, Any]:
        """Return the payloads of several events by name, once all have come. Raises EventTimeout."""
        awaited = await self._await(step_name, {"all_of": list(event_names), "timeout_seconds": timeout_seconds})
        return cast("dict[str, Any]", awaited.payload)

    async def _await(self, step_name: str, wanted: dict[str, Any]) -> EventAwaited:
        awaited = await self._lease.await_event(self._steps.name(step_name), **wanted)
        if awaited.outcome is AwaitOutcome.timed_out:
            raise EventTimeout(f"the awaited event did not come within {wanted['timeout_seconds']} seconds")
        return awaited

    async def spawn(self, task_name: str, params: object = NOT_GIVEN, **fields: Unpack[SpawnFields]) -> Spawned:
        """Spawn a task once, whatever the number of attempts: on this queue and for this workflow run by default."""
        name = self._steps.name(f"$spawn:{task_name}")
        stored = self._steps.recall(name)
        if stored is not NOT_GIVEN:
            return Spawned.model_validate(stored)
        task = self.task
        defaults: SpawnFields = {
            "queue": self._lease.queue,
            "workflow_run_id": task.workflow_run_id,
            "parent_task_id": task.task_id,
            "idempotency_key": f"{task.task_id}:{name}",
        }
        spawned = await self._lease.client.spawn_task(task_name, params, **cast("SpawnFields", {**defaults, **fields}))
        await self._lease.save(name, spawned.model_dump(mode="json"))
        return spawned

    async def heartbeat(
        self, progress: object = NOT_GIVEN, *, reported_progress: ProgressFields | NotGiven | None = NOT_GIVEN
    ) -> None:
        """Extend the lease and show ``progress`` on the task; ``cancelled`` is up to date afterwards.

        Members of ``reported_progress`` (done, total, unit, message) are merged; None clears.
        """
        await self._lease.heartbeat(progress=progress, reported_progress=reported_progress)


class TaskContext(AnyContext):
    """Given to sync handlers, which run in threads; its calls wait."""

    def __init__(self, lease: Lease) -> None:
        super().__init__(lease)
        self._loop = asyncio.get_running_loop()
        self._inner = AsyncTaskContext(lease)

    def _wait(self, call: Coroutine[Any, Any, T]) -> T:
        if self._loop.is_closed():
            call.close()
            self._lease.check()
        return asyncio.run_coroutine_threadsafe(call, self._loop).result()

    def step(self, name: str, run: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """Return the result of ``run``, which runs once: later attempts get what was stored, as JSON gives it back."""
        name = self._steps.name(name)
        stored = self._steps.recall(name)
        if stored is not NOT_GIVEN:
            return cast("T", stored)
        return cast("T", self._wait(self._lease.save(name, run(*args, **kwargs))))

    def sleep(self, seconds: float | timedelta | None = None, *, until: datetime | None = None) -> None:
        """Put the task aside for a while; later attempts do not sleep again."""
        self._wait(self._inner.sleep(seconds, until=until))

    def await_event(
        self, event_name: str, *, timeout_seconds: float | None = None, step_name: str | None = None
    ) -> Any:
        """Return the payload of an event, putting the task aside until it comes. Raises EventTimeout."""
        return self._wait(self._inner.await_event(event_name, timeout_seconds=timeout_seconds, step_name=step_name))

    def await_any(
        self, event_names: Sequence[str], *, timeout_seconds: float | None = None, step_name: str = "$await-any"
    ) -> tuple[str, Any]:
        """Return the name and payload of the first of several events. Raises EventTimeout."""
        return self._wait(self._inner.await_any(event_names, timeout_seconds=timeout_seconds, step_name=step_name))

    def await_all(
        self, event_names: Sequence[str], *, timeout_seconds: float | None = None, step_name: str = "$await-all"
    ) -> dict[str, Any]:
        """Return the payloads of several events by name, once all have come. Raises EventTimeout."""
        return self._wait(self._inner.await_all(event_names, timeout_seconds=timeout_seconds, step_name=step_name))

    def spawn(self, task_name: str, params: object = NOT_GIVEN, **fields: Unpack[SpawnFields]) -> Spawned:
        """Spawn a task once, whatever the number of attempts: on this queue and for this workflow run by default."""
        return self._wait(self._inner.spawn(task_name, params, **fields))

    def heartbeat(
        self, progress: object = NOT_GIVEN, *, reported_progress: ProgressFields | NotGiven | None = NOT_GIVEN
    ) -> None:
        """Extend the lease and show ``progress`` on the task; ``cancelled`` is up to date afterwards.

        Members of ``reported_progress`` (done, total, unit, message) are merged; None clears.
        """
        self._wait(self._inner.heartbeat(progress, reported_progress=reported_progress))


def _wake_at(now: datetime, seconds: float | timedelta | None, until: datetime | None) -> datetime:
    """Return when to wake. Raises ValueError unless exactly one of the two is given."""
    if (seconds is None) == (until is None):
        raise ValueError("sleep takes seconds or until")
    if until is not None:
        return until.astimezone()
    return now + (seconds if isinstance(seconds, timedelta) else timedelta(seconds=cast("float", seconds)))
