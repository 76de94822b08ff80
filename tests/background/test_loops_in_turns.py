"""Loops whose iterations begin in turns, by the housekeeping."""

from typing import Any

import httpx
import pytest

from app.db.engine import Database
from app.execution import session as executions
from tests.definitions import task
from tests.executing import claim_steps, come_due, ended_run, start, statuses_of, work_off
from tests.factories import address, get_run, report
from tests.replicas import replica
from tests.waiting import eventually

Json = dict[str, Any]
EMIT = {"task_id": "e", "operator_type": "emit_event", "event_name": "x", "dependencies": []}


def foreach(*body: Json, **members: Any) -> Json:
    loop = {"task_id": "l", "operator_type": "foreach", "items": "{{inputs.items}}", "dependencies": []}
    return {**loop, "parallel": True, "loop_body": list(body), "result_key": "out", **members}


@pytest.fixture(autouse=True)
def _little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executions, "STEPS_A_TURN", 7)


async def start_loop(client: httpx.AsyncClient, *body: Json, items: int = 40, **members: Any) -> Json:
    return await start(client, foreach(*body, **members), body={"inputs": {"items": list(range(items))}})


class TestTurns:
    async def test_all_iterations_of_a_parallel_loop_are_done(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        run = await start_loop(client, task("a", args=["{{item}}"]), items=130)
        await come_due(database, run)
        held = await claim_steps(client, lease_seconds=1, limit=3)
        assert {path: item["params"]["args"] for path, item in held.items()} == {f"l[{n}].a": [n] for n in range(3)}
        for item in held.values():
            await report(client, item, "complete", result=item["step"])
        assert len(await work_off(client)) == 127
        assert (await ended_run(client, run))["result"] == {"out": [f"l[{n}].a" for n in range(130)]}

    async def test_work_may_be_done_while_more_of_it_begins(self, client: httpx.AsyncClient) -> None:
        run = await start_loop(client, task("a"), items=60)

        async def is_over() -> bool:
            await work_off(client)
            return bool((await get_run(client, run))["completed_at"])

        await eventually(is_over, within_seconds=60)
        assert len((await get_run(client, run))["result"]["out"]) == 60

    @pytest.mark.parametrize("is_parallel", [True, False])
    async def test_iterations_that_end_by_themselves_are_all_done(
        self, client: httpx.AsyncClient, database: Database, *, is_parallel: bool
    ) -> None:
        run = await start_loop(client, EMIT, parallel=is_parallel)
        await come_due(database, run)
        assert (await ended_run(client, run))["result"] == {"out": [{"event": "x"}] * 40}

    async def test_many_loops_that_begin_together_all_go_on(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        inner = foreach(task("b"), task_id="m", dependencies=["a"], items="{{range(4)}}")
        run = await start_loop(client, task("a"), inner, items=20)
        await come_due(database, run)
        await work_off(client)
        await come_due(database, run)
        await work_off(client)
        assert (await ended_run(client, run))["status"] == "completed"

    async def test_two_replicas_begin_each_iteration_once(
        self, database_url: str, client: httpx.AsyncClient, database: Database
    ) -> None:
        async with replica(database_url):
            run = await start_loop(client, task("a"), items=100)
            await come_due(database, run)
        held = await claim_steps(client)
        assert sorted(held) == sorted(f"l[{index}].a" for index in range(100))


class TestInTheMiddle:
    async def test_run_that_is_cancelled_begins_no_more(self, client: httpx.AsyncClient, database: Database) -> None:
        run = await start_loop(client, task("a"), items=300)
        response = await client.post(address(run, "cancel"), json={"grace_seconds": 0})
        assert response.json()["status"] == "cancelled", response.text
        begun = len(await statuses_of(client, run))
        assert begun < 301
        await come_due(database, run)
        statuses = await statuses_of(client, run)
        assert len(statuses) == begun
        assert set(statuses.values()) == {"cancelled"}
        assert await claim_steps(client) == {}

    async def test_retry_goes_on_where_it_was_cancelled(self, client: httpx.AsyncClient, database: Database) -> None:
        run = await start_loop(client, task("a"), items=100)
        held = await claim_steps(client, limit=3)
        for item in held.values():
            await report(client, item, "complete", result=1)
        await client.post(address(run, "cancel"), json={"grace_seconds": 0})
        response = await client.post(address(run, "retry"), json={})
        assert response.status_code == 200, response.text
        await come_due(database, run)
        assert len(await work_off(client)) == 97
        ended = await ended_run(client, run)
        assert ended["status"] == "completed"
        assert len(ended["result"]["out"]) == 100

    async def test_paused_run_hands_out_none_of_what_begins(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        run = await start_loop(client, task("a"), items=100)
        await client.post(address(run, "pause"))
        await come_due(database, run)
        assert await claim_steps(client) == {}
        await client.post(address(run, "resume"))
        assert len(await claim_steps(client)) == 100
