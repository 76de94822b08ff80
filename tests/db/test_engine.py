"""Connections: UTC, JSON as it was given, and a refusal when the database does not answer."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import bindparam, make_url, select, text
from sqlalchemy.exc import SQLAlchemyError

from app.db import idling
from app.db.engine import Database, Tx, read_url
from app.db.failures import explain_failure
from app.db.sessions import OldPrimaryError, Timelines
from app.domain.json_texts import JsonText
from app.errors import Unavailable
from app.models import Queue
from app.models.base import KeptJson, ReadJson
from app.store import queues
from tests.conftest import connect, make_settings
from tests.waiting import PROMPT_SECONDS, eventually


class Told:
    """Knows what was told."""

    def __init__(self) -> None:
        self.topics: set[str] = set()

    def publish(self, topics: set[str], ready: Any = None) -> None:
        """Take note of it."""
        self.topics |= topics


class Silent:
    """Tells nobody."""

    def publish(self, topics: set[str], ready: Any = None) -> None:
        """Do nothing."""


def open_pool(url: str, **changes: Any) -> Database:
    return Database(make_settings(url, **changes), url, Silent())


@pytest.fixture
async def far_away(new_database: Any) -> AsyncIterator[Database]:
    """Give a pool on a database that stands in another time zone."""
    url = new_database()
    with connect(url) as connection:
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET timezone = 'Asia/Kolkata'".encode())
    pool = open_pool(url)
    yield pool
    await pool.close()


class TestDatabase:
    async def test_times_are_utc_whatever_the_server_is_set_to(self, far_away: Database) -> None:
        statement = text("SELECT CAST('2026-01-01T00:00:00Z' AS timestamptz), current_setting('timezone')")
        for way in (far_away.reading, far_away.transaction):
            async with way() as tx:
                row: Any = (await tx.execute(statement)).one()
            at, zone = row
            assert (at, at.utcoffset()) == (datetime(2026, 1, 1, tzinfo=UTC), UTC.utcoffset(None))
            assert zone == "UTC"

    @pytest.mark.parametrize(
        "value", [{"b": 1, "a": [1.0, 1, None]}, {}, [], 0, "", "é\u2028😀", 12345678901234567890, 0.1, True]
    )
    async def test_json_comes_back_as_it_was_given(self, database: Database, value: Any) -> None:
        async with database.reading() as tx:
            both = select(bindparam("value", type_=ReadJson()), bindparam("again", type_=KeptJson()))
            row: Any = (await tx.execute(both, {"value": value, "again": value})).one()
        read, kept = row
        assert json.dumps(read) == json.dumps(value)
        assert json.dumps(json.loads(kept.text)) == json.dumps(value)

    async def test_json_text_is_kept_as_it_stands(self, database: Database) -> None:
        given = JsonText(b'{"b": 1,  "a": [1.0, 1e400, "\\u00e4"], "b": 2}')
        async with database.reading() as tx:
            kept = (await tx.execute(select(bindparam("value", type_=KeptJson())), {"value": given})).scalar_one()
        assert kept.text == given.text

    @pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
    def test_every_way_of_writing_an_address_means_psycopg(self, scheme: str) -> None:
        url = read_url(f"{scheme}://user:postgres%3A%2F%2F@host/name")
        assert url.drivername == "postgresql+psycopg"
        assert url.password == "postgres://"

    async def test_statement_that_takes_too_long_is_unavailable_and_its_connection_works_on(
        self, database_url: str
    ) -> None:
        pool = open_pool(database_url, database_timeout_seconds=0.3)
        began = time.monotonic()
        with pytest.raises(TimeoutError) as failure:
            async with pool.reading() as tx:
                await tx.execute(text("SELECT pg_sleep(20)"))
        assert time.monotonic() - began < PROMPT_SECONDS
        assert isinstance(explain_failure(failure.value), Unavailable)
        async with pool.reading() as tx:
            assert (await tx.execute(text("SELECT 1"))).scalar_one() == 1
        await pool.close()

    async def test_transaction_that_takes_too_long_writes_nothing(self, database_url: str) -> None:
        pool = open_pool(database_url, database_timeout_seconds=0.3)
        with pytest.raises(TimeoutError):  # noqa: PT012 - the block is what takes too long
            async with pool.transaction() as tx:
                await tx.execute(
                    text("INSERT INTO idempotency_keys (scope, body, answer) VALUES ('late', 'late', '{}')")
                )
                await asyncio.sleep(5)
        with connect(database_url) as connection:
            assert connection.execute("SELECT FROM idempotency_keys WHERE scope = 'late'").fetchall() == []
        await pool.close()

    async def test_broken_connections_cost_one_refusal(self, database_url: str) -> None:
        pool = open_pool(database_url)
        async with pool.reading() as one, pool.reading() as other:
            pids = [(await tx.execute(text("SELECT pg_backend_pid()"))).scalar_one() for tx in (one, other)]
        with connect(database_url) as connection:
            for pid in pids:
                connection.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
        with pytest.raises(SQLAlchemyError) as failure:
            async with pool.reading() as tx:
                await tx.execute(text("SELECT 1"))
        assert isinstance(explain_failure(failure.value), Unavailable)
        for _ in range(3):
            async with pool.reading() as tx:
                assert (await tx.execute(text("SELECT 1"))).scalar_one() == 1
        await pool.close()

    @pytest.mark.parametrize("reason", [ZeroDivisionError, asyncio.CancelledError])
    async def test_connection_that_breaks_in_a_rollback_hides_nothing(
        self, database_url: str, reason: type[BaseException]
    ) -> None:
        pool = open_pool(database_url)
        with pytest.raises(reason):  # noqa: PT012 - the block is what fails
            async with pool.transaction() as tx, undoing(tx, reason):
                pid = (await tx.execute(text("SELECT pg_backend_pid()"))).scalar_one()
                with connect(database_url) as connection:
                    connection.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
                raise reason
        async with pool.transaction() as tx:
            assert (await tx.execute(text("SELECT 1"))).scalar_one() == 1
        await pool.close()

    @pytest.mark.parametrize(("commits", "told"), [(True, {"committed"}), (False, set())])
    async def test_what_was_committed_is_told_also_when_what_follows_fails(
        self, database_url: str, commits: bool, told: set[str]
    ) -> None:
        publisher = Told()
        pool = Database(make_settings(database_url), database_url, publisher)
        with pytest.raises(SQLAlchemyError):  # noqa: PT012 - the block is what fails
            async with pool.transaction() as tx:
                if commits:
                    tx.commit_each()
                await tx.execute(text("SELECT 1"))
                tx.topics.add("committed")
                tx.commit_together()
                await tx.execute(text("SELECT 1"))
                tx.commit_each()  # too late: a transaction has begun
                await tx.execute(text("SELECT 1 / 0"))
        assert publisher.topics == told
        await pool.close()

    async def test_idle_connections_are_given_back_and_others_come_when_needed(
        self, new_database: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url = new_database()
        pool = open_pool(url)
        async with pool.reading() as one, pool.reading() as other:
            assert [(await tx.execute(text("SELECT 1"))).scalar_one() for tx in (one, other)] == [1, 1]
        await pool._idle.close_old()
        assert sessions_of(url) == 2
        monkeypatch.setattr(idling, "IDLE_SECONDS", -1.0)
        async with pool.reading() as used:
            await pool._idle.close_old()
            assert (await used.execute(text("SELECT 1"))).scalar_one() == 1
            await eventually(lambda: count_is(url, 1))
        async with pool.reading() as one, pool.reading() as other:
            assert [(await tx.execute(text("SELECT 1"))).scalar_one() for tx in (one, other)] == [1, 1]
        await pool.close()

    async def test_connection_that_is_given_back_when_all_are_closed_is_closed(self, database_url: str) -> None:
        pool = open_pool(database_url)
        async with pool.reading() as late, pool.reading() as later:
            for tx in (late, later):
                assert (await tx.execute(text("SELECT 1"))).scalar_one() == 1
            await pool.close()
        assert [tx._connection.closed for tx in (late, later)] == [True, True]

    async def test_session_that_lies_in_a_transaction_is_ended_by_the_server(self, database_url: str) -> None:
        pool = open_pool(database_url, database_timeout_seconds=3)
        names = ("idle_in_transaction_session_timeout", "statement_timeout", "client_connection_check_interval")
        async with pool.reading() as tx:
            found = [(await tx.execute(text(f"SHOW {name}"))).scalar_one() for name in names]
        assert found == ["8s", "8s", "5s"]
        await pool.close()

    async def test_database_without_a_connection_left_says_so(self, database_url: str) -> None:
        role = f"few_{uuid4().hex}"
        url = make_url(database_url).set(username=role).render_as_string(hide_password=False)
        with connect(database_url) as connection:
            connection.execute(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 1".encode())
            pool = open_pool(url)
            async with pool.reading():
                with pytest.raises(SQLAlchemyError) as failure:
                    async with pool.reading():
                        pass
            await pool.close()
            await eventually(lambda: is_done(connection, f"DROP ROLE {role}"))
        explained = explain_failure(failure.value)
        assert isinstance(explained, Unavailable)
        assert "no connection left" in explained.detail


def undoing(tx: Tx, reason: type[BaseException]) -> AbstractAsyncContextManager[None]:
    """Return a savepoint for who is interrupted: it would undo what is undone anyway."""
    return tx.savepoint() if reason is asyncio.CancelledError else nullcontext()


def sessions_of(url: str) -> int:
    with connect(url) as connection:
        query = "SELECT count(*) - 1 FROM pg_stat_activity WHERE datname = current_database()"
        row = connection.execute(query).fetchone()
    assert row
    return int(row[0])


async def count_is(url: str, count: int) -> bool:
    return sessions_of(url) == count


async def is_done(connection: psycopg.Connection[Any], statement: str) -> bool:
    connection.execute(statement.encode())
    return True


class TestTimelines:
    def test_older_timeline_than_one_that_was_seen_is_refused(self) -> None:
        timelines = Timelines()
        timelines.see(7, 1)
        timelines.see(7, 2)
        assert timelines.is_old(7, 1)
        with pytest.raises(OldPrimaryError, match="old primary"):
            timelines.see(7, 1)
        timelines.see(7, 3)

    def test_another_database_begins_anew(self) -> None:
        timelines = Timelines()
        timelines.see(7, 3)
        timelines.see(8, 1)
        assert not timelines.is_old(7, 2)


class TestExplainFailure:
    @pytest.mark.parametrize(
        ("statement", "refusal"),
        [
            ("SELECT 1 / 0", None),
            ("SELECT * FROM nowhere", None),
            ("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$", Unavailable),
            ("DO $$ BEGIN RAISE SQLSTATE '53100'; END $$", Unavailable),
            ("DO $$ BEGIN RAISE SQLSTATE '08006'; END $$", Unavailable),
        ],
    )
    async def test_only_what_may_pass_is_unavailable(
        self, database: Database, statement: str, refusal: type[Unavailable] | None
    ) -> None:
        with pytest.raises(SQLAlchemyError) as failure:
            async with database.transaction() as tx:
                await tx.execute(text(statement))
        explained = explain_failure(failure.value)
        assert (explained and type(explained)) is refusal

    async def test_value_that_cannot_be_sent_is_our_error(self, database: Database) -> None:
        with pytest.raises(SQLAlchemyError) as failure:
            async with database.transaction() as tx:
                await tx.execute(text("SELECT CAST(:value AS text)"), {"value": "a\0b"})
        assert explain_failure(failure.value) is None


class Listening:
    """Keeps the topics that it is told of."""

    def __init__(self) -> None:
        self.heard: set[str] = set()

    def publish(self, topics: set[str], ready: Any = None) -> None:
        """Keep them."""
        self.heard |= topics


async def fail_after(pool: Database, *, alone: Sequence[str] = (), together: Sequence[str] = ()) -> None:
    """Make queues that commit each by itself, and then some that commit together, tell of it, and fail."""
    async with pool.transaction() as tx:
        if alone:
            tx.commit_each()
        for name in alone:
            await queues.insert_queue(tx, name)
        if together:
            tx.commit_together()
        for name in together:
            await queues.insert_queue(tx, name)
        tx.topics.add("topic")
        raise ZeroDivisionError


async def queues_of(pool: Database) -> set[str]:
    """Return the queues that there are."""
    async with pool.transaction() as tx:
        return {*await tx.fetch_values(select(Queue.queue))}


class TestCommits:
    @pytest.mark.parametrize("ways", [("alone",), ("together",), ("alone", "together")], ids="-".join)
    async def test_failure_undoes_what_has_not_committed(self, database: Database, ways: Sequence[str]) -> None:
        names = {way: [str(uuid4()), str(uuid4())] for way in ways}
        with pytest.raises(ZeroDivisionError):
            await fail_after(database, **names)
        stored = await queues_of(database)
        assert stored.issuperset(names.get("alone", ()))
        assert stored.isdisjoint(names.get("together", ()))

    @pytest.mark.parametrize(
        ("ways", "heard"),
        [(("together",), set()), (("alone",), {"topic"}), (("alone", "together"), {"topic"})],
        ids=["together", "alone", "alone-together"],
    )
    async def test_what_was_committed_is_told_though_more_failed(
        self, database_url: str, ways: Sequence[str], heard: set[str]
    ) -> None:
        publisher = Listening()
        pool = Database(make_settings(database_url), database_url, publisher)
        with pytest.raises(ZeroDivisionError):
            await fail_after(pool, **{way: [str(uuid4())] for way in ways})
        await pool.close()
        assert publisher.heard == heard
