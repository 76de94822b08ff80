"""Runs of schedules that wait for room: they begin when others have ended."""

import httpx
import pytest
from sqlalchemy import text

from app.db.engine import Database
from app.execution.planned_runs import find_planned_runs
from tests.api.test_schedules import NEW_YEAR, Json, address, backfill, create_schedule, register, scheduled_runs
from tests.executing import work_off
from tests.factories import address as address_of
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("definition")
SIX_JANUARY = "2025-01-06T00:00:00Z"


@pytest.fixture
async def definition(client: httpx.AsyncClient) -> None:
    await register(client)


async def statuses(client: httpx.AsyncClient, schedule: Json) -> list[str]:
    return [run["status"] for run in await scheduled_runs(client, schedule)]


class TestBackfill:
    async def test_no_more_runs_than_allowed_are_running(self, client: httpx.AsyncClient, database: Database) -> None:
        schedule = await create_schedule(client, max_active_runs=2)
        items = await backfill(client, schedule, NEW_YEAR, SIX_JANUARY)
        assert len(items) == 5
        async with database.transaction() as tx:
            assert await find_planned_runs(tx, 500) == []
        assert await statuses(client, schedule) == ["running", "running", "pending", "pending", "pending"]

    async def test_the_others_begin_in_order_as_those_end(self, client: httpx.AsyncClient) -> None:
        schedule = await create_schedule(client, max_active_runs=2)
        items = await backfill(client, schedule, NEW_YEAR, SIX_JANUARY)

        async def all_are_done() -> bool:
            found = await statuses(client, schedule)
            assert found.count("running") <= 2
            assert found == sorted(found, key="pending".__eq__)
            await work_off(client)
            return set(found) == {"completed"}

        await eventually(all_are_done)
        for run, item in zip(await scheduled_runs(client, schedule), items, strict=True):
            assert run["data_interval_start"] == item["data_interval_start"]
            assert run["started_at"] >= run["created_at"]

    async def test_thousand_slots_are_taken_at_once(self, client: httpx.AsyncClient, database: Database) -> None:
        schedule = await create_schedule(client, cron="* * * * *", max_active_runs=30)
        items = await backfill(client, schedule, NEW_YEAR, "2025-01-01T16:40:00Z")
        assert len(items) == 1000

        async def as_many_run_as_may() -> bool:
            query = "SELECT count(*) FILTER (WHERE status = 'running'), count(*) FROM workflow_runs"
            async with database.transaction() as tx:
                return tuple((await tx.execute(text(query))).one()) == (30, 1000)

        await eventually(as_many_run_as_may)

    async def test_pending_run_can_be_cancelled_and_retried(self, client: httpx.AsyncClient) -> None:
        schedule = await create_schedule(client)
        await backfill(client, schedule, NEW_YEAR, SIX_JANUARY)
        last = (await scheduled_runs(client, schedule))[-1]
        response = await client.post(address_of(last, "cancel"), json={})
        assert response.json()["status"] == "cancelled", response.text
        response = await client.post(address_of(last, "retry"), json={})
        assert response.json()["status"] == "pending", response.text
        for run in (await scheduled_runs(client, schedule))[:-1]:
            await client.post(address_of(run, "cancel"), json={"grace_seconds": 0})

        async def has_begun() -> bool:
            return (await statuses(client, schedule))[-1] == "running"

        await eventually(has_begun)

    async def test_paused_one_is_passed_over(self, client: httpx.AsyncClient) -> None:
        schedule = await create_schedule(client)
        await backfill(client, schedule, NEW_YEAR, "2025-01-04T00:00:00Z")
        first, second, _ = await scheduled_runs(client, schedule)
        assert (await client.post(address_of(second, "pause"))).status_code == 200
        await client.post(address_of(first, "cancel"), json={"grace_seconds": 0})

        async def third_has_begun() -> bool:
            return await statuses(client, schedule) == ["cancelled", "pending", "running"]

        await eventually(third_has_begun)

    async def test_runs_of_a_deleted_schedule_begin_all_the_same(self, client: httpx.AsyncClient) -> None:
        schedule = await create_schedule(client)
        await backfill(client, schedule, NEW_YEAR, "2025-01-04T00:00:00Z")
        runs = await scheduled_runs(client, schedule)
        await client.delete(address(schedule))

        async def all_run() -> bool:
            found = [(await client.get(address_of(run))).json()["status"] for run in runs]
            return found == ["running"] * 3

        await eventually(all_run)
