"""A database that takes what it is sent and says nothing: everybody is answered in time, and then all goes on."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import make_url, text

from app.db import engine
from app.db.engine import Database
from app.main import create_app
from tests.conftest import make_client, make_settings, url_of
from tests.db.test_engine import Silent, count_is
from tests.factories import RUNS, create_run, patch_run, run_body
from tests.swallowing import Way
from tests.waiting import eventually

TIMEOUT_SECONDS = 2
ROOM_SECONDS = 7
"""For the two seconds and a machine that is busy; what does not end takes ten seconds more."""


@pytest.fixture
async def way(new_database: Any) -> AsyncIterator[Way]:
    async with Way(new_database()).running() as way:
        yield way


@pytest.fixture
async def behind(way: Way) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of a service whose way to the database can fall silent."""
    app = create_app(make_settings(way.url, database_timeout_seconds=TIMEOUT_SECONDS))
    async with app.router.lifespan_context(app), make_client(app) as client:
        await eventually(lambda: is_served(client))
        yield client
        way.speak_again()


async def is_served(client: httpx.AsyncClient) -> bool:
    return (await client.post(RUNS, json=run_body())).status_code == 201


class TestService:
    async def test_every_request_is_answered_in_time_and_the_service_goes_on(
        self, behind: httpx.AsyncClient, way: Way
    ) -> None:
        run = await create_run(behind)
        way.fall_silent()
        for _ in range(2):
            began = time.monotonic()
            asked = [behind.post(RUNS, json=run_body()) for _ in range(20)]
            asked += [behind.get(RUNS), patch_run(behind, run, status="running"), behind.delete(f"{RUNS}/{run}")]
            asked += [behind.put("/v1/queues/default", json={"paused": False}) for _ in range(12)]
            answers = await asyncio.gather(*asked)
            assert {answer.status_code for answer in answers} <= {503, 422}
            assert time.monotonic() - began < ROOM_SECONDS
        way.speak_again()
        await eventually(lambda: is_served(behind))
        assert (await patch_run(behind, run, status="running")).status_code == 200

    async def test_request_behind_one_that_is_stuck_waits_no_longer(self, behind: httpx.AsyncClient, way: Way) -> None:
        await create_run(behind)
        way.fall_silent()
        first = asyncio.create_task(behind.post(RUNS, json=run_body()))
        await asyncio.sleep(0.7 * TIMEOUT_SECONDS)
        began = time.monotonic()
        assert (await behind.post(RUNS, json=run_body())).status_code == 503
        assert time.monotonic() - began < 1.9 * TIMEOUT_SECONDS
        assert (await first).status_code == 503


class TestDatabase:
    @pytest.mark.parametrize("moment", ["statement", "commit", "rollback"])
    async def test_transaction_ends_in_time_wherever_it_is(self, way: Way, moment: str) -> None:
        pool = Database(make_settings(way.url, database_timeout_seconds=TIMEOUT_SECONDS), way.url, Silent())
        began = time.monotonic()
        with pytest.raises((TimeoutError, ZeroDivisionError)):  # noqa: PT012 - the block is what ends late
            async with pool.transaction() as tx:
                await tx.execute(text("SELECT 1"))
                way.fall_silent()
                if moment == "statement":
                    await tx.execute(text("SELECT 1"))
                elif moment == "rollback":
                    raise ZeroDivisionError
        assert time.monotonic() - began < ROOM_SECONDS
        way.speak_again()
        async with pool.transaction() as tx:
            assert (await tx.execute(text("SELECT 1"))).scalar_one() == 1
        await pool.close()

    async def test_connection_that_comes_when_all_are_closed_is_not_left_open(
        self, way: Way, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(engine, "CLOSE_SECONDS", 0.05)
        pool = Database(make_settings(way.url), way.url, Silent())
        way.fall_silent()
        asked = asyncio.create_task(pool.try_to_write())
        await asyncio.sleep(0.2)
        asked.cancel()
        for under_way in (pool._trial, asked):
            assert under_way
            under_way.cancel()
        await pool.close()
        assert not pool._under_way
        way.speak_again()
        await eventually(lambda: count_is(url_of(make_url(way.url).database or ""), 0))
