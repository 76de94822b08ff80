"""What all tests share: one Postgres a run, one database a worker, one application a database."""

import asyncio
import gc
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from psycopg import sql
from sqlalchemy import func, make_url, select, true, update
from sqlalchemy.exc import DBAPIError
from starlette.types import Message, Receive, Send
from starlette.types import Scope as AsgiScope

from app import main
from app.api.kernel import Kernel
from app.db import engine
from app.db.embedded import Cluster, start_embedded
from app.db.engine import Database, Tx, read_url
from app.db.failures import is_worth_another_try
from app.db.migrations import upgrade
from app.main import create_app
from app.models import Base, ChangeFeed
from app.settings import Settings
from app.store.locks import Rank
from tests.contract import Contract
from tests.leftovers import clear_up, remove_at_end, watch
from tests.lock_order import BROKEN, OrderedTx

SERVER = "MILEPOST_TEST_SERVER_URL"
"""Where the Postgres of this run is; set by the run itself, or from outside to test another server."""
TEMPLATE = "milepost_template"
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "400"}
_EMPTY = (
    select(1)
    .add_cte(
        *(
            table.delete().cte(f"of_{table.name}")
            for table in Base.metadata.sorted_tables
            if table.name != ChangeFeed.__tablename__
        )
    )
    .execution_options(locks=max(Rank))
)
_TELL_NOTHING = select(func.set_config("session_replication_role", "replica", true()))
_BEGIN_FEED = update(ChangeFeed).values(newest=0, oldest=1).execution_options(locks=Rank.change_feed.held)
PATIENT = {"database_timeout_seconds": 60}
"""Settings of a service on a machine that is busy with other work: requests wait for their turn."""

if sys.platform != "win32" and sys.version_info < (3, 14):  # later there are no policies any more
    import uvloop

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())  # the loop that the service runs on

engine.Tx = OrderedTx  # type: ignore[misc]  # every transaction of a test keeps the order of locks

_cluster: Cluster | None = None
_home: Path | None = None


def pytest_configure(config: pytest.Config) -> None:
    """Start Postgres once, in the process that controls the run, and build the template by the migrations."""
    global _cluster, _home  # noqa: PLW0603 - pytest's hooks share nothing else
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    watch()
    for name in [name for name in os.environ if name.startswith("MILEPOST_") and name != SERVER]:
        del os.environ[name]
    if SERVER not in os.environ:
        _home = Path(tempfile.mkdtemp(prefix="milepost-tests-"))
        _home.chmod(0o755)
        remove_at_end(_home)
        _cluster = start_embedded(_home, settings=FAST)
        os.environ[SERVER] = _cluster.url
    _create_database(TEMPLATE)
    upgrade(url_of(TEMPLATE))


def pytest_xdist_auto_num_workers() -> int:
    """Return how many processes test at once: a third of the time they wait for services, leases and locks."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return cores + (cores + 1) // 2


def pytest_collection_finish() -> None:
    """Leave the thousands of tests alone when garbage is collected: services do so for themselves at their start."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
    main._collecting_garbage_rarely = nullcontext  # type: ignore[assignment]  # it would take half a second a service


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop Postgres and leave nothing behind."""
    if hasattr(config, "workerinput"):
        return
    if _cluster is not None:
        _cluster.close()
    if _home is not None:
        shutil.rmtree(_home, ignore_errors=True)
    clear_up()


def url_of(name: str) -> str:
    """Return the address of a database on the server of this run."""
    return make_url(os.environ[SERVER]).set(database=name).render_as_string(hide_password=False)


def connect(url: str) -> psycopg.Connection[Any]:
    """Return a connection that commits each statement."""
    plain = read_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(plain, autocommit=True)


def _create_database(name: str, template: str = "template0") -> None:
    with connect(os.environ[SERVER]) as server:
        server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))


@pytest.fixture(autouse=True)
def order_of_locks() -> Iterator[None]:
    """Fail a test in which a transaction took its locks in another order than all others, whoever noticed."""
    BROKEN.clear()
    yield
    assert not BROKEN


@pytest.fixture(scope="session")
def new_database(worker_id: str) -> Iterator[Any]:
    """Give a function that makes a migrated database and returns its address; all are dropped at the end."""
    made: list[str] = []

    def make(template: str = TEMPLATE) -> str:
        name = f"milepost_{worker_id}_{len(made)}"
        _create_database(name, template)
        made.append(name)
        return url_of(name)

    yield make
    with connect(os.environ[SERVER]) as server:
        for name in made:
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def database_url(new_database: Any) -> str:
    """Return the address of this worker's database."""
    url: str = new_database()
    return url


def make_settings(url: str, **changes: Any) -> Settings:
    """Return the settings of a service under test."""
    options: dict[str, Any] = {"housekeeping_seconds": 0.2, "database_pool_size": 8, **PATIENT, **changes}
    return Settings(database_url=url, **options)


@pytest.fixture(scope="session")
def application(database_url: str) -> FastAPI:
    """Return the application of this worker."""
    return create_app(make_settings(database_url))


@pytest.fixture(scope="module")
async def app(application: FastAPI) -> AsyncIterator[FastAPI]:
    """Give the application, running: only while the tests of a module need it, for its housekeeping never rests."""
    async with application.router.lifespan_context(application):
        yield application


@pytest.fixture
def kernel(app: FastAPI) -> Kernel:
    """Return the parts of the running application."""
    kernel: Kernel = app.state.kernel
    return kernel


@pytest.fixture(scope="session")
def contract(application: FastAPI) -> Contract:
    """Return what the OpenAPI document promises."""
    return Contract(application.openapi())


@pytest.fixture
async def client(app: FastAPI, contract: Contract, clean_database: None) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of the running application; every answer is checked against the OpenAPI document."""
    async with make_client(app, contract) as client:
        yield client


def make_client(app: FastAPI, contract: Contract | None = None, **options: Any) -> httpx.AsyncClient:
    """Return a client of ``app`` without a network."""
    hooks = {"response": [contract.check]} if contract else {}
    transport = httpx.ASGITransport(app=LeavingStreams(app))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost", event_hooks=hooks, **options)


class LeavingStreams:
    """An application whose callers leave after the first part of an answer that goes on: a stream never ends."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answer one request, at most with the first part."""
        left = False

        async def take(message: Message) -> None:
            nonlocal left
            if not left:
                left = message.get("more_body", False)
                await send({**message, "more_body": False})

        await self.app(scope, receive, take)


@pytest.fixture
async def clean_database(app: FastAPI) -> AsyncIterator[None]:
    """Empty the tables before the test, whoever left something there, and after it."""
    kernel: Kernel = app.state.kernel
    await _clean(kernel)
    yield
    await _clean(kernel)


async def _clean(kernel: Kernel) -> None:
    while not await _try_to_clean(kernel):
        pass
    kernel.doorkeeper.forget()


async def _try_to_clean(kernel: Kernel) -> bool:
    """Return whether all is deleted: the housekeeping may hold rows in another order, and one of the two gives way."""
    try:
        async with kernel.database.transaction() as tx:
            await empty_tables(tx)
    except DBAPIError as failure:
        if not is_worth_another_try(failure):
            raise
        return False
    return True


async def empty_tables(tx: Tx) -> None:
    """Delete every row, and tell of none; much faster than TRUNCATE on small tables."""
    await tx.execute(_TELL_NOTHING)
    await tx.execute(_EMPTY)
    await tx.execute(_BEGIN_FEED)


@pytest.fixture
async def tx(app: FastAPI) -> AsyncIterator[Tx]:
    """Give a transaction that is rolled back after the test."""
    kernel: Kernel = app.state.kernel
    try:
        async with kernel.database.transaction() as tx:
            yield tx
            raise _RollBackError  # noqa: TRY301 - leaving the block is the point
    except _RollBackError:
        pass


class _RollBackError(Exception):
    pass


@pytest.fixture
def database(kernel: Kernel) -> Database:
    """Return the database of the running application, for tests that commit."""
    return kernel.database
