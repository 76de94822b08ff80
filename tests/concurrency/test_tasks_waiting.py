"""Claims that wait: they get what comes at once, cost nothing while nothing comes, and pass on what is not for them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import event

from app.api.kernel import Kernel
from app.db.sessions import Connection
from app.db.wakeups import Wakeups, queue_topic
from app.services import claims
from milepost.schemas.tasks import Claim
from tests.concurrency.crowd import Json, report
from tests.conftest import make_client
from tests.lock_order import watching
from tests.replicas import running_app
from tests.waiting import PROMPT_SECONDS, eventually

ROUNDS = 15


class Replica:
    """One replica, and who waits in it."""

    def __init__(self, app: FastAPI, client: httpx.AsyncClient) -> None:
        self.kernel: Kernel = app.state.kernel
        self.client = client
        self.looks = 0
        self._connections: set[Connection] = set()
        event.listen(self.kernel.database._engine.sync_engine, "checkout", self._take_note)

    def _take_note(self, connection: Any, _entry: object, _proxy: object) -> None:
        self._connections.add(connection.driver_connection)

    def count(self, connection: Connection, statement: str) -> None:
        """Count a look for tasks of this replica."""
        self.looks += connection in self._connections and "has_expired" in statement

    def waiters(self, queue: str) -> int:
        waiters = self.kernel.wakeups._waiters
        return sum(len(waiters.get(queue_topic(queue, choosy=choosy), ())) for choosy in (False, True))

    async def start_claims(self, queue: str, count: int = 1, **claim: Any) -> list[asyncio.Task[list[Json]]]:
        """Return claims that have looked, found nothing and wait now."""
        waiting = self.waiters(queue)
        tasks = [asyncio.create_task(self.claim(queue, **{"wait_seconds": 30} | claim)) for _ in range(count)]

        async def all_wait() -> bool:
            return self.waiters(queue) == waiting + count

        await eventually(all_wait)
        await self.claim("unused")  # shares a batch with their looks, or follows them
        await self.claim("unused")
        return tasks

    async def claim(self, queue: str, **claim: Any) -> list[Json]:
        answer = await self.client.post(f"/v1/queues/{queue}/claim", json={"worker_id": "worker", **claim})
        assert answer.status_code == 200, answer.text
        tasks: list[Json] = answer.json()["tasks"]
        return tasks

    async def spawn(self, queue: str, **spec: Any) -> str:
        answer = await self.client.post("/v1/tasks", json={"task_name": "work", "queue": queue, **spec})
        assert answer.status_code == 201, answer.text
        task_id: str = answer.json()["task_id"]
        return task_id


@pytest.fixture(scope="module")
async def pair(new_database: Any) -> AsyncIterator[tuple[Replica, Replica]]:
    url = new_database()
    settings = {"housekeeping_seconds": 0.5}
    async with (
        running_app(url, **settings) as one,
        running_app(url, **settings) as other,
        make_client(one) as to_one,
        make_client(other) as to_other,
    ):
        replicas = Replica(one, to_one), Replica(other, to_other)

        async def all_listen() -> bool:
            return all(replica.kernel.wakeups.listening for replica in replicas)

        await eventually(all_listen)
        with watching(replicas[0].count), watching(replicas[1].count):
            yield replicas


Pair = tuple[Replica, Replica]


async def gets(claiming: asyncio.Task[list[Json]], task_id: str) -> None:
    """Return when a claim that waits has got the task, and not by looking for itself."""
    async with asyncio.timeout(PROMPT_SECONDS):
        (task,) = await claiming
    assert task["task_id"] == task_id


class TestWaitingClaim:
    @pytest.mark.parametrize("spawner", [0, 1], ids=["same_replica", "other_replica"])
    async def test_spawned_task_is_there_at_once(self, pair: Pair, queue: str, spawner: int) -> None:
        for _ in range(ROUNDS):
            (claiming,) = await pair[0].start_claims(queue)
            await gets(claiming, await pair[spawner].spawn(queue))

    async def test_choosy_claim_gets_what_it_waits_for(self, pair: Pair, queue: str) -> None:
        for turn in range(4):
            (choosy,) = await pair[turn % 2].start_claims(queue, task_names=["this"])
            (any_work,) = await pair[turn % 2].start_claims(queue)
            other = await pair[0].spawn(queue, task_name="other")
            await gets(any_work, other)
            assert not choosy.done()
            this = await pair[0].spawn(queue, task_name="this")
            await gets(choosy, this)

    async def test_task_that_falls_due_wakes_it(self, pair: Pair, queue: str) -> None:
        delayed = [await replica.spawn(queue, delay_seconds=0.3) for replica in pair]
        claiming = [*await pair[0].start_claims(queue), *await pair[1].start_claims(queue)]
        async with asyncio.timeout(PROMPT_SECONDS):
            got = [tasks[0] for tasks in await asyncio.gather(*claiming)]
        assert {task["task_id"] for task in got} == set(delayed)
        for task in got:
            await report(pair[0].client, task, "sleep", seconds=0.3)
        claiming = await pair[1].start_claims(queue, 2)
        async with asyncio.timeout(PROMPT_SECONDS):
            await asyncio.gather(*claiming)

    @pytest.mark.parametrize("limit", ["max_concurrency", "concurrency_key", "paused"])
    async def test_place_that_gets_free_wakes_it(self, pair: Pair, queue: str, limit: str) -> None:
        settings = {"max_concurrency": {"max_concurrency": 1}, "paused": {"paused": True}}.get(limit, {})
        spec = {"concurrency_key": "k"} if limit == "concurrency_key" else {}
        assert (await pair[0].client.put(f"/v1/queues/{queue}", json=settings)).status_code == 201
        first, second = [await pair[0].spawn(queue, **spec) for _ in range(2)]
        running = await pair[0].claim(queue)
        (claiming,) = await pair[1].start_claims(queue)
        if limit == "paused":
            assert running == []
            await pair[0].client.patch(f"/v1/queues/{queue}", json={"paused": False})
            await gets(claiming, first)
        else:
            assert (await report(pair[0].client, running[0], "complete")).status_code == 200
            await gets(claiming, second)

    async def test_event_wakes_it(self, pair: Pair, queue: str) -> None:
        task_id = await pair[0].spawn(queue)
        (held,) = await pair[0].claim(queue)
        await report(pair[0].client, held, "await-event", step_name="s", event_name="e")
        (claiming,) = await pair[1].start_claims(queue)
        await pair[0].client.post(f"/v1/queues/{queue}/events/e")
        await gets(claiming, task_id)


class TestNewsForOneWhoLeaves:
    def test_is_handed_on_to_the_next(self) -> None:
        wakeups = Wakeups("postgresql://nowhere/none")
        topic = queue_topic("q")
        with wakeups.waiting(topic) as first, wakeups.waiting(topic) as last:
            with wakeups.waiting(topic):
                wakeups.publish(set(), {"q": 3})
                first._news.clear()
                last._news.clear()
            assert [first.is_woken, last.is_woken] == [True, False]

    async def test_claims_that_come_and_go_leave_no_task_lying(self, pair: Pair, queue: str) -> None:
        """A claim is told of a task while it gets another or gives up: somebody else has to be told then."""
        over = asyncio.Event()
        arrived: asyncio.Queue[str] = asyncio.Queue()

        async def come_and_go(number: int) -> None:
            while not over.is_set():
                for task in await pair[number % 2].claim(queue, wait_seconds=(0, 0.01, 0.05, 0.1)[number % 4]):
                    arrived.put_nowait(task["task_id"])

        async def stay(number: int) -> None:
            while not over.is_set():
                for task in await pair[number % 2].claim(queue, wait_seconds=30):
                    arrived.put_nowait(task["task_id"])

        workers = [asyncio.create_task(work(number)) for work in (come_and_go, stay) for number in range(8)]
        for turn in range(80):
            spawned = {await pair[turn % 2].spawn(queue), await pair[0].spawn(queue)}
            async with asyncio.timeout(PROMPT_SECONDS):
                while spawned:
                    spawned -= {await arrived.get()}
        over.set()
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    async def test_claimer_who_is_gone_does_not_swallow_a_task(self, pair: Pair, queue: str) -> None:
        kernel = pair[0].kernel

        claim = Claim(worker_id="gone", wait_seconds=30)
        gone = [asyncio.create_task(claims.claim_tasks(kernel, queue, claim, None, Gone())) for _ in range(5)]

        async def gone_wait() -> bool:
            return pair[0].waiters(queue) == len(gone)

        await eventually(gone_wait)
        (claiming,) = await pair[0].start_claims(queue)
        await gets(claiming, await pair[1].spawn(queue))
        async with asyncio.timeout(PROMPT_SECONDS):
            while not all(task.done() for task in gone):
                await pair[0].spawn(queue)
        assert [task.result().tasks for task in gone] == [[]] * 5


class Gone:
    """Who does not wait for the answer any more."""

    async def is_gone(self) -> bool:
        return True

    async def check_key(self) -> None:
        pass


class TestFiveHundredWaiting:
    async def test_they_cost_nothing_and_one_task_wakes_about_one(self, pair: Pair, queue: str) -> None:
        replica = pair[0]
        waiting = await replica.start_claims(queue, 500, wait_seconds=60)
        loop = asyncio.get_running_loop()
        replica.looks = 0
        idle_until = loop.time() + 2

        async def time_is_over() -> bool:
            return loop.time() > idle_until

        await eventually(time_is_over)
        assert replica.looks == 0
        spawned = await pair[1].spawn(queue)
        async with asyncio.timeout(PROMPT_SECONDS):
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        assert [task["task_id"] for one in done for task in one.result()] == [spawned]
        assert replica.looks <= 3
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

        async def all_left() -> bool:
            return replica.waiters(queue) == 0

        await eventually(all_left)
