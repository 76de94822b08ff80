"""Two things happen to one task or run at the same moment: one of them comes first, and both are told so."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.db.batching import TRIES_MOST, Batching, batched
from app.db.engine import Database, Tx
from tests.concurrency.crowd import SOME, Call, Crowd, Json, outcome, pairs, race, report, until
from tests.factories import RUNS, address
from tests.waiting import PATIENCE_SECONDS


def cancel(client: httpx.AsyncClient, task: Json) -> Call:
    return client.post(f"/v1/tasks/{task['task_id']}/cancel")


def end_run(client: httpx.AsyncClient, run: Json, status: str, **change: Any) -> Call:
    return client.patch(address(run), json={"status": status, **change})


def spawn_into(client: httpx.AsyncClient, run: Json, queue: str, **spec: Any) -> Call:
    return client.post(address(run, "tasks"), json={"task_name": "work", "queue": queue, **spec})


async def held_tasks(crowd: Crowd, queue: str, count: int = SOME, **spec: Any) -> list[Json]:
    """Return claimed tasks, in the order of their spawn."""
    await crowd.spawn(queue, spec, count=count)
    return await crowd.claim(queue, count)


async def runs_with_held_tasks(crowd: Crowd, queue: str, count: int, each: int = 1) -> list[tuple[Json, list[Json]]]:
    """Return new runs, each with its claimed tasks."""
    runs = await crowd.create_runs(count, queue=queue)
    await crowd.spawn(queue, *({"workflow_run_id": run["workflow_run_id"]} for run in runs for _ in range(each)))
    tasks = await crowd.claim(queue, count * each)
    return [(run, tasks[i * each : (i + 1) * each]) for i, run in enumerate(runs)]


def expire_soon(crowd: Crowd, queue: str) -> None:
    """Let the leases of a queue expire one after the other within the next half second."""
    crowd.rows(
        """
        UPDATE tasks SET lease_expires_at = clock_timestamp() + random() * interval '0.5 seconds'
        WHERE queue = %s AND status = 'running' RETURNING 1
        """,
        queue,
    )


class TestCompleteAgainstCancel:
    async def test_first_of_them_decides_and_both_are_told(self, crowd: Crowd, queue: str) -> None:
        tasks = await held_tasks(crowd, queue)
        calls = [(report(crowd[i], t, "complete", result=i), cancel(crowd[i + 1], t)) for i, t in enumerate(tasks)]
        seen: Counter[tuple[str, str]] = Counter()
        answers = pairs(await race(*(call for pair in calls for call in pair)))
        after = await crowd.get_tasks([task["task_id"] for task in tasks])
        for task, (completed, cancelled) in zip(tasks, answers, strict=True):
            assert cancelled.status_code == 200
            status = after[task["task_id"]]["status"]
            seen[outcome(completed), status] += 1
            assert cancelled.json()["status"] == status
        assert set(seen) <= {("ok", "completed"), ("task-cancelled", "cancelled")}

    async def test_fail_that_is_retried_is_cancelled_all_the_same(self, crowd: Crowd, queue: str) -> None:
        tasks = await held_tasks(crowd, queue, max_attempts=2)
        calls = [(report(crowd[i], t, "fail"), cancel(crowd[i + 1], t)) for i, t in enumerate(tasks)]
        answers = pairs(await race(*(call for pair in calls for call in pair)))
        assert {outcome(failed) for failed, _ in answers} <= {"ok", "task-cancelled"}
        assert crowd.count(queue) == {"cancelled": SOME}
        attempts = {
            task_id: task["attempt"] for task_id, task in (await crowd.get_tasks([t["task_id"] for t in tasks])).items()
        }
        for task, (failed, _) in zip(tasks, answers, strict=True):
            assert attempts[task["task_id"]] == (2 if failed.is_success else 1)

    async def test_last_fail_and_cancel_have_one_outcome(self, crowd: Crowd, queue: str) -> None:
        tasks = await held_tasks(crowd, queue)
        calls = [(report(crowd[i], t, "fail"), cancel(crowd[i + 1], t)) for i, t in enumerate(tasks)]
        answers = pairs(await race(*(call for pair in calls for call in pair)))
        after = await crowd.get_tasks([task["task_id"] for task in tasks])
        for task, (failed, cancelled) in zip(tasks, answers, strict=True):
            now = after[task["task_id"]]
            assert (outcome(failed), now["status"]) in {("ok", "failed"), ("task-cancelled", "cancelled")}
            assert cancelled.json() == now


class TestLeaseExpiry:
    @pytest.mark.parametrize("claimers", [0, 4], ids=["found_by_the_housekeeping", "found_by_claims"])
    async def test_each_attempt_is_completed_or_lost(self, crowd: Crowd, queue: str, claimers: int) -> None:
        tasks = await held_tasks(crowd, queue, 400)
        expire_soon(crowd, queue)
        again: list[Json] = []
        answers: list[httpx.Response] = []

        async def complete() -> None:
            for start in range(0, len(tasks), 8):
                answers.extend(await race(*(report(crowd[i], t, "complete") for i, t in enumerate(tasks[start:][:8]))))

        async def claim(number: int) -> None:
            while not done.is_set():
                again.extend(await crowd.claim(queue, 3, by=number, lease_seconds=3600))

        done = asyncio.Event()
        claiming = [asyncio.create_task(claim(number)) for number in range(claimers)]
        await complete()

        async def none_is_late() -> bool:
            late = "SELECT 1 FROM tasks WHERE queue = %s AND lease_expires_at <= now() LIMIT 1"
            return not crowd.rows(late, queue)

        await until(none_is_late)
        done.set()
        await asyncio.gather(*claiming)
        again += await crowd.claim(queue, 400)
        assert Counter(map(outcome, answers)).keys() <= {"ok", "lease-lost"}
        lost = {task["task_id"] for task, answer in zip(tasks, answers, strict=True) if not answer.is_success}
        assert sorted(task["task_id"] for task in again) == sorted(lost)
        assert {task["attempt"] for task in again} <= {2}
        past = crowd.rows(
            """
            SELECT attempt.status, attempt.reason FROM task_attempts AS attempt JOIN tasks USING (task_id)
            WHERE queue = %s
            """,
            queue,
        )
        assert past == [("failed", "lost")] * len(lost)
        assert crowd.count(queue)["completed"] == len(tasks) - len(lost)

    async def test_late_completion_never_touches_what_a_retry_opened(self, crowd: Crowd, queue: str) -> None:
        tasks = await held_tasks(crowd, queue, max_lost=0)
        expire_soon(crowd, queue)

        async def all_failed() -> bool:
            return crowd.count(queue)["failed"] == SOME

        await until(all_failed)
        calls = [
            (report(crowd[i], t, "complete"), crowd[i + 1].post(f"/v1/tasks/{t['task_id']}/retry"))
            for i, t in enumerate(tasks)
        ]
        answers = pairs(await race(*(call for pair in calls for call in pair)))
        assert {(outcome(late), outcome(retried)) for late, retried in answers} == {("lease-lost", "ok")}
        assert crowd.count(queue) == {"pending": SOME}
        newer = await crowd.claim(queue, SOME)
        old = {task["task_id"]: task for task in tasks}
        calls = [
            (report(crowd[i // 2], old[t["task_id"]], "complete"), report(crowd[i // 2], t, "complete", result=2))
            for i, t in enumerate(newer)
        ]
        answers = pairs(await race(*(call for pair in calls for call in pair)))
        assert {(outcome(late), outcome(completed)) for late, completed in answers} == {("lease-lost", "ok")}
        assert {answer.json()["result"] for _, answer in answers} == {2}

    async def test_heartbeat_and_expiry_leave_a_lease_or_none(self, crowd: Crowd, queue: str) -> None:
        tasks = await held_tasks(crowd, queue)
        expire_soon(crowd, queue)
        answers = []
        for start in range(0, SOME, 8):
            calls = [report(crowd[i], t, "heartbeat", lease_seconds=60) for i, t in enumerate(tasks[start:][:8])]
            answers += await race(*calls)
        kept = sum(answer.is_success for answer in answers)

        async def others_are_lost() -> bool:
            return crowd.count(queue)["running"] == kept

        await until(others_are_lost)
        assert {outcome(answer) for answer in answers} <= {"ok", "lease-lost"}


class TestEndOfARun:
    @pytest.mark.parametrize("status", ["failed", "cancelled", "completed"])
    async def test_task_spawned_at_the_same_moment_is_cancelled_or_refused(
        self, crowd: Crowd, queue: str, status: str
    ) -> None:
        runs = await crowd.create_runs(SOME // 2, queue=queue)
        calls: list[Call] = []
        for i, run in enumerate(runs):
            calls += [spawn_into(crowd[0], run, queue), end_run(crowd[i], run, status, open_tasks="cancel")]
            calls += [spawn_into(crowd[1], run, queue)]
        answers = await race(*calls)
        assert {a.status_code for a in answers[1::3]} == {200}
        assert {outcome(a) for a in answers[::3] + answers[2::3]} <= {"ok", "move-not-allowed"}
        spawned = sum(a.is_success for a in answers[::3] + answers[2::3])
        assert crowd.count(queue) == Counter({"cancelled": spawned})
        assert await crowd.claim(queue, 1000) == []

    @pytest.mark.parametrize("status", ["failed", "cancelled"])
    async def test_claim_and_completion_of_its_tasks_come_before_or_are_refused(
        self, crowd: Crowd, queue: str, status: str
    ) -> None:
        runs = await runs_with_held_tasks(crowd, queue, 60, each=4)
        await crowd.spawn(queue, *({"workflow_run_id": run["workflow_run_id"]} for run, _ in runs for _ in range(2)))
        ends = [end_run(crowd[i], run, status) for i, (run, _) in enumerate(runs)]
        completions = [report(crowd[0], task, "complete") for _, tasks in reversed(runs) for task in tasks[:2]]
        batches = [
            crowd[i].post(
                f"/v1/queues/{queue}/complete",
                json={
                    "tasks": [
                        {k: t[k] for k in ("task_id", "lease_token")} for _, ts in runs[i::12][::-1] for t in ts[:1:-1]
                    ],
                    "claim": {"worker_id": "w", "limit": 5},
                },
            )
            for i in range(12)
        ]
        answers = await race(*ends, *completions, *batches)
        assert {answer.status_code for answer in answers[: len(ends)]} == {200}
        assert {outcome(answer) for answer in answers[len(ends) : -12]} <= {"ok", "task-cancelled"}
        codes = {item["code"] for answer in answers[-12:] for item in answer.json()["outcomes"]}
        assert codes <= {None, "task-cancelled"}
        completed = sum(answer.is_success for answer in answers[len(ends) : -12])
        completed += sum(item["status"] == 200 for answer in answers[-12:] for item in answer.json()["outcomes"])
        assert crowd.count(queue) == Counter({"completed": completed, "cancelled": 60 * 6 - completed})
        for run, _ in runs:
            progress = (await crowd[0].get(address(run))).json()["progress"]
            assert (progress["total"], progress["percent"]) == (6, 100)

    async def test_spawning_without_a_pause_does_not_keep_a_run_from_ending(self, crowd: Crowd, queue: str) -> None:
        (run,) = await crowd.create_runs(1, queue=queue)
        refused = asyncio.Event()

        async def spawn_on(number: int) -> None:
            while (answer := await spawn_into(crowd[number], run, queue)).status_code == 201:
                pass
            assert answer.status_code == 409
            refused.set()

        spawning = [asyncio.create_task(spawn_on(number)) for number in range(8)]
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert (await end_run(crowd[0], run, "failed")).status_code == 200
            await asyncio.gather(*spawning)


class TestCancelOfARun:
    async def test_running_task_ends_before_or_is_cancelled(self, crowd: Crowd, queue: str) -> None:
        runs = await runs_with_held_tasks(crowd, queue, 60, each=3)
        calls: list[Call] = []
        for i, (run, tasks) in enumerate(runs):
            calls += [
                crowd[i].post(address(run, "cancel"), json={"grace_seconds": 60}),
                report(crowd[i + 1], tasks[0], "complete"),
                report(crowd[i], tasks[1], "fail"),
                report(crowd[i + 1], tasks[2], "release" if i % 2 else "complete"),
            ]
        answers = await race(*calls)
        assert {outcome(answer) for answer in answers} <= {"ok", "task-cancelled"}

        async def all_cancelled() -> bool:
            statuses = [(await crowd[0].get(address(run))).json()["status"] for run, _ in runs]
            return set(statuses) == {"cancelled"}

        await until(all_cancelled)
        assert set(crowd.count(queue)) <= {"completed", "failed", "cancelled"}

    async def test_cancel_retry_and_spawn_leave_nothing_open_in_an_ended_run(self, crowd: Crowd, queue: str) -> None:
        runs = await runs_with_held_tasks(crowd, queue, 30, each=3)
        calls: list[Call] = []
        for i, (run, tasks) in enumerate(runs):
            calls += [
                crowd[i].post(address(run, "cancel"), json={"grace_seconds": 0}),
                crowd[i + 1].post(address(run, "retry")),
                spawn_into(crowd[i], run, queue),
                crowd[i].post(f"/v1/tasks/{tasks[0]['task_id']}/retry"),
                report(crowd[i], tasks[1], "fail"),
                end_run(crowd[i + 1], run, "failed"),
                cancel(crowd[i], tasks[2]),
            ]
        await race(*calls)
        await race(*calls_again(crowd, runs))
        crowd.check()


def calls_again(crowd: Crowd, runs: list[tuple[Json, list[Json]]]) -> list[Call]:
    """Return the verbs of runs and tasks once more, in another order."""
    calls: list[Call] = []
    for i, (run, tasks) in enumerate(reversed(runs)):
        calls += [crowd[i].post(f"/v1/tasks/{task['task_id']}/retry") for task in reversed(tasks)]
        calls += [crowd[i + 1].post(address(run, "retry")), crowd[i].post(address(run, "cancel"))]
    return calls


class TestDeleteOfARun:
    async def test_spawn_and_completion_find_it_or_not(self, crowd: Crowd, queue: str) -> None:
        runs = await runs_with_held_tasks(crowd, queue, 40, each=4)
        assert {a.status_code for a in await race(*(end_run(crowd[0], run, "completed") for run, _ in runs))} == {200}
        calls: list[Call] = []
        for i, (run, tasks) in enumerate(runs):
            calls += [crowd[i].delete(address(run)), spawn_into(crowd[i + 1], run, queue)]
            calls += [report(crowd[i], task, "complete") for task in reversed(tasks)]
        answers = await race(*calls)
        assert {answer.status_code for answer in answers[::6]} == {204}
        assert {answer.status_code for answer in answers[1::6]} <= {404, 409}
        assert {a.status_code for place, a in enumerate(answers) if place % 6 > 1} <= {200, 404}
        assert crowd.count(queue) == {}

    async def test_late_reports_retries_and_children_do_not_stumble_over_it(self, crowd: Crowd, queue: str) -> None:
        runs = await runs_with_held_tasks(crowd, queue, 60, each=2)
        assert {a.status_code for a in await race(*(end_run(crowd[0], run, "failed") for run, _ in runs))} == {200}
        calls: list[Call] = []
        for i, (run, tasks) in enumerate(runs):
            child = {"task_name": "work", "queue": queue, "parent_task_id": tasks[0]["task_id"]}
            calls += [
                crowd[i].delete(address(run)),
                report(crowd[i + 1], tasks[0], "complete"),
                report(crowd[i], tasks[1], "heartbeat"),
                crowd[i + 1].post(f"/v1/tasks/{tasks[1]['task_id']}/retry"),
                crowd[i].post("/v1/tasks", json=child),
                crowd[i + 1].post("/v1/tasks/batch", json={"tasks": [child]}),
            ]
        answers = await race(*calls)
        assert {answer.status_code for answer in answers[::6]} == {204}
        assert {outcome(answer) for answer in answers[1::6]} <= {"task-cancelled", "not-found"}
        assert {answer.status_code for answer in answers[4::6] + answers[5::6]} <= {201, 422}
        children = sum(answer.is_success for answer in answers[4::6] + answers[5::6])
        assert crowd.count(queue) == Counter({"pending": children})

    async def test_idempotency_key_is_free_again_with_its_task(self, crowd: Crowd, queue: str) -> None:
        runs = await crowd.create_runs(60, queue=queue)
        for i, run in enumerate(runs):
            assert (await spawn_into(crowd[0], run, queue, idempotency_key=f"key-{i}")).status_code == 201
        await race(*(end_run(crowd[0], run, "cancelled") for run in runs))
        calls: list[Call] = []
        for i, run in enumerate(runs):
            again = {"task_name": "work", "queue": queue, "idempotency_key": f"key-{i}"}
            calls += [crowd[i].delete(address(run)), crowd[i + 1].post("/v1/tasks", json=again)]
        answers = pairs(await race(*calls))
        assert {outcome(spawned) for _, spawned in answers} <= {"ok", "idempotency-key-reused"}
        assert crowd.count(queue) == Counter({"pending": sum(spawned.is_success for _, spawned in answers)})


class TestIdempotencyKeyOfATask:
    async def test_of_twenty_at_once_one_is_created(self, crowd: Crowd, queue: str) -> None:
        spec = {"task_name": "work", "queue": queue}
        calls = [
            crowd[i].post("/v1/tasks", json={**spec, "idempotency_key": f"key-{key}"})
            for key in range(10)
            for i in range(20)
        ]
        answers = await race(*calls)
        for key in range(10):
            same = answers[key * 20 :][:20]
            assert Counter((answer.status_code, answer.json()["created"]) for answer in same) == {
                (201, True): 1,
                (200, False): 19,
            }
            assert len({answer.json()["task_id"] for answer in same}) == 1
        assert crowd.count(queue) == {"pending": 10}

    async def test_batches_with_the_same_keys_in_opposite_order_do_not_wait_for_each_other(
        self, crowd: Crowd, queue: str
    ) -> None:
        for turn in range(6):
            tasks = [{"task_name": "work", "queue": queue, "idempotency_key": f"{turn}-{i}"} for i in range(400)]
            calls = [
                crowd[i].post("/v1/tasks/batch", json={"tasks": tasks if i % 4 < 2 else tasks[::-1]}) for i in range(4)
            ]
            singles = [crowd[i].post("/v1/tasks", json=task) for i, task in enumerate(reversed(tasks[::20]))]
            answers = await race(*calls, *singles, seed=turn)
            assert {answer.status_code for answer in answers} <= {200, 201}
        assert crowd.count(queue) == {"pending": 2400}

    async def test_runs_created_with_the_same_keys_share_the_tasks(self, crowd: Crowd, queue: str) -> None:
        specs = [{"task_name": "work", "queue": queue, "params": 1, "idempotency_key": f"key-{i}"} for i in range(20)]
        body = {"workflow_name": "flow", "workflow_version": "1"}
        calls = [crowd[i].post(RUNS, json={**body, "tasks": specs if i % 2 else specs[::-1]}) for i in range(6)]
        answers = await race(*calls)
        assert {answer.status_code for answer in answers} <= {201, 422}
        assert crowd.count(queue) == {"pending": 20}


class TestBatchThatLost:
    """Another transaction won: the batch is written again, and nobody hears of it."""

    @pytest.mark.parametrize(
        "failure",
        [
            "ERRCODE = '40001'",
            "ERRCODE = '40P01'",
            "ERRCODE = '23505', CONSTRAINT = 'uq_tasks_running_concurrency_key'",
        ],
    )
    async def test_is_written_again(self, database: Database, failure: str) -> None:
        tries: list[int] = []

        async def work(tx: Tx, items: Sequence[int]) -> Sequence[int]:
            tries.append(len(items))
            if len(tries) < TRIES_MOST:
                await tx.execute(text(f"DO $$ BEGIN RAISE EXCEPTION 'lost' USING {failure}; END $$"))
            return [2 * item for item in items]

        batching, double = Batching(database), batched(work)
        assert await asyncio.gather(*(double(batching, item) for item in range(10))) == [2 * i for i in range(10)]
        assert tries == [10] * TRIES_MOST

    @pytest.mark.parametrize("failure", ["ERRCODE = '23505', CONSTRAINT = 'uq_other'", "ERRCODE = '57014'"])
    async def test_is_not_written_again_after_another_failure(self, database: Database, failure: str) -> None:
        tries: list[int] = []

        async def work(tx: Tx, items: Sequence[int]) -> Sequence[int]:
            tries.append(len(items))
            await tx.execute(text(f"DO $$ BEGIN RAISE EXCEPTION 'wrong' USING {failure}; END $$"))
            return items

        with pytest.raises(DBAPIError):
            await batched(work)(Batching(database), 1)
        assert tries == [1]
