"""Many claimers of two replicas on one queue: no task is held twice, and no more run than are allowed."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.concurrency.crowd import Crowd, Json, race, report
from tests.waiting import PATIENCE_SECONDS

CLAIMERS = 24


async def work_off(crowd: Crowd, queue: str, number: int, left: set[str], limit: int) -> None:
    """Claim and complete in one call, again and again, until nothing is ``left``."""
    done: list[Json] = []
    claim = {"worker_id": f"worker-{number}", "limit": limit, "wait_seconds": 0.2}
    while left:
        answer = await crowd[number].post(f"/v1/queues/{queue}/complete", json={"tasks": done, "claim": claim})
        assert answer.status_code == 200, answer.text
        assert {outcome["status"] for outcome in answer.json()["outcomes"]} <= {200}
        left -= {task["task_id"] for task in done}
        done = [{key: task[key] for key in ("task_id", "lease_token")} for task in answer.json()["tasks"]]


@asynccontextmanager
async def sampling(crowd: Crowd, query: str, *values: Any) -> AsyncIterator[list[Any]]:
    """Give what a query finds, taken over and over while the block runs."""
    found: list[Any] = []
    async with asyncio.timeout(PATIENCE_SECONDS):

        async def sample() -> None:
            while True:
                found.append((await asyncio.to_thread(crowd.rows, query, *values))[0][0])

        task = asyncio.create_task(sample())
        try:
            yield found
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


RUNNING = "SELECT count(*) FROM tasks WHERE queue = %s AND status = 'running'"
RUNNING_OF_A_KEY = """
    SELECT coalesce(max(amount), 0) FROM (
        SELECT count(*) AS amount FROM tasks WHERE queue = %s AND status = 'running' GROUP BY concurrency_key
    ) AS key
"""


class TestClaimers:
    @pytest.mark.parametrize("limits", [(1,), (7,), (1, 10, 100)])
    async def test_each_task_goes_to_one_of_many_claimers(
        self, crowd: Crowd, queue: str, limits: tuple[int, ...]
    ) -> None:
        ids = await crowd.spawn(queue, count=600)
        claims = [crowd.claim(queue, limits[i % len(limits)], by=i) for i in range(600 // sum(limits) * len(limits))]
        claimed = [task for tasks in await asyncio.gather(*claims) for task in tasks]
        while more := await crowd.claim(queue, 100):
            claimed += more
        assert Counter(task["task_id"] for task in claimed) == Counter(ids)
        assert len({task["lease_token"] for task in claimed}) == len(ids)
        assert {task["attempt"] for task in claimed} == {1}

    async def test_batch_is_claimed_in_the_order_in_which_it_was_spawned(self, crowd: Crowd, queue: str) -> None:
        keys = random.Random(0).sample(range(1000), 50)  # noqa: S311 - chance, not a secret
        ids = await crowd.spawn(queue, *({"idempotency_key": f"key-{key}"} for key in keys))
        assert [task["task_id"] for task in await crowd.claim(queue, 50)] == ids

    async def test_all_is_worked_off_once(self, crowd: Crowd, queue: str) -> None:
        left = set(await crowd.spawn(queue, count=1000))
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(*(work_off(crowd, queue, i, left, 1 + 7 * (i % 3)) for i in range(CLAIMERS)))
        assert crowd.count(queue) == {"completed": 1000}

    async def test_each_final_call_sent_twice_finishes_an_attempt_once(self, crowd: Crowd, queue: str) -> None:
        await crowd.spawn(queue, {"max_attempts": 3}, count=100)
        for _ in range(3):
            held = await crowd.claim(queue, 100)
            answers = await race(
                *(report(crowd[i], task, "fail", error={"name": "E"}) for task in held for i in range(2))
            )
            assert {answer.status_code for answer in answers} == {200}
            assert [a.text for a in answers[::2]] == [a.text for a in answers[1::2]]
        assert crowd.count(queue) == {"failed": 100}
        assert crowd.rows("SELECT count(*) FROM task_attempts JOIN tasks USING (task_id) WHERE queue = %s", queue) == [
            (300,)
        ]

    async def test_same_completions_in_opposite_order_are_all_answered_alike(self, crowd: Crowd, queue: str) -> None:
        await crowd.spawn(queue, count=300)
        held = await crowd.claim(queue, 300)
        done = [{"task_id": task["task_id"], "lease_token": task["lease_token"]} for task in held]
        calls = [
            crowd[i].post(f"/v1/queues/{queue}/complete", json={"tasks": done if i % 4 < 2 else done[::-1]})
            for i in range(12)
        ]
        for answer in await race(*calls):
            assert {outcome["status"] for outcome in answer.json()["outcomes"]} == {200}
        assert crowd.count(queue) == {"completed": 300}


class TestConcurrencyKey:
    async def test_one_task_of_a_key_runs_at_a_time(self, crowd: Crowd, queue: str) -> None:
        left = set(await crowd.spawn(queue, *({"concurrency_key": f"key-{i % 7}"} for i in range(250))))
        async with sampling(crowd, RUNNING_OF_A_KEY, queue) as most, asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(*(work_off(crowd, queue, i, left, 1 + 4 * (i % 3)) for i in range(CLAIMERS)))
        assert crowd.count(queue) == {"completed": 250}
        assert max(most) == 1

    async def test_claims_of_two_replicas_share_out_the_keys(self, crowd: Crowd, queue: str) -> None:
        """Two claims of one moment want the same keys in another order."""
        for turn in range(20):
            keys = [*range(10), *range(9, -1, -1)]
            await crowd.spawn(queue, *({"concurrency_key": f"{turn}-{key}"} for key in keys))
            claims = await asyncio.gather(crowd.claim(queue, 10, by=0), crowd.claim(queue, 10, by=1))
            held = [task for tasks in claims for task in tasks]
            held += await crowd.claim(queue, 10)
            assert len(held) == 10
            assert {
                a.status_code for a in await race(*(report(crowd[i], t, "complete") for i, t in enumerate(held)))
            } == {200}
            rest = await crowd.claim(queue, 20)
            assert len(rest) == 10
            await race(*(report(crowd[i], task, "complete") for i, task in enumerate(rest)))

    async def test_tasks_of_a_taken_key_do_not_stand_in_the_way_of_others(self, crowd: Crowd, queue: str) -> None:
        ids = await crowd.spawn(queue, *[{"concurrency_key": "hot"}] * 30, {}, {"concurrency_key": "cold"}, {})
        claims = await asyncio.gather(*(crowd.claim(queue, 1) for _ in range(4)))
        assert {task["task_id"] for tasks in claims for task in tasks} == {ids[0], *ids[30:]}


class TestMaxConcurrency:
    async def test_no_more_run_than_are_allowed(self, crowd: Crowd, queue: str) -> None:
        await crowd[0].put(f"/v1/queues/{queue}", json={"max_concurrency": 5})
        left = set(await crowd.spawn(queue, count=200))
        async with sampling(crowd, RUNNING, queue) as running, asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(*(work_off(crowd, queue, i, left, 1 + 2 * (i % 3)) for i in range(CLAIMERS)))
        assert crowd.count(queue) == {"completed": 200}
        assert max(running) <= 5

    async def test_limit_that_is_lowered_and_raised_holds_for_claims_that_come_after(
        self, crowd: Crowd, queue: str
    ) -> None:
        left = set(await crowd.spawn(queue, count=300))
        workers = [asyncio.create_task(work_off(crowd, queue, i, left, 3)) for i in range(CLAIMERS)]
        for turn in range(10):
            most = (2, None, 7)[turn % 3]
            changed = await crowd[turn].patch(f"/v1/queues/{queue}", json={"max_concurrency": most})
            assert changed.status_code == 200
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(*workers)
        assert crowd.count(queue) == {"completed": 300}

    async def test_nothing_is_claimed_after_a_pause_was_answered(self, crowd: Crowd, queue: str) -> None:
        await crowd.spawn(queue, count=400)
        for turn in range(10):
            early = [asyncio.create_task(crowd.claim(queue, 2, by=i)) for i in range(10)]
            paused = await crowd[turn].patch(f"/v1/queues/{queue}", json={"paused": True})
            assert paused.status_code == 200
            late = await asyncio.gather(*(crowd.claim(queue, 2, by=i) for i in range(6)))
            assert late == [[]] * 6
            await asyncio.gather(*early)
            await crowd[turn].patch(f"/v1/queues/{queue}", json={"paused": False})
        assert crowd.count(queue)["pending"] > 0

    async def test_queue_that_is_deleted_while_a_task_is_spawned_still_hands_it_out(
        self, crowd: Crowd, queue: str
    ) -> None:
        for turn in range(30):
            await crowd[0].put(f"/v1/queues/{queue}")
            spawned, deleted = await race(
                crowd[0].post("/v1/tasks", json={"task_name": "work", "queue": queue}),
                crowd[1].delete(f"/v1/queues/{queue}"),
                seed=turn,
            )
            assert spawned.status_code == 201
            assert deleted.status_code in {204, 409}
            (task,) = await crowd.claim(queue)
            assert (await report(crowd[0], task, "heartbeat")).status_code == 200
            assert (await report(crowd[0], task, "complete")).status_code == 200
