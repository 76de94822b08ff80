"""The worker: claims tasks, runs their handlers, and stops cleanly."""

import asyncio
import importlib
import inspect
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from types import FrameType, ModuleType
from typing import Any, TypeVar

from milepost.client.captures import capturing
from milepost.client.client import AsyncClient, Client
from milepost.client.completions import Completions
from milepost.client.exceptions import MilepostError, RefusedError, UnreachableError, UnreadableAnswerError
from milepost.client.functions import find_functions, make_handler
from milepost.client.lease import Lease
from milepost.client.retries import growing_pause
from milepost.client.running import UNWIND_SECONDS, Handler, work_task
from milepost.client.task_logs import TaskLogs
from milepost.client.worker_logs import show_lines
from milepost.schemas.tasks import ClaimedTask

TASK_NAMES_MOST = 100
ANSWER_SECONDS = 1.0
"""How long a stop waits for the answer to a claim that may be under way already."""
SIGN_OFF_SECONDS = 1.0
"""How long a stop takes at most to say that it is one."""
LEAVE_SECONDS = 1.0
"""How long a worker may take to give back what it has once it is told for the second time to stop."""
INTERNAL_ERROR = 500
log = logging.getLogger("milepost.worker")

AnyHandler = TypeVar("AnyHandler", bound=Callable[[Any, Any], Any])


class Worker:
    """Works the tasks of one queue, at most ``concurrency`` at once."""

    def __init__(
        self,
        client: Client | AsyncClient | None = None,
        *,
        queue: str = "default",
        worker_id: str | None = None,
        concurrency: int = 10,
        lease_seconds: float = 30.0,
        wait_seconds: float = 5.0,
        drain_seconds: float = 20.0,
        capture_output: bool = True,
    ) -> None:
        """Work the tasks of ``queue``.

        The worker calls the service where ``client`` does. Leases last ``lease_seconds`` and are extended at a third
        of that. A claim waits up to ``wait_seconds`` for a task; a stop gives it up. Handlers then have
        ``drain_seconds`` to end before their tasks are released. With ``capture_output`` what they print and log goes
        to the logs of their tasks, too.
        """
        if concurrency < 1:
            raise ValueError("concurrency is at least 1")
        self.target = (client or Client()).target
        self.queue = queue
        self.worker_id = worker_id or f"{socket.gethostname()[:200]}:{os.getpid()}"
        self.concurrency = concurrency
        self.lease_seconds = lease_seconds
        self.wait_seconds = wait_seconds
        self.drain_seconds = drain_seconds
        self.capture_output = capture_output
        self.handlers: dict[str, Handler] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stops = 0

    def task(self, name: str, *, time_limit_seconds: float | None = None) -> Callable[[AnyHandler], AnyHandler]:
        """Register the decorated function for tasks named ``name``; an attempt beyond the limit fails.

        It is called with a context and the task's params. Async functions run in the event loop and get an
        ``AsyncTaskContext``; others run in threads and get a ``TaskContext``.
        """

        def register(handler: AnyHandler) -> AnyHandler:
            if name in self.handlers:
                raise ValueError(f"there is a handler for {name} already")
            self.handlers[name] = Handler(handler, inspect.iscoroutinefunction(handler), time_limit_seconds)
            return handler

        return register

    def functions(self, module: ModuleType | str) -> Sequence[str]:
        """Register the public functions of a module, for tasks named ``module.function``; return these names.

        They are called with the ``args`` and ``kwargs`` in the task's params, as the steps of a definition give them;
        one with a keyword-only parameter ``ctx`` gets the context as well. Raises ValueError when there is none,
        and what the import raises.
        """
        module = importlib.import_module(module) if isinstance(module, str) else module
        found = find_functions(module)
        if not found:
            raise ValueError(f"{module.__name__} has no public function: none is defined in it, or named in __all__")
        for name, function in found.items():
            self.task(name)(make_handler(name, function))
        return list(found)

    def run(self) -> None:
        """Work until SIGTERM, SIGINT or ``stop``. Raises RefusedError when the service refuses the claims.

        A second signal gives back what runs and leaves the process within a second, with 128 and the signal's number.
        Where the program has set up no logging, what happens is told on standard error.
        """
        show_lines(logging.getLogger("milepost"))
        with _stopping_on_signals(self.stop):
            asyncio.run(self.run_async())

    def stop(self) -> None:
        """Stop claiming and drain; the second call ends the draining. May be called from any thread."""
        self._stops += 1
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._notice_stop)

    def _notice_stop(self) -> None:
        if self._stops:
            self._stopping.set()
        if self._stops > 1:
            self._give_up.set()

    async def run_async(self) -> None:
        """Work until ``stop``, in the running event loop. Raises RefusedError when the service refuses the claims."""
        if not 1 <= len(self.handlers) <= TASK_NAMES_MOST:
            raise ValueError(f"{len(self.handlers)} tasks are registered; a worker has 1 to {TASK_NAMES_MOST}")
        self._stopping, self._give_up = asyncio.Event(), asyncio.Event()
        self._working: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._notice_stop()
        log.info("working", extra={"queue": self.queue, "worker_id": self.worker_id, "tasks": sorted(self.handlers)})
        async with AsyncClient.at(self.target) as client, self._keeping_logs(client):
            try:
                await self._claim_until_stopped(Completions(client, self.queue))
            finally:
                await self._drain()
                await self._sign_off(client)
                self._loop, self._stops = None, 0
        log.info("stopped", extra={"queue": self.queue, "worker_id": self.worker_id})

    @asynccontextmanager
    async def _keeping_logs(self, client: AsyncClient) -> AsyncIterator[None]:
        """Send the lines of tasks in the background, and what is left of them at the end."""
        self._logs = TaskLogs(client)
        sending = asyncio.create_task(self._logs.keep_sending())
        try:
            with capturing(enabled=self.capture_output):
                yield
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await self._logs.close()

    async def _claim_until_stopped(self, completions: Completions) -> None:
        failures = 0
        while await self._has_place():
            try:
                tasks = await self._claim(completions.client)
                failures = 0
            except (UnreachableError, UnreadableAnswerError, RefusedError) as error:
                if isinstance(error, RefusedError) and error.status < INTERNAL_ERROR:
                    raise
                log.warning("claim_failed", extra={"queue": self.queue, "error": str(error)})
                failures += 1
                await self._pause(failures)
                continue
            for task in tasks:
                working = asyncio.create_task(self._work(completions, task))
                self._working.add(working)
                working.add_done_callback(self._working.discard)

    async def _has_place(self) -> bool:
        """Wait for a free place; return False once the worker is to stop."""
        while len(self._working) >= self.concurrency and not self._stopping.is_set():
            stopping = asyncio.create_task(self._stopping.wait())
            await asyncio.wait([*self._working, stopping], return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
        return not self._stopping.is_set()

    async def _claim(self, client: AsyncClient) -> list[ClaimedTask]:
        """Return tasks for the free places; none when the worker is to stop.

        A claim that waits is given up then: the service hands out nothing to a caller who has gone. An answer that is
        on its way is waited for, or its tasks would be held by nobody until their leases expire.
        """
        claim = asyncio.create_task(
            client.claim_tasks(
                self.queue,
                worker_id=self.worker_id,
                limit=min(self.concurrency - len(self._working), 1000),
                lease_seconds=self.lease_seconds,
                wait_seconds=self.wait_seconds,
                task_names=list(self.handlers),
            )
        )
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([claim, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not claim.done():
                await asyncio.wait([claim], timeout=ANSWER_SECONDS)
            return (await claim).tasks if claim.done() else []
        finally:
            stopping.cancel()
            claim.cancel()

    async def _pause(self, failures: int) -> None:
        """Wait before the next claim, longer with each failure in a row, but not when told to stop."""
        try:
            async with asyncio.timeout(growing_pause(failures)):
                await self._stopping.wait()
        except TimeoutError:
            pass

    async def _work(self, completions: Completions, task: ClaimedTask) -> None:
        lease = Lease(completions, task, self.lease_seconds, self._logs)
        if self._stopping.is_set():
            await lease.release()
            return
        try:
            await work_task(lease, self.handlers[task.task_name], self._give_up)
        except Exception:
            log.exception("worker_failed", extra=lease.facts())

    async def _drain(self) -> None:
        """Let what runs end, for ``drain_seconds``; then have it released."""
        if self._working:
            log.info("draining", extra={"tasks": len(self._working), "drain_seconds": self.drain_seconds})
            giving_up = asyncio.create_task(self._give_up.wait())
            done = asyncio.create_task(asyncio.wait(set(self._working)))
            await asyncio.wait([done, giving_up], timeout=self.drain_seconds, return_when=asyncio.FIRST_COMPLETED)
            giving_up.cancel()
            done.cancel()
            self._give_up.set()
        if self._working:
            await asyncio.wait(set(self._working), timeout=2 * UNWIND_SECONDS)

    async def _sign_off(self, client: AsyncClient) -> None:
        """Tell the service that this worker claims nothing more; where that cannot be, it is forgotten in a minute."""
        with suppress(MilepostError, TimeoutError):
            async with asyncio.timeout(SIGN_OFF_SECONDS):
                await client.sign_off_worker(self.queue, self.worker_id)


@contextmanager
def _stopping_on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` on SIGTERM and SIGINT, in the main thread; the second one leaves, the third one at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    received: list[int] = []

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def receive(number: int, frame: FrameType | None) -> None:
        del frame
        received.append(number)
        stop()
        if len(received) > 1:
            restore()
            leaving = threading.Timer(LEAVE_SECONDS, os._exit, [128 + number])
            leaving.daemon = True
            leaving.start()

    for number in before:
        signal.signal(number, receive)
    try:
        yield
    finally:
        restore()
        if len(received) > 1:
            sys.exit(128 + received[1])
