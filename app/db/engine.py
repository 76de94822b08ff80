"""The way to the database: connections, transactions and what happens after a commit."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from time import monotonic
from typing import Any, LiteralString, NamedTuple, Protocol, TypeAlias, TypeVar

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import CTE, URL, Executable, Select, event, func, make_url, select, true
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.sql.selectable import TypedReturnsRows
from sqlalchemy.util import greenlet_spawn

from app.db.deadlines import ending_within
from app.db.idling import IdleConnections
from app.db.outages import Outage, leave_values_out
from app.db.sessions import CONNECT_SECONDS, Connection, Sessions
from app.db.statements import DIALECT, Rows, write_json_text
from app.db.statements import prepare as prepare_statement
from app.domain.json_texts import JsonText, Storable
from app.settings import Prepare, Settings

CONNECT_ARGS: Mapping[str, str | int] = {
    "application_name": "milepost",
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 10_000,
}


_WRITE_SOMETHING = select(func.pg_logical_emit_message(true(), CONNECT_ARGS["application_name"], ""))
"""A few bytes of WAL that change nothing and that nobody need read."""


WRITE_LATELY = timedelta(seconds=1)
TRIAL_SECONDS = 2.0
CLOSE_SECONDS = 2.0
"""How long a stop waits for connections that are just being made or given back."""

UnderWay: TypeAlias = set[asyncio.Future[Any]]


Parameters: TypeAlias = Mapping[str, Storable]
"""The values of a statement, by the names of its parameters."""
Value = TypeVar("Value")


Record = TypeVar("Record", bound=NamedTuple)
"""What a row is read as: its members are the columns of the statement, in their order."""


class Publisher(Protocol):
    """Whoever tells the waiting about topics that have news."""

    def publish(self, topics: set[str], ready: Mapping[str, int] | None = None) -> None:
        """Wake everybody who waits for one of ``topics``, and for each queue as many as tasks got ready there."""


class Tx:
    """One transaction, and who is to be woken once it is committed: topics with news, queues with ready tasks."""

    __slots__ = (
        "_connection",
        "_has_begun",
        "_savepoints",
        "commits_each",
        "has_committed",
        "has_written",
        "heard_at",
        "is_promise",
        "is_wary",
        "ready",
        "topics",
    )

    def __init__(
        self, connection: Connection, *, is_wary: bool = True, is_promise: bool = False, commits_each: bool = False
    ) -> None:
        self._connection = connection
        self._has_begun = False
        self._savepoints = 0
        self.commits_each = commits_each
        """Whether each statement is a transaction of its own."""
        self.has_committed = False
        """Whether statements have committed by themselves: what follows does not undo them, and they are to be told."""
        self.has_committed = False
        """Whether some statements have committed each by itself, and what follows does not."""
        self.is_promise = is_promise
        """Whether what is answered of it must outlive this server."""
        self.has_written = False
        """Whether it surely has, locks of rows included, so that its commit is one that a standby must have.

        Where each statement commits by itself: whether the last one has, for it may rest on what came after the others.
        """
        self.heard_at: float | None = None
        """When the database has last done what it was asked for, by the clock of `monotonic`; None: not yet."""
        self.is_wary = is_wary
        """Whether to look before leaping: False where a failure is cheap, for the work is done again, wary then."""
        self.topics: set[str] = set()
        self.ready: Counter[str] = Counter()

    def commit_each(self) -> None:
        """Let each statement commit by itself from now on, unless a transaction has begun.

        Work that is one statement is one round trip then. It is not undone when something fails that follows: the same
        work, tried again, must find it done.
        """
        self.commits_each = not self._has_begun
        self.has_committed = self.has_committed or self.commits_each

    def commit_together(self) -> None:
        """Let what follows commit as a whole: work that turned out to be more than one statement."""
        if self.commits_each:
            self.commits_each = self.has_written = False
            self.has_committed = True

    async def execute(self, statement: Executable, parameters: Parameters | None = None) -> Rows:
        """Execute one statement in this transaction."""
        return await self._note(statement, await self._run(statement, parameters or {}))

    async def execute_planned(self, statement: Executable, parameters: Parameters) -> Rows:
        """Execute one statement with a plan for these very values: where a plan for all values may be a bad one."""
        return await self._note(statement, await self._run(statement, parameters, prepare=False))

    async def _note(self, statement: Executable, rows: Rows) -> Rows:
        if self.is_promise and (self.commits_each or not self.has_written):
            self.has_written = rows.rowcount > 0 and _writes(statement)
        return rows

    async def _run(self, statement: Executable, parameters: Parameters, *, prepare: bool | None = None) -> Rows:
        await self._begin()
        prepared = prepare_statement(statement, frozenset(parameters))
        cursor = self._connection.cursor()
        with explaining(self._connection):
            await cursor.execute(prepared.sql, prepared.fill_in(parameters), prepare=prepare)
            self.heard_at = monotonic()
            if cursor.description is None:
                return Rows((), cursor.rowcount)
            return Rows(prepared.read(cursor, await cursor.fetchall()), cursor.rowcount)

    async def fetch(
        self, record: type[Record], statement: Executable, parameters: Parameters | None = None
    ) -> list[Record]:
        """Return what a statement finds, each row as a record."""
        return [*map(record._make, (await self.execute(statement, parameters)).all())]

    async def fetch_one(
        self, record: type[Record], statement: Executable, parameters: Parameters | None = None
    ) -> Record | None:
        """Return the one row that a statement finds as a record; None if it finds none."""
        row = (await self.execute(statement, parameters)).one_or_none()
        return None if row is None else record._make(row)

    async def fetch_values(
        self, statement: TypedReturnsRows[Value], parameters: Parameters | None = None
    ) -> list[Value]:
        """Return the values that a statement of one column finds."""
        return [*(await self.execute(statement, parameters)).scalars()]

    async def fetch_value(self, statement: TypedReturnsRows[Value], parameters: Parameters | None = None) -> Value:
        """Return the one value that a statement of one column finds."""
        value: Value = (await self.execute(statement, parameters)).scalar_one()
        return value

    async def find_value(
        self, statement: TypedReturnsRows[Value], parameters: Parameters | None = None
    ) -> Value | None:
        """Return the one value that a statement of one column finds; None if it finds none."""
        value: Value | None = (await self.execute(statement, parameters)).scalar_one_or_none()
        return value

    async def change(self, statement: Executable, parameters: Parameters | None = None) -> int:
        """Return how many rows a statement has changed."""
        return (await self.execute(statement, parameters)).rowcount

    async def keep_promise(self) -> None:
        """Write something if nothing was written yet: then the commit waits for a synchronous standby.

        What is answered from stored work may rest on a commit that was given up while the standby was away: it stands
        here, and is lost when the standby is promoted. A later commit that has arrived there brings it along.
        """
        if self.is_promise and not self.has_written:
            await self._run(_WRITE_SOMETHING, {})

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """What raises in the block is undone alone, and the transaction goes on without it."""
        await self._begin()
        self._savepoints += 1
        name = f"savepoint_{self._savepoints}"
        await self._say(f"SAVEPOINT {name}")
        try:
            yield
        except Exception:  # who is interrupted does not go on: all of it is undone, and nothing must hide that
            await self._say(f"ROLLBACK TO SAVEPOINT {name}")
            raise
        await self._say(f"RELEASE SAVEPOINT {name}")

    async def _begin(self) -> None:
        if not self._has_begun and not self.commits_each:
            self._has_begun = True
            await self._say("BEGIN")

    async def commit(self) -> None:
        """Commit what was begun."""
        await self.keep_promise()
        if self._has_begun:
            await self._say("COMMIT")

    async def _say(self, command: LiteralString) -> None:
        with explaining(self._connection):
            await self._connection.execute(command)
            self.heard_at = monotonic()


class Database:
    """A pool of connections to one Postgres."""

    def __init__(self, settings: Settings, url: str, publisher: Publisher, outage: Outage | None = None) -> None:
        self.outage = outage or Outage()
        self._engine = make_engine(settings, url)
        self._idle = IdleConnections(self._engine)
        self._under_way: UnderWay = set()
        self._tending: asyncio.Task[None] | None = None
        self.timeout_seconds = settings.database_timeout_seconds
        self._publisher = publisher
        self.on_commit: Callable[[], None] | None = None
        """Called after each commit of a transaction."""
        self.wrote_at: datetime | None = None
        """When a write of a caller, or a trial of one, last got through."""
        self._trial: asyncio.Task[None] | None = None
        self._is_closed = False
        """Whether the pool keeps no connection any more: who gives one back late would leave it open."""

    def start(self) -> None:
        """Begin to give connections back that lie idle."""
        self._tending = asyncio.create_task(self._idle.keep_closing())

    @asynccontextmanager
    async def transaction(self, *, is_wary: bool = True, is_promise: bool = False) -> AsyncIterator[Tx]:
        """Commit at the end of the block, then wake whoever waits for what it changed.

        What is answered to a caller of a transaction that ``is_promise`` is never lost, be it found or written there.
        """
        async with self._watched(), self._checked_out() as connection:
            tx = Tx(connection, is_wary=is_wary, is_promise=is_promise)
            try:
                yield tx
                await tx.commit()
            except BaseException:
                if tx.has_committed:
                    self._tell(tx)
                raise
        if is_promise and (tx.is_promise or tx.has_written):
            self.wrote_at = datetime.now(UTC)
        self.outage.note_success(tx.heard_at)
        self._tell(tx)

    def _tell(self, tx: Tx) -> None:
        if self.on_commit is not None:
            self.on_commit()
        if tx.topics or tx.ready:
            self._publisher.publish(tx.topics, tx.ready)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Tx]:
        """Each statement of the block reads on its own: one round trip, no transaction around it."""
        async with self._watched(), self._checked_out() as connection:
            tx = Tx(connection, commits_each=True)
            yield tx
        self.outage.note_success(tx.heard_at)

    @asynccontextmanager
    async def _checked_out(self) -> AsyncIterator[Connection]:
        """Give a connection of the pool; one that comes when its caller has gone is given back, and not left lying."""
        coming = asyncio.ensure_future(_check_out(self._engine))
        self._under_way.add(coming)
        coming.add_done_callback(self._under_way.discard)
        try:
            taken = await asyncio.shield(coming)
        except asyncio.CancelledError:
            coming.add_done_callback(self._give_back_late)
            raise
        try:
            yield _driver_of(taken)
        finally:
            await self._give_back(taken)

    async def _give_back(self, taken: PoolProxiedConnection) -> None:
        """Give a connection back without a transaction on it; one that does not let go is closed.

        Where one is broken, the others are most likely, too: each is made anew before it is used again. Nobody is told
        that it broke in a rollback: nothing was written, and what led to the rollback is what is to be told.
        """
        connection = _driver_of(taken)
        try:
            if not _is_idle(connection):
                with suppress(psycopg.Error):
                    await connection.rollback()
        except BaseException:
            await greenlet_spawn(taken.invalidate)
            raise
        if not _is_idle(connection):
            await greenlet_spawn(self._engine.pool._invalidate, taken)  # noqa: SLF001 - as SQLAlchemy itself does
        elif self._is_closed:
            await greenlet_spawn(taken.invalidate)
        else:
            taken.close()

    def _give_back_late(self, coming: asyncio.Future[PoolProxiedConnection]) -> None:
        if coming.cancelled() or coming.exception() is not None:
            return
        closing = asyncio.ensure_future(self._give_back(coming.result()))
        self._under_way.add(closing)
        closing.add_done_callback(self._under_way.discard)

    @asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        """Give the block its time, and take note where the database is away."""
        try:
            async with ending_within(self.timeout_seconds):
                yield
        except Exception as failure:
            self.outage.note_failure(failure)
            raise

    async def try_to_write(self) -> bool:
        """Return whether a write gets through, or did so a moment ago. Those who ask together share one trial."""
        if self.wrote_at and datetime.now(UTC) - self.wrote_at < WRITE_LATELY:
            return True
        if self._trial is None or self._trial.done():
            self._trial = asyncio.create_task(self._write_something())
        await asyncio.wait([self._trial])
        return not self._trial.cancelled() and self._trial.exception() is None

    async def _write_something(self) -> None:
        async with ending_within(min(self.timeout_seconds, TRIAL_SECONDS)), self.transaction(is_promise=True):
            pass

    async def close(self) -> None:
        """Close all connections."""
        if self._tending is not None:
            self._tending.cancel()
            await asyncio.gather(self._tending, return_exceptions=True)
        self._is_closed = True
        await self._settle()
        await self._engine.dispose()

    async def _settle(self) -> None:
        """Wait for connections that are just being made or given back; those that take too long are broken off.

        One that came after the pool was closed would lie open for as long as the process lives.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                while self._under_way:
                    await asyncio.wait(self._under_way)
        while self._under_way:
            for late in self._under_way:
                late.cancel()
            await asyncio.wait(self._under_way)


@lru_cache(maxsize=1024)
def _writes(statement: Executable) -> bool:
    """Return whether each row that the statement gives, or counts, is one that it has written or locked."""
    if not isinstance(statement, Select):
        return statement.is_dml
    if statement._for_update_arg is not None:  # noqa: SLF001 - there is no public word for it
        return True
    return any(isinstance(source, CTE) and _writes(source.element) for source in statement.get_final_froms())


async def _check_out(engine: AsyncEngine) -> PoolProxiedConnection:
    with explaining(None):
        return await greenlet_spawn(engine.sync_engine.raw_connection)


def _driver_of(taken: PoolProxiedConnection) -> Connection:
    connection = taken.driver_connection
    assert isinstance(connection, psycopg.AsyncConnection)  # noqa: S101 - what the engine opens
    return connection


def _is_idle(connection: Connection) -> bool:
    """Return whether a connection is there, and on it nothing under way."""
    return connection.info.transaction_status == TransactionStatus.IDLE


@contextmanager
def explaining(connection: Connection | None) -> Iterator[None]:
    """Raise what the driver raises as SQLAlchemy does, without the values that a statement was run with."""
    try:
        yield
    except psycopg.Error as error:
        is_lost = connection is None or connection.closed or connection.broken
        raised = DBAPIError.instance(
            None, None, error, psycopg.Error, hide_parameters=True, connection_invalidated=is_lost, dialect=DIALECT
        )
        leave_values_out(raised)
        raise raised from error


def read_url(url: str) -> URL:
    """Return ``url`` for psycopg, also when it is written the old way as `postgres://`."""
    return make_url(url.replace("postgres://", "postgresql://", 1)).set(drivername="postgresql+psycopg")


def make_engine(settings: Settings, url: str) -> AsyncEngine:
    """Return an engine whose connections speak UTC and keep JSON as it was given."""
    target = read_url(url)
    connect_args: dict[str, Any] = {name: value for name, value in CONNECT_ARGS.items() if name not in target.query}
    sessions = Sessions(settings.database_timeout_seconds)
    connect_args["async_creator_fn"] = sessions.open
    if settings.database_prepare is Prepare.off:
        connect_args["prepare_threshold"] = None
    engine = create_async_engine(
        target,
        connect_args=connect_args,
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_use_lifo=True,
        pool_timeout=0.9 * settings.database_timeout_seconds,  # before the request gives up, so that it can say why
        pool_reset_on_return=None,  # it is given back without a transaction
        json_serializer=write_json_text,
        json_deserializer=JsonText,
        hide_parameters=True,
    )
    event.listen(engine.sync_engine, "checkout", sessions.check)
    return engine
