"""Awaits and emits at the same moment: no task is left asleep on an event that was emitted."""

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest

from tests.concurrency.crowd import SOME, Call, Crowd, Json, race, report, until
from tests.waiting import PATIENCE_SECONDS


def emit(client: httpx.AsyncClient, queue: str, name: str, payload: Any = None, **more: Any) -> Call:
    return client.post(f"/v1/queues/{queue}/events/{name}", json={"payload": payload, **more})


def await_events(client: httpx.AsyncClient, task: Json, **asked: Any) -> Call:
    return report(client, task, "await-event", step_name="step", **asked)


async def held_tasks(crowd: Crowd, queue: str, count: int = SOME, **spec: Any) -> list[Json]:
    await crowd.spawn(queue, spec, count=count)
    return await crowd.claim(queue, count)


async def outcomes_of(crowd: Crowd, queue: str, tasks: list[Json], answers: list[httpx.Response]) -> list[Json]:
    """Return what came of awaiting for each task: those that were put aside are claimed again and have it by then."""
    assert {answer.status_code for answer in answers} == {200}
    told = {task["task_id"]: answer.json() for task, answer in zip(tasks, answers, strict=True)}
    again = {task["task_id"]: task for task in await crowd.claim(queue, len(tasks))}
    suspended = {task_id for task_id, answer in told.items() if answer["outcome"] == "suspended"}
    assert again.keys() == suspended
    assert {task["attempt"] for task in again.values()} <= {1}
    told |= {task_id: task["checkpoints"]["step"] for task_id, task in again.items()}
    return [told[task["task_id"]] for task in tasks]


class TestAwaitAgainstEmit:
    async def test_each_await_receives_its_event(self, crowd: Crowd, queue: str) -> None:
        tasks = await held_tasks(crowd, queue)
        calls: list[Call] = []
        for i, task in enumerate(tasks):
            calls += [await_events(crowd[i], task, event_name=f"event-{i}"), emit(crowd[i + 1], queue, f"event-{i}", i)]
        answers = await race(*calls)
        assert {answer.status_code for answer in answers[1::2]} == {201}
        outcomes = await outcomes_of(crowd, queue, tasks, answers[::2])
        assert outcomes == [{"outcome": "received", "event_name": f"event-{i}", "payload": i} for i in range(SOME)]

    async def test_one_event_wakes_all_who_await_it(self, crowd: Crowd, queue: str) -> None:
        for turn in range(10):
            tasks = await held_tasks(crowd, queue, 40)
            name = f"event-{turn}"
            calls = [await_events(crowd[i], task, event_name=name) for i, task in enumerate(tasks)]
            *answers, emitted, again = await race(
                *calls, emit(crowd[0], queue, name, 0), emit(crowd[1], queue, name, 1), seed=turn
            )
            assert {emitted.status_code, again.status_code} == {200, 201}
            payload = emitted.json()["payload"]
            assert again.json()["payload"] == payload
            outcomes = await outcomes_of(crowd, queue, tasks, answers)
            assert outcomes == [{"outcome": "received", "event_name": name, "payload": payload}] * 40

    async def test_any_of_two_is_enough(self, crowd: Crowd, queue: str) -> None:
        tasks = await held_tasks(crowd, queue)
        calls: list[Call] = []
        for i, task in enumerate(tasks):
            names = [f"a-{i}", f"b-{i}"]
            calls += [await_events(crowd[i], task, any_of=names)]
            calls += [emit(crowd[i + turn], queue, name, name) for turn, name in enumerate(names)]
        answers = await race(*calls)
        outcomes = await outcomes_of(crowd, queue, tasks, answers[::3])
        for i, outcome in enumerate(outcomes):
            assert outcome["event_name"] in {f"a-{i}", f"b-{i}"}
            assert outcome == {
                "outcome": "received",
                "event_name": outcome["event_name"],
                "payload": outcome["event_name"],
            }

    async def test_all_of_two_emitted_at_once_are_received(self, crowd: Crowd, queue: str) -> None:
        tasks = await held_tasks(crowd, queue)
        calls: list[Call] = []
        for i, task in enumerate(tasks):
            names = [f"a-{i}", f"b-{i}"]
            calls += [await_events(crowd[i], task, all_of=names)]
            calls += [emit(crowd[i + turn], queue, name, turn) for turn, name in enumerate(names)]
        answers = await race(*calls)
        outcomes = await outcomes_of(crowd, queue, tasks, answers[::3])
        assert outcomes == [{"outcome": "received", "payload": {f"a-{i}": 0, f"b-{i}": 1}} for i in range(SOME)]

    async def test_overlapping_names_in_opposite_order_do_not_wait_for_each_other(
        self, crowd: Crowd, queue: str
    ) -> None:
        names = [f"event-{i}" for i in range(20)]
        tasks = await held_tasks(crowd, queue)
        calls = [
            await_events(crowd[i], task, all_of=names if i % 4 < 2 else names[::-1]) for i, task in enumerate(tasks)
        ]
        answers = await race(*calls, *(emit(crowd[i], queue, name, i) for i, name in enumerate(names)))
        outcomes = await outcomes_of(crowd, queue, tasks, answers[:SOME])
        assert {str(sorted(outcome["payload"].items())) for outcome in outcomes} == {
            str(sorted(zip(names, range(20), strict=True)))
        }

    async def test_event_of_a_run_wakes_its_tasks_alone(self, crowd: Crowd, queue: str) -> None:
        runs = [run["workflow_run_id"] for run in await crowd.create_runs(50, queue=queue)]
        await crowd.spawn(queue, *({"workflow_run_id": run} for run in runs for _ in range(2)))
        tasks = await crowd.claim(queue, 100)
        calls = [await_events(crowd[i], task, event_name="paid") for i, task in enumerate(tasks)]
        emits = [emit(crowd[i], queue, "paid", i, workflow_run_id=run) for i, run in enumerate(runs[:25])]
        answers = await race(*calls, *emits)
        first = await outcomes_of_some(crowd, queue, tasks, answers[:100], count=50)
        assert first == {task["task_id"]: i // 2 for i, task in enumerate(tasks[:50])}
        assert crowd.count(queue) == {"running": 50, "sleeping": 50}
        assert (await emit(crowd[1], queue, "paid", "all")).status_code == 201
        rest = await crowd.claim(queue, 100)
        assert {task["event_payload"] for task in rest} == {"all"}
        assert len(rest) == 50


async def outcomes_of_some(
    crowd: Crowd, queue: str, tasks: list[Json], answers: list[httpx.Response], *, count: int
) -> dict[str, Any]:
    """Return the payloads of those who received something, by task."""
    told = {task["task_id"]: answer.json() for task, answer in zip(tasks, answers, strict=True)}
    told |= {task["task_id"]: task["checkpoints"]["step"] for task in await crowd.claim(queue, len(tasks))}
    received = {task_id: answer["payload"] for task_id, answer in told.items() if answer["outcome"] == "received"}
    assert len(received) == count
    return received


class TestEndOfAnAwait:
    async def test_time_out_and_emit_have_one_outcome(self, crowd: Crowd, queue: str) -> None:
        tasks = await held_tasks(crowd, queue, 100)
        waits = [
            await_events(crowd[i], task, event_name=f"event-{i}", timeout_seconds=0.2 + i / 400)
            for i, task in enumerate(tasks)
        ]
        assert {answer.json()["outcome"] for answer in await race(*waits)} == {"suspended"}
        for start in range(0, 100, 5):
            await race(*(emit(crowd[i], queue, f"event-{i}", i) for i in range(start, start + 5)))

        async def all_woken() -> bool:
            return crowd.rows("SELECT count(ready_at) FROM tasks WHERE queue = %s", queue) == [(100,)]

        await until(all_woken)
        again = {task["task_id"]: task for task in await crowd.claim(queue, 100)}
        for i, task in enumerate(tasks):
            after = again[task["task_id"]]
            outcome = after["checkpoints"]["step"]
            assert outcome in (
                {"outcome": "timed_out"},
                {"outcome": "received", "event_name": f"event-{i}", "payload": i},
            )
            assert after["event_payload"] == outcome.get("payload")
            repeated = await await_events(crowd[i], after, event_name=f"event-{i}")
            assert repeated.json() == outcome

    @pytest.mark.parametrize("by", ["task", "run"])
    async def test_cancel_and_emit_leave_no_wait_behind(self, crowd: Crowd, queue: str, by: str) -> None:
        runs = [run["workflow_run_id"] for run in await crowd.create_runs(50, queue=queue)]
        await crowd.spawn(queue, *({"workflow_run_id": run} for run in runs for _ in range(2)))
        tasks = await crowd.claim(queue, 100)
        await race(*(await_events(crowd[i], task, event_name=f"event-{i % 7}") for i, task in enumerate(tasks)))
        if by == "task":
            ends = [crowd[i].post(f"/v1/tasks/{task['task_id']}/cancel") for i, task in enumerate(tasks)]
        else:
            ends = [crowd[i].patch(f"/v1/workflow-runs/{run}", json={"status": "failed"}) for i, run in enumerate(runs)]
        answers = await race(*ends, *(emit(crowd[i], queue, f"event-{i}") for i in range(7)))
        assert {answer.status_code for answer in answers} <= {200, 201}
        assert crowd.count(queue) == {"cancelled": 100}
        assert Counter(task["status"] for task in (await crowd.get_tasks([t["task_id"] for t in tasks])).values()) == {
            "cancelled": 100
        }

    async def test_task_that_awaits_again_is_not_woken_by_what_it_awaited_before(
        self, crowd: Crowd, queue: str
    ) -> None:
        tasks = await held_tasks(crowd, queue, 60)
        first = [await_events(crowd[i], task, any_of=[f"a-{i}", f"b-{i}"]) for i, task in enumerate(tasks)]
        await race(*first)

        async def go_on(number: int) -> None:
            await emit(crowd[number], queue, f"a-{number}")
            for task in await crowd.claim(queue, 1, by=number):
                answer = await report(
                    crowd[number], task, "await-event", step_name="next", event_name=f"next-{task['task_id']}"
                )
                assert answer.json() == {"outcome": "suspended"}

        async def emit_late(number: int) -> None:
            assert (await emit(crowd[number + 1], queue, f"b-{number}")).status_code == 201

        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(*(go_on(i) for i in range(60)), *(emit_late(i) for i in range(60)))
        while more := await crowd.claim(queue, 60):
            await race(
                *(report(crowd[0], t, "await-event", step_name="next", event_name=f"next-{t['task_id']}") for t in more)
            )
        assert crowd.rows("SELECT count(*) FROM tasks WHERE queue = %s AND wait_step = 'next'", queue) == [(60,)]
