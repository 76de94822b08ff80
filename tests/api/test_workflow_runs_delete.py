"""Deleting workflow runs over HTTP."""

import httpx
import pytest

from tests.factories import (
    RUNS,
    UNKNOWN_ID,
    address,
    code,
    count_all,
    create_run,
    get_run,
    history_of,
    list_runs,
    patch_run,
    pointers,
    run_in,
)


class TestDeleteWorkflowRun:
    @pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
    async def test_ended_run_is_gone(self, client: httpx.AsyncClient, status: str) -> None:
        run = await run_in(client, status)
        response = await client.delete(address(run))
        assert (response.status_code, response.content) == (204, b"")
        for tail in ("", "/history", "/wait?timeout_seconds=0"):
            assert (await client.get(address(run) + tail)).status_code == 404
        assert await count_all(client) == 0

    @pytest.mark.parametrize("status", ["pending", "running"])
    async def test_open_run_stays(self, client: httpx.AsyncClient, status: str) -> None:
        run = await run_in(client, status)
        response = await client.delete(address(run))
        assert response.status_code == 409
        assert code(response) == "move-not-allowed"
        assert response.json()["current"] == run
        assert "delete" not in response.json()["allowed"]
        assert await get_run(client, run) == run

    async def test_second_time_it_is_not_found(self, client: httpx.AsyncClient) -> None:
        run = await run_in(client, "completed")
        await client.delete(address(run))
        assert code(await client.delete(address(run))) == "not-found"

    async def test_unknown_run_is_not_found(self, client: httpx.AsyncClient) -> None:
        assert code(await client.delete(f"{RUNS}/{UNKNOWN_ID}")) == "not-found"

    async def test_children_stay_without_a_parent(self, client: httpx.AsyncClient) -> None:
        parent = await create_run(client)
        child = await run_in(client, "running", parent_workflow_run_id=parent["workflow_run_id"])
        await patch_run(client, parent, status="completed")
        assert (await client.delete(address(parent))).status_code == 204
        after = await get_run(client, child)
        assert after["parent_workflow_run_id"] is None
        assert (after["status"], len(await history_of(client, child))) == ("running", 2)
        assert await list_runs(client, parent_workflow_run_id=parent["workflow_run_id"]) == []

    async def test_other_runs_stay(self, client: httpx.AsyncClient) -> None:
        other, run = await run_in(client, "completed"), await run_in(client, "completed")
        await client.delete(address(run))
        assert await list_runs(client) == [other["workflow_run_id"]]
        assert len(await history_of(client, other)) == 2


class TestIfMatchOnDelete:
    async def test_current_revision_is_deleted(self, client: httpx.AsyncClient) -> None:
        run = await run_in(client, "completed")
        response = await client.delete(address(run), headers={"If-Match": f'"{run["revision"]}"'})
        assert response.status_code == 204

    @pytest.mark.parametrize("status", ["running", "completed"])
    async def test_other_revision_stays_whatever_its_status(self, client: httpx.AsyncClient, status: str) -> None:
        run = await run_in(client, status)
        response = await client.delete(address(run), headers={"If-Match": '"1"'})
        assert response.status_code == 412
        assert code(response) == "precondition-failed"
        assert response.json()["current"] == run

    async def test_star_matches_what_exists(self, client: httpx.AsyncClient) -> None:
        run = await run_in(client, "completed")
        assert (await client.delete(address(run), headers={"If-Match": "*"})).status_code == 204
        assert (await client.delete(address(run), headers={"If-Match": "*"})).status_code == 404

    async def test_unreadable_condition_is_refused(self, client: httpx.AsyncClient) -> None:
        run = await run_in(client, "completed")
        assert pointers(await client.delete(address(run), headers={"If-Match": "1"})) == ["If-Match"]
        assert await get_run(client, run) == run
