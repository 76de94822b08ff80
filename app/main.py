"""The application: its parts put together, started and stopped."""

import asyncio
import gc
import multiprocessing
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from functools import cached_property, partial
from types import FrameType

import structlog
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from app.access import api_keys
from app.access.doorkeeper import Doorkeeper
from app.access.feed import Feed
from app.access.sightings import Sightings
from app.api import (
    bulk_operations,
    changes,
    checkpoints,
    claims,
    docs,
    events,
    leases,
    links,
    logs,
    monitors,
    operations,
    pages,
    queues,
    schedules,
    tasks,
    why,
    workflow_runs,
    workflows,
)
from app.api.cross_origin import SharedWayIn
from app.api.kernel import Kernel
from app.api.openapi import add_openapi
from app.api.own_site import OwnSite
from app.api.way_in import WayIn
from app.background.chores import make_chores
from app.background.housekeeping import Housekeeping
from app.background.numbering import Numbering
from app.dashboard import screens
from app.db.batching import Batching
from app.db.engine import Database
from app.db.failures import DATABASE_FAILURES
from app.db.migrations import start_upgraded
from app.db.outages import Outage, describe_failure
from app.db.wakeups import Wakeups
from app.execution.dropped_children import cancel_dropped_children
from app.greeting import write_greeting
from app.logs import configure_logs, logs_as_text
from app.services.operations import service_version
from app.settings import Settings, split_names
from app.store import dropped_children

ROUTERS = (
    workflow_runs.router,
    workflows.router,
    schedules.router,
    monitors.router,
    tasks.router,
    bulk_operations.router,
    checkpoints.router,
    leases.router,
    logs.router,
    links.router,
    claims.router,
    queues.router,
    events.router,
    why.router,
    changes.router,
    operations.router,
    pages.router,
    docs.router,
    screens.router,
)
KEY_PAUSE_SECONDS = 1.0
SWITCH_SECONDS = 0.0005
"""How long a thread computes before the event loop has its turn; by default it is ten times as long."""
log = structlog.get_logger()


class UnsafeStartError(Exception):
    """The service would let everybody on the network do everything."""


class Application(FastAPI):
    """Declares and documents the operations as FastAPI does, and lets requests in by the way of this service."""

    origins: Sequence[str] = ()
    """Of pages that may call from a browser."""

    @cached_property
    def way_in(self) -> WayIn:
        """What answers requests, made once all operations are declared."""
        return SharedWayIn(self, self.origins) if self.origins else WayIn(self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or live from the start to the end of the process."""
        if scope["type"] == "http":
            await self.way_in.answer(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the application; its parts are made when it starts."""
    if settings is None:
        settings = Settings()
        configure_logs(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running_kernel(settings) as kernel:
            app.state.kernel = kernel
            log.info("serving", url=f"http://{settings.host}:{settings.port}", version=app.version)
            await _greet(settings, kernel, app.version)
            with ExitStack() as stack:
                stack.enter_context(_draining_on_signals(kernel.wakeups.drain))
                stack.enter_context(_ending_with_parent())
                stack.enter_context(_collecting_garbage_rarely())
                stack.enter_context(_switching_threads_often())
                yield

    app = Application(
        title="Milepost",
        version=service_version(),
        lifespan=lifespan,
        redirect_slashes=False,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.origins = split_names(settings.cors_origins)
    for router in ROUTERS:
        app.router.routes.extend(router.routes)
    add_openapi(app)
    return app


async def _greet(settings: Settings, kernel: Kernel, version: str) -> None:
    """Tell a person at a terminal where everything is; several processes leave it at the line of the log."""
    if not logs_as_text(settings) or settings.workers > 1:
        return
    with suppress(*DATABASE_FAILURES):
        for line in write_greeting(settings, version, has_keys=await kernel.doorkeeper.has_keys()):
            print(line, file=sys.stderr, flush=True)  # noqa: T201 - it is meant for a person


@asynccontextmanager
async def running_kernel(settings: Settings) -> AsyncIterator[Kernel]:
    """Give the parts of a running service; stop them in reverse at the end."""
    async with AsyncExitStack() as stack:
        url = await _find_database(settings, stack)
        listen_url = settings.listen_url.get_secret_value() if settings.listen_url else url
        outage = Outage()
        wakeups = Wakeups(listen_url, outage)
        database = Database(settings, url, wakeups, outage)
        stack.push_async_callback(database.close)
        database.start()
        open_without_keys = settings.api_key is None and not _needs_key(settings)
        doorkeeper = Doorkeeper(database, open_without_keys=open_without_keys)
        wakeups.on(api_keys.TOPIC, doorkeeper.forget)
        if not await _make_first_key(settings, database, doorkeeper):
            making = asyncio.create_task(_make_key_later(settings, database))
            stack.callback(making.cancel)
        sightings = Sightings()
        housekeeping = Housekeeping(database, make_chores(settings, sightings))
        wakeups.on(dropped_children.TOPIC, partial(housekeeping.hurry, cancel_dropped_children.__name__))
        await wakeups.start()
        stack.push_async_callback(wakeups.stop)
        numbering = Numbering(database, wakeups)
        database.on_commit = numbering.hurry
        numbering.start()
        stack.push_async_callback(numbering.stop)
        housekeeping.start()
        stack.push_async_callback(housekeeping.stop)
        yield Kernel(
            settings,
            database,
            Batching(database),
            wakeups,
            doorkeeper,
            OwnSite.of(settings),
            housekeeping,
            sightings,
            Feed(database, wakeups),
        )


def _needs_key(settings: Settings) -> bool:
    return settings.listens_beyond_loopback() and not settings.allow_unauthenticated


async def _find_database(settings: Settings, stack: AsyncExitStack) -> str:
    """Return where the database is; without one, start the embedded Postgres and bring it up to date."""
    if settings.database_url:
        return settings.database_url.get_secret_value()
    cluster = await asyncio.to_thread(start_upgraded, settings.data_dir)
    stack.callback(cluster.close)
    return cluster.url


async def _make_first_key(settings: Settings, database: Database, doorkeeper: Doorkeeper) -> bool:
    """Make the key that the environment gives. Raises UnsafeStartError where there is no key and one is needed.

    False: the database is away. Until it is back the service is closed to everybody.
    """
    try:
        await _make_key_of_environment(settings, database)
        if not await doorkeeper.has_keys() and _needs_key(settings):
            raise UnsafeStartError(
                f"refusing to listen on {settings.host} without an API key: set MILEPOST_API_KEY, run "
                "`milepost keys create NAME`, or say MILEPOST_ALLOW_UNAUTHENTICATED=true"
            )
    except DATABASE_FAILURES as failure:
        if not database.outage.is_under_way:
            log.warning("database_not_ready", error=describe_failure(failure))
        return False
    return True


async def _make_key_of_environment(settings: Settings, database: Database) -> None:
    if settings.api_key:
        async with database.transaction() as tx:
            await api_keys.keep_key_of_environment(tx, settings.api_key.get_secret_value())


async def _make_key_later(settings: Settings, database: Database) -> None:
    """Make the key of the environment once, as soon as the database takes it.

    Not again and again: of two replicas with different keys the one that was started last would not win.
    """
    while True:
        await asyncio.sleep(KEY_PAUSE_SECONDS)
        with suppress(*DATABASE_FAILURES):
            await _make_key_of_environment(settings, database)
            return


@contextmanager
def _draining_on_signals(drain: Callable[[], None]) -> Iterator[None]:
    """Call ``drain`` as soon as the process is told to stop: the server would wait for open long polls."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(drain)
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _ending_with_parent() -> Iterator[None]:
    """Stop in good order when the process that started this one is gone, even killed: nobody else would say stop."""
    parent = multiprocessing.parent_process()
    if parent is None:
        yield
        return
    loop = asyncio.get_running_loop()
    sentinel = parent.sentinel

    def stop() -> None:
        loop.remove_reader(sentinel)
        log.warning("parent_is_gone")
        signal.raise_signal(signal.SIGINT)  # SIGTERM would take leave first, and the port has lost its owner

    loop.add_reader(sentinel, stop)
    try:
        yield
    finally:
        loop.remove_reader(sentinel)


@contextmanager
def _collecting_garbage_rarely() -> Iterator[None]:
    """Leave what exists at the start alone and look at the rest less often: full collections make the slow tail."""
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


@contextmanager
def _switching_threads_often() -> Iterator[None]:
    """Let the event loop wait less for threads that compute: each request needs several turns."""
    seconds = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(seconds)
