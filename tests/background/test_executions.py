"""What happens to executed runs by itself: times that come, leases that expire, events on their way."""

from typing import Any

import httpx
from sqlalchemy import text

from app.db.engine import Database
from app.execution.deliveries import deliver_events, find_deliveries
from app.execution.due_runs import RUNS_PER_ROUND
from tests.conftest import make_settings
from tests.definitions import task
from tests.executing import (
    claim_steps,
    come_due,
    ended_run,
    let_pass,
    pass_run_time,
    start,
    start_run,
    status_of,
    statuses_of,
    work_off,
)
from tests.factories import expire_lease, get_task, report
from tests.replicas import replica
from tests.waiting import eventually

MANY = 2 * RUNS_PER_ROUND + 10


def wait(task_id: str, seconds: float, *dependencies: str) -> dict[str, Any]:
    return {"task_id": task_id, "operator_type": "wait", "wait_for": seconds, "dependencies": list(dependencies)}


class TestDueSteps:
    async def test_wait_that_is_over_lets_the_run_go_on(self, client: httpx.AsyncClient, database: Database) -> None:
        run = await start(client, wait("rest", 60), task("after", "rest"))
        await let_pass(database, run, 59)
        assert (await statuses_of(client, run))["rest"] == "running"
        await let_pass(database, run, 1)
        assert list(await claim_steps(client)) == ["after"]

    async def test_waiting_claim_gets_what_a_timer_sets_free(self, client: httpx.AsyncClient) -> None:
        await start(client, wait("rest", 0.3), task("after", "rest"))
        assert list(await claim_steps(client, wait_seconds=60)) == ["after"]

    async def test_many_runs_come_due_together_and_all_go_on_at_once(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        await start(client, wait("rest", 3600), task("after", "rest"))
        for _ in range(MANY - 1):
            await start_run(client)
        async with database.transaction() as tx:
            await tx.execute(text("UPDATE workflow_steps SET due_at = now() - interval '1 second' WHERE path = 'rest'"))

        async def all_go_on() -> bool:
            query = "SELECT count(*) FROM workflow_steps WHERE path = 'rest' AND status = 'completed'"
            async with database.transaction() as tx:
                return bool((await tx.execute(text(query))).scalar_one() == MANY)

        await eventually(all_go_on)
        assert await work_off(client) == ["after"] * MANY
        async with database.transaction() as tx:
            count = (await tx.execute(text("SELECT count(*) FROM tasks WHERE step = 'after'"))).scalar_one()
        assert count == MANY

    async def test_two_seconds_are_enough_by_default_too(
        self, database_url: str, client: httpx.AsyncClient, database: Database
    ) -> None:
        del client  # its housekeeping looks more often than others do
        async with replica(database_url, housekeeping_seconds=make_settings("").housekeeping_seconds) as other:
            run = await start(other, wait("rest", 60))
            await pass_run_time(database, run, 60)
            assert (await ended_run(other, run))["status"] == "completed"

    async def test_ended_run_is_not_moved_by_what_was_due(self, client: httpx.AsyncClient, database: Database) -> None:
        run = await start(client, wait("rest", 60), task("a", timeout_policy={"timeout": 60}))
        await client.post(f"/v1/workflow-runs/{run['workflow_run_id']}/cancel")
        await let_pass(database, run, 100)
        assert await statuses_of(client, run) == {"rest": "cancelled", "a": "cancelled"}
        assert await status_of(client, run) == "cancelled"


class TestLeases:
    async def test_worker_that_died_costs_an_attempt(self, client: httpx.AsyncClient, database: Database) -> None:
        run = await start(client, task("a", retry_policy={"max_retries": 1, "delay": 0, "backoff_factor": 1.0}))
        held = (await claim_steps(client))["a"]
        async with database.transaction() as tx:
            await expire_lease(tx, held)
        again = (await claim_steps(client, wait_seconds=60))["a"]
        assert (again["task_id"], again["attempt"]) == (held["task_id"], 2)
        assert (await report(client, held, "complete")).status_code == 409
        await report(client, again, "complete")
        assert (await ended_run(client, run))["status"] == "completed"

    async def test_it_frees_a_place(self, client: httpx.AsyncClient, database: Database) -> None:
        await client.put("/v1/queues/default", json={"max_concurrency": 1})
        await start(client, task("a"), task("b"))
        held = await claim_steps(client)
        assert list(held) == ["a"]
        async with database.transaction() as tx:
            await expire_lease(tx, held["a"])
        assert (
            len(await claim_steps(client, wait_seconds=60)) == 1
        )  # whichever of the two stands first in the line by then
        assert (await get_task(client, held["a"]))["lost_count"] == 1


class TestDeliveries:
    async def test_event_that_was_not_emitted_after_all_is_told_to_nobody(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        hear = {"task_id": "hear", "operator_type": "wait_for_event", "event_name": "go"}
        run = await start(client, hear)
        async with database.transaction() as tx:
            await tx.execute(text("INSERT INTO event_deliveries (queue, event_name) VALUES ('default', 'go')"))
            await deliver_events(tx, await find_deliveries(tx, 500))

        async def none_is_left() -> bool:
            async with database.transaction() as tx:
                return not (await tx.execute(text("SELECT 1 FROM event_deliveries"))).all()

        await eventually(none_is_left)
        assert (await statuses_of(client, run))["hear"] == "running"
        response = await client.get("/v1/queues/default/events/go")
        assert response.status_code == 404

    async def test_one_that_is_set_aside_hides_no_other(self, client: httpx.AsyncClient, database: Database) -> None:
        hear = {"task_id": "hear", "operator_type": "wait_for_event", "event_name": "go"}
        run = await start(client, hear)
        stuck = text(
            "INSERT INTO event_deliveries (queue, event_name) VALUES ('default', 'stuck') RETURNING delivery_id"
        )
        aside = text(
            "INSERT INTO set_aside_rows (chore, row_key, error, retry_at)"
            " VALUES ('deliver_events', :key, 'no', now() + interval '1 hour')"
        )
        async with database.transaction() as tx:
            key = f"{(await tx.execute(stuck)).scalar_one()}/"
            await tx.execute(aside, {"key": key})
            await tx.execute(text("INSERT INTO events (queue, event_name, payload) VALUES ('default', 'go', '7')"))
            await tx.execute(text("INSERT INTO event_deliveries (queue, event_name) VALUES ('default', 'go')"))
        assert (await ended_run(client, run))["status"] == "completed"

    async def test_step_that_began_to_await_meanwhile_is_told(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        hear = {"task_id": "hear", "operator_type": "wait_for_event", "event_name": "go"}
        run = await start(client, hear)
        async with database.transaction() as tx:  # as it is when the emit could not see the await
            await tx.execute(text("INSERT INTO events (queue, event_name, payload) VALUES ('default', 'go', '7')"))
            await tx.execute(text("INSERT INTO event_deliveries (queue, event_name) VALUES ('default', 'go')"))
        assert (await ended_run(client, run))["status"] == "completed"
        await come_due(database, run)
