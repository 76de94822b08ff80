"""Why a run or a schedule does not move: each code brought about by real calls, and changed by what is told."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.db.engine import Database
from tests.definitions import WORKFLOWS, register, task, workflow
from tests.domain.highway.scripts import foreach, parallel, step
from tests.executing import claim_steps, fail_step, start, start_run
from tests.explaining import codes, do, first, one, only, why
from tests.factories import (
    SCHEDULES,
    address,
    claim_task,
    create_run,
    get_run,
    reported,
    run_in,
    spawn_task,
    spawn_tasks,
)
from tests.waiting import eventually

DECLINED = {"name": "ValueError", "message": "card declined"}


async def move_times(database: Database, run: dict[str, Any], **seconds: float) -> None:
    """Let times of ``run`` lie so many seconds from now."""
    async with database.transaction() as tx:
        for column, left in seconds.items():
            change = f"UPDATE workflow_runs SET {column} = now() + make_interval(secs => :left)"
            sql = f"{change} WHERE workflow_run_id = CAST(:id AS uuid)"
            await tx.execute(text(sql), {"left": left, "id": run["workflow_run_id"]})


class TestTracked:
    async def test_nobody_started_it(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        reason = await only(client, run, "nobody_started_it")
        assert reason["subject"] == {"workflow_run_id": run["workflow_run_id"]}
        await do(client, reason)
        reason = await only(client, run, "being_worked")
        assert reason["fix"] is None

    async def test_reasons_of_its_open_tasks_are_told(self, client: httpx.AsyncClient) -> None:
        run = await run_in(client, "running")
        await spawn_task(client, workflow_run_id=run["workflow_run_id"])
        sleeping = await spawn_task(client, workflow_run_id=run["workflow_run_id"], delay_seconds=60)
        assert await codes(client, run) == ["no_worker_seen", "not_due_yet"]
        assert (await one(client, run, "not_due_yet"))["subject"]["task_id"] == sleeping["task_id"]

    async def test_ended_tasks_leave_it_to_its_owner(self, client: httpx.AsyncClient) -> None:
        run = await run_in(client, "running")
        await spawn_task(client, workflow_run_id=run["workflow_run_id"])
        await reported(client, await claim_task(client), "complete")
        await only(client, run, "being_worked")

    async def test_more_counts_what_is_left_out(self, client: httpx.AsyncClient) -> None:
        run = await run_in(client, "running")
        spec = {"workflow_run_id": run["workflow_run_id"], "delay_seconds": 60}
        await spawn_tasks(client, *[spec] * 23)
        told = await why(client, run)
        assert (len(told["reasons"]), told["more"]) == (20, 3)
        await spawn_tasks(client, *[spec] * 100)
        told = await why(client, run)
        assert (len(told["reasons"]), told["more"]) == (20, 103)

    async def test_heartbeat_is_due(self, client: httpx.AsyncClient, database: Database) -> None:
        run = await run_in(client, "running", heartbeat_seconds=3600)
        await only(client, run, "being_worked")
        await move_times(database, run, heartbeat_expires_at=50)
        assert await codes(client, run) == ["heartbeat_due", "being_worked"]
        await do(client, await first(client, run, "heartbeat_due"))
        await only(client, run, "being_worked")

    async def test_late(self, client: httpx.AsyncClient) -> None:
        run = await run_in(client, "running", expected_by="2026-01-31T09:30:00Z")
        assert await codes(client, run) == ["late", "being_worked"]
        reason = await first(client, run, "late")
        assert "expected by 2026-01-31T09:30:00Z" in reason["text"]
        assert reason["since"] is not None
        await client.patch(address(run), json={"status": "completed"})
        await only(client, run, "ended")

    async def test_deadline_is_near(self, client: httpx.AsyncClient, database: Database) -> None:
        run = await run_in(client, "running", deadline_seconds=3600)
        await only(client, run, "being_worked")
        await move_times(database, run, deadline_at=50, created_at=-3600)
        reason = await first(client, run, "deadline_near")
        assert reason["until"] is not None

    async def test_cancel_was_requested(self, client: httpx.AsyncClient) -> None:
        run = await run_in(client, "running")
        await spawn_task(client, workflow_run_id=run["workflow_run_id"])
        await claim_task(client)
        await client.post(address(run, "cancel"), json={"grace_seconds": 600})
        assert await codes(client, run) == ["cancel_requested", "being_worked"]
        assert (await first(client, run, "cancel_requested"))["until"] is not None

    @pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
    async def test_ended(self, client: httpx.AsyncClient, status: str) -> None:
        run = await run_in(client, "running")
        change = {"status": status} | ({"error": DECLINED} if status == "failed" else {})
        await client.patch(address(run), json=change)
        reason = await only(client, run, "ended")
        assert reason["subject"].get("error") == (DECLINED if status == "failed" else None)
        if status == "completed":
            assert reason["fix"] is None
        else:
            await do(client, reason)
            assert (await get_run(client, run))["status"] in ("running", "pending")


class TestExecuted:
    async def test_step_that_failed_is_the_root_cause(self, client: httpx.AsyncClient) -> None:
        loop = foreach("each", items='["a", "b"]', body=[task("charge")], parallel=True)
        run = await start(client, loop, task("after", "each"))
        held = await claim_steps(client)
        await reported(client, held["each[1].charge"], "fail", error=DECLINED, retryable=False)
        assert await codes(client, run) == ["step_failed", "being_worked", "waits_for_steps"]
        assert (await first(client, run, "step_failed"))["fix"] is None
        await reported(client, held["each[0].charge"], "complete")
        assert await codes(client, run) == ["step_failed", "ended", "upstream_failed"]
        reason = await first(client, run, "step_failed")
        assert reason["subject"] == {
            "workflow_run_id": run["workflow_run_id"],
            "path": "each[1].charge",
            "error": DECLINED,
        }
        ended = await get_run(client, run)
        assert ended["error"]["step"] == "each[1].charge"
        assert ended["error"]["message"] == "each[1].charge: ValueError: card declined"
        assert (await one(client, run, "upstream_failed"))["subject"]["path"] == "after"
        await do(client, reason)
        assert await codes(client, run) == ["claimable", "waits_for_steps"]

    async def test_step_that_failed_beside_open_ones_is_seen(self, client: httpx.AsyncClient) -> None:
        run = await start(client, parallel("p", branches={"x": [task("a"), task("b")], "y": [task("c")]}))
        held = await claim_steps(client)
        await reported(client, held["p.x.a"], "fail", error=DECLINED, retryable=False)
        assert (await first(client, run, "step_failed"))["subject"]["path"] == "p.x.a"

    async def test_run_is_paused(self, client: httpx.AsyncClient) -> None:
        run = await start(client, task("a"), task("b", "a"))
        await client.post(address(run, "pause"))
        assert await codes(client, run) == ["run_paused", "waits_for_steps"]
        (work,) = (await client.get(address(run, "tasks"))).json()["items"]
        reason = await only(client, work, "run_paused")
        assert reason["subject"] == {
            "task_id": work["task_id"],
            "path": "a",
            "workflow_run_id": run["workflow_run_id"],
        }
        await do(client, await first(client, run, "run_paused"))
        assert (await claim_task(client))["step"] == "a"

    async def test_steps_wait_for_others(self, client: httpx.AsyncClient) -> None:
        run = await start(client, task("a"), task("b", "a"), task("c", "b"))
        await claim_task(client)
        assert await codes(client, run) == ["being_worked", "waits_for_steps"]
        subject = (await one(client, run, "waits_for_steps"))["subject"]
        assert (subject["path"], subject["count"]) == ("b", 2)

    async def test_step_waits_for_an_event(self, client: httpx.AsyncClient) -> None:
        wait = step("wait_for_event", "w", event_name="paid/{{run.id}} ü", timeout_seconds=600)
        run = await start(client, wait, body={"queue": "q.1"})
        reason = await only(client, run, "waits_for_event")
        name = f"paid/{run['workflow_run_id']} ü"
        assert reason["subject"]["event_name"] == name
        assert (reason["subject"]["path"], reason["subject"]["queue"]) == ("w", "q.1")
        assert reason["until"] is not None
        await do(client, reason)

        async def look() -> bool:
            return await codes(client, run) == ["ended"]

        assert await eventually(look)

    async def test_step_sleeps(self, client: httpx.AsyncClient) -> None:
        run = await start(client, step("wait", "w", wait_for="PT10M"))
        reason = await only(client, run, "sleeps")
        assert reason["subject"]["path"] == "w"
        assert reason["until"] is not None

    async def test_limit_of_a_container_is_no_sleep(self, client: httpx.AsyncClient) -> None:
        run = await start(client, parallel("p", branches={"x": [task("a")]}, timeout=600))
        await claim_task(client)
        await only(client, run, "being_worked")

    async def test_step_waits_to_retry(self, client: httpx.AsyncClient) -> None:
        run = await start(client, task("a", retry_policy={"max_retries": 2, "delay": "PT10M"}))
        await fail_step(client, "a", error=DECLINED, retryable=True)
        reason = await only(client, run, "waits_to_retry")
        assert reason["subject"]["path"] == "a"
        assert "ValueError: card declined" in reason["text"]

    async def test_circuit_is_open(self, client: httpx.AsyncClient) -> None:
        policy = {"failure_threshold": 1, "isolation_duration": "PT10M"}
        first_one = task("a", function="pay.charge", circuit_breaker_policy=policy)
        second = task("b", "a", function="pay.charge", circuit_breaker_policy=policy, trigger_rule="all_done")
        run = await start(client, first_one, second)
        await fail_step(client, "a", error=DECLINED)
        assert await codes(client, run) == ["step_failed", "circuit_open"]
        reason = await one(client, run, "circuit_open")
        assert reason["subject"]["path"] == "b"
        assert reason["until"] is not None

    async def test_circuit_is_open_for_the_next_attempt(self, client: httpx.AsyncClient, database: Database) -> None:
        policy = {"failure_threshold": 1, "isolation_duration": "PT1H"}
        retry = {"max_retries": 3, "delay": "PT0S"}
        run = await start(client, task("a", retry_policy=retry, circuit_breaker_policy=policy))
        await fail_step(client, "a", error=DECLINED, retryable=True)

        async def look() -> bool:
            return await codes(client, run) == ["circuit_open"]

        assert await eventually(look)
        (work,) = (await client.get(address(run, "tasks"))).json()["items"]
        await only(client, work, "circuit_open")

    async def test_child_is_waited_for_and_its_error_told(self, client: httpx.AsyncClient) -> None:
        await register(client, task("charge"), name="payment")
        run = await start(client, step("child_workflow", "pay", children={"one": {"workflow_name": "payment"}}))
        reason = await only(client, run, "waits_for_child")
        child = {"workflow_run_id": reason["subject"]["workflow_run_id"]}
        assert reason["subject"]["path"] == "pay"
        assert await codes(client, child) == ["no_worker_seen"]
        await fail_step(client, "charge", error=DECLINED)
        reason = await first(client, run, "step_failed")
        assert reason["subject"]["path"] == "pay"
        line = "not completed: one (StepFailed: charge: ValueError: card declined)"
        assert reason["subject"]["error"] == {"name": "ChildFailed", "message": line}
        assert (await get_run(client, run))["error"]["message"] == f"pay: ChildFailed: {line}"

    async def test_child_that_is_not_registered_is_named(self, client: httpx.AsyncClient) -> None:
        children = {"one": {"workflow_name": "nowhere"}}
        body = workflow(step("child_workflow", "pay", children=children), name="parent")
        registered = (await client.post(WORKFLOWS, json=body)).json()
        assert [(w["code"], w["pointer"]) for w in registered["warnings"]] == [
            ("unregistered_child", "/tasks/pay/children/one/workflow_name")
        ]
        run = await start_run(client, "parent")
        told = (await get_run(client, run))["error"]["message"]
        assert told == (
            "pay: ChildFailed: not completed: one (ChildNotStarted: nowhere: no workflow of this name is registered)"
        )

    async def test_registered_child_is_no_warning(self, client: httpx.AsyncClient) -> None:
        await register(client, task("charge"), name="payment")
        children = {"one": {"workflow_name": "payment"}, "two": {"workflow_name": "parent"}}
        registered = await register(client, step("child_workflow", "pay", children=children), name="parent")
        assert registered["warnings"] == []


class TestSchedules:
    async def schedule(self, client: httpx.AsyncClient, **members: Any) -> dict[str, Any]:
        await register(client, task("a"), name="nightly")
        body = {"workflow_name": "nightly", "cron": "0 2 * * *", **members}
        response = await client.post(SCHEDULES, json=body)
        assert response.status_code == 201, response.text
        made: dict[str, Any] = response.json()
        return made

    async def test_not_due_yet(self, client: httpx.AsyncClient) -> None:
        schedule = await self.schedule(client)
        reason = await only(client, schedule, "not_due_yet")
        assert reason["until"] == schedule["next_fire_at"]

    async def test_paused(self, client: httpx.AsyncClient) -> None:
        schedule = await self.schedule(client, paused=True)
        assert (await why(client, schedule))["status"] == "paused"
        await do(client, await only(client, schedule, "held_by_schedule"))
        await only(client, schedule, "not_due_yet")

    async def test_run_that_has_no_room_is_held(self, client: httpx.AsyncClient) -> None:
        schedule = await self.schedule(client, max_active_runs=1)
        body = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-03T00:00:00Z"}
        path = f"{SCHEDULES}/{schedule['schedule_id']}/backfill"
        assert (await client.post(path, json=body)).status_code == 201
        query = {"status": "pending", "workflow_name": "nightly"}
        (held,) = (await client.get("/v1/workflow-runs", params=query)).json()["items"]
        reason = await only(client, held, "held_by_schedule")
        assert reason["subject"]["schedule_id"] == schedule["schedule_id"]
        assert (await first(client, schedule, "held_by_schedule"))["subject"]["count"] == 2
        await do(client, reason)

        async def look() -> bool:
            return bool((await get_run(client, held))["status"] == "running")

        assert await eventually(look)

    async def test_ended(self, client: httpx.AsyncClient) -> None:
        schedule = await self.schedule(client, start_at="2025-01-01T00:00:00Z", end_at="2025-01-02T00:00:00Z")

        async def look() -> bool:
            return await codes(client, schedule) == ["ended"]

        assert await eventually(look)
