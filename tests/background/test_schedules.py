"""Schedules fire when nobody calls."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.api.kernel import Kernel
from app.db.engine import Database
from tests.api.test_schedules import (
    NEW_YEAR,
    Json,
    address,
    backfill,
    create_schedule,
    get_schedule,
    register,
    scheduled_runs,
    slots_of,
    update_schedule,
)
from tests.factories import claim_tasks, report
from tests.replicas import replica
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("definition")
Shift = Callable[[Json, timedelta], Awaitable[datetime]]
FEBRUARY = "2025-02-01T00:00:00Z"
SIX_JANUARY = "2025-01-06T00:00:00Z"


@pytest.fixture
async def definition(client: httpx.AsyncClient) -> None:
    await register(client)


@pytest.fixture
def shift(database: Database) -> Shift:
    """Return a function that moves the next slot of a schedule of every hour back to a full hour in the past."""

    async def shift(schedule: Json, ago: timedelta) -> datetime:
        async with database.transaction() as tx:
            now: datetime = (await tx.execute(text("SELECT now()"))).scalar_one()
            slot = (now - ago).astimezone(UTC).replace(minute=0, second=0, microsecond=0)
            await tx.execute(
                text("UPDATE schedules SET next_fire_at = :slot WHERE schedule_id = CAST(:id AS uuid)"),
                {"slot": slot, "id": schedule["schedule_id"]},
            )
        return slot

    return shift


async def runs_when(client: httpx.AsyncClient, schedule: Json, count: int) -> list[Json]:
    """Return the runs of a schedule as soon as there are so many."""

    async def look() -> list[Json] | None:
        runs = await scheduled_runs(client, schedule)
        return runs if len(runs) >= count else None

    return await eventually(look)


async def slots_when(client: httpx.AsyncClient, schedule: Json, count: int) -> list[Json]:
    """Return the slots of a schedule, newest first, as soon as so many have been dealt with."""

    async def look() -> list[Json] | None:
        slots = await slots_of(client, schedule)
        return slots if len(slots) >= count else None

    return await eventually(look)


async def two_rounds(kernel: Kernel) -> None:
    """Wait until the schedules have been looked at again, from the beginning to the end."""
    done: dict[str, float] = kernel.housekeeping._done_at  # type: ignore[attr-defined]
    for _ in range(2):
        before = done["fire_schedules"]

        async def is_later(before: float = before) -> bool:
            return done["fire_schedules"] > before

        await eventually(is_later)


async def end_run(client: httpx.AsyncClient) -> None:
    """Complete the only task of the oldest open run, and with it the run."""
    (task,) = await claim_tasks(client, limit=1)
    assert (await report(client, task, "complete")).status_code == 200


def outcomes(slots: list[Json]) -> list[str]:
    return [slot["outcome"] for slot in slots]


class TestOnTime:
    async def test_slot_fires_within_two_seconds(self, client: httpx.AsyncClient, shift: Shift) -> None:
        schedule = await create_schedule(client, cron="0 * * * *", start_at=NEW_YEAR, inputs={"a": 1}, created_by="ada")
        slot = await shift(schedule, timedelta())
        (run,) = await runs_when(client, schedule, 1)
        assert (run["schedule_id"], run["inputs"], run["created_by"]) == (schedule["schedule_id"], {"a": 1}, "ada")
        assert datetime.fromisoformat(run["data_interval_end"]) == slot
        assert datetime.fromisoformat(run["data_interval_start"]) == slot - timedelta(hours=1)
        now = await get_schedule(client, schedule)
        assert datetime.fromisoformat(now["last_fire_at"]) == slot
        assert datetime.fromisoformat(now["next_fire_at"]) == slot + timedelta(hours=1)
        assert (now["active_runs"], now["revision"]) == (1, 1)
        (fired,) = await slots_of(client, schedule)
        assert (fired["outcome"], fired["workflow_run_id"]) == ("fired", run["workflow_run_id"])

    async def test_two_seconds_are_enough_by_default_too(
        self, client: httpx.AsyncClient, database_url: str, shift: Shift
    ) -> None:
        del client  # its housekeeping looks more often than others do
        async with replica(database_url, housekeeping_seconds=0.5) as other:
            schedule = await create_schedule(other, cron="0 * * * *")
            await shift(schedule, timedelta())
            await runs_when(other, schedule, 1)

    async def test_newest_version_is_the_one_of_the_firing(self, client: httpx.AsyncClient, shift: Shift) -> None:
        newest = await create_schedule(client, cron="0 * * * *")
        pinned = await create_schedule(client, cron="0 * * * *", workflow_version="1.0.0")
        await register(client, version="2.0.0")
        for schedule, version in [(newest, "2.0.0"), (pinned, "1.0.0")]:
            await shift(schedule, timedelta())
            (run,) = await runs_when(client, schedule, 1)
            assert run["workflow_version"] == version

    async def test_paused_schedule_fires_nothing(self, client: httpx.AsyncClient, kernel: Kernel, shift: Shift) -> None:
        schedule = await create_schedule(client, cron="0 * * * *", paused=True)
        await shift(schedule, timedelta(hours=3))
        await two_rounds(kernel)
        assert await slots_of(client, schedule) == []


class TestCatchUp:
    async def test_slots_since_the_start_fire_in_order(self, client: httpx.AsyncClient) -> None:
        schedule = await create_schedule(
            client, start_at=NEW_YEAR, end_at="2025-01-15T03:00:00Z", catchup=True, max_active_runs=100
        )
        runs = await runs_when(client, schedule, 14)
        assert [run["data_interval_end"] for run in runs] == [f"2025-01-{day:02}T02:00:00Z" for day in range(2, 16)]
        assert [run["workflow_run_id"] for run in runs] == sorted(run["workflow_run_id"] for run in runs)
        assert (await get_schedule(client, schedule))["next_fire_at"] is None

    async def test_more_wait_than_may_be_open(self, client: httpx.AsyncClient, kernel: Kernel) -> None:
        schedule = await create_schedule(client, start_at=NEW_YEAR, end_at=SIX_JANUARY, catchup=True, max_active_runs=2)
        for count in (2, 3, 4):
            runs = await runs_when(client, schedule, count)
            await two_rounds(kernel)
            assert len(await scheduled_runs(client, schedule)) == count
            assert (await get_schedule(client, schedule))["active_runs"] == 2
            if count < 4:
                await end_run(client)
        assert [run["data_interval_end"][8:10] for run in runs] == ["02", "03", "04", "05"]

    async def test_none_fires_without_catch_up(self, client: httpx.AsyncClient, kernel: Kernel) -> None:
        schedule = await create_schedule(client, start_at=NEW_YEAR)
        await two_rounds(kernel)
        assert await slots_of(client, schedule) == []
        assert datetime.fromisoformat(schedule["next_fire_at"]) > datetime.fromisoformat(schedule["created_at"])

    async def test_slots_of_a_backfill_are_passed_over(self, client: httpx.AsyncClient) -> None:
        schedule = await create_schedule(
            client, start_at=NEW_YEAR, end_at=SIX_JANUARY, catchup=True, max_active_runs=100, paused=True
        )
        await backfill(client, schedule, "2025-01-03T00:00:00Z", "2025-01-05T00:00:00Z")
        await client.post(address(schedule, "resume"))
        assert len(await runs_when(client, schedule, 4)) == 4
        assert len(await slots_of(client, schedule)) == 4

    async def test_more_than_a_round_takes_all_fire(self, client: httpx.AsyncClient) -> None:
        schedule = await create_schedule(
            client,
            cron="* * * * *",
            start_at=NEW_YEAR,
            end_at="2025-01-01T02:40:00Z",
            catchup=True,
            max_active_runs=1000,
        )

        async def all_fired() -> bool:
            return bool((await get_schedule(client, schedule))["active_runs"] == 160)

        await eventually(all_fired)

    async def test_earlier_start_is_caught_up(self, client: httpx.AsyncClient) -> None:
        times: dict[str, Any] = {"start_at": "2025-01-03T00:00:00Z", "end_at": SIX_JANUARY}
        schedule = await create_schedule(client, **times, catchup=True, max_active_runs=100)
        assert len(await runs_when(client, schedule, 2)) == 2
        await update_schedule(client, schedule, start_at=NEW_YEAR)
        runs = await runs_when(client, schedule, 4)
        assert [run["data_interval_end"][8:10] for run in runs] == ["02", "03", "04", "05"]


class TestWithoutCatchUp:
    async def test_of_several_that_passed_the_newest_fires_and_the_others_are_missed(
        self, client: httpx.AsyncClient, shift: Shift
    ) -> None:
        schedule = await create_schedule(client, cron="0 * * * *")
        oldest = await shift(schedule, timedelta(hours=3))
        slots = await slots_when(client, schedule, 4)
        assert outcomes(slots) == ["fired", "missed", "missed", "missed"]
        assert datetime.fromisoformat(slots[-1]["fire_at"]) == oldest
        assert len(await scheduled_runs(client, schedule)) == 1

    async def test_only_the_newest_thousand_are_recorded(self, client: httpx.AsyncClient, shift: Shift) -> None:
        schedule = await create_schedule(client, cron="0 * * * *")
        await shift(schedule, timedelta(days=3650))
        await runs_when(client, schedule, 1)
        total = 0
        cursor: str | None = None
        while cursor is not None or total == 0:
            query = {"limit": 200} | ({"cursor": cursor} if cursor else {})
            page = (await client.get(address(schedule, "slots"), params=query)).json()
            total, cursor = total + len(page["items"]), page["next_cursor"]
        assert total == 1001

    async def test_only_the_newest_waits(self, client: httpx.AsyncClient, kernel: Kernel, shift: Shift) -> None:
        schedule = await create_schedule(client, cron="0 * * * *")
        await backfill(client, schedule, NEW_YEAR, "2025-01-01T01:00:00Z")
        await shift(schedule, timedelta(hours=2))
        await two_rounds(kernel)
        assert len(await slots_of(client, schedule)) == 1
        await end_run(client)
        slots = await slots_when(client, schedule, 4)
        assert outcomes(slots) == ["fired", "missed", "missed", "fired"]


class TestOverlap:
    async def test_slot_without_room_is_skipped_when_asked_for(self, client: httpx.AsyncClient, shift: Shift) -> None:
        schedule = await create_schedule(client, cron="0 * * * *", overlap="skip")
        await backfill(client, schedule, NEW_YEAR, "2025-01-01T01:00:00Z")
        slot = await shift(schedule, timedelta())
        newest, _ = await slots_when(client, schedule, 2)
        assert (newest["outcome"], newest["workflow_run_id"]) == ("skipped", None)
        assert datetime.fromisoformat(newest["fire_at"]) == slot
        assert datetime.fromisoformat((await get_schedule(client, schedule))["next_fire_at"]) > slot

    async def test_skipped_and_missed_slots_can_be_backfilled(self, client: httpx.AsyncClient, shift: Shift) -> None:
        schedule = await create_schedule(client, cron="0 * * * *")
        oldest = await shift(schedule, timedelta(hours=2))
        await slots_when(client, schedule, 3)
        items = await backfill(client, schedule, oldest.isoformat(), (oldest + timedelta(hours=5)).isoformat())
        assert len(items) == 2
        assert outcomes(await slots_of(client, schedule)) == ["fired"] * 3

    async def test_waiting_schedules_do_not_hold_up_others(
        self, client: httpx.AsyncClient, shift: Shift, kernel: Kernel
    ) -> None:
        waiting = await create_schedule(client, start_at=NEW_YEAR, end_at=FEBRUARY, catchup=True)
        await runs_when(client, waiting, 1)
        other = await create_schedule(client, cron="0 * * * *")
        await shift(other, timedelta())
        await runs_when(client, other, 1)
        assert kernel.housekeeping.overdue(2) == []


class TestPauseAndResume:
    async def test_what_passed_is_missed_without_catch_up(
        self, client: httpx.AsyncClient, kernel: Kernel, shift: Shift
    ) -> None:
        schedule = await create_schedule(client, cron="0 * * * *", paused=True)
        await shift(schedule, timedelta(hours=2))
        resumed = (await client.post(address(schedule, "resume"))).json()
        assert outcomes(await slots_of(client, schedule)) == ["missed"] * 3
        await two_rounds(kernel)
        assert await scheduled_runs(client, schedule) == []
        assert resumed["next_fire_at"] is not None

    async def test_what_passed_fires_with_catch_up(self, client: httpx.AsyncClient, shift: Shift) -> None:
        schedule = await create_schedule(client, cron="0 * * * *", paused=True, catchup=True, max_active_runs=9)
        await shift(schedule, timedelta(hours=2))
        await client.post(address(schedule, "resume"))
        assert len(await runs_when(client, schedule, 3)) == 3

    async def test_what_was_due_is_missed_when_the_rhythm_changes(
        self, client: httpx.AsyncClient, kernel: Kernel, shift: Shift
    ) -> None:
        schedule = await create_schedule(client, cron="0 * * * *", paused=True, catchup=True)
        await shift(schedule, timedelta(hours=2))
        await update_schedule(client, schedule, cron="30 * * * *", paused=False)
        await two_rounds(kernel)
        assert outcomes(await slots_of(client, schedule)) == ["missed"] * 3


class TestDeletedDefinition:
    async def test_slot_is_missed(self, client: httpx.AsyncClient, database: Database, shift: Shift) -> None:
        schedule = await create_schedule(client, cron="0 * * * *")
        async with database.transaction() as tx:
            await tx.execute(text("DELETE FROM workflows"))
        await shift(schedule, timedelta())
        (slot,) = await slots_when(client, schedule, 1)
        assert slot["outcome"] == "missed"
        body = {"start": NEW_YEAR, "end": SIX_JANUARY}
        response = await client.post(address(schedule, "backfill"), json=body)
        assert (response.status_code, response.json()["current"]["schedule_id"]) == (409, schedule["schedule_id"])
