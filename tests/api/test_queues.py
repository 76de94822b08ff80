"""Queues over HTTP: their limits, their depth, and who works on them."""

import asyncio
from datetime import datetime
from typing import Any

import httpx
import pytest

from tests.factories import (
    QUEUES,
    claim_task,
    claim_tasks,
    code,
    emit_event,
    pointers,
    reported,
    spawn_task,
    spawn_tasks,
    start_task,
    task_in,
)
from tests.waiting import eventually

DEFAULTS = {"paused": False, "max_concurrency": None, "default_lease_seconds": 30, "retention_seconds": None}
LIMITS = {"paused": True, "max_concurrency": 3, "default_lease_seconds": 12.5, "retention_seconds": 86400}
BAD: list[tuple[dict[str, Any], str]] = [
    ({"paused": None}, "/paused"),
    ({"paused": "yes"}, "/paused"),
    ({"paused": 1}, "/paused"),
    ({"max_concurrency": 0}, "/max_concurrency"),
    ({"max_concurrency": -1}, "/max_concurrency"),
    ({"max_concurrency": 1.5}, "/max_concurrency"),
    ({"max_concurrency": "3"}, "/max_concurrency"),
    ({"max_concurrency": True}, "/max_concurrency"),
    ({"default_lease_seconds": 0}, "/default_lease_seconds"),
    ({"default_lease_seconds": 86_401}, "/default_lease_seconds"),
    ({"default_lease_seconds": None}, "/default_lease_seconds"),
    ({"retention_seconds": -1}, "/retention_seconds"),
    ({"retention_seconds": "1d"}, "/retention_seconds"),
    ({"concurrency": 1}, "/concurrency"),
]


async def get_queue(client: httpx.AsyncClient, queue: str = "default") -> dict[str, Any]:
    response = await client.get(f"{QUEUES}/{queue}")
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def limits_of(queue: dict[str, Any]) -> dict[str, Any]:
    return {name: queue[name] for name in DEFAULTS}


class TestPutQueue:
    async def test_new_queue_is_made(self, client: httpx.AsyncClient) -> None:
        response = await client.put(f"{QUEUES}/q", json=LIMITS)
        assert response.status_code == 201
        assert limits_of(response.json()) == LIMITS
        assert response.json() == await get_queue(client, "q")

    async def test_known_queue_is_given_all_limits_anew(self, client: httpx.AsyncClient) -> None:
        await client.put(f"{QUEUES}/q", json=LIMITS)
        response = await client.put(f"{QUEUES}/q", json={"max_concurrency": 1})
        assert response.status_code == 200
        assert limits_of(response.json()) == {**DEFAULTS, "max_concurrency": 1}

    @pytest.mark.parametrize("body", [{"json": {}}, {}])
    async def test_body_may_be_left_out(self, client: httpx.AsyncClient, body: dict[str, Any]) -> None:
        response = await client.put(f"{QUEUES}/q", **body)
        assert (response.status_code, limits_of(response.json())) == (201, DEFAULTS)

    @pytest.mark.parametrize(("limits", "place"), BAD)
    async def test_bad_limit_is_refused(self, client: httpx.AsyncClient, limits: dict[str, Any], place: str) -> None:
        assert pointers(await client.put(f"{QUEUES}/q", json=limits)) == [place]
        assert (await client.get(f"{QUEUES}/q")).status_code == 404

    @pytest.mark.parametrize("name", ["9", "a b", "q" * 101, "-a", "ä"])
    @pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
    async def test_bad_name_is_refused(self, client: httpx.AsyncClient, method: str, name: str) -> None:
        body: dict[str, Any] | None = {} if method in ("PUT", "PATCH") else None
        assert pointers(await client.request(method, f"{QUEUES}/{name}", json=body)) == ["queue"]

    @pytest.mark.parametrize("name", ["_", "A", "a.b-c_9", "q" * 100, "counts"])
    async def test_name_as_promised_is_taken(self, client: httpx.AsyncClient, name: str) -> None:
        assert (await client.put(f"{QUEUES}/{name}")).status_code == 201

    async def test_of_ten_at_once_one_makes_it(self, client: httpx.AsyncClient) -> None:
        answers = await asyncio.gather(*(client.put(f"{QUEUES}/q", json=LIMITS) for _ in range(8)))
        assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]


class TestUpdateQueue:
    @pytest.mark.parametrize("name", LIMITS)
    async def test_one_limit_changes_and_the_others_stay(self, client: httpx.AsyncClient, name: str) -> None:
        await client.put(f"{QUEUES}/q")
        response = await client.patch(f"{QUEUES}/q", json={name: LIMITS[name]})
        assert response.status_code == 200
        assert limits_of(response.json()) == {**DEFAULTS, name: LIMITS[name]}

    @pytest.mark.parametrize("name", ["max_concurrency", "retention_seconds"])
    async def test_null_removes_a_limit(self, client: httpx.AsyncClient, name: str) -> None:
        await client.put(f"{QUEUES}/q", json=LIMITS)
        response = await client.patch(f"{QUEUES}/q", json={name: None})
        assert limits_of(response.json()) == {**LIMITS, name: None}

    @pytest.mark.parametrize(("limits", "place"), BAD)
    async def test_bad_limit_is_refused(self, client: httpx.AsyncClient, limits: dict[str, Any], place: str) -> None:
        await client.put(f"{QUEUES}/q", json=LIMITS)
        assert pointers(await client.patch(f"{QUEUES}/q", json=limits)) == [place]
        assert limits_of(await get_queue(client, "q")) == LIMITS

    async def test_unknown_queue_is_not_found(self, client: httpx.AsyncClient) -> None:
        response = await client.patch(f"{QUEUES}/q", json={"paused": True})
        assert (response.status_code, code(response)) == (404, "not-found")


class TestGetQueue:
    async def test_unknown_queue_is_not_found(self, client: httpx.AsyncClient) -> None:
        response = await client.get(f"{QUEUES}/q")
        assert (response.status_code, code(response)) == (404, "not-found")

    async def test_depth_counts_open_tasks_by_status(self, client: httpx.AsyncClient) -> None:
        for status in ("completed", "failed", "cancelled", "sleeping", "sleeping", "running"):
            await task_in(client, status)
        await spawn_tasks(client, {}, {}, {"delay_seconds": 60})
        await spawn_task(client, queue="other")
        depth = (await get_queue(client))["depth"]
        assert {name: depth[name] for name in ("pending", "running", "sleeping")} == {
            "pending": 3,
            "running": 1,
            "sleeping": 2,
        }

    async def test_age_of_the_oldest_pending_task_is_told(self, client: httpx.AsyncClient) -> None:
        await client.put(f"{QUEUES}/default")
        assert (await get_queue(client))["oldest_pending_seconds"] is None
        await spawn_task(client)
        assert 0 <= (await get_queue(client))["oldest_pending_seconds"] < 60
        await claim_task(client)
        assert (await get_queue(client))["oldest_pending_seconds"] is None

    async def test_workers_that_claimed_are_told(self, client: httpx.AsyncClient) -> None:
        await spawn_task(client, queue="seen")
        for worker in ("w-2", "w-1", "w-2"):
            await claim_tasks(client, "seen", worker_id=worker)

        async def look() -> list[dict[str, Any]]:
            workers: list[dict[str, Any]] = (await get_queue(client, "seen"))["workers"]
            return workers if len(workers) > 1 else []

        workers = await eventually(look)
        assert sorted(worker["worker_id"] for worker in workers) == ["w-1", "w-2"]
        assert all(datetime.fromisoformat(worker["seen_at"]) for worker in workers)


class TestListQueues:
    async def test_queues_stand_by_name(self, client: httpx.AsyncClient) -> None:
        for name in ("b", "a", "C"):
            await client.put(f"{QUEUES}/{name}")
        await spawn_task(client, queue="a")
        page = (await client.get(QUEUES)).json()
        assert sorted(queue["queue"] for queue in page["items"]) == ["C", "a", "b"]
        assert {queue["queue"]: queue["depth"]["pending"] for queue in page["items"]} == {"a": 1, "b": 0, "C": 0}
        assert page["next_cursor"] is None

    async def test_pages_follow_without_gap(self, client: httpx.AsyncClient) -> None:
        names = [f"q{n}" for n in range(5)]
        for name in names:
            await client.put(f"{QUEUES}/{name}")
        first = await client.get(QUEUES, params={"limit": 3})
        second = await client.get(first.links["next"]["url"])
        assert [queue["queue"] for queue in first.json()["items"] + second.json()["items"]] == names
        assert second.json()["next_cursor"] is None

    @pytest.mark.parametrize(
        ("query", "place"), [({"limit": 0}, "limit"), ({"cursor": "x"}, "cursor"), ({"paused": "true"}, "paused")]
    )
    async def test_bad_parameter_is_refused(self, client: httpx.AsyncClient, query: dict[str, Any], place: str) -> None:
        assert pointers(await client.get(QUEUES, params=query)) == [place]

    async def test_list_is_a_table_for_a_terminal(self, client: httpx.AsyncClient) -> None:
        await client.put(f"{QUEUES}/invoices")
        response = await client.get(QUEUES, headers={"Accept": "text/plain"})
        assert response.headers["content-type"].startswith("text/plain")
        assert response.text.splitlines()[1].startswith("invoices")


class TestDeleteQueue:
    async def test_queue_is_gone_with_its_limits_and_events(self, client: httpx.AsyncClient) -> None:
        await client.put(f"{QUEUES}/q", json=LIMITS)
        await emit_event(client, "e", "q", payload=1)
        response = await client.delete(f"{QUEUES}/q")
        assert (response.status_code, response.content) == (204, b"")
        assert (await client.get(f"{QUEUES}/q")).status_code == 404
        await spawn_task(client, queue="q")
        assert limits_of(await get_queue(client, "q")) == DEFAULTS
        assert (await emit_event(client, "e", "q", payload=2)).json()["payload"] == 2

    async def test_unknown_queue_is_not_found(self, client: httpx.AsyncClient) -> None:
        response = await client.delete(f"{QUEUES}/q")
        assert (response.status_code, code(response)) == (404, "not-found")

    @pytest.mark.parametrize("status", ["pending", "running", "sleeping"])
    async def test_queue_with_open_tasks_stays(self, client: httpx.AsyncClient, status: str) -> None:
        await task_in(client, status, queue="q")
        response = await client.delete(f"{QUEUES}/q")
        assert (response.status_code, code(response)) == (409, "move-not-allowed")
        assert response.json()["current"]["queue"] == "q"
        assert all(isinstance(word, str) for word in response.json()["allowed"])
        await get_queue(client, "q")

    async def test_queue_whose_tasks_have_ended_can_go(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client, queue="q")
        await reported(client, held, "complete")
        assert (await client.delete(f"{QUEUES}/q")).status_code == 204
