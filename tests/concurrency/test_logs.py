"""Logs when many writers and readers are at them at the same moment, through two replicas."""

import asyncio
from collections.abc import AsyncIterator
from itertools import cycle
from typing import Any

import httpx
import pytest

from tests.factories import TASKS, address, create_run, spawn_task
from tests.replicas import replica
from tests.waiting import PATIENCE_SECONDS

WRITERS = 32
CALLS = 12
LINES = 5


@pytest.fixture(scope="module")
async def other_replica(database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with replica(database_url) as other:
        yield other


@pytest.fixture
def clients(client: httpx.AsyncClient, other_replica: httpx.AsyncClient) -> list[httpx.AsyncClient]:
    """Return a client of each of two replicas on one database."""
    return [client, other_replica]


async def write(clients: list[httpx.AsyncClient], log: str, writer: int) -> None:
    """Append lines call after call; each is sent up to three times, at once and again, with its key."""
    for call in range(CALLS):
        lines = [{"text": f"{writer} {call * LINES + i}"} for i in range(LINES)]
        headers = {"Idempotency-Key": f"{writer}-{call}"}
        sends = [
            clients[(writer + i) % len(clients)].post(log, json={"lines": lines}, headers=headers)
            for i in range(1 + (writer + call) % 3)
        ]
        answers = await asyncio.gather(*sends)
        assert sorted(answer.status_code for answer in answers) == [200] * (len(sends) - 1) + [201]
        assert {answer.text for answer in answers} == {'{"appended":5}'}


async def walk(client: httpx.AsyncClient, log: str, **query: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    more: dict[str, str] = {}
    while True:
        response = await client.get(log, params={"limit": 50, **query, **more})
        assert response.status_code == 200, response.text
        page = response.json()
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        more = {"cursor": page["next_cursor"]}


async def test_each_writer_keeps_its_order_and_nothing_is_lost_or_doubled(clients: list[httpx.AsyncClient]) -> None:
    run = await create_run(clients[0])
    tasks = [await spawn_task(clients[0], workflow_run_id=run["workflow_run_id"]) for _ in range(WRITERS // 2)]
    logs = [address(run, "logs")] * (WRITERS // 2) + [f"{TASKS}/{task['task_id']}/logs" for task in tasks]
    async with asyncio.timeout(PATIENCE_SECONDS):
        await asyncio.gather(*(write(clients, log, writer) for writer, log in enumerate(logs)))
    lines = await walk(clients[1], address(run, "logs"))
    assert [line["line_id"] for line in lines] == [
        line["line_id"] for line in sorted(lines, key=lambda line: (line["at"], line["line_id"]))
    ]
    for writer in range(WRITERS):
        own = [line["text"] for line in lines if line["text"].startswith(f"{writer} ")]
        assert own == [f"{writer} {number}" for number in range(CALLS * LINES)]
    for writer, task in enumerate(tasks, WRITERS // 2):
        of_task = await walk(clients[0], f"{TASKS}/{task['task_id']}/logs")
        assert [line["text"] for line in of_task] == [f"{writer} {number}" for number in range(CALLS * LINES)]


@pytest.mark.parametrize("order", ["at", "-at"])
async def test_walk_while_others_append_neither_skips_nor_repeats(clients: list[httpx.AsyncClient], order: str) -> None:
    run = await create_run(clients[0])
    log = address(run, "logs")
    before = [{"text": f"before {number}"} for number in range(500)]
    assert (await clients[0].post(log, json={"lines": before})).status_code == 201
    writing = asyncio.gather(*(write(clients, log, writer) for writer in range(8)))
    for client in cycle(clients):
        if writing.done():
            break
        lines = await walk(client, log, order=order)
        ids = [line["line_id"] for line in lines]
        assert len(ids) == len(set(ids))
        seen = [line["text"] for line in lines if line["text"].startswith("before")]
        assert seen == [line["text"] for line in (before if order == "at" else before[::-1])]
        await asyncio.sleep(0)
    await writing


async def test_lines_of_a_run_that_is_deleted_meanwhile_are_taken_or_refused(clients: list[httpx.AsyncClient]) -> None:
    for _ in range(10):
        run = await create_run(clients[0])
        task = await spawn_task(clients[0], workflow_run_id=run["workflow_run_id"])
        await clients[0].patch(address(run), json={"status": "completed", "open_tasks": "cancel"})
        logs = [address(run, "logs"), f"{TASKS}/{task['task_id']}/logs"]
        answers = await asyncio.gather(
            *(clients[i % 2].post(logs[i % 2], json={"lines": [{"text": "x"}]}) for i in range(8)),
            clients[1].delete(address(run)),
            *(clients[i % 2].post(logs[1 - i % 2], json={"lines": [{"text": "x"}]}) for i in range(8)),
        )
        assert answers[8].status_code == 204
        assert {answer.status_code for answer in answers} <= {201, 204, 404}
        assert (await clients[0].get(logs[1])).status_code == 404
