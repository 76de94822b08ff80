"""Answers that would be large: a page and a claim end at 16 MiB of payload, and nothing is lost by that."""

import asyncio
import random
from collections.abc import Callable, Sequence
from functools import cache
from types import ModuleType
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from app.db.engine import Tx
from app.store import tasks as tasks_store
from app.store import workflow_runs as runs_store
from tests.factories import (
    RUNS,
    address,
    claim_task,
    claim_tasks,
    create_run,
    emit_event,
    put_checkpoint,
    report,
    spawn_task,
    start_task,
    task_address,
)

MIB = 1024 * 1024
MOST = 16 * MIB
LARGE = 1_000_000
COUNT = 20
"""Of these together are more than one answer takes and less than two."""


@cache
def plain() -> str:
    """Return a text that Postgres stores as it is."""
    return "".join(random.Random(0).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=LARGE))  # noqa: S311 - no secret


def repeated() -> str:
    """Return a text that Postgres stores compressed."""
    return "x" * LARGE


each_text = pytest.mark.parametrize("text", [plain, repeated])


async def read_pages(client: httpx.AsyncClient, path: str, **query: Any) -> list[list[dict[str, Any]]]:
    """Return the items of all pages of a list."""
    pages: list[list[dict[str, Any]]] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = await client.get(path, params={**query, "limit": 100} | ({"cursor": cursor} if cursor else {}))
        assert answer.status_code == 200, answer.text[:1000]
        assert len(answer.content) < MOST + MIB
        pages.append(answer.json()["items"])
        cursor = answer.json()["next_cursor"]
    return pages


def assert_whole(pages: list[list[dict[str, Any]]], name: str, expected: list[Any]) -> None:
    """Look whether ``pages`` show all that is ``expected``, in order, in two portions of which the first is full."""
    assert [item[name] for page in pages for item in page] == expected
    assert [len(page) for page in pages] == [16, COUNT - 16]


class TestPages:
    @each_text
    @pytest.mark.parametrize("order", ["created_at", "-created_at", "-updated_at"])
    async def test_runs(self, client: httpx.AsyncClient, text: Callable[[], str], order: str) -> None:
        made = [(await create_run(client, inputs=text()))["workflow_run_id"] for _ in range(COUNT)]
        pages = await read_pages(client, RUNS, order=order)
        assert_whole(pages, "workflow_run_id", made[::-1] if order.startswith("-") else made)

    @each_text
    async def test_tasks(self, client: httpx.AsyncClient, text: Callable[[], str]) -> None:
        made = [(await spawn_task(client, params=text()))["task_id"] for _ in range(COUNT)]
        assert_whole(await read_pages(client, "/v1/tasks", order="created_at"), "task_id", made)

    async def test_tasks_of_a_run_by_several_statuses(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        tasks = [await spawn_task(client, params=plain(), workflow_run_id=run["workflow_run_id"]) for _ in range(COUNT)]
        path = address(run, "tasks")
        pages = await read_pages(client, path, order="created_at", status=["pending", "running"])
        assert_whole(pages, "task_id", [task["task_id"] for task in tasks])

    async def test_events(self, client: httpx.AsyncClient) -> None:
        for number in range(COUNT):
            assert (await emit_event(client, f"e{number}", payload=plain())).is_success
        pages = await read_pages(client, "/v1/queues/default/events")
        assert_whole(pages, "event_name", [f"e{number}" for number in range(COUNT)])

    async def test_one_row_that_is_too_large_alone_is_shown(self, client: httpx.AsyncClient) -> None:
        """Results that the service makes may be as large as a page."""
        held = await start_task(client)
        for number in range(16):
            assert (await put_checkpoint(client, held, f"c{number}", state=plain())).is_success
        pages = await read_pages(client, task_address(held, "checkpoints"))
        assert [len(page) for page in pages] == [16]

    async def test_attempts(self, client: httpx.AsyncClient) -> None:
        await spawn_task(client, max_attempts=COUNT)
        for _ in range(COUNT - 1):
            held = await claim_task(client)
            error = {"name": "Broken", "message": plain()}
            assert (await report(client, held, "fail", error=error)).is_success
        pages = await read_pages(client, task_address(held, "attempts"))
        assert_whole(pages, "attempt", list(range(1, COUNT + 1)))


class TestClaims:
    @each_text
    async def test_ends_at_16_mib_and_the_next_gets_the_rest(
        self, client: httpx.AsyncClient, text: Callable[[], str]
    ) -> None:
        made = [(await spawn_task(client, params=text()))["task_id"] for _ in range(COUNT)]
        first = await claim_tasks(client, limit=100)
        rest = await claim_tasks(client, limit=100)
        assert [task["task_id"] for task in [*first, *rest]] == made
        assert len(first) == 17
        assert all(task["params"] == text() for task in first)

    async def test_claims_of_one_moment_share_the_room_and_all_are_served(self, client: httpx.AsyncClient) -> None:
        made = {(await spawn_task(client, params=repeated()))["task_id"] for _ in range(40)}
        claims = [claim_tasks(client, limit=10, worker_id=f"w{number}") for number in range(4)]
        handed = await asyncio.gather(*claims)
        assert all(handed), [len(tasks) for tasks in handed]
        left = await claim_tasks(client, limit=100)
        left += await claim_tasks(client, limit=100)
        assert {task["task_id"] for tasks in [*handed, left] for task in tasks} == made

    async def test_states_of_checkpoints_count(self, client: httpx.AsyncClient) -> None:
        tasks = [await spawn_task(client, max_attempts=5) for _ in range(4)]
        held = await claim_tasks(client, limit=4)
        for task in held:
            for number in range(9):
                assert (await put_checkpoint(client, task, f"c{number}", state=plain())).is_success
            assert (await report(client, task, "release")).is_success
        first = await claim_tasks(client, limit=4)
        assert len(first) == 2
        assert len(first[0]["checkpoints"]) == 9
        assert len(await claim_tasks(client, limit=4)) == len(tasks) - 2

    async def test_repeats_of_one_moment_are_all_answered_as_before(self, client: httpx.AsyncClient) -> None:
        for _ in range(40):
            await spawn_task(client, params=repeated())

        async def claim(key: str) -> httpx.Response:
            body = {"worker_id": key, "limit": 10, "wait_seconds": 30}
            return await client.post("/v1/queues/default/claim", json=body, headers={"Idempotency-Key": key})

        keys = [f"key-{number}" for number in range(4)]
        first = [await claim(key) for key in keys]
        assert [len(answer.json()["tasks"]) for answer in first] == [10] * 4
        again = await asyncio.gather(*(claim(key) for key in keys))
        for before, after in zip(first, again, strict=True):
            tokens = [[task["lease_token"] for task in answer.json()["tasks"]] for answer in (before, after)]
            assert tokens[0] == tokens[1]
            assert after.headers["Idempotency-Replayed"] == "true"


class TestReadsAtOnce:
    """Each of those who read a whole run or task at the same moment may be answered some MB."""

    @pytest.mark.parametrize(("store", "name"), [(runs_store, "get_runs"), (tasks_store, "get_tasks")])
    async def test_only_few_are_in_memory(
        self, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, store: ModuleType, name: str
    ) -> None:
        sizes: list[int] = []
        really_get = getattr(store, name)

        async def get(tx: Tx, ids: Sequence[UUID]) -> Any:
            sizes.append(len(ids))
            return await really_get(tx, ids)

        monkeypatch.setattr(store, name, get)
        place = RUNS if store is runs_store else "/v1/tasks"
        answers = await asyncio.gather(*(client.get(f"{place}/{uuid4()}") for _ in range(40)))
        assert {answer.status_code for answer in answers} == {404}
        assert (sum(sizes), max(sizes) <= MOST // MIB) == (40, True)
