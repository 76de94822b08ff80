"""Workflow runs over HTTP."""

import httpx

from tests.factories import RUNS, create_run, patch_run, run_body


class TestCreateWorkflowRun:
    async def test_new_run_is_pending_and_says_where_it_is(self, client: httpx.AsyncClient) -> None:
        response = await client.post(RUNS, json=run_body())
        assert response.status_code == 201
        run = response.json()
        assert response.headers["location"] == f"{RUNS}/{run['workflow_run_id']}"
        assert response.headers["etag"] == '"1"'
        assert run["status"] == "pending"
        got = await client.get(response.headers["location"])
        assert got.json() == run
        moved = await patch_run(client, await create_run(client), status="running")
        assert moved.status_code == 200, moved.text
