"""Finding tasks over HTTP."""

from typing import Any

import httpx
import pytest

from tests.factories import (
    TASKS,
    UNKNOWN_ID,
    address,
    claim_task,
    create_run,
    get_task,
    pointers,
    spawn_task,
    spawn_tasks,
    task_address,
    task_in,
)

ALL = ("pending", "running", "sleeping", "completed", "failed", "cancelled")


async def find_tasks(client: httpx.AsyncClient, query: Any = None, **more: Any) -> list[str]:
    response = await client.get(TASKS, params=query or more)
    assert response.status_code == 200, response.text
    return [task["task_id"] for task in response.json()["items"]]


class TestFilters:
    @pytest.mark.parametrize("status", ALL)
    async def test_status_finds_its_tasks(self, client: httpx.AsyncClient, status: str) -> None:
        tasks = {each: await task_in(client, each, queue=f"q_{each}") for each in ALL}
        assert await find_tasks(client, status=status) == [tasks[status]["task_id"]]

    async def test_repeated_status_finds_any_of_them(self, client: httpx.AsyncClient) -> None:
        tasks = {each: await task_in(client, each, queue=f"q_{each}") for each in ALL}
        found = await find_tasks(client, [("status", "failed"), ("status", "completed"), ("status", "pending")])
        assert found == [tasks[status]["task_id"] for status in ("failed", "completed", "pending")]

    @pytest.mark.parametrize("name", ["queue", "task_name", "workflow_run_id", "parent_task_id", "claimed_by"])
    async def test_filter_finds_what_matches(self, client: httpx.AsyncClient, name: str) -> None:
        run = await create_run(client)
        parent = await spawn_task(client, queue="other", task_name="other")
        spawned = await spawn_task(client, parent_task_id=parent["task_id"], workflow_run_id=run["workflow_run_id"])
        await claim_task(client)
        task = await get_task(client, spawned)
        assert await find_tasks(client, {name: task[name]}) == [task["task_id"]]

    async def test_all_filters_must_hold(self, client: httpx.AsyncClient) -> None:
        await spawn_tasks(client, {"queue": "a"}, {"queue": "b", "task_name": "x"}, {"queue": "a", "task_name": "x"})
        assert len(await find_tasks(client, queue="a", task_name="x", status="pending")) == 1

    async def test_bounds_are_exclusive(self, client: httpx.AsyncClient) -> None:
        task = await get_task(client, await spawn_task(client))
        assert await find_tasks(client, created_after=task["created_at"]) == []
        assert await find_tasks(client, created_before=task["created_at"]) == []
        early, late = "2020-01-01T00:00:00Z", "2120-01-01T00:00:00Z"
        assert await find_tasks(client, created_after=early, created_before=late) == [task["task_id"]]

    @pytest.mark.parametrize(
        ("query", "place"),
        [
            ({"status": "done"}, "status"),
            ({"state": "pending"}, "state"),
            ({"workflow_run_id": "x"}, "workflow_run_id"),
            ({"parent_task_id": "x"}, "parent_task_id"),
            ({"created_after": "2026-01-01"}, "created_after"),
            ({"order": "priority"}, "order"),
            ({"limit": 0}, "limit"),
            ({"limit": 201}, "limit"),
            ({"cursor": "x"}, "cursor"),
            ({"queue": "a b"}, "queue"),
        ],
    )
    async def test_bad_parameter_is_named(self, client: httpx.AsyncClient, query: dict[str, Any], place: str) -> None:
        assert pointers(await client.get(TASKS, params=query)) == [place]

    async def test_unknown_run_has_no_tasks(self, client: httpx.AsyncClient) -> None:
        assert await find_tasks(client, workflow_run_id=str(UNKNOWN_ID)) == []


class TestPages:
    @pytest.mark.parametrize("order", ["created_at", "-created_at"])
    @pytest.mark.parametrize("filters", [{}, {"queue": "default"}, {"status": "pending"}])
    async def test_pages_follow_without_gap(
        self, client: httpx.AsyncClient, order: str, filters: dict[str, Any]
    ) -> None:
        spawned = [task["task_id"] for task in await spawn_tasks(client, *({} for _ in range(7)))]
        found: list[str] = []
        query: dict[str, Any] = {"limit": 3, "order": order, **filters}
        while True:
            page = (await client.get(TASKS, params=query)).json()
            found += [task["task_id"] for task in page["items"]]
            if page["next_cursor"] is None:
                break
            query["cursor"] = page["next_cursor"]
        assert found == (spawned if order == "created_at" else spawned[::-1])

    async def test_pages_of_several_statuses_follow_without_gap(self, client: httpx.AsyncClient) -> None:
        tasks = [await task_in(client, each, queue=f"q_{each}") for each in ("failed", "pending", "failed", "pending")]
        query: list[tuple[str, Any]] = [("status", "failed"), ("status", "pending"), ("limit", 3)]
        page = (await client.get(TASKS, params=query)).json()
        rest = (await client.get(TASKS, params=[*query, ("cursor", page["next_cursor"])])).json()
        found = [task["task_id"] for task in page["items"] + rest["items"]]
        assert found == [task["task_id"] for task in tasks[::-1]]

    async def test_newest_is_first_by_default(self, client: httpx.AsyncClient) -> None:
        first, second = await spawn_task(client), await spawn_task(client)
        assert await find_tasks(client) == [second["task_id"], first["task_id"]]

    async def test_link_leads_to_the_next_page(self, client: httpx.AsyncClient) -> None:
        await spawn_tasks(client, {}, {}, {})
        first = await client.get(TASKS, params={"limit": 2, "status": "pending"})
        second = await client.get(first.links["next"]["url"])
        assert (len(second.json()["items"]), second.json()["next_cursor"]) == (1, None)
        assert "next" not in second.links

    @pytest.mark.parametrize("other", [{"order": "created_at"}, {"queue": "default"}, {"status": "failed"}])
    async def test_cursor_of_another_list_is_refused(self, client: httpx.AsyncClient, other: dict[str, Any]) -> None:
        await spawn_tasks(client, {}, {})
        cursor = (await client.get(TASKS, params={"limit": 1})).json()["next_cursor"]
        assert pointers(await client.get(TASKS, params={"limit": 1, "cursor": cursor, **other})) == ["cursor"]

    async def test_total_is_told_when_asked_for(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        await spawn_tasks(client, {}, {"workflow_run_id": run["workflow_run_id"]}, {"queue": "other"})
        page = (await client.get(TASKS, params={"count": "exact", "limit": 1})).json()
        assert (page["total"], len(page["items"])) == (3, 1)
        query: list[tuple[str, Any]] = [
            ("count", "exact"),
            ("queue", "default"),
            ("status", "pending"),
            ("status", "failed"),
        ]
        assert (await client.get(TASKS, params=query)).json()["total"] == 2
        assert (await client.get(address(run, "tasks"), params={"count": "exact"})).json()["total"] == 1
        assert "total" not in (await client.get(TASKS)).json()
        assert pointers(await client.get(TASKS, params={"count": "rough"})) == ["count"]

    async def test_total_stands_under_the_table(self, client: httpx.AsyncClient) -> None:
        await spawn_tasks(client, {}, {}, {})
        response = await client.get(TASKS, params={"count": "exact", "limit": 1}, headers={"Accept": "text/plain"})
        assert "3 in total" in response.text


class TestText:
    async def test_list_is_a_table(self, client: httpx.AsyncClient) -> None:
        first, second = await spawn_task(client), await spawn_task(client, task_name="other")
        response = await client.get(TASKS, headers={"Accept": "text/plain"}, params={"limit": 1})
        heading, row, *_ = response.text.splitlines()
        assert "TASK_ID" in heading
        assert second["task_id"] in row
        assert first["task_id"] not in response.text
        assert "cursor=" in response.text

    async def test_task_is_written_fact_by_fact(self, client: httpx.AsyncClient) -> None:
        task = await task_in(client, "failed")
        response = await client.get(task_address(task), headers={"Accept": "text/plain"})
        assert task["task_id"] in response.text
        assert "it broke" in response.text
        assert response.headers["etag"] == f'"{task["revision"]}"'

    async def test_checkpoints_are_a_table(self, client: httpx.AsyncClient) -> None:
        task = await task_in(client, "running")
        path = task_address(task, "checkpoints")
        await client.put(f"{path}/fetch", json={"lease_token": task["lease_token"], "state": 1})
        response = await client.get(path, headers={"Accept": "text/plain"})
        assert response.text.splitlines()[1].startswith("fetch")
