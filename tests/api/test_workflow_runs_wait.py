"""Waiting for the end of a workflow run over HTTP."""

import asyncio

import httpx
import pytest

from app.api.kernel import Kernel
from tests.factories import RUNS, UNKNOWN_ID, address, create_run, patch_run, pointers, run_in
from tests.replicas import replica
from tests.waiting import PROMPT_SECONDS, eventually


async def started_wait(client: httpx.AsyncClient, kernel: Kernel, run: dict[str, str]) -> asyncio.Task[httpx.Response]:
    """Return a call that waits for the end of ``run``, once it really waits."""
    wait = asyncio.create_task(client.get(address(run, "wait"), params={"timeout_seconds": 30}))

    async def is_waiting() -> bool:
        return f"run:{run['workflow_run_id']}" in kernel.wakeups._waiters

    await eventually(is_waiting)
    return wait


class TestWaitForWorkflowRun:
    @pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
    async def test_ended_run_is_answered_at_once(self, client: httpx.AsyncClient, status: str) -> None:
        run = await run_in(client, status)
        async with asyncio.timeout(PROMPT_SECONDS):
            response = await client.get(address(run, "wait"), params={"timeout_seconds": 60})
        assert response.status_code == 200
        assert response.json() == run

    @pytest.mark.parametrize("seconds", ["0", "0.05"])
    async def test_open_run_is_answered_at_the_time_out(self, client: httpx.AsyncClient, seconds: str) -> None:
        run = await run_in(client, "running")
        response = await client.get(address(run, "wait"), params={"timeout_seconds": seconds})
        assert (response.status_code, response.json()) == (200, run)

    @pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
    async def test_end_is_told_at_once(self, client: httpx.AsyncClient, kernel: Kernel, status: str) -> None:
        run = await create_run(client)
        wait = await started_wait(client, kernel, run)
        moved = await patch_run(client, run, status=status)
        async with asyncio.timeout(PROMPT_SECONDS):
            response = await wait
        assert response.json() == moved.json()

    async def test_all_who_wait_are_told(self, client: httpx.AsyncClient, kernel: Kernel) -> None:
        run = await create_run(client)
        waits = [await started_wait(client, kernel, run) for _ in range(20)]
        await patch_run(client, run, status="completed")
        async with asyncio.timeout(PROMPT_SECONDS):
            assert {(await wait).json()["status"] for wait in waits} == {"completed"}

    async def test_start_does_not_end_the_wait(self, client: httpx.AsyncClient, kernel: Kernel) -> None:
        run = await create_run(client)
        wait = await started_wait(client, kernel, run)
        await patch_run(client, run, status="running")
        await patch_run(client, run, status="completed")
        assert (await wait).json()["status"] == "completed"

    async def test_end_in_another_replica_is_told(
        self, client: httpx.AsyncClient, kernel: Kernel, database_url: str
    ) -> None:
        async with replica(database_url) as other:
            run = await create_run(other)
            wait = await started_wait(client, kernel, run)
            await patch_run(other, run, status="completed")
            async with asyncio.timeout(PROMPT_SECONDS):
                assert (await wait).json()["status"] == "completed"

    async def test_end_by_the_deadline_is_told(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client, deadline_seconds=0.2)
        async with asyncio.timeout(PROMPT_SECONDS):
            response = await client.get(address(run, "wait"))
        assert (response.json()["status"], response.json()["reason"]) == ("failed", "deadline")

    async def test_answer_carries_the_etag(self, client: httpx.AsyncClient) -> None:
        run = await run_in(client, "completed")
        assert (await client.get(address(run, "wait"))).headers["etag"] == f'"{run["revision"]}"'

    @pytest.mark.parametrize("seconds", ["-1", "60.1", "61", "nan", "inf", "-inf", "1e400", "", "abc", "true"])
    async def test_other_time_out_is_refused(self, client: httpx.AsyncClient, seconds: str) -> None:
        run = await create_run(client)
        response = await client.get(address(run, "wait"), params={"timeout_seconds": seconds})
        assert pointers(response) == ["timeout_seconds"]

    async def test_unknown_run_is_not_found_at_once(self, client: httpx.AsyncClient) -> None:
        async with asyncio.timeout(PROMPT_SECONDS):
            response = await client.get(f"{RUNS}/{UNKNOWN_ID}/wait", params={"timeout_seconds": 60})
        assert response.status_code == 404
