"""Why a task does not move: each code brought about by real calls, and changed by the call that is told."""

from datetime import datetime
from typing import Any

import httpx
import pytest

from app.db.engine import Database
from tests.explaining import codes, do, first, only, why
from tests.factories import (
    QUEUES,
    TASKS,
    UNKNOWN_ID,
    address,
    claim_task,
    claim_tasks,
    code,
    create_run,
    emit_event,
    expire_lease,
    pass_time,
    reported,
    spawn_task,
    spawn_tasks,
    start_task,
    task_in,
)
from tests.replicas import replica
from tests.waiting import eventually

ODD_QUEUE = "a.b-c_9"
ODD_EVENT = "paid/1 2?ü%"


async def see_worker(client: httpx.AsyncClient, queue: str = "default", **claim: Any) -> None:
    """Let a worker have claimed, and got nothing."""
    assert await claim_tasks(client, queue, **{"task_names": ["never"], **claim}) == []


async def see_any(client: httpx.AsyncClient, queue: str = "default") -> None:
    """Let a worker have claimed that takes everything; what there is comes later."""
    assert await claim_tasks(client, queue) == []


class TestReady:
    async def test_nobody_ever_claimed(self, client: httpx.AsyncClient) -> None:
        task = await spawn_task(client, queue=ODD_QUEUE)
        reason = await only(client, task, "no_worker_seen")
        assert reason["subject"] == {"task_id": task["task_id"], "queue": ODD_QUEUE}
        assert "nobody ever has" in reason["text"]
        assert reason["fix"] is None
        await see_any(client, "other")
        await only(client, task, "no_worker_seen")

    async def test_who_has_signed_off_is_not_seen(self, client: httpx.AsyncClient) -> None:
        await see_any(client)
        task = await spawn_task(client)
        await only(client, task, "claimable")
        await client.delete(f"{QUEUES}/default/workers/worker-1")
        reason = await only(client, task, "no_worker_seen")
        assert "the last who did came at" in reason["text"]
        assert reason["since"] is not None

    async def test_workers_take_other_names(self, client: httpx.AsyncClient) -> None:
        task = await spawn_task(client)
        await see_worker(client)
        reason = await only(client, task, "workers_take_other_names")
        assert reason["subject"] == {"task_id": task["task_id"], "queue": "default", "count": 1}
        assert (await claim_task(client, task_names=["send_invoice"]))["task_id"] == task["task_id"]
        await only(client, task, "being_worked")

    async def test_nothing_is_in_its_way(self, client: httpx.AsyncClient) -> None:
        await see_any(client)
        task = await spawn_task(client)
        reason = await only(client, task, "claimable")
        assert reason["since"] is not None
        assert (await claim_task(client))["task_id"] == task["task_id"]

    async def test_others_are_before_it(self, client: httpx.AsyncClient) -> None:
        await see_any(client)
        await spawn_tasks(client, {}, {"priority": 1}, {"priority": 1, "delay_seconds": 60}, {"queue": "other"})
        task = await spawn_task(client)
        await spawn_tasks(client, {}, {"priority": 2}, {"priority": -1})
        reason = await only(client, task, "behind_others")
        assert reason["subject"]["count"] == 3
        await claim_tasks(client, limit=3)
        await only(client, task, "claimable")

    async def test_queue_is_paused(self, client: httpx.AsyncClient) -> None:
        task = await spawn_task(client, queue=ODD_QUEUE)
        await client.patch(f"{QUEUES}/{ODD_QUEUE}", json={"paused": True})
        assert await codes(client, task) == ["queue_paused", "no_worker_seen"]
        reason = await first(client, task, "queue_paused")
        assert reason["subject"] == {"task_id": task["task_id"], "queue": ODD_QUEUE}
        assert reason["fix"] == {"method": "PATCH", "path": f"{QUEUES}/{ODD_QUEUE}", "body": {"paused": False}}
        await do(client, reason)
        assert (await claim_task(client, ODD_QUEUE))["task_id"] == task["task_id"]

    async def test_running_task_does_not_mind_a_paused_queue(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        await client.patch(f"{QUEUES}/default", json={"paused": True})
        await only(client, held, "being_worked")

    @pytest.mark.parametrize("lowered", [2, 1])
    async def test_queue_is_full(self, client: httpx.AsyncClient, lowered: int) -> None:
        await client.put(f"{QUEUES}/default", json={"max_concurrency": 2})
        *_, task = await spawn_tasks(client, {}, {}, {})
        assert len(await claim_tasks(client, limit=3)) == 2
        await client.patch(f"{QUEUES}/default", json={"max_concurrency": lowered})
        reason = await only(client, task, "queue_full")
        assert reason["subject"] == {"task_id": task["task_id"], "queue": "default", "count": 2}
        assert reason["fix"]["body"] == {"max_concurrency": 3}
        await do(client, reason)
        assert (await claim_task(client))["task_id"] == task["task_id"]

    async def test_concurrency_key_is_taken(self, client: httpx.AsyncClient) -> None:
        holder, task = await spawn_tasks(client, {"concurrency_key": "k"}, {"concurrency_key": "k"})
        held = await claim_task(client)
        reason = await only(client, task, "concurrency_key_taken")
        assert reason["subject"]["holder_task_id"] == holder["task_id"]
        assert reason["subject"]["task_id"] == task["task_id"]
        await reported(client, held, "complete")
        await only(client, task, "claimable")


class TestWaiting:
    async def test_not_due_yet(self, client: httpx.AsyncClient, database: Database) -> None:
        await see_any(client)
        task = await spawn_task(client, delay_seconds=600)
        reason = await only(client, task, "not_due_yet")
        left = datetime.fromisoformat(reason["until"]) - datetime.fromisoformat(reason["since"])
        assert 599 <= left.total_seconds() <= 601
        async with database.transaction() as tx:
            await pass_time(tx, task, 600)
        await only(client, task, "claimable")

    async def test_waits_to_retry(self, client: httpx.AsyncClient) -> None:
        strategy = {"kind": "fixed", "base_seconds": 600}
        held = await start_task(client, max_attempts=2, retry_strategy=strategy)
        error = {"name": "ValueError", "message": "card declined", "traceback": "x" * 5000}
        await reported(client, held, "fail", error=error)
        reason = await only(client, held, "waits_to_retry")
        assert "ValueError: card declined" in reason["text"]
        assert reason["subject"]["error"] == {"name": "ValueError", "message": "card declined"}
        assert reason["until"] is not None

    async def test_sleeps(self, client: httpx.AsyncClient) -> None:
        task = await task_in(client, "sleeping")
        assert (await only(client, task, "sleeps"))["until"] == task["wake_at"]

    async def test_waits_for_an_event(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client, queue=ODD_QUEUE)
        await reported(client, held, "await-event", step_name="s", event_name=ODD_EVENT, timeout_seconds=600)
        reason = await only(client, held, "waits_for_event")
        assert reason["subject"] == {"task_id": held["task_id"], "queue": ODD_QUEUE, "event_name": ODD_EVENT}
        assert reason["until"] is not None
        assert reason["fix"]["path"] == f"{QUEUES}/{ODD_QUEUE}/events/paid%2F1%202%3F%C3%BC%25"
        await do(client, reason)
        await only(client, held, "claimable")

    @pytest.mark.parametrize("names", ["any_of", "all_of"])
    async def test_each_name_that_has_not_come_is_told(self, client: httpx.AsyncClient, names: str) -> None:
        held = await start_task(client)
        if names == "all_of":
            await emit_event(client, "b")
        await reported(client, held, "await-event", step_name="s", **{names: ["a", "b", "c"]})
        told = [reason["subject"]["event_name"] for reason in (await why(client, held))["reasons"]]
        assert told == (["a", "b", "c"] if names == "any_of" else ["a", "c"])


class TestRunning:
    async def test_worker_has_it(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        told = await why(client, held)
        assert told["status"] == "running"
        (reason,) = told["reasons"]
        assert reason["code"] == "being_worked"
        assert reason["subject"] == {"task_id": held["task_id"], "worker_id": "worker-1"}
        assert reason["until"] == held["lease_expires_at"]

    async def test_cancel_was_requested(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        held = await start_task(client, workflow_run_id=run["workflow_run_id"])
        await client.post(address(run, "cancel"), json={"grace_seconds": 600})
        assert await codes(client, held) == ["cancel_requested", "being_worked"]

    async def test_lease_ran_out(self, database_url: str, client: httpx.AsyncClient, database: Database) -> None:
        held = await start_task(client, max_attempts=2)
        seen: list[list[str]] = []

        async def look() -> bool:
            async with database.transaction() as tx:
                await expire_lease(tx, held)
            seen.append(await codes(client, held))
            return seen[-1] == ["lease_ran_out"]

        async with database.transaction() as tx:
            await expire_lease(tx, held)
        assert await eventually(look)


class TestEnded:
    @pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
    async def test_is_told_with_its_error(self, client: httpx.AsyncClient, status: str) -> None:
        task = await task_in(client, status)
        reason = await only(client, task, "ended")
        assert reason["subject"].get("error") == (
            {"name": "Broken", "message": "it broke"} if status == "failed" else None
        )
        if status == "completed":
            assert reason["fix"] is None
        else:
            assert reason["fix"] == {"method": "POST", "path": f"{TASKS}/{task['task_id']}/retry", "body": {}}
            await do(client, reason)
            await only(client, task, "claimable")

    async def test_task_of_a_failed_run_goes_on_with_it(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        task = await task_in(client, "failed", workflow_run_id=run["workflow_run_id"])
        await client.patch(address(run), json={"status": "failed"})
        reason = await only(client, task, "ended")
        assert reason["fix"]["path"] == address(run, "retry")
        await do(client, reason)
        await only(client, task, "claimable")

    async def test_task_of_a_completed_run_stays(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        task = await task_in(client, "failed", workflow_run_id=run["workflow_run_id"])
        await client.patch(address(run), json={"status": "completed"})
        assert (await only(client, task, "ended"))["fix"] is None


class TestAnswer:
    async def test_text_has_sentences(self, client: httpx.AsyncClient) -> None:
        task = await spawn_task(client)
        await client.patch(f"{QUEUES}/default", json={"paused": True})
        text = (await client.get(f"{TASKS}/{task['task_id']}/why", headers={"Accept": "text/plain"})).text
        assert text.splitlines() == [
            "The task send_invoice is pending: the queue default is paused: it hands out nothing (1 more).",
            "",
            "1. The queue default is paused: it hands out nothing. [queue_paused]",
            '   to change it: PATCH /v1/queues/default {"paused":false}',
            "2. Nobody claims from the queue default now; nobody ever has. [no_worker_seen]",
        ]

    @pytest.mark.parametrize("where", ["tasks", "workflow-runs", "schedules"])
    async def test_unknown_is_not_found(self, client: httpx.AsyncClient, where: str) -> None:
        response = await client.get(f"/v1/{where}/{UNKNOWN_ID}/why")
        assert (response.status_code, code(response)) == (404, "not-found")

    async def test_control_characters_of_names_are_escaped_in_text(self, client: httpx.AsyncClient) -> None:
        task = await spawn_task(client, task_name="a\nb\x1b[31m")
        text = (await client.get(f"{TASKS}/{task['task_id']}/why", headers={"Accept": "text/plain"})).text
        assert "\x1b" not in text
        assert text.splitlines()[0].startswith("The task a\\nb")

    async def test_worker_of_another_replica_is_seen(self, client: httpx.AsyncClient, database_url: str) -> None:
        async with replica(database_url) as other:
            await claim_tasks(other)
            task = await spawn_task(client)

            async def look() -> bool:
                return await codes(client, task) == ["claimable"]

            assert await eventually(look)
            assert (await other.delete(f"{QUEUES}/default/workers/worker-1")).status_code == 204
            await only(client, task, "no_worker_seen")
