"""Workers that are seen on queues: while they claim, hold something or have claimed lately; until they sign off."""

from typing import Any
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import text

from app.db.engine import Database, Parameters
from app.store import workers as workers_store
from tests.factories import QUEUES, claim_task, claim_tasks, pointers, reported, spawn_task
from tests.replicas import replica
from tests.waiting import eventually


async def workers_of(client: httpx.AsyncClient, queue: str = "default") -> dict[str, Any]:
    """Return the workers of a queue with what they take."""
    response = await client.get(f"{QUEUES}/{queue}")
    assert response.status_code == 200, response.text
    return {worker["worker_id"]: worker["task_names"] for worker in response.json()["workers"]}


async def sign_off(client: httpx.AsyncClient, worker_id: str, queue: str = "default") -> int:
    return (await client.delete(f"{QUEUES}/{queue}/workers/{quote(worker_id, safe='')}")).status_code


async def age_sightings(database: Database, seconds: float) -> None:
    """Let all that is known of workers be older, as if the clock had gone on."""
    async with database.transaction() as tx:
        for column in ("seen_at", "signed_off_at"):
            sql = f"UPDATE queue_workers SET {column} = {column} - make_interval(secs => :seconds)"
            await tx.execute(text(sql), {"seconds": seconds})


class TestLiving:
    async def test_who_claims_is_seen_at_once_with_what_it_takes(self, client: httpx.AsyncClient) -> None:
        await client.put(f"{QUEUES}/default")
        await claim_tasks(client, worker_id="any")
        await claim_tasks(client, worker_id="choosy", task_names=["b", "a"])
        assert await workers_of(client) == {"any": None, "choosy": ["b", "a"]}

    async def test_last_claim_says_what_it_takes(self, client: httpx.AsyncClient) -> None:
        await client.put(f"{QUEUES}/default")
        for names in (["a"], ["b"]):
            await claim_tasks(client, task_names=names)
            assert await workers_of(client) == {"worker-1": names}

    async def test_claim_a_minute_ago_is_not_seen(self, client: httpx.AsyncClient, database: Database) -> None:
        await client.put(f"{QUEUES}/default")
        await claim_tasks(client)
        assert await workers_of(client)
        await age_sightings(database, 64)
        assert await workers_of(client) == {}

    async def test_who_holds_a_lease_is_seen(self, client: httpx.AsyncClient, database: Database) -> None:
        await spawn_task(client)
        held = await claim_task(client, lease_seconds=3600)
        assert await workers_of(client)
        await age_sightings(database, 3600)
        assert list(await workers_of(client)) == ["worker-1"]
        await reported(client, held, "complete")
        assert await workers_of(client) == {}

    async def test_who_waits_before_there_is_a_queue_is_seen(self, client: httpx.AsyncClient) -> None:
        await claim_tasks(client, "coming", worker_id="early", task_names=["other"])
        await spawn_task(client, queue="coming")
        assert await workers_of(client, "coming") == {"early": ["other"]}

    async def test_table_counts_the_living(self, client: httpx.AsyncClient, database: Database) -> None:
        await client.put(f"{QUEUES}/default")
        await claim_tasks(client, worker_id="gone")
        await workers_of(client)
        await age_sightings(database, 3600)
        await claim_tasks(client, worker_id="here")
        table = (await client.get(QUEUES, headers={"Accept": "text/plain"})).text
        assert table.splitlines()[1].split()[-1] == "1"

    async def test_other_replica_tells_of_it(self, client: httpx.AsyncClient, database_url: str) -> None:
        await client.put(f"{QUEUES}/default")
        async with replica(database_url) as other:
            await claim_tasks(other, worker_id="there", task_names=["x"])

            async def look() -> bool:
                return await workers_of(client) == {"there": ["x"]}

            assert await eventually(look)


class TestSignOff:
    async def test_who_signs_off_is_gone_and_twice_is_the_same(self, client: httpx.AsyncClient) -> None:
        await client.put(f"{QUEUES}/default")
        await claim_tasks(client, worker_id="a")
        await claim_tasks(client, worker_id="b")
        assert [await sign_off(client, "a") for _ in range(2)] == [204, 204]
        assert list(await workers_of(client)) == ["b"]

    async def test_nobody_has_seen_it(self, client: httpx.AsyncClient) -> None:
        assert await sign_off(client, "nobody", "nowhere") == 204

    async def test_leases_stay(self, client: httpx.AsyncClient) -> None:
        await spawn_task(client)
        held = await claim_task(client)
        assert await sign_off(client, "worker-1") == 204
        assert await workers_of(client) == {}
        assert (await reported(client, held, "complete", result=1))["status"] == "completed"

    async def test_who_claims_again_is_back(self, client: httpx.AsyncClient) -> None:
        await client.put(f"{QUEUES}/default")
        await claim_tasks(client)
        await sign_off(client, "worker-1")
        await claim_tasks(client)
        assert list(await workers_of(client)) == ["worker-1"]

    async def test_what_another_replica_stores_later_does_not_bring_it_back(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        await client.put(f"{QUEUES}/default")
        await sign_off(client, "w")
        before: Parameters = {"queue": "default", "worker_id": "w", "task_names": None, "age": 60.0}
        async with database.transaction() as tx:
            await workers_store.see_workers(tx, [before])
        assert await workers_of(client) == {}
        async with database.transaction() as tx:
            await workers_store.see_workers(tx, [{**before, "age": 0.0}])
        assert list(await workers_of(client)) == ["w"]

    @pytest.mark.parametrize("worker", ["pod/7 ü%2F", "a?b#c", "."])
    async def test_any_name_of_a_worker_is_taken(self, client: httpx.AsyncClient, worker: str) -> None:
        await client.put(f"{QUEUES}/default")
        await claim_tasks(client, worker_id=worker)
        assert list(await workers_of(client)) == [worker]
        if worker != ".":  # that is a place in the path itself
            assert await sign_off(client, worker) == 204
            assert await workers_of(client) == {}

    async def test_bad_name_of_a_queue_is_refused(self, client: httpx.AsyncClient) -> None:
        assert pointers(await client.delete(f"{QUEUES}/9/workers/w")) == ["queue"]
