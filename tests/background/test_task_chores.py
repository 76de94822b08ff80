"""What happens to tasks when nobody calls."""

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.db.engine import Database
from app.store.tasks import delete_old_tasks
from tests.factories import (
    QUEUES,
    address,
    attempts_of,
    claim_task,
    claim_tasks,
    create_run,
    expire_lease,
    get_run,
    get_task,
    history_of,
    pass_time,
    patch_run,
    put_checkpoint,
    reported,
    run_in,
    spawn_task,
    start_task,
    task_address,
    task_in,
)
from tests.replicas import replica
from tests.waiting import eventually

BROKEN = {"name": "Broken", "message": "it broke"}


async def ended(client: httpx.AsyncClient, task: dict[str, Any]) -> dict[str, Any]:
    """Return ``task`` as soon as it has ended; fail after two seconds."""
    response = await client.get(task_address(task, "wait"), params={"timeout_seconds": 2})
    after: dict[str, Any] = response.json()
    assert after["completed_at"] is not None, after
    return after


async def next_attempt(client: httpx.AsyncClient, task: dict[str, Any]) -> dict[str, Any]:
    """Return ``task`` as soon as its next attempt is there; fail after two seconds."""

    async def look() -> dict[str, Any] | None:
        now = await get_task(client, task)
        return now if now["attempt"] > task["attempt"] else None

    return await eventually(look)


async def let_expire(database: Database, held: dict[str, Any]) -> None:
    async with database.transaction() as tx:
        await expire_lease(tx, held)


async def let_pass(database: Database, task: dict[str, Any], seconds: float) -> None:
    async with database.transaction() as tx:
        await pass_time(tx, task, seconds)


class TestExpiredLease:
    async def test_it_ends_the_attempt_and_the_next_one_follows(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        held = await start_task(client, max_attempts=2)
        await let_expire(database, held)
        task = await next_attempt(client, held)
        assert (task["status"], task["attempt"], task["reason"]) == ("pending", 2, None)
        assert task["error"]["name"] == "LeaseExpired"
        assert task["error"]["message"]
        first, second = await attempts_of(client, held)
        assert (first["status"], first["reason"], first["error"]) == ("failed", "lost", task["error"])
        assert (first["claimed_by"], first["run_id"]) == ("worker-1", held["run_id"])
        assert (second["status"], second["run_id"]) == ("pending", task["run_id"])

    async def test_it_is_not_the_failure_of_a_task_with_one_attempt(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        held = await start_task(client)
        for lost_count in range(1, 6):
            await let_expire(database, held)
            held = await claim_task(client, wait_seconds=60)
            task = await get_task(client, held)
            assert (task["attempt"], task["lost_count"]) == (lost_count + 1, lost_count)
            assert (task["max_attempts"], task["max_lost"]) == (1, 5)
        await let_expire(database, held)
        task = await ended(client, held)
        assert (task["status"], task["reason"], task["lost_count"]) == ("failed", "attempts_exhausted", 6)
        attempts = await attempts_of(client, held)
        assert [(item["attempt"], item["reason"]) for item in attempts] == [(n, "lost") for n in range(1, 7)]

    async def test_failure_after_it_counts(self, client: httpx.AsyncClient, database: Database) -> None:
        held = await start_task(client)
        await let_expire(database, held)
        task = await reported(client, await claim_task(client, wait_seconds=60), "fail", error=BROKEN)
        assert (task["status"], task["reason"], task["attempt"]) == ("failed", "attempts_exhausted", 2)
        assert (task["lost_count"], task["error"]) == (1, BROKEN)

    async def test_retry_gives_one_more_attempt_and_forgives_anew(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        held = await start_task(client, max_lost=1)
        for _ in range(2):
            await let_expire(database, held)
            held = await claim_task(client, wait_seconds=60) if held["attempt"] == 1 else held
        await ended(client, held)
        task = (await client.post(task_address(held, "retry"))).json()
        assert (task["attempt"], task["max_attempts"], task["lost_count"]) == (3, 3, 2)
        held = await claim_task(client)
        await let_expire(database, held)
        held = await claim_task(client, wait_seconds=60)
        task = await reported(client, held, "fail")
        assert (task["status"], task["attempt"], task["lost_count"]) == ("failed", 4, 3)

    async def test_fresh_task_of_a_retry_has_lost_nothing(self, client: httpx.AsyncClient, database: Database) -> None:
        held = await start_task(client, max_lost=0)
        await let_expire(database, held)
        await ended(client, held)
        fresh = (await client.post(task_address(held, "retry"), json={"spawn_new": True})).json()
        assert (fresh["max_lost"], fresh["lost_count"]) == (0, 0)

    async def test_last_attempt_is_lost_and_the_task_exhausted(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        held = await start_task(client, max_lost=0)
        await let_expire(database, held)
        task = await ended(client, held)
        assert (task["status"], task["reason"], task["error"]["name"]) == (
            "failed",
            "attempts_exhausted",
            "LeaseExpired",
        )
        (attempt,) = await attempts_of(client, held)
        assert (attempt["status"], attempt["reason"]) == ("failed", "lost")
        assert attempt["ended_at"] == task["completed_at"]

    async def test_lease_of_a_second_is_over_within_two_more(self, client: httpx.AsyncClient) -> None:
        await spawn_task(client, max_lost=0)
        held = await claim_task(client, lease_seconds=1)
        response = await client.get(task_address(held, "wait"), params={"timeout_seconds": 3})
        after = response.json()
        assert (after["status"], after["lost_count"]) == ("failed", 1)
        late = datetime.fromisoformat(after["completed_at"]) - datetime.fromisoformat(held["lease_expires_at"])
        assert timedelta(0) <= late < timedelta(seconds=2)

    @pytest.mark.parametrize("max_lost", [0, 5])
    async def test_next_attempt_follows_at_once_whatever_the_strategy(
        self, client: httpx.AsyncClient, database: Database, max_lost: int
    ) -> None:
        strategy = {"kind": "fixed", "base_seconds": 60}
        held = await start_task(client, max_attempts=2, max_lost=max_lost, retry_strategy=strategy)
        await let_expire(database, held)
        assert (await next_attempt(client, held))["status"] == "pending"

    async def test_it_goes_to_another_worker_with_its_checkpoints(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        held = await start_task(client, max_attempts=2)
        await put_checkpoint(client, held, "a", state=1)
        await let_expire(database, held)
        claimed = await claim_task(client, worker_id="w-2", wait_seconds=60)
        assert (claimed["task_id"], claimed["attempt"], claimed["checkpoints"]) == (held["task_id"], 2, {"a": 1})

    async def test_it_frees_a_place(self, client: httpx.AsyncClient, database: Database) -> None:
        await client.put(f"{QUEUES}/default", json={"max_concurrency": 1})
        held = await start_task(client, concurrency_key="k", max_lost=0)
        spawned = await spawn_task(client, concurrency_key="k")
        await let_expire(database, held)
        assert (await claim_task(client, wait_seconds=60))["task_id"] == spawned["task_id"]

    async def test_it_cancels_where_a_cancel_was_requested(self, client: httpx.AsyncClient, database: Database) -> None:
        run = await run_in(client, "running")
        held = await start_task(client, max_attempts=5, workflow_run_id=run["workflow_run_id"])
        await client.post(address(run, "cancel"))
        await let_expire(database, held)
        task = await ended(client, held)
        assert (task["status"], task["reason"]) == ("cancelled", "cancel_requested")
        (attempt,) = await attempts_of(client, held)
        assert (attempt["reason"], attempt["error"]["name"]) == ("lost", "LeaseExpired")
        run = (await client.get(address(run, "wait"), params={"timeout_seconds": 2})).json()
        assert run["status"] == "cancelled"

    async def test_lease_that_was_extended_lives_on(self, client: httpx.AsyncClient, database: Database) -> None:
        held, other = await start_task(client), await start_task(client, max_lost=0)
        await reported(client, held, "heartbeat", lease_seconds=60)
        await let_pass(database, held, 30)
        await let_expire(database, other)
        await ended(client, other)
        assert (await get_task(client, held))["status"] == "running"

    async def test_two_seconds_are_enough_by_default_too(self, database_url: str, client: httpx.AsyncClient) -> None:
        del client  # its housekeeping looks more often than others do
        async with replica(database_url, housekeeping_seconds=0.5) as other:
            await spawn_task(other, max_lost=0)
            held = await claim_task(other, lease_seconds=1)
            response = await other.get(task_address(held, "wait"), params={"timeout_seconds": 3})
            assert response.json()["status"] == "failed"


async def assert_claimed_after(client: httpx.AsyncClient, claimed: dict[str, Any], moment: str) -> None:
    """Assert by the database's clock that a task was not claimed too early, however late this is looked at."""
    claimed_at = (await get_task(client, claimed))["updated_at"]
    assert datetime.fromisoformat(claimed_at) >= datetime.fromisoformat(moment)


class TestSleepers:
    async def test_sleeper_can_be_claimed_when_its_time_has_come(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        asleep = await reported(client, held, "sleep", seconds=0.2)
        claimed = await claim_task(client, wait_seconds=60)
        assert (claimed["task_id"], claimed["attempt"]) == (held["task_id"], 1)
        await assert_claimed_after(client, claimed, asleep["wake_at"])

    async def test_retry_can_be_claimed_when_its_time_has_come(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client, max_attempts=2)
        failed = await reported(client, held, "fail", retry_after_seconds=0.2)
        claimed = await claim_task(client, wait_seconds=60)
        assert claimed["attempt"] == 2
        await assert_claimed_after(client, claimed, failed["wake_at"])

    async def test_delayed_task_can_be_claimed_when_its_time_has_come(self, client: httpx.AsyncClient) -> None:
        spawned = await spawn_task(client, delay_seconds=0.2)
        claimed = await claim_task(client, wait_seconds=60)
        assert claimed["task_id"] == spawned["task_id"]
        await assert_claimed_after(client, claimed, (await get_task(client, claimed))["available_at"])

    async def test_other_sleepers_sleep_on(self, client: httpx.AsyncClient) -> None:
        task = await task_in(client, "sleeping")
        held = await start_task(client)
        await reported(client, held, "sleep", seconds=0.1)
        assert (await claim_task(client, wait_seconds=60))["task_id"] == held["task_id"]
        assert (await get_task(client, task))["status"] == "sleeping"

    async def test_await_times_out(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        await reported(client, held, "await-event", step_name="s", any_of=["a", "b"], timeout_seconds=0.1)

        async def look() -> bool:
            return bool((await client.get(task_address(held, "checkpoints"))).json()["items"])

        await eventually(look)
        outcome = (await client.get(task_address(held, "checkpoints", "s"))).json()
        assert (outcome["state"], outcome["attempt"]) == ({"outcome": "timed_out"}, 1)

    async def test_waiting_claim_of_another_replica_gets_the_sleeper(
        self, database_url: str, client: httpx.AsyncClient
    ) -> None:
        async with replica(database_url) as other:
            held = await start_task(client)
            await reported(client, held, "sleep", seconds=0.1)
            claimed = await claim_task(other, wait_seconds=60)
            assert claimed["task_id"] == held["task_id"]


class TestLimits:
    async def test_task_that_was_not_started_in_time_is_cancelled(self, client: httpx.AsyncClient) -> None:
        spawned = await spawn_task(client, cancellation={"max_delay": 0.1})
        task = await ended(client, spawned)
        assert (task["status"], task["reason"], task["error"]) == ("cancelled", "max_delay", None)
        assert task["cancelled_at"] == task["completed_at"]
        (attempt,) = await attempts_of(client, spawned)
        assert (attempt["status"], attempt["reason"]) == ("cancelled", "max_delay")
        assert await claim_tasks(client) == []

    async def test_run_counts_it_as_cancelled(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client, tasks=[{"task_name": "late", "cancellation": {"max_delay": 0.1}}])
        (task,) = (await client.get(f"{address(run)}/tasks")).json()["items"]
        await ended(client, task)
        after = await get_run(client, run)
        assert (after["progress"]["cancelled"], after["progress"]["percent"]) == (1, 100)
        assert after["status"] == "pending"

    async def test_task_that_was_started_in_time_goes_on(self, client: httpx.AsyncClient, database: Database) -> None:
        held = await start_task(client, cancellation={"max_delay": 5})
        other = await spawn_task(client, cancellation={"max_delay": 5}, queue="other")
        for task in (held, other):
            await let_pass(database, task, 5)
        await ended(client, other)
        task = await get_task(client, held)
        assert task["reason"] != "max_delay"

    @pytest.mark.parametrize("aside", [None, ("sleep", {"seconds": 60}), ("release", {}), ("fail", {})])
    async def test_task_that_takes_too_long_is_cancelled(
        self, client: httpx.AsyncClient, aside: tuple[str, dict[str, Any]] | None
    ) -> None:
        held = await start_task(client, max_attempts=3, cancellation={"max_duration": 0.3})
        if aside:
            await reported(client, held, aside[0], **aside[1])
        task = await ended(client, held)
        assert (task["status"], task["reason"]) == ("cancelled", "max_duration")
        newest = (await attempts_of(client, held))[-1]
        assert (newest["status"], newest["reason"], newest["run_id"]) == ("cancelled", "max_duration", task["run_id"])
        took = datetime.fromisoformat(task["completed_at"]) - datetime.fromisoformat(task["first_started_at"])
        assert timedelta(seconds=0.3) <= took < timedelta(seconds=2.3)
        assert await claim_tasks(client) == []

    async def test_worker_is_told_that_the_task_is_cancelled(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client, cancellation={"max_duration": 0.1})
        await ended(client, held)
        body = {"lease_token": held["lease_token"]}
        response = await client.post(task_address(held, "heartbeat"), json=body)
        assert (response.status_code, response.json()["code"]) == (409, "task-cancelled")

    async def test_place_of_a_task_that_took_too_long_is_free(self, client: httpx.AsyncClient) -> None:
        await client.put("/v1/queues/default", json={"max_concurrency": 1})
        held = await start_task(client, cancellation={"max_duration": 0.1})
        other = await spawn_task(client)
        await ended(client, held)
        assert (await claim_task(client))["task_id"] == other["task_id"]

    async def test_duration_is_counted_from_the_first_start(self, client: httpx.AsyncClient) -> None:
        await spawn_task(client, cancellation={"max_duration": 3600}, delay_seconds=0.1)
        held = await claim_task(client, wait_seconds=60)
        await reported(client, held, "complete")

    @pytest.mark.parametrize("limit", ["max_delay", "max_duration"])
    async def test_clock_starts_anew_by_retry(self, client: httpx.AsyncClient, database: Database, limit: str) -> None:
        task = await task_in(client, "failed", cancellation={limit: 0.5})
        await client.post(task_address(task, "retry"))
        if limit == "max_duration":
            await claim_task(client)
        after = await ended(client, task)
        assert (after["status"], after["reason"], after["attempt"]) == ("cancelled", limit, 2)

    async def test_delay_is_counted_from_when_it_may_start(self, client: httpx.AsyncClient) -> None:
        spawned = await spawn_task(client, delay_seconds=0.4, cancellation={"max_delay": 0.1})
        task = await ended(client, spawned)
        waited = datetime.fromisoformat(task["completed_at"]) - datetime.fromisoformat(task["available_at"])
        assert waited >= timedelta(seconds=0.1)


class TestCancelGrace:
    async def test_what_still_runs_is_cancelled_after_it(self, client: httpx.AsyncClient) -> None:
        run = await run_in(client, "running")
        held = await start_task(client, workflow_run_id=run["workflow_run_id"])
        await client.post(address(run, "cancel"), json={"grace_seconds": 0.2})
        assert (await get_task(client, held))["status"] == "running"
        task = await ended(client, held)
        assert (task["status"], task["reason"]) == ("cancelled", "cancel_requested")
        after = await get_run(client, run)
        assert (after["status"], after["reason"], after["progress"]["cancelled"]) == (
            "cancelled",
            "cancel_requested",
            1,
        )
        took = datetime.fromisoformat(after["completed_at"]) - datetime.fromisoformat(after["cancel_requested_at"])
        assert timedelta(seconds=0.2) <= took < timedelta(seconds=2.2)
        assert (await history_of(client, run))[-1]["actor"] == "housekeeping"

    async def test_run_with_a_heartbeat_has_its_grace(self, client: httpx.AsyncClient) -> None:
        run = await run_in(client, "running", heartbeat_seconds=60)
        after = (await client.post(address(run, "cancel"), json={"grace_seconds": 0.2})).json()
        assert after["status"] == "running"
        beat = (await client.post(address(run, "heartbeat"))).json()
        assert (beat["status"], beat["cancel_requested"]) == ("running", True)
        ended_run = (await client.get(address(run, "wait"), params={"timeout_seconds": 2.2})).json()
        assert ended_run["status"] == "cancelled"

    async def test_waiting_for_the_run_ends_with_it(self, client: httpx.AsyncClient) -> None:
        run = await run_in(client, "running")
        held = await start_task(client, workflow_run_id=run["workflow_run_id"])
        await client.post(address(run, "cancel"))
        await reported(client, held, "complete")
        after = (await client.get(address(run, "wait"), params={"timeout_seconds": 2})).json()
        assert after["status"] == "cancelled"


class TestEndOfRun:
    @pytest.mark.parametrize("reason", ["deadline", "lost"])
    async def test_run_that_housekeeping_ends_takes_its_open_tasks_along(
        self, client: httpx.AsyncClient, database: Database, reason: str
    ) -> None:
        del database
        limit = {"deadline_seconds": 0.3} if reason == "deadline" else {"heartbeat_seconds": 1}
        run = await create_run(client, **limit)
        await patch_run(client, run, status="running")
        held = await start_task(client, workflow_run_id=run["workflow_run_id"])
        task = (await client.get(task_address(held, "wait"), params={"timeout_seconds": 3})).json()
        assert (task["status"], task["reason"]) == ("cancelled", "run_ended")
        after = await get_run(client, run)
        assert (after["status"], after["reason"]) == ("failed", reason)


class TestRetention:
    async def test_ended_tasks_are_kept_as_long_as_their_queue_says(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        await client.put(f"{QUEUES}/short", json={"retention_seconds": 0})
        gone = await task_in(client, "completed", queue="short")
        open_task = await spawn_task(client, queue="short")
        kept = await task_in(client, "completed", queue="long")
        run = await create_run(client)
        linked = await task_in(client, "failed", queue="short2", workflow_run_id=run["workflow_run_id"])
        await client.put(f"{QUEUES}/short2", json={"retention_seconds": 0})
        async with database.transaction() as tx:
            assert await delete_old_tasks(tx, 3600, 100) == 1
        assert (await client.get(task_address(gone))).status_code == 404
        for task in (open_task, kept, linked):
            assert (await client.get(task_address(task))).status_code == 200

    async def test_every_queue_is_reached(self, client: httpx.AsyncClient, database: Database) -> None:
        await task_in(client, "completed", queue="zzz")
        await task_in(client, "completed", queue="gone")
        async with database.transaction() as tx:
            await tx.execute(text("INSERT INTO queues (queue) SELECT 'a' || n FROM generate_series(1, 1500) n"))
            await tx.execute(text("DELETE FROM queues WHERE queue = 'gone'"))
            await tx.execute(text("UPDATE tasks SET created_at = created_at - interval '1 day'"))
            await tx.execute(
                text(
                    "UPDATE tasks SET completed_at = completed_at - interval '1 hour',"
                    " started_at = started_at - interval '2 hours',"
                    " first_started_at = first_started_at - interval '2 hours'"
                )
            )
            assert await delete_old_tasks(tx, 60, 1) == 1
            assert await delete_old_tasks(tx, 60, 100) == 1
            assert await delete_old_tasks(tx, 60, 100) == 0
