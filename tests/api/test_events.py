"""Events over HTTP: emitting them, awaiting them, and looking at them."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import text

from app.db.engine import Database, Tx
from app.moves import event_waits
from app.moves.event_waits import wake_waiters
from tests.api.json_texts import KEPT
from tests.factories import (
    QUEUES,
    UNKNOWN_ID,
    attempts_of,
    claim_task,
    claim_tasks,
    code,
    create_run,
    emit_event,
    get_task,
    pass_time,
    patch_run,
    pointers,
    put_checkpoint,
    report,
    reported,
    start_task,
    task_address,
)
from tests.waiting import eventually

EVENTS = f"{QUEUES}/default/events"
SUSPENDED = {"outcome": "suspended"}
TIMED_OUT = {"outcome": "timed_out"}


async def emit(client: httpx.AsyncClient, name: str = "paid", **body: Any) -> dict[str, Any]:
    response = await emit_event(client, name, **body)
    assert response.status_code in (200, 201), response.text
    event: dict[str, Any] = response.json()
    assert event["first"] is (response.status_code == 201)
    return event


async def await_event(client: httpx.AsyncClient, held: dict[str, Any], **body: Any) -> dict[str, Any]:
    given = {"step_name": "s"} | body
    if not {"event_name", "any_of", "all_of"} & set(given):
        given["event_name"] = "paid"
    return await reported(client, held, "await-event", **given)


def received(payload: Any, name: str = "paid") -> dict[str, Any]:
    return {"outcome": "received", "event_name": name, "payload": payload}


async def rows_of(tx: Tx, query: str) -> list[Any]:
    return list((await tx.execute(text(query))).scalars())


async def of_run(client: httpx.AsyncClient) -> dict[str, Any]:
    return {"workflow_run_id": (await create_run(client))["workflow_run_id"]}


class TestEmitEvent:
    async def test_first_emit_is_told_as_first(self, client: httpx.AsyncClient) -> None:
        response = await emit_event(client, "paid", payload={"amount": 3})
        assert response.status_code == 201
        event = response.json()
        assert (event["event_name"], event["payload"], event["workflow_run_id"], event["first"]) == (
            "paid",
            {"amount": 3},
            None,
            True,
        )
        assert datetime.fromisoformat(event["emitted_at"]).utcoffset() == timedelta(0)

    async def test_first_emit_wins(self, client: httpx.AsyncClient) -> None:
        first = await emit(client, payload=1)
        response = await emit_event(client, "paid", payload=2)
        assert (response.status_code, response.json()) == (200, {**first, "first": False})

    async def test_of_many_at_once_one_is_first(self, client: httpx.AsyncClient) -> None:
        events = await asyncio.gather(*(emit(client, payload=n) for n in range(8)))
        assert sorted(event["first"] for event in events) == [False] * 7 + [True]
        assert len({event["payload"] for event in events}) == 1

    async def test_payload_may_be_left_out(self, client: httpx.AsyncClient) -> None:
        response = await client.post(f"{EVENTS}/paid")
        assert (response.status_code, response.json()["payload"]) == (201, None)

    @pytest.mark.parametrize("value", KEPT, ids=range(len(KEPT)))
    async def test_payload_comes_back_exactly_as_given(self, client: httpx.AsyncClient, value: Any) -> None:
        held = await start_task(client)
        await await_event(client, held)
        assert repr((await emit(client, payload=value))["payload"]) == repr(value)
        assert repr((await client.get(f"{EVENTS}/paid")).json()["payload"]) == repr(value)
        woken = await claim_task(client)
        assert repr(woken["event_payload"]) == repr(value)
        assert repr((await await_event(client, woken))["payload"]) == repr(value)

    async def test_unknown_run_is_refused(self, client: httpx.AsyncClient) -> None:
        response = await emit_event(client, "paid", workflow_run_id=str(UNKNOWN_ID))
        assert pointers(response) == ["/workflow_run_id"]
        assert (await client.get(f"{EVENTS}/paid")).status_code == 404

    @pytest.mark.parametrize(
        ("body", "place"), [({"workflow_run_id": "x"}, "/workflow_run_id"), ({"data": 1}, "/data")]
    )
    async def test_bad_body_is_refused(self, client: httpx.AsyncClient, body: dict[str, Any], place: str) -> None:
        assert pointers(await emit_event(client, "paid", **body)) == [place]

    @pytest.mark.parametrize("name", ["x" * 256, "a\0"])
    async def test_impossible_name_is_refused(self, client: httpx.AsyncClient, name: str) -> None:
        assert pointers(await emit_event(client, name)) == ["event_name"]

    @pytest.mark.parametrize("name", ["order/7:paid", "ümläut 漢字", "a?b", "100%", "a\n"])
    async def test_any_name_is_taken_percent_encoded(self, client: httpx.AsyncClient, name: str) -> None:
        held = await start_task(client)
        await await_event(client, held, event_name=name)
        await emit(client, name, payload=1)
        assert (await client.get(f"{EVENTS}/{quote(name, safe='')}")).json()["event_name"] == name
        assert (await claim_task(client))["wake_event"] == name

    async def test_queues_are_apart(self, client: httpx.AsyncClient) -> None:
        await emit(client, queue="other")
        held = await start_task(client)
        assert await await_event(client, held) == SUSPENDED


class TestAwaitEvent:
    async def test_emitted_event_is_received_at_once(self, client: httpx.AsyncClient) -> None:
        await emit(client, payload={"amount": 3})
        held = await start_task(client)
        assert await await_event(client, held) == received({"amount": 3})
        assert (await get_task(client, held))["status"] == "running"
        assert (await report(client, held, "complete")).status_code == 200

    async def test_awaiting_suspends_and_the_emit_wakes(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        assert await await_event(client, held) == SUSPENDED
        task = await get_task(client, held)
        assert (task["status"], task["wake_event"], task["wake_at"], task["lease_expires_at"]) == (
            "sleeping",
            "paid",
            None,
            None,
        )
        assert await claim_tasks(client) == []
        await emit(client, payload=[1])
        woken = await claim_task(client)
        assert (woken["task_id"], woken["attempt"], woken["run_id"]) == (held["task_id"], 1, held["run_id"])
        assert (woken["wake_event"], woken["event_payload"]) == ("paid", [1])
        assert woken["checkpoints"]["s"] == received([1])
        assert await await_event(client, woken) == received([1])
        assert len(await attempts_of(client, held)) == 1

    async def test_every_waiter_wakes(self, client: httpx.AsyncClient) -> None:
        tasks = [await start_task(client) for _ in range(5)]
        for held in tasks:
            await await_event(client, held)
        await emit(client, payload=1)
        assert len(await claim_tasks(client, limit=10)) == 5

    async def test_other_event_does_not_wake(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        await await_event(client, held)
        await emit(client, "shipped")
        assert await claim_tasks(client) == []

    async def test_null_payload_is_received(self, client: httpx.AsyncClient) -> None:
        await emit(client, payload=None)
        assert await await_event(client, await start_task(client)) == received(None)

    async def test_outcome_is_a_checkpoint(self, client: httpx.AsyncClient) -> None:
        await emit(client, payload=1)
        held = await start_task(client)
        await await_event(client, held)
        items = (await client.get(task_address(held, "checkpoints"))).json()["items"]
        assert [(item["name"], item["state"]) for item in items] == [("s", received(1))]

    async def test_same_step_asked_again_gives_its_outcome(self, client: httpx.AsyncClient) -> None:
        await emit(client, payload=1)
        await emit(client, "shipped", payload=2)
        held = await start_task(client, max_attempts=2)
        assert await await_event(client, held) == received(1)
        assert await await_event(client, held, event_name="shipped") == received(1)
        assert await await_event(client, held, step_name="t", event_name="shipped") == received(2, "shipped")
        await reported(client, held, "fail")
        assert await await_event(client, await claim_task(client)) == received(1)

    async def test_step_that_is_a_checkpoint_is_refused(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        await put_checkpoint(client, held, "s", state=1)
        response = await report(client, held, "await-event", step_name="s", event_name="paid")
        assert pointers(response) == ["/step_name"]

    @pytest.mark.parametrize(
        "asked",
        [
            {},
            {"event_name": "a", "any_of": ["b"]},
            {"any_of": ["a"], "all_of": ["b"]},
            {"event_name": None},
            {"any_of": []},
            {"all_of": []},
            {"any_of": [""]},
            {"event_name": ""},
            {"event_name": "x" * 256},
            {"event_name": "a", "timeout_seconds": -1},
            {"event_name": "a", "step_name": ""},
            {"event_name": "a", "step_name": None},
        ],
    )
    async def test_bad_question_is_refused(self, client: httpx.AsyncClient, asked: dict[str, Any]) -> None:
        held = await start_task(client)
        response = await report(client, held, "await-event", **{"step_name": "s"} | asked)
        assert response.status_code == 422, response.text
        assert (await get_task(client, held))["status"] == "running"

    async def test_waiter_that_is_cancelled_stays_so(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        await await_event(client, held)
        await client.post(task_address(held, "cancel"))
        await emit(client)
        assert (await get_task(client, held))["status"] == "cancelled"


class TestSeveralEvents:
    async def test_any_of_is_received_at_once(self, client: httpx.AsyncClient) -> None:
        await emit(client, "b", payload=2)
        assert await await_event(client, await start_task(client), any_of=["a", "b"]) == received(2, "b")

    async def test_first_of_any_wakes(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        assert await await_event(client, held, any_of=["a", "b"]) == SUSPENDED
        await emit(client, "b", payload=2)
        await emit(client, "a", payload=1)
        woken = await claim_task(client)
        assert (woken["wake_event"], woken["event_payload"]) == ("b", 2)
        assert await await_event(client, woken, any_of=["a", "b"]) == received(2, "b")

    async def test_all_of_are_received_at_once(self, client: httpx.AsyncClient) -> None:
        await emit(client, "a", payload=None)
        await emit(client, "b", payload={"x": 0})
        outcome = await await_event(client, await start_task(client), all_of=["b", "a", "b"])
        assert outcome["outcome"] == "received"
        assert outcome["payload"] == {"a": None, "b": {"x": 0}}

    async def test_last_of_all_wakes(self, client: httpx.AsyncClient) -> None:
        await emit(client, "a", payload=1)
        held = await start_task(client)
        assert await await_event(client, held, all_of=["a", "b", "c"]) == SUSPENDED
        await emit(client, "c", payload=3)
        assert await claim_tasks(client) == []
        await emit(client, "b", payload=2)
        woken = await claim_task(client)
        assert woken["event_payload"] == {"a": 1, "b": 2, "c": 3}
        assert (await await_event(client, woken, all_of=["a", "b", "c"]))["payload"] == {"a": 1, "b": 2, "c": 3}

    async def test_a_thousand_of_them(self, client: httpx.AsyncClient) -> None:
        names = [f"{number:0>255}" for number in range(1000)]
        held, other = await start_task(client), await start_task(client)
        assert await await_event(client, held, any_of=names) == SUSPENDED
        assert await await_event(client, other, all_of=[*names[:1], "b"]) == SUSPENDED
        await emit(client, names[999], payload=1)
        woken = await claim_task(client)
        assert (woken["task_id"], woken["wake_event"]) == (held["task_id"], names[999])
        await emit(client, names[0])
        assert await claim_tasks(client) == []

    async def test_a_thousand_of_them_together(self, client: httpx.AsyncClient) -> None:
        names = [f"name-{number}" for number in range(1000)]
        for name in names[:3]:
            await emit(client, name, payload=1)
        held = await start_task(client)
        assert await await_event(client, held, all_of=names) == SUSPENDED
        assert (await get_task(client, held))["status"] == "sleeping"
        too_many = {"lease_token": held["lease_token"], "step_name": "s", "any_of": [*names, "one more"]}
        response = await client.post(task_address(held, "await-event"), json=too_many)
        assert pointers(response) == ["/any_of"]


class TestManyWaiters:
    async def test_large_payload_is_given_to_as_many_at_once_as_are_16_mib(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        for held in [await start_task(client) for _ in range(20)]:
            await await_event(client, held)
        payload = "x" * 1_000_000
        woken = []
        for _ in range(2):
            async with database.transaction() as tx:
                are_left = await wake_waiters(tx, "default", "paid", None, payload)
                woken.append((are_left, await rows_of(tx, "SELECT count(*) FROM tasks WHERE ready_at IS NOT NULL")))
        assert woken == [(True, [17]), (False, [20])]

    async def test_those_whom_the_emit_leaves_are_woken_in_a_moment(
        self, client: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(event_waits, "WOKEN_MOST", 2)
        tasks = [await start_task(client) for _ in range(9)]
        for number, held in enumerate(tasks):
            await await_event(client, held, **{"all_of": ["paid", "never"]} if number < 4 else {})
        await emit(client, payload=1)

        async def nothing_is_on_its_way() -> bool:
            async with database.transaction() as tx:
                return not await rows_of(tx, "SELECT delivery_id FROM event_deliveries")

        await eventually(nothing_is_on_its_way)
        woken = await claim_tasks(client, limit=9)
        assert sorted(task["task_id"] for task in woken) == sorted(held["task_id"] for held in tasks[4:])
        assert all(task["event_payload"] == 1 for task in woken)


class TestTimeout:
    async def test_zero_seconds_time_out_at_once(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        assert await await_event(client, held, timeout_seconds=0) == TIMED_OUT
        assert (await get_task(client, held))["status"] == "running"

    async def test_emitted_event_is_received_in_zero_seconds(self, client: httpx.AsyncClient) -> None:
        await emit(client, payload=1)
        assert await await_event(client, await start_task(client), timeout_seconds=0) == received(1)

    async def test_time_out_wakes_the_task(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        assert await await_event(client, held, timeout_seconds=0.1) == SUSPENDED
        assert (await get_task(client, held))["wake_at"] is not None
        woken = await claim_task(client, wait_seconds=60)
        assert (woken["attempt"], woken["event_payload"]) == (1, None)
        assert woken["checkpoints"]["s"] == TIMED_OUT
        assert await await_event(client, woken, timeout_seconds=0.1) == TIMED_OUT

    async def test_it_stays_after_a_late_emit(self, client: httpx.AsyncClient, database: Database) -> None:
        held = await start_task(client)
        await await_event(client, held, timeout_seconds=60)
        async with database.transaction() as tx:
            await pass_time(tx, held, 60)
        woken = await claim_task(client, wait_seconds=60)
        await emit(client, payload=1)
        assert await await_event(client, woken) == TIMED_OUT
        assert (await client.get(task_address(held, "checkpoints", "s"))).json()["state"] == TIMED_OUT
        assert await await_event(client, woken, step_name="again") == received(1)

    async def test_emit_before_it_wins(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        await await_event(client, held, timeout_seconds=60)
        await emit(client, payload=1)
        woken = await claim_task(client)
        assert (await get_task(client, held))["wake_at"] is None
        assert await await_event(client, woken) == received(1)


class TestEventsOfRun:
    async def test_name_is_the_run_s_own(self, client: httpx.AsyncClient) -> None:
        one, two = await of_run(client), await of_run(client)
        events = [await emit(client, payload=n, **run) for n, run in enumerate(({}, one, two))]
        assert [event["first"] for event in events] == [True] * 3
        assert [event["workflow_run_id"] for event in events] == [None, *(run["workflow_run_id"] for run in (one, two))]

    async def test_task_of_the_run_sees_it_before_the_queue_s(self, client: httpx.AsyncClient) -> None:
        run = await of_run(client)
        await emit(client, payload="queue")
        await emit(client, payload="run", **run)
        assert await await_event(client, await start_task(client, **run)) == received("run")

    async def test_task_of_the_run_sees_the_queue_s_otherwise(self, client: httpx.AsyncClient) -> None:
        run, other = await of_run(client), await of_run(client)
        await emit(client, payload="other", **other)
        await emit(client, payload="queue")
        assert await await_event(client, await start_task(client, **run)) == received("queue")

    async def test_it_wakes_tasks_of_the_run_and_no_others(self, client: httpx.AsyncClient) -> None:
        run, other = await of_run(client), await of_run(client)
        tasks = [await start_task(client, **link) for link in ({}, run, other)]
        for held in tasks:
            assert await await_event(client, held) == SUSPENDED
        await emit(client, payload=1, **run)
        (woken,) = await claim_tasks(client, limit=10)
        assert woken["task_id"] == tasks[1]["task_id"]
        await emit(client, payload=2)
        assert len(await claim_tasks(client, limit=10)) == 2

    async def test_task_outside_does_not_see_it(self, client: httpx.AsyncClient) -> None:
        await emit(client, payload=1, **await of_run(client))
        assert await await_event(client, await start_task(client)) == SUSPENDED

    async def test_all_of_takes_from_both(self, client: httpx.AsyncClient) -> None:
        run = await of_run(client)
        held = await start_task(client, **run)
        assert await await_event(client, held, all_of=["a", "b"]) == SUSPENDED
        await emit(client, "a", payload=1)
        await emit(client, "b", payload=2, **run)
        assert (await claim_task(client))["event_payload"] == {"a": 1, "b": 2}

    async def test_id_may_be_in_capitals(self, client: httpx.AsyncClient) -> None:
        run = await of_run(client)
        await emit(client, payload=1, workflow_run_id=run["workflow_run_id"].upper())
        assert await await_event(client, await start_task(client, **run)) == received(1)

    async def test_events_go_with_their_run(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        await emit(client, payload=1, workflow_run_id=run["workflow_run_id"])
        await patch_run(client, run, status="completed")
        await client.delete(f"/v1/workflow-runs/{run['workflow_run_id']}")
        assert (await client.get(EVENTS)).json()["items"] == []


class TestLookAtEvents:
    async def test_list_is_in_order_of_emits(self, client: httpx.AsyncClient) -> None:
        run = await of_run(client)
        for name in ("c", "a"):
            await emit(client, name, payload=name)
        await emit(client, "b", **run)
        items = (await client.get(EVENTS)).json()["items"]
        assert [item["event_name"] for item in items] == ["c", "a", "b"]
        assert set(items[0]) == {"event_name", "payload", "workflow_run_id", "emitted_at"}

    async def test_list_of_a_run_has_only_its_own(self, client: httpx.AsyncClient) -> None:
        run = await of_run(client)
        await emit(client, "a")
        await emit(client, "b", **run)
        items = (await client.get(EVENTS, params=run)).json()["items"]
        assert [item["event_name"] for item in items] == ["b"]

    async def test_pages_follow_without_gap(self, client: httpx.AsyncClient) -> None:
        for n in range(5):
            await emit(client, f"e{n}")
        first = await client.get(EVENTS, params={"limit": 3})
        second = await client.get(first.links["next"]["url"])
        found = [item["event_name"] for item in first.json()["items"] + second.json()["items"]]
        assert found == [f"e{n}" for n in range(5)]
        other = await client.get(f"{QUEUES}/other/events", params={"cursor": first.json()["next_cursor"]})
        assert pointers(other) == ["cursor"]

    async def test_list_is_a_table_for_a_terminal(self, client: httpx.AsyncClient) -> None:
        await emit(client, "paid", payload={"a": 1})
        response = await client.get(EVENTS, headers={"Accept": "text/plain"})
        assert response.text.splitlines()[1].startswith("paid")

    async def test_unknown_event_is_not_found(self, client: httpx.AsyncClient) -> None:
        response = await client.get(f"{EVENTS}/paid")
        assert (response.status_code, code(response)) == (404, "not-found")

    async def test_event_of_a_run_is_found_under_its_run(self, client: httpx.AsyncClient) -> None:
        run = await of_run(client)
        await emit(client, payload="queue")
        await emit(client, payload="run", **run)
        assert (await client.get(f"{EVENTS}/paid")).json()["payload"] == "queue"
        assert (await client.get(f"{EVENTS}/paid", params=run)).json()["payload"] == "run"
