"""Two things happen to one executed run at the same moment, on two replicas: nothing is lost and nothing doubled."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import httpx
import pytest

from tests.concurrency.crowd import Call, Crowd, Json, crowding, outcome, race, report, until
from tests.definitions import WORKFLOWS, task, workflow
from tests.factories import RUNS, address
from tests.waiting import PATIENCE_SECONDS, eventually

ROUNDS = 200
AT_ONCE = 50
"""Rounds that are under way at once."""

MUST_BE_EMPTY: Mapping[str, str] = {
    "a step has two work items": """
        SELECT workflow_run_id, step FROM tasks WHERE step IS NOT NULL
        GROUP BY workflow_run_id, step HAVING count(*) > 1
    """,
    "a work item belongs to no step": """
        SELECT tasks.task_id FROM tasks LEFT JOIN workflow_steps USING (task_id)
        WHERE tasks.step IS NOT NULL AND workflow_steps.path IS DISTINCT FROM tasks.step
    """,
    "a step that workers do has ended otherwise than its work item": """
        SELECT path, workflow_steps.status, tasks.status FROM workflow_steps JOIN tasks USING (task_id)
        WHERE (workflow_steps.status, tasks.status) NOT IN (
            ('runnable', 'pending'), ('runnable', 'running'), ('runnable', 'sleeping'), ('waiting', 'sleeping'),
            ('completed', 'completed'), ('failed', 'failed'), ('failed', 'cancelled'), ('cancelled', 'cancelled')
        )
    """,
    "an ended run has open steps": """
        SELECT workflow_run_id, path FROM workflow_steps JOIN workflow_runs AS run USING (workflow_run_id)
        WHERE run.completed_at IS NOT NULL
            AND (workflow_steps.completed_at IS NULL OR workflow_steps.due_at IS NOT NULL OR awaits IS NOT NULL)
    """,
    "an executed run has nothing to wait for": """
        SELECT workflow_run_id FROM workflow_runs AS run JOIN workflow_executions USING (workflow_run_id)
        WHERE run.completed_at IS NULL AND NOT EXISTS (
            SELECT 1 FROM workflow_steps AS step WHERE step.workflow_run_id = run.workflow_run_id AND (
                step.due_at IS NOT NULL OR step.awaits IS NOT NULL
                OR step.status IN ('runnable', 'running') AND step.task_id IS NOT NULL
                OR step.operator_type = 'child_workflow' AND step.status = 'running'
            )
        )
    """,
    "a step awaits an event that was emitted": """
        SELECT step.workflow_run_id, step.path FROM workflow_steps AS step
        JOIN events ON events.queue = step.queue AND events.event_name = step.awaits
        WHERE events.workflow_run_id IS NULL OR events.workflow_run_id = step.workflow_run_id
    """,
    "a child runs on although nobody waits for it": """
        SELECT child.workflow_run_id FROM workflow_runs AS child JOIN workflow_executions USING (workflow_run_id)
        JOIN workflow_runs AS parent ON parent.workflow_run_id = child.parent_workflow_run_id
        WHERE child.completed_at IS NULL AND parent.completed_at IS NOT NULL
    """,
}


@pytest.fixture(scope="module")
async def replicas(new_database: Any) -> AsyncIterator[Crowd]:
    """Give two replicas on a database in which the runs of this module are alone."""
    async with crowding(new_database()) as crowd:
        yield crowd


@pytest.fixture
async def crowd(replicas: Crowd) -> AsyncIterator[Crowd]:
    """Give the replicas; at the end, once the housekeeping has cancelled what nobody waits for, all must be well."""

    async def is_nothing_dropped() -> bool:
        return not replicas.rows("SELECT 1 FROM workflow_executions WHERE children_dropped_at IS NOT NULL")

    yield replicas
    await eventually(is_nothing_dropped)
    replicas.check()
    wrong = {fact: found for fact, query in MUST_BE_EMPTY.items() if (found := replicas.rows(query))}
    assert wrong == {}, wrong


def step(task_id: str, operator: str, *dependencies: str, **members: Any) -> Json:
    """Return a step that is no task."""
    return {"task_id": task_id, "operator_type": operator, "dependencies": list(dependencies), **members}


async def begin(crowd: Crowd, queue: str, *tasks: Json, count: int = ROUNDS, **members: Any) -> list[Json]:
    """Return runs that were just started of a definition of these tasks."""
    name = f"{queue}_{len(tasks)}"
    response = await crowd[0].post(WORKFLOWS, json=workflow(*tasks, name=name, **members))
    assert response.status_code in (200, 201), response.text
    starts = [crowd[i].post(f"{WORKFLOWS}/{name}/latest/runs", json={"queue": queue}) for i in range(count)]
    runs: list[Json] = []
    for start in range(0, count, AT_ONCE):
        answers = await race(*starts[start : start + AT_ONCE], seed=None)
        assert {answer.status_code for answer in answers} == {201}
        runs += [answer.json() for answer in answers]
    return runs


async def claim_steps(crowd: Crowd, queue: str) -> dict[tuple[str, str], Json]:
    """Return all that can be claimed, by run and path."""
    held: dict[tuple[str, str], Json] = {}
    while tasks := await crowd.claim(queue, 1000, lease_seconds=600):
        held |= {(task["workflow_run_id"], task["step"]): task for task in tasks}
    return held


async def statuses(crowd: Crowd, runs: Sequence[Json]) -> Counter[str]:
    found = crowd.rows(
        "SELECT status, count(*) FROM workflow_runs WHERE workflow_run_id = ANY(%s::uuid[]) GROUP BY 1",
        [run["workflow_run_id"] for run in runs],
    )
    return Counter(dict(found))


async def until_all_are(crowd: Crowd, runs: Sequence[Json], *expected: str) -> Counter[str]:
    async def all_are() -> Counter[str] | None:
        found = await statuses(crowd, runs)
        return found if found.keys() <= set(expected) else None

    return await until(all_are)


async def race_in_parts(*calls: Call, most: int = AT_ONCE * 2) -> list[httpx.Response]:
    """Send calls, many at once but not all: neighbours are under way together."""
    answers: list[httpx.Response] = []
    for start in range(0, len(calls), most):
        answers += await race(*calls[start : start + most], seed=start)
    return answers


FORK = (
    step(
        "fork",
        "parallel",
        branches={"left": ["a"], "right": ["b"]},
        branch_workflows={
            "left": {"name": "left", "version": "1", "tasks": {"a": task("a")}},
            "right": {"name": "right", "version": "1", "tasks": {"b": task("b")}},
        },
    ),
    task("after", "fork"),
)
JOIN = (task("a"), task("b"), step("both", "join", join_tasks=["a", "b"], join_mode="all_of"), task("after", "both"))


class TestTwoEnds:
    @pytest.mark.parametrize("tasks", [FORK, JOIN, (*JOIN[:2], task("after", "a", "b"))], ids=["fork", "join", "needs"])
    async def test_what_follows_both_is_spawned_once(self, crowd: Crowd, queue: str, tasks: Sequence[Json]) -> None:
        runs = await begin(crowd, queue, *tasks)
        held = await claim_steps(crowd, queue)
        assert len(held) == 2 * ROUNDS
        ends = sorted(held.values(), key=lambda item: item["workflow_run_id"])
        answers = await race_in_parts(*(report(crowd[i], item, "complete") for i, item in enumerate(ends)))
        assert {outcome(answer) for answer in answers} == {"ok"}
        follows = await claim_steps(crowd, queue)
        assert sorted(follows) == sorted((run["workflow_run_id"], "after") for run in runs)
        await race_in_parts(*(report(crowd[i], item, "complete") for i, item in enumerate(follows.values())))
        assert await statuses(crowd, runs) == {"completed": ROUNDS}

    async def test_batches_of_many_runs_in_any_order_do_not_block_each_other(self, crowd: Crowd, queue: str) -> None:
        runs = await begin(crowd, queue, *JOIN)
        held = list((await claim_steps(crowd, queue)).values())
        items = [{name: item[name] for name in ("task_id", "lease_token")} for item in held]
        claim = {"worker_id": "w", "limit": 1000, "lease_seconds": 600}
        batches = [items[i::20][:: 1 if i % 2 else -1] for i in range(20)]
        body = [{"tasks": batch, "claim": claim} for batch in batches]
        answers = await race(*(crowd[i].post(f"/v1/queues/{queue}/complete", json=b) for i, b in enumerate(body)))
        assert {o["status"] for answer in answers for o in answer.json()["outcomes"]} == {200}
        handed = [item for answer in answers for item in answer.json()["tasks"]]
        handed += (await claim_steps(crowd, queue)).values()
        assert sorted(item["workflow_run_id"] for item in handed) == sorted(run["workflow_run_id"] for run in runs)
        assert {item["step"] for item in handed} == {"after"}
        await race_in_parts(*(report(crowd[i], item, "complete") for i, item in enumerate(handed)))
        assert await statuses(crowd, runs) == {"completed": ROUNDS}


class TestForeach:
    async def test_items_that_are_completed_by_many_are_each_done_once(self, crowd: Crowd, queue: str) -> None:
        items = "[" + ",".join(map(str, range(200))) + "]"
        body = [task("one"), task("two", "one", args=["{{item}}", "{{one}}"])]
        each = step("each", "foreach", items=items, parallel=True, loop_body=body, result_key="values")
        (run,) = await begin(crowd, queue, each, task("last", "each", args=["{{values}}"]), count=1)
        done: Counter[str] = Counter()

        async def work(number: int) -> None:
            held: list[Json] = []
            while not done["last"]:
                claim = {"worker_id": f"w{number}", "limit": 7, "lease_seconds": 600, "wait_seconds": 1}
                tasks = [
                    {
                        "task_id": item["task_id"],
                        "lease_token": item["lease_token"],
                        "result": [item["step"], *item["params"]["args"]],
                    }
                    for item in held
                ]
                answer = await crowd[number].post(f"/v1/queues/{queue}/complete", json={"tasks": tasks, "claim": claim})
                assert answer.status_code == 200, answer.text
                assert {o["status"] for o in answer.json()["outcomes"]} <= {200}
                done.update(item["step"] for item in held)
                held = answer.json()["tasks"]

        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(*(work(number) for number in range(8)))
        assert done.keys() == {f"each[{i}].{name}" for i in range(200) for name in ("one", "two")} | {"last"}
        assert set(done.values()) == {1}
        assert await statuses(crowd, [run]) == {"completed": 1}
        result = (await crowd[0].get(address(run))).json()["result"]["values"]
        assert result == [[f"each[{i}].two", i, [f"each[{i}].one"]] for i in range(200)]


class TestCompleteAgainst:
    async def test_cancel_of_the_run(self, crowd: Crowd, queue: str) -> None:
        runs = await begin(crowd, queue, task("a"), task("b", "a"))
        held = await claim_steps(crowd, queue)
        calls: list[Call] = []
        for i, run in enumerate(runs):
            cancel = {"grace_seconds": 30 * (i % 2)}
            calls.append(crowd[i].post(address(run, "cancel"), json=cancel))
            calls.append(report(crowd[i + 1], held[run["workflow_run_id"], "a"], "complete" if i % 3 else "fail"))
        answers = await race_in_parts(*calls)
        assert {outcome(answer) for answer in answers[1::2]} <= {"ok", "task-cancelled"}
        # A run that failed before it was to be cancelled cannot be cancelled any more.
        assert {outcome(answer) for answer in answers[::2]} <= {"ok", "move-not-allowed"}
        assert {outcome(answer) for answer in answers[2::6]} == {"ok"}
        await until_all_are(crowd, runs, "cancelled", "failed")
        assert await crowd.claim(queue, 1000) == []

    async def test_deadline_and_timeout(self, crowd: Crowd, queue: str) -> None:
        limits = {"timeout_policy": {"timeout": 600, "kill_on_timeout": True}}
        runs = await begin(crowd, queue, task("a", **limits), task("b", "a"), deadline_seconds=600)
        held = await claim_steps(crowd, queue)
        ids = [run["workflow_run_id"] for run in runs]
        soon = "clock_timestamp() + random() * interval '0.5 seconds'"
        for table, column, part in (
            ("workflow_steps", "due_at", ids[::2]),
            ("workflow_executions", "deadline_at", ids[1::2]),
        ):
            crowd.rows(
                f"""
                UPDATE {table} SET {column} = {soon}
                WHERE {column} IS NOT NULL AND workflow_run_id = ANY(%s::uuid[]) RETURNING 1
                """,
                part,
            )
        answers = []
        for start in range(0, ROUNDS, 8):
            part = ids[start : start + 8]
            answers += await race(*(report(crowd[i], held[run, "a"], "complete") for i, run in enumerate(part)))
        assert {outcome(answer) for answer in answers} <= {"ok", "lease-lost", "task-cancelled"}

        async def none_is_late() -> bool:
            return not crowd.rows(
                """
                SELECT 1 FROM workflow_steps WHERE due_at <= now()
                UNION ALL SELECT 1 FROM workflow_executions WHERE deadline_at <= now()
                """
            )

        await until(none_is_late)
        follows = await claim_steps(crowd, queue)
        await race_in_parts(*(report(crowd[i], item, "complete") for i, item in enumerate(follows.values())))
        for run, answer in zip(ids[::2], answers[::2], strict=True):
            status = (await crowd[0].get(f"{RUNS}/{run}")).json()["status"]
            assert status == ("completed" if answer.is_success else "failed")
        await until_all_are(crowd, runs, "completed", "failed")

    async def test_expiry_of_the_lease(self, crowd: Crowd, queue: str) -> None:
        runs = await begin(crowd, queue, task("a"), task("b", "a"))
        held = await claim_steps(crowd, queue)
        crowd.rows(
            """
            UPDATE tasks SET lease_expires_at = clock_timestamp() + random() * interval '0.5 seconds'
            WHERE queue = %s RETURNING 1
            """,
            queue,
        )
        answers = []
        for start in range(0, ROUNDS, 8):
            part = runs[start : start + 8]
            calls = [report(crowd[i], held[run["workflow_run_id"], "a"], "complete") for i, run in enumerate(part)]
            answers += await race(*calls)
        assert {outcome(answer) for answer in answers} <= {"ok", "lease-lost"}
        lost = {run["workflow_run_id"] for run, answer in zip(runs, answers, strict=True) if not answer.is_success}
        goes_on = {(run["workflow_run_id"], "a" if run["workflow_run_id"] in lost else "b") for run in runs}
        found: dict[tuple[str, str], Json] = {}

        async def all_go_on() -> bool:
            found.update(await claim_steps(crowd, queue))
            return len(found) >= ROUNDS

        await until(all_go_on)
        assert found.keys() == goes_on

    async def test_heartbeats_of_what_a_terminating_step_drops(self, crowd: Crowd, queue: str) -> None:
        stop = step("stop", "terminate", "t3", status="failed")
        runs = await begin(crowd, queue, *(task(f"t{i}") for i in range(6)), stop, count=40)
        held = await claim_steps(crowd, queue)
        calls: list[Call] = []
        for i, run in enumerate(runs):
            items = [held[run["workflow_run_id"], f"t{number}"] for number in range(6)]
            calls += [report(crowd[i + n], item, "heartbeat", lease_seconds=600) for n, item in enumerate(items)]
            calls.append(report(crowd[i], items[3], "complete"))
            calls.append(report(crowd[i + 1], items[1], "release"))
            calls.append(report(crowd[i], items[5], "sleep", seconds=60))
        answers = await race(*calls)
        assert {outcome(answer) for answer in answers} <= {"ok", "task-cancelled", "lease-lost"}
        assert await statuses(crowd, runs) == {"failed": 40}

    async def test_pause_resume_and_cancel_of_its_task(self, crowd: Crowd, queue: str) -> None:
        runs = await begin(crowd, queue, task("a"), task("b"), step("j", "join", join_tasks=["a", "b"]), task("c", "j"))
        held = await claim_steps(crowd, queue)
        calls: list[Call] = []
        for i, run in enumerate(runs):
            a, b = (held[run["workflow_run_id"], name] for name in "ab")
            calls += [report(crowd[i], a, "complete"), crowd[i + 1].post(address(run, "pause"))]
            calls += [crowd[i].post(f"/v1/tasks/{b['task_id']}/cancel"), crowd[i].post(address(run, "resume"))]
        answers = await race_in_parts(*calls)
        assert {outcome(answer) for answer in answers[::4] + answers[2::4]} == {"ok"}
        assert {outcome(answer) for answer in answers} <= {"ok"}
        assert {outcome(a) for a in await race_in_parts(*(crowd[0].post(address(run, "resume")) for run in runs))} == {
            "ok"
        }
        follows = await claim_steps(crowd, queue)
        assert {path for _, path in follows} == {"c"}
        assert len(follows) == ROUNDS


class TestMemory:
    async def test_what_many_put_into_it_is_all_there(self, crowd: Crowd, queue: str) -> None:
        names = [f"t{number}" for number in range(20)]
        last = task("last", *names, args=[f"{{{{memory.{name}}}}}" for name in names])
        runs = await begin(crowd, queue, *map(task, names), last, count=10)
        held = await claim_steps(crowd, queue)
        calls = [
            report(crowd[i], item, "complete", memory={path: i}) for i, ((_, path), item) in enumerate(held.items())
        ]
        assert {outcome(answer) for answer in await race(*calls)} == {"ok"}
        numbers = {key: i for i, key in enumerate(held)}
        for (run_id, _), item in (await claim_steps(crowd, queue)).items():
            assert item["params"]["args"] == [numbers[run_id, name] for name in names]
        assert len(runs) == 10


class TestEvents:
    @pytest.mark.parametrize("by", ["api", "step"])
    async def test_no_step_is_left_waiting_for_what_was_emitted(self, crowd: Crowd, queue: str, by: str) -> None:
        hear = step("hear", "wait_for_event", "a", event_name="said_{{inputs.n}}")
        deaf = [step(f"deaf{n}", "wait_for_event", "a", event_name=f"said_{{{{inputs.{n}}}}}") for n in ("m", "l")]
        name = f"{queue}_hears"
        assert (await crowd[0].post(WORKFLOWS, json=workflow(task("a"), hear, *deaf, name=name))).status_code == 201
        says = [step(f"say_{n}", "emit_event", "a", event_name=f"said_{{{{inputs.{n}}}}}") for n in ("n", "m", "l")]
        assert (
            await crowd[0].post(WORKFLOWS, json=workflow(task("a"), *says, name=f"{queue}_says"))
        ).status_code == 201
        count = 60
        runs = []
        for i in range(count):
            inputs = {"n": i, "m": (i * 7 + 3) % count, "l": (i * 11 + 5) % count}
            body = {"queue": queue, "inputs": inputs}
            runs.append((await crowd[i].post(f"{WORKFLOWS}/{name}/latest/runs", json=body)).json())
            if by == "step":
                runs.append((await crowd[i].post(f"{WORKFLOWS}/{queue}_says/latest/runs", json=body)).json())
        held = await claim_steps(crowd, queue)
        assert len(held) == len(runs)
        calls = [report(crowd[i], item, "complete") for i, item in enumerate(held.values())]
        if by == "api":
            calls += [crowd[i].post(f"/v1/queues/{queue}/events/said_{i}", json={"payload": i}) for i in range(count)]
        answers = await race(*calls, seed=7)
        assert {outcome(answer) for answer in answers} == {"ok"}
        await until_all_are(crowd, runs, "completed")
        await until(lambda: no_deliveries(crowd))

    async def test_same_names_in_any_order_and_in_batches(self, crowd: Crowd, queue: str) -> None:
        name = f"{queue}_both"
        both = [
            *(step(f"say{n}", "emit_event", "a", event_name=f"{{{{inputs.say{n}}}}}") for n in (1, 2)),
            *(step(f"hear{n}", "wait_for_event", "a", event_name=f"{{{{inputs.hear{n}}}}}") for n in (1, 2)),
        ]
        assert (await crowd[0].post(WORKFLOWS, json=workflow(task("a"), *both, name=name))).status_code == 201
        runs = []
        for i in range(80):
            events = [f"{queue}_x", f"{queue}_y", f"{queue}_z"]
            one, two, three = events[i % 3 :] + events[: i % 3]
            inputs = {"say1": one, "say2": two, "hear1": three, "hear2": one if i % 2 else two}
            body = {"queue": queue, "inputs": inputs}
            runs.append((await crowd[i].post(f"{WORKFLOWS}/{name}/latest/runs", json=body)).json())
        held = list((await claim_steps(crowd, queue)).values())
        answers = await race(*(report(crowd[i], item, "complete") for i, item in enumerate(held)))
        assert {outcome(answer) for answer in answers} == {"ok"}
        await until_all_are(crowd, runs, "completed")


async def no_deliveries(crowd: Crowd) -> bool:
    return crowd.rows("SELECT 1 FROM event_deliveries") == []


class TestChildren:
    async def test_end_of_a_child_against_cancel_of_its_parent(self, crowd: Crowd, queue: str) -> None:
        child = f"{queue}_child"
        assert (await crowd[0].post(WORKFLOWS, json=workflow(task("work"), name=child))).status_code == 201
        children = {name: {"workflow_name": child, "inputs": {"name": name}} for name in ("x", "y")}
        kin = step("kin", "child_workflow", children=children)
        runs = await begin(crowd, queue, kin, task("after", "kin"), count=60)
        held = await claim_steps(crowd, queue)
        assert len(held) == 120
        calls: list[Call] = []
        for i, run in enumerate(runs):
            calls.append(crowd[i].post(address(run, "cancel"), json={"grace_seconds": 0}))
        for i, item in enumerate(held.values()):
            calls.append(report(crowd[i], item, "complete" if i % 5 else "fail"))
        for i, (child_id, _) in enumerate(held):
            if i % 4 == 0:
                calls.append(crowd[i].post(f"{RUNS}/{child_id}/cancel", json={"grace_seconds": 0}))
        answers = await race(*calls)
        assert {outcome(answer) for answer in answers} <= {"ok", "task-cancelled", "move-not-allowed"}
        await until_all_are(crowd, runs, "cancelled", "failed")

    async def test_children_that_end_together_end_the_step_once(self, crowd: Crowd, queue: str) -> None:
        child = f"{queue}_child"
        assert (await crowd[0].post(WORKFLOWS, json=workflow(task("work"), name=child))).status_code == 201
        children = {name: {"workflow_name": child, "inputs": {}} for name in ("x", "y", "z")}
        runs = await begin(
            crowd, queue, step("kin", "child_workflow", children=children), task("after", "kin"), count=50
        )
        held = await claim_steps(crowd, queue)
        answers = await race(*(report(crowd[i], item, "complete") for i, item in enumerate(held.values())))
        assert {outcome(answer) for answer in answers} == {"ok"}
        follows = await claim_steps(crowd, queue)
        assert sorted(follows) == sorted((run["workflow_run_id"], "after") for run in runs)
