"""The application: its parts put together, started and stopped."""

import asyncio
import gc
import multiprocessing
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from types import FrameType

import structlog
from fastapi import FastAPI

from app.api import operations, pages, queues, schedules, steps, tasks, worker_calls, workflow_runs, workflows
from app.api.kernel import Kernel
from app.api.observe import Observe
from app.api.openapi import add_openapi
from app.api.problems import add_problem_handlers
from app.background.chores import make_chores
from app.background.housekeeping import Housekeeping
from app.db.batching import Batching
from app.db.embedded import start_embedded
from app.db.engine import Database
from app.db.failures import DATABASE_FAILURES
from app.db.migrations import upgrade
from app.db.wakeups import Wakeups
from app.logs import configure_logs
from app.services import api_keys
from app.services.doorkeeper import Doorkeeper
from app.services.operations import service_version
from app.services.sightings import Sightings
from app.settings import Settings

ROUTERS = (
    workflow_runs.router,
    steps.router,
    workflows.router,
    schedules.router,
    tasks.router,
    worker_calls.router,
    queues.router,
    operations.router,
    pages.router,
)
log = structlog.get_logger()


class UnsafeStartError(Exception):
    """The service would let everybody on the network do everything."""


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
            with _draining_on_signals(kernel.wakeups.drain), _ending_with_parent(), _collecting_garbage_rarely():
                yield

    app = FastAPI(
        title="Milepost",
        version=service_version(),
        lifespan=lifespan,
        redirect_slashes=False,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    for router in ROUTERS:
        app.router.routes.extend(router.routes)
    add_problem_handlers(app)
    add_openapi(app)
    app.add_middleware(Observe)
    return app


@asynccontextmanager
async def running_kernel(settings: Settings) -> AsyncIterator[Kernel]:
    """Give the parts of a running service; stop them in reverse at the end."""
    async with AsyncExitStack() as stack:
        url = await _find_database(settings, stack)
        listen_url = settings.listen_url.get_secret_value() if settings.listen_url else url
        wakeups = Wakeups(listen_url)
        database = Database(settings, url, wakeups)
        stack.push_async_callback(database.close)
        open_without_keys = settings.api_key is None and not _needs_key(settings)
        doorkeeper = Doorkeeper(database, open_without_keys=open_without_keys)
        wakeups.on(api_keys.TOPIC, doorkeeper.forget)
        await _make_first_key(settings, database, doorkeeper)
        sightings = Sightings()
        housekeeping = Housekeeping(database, make_chores(settings, sightings))
        await wakeups.start()
        stack.push_async_callback(wakeups.stop)
        housekeeping.start()
        stack.push_async_callback(housekeeping.stop)
        yield Kernel(settings, database, Batching(database), wakeups, doorkeeper, housekeeping, sightings)


def _needs_key(settings: Settings) -> bool:
    return settings.listens_beyond_loopback() and not settings.allow_unauthenticated


async def _find_database(settings: Settings, stack: AsyncExitStack) -> str:
    """Return where the database is; without one, start the embedded Postgres and bring it up to date."""
    if settings.database_url:
        return settings.database_url.get_secret_value()
    cluster = await asyncio.to_thread(start_embedded, settings.data_dir)
    stack.callback(cluster.close)
    await asyncio.to_thread(upgrade, cluster.url)
    return cluster.url


async def _make_first_key(settings: Settings, database: Database, doorkeeper: Doorkeeper) -> None:
    """Make the key that the environment gives. Raises UnsafeStartError where there is no key and one is needed.

    While the database is away the service is closed to everybody, and the housekeeping makes the key later.
    """
    try:
        if settings.api_key:
            async with database.transaction() as tx:
                await api_keys.keep_key_of_environment(tx, settings.api_key.get_secret_value())
        if _needs_key(settings) and not await doorkeeper.has_keys():
            raise UnsafeStartError(
                f"refusing to listen on {settings.host} without an API key: set MILEPOST_API_KEY, run "
                "`milepost keys create NAME`, or say MILEPOST_ALLOW_UNAUTHENTICATED=true"
            )
    except DATABASE_FAILURES as failure:
        log.warning("database_not_ready", error=str(failure).partition("\n")[0])


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
        signal.raise_signal(signal.SIGTERM)

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
