"""Which scopes of a key open the calls about tasks and queues."""

from typing import Any

import httpx
import pytest

from app.access import api_keys
from app.api.kernel import Kernel
from milepost.schemas.operations import Scope
from tests.factories import QUEUES, RUNS, TASKS, UNKNOWN_ID, code

TASK = f"{TASKS}/{UNKNOWN_ID}"
RUN = f"{RUNS}/{UNKNOWN_ID}"
READING = (
    TASKS,
    *(f"{TASK}{path}" for path in ("", "/attempts", "/wait", "/checkpoints", "/checkpoints/a")),
    *(f"{QUEUES}{path}" for path in ("", "/q", "/q/events", "/q/events/e")),
    f"{RUN}/tasks",
)
WRITING: tuple[tuple[str, str, Any], ...] = (
    ("POST", TASKS, {"task_name": "a"}),
    ("POST", f"{TASKS}/batch", {"tasks": [{"task_name": "a"}]}),
    ("POST", f"{TASK}/cancel", None),
    ("POST", f"{TASK}/retry", None),
    ("POST", f"{RUN}/tasks", {"task_name": "a"}),
    ("POST", f"{RUN}/cancel", None),
    ("POST", f"{RUN}/retry", None),
)
WORKING: tuple[tuple[str, str, Any], ...] = (
    ("POST", f"{QUEUES}/q/claim", {"worker_id": "w"}),
    ("POST", f"{QUEUES}/q/complete", {}),
    *(("POST", f"{TASK}/{call}", {"lease_token": "x"}) for call in ("heartbeat", "complete", "fail", "release")),
    ("POST", f"{TASK}/sleep", {"lease_token": "x", "seconds": 1}),
    ("POST", f"{TASK}/await-event", {"lease_token": "x", "step_name": "s", "event_name": "e"}),
    ("PUT", f"{TASK}/checkpoints/a", {"lease_token": "x"}),
)
LIMITING: tuple[tuple[str, str, Any], ...] = (
    ("PUT", f"{QUEUES}/q", {}),
    ("PATCH", f"{QUEUES}/q", {}),
    ("DELETE", f"{QUEUES}/q", None),
)
ALL = [*(("GET", path, None) for path in READING), *WRITING, *WORKING, *LIMITING]


@pytest.fixture
async def keys(kernel: Kernel, client: httpx.AsyncClient) -> dict[Scope, dict[str, str]]:
    """Give the headers of a caller for each scope alone."""
    del client  # which empties the tables afterwards
    async with kernel.database.transaction() as tx:
        secrets = {scope: await api_keys.create_key(tx, scope.value, [scope]) for scope in Scope}
    kernel.doorkeeper.forget()
    return {scope: {"Authorization": f"Bearer {secret}"} for scope, secret in secrets.items()}


async def is_let_in(client: httpx.AsyncClient, call: tuple[str, str, Any], headers: dict[str, str]) -> bool:
    method, path, body = call
    response = await client.request(method, path, json=body, headers=headers)
    assert response.status_code != 401, response.text
    return not (response.status_code == 403 and code(response) == "forbidden")


class TestScopes:
    @pytest.mark.parametrize("path", READING)
    async def test_reading_needs_read(
        self, client: httpx.AsyncClient, keys: dict[Scope, dict[str, str]], path: str
    ) -> None:
        assert await is_let_in(client, ("GET", path, None), keys[Scope.read])

    @pytest.mark.parametrize("call", WRITING, ids=lambda call: f"{call[0]} {call[1]}")
    async def test_spawning_and_verbs_need_write(
        self, client: httpx.AsyncClient, keys: dict[Scope, dict[str, str]], call: tuple[str, str, Any]
    ) -> None:
        let_in = {scope for scope in Scope if await is_let_in(client, call, keys[scope])}
        assert let_in == {Scope.write, Scope.admin}

    @pytest.mark.parametrize("call", WORKING, ids=lambda call: f"{call[0]} {call[1]}")
    async def test_claim_and_worker_calls_need_work(
        self, client: httpx.AsyncClient, keys: dict[Scope, dict[str, str]], call: tuple[str, str, Any]
    ) -> None:
        let_in = {scope for scope in Scope if await is_let_in(client, call, keys[scope])}
        assert let_in == {Scope.work, Scope.admin}

    @pytest.mark.parametrize("call", LIMITING, ids=lambda call: f"{call[0]} {call[1]}")
    async def test_reader_does_not_change_queues(
        self, client: httpx.AsyncClient, keys: dict[Scope, dict[str, str]], call: tuple[str, str, Any]
    ) -> None:
        assert not await is_let_in(client, call, keys[Scope.read])
        assert await is_let_in(client, call, keys[Scope.admin])

    @pytest.mark.parametrize("call", ALL, ids=lambda call: f"{call[0]} {call[1]}")
    async def test_nobody_comes_in_without_a_key(
        self, client: httpx.AsyncClient, keys: dict[Scope, dict[str, str]], call: tuple[str, str, Any]
    ) -> None:
        method, path, body = call
        response = await client.request(method, path, json=body)
        assert (response.status_code, code(response)) == (401, "unauthenticated")
