"""Two replicas fire the same schedules: each slot once, in order, and never more at once than there may be."""

import asyncio
from itertools import count
from typing import Any

import httpx
import pytest

from tests.api.test_schedules import SCHEDULES, Json, address, document
from tests.concurrency.crowd import Call, Crowd, race, until
from tests.waiting import PATIENCE_SECONDS

START = "2025-01-01T00:00:00Z"
TWENTY_MINUTES = "2025-01-01T00:20:00Z"
HOUR = "2025-01-01T01:00:00Z"
SLOTS = 20
"""Slots of every minute up to `TWENTY_MINUTES`; the first is a minute after `START`."""
_numbers = count(1)


@pytest.fixture
async def workflow(crowd: Crowd) -> str:
    """Return the name of a definition of its own, with one task that nobody claims."""
    name = f"workflow_{next(_numbers)}"
    response = await crowd[0].post("/v1/workflows", json=document(name=name))
    assert response.status_code == 201, response.text
    return name


async def make(client: httpx.AsyncClient, workflow: str, **changes: Any) -> Json:
    body = {"workflow_name": workflow, "cron": "* * * * *", "start_at": START, "end_at": TWENTY_MINUTES, **changes}
    response = await client.post(SCHEDULES, json=body)
    assert response.status_code == 201, response.text
    schedule: Json = response.json()
    return schedule


def fired(crowd: Crowd, schedule: Json) -> list[Any]:
    """Return when the runs of a schedule were due, in the order in which they were created."""
    query = "SELECT data_interval_end FROM workflow_runs WHERE schedule_id = %s ORDER BY created_at, workflow_run_id"
    return [row[0] for row in crowd.rows(query, schedule["schedule_id"])]


def backfill(client: httpx.AsyncClient, schedule: Json, end: str = HOUR) -> Call:
    return client.post(address(schedule, "backfill"), json={"start": START, "end": end})


class TestTwoReplicas:
    async def test_each_slot_fires_once_and_in_order(self, crowd: Crowd, workflow: str) -> None:
        made = [await make(crowd[i], workflow, catchup=True, max_active_runs=1000) for i in range(12)]

        async def all_fired() -> bool:
            return all(len(fired(crowd, schedule)) >= SLOTS for schedule in made)

        await until(all_fired)
        for schedule in made:
            slots = fired(crowd, schedule)
            assert slots == sorted(set(slots))

    async def test_no_more_are_open_than_there_may_be(self, crowd: Crowd, workflow: str) -> None:
        made = [await make(crowd[i], workflow, catchup=True, max_active_runs=2, queue=workflow) for i in range(4)]
        ids = [schedule["schedule_id"] for schedule in made]
        query = (
            "SELECT count(*) FROM workflow_runs WHERE status = 'running' AND schedule_id = ANY(%s) GROUP BY schedule_id"
        )
        worked = 0

        async def work(replica: int) -> None:
            nonlocal worked
            while worked < 30:
                for task in await crowd.claim(workflow, 3, by=replica):
                    done = await crowd[replica].post(
                        f"/v1/tasks/{task['task_id']}/complete", json={"lease_token": task["lease_token"]}
                    )
                    assert done.status_code == 200, done.text
                    worked += 1
                assert max((amount for (amount,) in crowd.rows(query, ids)), default=0) <= 2

        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(work(0), work(1))
        for schedule in made:
            slots = fired(crowd, schedule)
            assert slots == sorted(set(slots))


class TestBackfill:
    async def test_at_once_on_both_each_slot_gets_one_run(self, crowd: Crowd, workflow: str) -> None:
        made = [await make(crowd[0], workflow, paused=True) for _ in range(3)]
        calls = [backfill(crowd[i], schedule) for i in range(4) for schedule in made]
        answers = await race(*calls)
        assert {answer.status_code for answer in answers} == {201}
        assert sum(len(answer.json()["items"]) for answer in answers) == 3 * 60
        for schedule in made:
            slots = fired(crowd, schedule)
            assert len(slots) == len(set(slots)) == 60

    async def test_against_catch_up_each_slot_gets_one_run(self, crowd: Crowd, workflow: str) -> None:
        made = [
            await make(crowd[0], workflow, paused=True, catchup=True, max_active_runs=1000, end_at=HOUR)
            for _ in range(4)
        ]
        calls: list[Call] = []
        for i, schedule in enumerate(made):
            calls += [crowd[i].post(address(schedule, "resume")), backfill(crowd[i + 1], schedule)]
        assert {answer.status_code for answer in await race(*calls)} == {200, 201}

        async def is_over() -> bool:
            answers = await asyncio.gather(*(crowd[0].get(address(schedule)) for schedule in made))
            return all(answer.json()["next_fire_at"] is None for answer in answers)

        await until(is_over)
        for schedule in made:
            slots = fired(crowd, schedule)
            assert len(slots) == len(set(slots)) == 61


class TestChanges:
    async def test_pausing_changing_and_deleting_while_it_fires(self, crowd: Crowd, workflow: str) -> None:
        for turn in range(5):
            made = [await make(crowd[i], workflow, catchup=True, max_active_runs=5) for i in range(6)]
            calls: list[Call] = []
            for i, schedule in enumerate(made):
                calls += [
                    crowd[i].post(address(schedule, "pause")),
                    crowd[i + 1].post(address(schedule, "resume")),
                    crowd[i].patch(address(schedule), json={"cron": "*/2 * * * *", "max_active_runs": 9}),
                    backfill(crowd[i + 1], schedule, TWENTY_MINUTES),
                    crowd[i].delete(address(schedule)),
                ]
            answers = await race(*calls, seed=turn)
            assert {answer.status_code for answer in answers} <= {200, 201, 204, 404}
            assert {answer.status_code for answer in answers[4::5]} == {204}
            for schedule in made:
                slots = fired(crowd, schedule)
                assert len(slots) == len(set(slots))

    async def test_paused_schedule_has_fired_its_last(self, crowd: Crowd, workflow: str) -> None:
        schedule = await make(crowd[0], workflow, catchup=True, max_active_runs=1000, end_at="2025-01-02T00:00:00Z")
        assert (await crowd[1].post(address(schedule, "pause"))).status_code == 200
        slots = fired(crowd, schedule)
        other = await make(crowd[0], workflow, catchup=True, max_active_runs=1000)

        async def other_has_fired() -> bool:
            return bool(fired(crowd, other))

        await until(other_has_fired)
        assert fired(crowd, schedule) == slots
