"""Bulk operations as the housekeeping does them: item by item, whatever one of them does, and forgotten in the end."""

from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text
from uuid_utils.compat import uuid7

from app.db.engine import Database, Parameters, Tx
from app.services import bulk_operations as service
from app.store import bulk_operations as store
from app.store import bulk_tokens as tokens_store
from milepost.schemas.wire import PageQuery
from tests.factories import create_runs, get_run, history_of, run_in
from tests.waiting import eventually

BULK = "/v1/bulk-operations"


async def begin(client: httpx.AsyncClient, verb: str = "retry", status: str = "failed") -> dict[str, Any]:
    body = {"resource": "workflow_runs", "verb": verb, "filter": {"status": status}}
    token = (await client.post(BULK, json=body)).json()["token"]
    response = await client.post(BULK, json={**body, "dry_run": False, "token": token})
    assert response.status_code == 202, response.text
    begun: dict[str, Any] = response.json()
    return begun


async def ended(client: httpx.AsyncClient, operation: dict[str, Any]) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        found: dict[str, Any] = (await client.get(f"{BULK}/{operation['bulk_operation_id']}")).json()
        return found if found["status"] != "running" else None

    return await eventually(look)


class TestItems:
    async def test_item_that_is_done_is_not_done_again(self, client: httpx.AsyncClient, database: Database) -> None:
        run = await run_in(client, "failed")
        operation = await ended(client, await begin(client))
        async with database.transaction() as tx:
            rows = await tx.execute(text("SELECT sequence FROM bulk_outcomes"))
            assert await service.do_bulk_items(tx, rows.scalars()) == 0
        assert (await get_run(client, run))["attempt"] == 2
        assert (await client.get(f"{BULK}/{operation['bulk_operation_id']}")).json() == operation

    async def test_verb_and_outcome_are_one(self, client: httpx.AsyncClient, database: Database) -> None:
        run = await run_in(client, "failed")
        body = {"resource": "workflow_runs", "verb": "retry", "filter": {"status": "failed"}, "expect_count": 1}
        fail = (
            "CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'as a test wants it' USING ERRCODE = '23514'; END $$"
        )
        trigger = "CREATE TRIGGER fail_once BEFORE UPDATE ON bulk_outcomes FOR EACH ROW EXECUTE FUNCTION fail_once()"
        async with database.transaction() as tx:
            await tx.execute(text(fail))
            await tx.execute(text(trigger))
        try:
            operation = (await client.post(BULK, json=body | {"dry_run": False})).json()

            async def is_set_aside() -> bool:
                async with database.reading() as tx:
                    query = text("SELECT count(*) FROM set_aside_rows WHERE chore = 'work_bulk_operations'")
                    return bool((await tx.execute(query)).scalar_one())

            await eventually(is_set_aside)
            assert (await get_run(client, run))["attempt"] == 1
            assert [entry["verb"] for entry in await history_of(client, run) if entry["verb"] == "retry"] == []
        finally:
            async with database.transaction() as tx:
                await tx.execute(text("DROP TRIGGER fail_once ON bulk_outcomes"))
                await tx.execute(text("DROP FUNCTION fail_once"))
        async with database.transaction() as tx:
            await tx.execute(text("UPDATE set_aside_rows SET retry_at = now()"))
        assert (await ended(client, operation))["refused"] == 0
        assert (await get_run(client, run))["attempt"] == 2

    async def test_two_operations_take_turns(self, client: httpx.AsyncClient) -> None:
        await create_runs(client, *[{}] * 600)
        long = await begin(client, "cancel", "pending")
        await run_in(client, "failed")
        brief = await ended(client, await begin(client))
        halfway = (await client.get(f"{BULK}/{long['bulk_operation_id']}")).json()
        assert brief["status"] == "completed"
        assert halfway["done"] < 600
        assert (await ended(client, long))["done"] == 600


class TestGivingUp:
    async def test_item_that_cannot_be_done_is_refused(self, tx: Tx) -> None:
        operation, (first, second) = await operation_about(tx, uuid7(), uuid7())
        await service.give_up_bulk_item(tx, first, "it fails")
        await service.give_up_bulk_item(tx, first, "it fails")
        half = await service.get_bulk_operation(tx, operation)
        assert (half.status, half.done, half.refused) == ("running", 1, 1)
        await service.do_bulk_items(tx, [second])
        over = await service.get_bulk_operation(tx, operation)
        assert (over.status, over.done, over.refused) == ("completed", 2, 2)
        page = await service.list_bulk_outcomes(tx, operation, PageQuery())
        assert [(item.status, item.code) for item in page.items] == [(409, "internal-error"), (404, "not-found")]


class TestForgetting:
    async def test_old_ones_go_in_steps_and_others_stay(self, tx: Tx) -> None:
        old, _ = await operation_about(tx, *[uuid7() for _ in range(5)])
        new, _ = await operation_about(tx, uuid7())
        running, _ = await operation_about(tx, uuid7())
        change = "UPDATE bulk_operations SET status = 'cancelled', completed_at = now() - :age * interval '1 second'"
        for operation, age in ((old, 100), (new, 10)):
            by_id = text(f"{change} WHERE bulk_operation_id = :id")
            await tx.execute(by_id, {"id": operation, "age": age})
        assert [await store.delete_old_operations(tx, 50, 3) for _ in range(3)] == [3, 3, 0]
        page = await service.list_bulk_operations(tx, PageQuery())
        assert {item.bulk_operation_id for item in page.items} == {new, running}
        assert (await tx.execute(text("SELECT count(*) FROM bulk_outcomes"))).scalar_one() == 2

    async def test_tokens_go_when_they_are_not_good_any_more(self, tx: Tx) -> None:
        await tokens_store.insert_token(tx, b"a", b"p", 1, 900)
        await tokens_store.insert_token(tx, b"b", b"p", 2, 0)
        assert await tokens_store.get_count(tx, b"a", b"p") == 1
        assert await tokens_store.get_count(tx, b"b", b"p") is None
        assert await tokens_store.delete_expired_tokens(tx, 500) == 1
        assert await tokens_store.get_count(tx, b"a", b"p") == 1


async def operation_about(tx: Tx, *resource_ids: UUID) -> tuple[UUID, list[int]]:
    """Return a running bulk operation about these, and the keys of its items."""
    row: Parameters = {
        "bulk_operation_id": uuid7(),
        "resource": "workflow_runs",
        "verb": "cancel",
        "filter": {"status": "failed"},
        "reason": None,
        "total": len(resource_ids),
        "created_by": "test",
        "request_id": None,
    }
    operation = (await store.insert_operation(tx, row)).bulk_operation_id
    item = text("INSERT INTO bulk_outcomes (bulk_operation_id, resource_id) VALUES (:of, :id) RETURNING sequence")
    items = [(await tx.execute(item, {"of": operation, "id": each})).scalar_one() for each in resource_ids]
    return operation, items
