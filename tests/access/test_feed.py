"""Following the feed: one who reads for all, and what becomes of readers when that cannot go on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from pydantic_core import from_json
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from app.access.feed import RECENT_MOST, Feed, forget_old_changes
from app.api.kernel import Kernel
from app.db.engine import Database, Tx
from app.services.changes import stream_changes
from milepost.schemas.changes import ChangeStreamQuery
from tests.factories import create_run, run_body
from tests.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.usefixtures("clean_database")


class Visitor:
    """Somebody whose key stays good."""

    async def is_gone(self) -> bool:
        return False

    async def check_key(self) -> None:
        pass


@asynccontextmanager
async def streaming(kernel: Kernel, after: int | None = None) -> AsyncIterator[AsyncIterator[bytes]]:
    """Give the events of a stream, and end it."""
    events: Any = await stream_changes(kernel, ChangeStreamQuery(after=after), None, Visitor())
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            yield events
    finally:
        await events.aclose()


def data_of(event: bytes) -> dict[str, Any]:
    data: dict[str, Any] = from_json(event.rpartition(b"data: ")[2])
    return data


class TestFeed:
    async def test_readers_get_the_same_from_memory_and_from_the_database(
        self, client: httpx.AsyncClient, kernel: Kernel
    ) -> None:
        async with kernel.feed.following():
            first = (await kernel.feed.read(0)).last
            for _ in range(3):
                await create_run(client)
            while not kernel.feed.has_news(first + 2):
                await kernel.feed.wait(first + 2, 1)
            fresh = Feed(kernel.database, kernel.wakeups)
            remembered = await kernel.feed.read(first)
            read = await fresh.read(first)
        assert [change.event for change in remembered.changes] == [change.event for change in read.changes]
        assert len(read.changes) == 3

    async def test_what_is_further_behind_than_memory_is_read_from_the_database(
        self, client: httpx.AsyncClient, kernel: Kernel
    ) -> None:
        async with kernel.feed.following():
            await kernel.feed.wait(0, 0.1)
            count = 0
            while count <= RECENT_MOST + 1000:
                body = {"workflow_runs": [run_body() for _ in range(1000)]}
                assert (await client.post("/v1/workflow-runs/batch", json=body)).status_code == 201
                count += 1000
            while not kernel.feed.has_news(count - 1):
                await kernel.feed.wait(count - 1, 1)
            position, seen = 0, []
            while (portion := await kernel.feed.read(position)).changes:
                seen += [change.position for change in portion.changes]
                position = portion.last
        assert seen == list(range(1, count + 1))

    async def test_last_reader_ends_the_following(self, kernel: Kernel) -> None:
        async with kernel.feed.following(), kernel.feed.following():
            pass
        assert kernel.feed._following is None


class TestStream:
    async def test_it_says_goodbye_when_the_database_is_away(
        self, client: httpx.AsyncClient, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        @asynccontextmanager
        async def away() -> AsyncIterator[Tx]:
            raise OperationalError("", {}, Exception("away"))
            yield

        await create_run(client)
        async with streaming(kernel, 0) as events:
            assert data_of(await anext(events)) == {"position": 0}
            monkeypatch.setattr(kernel.database, "reading", away)
            assert data_of(await anext(events)) == {"reason": "unavailable", "position": 0}

    async def test_reader_that_retention_has_passed_is_told(
        self, client: httpx.AsyncClient, kernel: Kernel, database: Database
    ) -> None:
        for _ in range(3):
            await create_run(client)
        async with streaming(kernel, 1) as events:
            await anext(events)
            async with database.transaction() as tx:
                await tx.execute(text("UPDATE changes SET at = at - interval '1 hour'"))
                await forget_old_changes(tx, 60, 2)
            assert data_of(await anext(events)) == {"reason": "changes-forgotten", "position": 1}

    async def test_following_goes_on_behind_what_was_forgotten_unread(
        self, client: httpx.AsyncClient, kernel: Kernel, database: Database
    ) -> None:
        async with streaming(kernel) as events:
            await anext(events)
            kernel.feed._skip(1)
            for _ in range(3):
                await create_run(client)
            positions = [data_of(part)["position"] for part in (await anext(events)).split(b"\n\n") if part]
            assert positions[0] == 1
            async with database.transaction() as tx:
                assert await tx.fetch_value(text("SELECT count(*) FROM changes")) >= 1  # type: ignore[arg-type]
