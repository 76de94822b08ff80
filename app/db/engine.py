"""The way to the database: connections, transactions and what happens after a commit."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from pydantic_core import from_json, to_json
from sqlalchemy import URL, Executable, event, make_url
from sqlalchemy.engine import CursorResult
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.settings import Prepare, Settings

CONNECT_ARGS: Mapping[str, str | int] = {
    "application_name": "milepost",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 10_000,
}


class Publisher(Protocol):
    """Whoever tells the waiting about topics that have news."""

    def publish(self, topics: set[str], ready: Mapping[str, int] | None = None) -> None:
        """Wake everybody who waits for one of ``topics``, and for each queue as many as tasks got ready there."""


class Tx:
    """One transaction, and who is to be woken once it is committed: topics with news, queues with ready tasks."""

    __slots__ = ("_connection", "is_wary", "ready", "topics")

    def __init__(self, connection: AsyncConnection, *, is_wary: bool = True) -> None:
        self._connection = connection
        self.is_wary = is_wary
        """Whether to look before leaping: False where a failure is cheap, for the work is done again, wary then."""
        self.topics: set[str] = set()
        self.ready: Counter[str] = Counter()

    async def execute(
        self, statement: Executable, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> CursorResult[Any]:
        """Execute one statement in this transaction."""
        return await self._connection.execute(statement, parameters)

    async def execute_planned(self, statement: Executable, parameters: Mapping[str, Any]) -> CursorResult[Any]:
        """Execute one statement with a plan for these very values: where a plan for all values may be a bad one."""
        connection: Any = (await self._connection.get_raw_connection()).driver_connection
        usual, connection.prepare_threshold = connection.prepare_threshold, None
        try:
            return await self.execute(statement, parameters)
        finally:
            connection.prepare_threshold = usual


class Database:
    """A pool of connections to one Postgres."""

    def __init__(self, settings: Settings, url: str, publisher: Publisher) -> None:
        self._engine = make_engine(settings, url)
        self._autocommit = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._timeout_seconds = settings.database_timeout_seconds
        self._publisher = publisher

    @asynccontextmanager
    async def transaction(self, *, is_wary: bool = True) -> AsyncIterator[Tx]:
        """Commit at the end of the block, then wake whoever waits for what it changed."""
        async with asyncio.timeout(self._timeout_seconds), _checked_out(self._engine) as connection:
            tx = Tx(connection, is_wary=is_wary)
            async with connection.begin():
                yield tx
        if tx.topics or tx.ready:
            self._publisher.publish(tx.topics, tx.ready)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Tx]:
        """Each statement of the block reads on its own: one round trip, no transaction around it."""
        async with asyncio.timeout(self._timeout_seconds), _checked_out(self._autocommit) as connection:
            yield Tx(connection)

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


@asynccontextmanager
async def _checked_out(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Give a connection of the pool; one that comes when its caller has gone is given back, and not left lying."""
    coming = asyncio.ensure_future(_check_out(engine))
    try:
        connection = await asyncio.shield(coming)
    except asyncio.CancelledError:
        coming.add_done_callback(_give_back)
        raise
    try:
        yield connection
    finally:
        await connection.close()


async def _check_out(engine: AsyncEngine) -> AsyncConnection:
    return await engine.connect()


_given_back: set[asyncio.Future[None]] = set()


def _give_back(coming: asyncio.Future[AsyncConnection]) -> None:
    if coming.cancelled() or coming.exception() is not None:
        return
    closing = asyncio.ensure_future(coming.result().close())
    _given_back.add(closing)
    closing.add_done_callback(_given_back.discard)


def read_url(url: str) -> URL:
    """Return ``url`` for psycopg, also when it is written the old way as `postgres://`."""
    return make_url(url.replace("postgres://", "postgresql://", 1)).set(drivername="postgresql+psycopg")


def make_engine(settings: Settings, url: str) -> AsyncEngine:
    """Return an engine whose connections speak UTC and keep JSON as it was given."""
    target = read_url(url)
    connect_args: dict[str, Any] = {name: value for name, value in CONNECT_ARGS.items() if name not in target.query}
    if settings.database_prepare is Prepare.off:
        connect_args["prepare_threshold"] = None
    engine = create_async_engine(
        target,
        connect_args=connect_args,
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=settings.database_timeout_seconds,
        json_serializer=lambda value: to_json(value).decode(),
        json_deserializer=from_json,
    )
    event.listen(engine.sync_engine, "connect", _speak_utc)
    return engine


def _speak_utc(connection: Any, _record: object) -> None:
    """Set the time zone where it is not UTC already: a parameter that PgBouncer keeps for each client."""
    if connection.driver_connection.info.parameter_status("TimeZone") == "UTC":
        return
    cursor = connection.cursor()
    cursor.execute("SET TIME ZONE 'UTC'")
    cursor.close()
    connection.commit()
