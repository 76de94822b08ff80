"""Calls that wait end when their key does."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from app.access import api_keys
from app.api.kernel import Kernel
from tests.api.test_keys import is_refused, make_key, revoke
from tests.conftest import make_client
from tests.factories import RUNS, address, create_run
from tests.replicas import running_app
from tests.waiting import eventually

CLAIM = {"worker_id": "one", "wait_seconds": 60}
Wait = Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]


async def wait_for_run(client: httpx.AsyncClient) -> httpx.Response:
    run = await create_run(client)
    return await client.get(f"{address(run)}/wait", params={"timeout_seconds": 60})


async def wait_for_task(client: httpx.AsyncClient) -> httpx.Response:
    task = (await client.post("/v1/tasks", json={"task_name": "a"})).json()
    return await client.get(f"/v1/tasks/{task['task_id']}/wait", params={"timeout_seconds": 60})


async def claim(client: httpx.AsyncClient) -> httpx.Response:
    return await client.post("/v1/queues/empty/claim", json=CLAIM)


async def complete_and_claim(client: httpx.AsyncClient) -> httpx.Response:
    return await client.post("/v1/queues/empty/complete", json={"tasks": [], "claim": CLAIM})


each_wait = pytest.mark.parametrize("wait", [wait_for_run, wait_for_task, claim, complete_and_claim])


async def waiting(kernel: Kernel, call: Awaitable[httpx.Response]) -> asyncio.Task[httpx.Response]:
    """Return ``call`` once it waits."""
    task = asyncio.ensure_future(call)

    async def waits() -> bool:
        assert not task.done(), task.result().text
        return bool(kernel.wakeups._waiters.get(api_keys.TOPIC))

    await eventually(waits, within_seconds=20)
    return task


@each_wait
class TestWaiting:
    async def test_it_ends_when_its_key_is_revoked(self, client: httpx.AsyncClient, kernel: Kernel, wait: Wait) -> None:
        client.headers.update(await make_key(kernel, "one"))
        call = await waiting(kernel, wait(client))
        await revoke(kernel, "one")
        assert is_refused(await asyncio.wait_for(call, 20))

    async def test_it_ends_when_the_first_key_is_made(
        self, client: httpx.AsyncClient, kernel: Kernel, wait: Wait
    ) -> None:
        call = await waiting(kernel, wait(client))
        await make_key(kernel, "one")
        assert is_refused(await asyncio.wait_for(call, 20))

    async def test_it_goes_on_when_another_key_is_made_and_revoked(
        self, client: httpx.AsyncClient, kernel: Kernel, wait: Wait
    ) -> None:
        client.headers.update(await make_key(kernel, "one"))
        call = await waiting(kernel, wait(client))
        await make_key(kernel, "other")
        await revoke(kernel, "other")
        assert (await client.get(RUNS)).status_code == 200
        assert not call.done()
        call.cancel()


class TestReplicas:
    async def test_claim_on_another_replica_ends_too(
        self, client: httpx.AsyncClient, kernel: Kernel, database_url: str
    ) -> None:
        async with running_app(database_url) as app, make_client(app) as other:
            there: Any = app.state.kernel
            other.headers.update(await make_key(kernel, "one"))
            call = await waiting(there, claim(other))
            await revoke(kernel, "one")
            assert is_refused(await asyncio.wait_for(call, 20))
