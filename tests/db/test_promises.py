"""What is answered from stored work waits for a commit of its own; what is new does that anyway."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from app.db.engine import Database
from app.db.sessions import Connection
from app.store import queues
from tests.factories import (
    QUEUES,
    RUNS,
    TASKS,
    address,
    claim_task,
    claim_tasks,
    create_run,
    emit_event,
    patch_run,
    put_checkpoint,
    report,
    run_body,
    spawn_task,
    task_address,
    task_body,
)
from tests.lock_order import watching

KEY = {"Idempotency-Key": "k"}


@pytest.fixture
def waits() -> Iterator[list[str]]:
    """Give the statements that only make a commit wait, as they are executed."""
    seen: list[str] = []

    def note(_connection: Connection, statement: str) -> None:
        if "pg_logical_emit_message" in statement:
            seen.append(statement)

    with watching(note):
        yield seen


class TestPromises:
    async def test_new_work_costs_no_statement_more(self, client: httpx.AsyncClient, waits: list[str]) -> None:
        run = await create_run(client)
        assert (await client.post(RUNS, json=run_body(), headers=KEY)).status_code == 201
        await patch_run(client, run, status="running")
        await spawn_task(client, workflow_run_id=run["workflow_run_id"])
        await spawn_task(client, idempotency_key="k")
        for call in ("heartbeat", "complete"):
            held = await claim_task(client, limit=1)
            assert (await report(client, held, call)).status_code == 200
        await put_checkpoint(client, held | await claim_or(client), "c", state=1)
        await emit_event(client, "e", payload=1)
        assert waits == []

    async def test_idle_claim_promises_nothing(self, client: httpx.AsyncClient, waits: list[str]) -> None:
        assert await claim_tasks(client) == []
        assert waits == []

    async def test_refusal_promises_nothing(self, client: httpx.AsyncClient, waits: list[str]) -> None:
        assert (await client.post(f"{TASKS}", json=task_body(workflow_run_id=RUNS))).status_code == 422
        assert waits == []

    async def test_repeat_by_key_waits(self, client: httpx.AsyncClient, waits: list[str]) -> None:
        await client.post(RUNS, json=run_body(), headers=KEY)
        assert (await client.post(RUNS, json=run_body(), headers=KEY)).status_code == 200
        assert len(waits) == 1

    async def test_task_that_is_known_waits(self, client: httpx.AsyncClient, waits: list[str]) -> None:
        await spawn_task(client, idempotency_key="k")
        assert (await client.post(TASKS, json=task_body(idempotency_key="k"))).json()["created"] is False
        assert len(waits) == 1

    async def test_lease_that_is_spent_waits(self, client: httpx.AsyncClient, waits: list[str]) -> None:
        await spawn_task(client)
        held = await claim_task(client)
        for _ in range(2):
            assert (await report(client, held, "complete", result=1)).status_code == 200
        body = {"tasks": [{"task_id": held["task_id"], "lease_token": held["lease_token"], "result": 1}]}
        assert (await client.post(f"{QUEUES}/default/complete", json=body)).status_code == 200
        assert len(waits) == 2

    async def test_lock_of_a_row_is_enough(self, client: httpx.AsyncClient, waits: list[str]) -> None:
        run = await create_run(client)
        for _ in range(2):
            assert (await client.post(address(run, "cancel"))).status_code == 200
        await spawn_task(client)
        held = await claim_task(client)
        for _ in range(2):
            assert (await report(client, held, "fail", error={"name": "E", "message": "m"})).status_code == 200
        assert (await client.post(task_address(held, "cancel"))).status_code == 200
        assert (await client.post(task_address(held, "cancel"))).status_code == 200
        assert waits == []

    async def test_event_that_is_known_waits(self, client: httpx.AsyncClient, waits: list[str]) -> None:
        for status, expected in ((201, 0), (200, 1)):
            assert (await emit_event(client, "e", payload=1)).status_code == status
            assert len(waits) == expected

    async def test_read_after_a_commit_of_its_own_waits(self, database: Database, waits: list[str]) -> None:
        for reads_again, expected in ((False, 0), (True, 1)):
            async with database.transaction(is_promise=True) as tx:
                tx.commit_each()
                assert await queues.insert_queue(tx, f"queue-{reads_again}")
                if reads_again:
                    await tx.execute(select(1))
            assert len(waits) == expected


async def claim_or(client: httpx.AsyncClient) -> dict[str, Any]:
    """Return a task that is held."""
    await spawn_task(client)
    return await claim_task(client)
