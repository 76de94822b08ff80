"""Claiming tasks over HTTP, and completing them in batches."""

import asyncio
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import uuid4

import httpx
import pytest

from app.db.engine import Database
from app.services.claims import Exchange, Exchanged, exchange
from milepost.schemas.tasks import Claim
from tests.factories import (
    QUEUES,
    TASKS,
    UNKNOWN_ID,
    attempts_of,
    claim_task,
    claim_tasks,
    code,
    expire_lease,
    get_task,
    pointers,
    put_checkpoint,
    report,
    reported,
    spawn_task,
    spawn_tasks,
    start_task,
    task_address,
    task_in,
)
from tests.replicas import replica
from tests.waiting import PROMPT_SECONDS, eventually

CLAIM = f"{QUEUES}/default/claim"


def lease_of(task: dict[str, Any]) -> timedelta:
    return datetime.fromisoformat(task["lease_expires_at"]) - datetime.fromisoformat(task["server_time"])


async def set_queue(client: httpx.AsyncClient, queue: str = "default", **settings: Any) -> None:
    response = await client.put(f"{QUEUES}/{queue}", json=settings)
    assert response.status_code in (200, 201), response.text


async def complete_tasks(client: httpx.AsyncClient, queue: str = "default", **body: Any) -> dict[str, Any]:
    response = await client.post(f"{QUEUES}/{queue}/complete", json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def done(held: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"task_id": held["task_id"], "lease_token": held["lease_token"], **changes}


class TestClaimTasks:
    async def test_task_is_handed_out_with_all_that_a_worker_needs(self, client: httpx.AsyncClient) -> None:
        given = {
            "params": {"order": 7},
            "headers": {"tenant": "a"},
            "retry_strategy": {"kind": "fixed", "base_seconds": 5},
            "max_attempts": 3,
        }
        spawned = await spawn_task(client, **given)
        claimed = await claim_task(client, worker_id="w-1", lease_seconds=60)
        assert {name: claimed[name] for name in ("task_id", "run_id", "attempt")} == {
            name: spawned[name] for name in ("task_id", "run_id", "attempt")
        }
        assert {name: claimed[name] for name in given} == given
        nothing = ("workflow_run_id", "step", "wake_event", "event_payload", "traceparent")
        assert {name: claimed[name] for name in nothing} == dict.fromkeys(nothing)
        assert (claimed["task_name"], claimed["checkpoints"]) == ("send_invoice", {})
        assert lease_of(claimed) == timedelta(seconds=60)
        assert len(claimed["lease_token"]) >= 32

    async def test_claimed_task_is_running(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        task = await get_task(client, held)
        assert (task["status"], task["claimed_by"], task["revision"]) == ("running", "worker-1", 2)
        assert task["lease_expires_at"] == held["lease_expires_at"]
        assert task["started_at"] == task["first_started_at"] == held["server_time"]
        (attempt,) = await attempts_of(client, held)
        assert (attempt["status"], attempt["claimed_by"], attempt["started_at"]) == (
            "running",
            "worker-1",
            task["started_at"],
        )

    async def test_token_is_nowhere_else(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        for path in (task_address(held), task_address(held, "attempts"), TASKS):
            assert held["lease_token"] not in (await client.get(path)).text

    async def test_highest_priority_then_oldest_is_first(self, client: httpx.AsyncClient) -> None:
        await spawn_tasks(client, *({"priority": priority, "params": n} for n, priority in enumerate([0, 5, -1, 5, 0])))
        claimed = await claim_tasks(client, limit=10)
        assert [task["params"] for task in claimed] == [1, 3, 0, 4, 2]

    async def test_one_is_the_default_limit(self, client: httpx.AsyncClient) -> None:
        await spawn_tasks(client, {}, {})
        assert len(await claim_tasks(client)) == 1

    async def test_limit_is_kept(self, client: httpx.AsyncClient) -> None:
        await spawn_tasks(client, *({} for _ in range(5)))
        assert [len(await claim_tasks(client, limit=3)) for _ in range(3)] == [3, 2, 0]

    async def test_only_named_tasks_are_handed_out(self, client: httpx.AsyncClient) -> None:
        await spawn_tasks(client, {"task_name": "a"}, {"task_name": "b"}, {"task_name": "c"}, {"task_name": "a"})
        claimed = await claim_tasks(client, limit=10, task_names=["c", "a", "z"])
        assert [task["task_name"] for task in claimed] == ["a", "c", "a"]

    async def test_other_queue_is_another_line(self, client: httpx.AsyncClient) -> None:
        await spawn_task(client, queue="other")
        assert await claim_tasks(client) == []

    @pytest.mark.parametrize("queue", ["never_used", "Never.used-2"])
    async def test_unused_queue_is_empty(self, client: httpx.AsyncClient, queue: str) -> None:
        assert await claim_tasks(client, queue) == []
        assert (await client.get(f"{QUEUES}/{queue}")).status_code == 404

    @pytest.mark.parametrize(
        ("changes", "place"),
        [
            ({"worker_id": None}, "/worker_id"),
            ({"worker_id": ""}, "/worker_id"),
            ({"limit": 0}, "/limit"),
            ({"limit": 1001}, "/limit"),
            ({"limit": "1"}, "/limit"),
            ({"lease_seconds": 0.5}, "/lease_seconds"),
            ({"lease_seconds": 86_401}, "/lease_seconds"),
            ({"wait_seconds": -1}, "/wait_seconds"),
            ({"wait_seconds": 61}, "/wait_seconds"),
            ({"task_names": []}, "/task_names"),
            ({"task_names": [" "]}, "/task_names/0"),
            ({"task_names": "a"}, "/task_names"),
            ({"lease": 1}, "/lease"),
        ],
    )
    async def test_bad_claim_is_refused(self, client: httpx.AsyncClient, changes: dict[str, Any], place: str) -> None:
        assert pointers(await client.post(CLAIM, json={"worker_id": "w", **changes})) == [place]

    async def test_worker_id_is_required(self, client: httpx.AsyncClient) -> None:
        assert pointers(await client.post(CLAIM, json={})) == ["/worker_id"]

    async def test_bad_queue_name_is_refused(self, client: httpx.AsyncClient) -> None:
        assert pointers(await client.post(f"{QUEUES}/9/claim", json={"worker_id": "w"})) == ["queue"]

    async def test_thirty_seconds_are_the_default_lease(self, client: httpx.AsyncClient) -> None:
        assert lease_of(await start_task(client)) == timedelta(seconds=30)

    async def test_queue_has_its_own_default_lease(self, client: httpx.AsyncClient) -> None:
        await set_queue(client, default_lease_seconds=7.5)
        assert lease_of(await start_task(client)) == timedelta(seconds=7.5)

    async def test_each_task_is_handed_out_once(self, client: httpx.AsyncClient) -> None:
        await spawn_tasks(client, *({} for _ in range(30)))
        claims = await asyncio.gather(*(claim_tasks(client, limit=2, worker_id=f"w{n}") for n in range(20)))
        handed = [task["task_id"] for tasks in claims for task in tasks]
        assert len(handed) == len(set(handed)) == 30

    async def test_claim_tells_states_of_checkpoints(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        for name, state in (("a/b", None), ("c", {"x": [0]})):
            assert (await put_checkpoint(client, held, name, state=state)).status_code == 200
        await reported(client, held, "release")
        assert (await claim_task(client))["checkpoints"] == {"a/b": None, "c": {"x": [0]}}

    async def test_next_attempt_is_told_states_of_checkpoints(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client, max_attempts=2)
        await put_checkpoint(client, held, "a", state=1)
        await reported(client, held, "fail")
        assert (await claim_task(client))["checkpoints"] == {"a": 1}


class TestExpiredLease:
    async def test_expired_lease_found_by_a_claim_is_expired_first(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        held = await start_task(client)
        async with database.transaction() as tx:
            await expire_lease(tx, held)
            (came,) = await exchange.work(tx, [Exchange("default", (), Claim(worker_id="w-2"))])
            assert isinstance(came, Exchanged)
        (task,) = came.tasks
        assert (str(task["task_id"]), task["attempt"]) == (held["task_id"], 2)
        assert str(task["run_id"]) != held["run_id"]
        assert str(task["lease_token"]) != held["lease_token"]

    async def test_expired_lease_found_by_a_claim_frees_its_place(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        await set_queue(client, max_concurrency=1)
        held = await start_task(client, max_lost=0)
        other = await spawn_task(client)
        async with database.transaction() as tx:
            await expire_lease(tx, held)
            (came,) = await exchange.work(tx, [Exchange("default", (), Claim(worker_id="w-2"))])
            assert isinstance(came, Exchanged)
        assert [str(task["task_id"]) for task in came.tasks] == [other["task_id"]]


class TestRepeatedClaim:
    CLAIM: ClassVar[dict[str, Any]] = {"worker_id": "w-1", "limit": 2, "lease_seconds": 60}

    async def claim(self, client: httpx.AsyncClient, key: str = "k", **changes: Any) -> httpx.Response:
        return await client.post(
            f"{QUEUES}/default/claim", json={**self.CLAIM, **changes}, headers={"Idempotency-Key": key}
        )

    async def test_it_gives_the_same_tasks_and_tokens(self, client: httpx.AsyncClient) -> None:
        for _ in range(3):
            await spawn_task(client)
        first = await self.claim(client)
        again = await self.claim(client)
        leases = [[(t["task_id"], t["lease_token"], t["attempt"]) for t in a.json()["tasks"]] for a in (first, again)]
        assert len(leases[0]) == 2
        assert leases[0] == leases[1]
        assert [a.headers.get("idempotency-replayed") for a in (first, again)] == [None, "true"]
        assert len((await self.claim(client, "other")).json()["tasks"]) == 1

    async def test_another_body_is_refused(self, client: httpx.AsyncClient) -> None:
        await spawn_task(client)
        await self.claim(client)
        response = await self.claim(client, limit=1)
        assert (response.status_code, code(response)) == (422, "idempotency-key-reused")

    async def test_what_was_reported_since_is_left_out(self, client: httpx.AsyncClient) -> None:
        for _ in range(3):
            await spawn_task(client)
        done, held = (await self.claim(client)).json()["tasks"]
        await reported(client, done, "complete")
        again = (await self.claim(client)).json()["tasks"]
        assert [task["lease_token"] for task in again] == [held["lease_token"]]
        await reported(client, held, "complete")
        (third,) = (await self.claim(client)).json()["tasks"]
        assert third["task_id"] not in (done["task_id"], held["task_id"])
        assert [task["task_id"] for task in (await self.claim(client)).json()["tasks"]] == [third["task_id"]]

    async def test_key_of_leases_that_are_over_is_new(self, client: httpx.AsyncClient, database: Database) -> None:
        await spawn_task(client)
        (held,) = (await self.claim(client)).json()["tasks"]
        async with database.transaction() as tx:
            await expire_lease(tx, held)

        async def claims_anew() -> httpx.Response | None:  # the housekeeping may have the task in its hands just now
            answer = await self.claim(client)
            return answer if answer.json()["tasks"] else None

        again = await eventually(claims_anew)
        assert again.headers.get("idempotency-replayed") is None
        (task,) = again.json()["tasks"]
        assert (task["task_id"], task["attempt"]) == (held["task_id"], 2)

    async def test_empty_claim_does_not_use_its_key_up(self, client: httpx.AsyncClient) -> None:
        assert (await self.claim(client)).json() == {"tasks": []}
        await spawn_task(client)
        assert len((await self.claim(client)).json()["tasks"]) == 1

    async def test_one_of_twenty_at_once_claims(self, database_url: str, client: httpx.AsyncClient) -> None:
        for _ in range(30):
            await spawn_task(client)
        async with replica(database_url) as other:
            answers = await asyncio.gather(*(self.claim((client, other)[n % 2]) for n in range(20)))
        tokens = {tuple(task["lease_token"] for task in answer.json()["tasks"]) for answer in answers}
        assert [len(each) for each in tokens] == [2]
        assert sorted(a.headers.get("idempotency-replayed", "") for a in answers) == ["", *["true"] * 19]

    async def test_claim_beside_completions_is_repeated_too(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        other = await spawn_task(client)
        done = [{"task_id": held["task_id"], "lease_token": held["lease_token"], "result": 1}]
        again: dict[str, Any] = {"json": {"tasks": done, "claim": self.CLAIM}, "headers": {"Idempotency-Key": "k"}}
        first, second = [(await client.post(f"{QUEUES}/default/complete", **again)).json() for _ in range(2)]
        assert first["outcomes"] == second["outcomes"]
        tokens = [[(t["task_id"], t["lease_token"]) for t in answer["tasks"]] for answer in (first, second)]
        assert tokens[0] == tokens[1]
        assert tokens[0][0][0] == other["task_id"]


class TestWaitingClaim:
    async def test_it_answers_when_a_task_is_spawned(self, client: httpx.AsyncClient) -> None:
        waiting = asyncio.create_task(claim_tasks(client, wait_seconds=30))
        await asyncio.sleep(0)
        spawned = await spawn_task(client)
        async with asyncio.timeout(PROMPT_SECONDS):
            assert [task["task_id"] for task in await waiting] == [spawned["task_id"]]

    async def test_it_answers_empty_in_the_end(self, client: httpx.AsyncClient) -> None:
        assert await claim_tasks(client, wait_seconds=0.05) == []

    async def test_it_takes_nothing_of_another_name(self, client: httpx.AsyncClient) -> None:
        waiting = asyncio.create_task(claim_tasks(client, wait_seconds=30, task_names=["b"]))
        await spawn_task(client, task_name="a")
        spawned = await spawn_task(client, task_name="b")
        async with asyncio.timeout(PROMPT_SECONDS):
            assert [task["task_id"] for task in await waiting] == [spawned["task_id"]]

    @pytest.mark.parametrize(("call", "body"), [("release", {}), ("fail", {}), ("sleep", {"seconds": 0.05})])
    async def test_it_answers_when_a_task_comes_back(
        self, client: httpx.AsyncClient, call: str, body: dict[str, Any]
    ) -> None:
        held = await start_task(client, max_attempts=2)
        waiting = asyncio.create_task(claim_tasks(client, wait_seconds=30))
        await reported(client, held, call, **body)
        async with asyncio.timeout(PROMPT_SECONDS):
            assert [task["task_id"] for task in await waiting] == [held["task_id"]]

    async def test_it_answers_when_a_delayed_task_falls_due(self, client: httpx.AsyncClient) -> None:
        spawned = await spawn_task(client, delay_seconds=0.2)
        async with asyncio.timeout(PROMPT_SECONDS):
            claimed = await claim_task(client, wait_seconds=30)
        assert claimed["task_id"] == spawned["task_id"]

    async def test_it_answers_when_an_event_wakes_a_task(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        await reported(client, held, "await-event", step_name="s", event_name="paid")
        waiting = asyncio.create_task(claim_tasks(client, wait_seconds=30))
        await client.post(f"{QUEUES}/default/events/paid", json={"payload": 1})
        async with asyncio.timeout(PROMPT_SECONDS):
            (task,) = await waiting
        assert (task["wake_event"], task["event_payload"]) == ("paid", 1)

    async def test_it_answers_when_the_queue_is_resumed(self, client: httpx.AsyncClient) -> None:
        await set_queue(client, paused=True)
        await spawn_task(client)
        waiting = asyncio.create_task(claim_tasks(client, wait_seconds=30))
        await client.patch(f"{QUEUES}/default", json={"paused": False})
        async with asyncio.timeout(PROMPT_SECONDS):
            assert len(await waiting) == 1

    async def test_it_answers_when_a_place_gets_free(self, client: httpx.AsyncClient) -> None:
        await set_queue(client, max_concurrency=1)
        held = await start_task(client)
        await spawn_task(client)
        waiting = asyncio.create_task(claim_tasks(client, wait_seconds=30))
        await reported(client, held, "complete")
        async with asyncio.timeout(PROMPT_SECONDS):
            assert len(await waiting) == 1


class TestLimitsOfQueue:
    async def test_paused_queue_hands_nothing_out(self, client: httpx.AsyncClient) -> None:
        await set_queue(client, paused=True)
        await spawn_task(client)
        assert await claim_tasks(client) == []
        await client.patch(f"{QUEUES}/default", json={"paused": False})
        assert len(await claim_tasks(client)) == 1

    async def test_no_more_than_max_concurrency_run(self, client: httpx.AsyncClient) -> None:
        await set_queue(client, max_concurrency=3)
        await spawn_tasks(client, *({} for _ in range(5)))
        assert [len(await claim_tasks(client, limit=2)) for _ in range(3)] == [2, 1, 0]

    async def test_claims_at_once_do_not_exceed_it(self, client: httpx.AsyncClient) -> None:
        await set_queue(client, max_concurrency=3)
        await spawn_tasks(client, *({} for _ in range(10)))
        claims = await asyncio.gather(*(claim_tasks(client, limit=2) for _ in range(10)))
        assert sum(map(len, claims)) == 3

    @pytest.mark.parametrize(
        ("call", "body"),
        [("complete", {}), ("fail", {}), ("release", {}), ("sleep", {"seconds": 60}), ("cancel", None)],
    )
    async def test_any_end_frees_a_place(
        self, client: httpx.AsyncClient, call: str, body: dict[str, Any] | None
    ) -> None:
        await set_queue(client, max_concurrency=1)
        held = await start_task(client)
        await spawn_task(client)
        assert await claim_tasks(client) == []
        if body is None:
            await client.post(task_address(held, call))
        else:
            await reported(client, held, call, **body)
        assert len(await claim_tasks(client, limit=5)) == 1

    async def test_null_removes_it(self, client: httpx.AsyncClient) -> None:
        await set_queue(client, max_concurrency=1)
        await spawn_tasks(client, {}, {}, {})
        assert len(await claim_tasks(client, limit=5)) == 1
        await client.patch(f"{QUEUES}/default", json={"max_concurrency": None})
        assert len(await claim_tasks(client, limit=5)) == 2

    async def test_lowered_limit_takes_nothing_away(self, client: httpx.AsyncClient) -> None:
        await spawn_tasks(client, {}, {}, {})
        first, second = await claim_tasks(client, limit=2)
        await set_queue(client, max_concurrency=1)
        await reported(client, first, "complete")
        assert await claim_tasks(client) == []
        await reported(client, second, "complete")
        assert len(await claim_tasks(client, limit=2)) == 1


class TestConcurrencyKey:
    async def test_one_task_of_a_key_runs_at_a_time(self, client: httpx.AsyncClient) -> None:
        await spawn_tasks(client, *({"concurrency_key": "k", "params": n} for n in range(3)))
        (first,) = await claim_tasks(client, limit=10)
        assert await claim_tasks(client, limit=10) == []
        await reported(client, first, "complete")
        (second,) = await claim_tasks(client, limit=10)
        assert (first["params"], second["params"]) == (0, 1)

    async def test_others_are_not_held_up(self, client: httpx.AsyncClient) -> None:
        keys = ["k", "k", "k", None, "l", None]
        await spawn_tasks(client, *({"concurrency_key": key, "params": n} for n, key in enumerate(keys)))
        claimed = await claim_tasks(client, limit=10)
        assert [task["params"] for task in claimed] == [0, 3, 4, 5]

    async def test_limit_is_filled_by_others(self, client: httpx.AsyncClient) -> None:
        keys = ["k", "k", "k", None, "l", None]
        await spawn_tasks(client, *({"concurrency_key": key, "params": n} for n, key in enumerate(keys)))
        claimed = await claim_tasks(client, limit=3)
        assert [task["params"] for task in claimed] == [0, 3, 4]

    async def test_claims_at_once_get_a_task_each(self, client: httpx.AsyncClient) -> None:
        keys = ["k", "k", "k", None, "l", None]
        await spawn_tasks(client, *({"concurrency_key": key, "params": n} for n, key in enumerate(keys)))
        claims = await asyncio.gather(*(claim_tasks(client) for _ in range(4)))
        assert sorted(task["params"] for tasks in claims for task in tasks) == [0, 3, 4, 5]

    async def test_key_belongs_to_its_queue(self, client: httpx.AsyncClient) -> None:
        await start_task(client, concurrency_key="k", queue="one")
        await start_task(client, concurrency_key="k", queue="two")

    @pytest.mark.parametrize(
        ("call", "body"), [("fail", {}), ("release", {}), ("sleep", {"seconds": 60}), ("cancel", None)]
    )
    async def test_any_end_lets_the_next_one_run(
        self, client: httpx.AsyncClient, call: str, body: dict[str, Any] | None
    ) -> None:
        held = await start_task(client, concurrency_key="k")
        await spawn_task(client, concurrency_key="k", priority=1)
        if body is None:
            await client.post(task_address(held, call))
        else:
            await reported(client, held, call, **body)
        assert len(await claim_tasks(client, limit=5)) == 1

    async def test_waiting_claim_gets_the_next_one(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client, concurrency_key="k")
        spawned = await spawn_task(client, concurrency_key="k")
        waiting = asyncio.create_task(claim_tasks(client, wait_seconds=30))
        await reported(client, held, "complete")
        async with asyncio.timeout(PROMPT_SECONDS):
            assert [task["task_id"] for task in await waiting] == [spawned["task_id"]]


class TestCompleteTasks:
    async def test_each_report_has_its_outcome(self, client: httpx.AsyncClient) -> None:
        await spawn_tasks(client, *({"params": n} for n in range(4)))
        good, stale, cancelled, failed = await claim_tasks(client, limit=4)
        await client.post(task_address(cancelled, "cancel"))
        await reported(client, failed, "fail")
        answer = await complete_tasks(
            client,
            tasks=[
                done(stale, lease_token=str(uuid4())),
                done(good, result={"n": 0}),
                done({"task_id": str(UNKNOWN_ID), "lease_token": "x"}),
                done(cancelled),
                done(failed),
            ],
        )
        assert [(o["task_id"], o["status"], o["code"], o["task_status"]) for o in answer["outcomes"]] == [
            (stale["task_id"], 409, "lease-lost", "running"),
            (good["task_id"], 200, None, "completed"),
            (str(UNKNOWN_ID), 404, "not-found", None),
            (cancelled["task_id"], 409, "task-cancelled", "cancelled"),
            (failed["task_id"], 409, "attempt-failed", "failed"),
        ]
        assert answer["tasks"] == []
        assert (await get_task(client, good))["result"] == {"n": 0}
        assert (await get_task(client, stale))["status"] == "running"

    async def test_next_task_of_a_key_comes_with_the_result_of_the_one_before(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client, concurrency_key="k")
        spawned = await spawn_task(client, concurrency_key="k")
        answer = await complete_tasks(client, tasks=[done(held)], claim={"worker_id": "w"})
        assert [task["task_id"] for task in answer["tasks"]] == [spawned["task_id"]]

    async def test_result_frees_the_place_of_the_next_task(self, client: httpx.AsyncClient) -> None:
        await set_queue(client, max_concurrency=1)
        held = await start_task(client)
        spawned = await spawn_task(client)
        answer = await complete_tasks(client, tasks=[done(held)], claim={"worker_id": "w"})
        assert [task["task_id"] for task in answer["tasks"]] == [spawned["task_id"]]

    async def test_result_is_taken_in_where_the_queue_is_paused(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        await spawn_task(client)
        await set_queue(client, paused=True)
        answer = await complete_tasks(client, tasks=[done(held)], claim={"worker_id": "w"})
        assert ([outcome["status"] for outcome in answer["outcomes"]], answer["tasks"]) == ([200], [])

    async def test_tasks_are_handed_out_beside_a_late_result(self, client: httpx.AsyncClient) -> None:
        held, other = await start_task(client), await start_task(client)
        spawned = await spawn_task(client)
        sent = [done(held), done(other, lease_token=str(uuid4()))]
        answer = await complete_tasks(client, tasks=sent, claim={"worker_id": "w"})
        assert [outcome["status"] for outcome in answer["outcomes"]] == [200, 409]
        assert [task["task_id"] for task in answer["tasks"]] == [spawned["task_id"]]
        assert [(await get_task(client, task))["status"] for task in (held, other)] == ["completed", "running"]

    async def test_next_tasks_come_along(self, client: httpx.AsyncClient) -> None:
        await spawn_tasks(client, *({"params": n} for n in range(4)))
        held = await claim_tasks(client, limit=2)
        answer = await complete_tasks(
            client, tasks=[done(task) for task in held], claim={"worker_id": "w", "limit": 5, "lease_seconds": 9}
        )
        assert [outcome["status"] for outcome in answer["outcomes"]] == [200, 200]
        assert [task["params"] for task in answer["tasks"]] == [2, 3]
        assert lease_of(answer["tasks"][0]) == timedelta(seconds=9)

    async def test_completed_task_frees_its_place_for_the_claim(self, client: httpx.AsyncClient) -> None:
        await set_queue(client, max_concurrency=1)
        held = await start_task(client, concurrency_key="k")
        await spawn_task(client, concurrency_key="k")
        answer = await complete_tasks(client, tasks=[done(held)], claim={"worker_id": "w", "limit": 5})
        assert len(answer["tasks"]) == 1

    async def test_claim_alone_waits_for_work(self, client: httpx.AsyncClient) -> None:
        waiting = asyncio.create_task(complete_tasks(client, claim={"worker_id": "w", "wait_seconds": 30}))
        await spawn_task(client)
        async with asyncio.timeout(PROMPT_SECONDS):
            assert len((await waiting)["tasks"]) == 1

    async def test_report_is_taken_in_before_the_claim_waits(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        claim = {"worker_id": "w", "wait_seconds": 30}
        waiting = asyncio.create_task(complete_tasks(client, tasks=[done(held)], claim=claim))
        ended = await client.get(task_address(held, "wait"), params={"timeout_seconds": 5})
        assert ended.json()["status"] == "completed"
        await spawn_task(client)
        answer = await waiting
        assert [outcome["status"] for outcome in answer["outcomes"]] == [200]
        assert len(answer["tasks"]) == 1

    async def test_nothing_is_asked_for(self, client: httpx.AsyncClient) -> None:
        assert await complete_tasks(client, tasks=[]) == {"outcomes": [], "tasks": []}

    async def test_repeated_batch_gets_the_same_outcomes(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        first = await complete_tasks(client, tasks=[done(held, result=1)])
        task = await get_task(client, held)
        assert await complete_tasks(client, tasks=[done(held, result=1)]) == first
        assert await get_task(client, held) == task

    async def test_same_report_twice_in_one_batch_is_accepted_twice(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        answer = await complete_tasks(client, tasks=[done(held, result=1), done(held, result=1)])
        assert [outcome["status"] for outcome in answer["outcomes"]] == [200, 200]

    async def test_first_of_two_results_in_one_batch_counts(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        answer = await complete_tasks(client, tasks=[done(held, result=1), done(held, result=2)])
        assert [outcome["code"] for outcome in answer["outcomes"]] == [None, "lease-lost"]
        assert (await get_task(client, held))["result"] == 1

    async def test_stale_report_in_front_does_not_harm_the_holder(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        stale = done(held, lease_token=str(uuid4()))
        answer = await complete_tasks(client, tasks=[stale, done(held, result=1), stale])
        assert [outcome["status"] for outcome in answer["outcomes"]] == [409, 200, 409]
        assert (await get_task(client, held))["result"] == 1

    async def test_single_and_batched_reports_are_the_same(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        await complete_tasks(client, tasks=[done(held, result=[1])])
        assert (await report(client, held, "complete", result=[1])).status_code == 200

    async def test_task_of_another_queue_is_completed_too(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client, queue="other")
        answer = await complete_tasks(client, tasks=[done(held)])
        assert answer["outcomes"][0]["status"] == 200

    @pytest.mark.parametrize(
        ("body", "place"),
        [
            ({"tasks": [{"task_id": "x", "lease_token": "y"}]}, "/tasks/0/task_id"),
            ({"tasks": [{"task_id": str(UNKNOWN_ID)}]}, "/tasks/0/lease_token"),
            ({"tasks": [{"task_id": str(UNKNOWN_ID), "lease_token": "y", "error": {}}]}, "/tasks/0/error"),
            ({"tasks": [{"task_id": str(UNKNOWN_ID), "lease_token": "y"}] * 1001}, "/tasks"),
            ({"claim": {}}, "/claim/worker_id"),
            ({"claim": {"worker_id": "w", "limit": 0}}, "/claim/limit"),
        ],
    )
    async def test_bad_batch_is_refused(self, client: httpx.AsyncClient, body: dict[str, Any], place: str) -> None:
        assert pointers(await client.post(f"{QUEUES}/default/complete", json=body)) == [place]

    async def test_thousand_tasks_are_completed(self, client: httpx.AsyncClient) -> None:
        await spawn_tasks(client, *({} for _ in range(1000)))
        held = await claim_tasks(client, limit=1000)
        answer = await complete_tasks(client, tasks=[done(task) for task in held])
        assert {outcome["status"] for outcome in answer["outcomes"]} == {200}


class TestRetriedTask:
    async def test_claim_is_told_states_of_its_checkpoints(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        await put_checkpoint(client, held, "a", state={"x": 1})
        await reported(client, held, "fail")
        assert (await client.post(task_address(held, "retry"))).status_code == 200
        assert (await claim_task(client))["checkpoints"] == {"a": {"x": 1}}

    async def test_claim_on_a_queue_that_was_deleted_finds_it(self, client: httpx.AsyncClient) -> None:
        task = await task_in(client, "failed", queue="brief")
        assert (await client.delete(f"{QUEUES}/brief")).status_code == 204
        assert (await client.post(task_address(task, "retry"))).status_code == 200
        assert (await claim_task(client, "brief"))["task_id"] == task["task_id"]
