"""Waiting for, cancelling and retrying tasks, and their checkpoints, over HTTP."""

import asyncio
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from app.db.engine import Database
from tests.api.json_texts import KEPT
from tests.factories import (
    address,
    attempts_of,
    claim_task,
    claim_tasks,
    code,
    create_run,
    get_task,
    patch_run,
    pointers,
    put_checkpoint,
    report,
    reported,
    spawn_task,
    start_task,
    task_address,
    task_in,
)
from tests.waiting import PROMPT_SECONDS

OPEN = ("pending", "running", "sleeping")
ENDED = ("completed", "failed", "cancelled")


async def cancel(client: httpx.AsyncClient, task: dict[str, Any]) -> dict[str, Any]:
    response = await client.post(task_address(task, "cancel"))
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    assert response.headers["etag"] == f'"{answer["revision"]}"'
    return answer


async def retry(client: httpx.AsyncClient, task: dict[str, Any], **how: Any) -> dict[str, Any]:
    response = await client.post(task_address(task, "retry"), json=how)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    assert response.headers["etag"] == f'"{answer["revision"]}"'
    return answer


class TestWaitForTask:
    @pytest.mark.parametrize(("call", "status"), [("complete", "completed"), ("fail", "failed")])
    async def test_it_answers_when_the_task_has_ended(self, client: httpx.AsyncClient, call: str, status: str) -> None:
        held = await start_task(client)
        waiting = asyncio.create_task(client.get(task_address(held, "wait")))
        task = await reported(client, held, call)
        async with asyncio.timeout(PROMPT_SECONDS):
            response = await waiting
        assert (response.status_code, response.json()) == (200, task)
        assert task["status"] == status
        assert response.headers["etag"] == f'"{task["revision"]}"'

    async def test_it_answers_when_the_task_is_cancelled(self, client: httpx.AsyncClient) -> None:
        task = await spawn_task(client)
        waiting = asyncio.create_task(client.get(task_address(task, "wait")))
        cancelled = await cancel(client, task)
        async with asyncio.timeout(PROMPT_SECONDS):
            assert (await waiting).json() == cancelled

    @pytest.mark.parametrize("status", ENDED)
    async def test_ended_task_is_answered_at_once(self, client: httpx.AsyncClient, status: str) -> None:
        task = await task_in(client, status)
        async with asyncio.timeout(PROMPT_SECONDS):
            assert (await client.get(task_address(task, "wait"))).json()["status"] == status

    @pytest.mark.parametrize("status", OPEN)
    async def test_it_answers_with_the_open_task_in_the_end(self, client: httpx.AsyncClient, status: str) -> None:
        task = await task_in(client, status)
        response = await client.get(task_address(task, "wait"), params={"timeout_seconds": 0.05})
        assert (response.status_code, response.json()["status"]) == (200, status)

    @pytest.mark.parametrize("seconds", [-1, 61, "x"])
    async def test_time_out_of_range_is_refused(self, client: httpx.AsyncClient, seconds: Any) -> None:
        task = await spawn_task(client)
        response = await client.get(task_address(task, "wait"), params={"timeout_seconds": seconds})
        assert pointers(response) == ["timeout_seconds"]


class TestCancelTask:
    @pytest.mark.parametrize("status", OPEN)
    async def test_open_task_is_cancelled_at_once(self, client: httpx.AsyncClient, status: str) -> None:
        before = await task_in(client, status)
        task = await cancel(client, before)
        assert task == await get_task(client, task)
        assert (task["status"], task["reason"]) == ("cancelled", "cancel_requested")
        assert task["revision"] == before["revision"] + 1
        assert task["completed_at"] == task["cancelled_at"] is not None
        assert (task["lease_expires_at"], task["wake_at"]) == (None, None)
        (attempt,) = await attempts_of(client, task)
        assert (attempt["status"], attempt["reason"], attempt["ended_at"]) == (
            "cancelled",
            "cancel_requested",
            task["cancelled_at"],
        )
        assert await claim_tasks(client) == []

    @pytest.mark.parametrize("status", ENDED)
    async def test_ended_task_stays_as_it_is(self, client: httpx.AsyncClient, status: str) -> None:
        task = await get_task(client, await task_in(client, status))
        assert await cancel(client, task) == task == await get_task(client, task)

    async def test_cancelled_attempt_has_no_error_of_another(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client, max_attempts=2)
        await reported(client, held, "fail", error={"name": "A", "message": "a"})
        await cancel(client, held)
        first, second = await attempts_of(client, held)
        assert (first["status"], first["error"]) == ("failed", {"name": "A", "message": "a"})
        assert (second["status"], second["error"]) == ("cancelled", None)

    async def test_body_may_be_empty_and_nothing_else(self, client: httpx.AsyncClient) -> None:
        task = await spawn_task(client)
        assert pointers(await client.post(task_address(task, "cancel"), json={"why": 1})) == ["/why"]
        assert (await client.post(task_address(task, "cancel"), json={})).status_code == 200


class TestRetryTask:
    @pytest.mark.parametrize("status", ["failed", "cancelled"])
    async def test_ended_task_gets_its_next_attempt(self, client: httpx.AsyncClient, status: str) -> None:
        before = await task_in(client, status)
        task = await retry(client, before)
        assert task == await get_task(client, task)
        assert (task["task_id"], task["status"], task["attempt"]) == (before["task_id"], "pending", 2)
        assert task["max_attempts"] == 2
        assert task["revision"] == before["revision"] + 1
        assert task["run_id"] != before["run_id"]
        cleared = ("completed_at", "cancelled_at", "cancel_requested_at", "first_started_at", "started_at")
        assert {name: task[name] for name in cleared} == dict.fromkeys(cleared)
        nothing = ("error", "reason", "result", "claimed_by", "lease_expires_at", "wake_at")
        assert {name: task[name] for name in nothing} == dict.fromkeys(nothing)
        claimed = await claim_task(client)
        assert (claimed["run_id"], claimed["attempt"], claimed["max_attempts"]) == (task["run_id"], 2, 2)

    @pytest.mark.parametrize("status", ["failed", "cancelled"])
    async def test_attempts_that_are_over_stay_listed(self, client: httpx.AsyncClient, status: str) -> None:
        before = await task_in(client, status)
        await retry(client, before)
        first, second = await attempts_of(client, before)
        assert (first["attempt"], first["status"], first["run_id"]) == (1, status, before["run_id"])
        assert first["ended_at"] == before["completed_at"]
        assert (second["attempt"], second["status"], second["ended_at"]) == (2, "pending", None)

    async def test_attempts_are_numbered_without_gap(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        for call in ("cancel", "fail", "cancel"):
            if call == "cancel":
                await cancel(client, held)
            else:
                await reported(client, held, call)
            await retry(client, held)
            held = await claim_task(client)
        await reported(client, held, "complete")
        attempts = await attempts_of(client, held)
        assert [attempt["attempt"] for attempt in attempts] == [1, 2, 3, 4]
        assert [a["status"] for a in attempts] == ["cancelled", "failed", "cancelled", "completed"]

    @pytest.mark.parametrize("status", ["pending", "running", "sleeping", "completed"])
    async def test_task_that_did_not_fail_is_refused(self, client: httpx.AsyncClient, status: str) -> None:
        task = await get_task(client, await task_in(client, status))
        response = await client.post(task_address(task, "retry"))
        assert (response.status_code, code(response)) == (409, "move-not-allowed")
        assert response.json()["current"] == task == await get_task(client, task)

    @pytest.mark.parametrize("how", [{}, {"spawn_new": True}])
    async def test_repeat_with_its_key_changes_nothing(self, client: httpx.AsyncClient, how: dict[str, Any]) -> None:
        task = await task_in(client, "failed")
        again: dict[str, Any] = {"url": task_address(task, "retry"), "headers": {"Idempotency-Key": "k"}, "json": how}
        answers = await asyncio.gather(*(client.post(**again) for _ in range(5)))
        assert {(answer.status_code, answer.text) for answer in answers} == {(200, answers[0].text)}
        assert sorted(answer.headers.get("idempotency-replayed", "") for answer in answers) == ["", *["true"] * 4]
        (held,) = await claim_tasks(client, limit=10)
        assert held["task_id"] == answers[0].json()["task_id"]
        await reported(client, held, "fail")
        assert (await client.post(**again)).text == answers[0].text
        assert await claim_tasks(client) == []
        response = await client.post(**{**again, "json": {"max_attempts": 9}})
        assert (response.status_code, code(response)) == (422, "idempotency-key-reused")

    async def test_refused_retry_does_not_use_its_key_up(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        again: dict[str, Any] = {"url": task_address(held, "retry"), "headers": {"Idempotency-Key": "k"}}
        assert (await client.post(**again)).status_code == 409
        await reported(client, held, "fail")
        assert (await client.post(**again)).status_code == 200

    async def test_limit_that_is_left_is_kept(self, client: httpx.AsyncClient) -> None:
        task = await retry(client, await task_in(client, "failed", max_attempts=5))
        assert (task["attempt"], task["max_attempts"]) == (2, 5)

    async def test_new_limit_is_taken(self, client: httpx.AsyncClient) -> None:
        task = await retry(client, await task_in(client, "failed", max_attempts=9), max_attempts=3)
        assert (task["attempt"], task["max_attempts"]) == (2, 3)
        for attempt in (2, 3):
            held = await claim_task(client)
            assert held["attempt"] == attempt
            task = await reported(client, held, "fail")
        assert (task["status"], task["reason"]) == ("failed", "attempts_exhausted")

    @pytest.mark.parametrize("limit", [0, 1, -1, 1.5, "2"])
    async def test_limit_that_is_used_up_is_refused(self, client: httpx.AsyncClient, limit: Any) -> None:
        task = await task_in(client, "failed")
        response = await client.post(task_address(task, "retry"), json={"max_attempts": limit})
        assert pointers(response) == ["/max_attempts"]
        assert (await get_task(client, task))["status"] == "failed"

    async def test_checkpoints_stay_in_place(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        await put_checkpoint(client, held, "a", state=1)
        await reported(client, held, "fail")
        await retry(client, held)
        items = (await client.get(task_address(held, "checkpoints"))).json()["items"]
        assert [(item["name"], item["attempt"]) for item in items] == [("a", 1)]

    async def test_spawn_new_makes_a_fresh_task_with_the_same_spec(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        parent = await spawn_task(client, queue="other")
        spec = {
            "task_name": "b",
            "params": {"n": [0, None]},
            "headers": {"h": 1},
            "queue": "q",
            "workflow_run_id": run["workflow_run_id"],
            "parent_task_id": parent["task_id"],
            "priority": 3,
            "max_attempts": 2,
            "retry_strategy": {"kind": "fixed", "base_seconds": 0},
            "cancellation": {"max_delay": 60, "max_duration": 600},
            "concurrency_key": "k",
        }
        held = await start_task(client, **spec, idempotency_key="once")
        await put_checkpoint(client, held, "a", state=1)
        await reported(client, held, "fail", retryable=False)
        before = await get_task(client, held)
        task = await retry(client, held, spawn_new=True)
        assert task["task_id"] != held["task_id"]
        assert {name: task[name] for name in spec} == spec
        assert (task["status"], task["attempt"], task["error"], task["revision"]) == ("pending", 1, None, 1)
        assert (await client.get(task_address(task, "checkpoints"))).json()["items"] == []
        assert await get_task(client, held) == before
        claimed = await claim_task(client, "q")
        assert (claimed["task_id"], claimed["checkpoints"]) == (task["task_id"], {})

    async def test_spawn_new_takes_a_new_limit(self, client: httpx.AsyncClient) -> None:
        task = await retry(client, await task_in(client, "failed"), spawn_new=True, max_attempts=4)
        assert (task["attempt"], task["max_attempts"]) == (1, 4)

    @pytest.mark.parametrize(
        ("how", "place"), [({"spawn_new": "yes"}, "/spawn_new"), ({"spawn_new": None}, "/spawn_new"), ({"x": 1}, "/x")]
    )
    async def test_bad_body_is_refused(self, client: httpx.AsyncClient, how: dict[str, Any], place: str) -> None:
        task = await task_in(client, "failed")
        assert pointers(await client.post(task_address(task, "retry"), json=how)) == [place]

    async def test_waiting_claim_gets_it(self, client: httpx.AsyncClient) -> None:
        task = await task_in(client, "failed")
        waiting = asyncio.create_task(claim_tasks(client, wait_seconds=30))
        await retry(client, task)
        async with asyncio.timeout(PROMPT_SECONDS):
            assert len(await waiting) == 1

    async def test_task_of_an_ended_run_is_refused(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        task = await task_in(client, "failed", workflow_run_id=run["workflow_run_id"])
        await patch_run(client, run, status="failed")
        response = await client.post(task_address(task, "retry"))
        assert (response.status_code, code(response)) == (409, "move-not-allowed")
        assert response.json()["current"]["workflow_run_id"] == run["workflow_run_id"]


class TestCheckpoints:
    async def test_written_one_is_shown(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        response = await put_checkpoint(client, held, "fetch", state={"rows": 3})
        assert response.status_code == 200
        written = response.json()
        assert {name: written[name] for name in ("name", "state", "attempt", "run_id")} == {
            "name": "fetch",
            "state": {"rows": 3},
            "attempt": 1,
            "run_id": held["run_id"],
        }
        assert set(written) == {"name", "state", "attempt", "run_id", "updated_at"}
        assert (await client.get(task_address(held, "checkpoints", "fetch"))).json() == written
        assert (await client.get(task_address(held, "checkpoints"))).json() == {"items": [written], "next_cursor": None}

    @pytest.mark.parametrize("value", KEPT, ids=range(len(KEPT)))
    async def test_state_comes_back_exactly_as_given(self, client: httpx.AsyncClient, value: Any) -> None:
        held = await start_task(client)
        await put_checkpoint(client, held, "a", state=value)
        assert repr((await client.get(task_address(held, "checkpoints", "a"))).json()["state"]) == repr(value)
        await reported(client, held, "release")
        assert repr((await claim_task(client))["checkpoints"]) == repr({"a": value})

    @pytest.mark.parametrize(
        "name",
        ["a/b", "/a", "a/", "a b", "ä漢", "a?b#c", "100%", "a%2F", "a//b", "x" * 255, "\n", "a\n", "a\nb"],
    )
    async def test_any_name_is_taken_percent_encoded(self, client: httpx.AsyncClient, name: str) -> None:
        held = await start_task(client)
        assert (await put_checkpoint(client, held, name, state=name)).status_code == 200
        path = task_address(held, "checkpoints")
        assert (await client.get(f"{path}/{quote(name, safe='')}")).json()["name"] == name
        assert [item["name"] for item in (await client.get(path)).json()["items"]] == [name]

    @pytest.mark.parametrize("name", ["x" * 256, "a\0b"])
    async def test_impossible_name_is_refused(self, client: httpx.AsyncClient, name: str) -> None:
        held = await start_task(client)
        assert pointers(await put_checkpoint(client, held, name, state=1)) == ["name"]

    @pytest.mark.parametrize("name", ["b", "A", "a/", "x" * 256, "a\0b"])
    async def test_unknown_one_is_not_found(self, client: httpx.AsyncClient, name: str) -> None:
        held = await start_task(client)
        await put_checkpoint(client, held, "a", state=1)
        response = await client.get(task_address(held, "checkpoints", quote(name, safe="")))
        assert response.status_code in (404, 422), response.text

    async def test_same_attempt_overwrites(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        await put_checkpoint(client, held, "a", state=1)
        assert (await put_checkpoint(client, held, "a", state=2)).json()["state"] == 2
        assert (await client.get(task_address(held, "checkpoints", "a"))).json()["state"] == 2

    async def test_later_attempt_overwrites(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client, max_attempts=2)
        await put_checkpoint(client, held, "a", state=1)
        await reported(client, held, "fail")
        later = await claim_task(client)
        written = (await put_checkpoint(client, later, "a", state=None)).json()
        assert (written["state"], written["attempt"], written["run_id"]) == (None, 2, later["run_id"])

    async def test_they_stand_in_order_of_writing(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        for name in ("c", "a", "b"):
            await put_checkpoint(client, held, name, state=1)
        items = (await client.get(task_address(held, "checkpoints"))).json()["items"]
        assert [item["name"] for item in items] == ["c", "a", "b"]

    async def test_pages_follow_without_gap(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        for n in range(5):
            await put_checkpoint(client, held, f"s{n}", state=n)
        path = task_address(held, "checkpoints")
        first = await client.get(path, params={"limit": 3})
        second = await client.get(first.links["next"]["url"])
        assert [item["state"] for item in first.json()["items"] + second.json()["items"]] == [0, 1, 2, 3, 4]
        assert second.json()["next_cursor"] is None
        other = await spawn_task(client)
        cursor = first.json()["next_cursor"]
        assert pointers(await client.get(task_address(other, "checkpoints"), params={"cursor": cursor})) == ["cursor"]

    async def test_lease_is_extended_when_asked(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        await put_checkpoint(client, held, "a", state=1)
        assert (await get_task(client, held))["lease_expires_at"] == held["lease_expires_at"]
        await put_checkpoint(client, held, "a", state=1, lease_seconds=600)
        assert (await get_task(client, held))["lease_expires_at"] > held["lease_expires_at"]

    async def test_refused_one_does_not_extend_the_lease(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        await reported(client, held, "await-event", step_name="s", event_name="e", timeout_seconds=0)
        response = await put_checkpoint(client, held, "s", state=1, lease_seconds=600)
        assert pointers(response) == ["name"]
        assert (await get_task(client, held))["lease_expires_at"] == held["lease_expires_at"]

    async def test_they_are_kept_after_the_end(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        await put_checkpoint(client, held, "a", state=1)
        await reported(client, held, "complete")
        assert len((await client.get(task_address(held, "checkpoints"))).json()["items"]) == 1

    async def test_writes_at_once_are_all_kept(self, client: httpx.AsyncClient, database: Database) -> None:
        held = await start_task(client)
        await asyncio.gather(*(put_checkpoint(client, held, f"s{n}", state=n) for n in range(10)))
        items = (await client.get(task_address(held, "checkpoints"))).json()["items"]
        assert sorted(item["state"] for item in items) == list(range(10))


class TestDeletedRun:
    async def test_its_tasks_go_along(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        held = await start_task(client, workflow_run_id=run["workflow_run_id"])
        child = await spawn_task(client, parent_task_id=held["task_id"])
        await put_checkpoint(client, held, "a", state=1)
        await patch_run(client, run, status="completed")
        assert (await client.delete(address(run))).status_code == 204
        for path in ("", "checkpoints", "attempts"):
            assert (await client.get(task_address(held, path).rstrip("/"))).status_code == 404
        assert (await report(client, held, "complete")).status_code == 404
        assert (await get_task(client, child))["parent_task_id"] is None
