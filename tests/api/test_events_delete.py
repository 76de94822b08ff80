"""Forgetting events over HTTP."""

from urllib.parse import quote

import httpx
import pytest

from app.db.engine import Database
from app.errors import Unavailable
from app.services import events
from app.store import deliveries
from tests.api.test_events import EVENTS, SUSPENDED
from tests.factories import QUEUES, claim_task, code, create_run, emit_event, pointers, report, start_task


async def delete_event(client: httpx.AsyncClient, name: str, **query: str) -> httpx.Response:
    return await client.delete(f"{EVENTS}/{quote(name, safe='')}", params=query)


class TestDeleteEvent:
    async def test_deleted_name_can_be_emitted_again_and_is_then_the_first(self, client: httpx.AsyncClient) -> None:
        await emit_event(client, "paid/7 ümlaut", payload=1)
        response = await delete_event(client, "paid/7 ümlaut")
        assert (response.status_code, response.content) == (204, b"")
        assert code(await client.get(f"{EVENTS}/{quote('paid/7 ümlaut', safe='')}")) == "not-found"
        again = (await emit_event(client, "paid/7 ümlaut", payload=2)).json()
        assert (again["first"], again["payload"]) == (True, 2)

    async def test_wait_that_has_had_it_keeps_it_and_who_comes_later_waits(self, client: httpx.AsyncClient) -> None:
        await emit_event(client, "go", payload=1)
        had = await start_task(client)
        wait = {"step_name": "hear", "event_name": "go"}
        received = (await report(client, had, "await-event", **wait)).json()
        assert received["payload"] == 1
        assert (await delete_event(client, "go")).status_code == 204
        assert (await report(client, had, "await-event", **wait)).json() == received
        later = await start_task(client)
        assert (await report(client, later, "await-event", **wait)).json() == SUSPENDED
        await emit_event(client, "go", payload=2)
        woken = await claim_task(client)
        assert (woken["task_id"], woken["event_payload"]) == (later["task_id"], 2)

    async def test_event_of_a_run_and_that_of_the_queue_are_told_apart(self, client: httpx.AsyncClient) -> None:
        run_id = (await create_run(client))["workflow_run_id"]
        await emit_event(client, "go", payload=1)
        assert code(await delete_event(client, "go", workflow_run_id=run_id)) == "not-found"
        await emit_event(client, "go", payload=2, workflow_run_id=run_id)
        assert (await delete_event(client, "go", workflow_run_id=run_id)).status_code == 204
        assert (await client.get(f"{EVENTS}/go")).json()["payload"] == 1
        assert (await delete_event(client, "go")).status_code == 204

    async def test_event_that_is_not_there_is_not_found(self, client: httpx.AsyncClient) -> None:
        assert code(await delete_event(client, "never")) == "not-found"
        assert code(await client.delete(f"{QUEUES}/nowhere/events/x")) == "not-found"
        assert pointers(await delete_event(client, "x", workflow_run_id="7")) == ["workflow_run_id"]

    async def test_event_on_its_way_is_not_taken_from_those_who_wait(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        await emit_event(client, "go")
        async with database.transaction() as tx:
            await deliveries.insert_deliveries(tx, [{"queue": "default", "event_name": "go", "workflow_run_id": None}])
            with pytest.raises(Unavailable):
                await events.delete_event(tx, "default", "go", None)
