"""Spawning tasks over HTTP, alone and in batches."""

import asyncio
from itertools import chain
from typing import Any
from uuid import UUID

import httpx
import pytest

from app.domain.cursors import write_offset
from tests.api.json_texts import KEPT
from tests.factories import (
    QUEUES,
    RUNS,
    TASKS,
    UNKNOWN_ID,
    attempts_of,
    claim_task,
    claim_tasks,
    code,
    get_task,
    pointers,
    reported,
    run_body,
    spawn_task,
    spawn_tasks,
    task_address,
    task_body,
    task_in,
)

OPTIONS: dict[str, Any] = {
    "params": {"order": 7},
    "headers": {"tenant": "a"},
    "queue": "invoices",
    "priority": -3,
    "max_attempts": 4,
    "retry_strategy": {"kind": "exponential", "base_seconds": 2, "factor": 3, "max_seconds": 60, "jitter": 0.5},
    "cancellation": {"max_delay": 60, "max_duration": 3600},
    "idempotency_key": "order-7",
    "concurrency_key": "customer-1",
}
NOTHING_YET = (
    *("result", "error", "reason", "progress", "claimed_by", "lease_expires_at", "wake_at", "wake_event", "step"),
    *("first_started_at", "started_at", "completed_at", "cancelled_at", "cancel_requested_at", "workflow_run_id"),
    *("parent_task_id", "traceparent"),
)
OUT_OF_RANGE: list[tuple[dict[str, Any], str]] = [
    ({"task_name": ""}, "/task_name"),
    ({"task_name": "  \t"}, "/task_name"),
    ({"task_name": "x" * 201}, "/task_name"),
    ({"task_name": None}, "/task_name"),
    ({"task_name": 7}, "/task_name"),
    ({"headers": None}, "/headers"),
    ({"headers": [1]}, "/headers"),
    ({"queue": ""}, "/queue"),
    ({"queue": "9lives"}, "/queue"),
    ({"queue": "a b"}, "/queue"),
    ({"queue": "q" * 101}, "/queue"),
    ({"workflow_run_id": "x"}, "/workflow_run_id"),
    ({"parent_task_id": "x"}, "/parent_task_id"),
    ({"priority": 1.5}, "/priority"),
    ({"priority": "1"}, "/priority"),
    ({"priority": None}, "/priority"),
    ({"priority": True}, "/priority"),
    ({"priority": 2**40}, "/priority"),
    ({"available_at": "2026-01-01T00:00:00"}, "/available_at"),
    ({"available_at": 1}, "/available_at"),
    ({"delay_seconds": -1}, "/delay_seconds"),
    ({"delay_seconds": "5"}, "/delay_seconds"),
    ({"delay_seconds": 1e300}, "/delay_seconds"),
    ({"max_attempts": 0}, "/max_attempts"),
    ({"max_attempts": None}, "/max_attempts"),
    ({"max_attempts": 1.5}, "/max_attempts"),
    ({"max_attempts": 2**31}, "/max_attempts"),
    ({"retry_strategy": "fixed"}, "/retry_strategy"),
    ({"retry_strategy": {}}, "/retry_strategy/kind"),
    ({"retry_strategy": {"kind": "linear"}}, "/retry_strategy/kind"),
    ({"retry_strategy": {"kind": "fixed", "base_seconds": -1}}, "/retry_strategy/base_seconds"),
    ({"retry_strategy": {"kind": "fixed", "base": 1}}, "/retry_strategy/base"),
    ({"retry_strategy": {"kind": "exponential", "factor": 0}}, "/retry_strategy/factor"),
    ({"retry_strategy": {"kind": "exponential", "max_seconds": -1}}, "/retry_strategy/max_seconds"),
    ({"retry_strategy": {"kind": "exponential", "jitter": 2}}, "/retry_strategy/jitter"),
    ({"retry_strategy": {"kind": "exponential", "jitter": "yes"}}, "/retry_strategy/jitter"),
    ({"cancellation": 5}, "/cancellation"),
    ({"cancellation": {"max_delay": 0}}, "/cancellation/max_delay"),
    ({"cancellation": {"max_duration": -1}}, "/cancellation/max_duration"),
    ({"cancellation": {"max_age": 1}}, "/cancellation/max_age"),
    ({"idempotency_key": ""}, "/idempotency_key"),
    ({"idempotency_key": "k" * 256}, "/idempotency_key"),
    ({"concurrency_key": ""}, "/concurrency_key"),
    ({"concurrency_key": "k" * 256}, "/concurrency_key"),
    ({"retries": 3}, "/retries"),
]


async def count_tasks(client: httpx.AsyncClient) -> int:
    return len((await client.get(TASKS, params={"limit": 200})).json()["items"])


class TestSpawnTask:
    async def test_answer_names_task_and_first_attempt(self, client: httpx.AsyncClient) -> None:
        response = await client.post(TASKS, json=task_body())
        assert response.status_code == 201
        spawned = response.json()
        assert set(spawned) == {"task_id", "run_id", "workflow_run_id", "attempt", "created"}
        assert (spawned["workflow_run_id"], spawned["attempt"], spawned["created"]) == (None, 1, True)
        assert UUID(spawned["task_id"]).version == UUID(spawned["run_id"]).version == 7
        assert spawned["task_id"] != spawned["run_id"]
        assert response.headers["location"] == task_address(spawned)
        assert response.headers["etag"] == '"1"'
        assert (await client.get(response.headers["location"])).status_code == 200

    async def test_task_name_alone_is_enough(self, client: httpx.AsyncClient) -> None:
        spawned = await spawn_task(client)
        task = await get_task(client, spawned)
        assert {name: task[name] for name in ("task_id", "run_id", "attempt")} == {
            name: spawned[name] for name in ("task_id", "run_id", "attempt")
        }
        assert (task["task_name"], task["queue"], task["status"], task["revision"]) == (
            "send_invoice",
            "default",
            "pending",
            1,
        )
        assert (task["params"], task["headers"], task["priority"], task["max_attempts"]) == ({}, {}, 0, 1)
        assert [task[name] for name in NOTHING_YET] == [None] * len(NOTHING_YET)
        assert all(
            task[name] is None for name in ("retry_strategy", "cancellation", "idempotency_key", "concurrency_key")
        )

    async def test_options_come_back_as_given(self, client: httpx.AsyncClient) -> None:
        task = await get_task(client, await spawn_task(client, **OPTIONS))
        assert {name: task[name] for name in OPTIONS} == OPTIONS

    async def test_task_is_shown_with_its_entity_tag(self, client: httpx.AsyncClient) -> None:
        response = await client.get(task_address(await spawn_task(client)))
        assert response.headers["etag"] == '"1"'

    @pytest.mark.parametrize("value", KEPT, ids=range(len(KEPT)))
    async def test_params_come_back_exactly_as_given(self, client: httpx.AsyncClient, value: Any) -> None:
        spawned = await spawn_task(client, params=value, headers={"value": value})
        task = await get_task(client, spawned)
        assert repr(task["params"]) == repr(value)
        assert repr(task["headers"]) == repr({"value": value})
        assert repr((await claim_task(client))["params"]) == repr(value)

    @pytest.mark.parametrize(("options", "place"), OUT_OF_RANGE)
    async def test_option_out_of_range_names_itself(
        self, client: httpx.AsyncClient, options: dict[str, Any], place: str
    ) -> None:
        assert place in pointers(await client.post(TASKS, json=task_body(**options)))
        assert await count_tasks(client) == 0

    async def test_task_name_is_required(self, client: httpx.AsyncClient) -> None:
        assert pointers(await client.post(TASKS, json={})) == ["/task_name"]

    async def test_two_times_are_too_many(self, client: httpx.AsyncClient) -> None:
        body = task_body(available_at="2026-01-01T00:00:00Z", delay_seconds=1)
        assert (await client.post(TASKS, json=body)).status_code == 422

    @pytest.mark.parametrize("seconds", [1, 315_360_000])
    async def test_limit_that_ends_after_the_last_year_is_refused(
        self, client: httpx.AsyncClient, seconds: float
    ) -> None:
        late = task_body(available_at="9999-12-31T23:59:59Z", cancellation={"max_delay": seconds})
        assert pointers(await client.post(TASKS, json=late)) == ["/cancellation/max_delay"]
        response = await client.post(f"{TASKS}/batch", json={"tasks": [task_body(), late]})
        assert pointers(response) == ["/tasks/1/cancellation/max_delay"]
        response = await client.post(RUNS, json=run_body(tasks=[late]))
        assert pointers(response) == ["/tasks/0/cancellation/max_delay"]
        assert await count_tasks(client) == 0

    @pytest.mark.parametrize(
        "when", [{"available_at": None, "delay_seconds": 0}, {"available_at": "2020-01-01T00:00:00+02:00"}]
    )
    async def test_time_that_has_come_does_not_delay(self, client: httpx.AsyncClient, when: dict[str, Any]) -> None:
        spawned = await spawn_task(client, **when)
        assert (await claim_task(client))["task_id"] == spawned["task_id"]

    @pytest.mark.parametrize("when", [{"delay_seconds": 3600}, {"available_at": "2126-01-01T00:00:00+02:00"}])
    async def test_delayed_task_is_pending_and_not_handed_out(
        self, client: httpx.AsyncClient, when: dict[str, Any]
    ) -> None:
        task = await get_task(client, await spawn_task(client, **when))
        assert task["status"] == "pending"
        assert task["available_at"] > task["created_at"]
        assert await claim_tasks(client) == []

    async def test_unknown_parent_is_refused(self, client: httpx.AsyncClient) -> None:
        response = await client.post(TASKS, json=task_body(parent_task_id=str(UNKNOWN_ID)))
        assert pointers(response) == ["/parent_task_id"]

    async def test_parent_is_kept(self, client: httpx.AsyncClient) -> None:
        parent = await spawn_task(client)
        child = await spawn_task(client, parent_task_id=parent["task_id"])
        assert (await get_task(client, child))["parent_task_id"] == parent["task_id"]

    async def test_queue_is_made_on_first_use(self, client: httpx.AsyncClient) -> None:
        assert (await client.get(f"{QUEUES}/invoices")).status_code == 404
        await spawn_task(client, queue="invoices")
        assert (await client.get(f"{QUEUES}/invoices")).status_code == 200

    async def test_trace_context_is_kept_and_handed_out(self, client: httpx.AsyncClient) -> None:
        trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        spawned = (await client.post(TASKS, json=task_body(), headers={"traceparent": trace})).json()
        assert (await get_task(client, spawned))["traceparent"] == trace
        assert (await claim_task(client))["traceparent"] == trace


class TestIdempotencyKeyOfTask:
    async def test_known_key_gives_the_first_task(self, client: httpx.AsyncClient) -> None:
        first = await spawn_task(client, idempotency_key="a", params={"n": 1})
        again = await client.post(TASKS, json=task_body(idempotency_key="a", params={"n": 1.0}))
        assert again.status_code == 200
        assert again.json() == {**first, "created": False}
        assert await count_tasks(client) == 1

    async def test_known_key_tells_the_newest_attempt(self, client: httpx.AsyncClient) -> None:
        task = await task_in(client, "failed", idempotency_key="a")
        await client.post(task_address(task, "retry"))
        again = (await client.post(TASKS, json=task_body(idempotency_key="a"))).json()
        now = await get_task(client, task)
        assert (again["attempt"], again["run_id"]) == (2, now["run_id"])

    @pytest.mark.parametrize("other", [{"params": {"n": 2}}, {"priority": 1}, {"task_name": "b"}, {"max_attempts": 2}])
    async def test_known_key_with_another_body_is_refused(
        self, client: httpx.AsyncClient, other: dict[str, Any]
    ) -> None:
        await spawn_task(client, idempotency_key="a", params={"n": 1})
        response = await client.post(TASKS, json=task_body(idempotency_key="a", **{"params": {"n": 1}} | other))
        assert pointers(response) == ["/idempotency_key"]
        assert code(response) == "idempotency-key-reused"
        assert await count_tasks(client) == 1

    async def test_key_belongs_to_its_queue(self, client: httpx.AsyncClient) -> None:
        await spawn_task(client, idempotency_key="a", queue="one")
        await spawn_task(client, idempotency_key="a", queue="two", params=1)
        assert await count_tasks(client) == 2

    async def test_key_is_known_after_the_task_has_ended(self, client: httpx.AsyncClient) -> None:
        task = await task_in(client, "completed", idempotency_key="a")
        again = await client.post(TASKS, json=task_body(idempotency_key="a"))
        assert (again.status_code, again.json()["task_id"]) == (200, task["task_id"])

    async def test_of_twenty_at_once_one_is_created(self, client: httpx.AsyncClient) -> None:
        bodies = [client.post(TASKS, json=task_body(idempotency_key="a")) for _ in range(20)]
        answers = await asyncio.gather(*bodies)
        assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
        assert len({answer.json()["task_id"] for answer in answers}) == 1

    async def test_other_body_at_the_same_time_does_not_harm(self, client: httpx.AsyncClient) -> None:
        answers = await asyncio.gather(
            *(client.post(TASKS, json=task_body(idempotency_key="a", params=n % 2)) for n in range(10)),
            *(client.post(TASKS, json=task_body()) for _ in range(5)),
        )
        assert sorted(answer.status_code for answer in answers) == [200] * 4 + [201] * 6 + [422] * 5
        assert await count_tasks(client) == 6


class TestIdempotencyKeyHeader:
    @pytest.mark.parametrize(
        ("path", "body"), [(TASKS, task_body()), (f"{TASKS}/batch", {"tasks": [task_body(), task_body()]})]
    )
    async def test_repeat_gets_the_first_answer(
        self, client: httpx.AsyncClient, path: str, body: dict[str, Any]
    ) -> None:
        key = {"Idempotency-Key": "k"}
        first = await client.post(path, json=body, headers=key)
        again = await client.post(path, json=body, headers=key)
        assert (first.status_code, again.status_code) == (201, 200)
        assert again.json() == first.json()
        assert again.headers["idempotency-replayed"] == "true"
        assert again.headers.get("location") == first.headers.get("location")
        assert await count_tasks(client) == len(body.get("tasks", [1]))

    async def test_other_body_is_refused(self, client: httpx.AsyncClient) -> None:
        key = {"Idempotency-Key": "k"}
        await client.post(TASKS, json=task_body(), headers=key)
        response = await client.post(TASKS, json=task_body(params=1), headers=key)
        assert (response.status_code, code(response)) == (422, "idempotency-key-reused")

    async def test_refused_request_does_not_use_it_up(self, client: httpx.AsyncClient) -> None:
        key = {"Idempotency-Key": "k"}
        refused = await client.post(TASKS, json=task_body(parent_task_id=str(UNKNOWN_ID)), headers=key)
        assert refused.status_code == 422
        assert (await client.post(TASKS, json=task_body(), headers=key)).status_code == 201

    async def test_both_keys_work_together(self, client: httpx.AsyncClient) -> None:
        first = await spawn_task(client, idempotency_key="a")
        key = {"Idempotency-Key": "k"}
        answers = [await client.post(TASKS, json=task_body(idempotency_key="a"), headers=key) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert [answer.json() for answer in answers] == [{**first, "created": False}] * 2
        assert ["idempotency-replayed" in answer.headers for answer in answers] == [False, True]


class TestSpawnTasks:
    async def test_answers_stand_in_the_order_sent(self, client: httpx.AsyncClient) -> None:
        spawned = await spawn_tasks(client, *({"params": n} for n in range(20)))
        tasks = [await get_task(client, task) for task in spawned]
        assert [task["params"] for task in tasks] == list(range(20))
        assert all(task["created"] for task in spawned)

    async def test_order_sent_is_order_of_the_queue(self, client: httpx.AsyncClient) -> None:
        await spawn_tasks(client, *({"params": n} for n in range(20)))
        claimed = await claim_tasks(client, limit=20)
        assert [task["params"] for task in claimed] == list(range(20))

    async def test_thousand_tasks_are_taken(self, client: httpx.AsyncClient) -> None:
        spawned = await spawn_tasks(client, *({} for _ in range(1000)))
        assert len({task["task_id"] for task in spawned}) == 1000

    @pytest.mark.parametrize("amount", [0, 1001])
    async def test_amount_out_of_range_is_refused(self, client: httpx.AsyncClient, amount: int) -> None:
        response = await client.post(f"{TASKS}/batch", json={"tasks": [task_body()] * amount})
        assert pointers(response) == ["/tasks"]

    @pytest.mark.parametrize(("options", "place"), [*OUT_OF_RANGE[::6], ({"parent_task_id": str(UNKNOWN_ID)}, None)])
    async def test_bad_task_is_named_and_nothing_is_half_spawned(
        self, client: httpx.AsyncClient, options: dict[str, Any], place: str | None
    ) -> None:
        tasks = [task_body(queue="unused")] * 3 + [task_body(**options)]
        response = await client.post(f"{TASKS}/batch", json={"tasks": tasks})
        assert pointers(response) == [f"/tasks/3{place or '/parent_task_id'}"]
        assert await count_tasks(client) == 0
        assert (await client.get(f"{QUEUES}/unused")).status_code == 404

    async def test_key_twice_in_one_batch_spawns_once(self, client: httpx.AsyncClient) -> None:
        same = {"idempotency_key": "a"}
        first, other, again = await spawn_tasks(client, same, {}, same)
        assert [task["created"] for task in (first, other, again)] == [True, True, False]
        assert again == {**first, "created": False}
        assert await count_tasks(client) == 2

    async def test_key_twice_in_one_batch_with_other_bodies_is_refused(self, client: httpx.AsyncClient) -> None:
        tasks = [task_body(idempotency_key="a"), task_body(), task_body(idempotency_key="a", params=1)]
        response = await client.post(f"{TASKS}/batch", json={"tasks": tasks})
        assert pointers(response) == ["/tasks/2/idempotency_key"]
        assert await count_tasks(client) == 0

    async def test_known_key_is_told_in_its_place(self, client: httpx.AsyncClient) -> None:
        known = await spawn_task(client, idempotency_key="a")
        new, old = await spawn_tasks(client, {"idempotency_key": "b"}, {"idempotency_key": "a"})
        assert new["created"] is True
        assert old == {**known, "created": False}

    async def test_queues_may_differ(self, client: httpx.AsyncClient) -> None:
        await spawn_tasks(client, {"queue": "one"}, {"queue": "two"}, {"queue": "one"})
        assert len(await claim_tasks(client, "one", limit=5)) == 2
        assert len(await claim_tasks(client, "two", limit=5)) == 1


class TestUnknownTask:
    @pytest.mark.parametrize(
        ("method", "path"),
        [("GET", path) for path in ("", "/attempts", "/wait", "/checkpoints", "/checkpoints/a")]
        + [("POST", "/cancel"), ("POST", "/retry")],
    )
    async def test_is_not_found(self, client: httpx.AsyncClient, method: str, path: str) -> None:
        response = await client.request(method, f"{TASKS}/{UNKNOWN_ID}{path}")
        assert (response.status_code, code(response)) == (404, "not-found")

    async def test_id_that_is_none_is_refused(self, client: httpx.AsyncClient) -> None:
        assert pointers(await client.get(f"{TASKS}/x")) == ["task_id"]

    async def test_id_may_be_in_capitals(self, client: httpx.AsyncClient) -> None:
        task = await spawn_task(client)
        assert (await client.get(f"{TASKS}/{task['task_id'].upper()}")).status_code == 200


class TestAttempts:
    async def test_open_attempt_is_listed_from_spawn_on(self, client: httpx.AsyncClient) -> None:
        spawned = await spawn_task(client)
        (attempt,) = await attempts_of(client, spawned)
        assert attempt == {
            **dict.fromkeys(("claimed_by", "started_at", "ended_at", "result", "error", "reason")),
            "run_id": spawned["run_id"],
            "attempt": 1,
            "status": "pending",
            "late_reports": [],
        }

    @pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
    async def test_pages_follow_without_gap(self, client: httpx.AsyncClient, limit: int) -> None:
        await spawn_task(client, max_attempts=9)
        for _ in range(3):
            await reported(client, await claim_task(client), "fail", error={"name": "Broken", "message": "it broke"})
        held = await claim_task(client)
        pages, query = [], {"limit": limit}
        while query.get("cursor", "first"):
            page = (await client.get(task_address(held, "attempts"), params=query)).json()
            pages.append(page["items"])
            query["cursor"] = page["next_cursor"]
        attempts = [(found["attempt"], found["status"]) for found in chain(*pages)]
        assert attempts == [(1, "failed"), (2, "failed"), (3, "failed"), (4, "running")]
        assert all(len(page) == limit for page in pages[:-1])
        assert pages[-1]

    async def test_cursor_is_one_of_this_list(self, client: httpx.AsyncClient) -> None:
        task = await spawn_task(client)
        response = await client.get(task_address(task, "attempts"), params={"cursor": write_offset(2**62, UNKNOWN_ID)})
        assert pointers(response) == ["cursor"]
        far = {"cursor": write_offset(2**63 - 1, task["task_id"])}
        assert (await client.get(task_address(task, "attempts"), params=far)).json()["items"] == []

    async def test_table_shows_them(self, client: httpx.AsyncClient) -> None:
        task = await task_in(client, "failed", max_attempts=2)
        response = await client.get(task_address(task, "attempts"), headers={"Accept": "text/plain"})
        assert response.headers["content-type"].startswith("text/plain")
        assert task["run_id"] in response.text
        assert "failed" in response.text
