"""Starting runs of registered definitions over HTTP."""

from typing import Any

import httpx
import pytest

from tests.definitions import WORKFLOWS, address, register
from tests.factories import RUNS, claim_tasks, code, pointers


class TestStartWorkflow:
    async def test_run_is_created_and_under_way(self, client: httpx.AsyncClient) -> None:
        registered = await register(client)
        body = {"inputs": {"day": 1}, "tags": {"env": "prod"}, "created_by": "cron", "queue": "etl"}
        response = await client.post(address(registered, "runs"), json=body)
        assert response.status_code == 201
        run = response.json()
        assert {name: run[name] for name in body} == body
        assert (run["workflow_name"], run["workflow_version"]) == ("linear", "1.0.0")
        assert run["workflow_hash"] == registered["workflow_hash"]
        assert run["status"] == "running"
        assert response.headers["location"] == f"{RUNS}/{run['workflow_run_id']}"
        assert response.headers["etag"] == f'"{run["revision"]}"'
        assert [task["task_name"] for task in await claim_tasks(client, "etl")] == ["jobs.extract"]

    async def test_body_may_be_left_out(self, client: httpx.AsyncClient) -> None:
        run = (await client.post(address(await register(client), "runs"))).json()
        assert (run["inputs"], run["tags"], run["created_by"], run["queue"]) == ({}, {}, None, "default")

    async def test_latest_starts_the_newest(self, client: httpx.AsyncClient) -> None:
        await register(client)
        await register(client, version="2")
        run = (await client.post(f"{WORKFLOWS}/linear/latest/runs")).json()
        assert run["workflow_version"] == "2"

    @pytest.mark.parametrize("path", ["nothing/latest", "linear/9"])
    async def test_unknown_workflow_is_not_found(self, client: httpx.AsyncClient, path: str) -> None:
        await register(client)
        response = await client.post(f"{WORKFLOWS}/{path}/runs")
        assert (response.status_code, code(response)) == (404, "not-found")

    @pytest.mark.parametrize(
        ("body", "place"),
        [
            ({"input": 1}, "/input"),
            ({"tags": None}, "/tags"),
            ({"tags": {"a": []}}, "/tags/a"),
            ({"queue": ""}, "/queue"),
            ({"created_by": ""}, "/created_by"),
            ({"strict_templates": "yes"}, "/strict_templates"),
        ],
    )
    async def test_bad_body_is_refused(self, client: httpx.AsyncClient, body: dict[str, Any], place: str) -> None:
        assert pointers(await client.post(address(await register(client), "runs"), json=body)) == [place]

    async def test_repeat_with_the_same_key_starts_nothing(self, client: httpx.AsyncClient) -> None:
        registered = await register(client)
        headers = {"Idempotency-Key": "k"}
        first, again = [await client.post(address(registered, "runs"), json={}, headers=headers) for _ in range(2)]
        assert (first.status_code, again.status_code) == (201, 200)
        assert again.content == first.content
        assert {again.headers[name] == first.headers[name] for name in ("etag", "location")} == {True}
        assert len((await client.get(RUNS)).json()["items"]) == 1
