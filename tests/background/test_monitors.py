"""Monitors are late, failing and well again when nobody calls."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.api.kernel import Kernel
from app.db.engine import Database
from tests.api.test_monitors import MONITORS, NAME, Json, get_monitor, ping, put_monitor, read_time
from tests.factories import address, create_run
from tests.replicas import replica
from tests.waiting import eventually

Shift = Callable[[float], Awaitable[None]]
_TIMES = ("since_at", "seen_from", "next_expected_at", "look_at")


@pytest.fixture
def shift(database: Database) -> Shift:
    """Return a function that moves monitors, and the runs that there are, so many seconds into the past."""

    async def shift(ago: float) -> None:
        changes = ", ".join(f"{name} = {name} - make_interval(secs => :ago)" for name in _TIMES)
        async with database.transaction() as tx:
            await tx.execute(text("SET LOCAL session_replication_role = replica"))
            await tx.execute(text(f"UPDATE monitors SET {changes}"), {"ago": ago})
            for name in ("started_at", "created_at"):
                run = f"UPDATE workflow_runs SET {name} = {name} - make_interval(secs => :ago)"
                await tx.execute(text(run), {"ago": ago})

    return shift


async def state_when(client: httpx.AsyncClient, state: str, name: str = NAME) -> Json:
    """Return a monitor as soon as it is in that state."""

    async def look() -> Json | None:
        monitor = await get_monitor(client, name)
        return monitor if monitor["state"] == state else None

    return await eventually(look)


async def told(client: httpx.AsyncClient, name: str = NAME) -> list[str]:
    """Return what has been told of a monitor since it was made."""
    query: dict[str, str | int] = {"after": 0, "kind": "monitor", "limit": 1000}
    items = (await client.get("/v1/changes", params=query)).json()["items"]
    return [item["verb"] for item in items if item["id"] == name and item["verb"] not in ("created", "updated")]


async def told_when(client: httpx.AsyncClient, *verbs: str, name: str = NAME) -> None:
    """Wait until exactly this has been told of a monitor."""

    async def look() -> bool:
        return await told(client, name) == [*verbs]

    await eventually(look)


async def two_rounds(kernel: Kernel) -> None:
    """Wait until monitors have been looked at again, from the beginning to the end."""
    done: dict[str, float] = kernel.housekeeping._done_at  # type: ignore[attr-defined]
    for _ in range(2):
        before = done["watch_monitors"]

        async def is_later(before: float = before) -> bool:
            return done["watch_monitors"] > before

        await eventually(is_later)


async def end(client: httpx.AsyncClient, run: Json, status: str) -> None:
    response = await client.patch(address(run), json={"status": status})
    assert response.status_code == 200, response.text


class TestLate:
    async def test_slot_without_a_run_is_told_once_until_one_completes(
        self, client: httpx.AsyncClient, kernel: Kernel, shift: Shift
    ) -> None:
        before = await put_monitor(client)
        await shift(3600 + 299)
        await two_rounds(kernel)
        assert (await get_monitor(client))["state"] == "waiting"
        await shift(2)
        late = await state_when(client, "late")
        assert read_time(late["late_since"]) == read_time(before["next_expected_at"]) - timedelta(seconds=3901)
        await shift(7200)
        await two_rounds(kernel)
        run = await ping(client, state="started")
        await two_rounds(kernel)
        assert (await get_monitor(client))["late_since"] is not None
        assert await told(client) == ["late"]
        await ping(client)
        after = await state_when(client, "ok")
        assert (after["late_since"], after["last_run_id"]) == (None, run["workflow_run_id"])
        await told_when(client, "late", "recovered")

    async def test_it_is_told_within_two_seconds_with_nobody_calling(self, client: httpx.AsyncClient) -> None:
        monitor = await put_monitor(client, every_seconds=1, grace_seconds=0)
        due = read_time(monitor["next_expected_at"])
        await told_when(client, "late")
        (change,) = [
            change
            for change in (await client.get("/v1/changes", params={"after": 0, "verb": "late"})).json()["items"]
            if change["kind"] == "monitor"
        ]
        assert timedelta(0) <= read_time(change["at"]) - due <= timedelta(seconds=2)
        assert change.items() >= {"id": NAME, "workflow_name": "nightly_etl", "status": "late"}.items()
        assert change["workflow_run_id"] is None

    async def test_run_of_any_maker_meets_the_slot(
        self, client: httpx.AsyncClient, kernel: Kernel, shift: Shift
    ) -> None:
        before = await put_monitor(client)
        run = await create_run(client, workflow_name="nightly_etl")

        async def is_met() -> bool:
            return bool((await get_monitor(client))["last_run_id"] == run["workflow_run_id"])

        await eventually(is_met)
        after = await get_monitor(client)
        assert read_time(after["next_expected_at"]) - read_time(before["next_expected_at"]) == timedelta(hours=1)
        await shift(3600 + 400)
        await two_rounds(kernel)
        assert (await get_monitor(client))["state"] == "waiting"
        await shift(3600)
        await state_when(client, "late")

    async def test_other_names_and_tags_meet_nothing(
        self, client: httpx.AsyncClient, kernel: Kernel, shift: Shift
    ) -> None:
        await put_monitor(client, tags={"team": "data", "shard": 1})
        for name, tags in (("other", {"team": "data", "shard": 1}), ("nightly_etl", {"team": "data"})):
            await create_run(client, workflow_name=name, tags=tags, status="completed")
        await two_rounds(kernel)
        assert (await get_monitor(client))["last_run_id"] is None
        await shift(3600 + 400)
        await state_when(client, "late")
        await create_run(client, workflow_name="nightly_etl", tags={"team": "data", "shard": 1}, status="completed")
        await state_when(client, "ok")

    async def test_runs_before_the_monitor_do_not_count(self, client: httpx.AsyncClient, kernel: Kernel) -> None:
        run = await create_run(client, workflow_name="nightly_etl", status="running")
        await put_monitor(client)
        await end(client, run, "failed")
        await two_rounds(kernel)
        monitor = await get_monitor(client)
        assert (monitor["state"], monitor["last_run_id"]) == ("waiting", None)

    async def test_another_service_that_was_down_tells_all_that_happened(
        self, client: httpx.AsyncClient, database: Database, shift: Shift
    ) -> None:
        """A lateness that was over before anybody looked is told, and so is that it was over."""
        await put_monitor(client)
        async with database.transaction() as tx:
            await tx.execute(text("LOCK TABLE monitors IN SHARE ROW EXCLUSIVE MODE"))
            await tx.execute(text("SET LOCAL session_replication_role = replica"))
            changes = ", ".join(f"{name} = {name} - interval '2 hours'" for name in _TIMES)
            await tx.execute(text(f"UPDATE monitors SET {changes}"))
            await create_run(client, workflow_name="nightly_etl", status="completed")
        await told_when(client, "late", "recovered")
        assert (await get_monitor(client))["state"] == "ok"


class TestFailing:
    async def test_failed_run_is_told_and_the_next_completed_recovers(self, client: httpx.AsyncClient) -> None:
        await put_monitor(client)
        run = await ping(client, state="started")
        running = await state_when(client, "running")
        assert running["last_run_id"] == run["workflow_run_id"]
        await ping(client, state="failed")
        assert (await state_when(client, "failing"))["consecutive_failures"] == 1
        await ping(client, state="failed")

        async def has_two() -> bool:
            return bool((await get_monitor(client))["consecutive_failures"] == 2)

        await eventually(has_two)
        assert await told(client) == ["failed"]
        completed = await ping(client)
        after = await state_when(client, "ok")
        assert (after["consecutive_failures"], after["last_ok_at"]) == (0, completed["completed_at"])
        await told_when(client, "failed", "recovered")

    async def test_too_long_a_run_counts_once_though_it_fails_then(
        self, client: httpx.AsyncClient, kernel: Kernel, shift: Shift
    ) -> None:
        await put_monitor(client, max_runtime_seconds=60)
        run = await ping(client, state="started")
        await state_when(client, "running")
        await shift(61)
        await state_when(client, "failing")
        await end(client, run, "failed")
        await two_rounds(kernel)
        assert (await get_monitor(client))["consecutive_failures"] == 1
        await told_when(client, "failed")

    async def test_shorter_limit_counts_for_what_runs_already(self, client: httpx.AsyncClient, shift: Shift) -> None:
        await put_monitor(client)
        await ping(client, state="started")
        await state_when(client, "running")
        await shift(100)
        await put_monitor(client, max_runtime_seconds=60)
        await state_when(client, "failing")

    async def test_cancelled_run_meets_its_slot_and_is_no_failure(
        self, client: httpx.AsyncClient, shift: Shift
    ) -> None:
        await put_monitor(client)
        run = await ping(client, state="started")
        await state_when(client, "running")
        await end(client, run, "cancelled")
        after = await state_when(client, "waiting")
        assert after["consecutive_failures"] == 0
        await shift(3600 + 400)
        assert (await get_monitor(client))["late_since"] is None
        await shift(3600)
        await state_when(client, "late")

    async def test_retried_run_recovers(self, client: httpx.AsyncClient) -> None:
        await put_monitor(client)
        run = await ping(client, state="failed")
        await state_when(client, "failing")
        assert (await client.post(address(run) + "/retry")).status_code == 200
        await end(client, run, "completed")
        await state_when(client, "ok")

    async def test_deleted_run_is_forgotten(self, client: httpx.AsyncClient, kernel: Kernel) -> None:
        await put_monitor(client)
        run = await ping(client, state="failed")
        await state_when(client, "failing")
        assert (await client.delete(address(run))).status_code == 204
        await two_rounds(kernel)
        assert (await get_monitor(client))["state"] == "failing"
        await ping(client)
        await state_when(client, "ok")

    async def test_same_put_changes_neither_slots_nor_state_nor_failures(
        self, client: httpx.AsyncClient, kernel: Kernel
    ) -> None:
        await put_monitor(client, tags={"n": 1.0})
        await ping(client, state="failed")
        before = await state_when(client, "failing")
        assert await put_monitor(client, tags={"n": 1.0}) == before
        await two_rounds(kernel)
        assert await get_monitor(client) == before
        assert await told(client) == ["failed"]

    async def test_many_runs_at_once_are_all_counted(self, client: httpx.AsyncClient) -> None:
        await put_monitor(client)
        body = {"workflow_name": "nightly_etl", "workflow_version": "1", "status": "failed"}
        answer = await client.post("/v1/workflow-runs/batch", json={"workflow_runs": [body] * 350})
        assert answer.status_code == 201

        async def all_counted() -> bool:
            return bool((await get_monitor(client))["consecutive_failures"] == 350)

        await eventually(all_counted)
        assert await told(client) == ["failed"]


class TestPaused:
    async def test_it_looks_at_nothing_and_waits_for_its_next_slot_then(
        self, client: httpx.AsyncClient, kernel: Kernel, shift: Shift
    ) -> None:
        await put_monitor(client)
        await shift(3600 + 400)
        await state_when(client, "late")
        paused = await put_monitor(client, paused=True)
        assert (paused["state"], paused["late_since"]) == ("paused", None)
        await ping(client, state="failed")
        await two_rounds(kernel)
        assert (await get_monitor(client))["state"] == "paused"
        resumed = await put_monitor(client)
        assert (resumed["state"], resumed["consecutive_failures"]) == ("waiting", 0)
        await two_rounds(kernel)
        assert (await get_monitor(client))["state"] == "waiting"
        assert await told(client) == ["late"]

    async def test_with_another_schedule_it_starts_as_new(self, client: httpx.AsyncClient) -> None:
        await put_monitor(client)
        await ping(client)
        await state_when(client, "ok")
        await ping(client, state="failed")
        await state_when(client, "failing")
        after = await put_monitor(client, every_seconds=7200)
        new = {"state": "waiting", "consecutive_failures": 0, "last_run_id": None, "last_ok_at": None}
        assert after.items() >= new.items()

    async def test_late_holds_when_another_workflow_is_looked_at(
        self, client: httpx.AsyncClient, kernel: Kernel, shift: Shift
    ) -> None:
        await put_monitor(client, workflow_name="misspelt")
        await shift(3600 + 400)
        await state_when(client, "late")
        assert (await put_monitor(client))["state"] == "late"
        await two_rounds(kernel)
        assert (await get_monitor(client))["state"] == "late"
        await ping(client)
        await state_when(client, "ok")


class TestReplicas:
    async def test_two_tell_each_change_once(self, client: httpx.AsyncClient, database_url: str, shift: Shift) -> None:
        names = [f"m{number}" for number in range(30)]
        async with replica(database_url) as other:
            for name in names:
                await put_monitor(client, name, workflow_name=name)
            await shift(3600 + 400)
            for name in names:
                await state_when(other, "late", name)
            for verb, state in (("failed", "failing"), ("completed", "ok"), ("failed", "failing")):
                await asyncio.gather(*(ping(other, name, state=verb) for name in names))
                for name in names:
                    await state_when(client, state, name)
            for name in names:
                await told_when(client, "late", "failed", "recovered", "failed", name=name)

    async def test_changes_of_a_monitor_itself_are_told(self, client: httpx.AsyncClient) -> None:
        await put_monitor(client)
        await put_monitor(client)
        await put_monitor(client, paused=True)
        await client.delete(f"{MONITORS}/{NAME}")
        query: dict[str, str | int] = {"after": 0, "kind": "monitor", "wait_seconds": 10}

        async def all_told() -> list[Any] | None:
            items = (await client.get("/v1/changes", params=query)).json()["items"]
            return items if len(items) >= 3 else None

        items = await eventually(all_told)
        assert [(item["verb"], item["status"], item["revision"]) for item in items] == [
            ("created", "waiting", 1),
            ("updated", "paused", 2),
            ("deleted", "paused", 2),
        ]


class TestWhatCannotBeLookedAt:
    async def test_it_is_paused_with_the_reason_and_stops_no_other(
        self, client: httpx.AsyncClient, database: Database, shift: Shift
    ) -> None:
        for name in ("bad", "good"):
            await put_monitor(client, name, every_seconds=..., cron="0 2 * * *")
        async with database.transaction() as tx:
            await tx.execute(text("UPDATE monitors SET timezone = 'Mars/North' WHERE name = 'bad'"))
        await shift(86_400 * 2)
        await state_when(client, "late", "good")

        async def is_paused() -> Json | None:
            async with database.transaction() as tx:
                await tx.execute(text("UPDATE set_aside_rows SET retry_at = now()"))
            monitor = await get_monitor(client, "bad")
            return monitor if monitor["paused"] else None

        paused = await eventually(is_paused)
        assert (paused["state"], "watch_monitors could not be done" in paused["paused_reason"]) == ("paused", True)
        resumed = await put_monitor(client, "bad", every_seconds=..., cron="0 2 * * *")
        assert (resumed["state"], resumed["paused_reason"]) == ("waiting", None)
