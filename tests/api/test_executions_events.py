"""Events that steps of executed runs emit and await, and runs that steps start."""

from typing import Any

import httpx
import pytest

from app.db.engine import Database
from tests.definitions import WORKFLOWS, task, workflow
from tests.executing import (
    children_of,
    claim_steps,
    ended_run,
    let_pass,
    start,
    start_run,
    status_of,
    statuses_of,
    steps_of,
    work_off,
)
from tests.factories import QUEUES, emit_event, report, reported, start_task
from tests.waiting import eventually


def step(task_id: str, operator: str, *dependencies: str, **members: Any) -> dict[str, Any]:
    return {"task_id": task_id, "operator_type": operator, "dependencies": list(dependencies), **members}


def hear(name: str, **members: Any) -> dict[str, Any]:
    return step("hear", "wait_for_event", event_name=name, **members)


AFTER = task("after", "hear", args=["{{hear.payload}}", "{{hear.event}}"])


class TestAwait:
    async def test_emit_moves_the_run_in_its_own_transaction(self, client: httpx.AsyncClient) -> None:
        run = await start(client, hear("go"), AFTER)
        stands = (await steps_of(client, run))["hear"]
        assert (stands["status"], stands["awaits"], stands["task_id"]) == ("running", "go", None)
        assert (await emit_event(client, "go", payload={"n": 1})).status_code == 201
        assert (await claim_steps(client))["after"]["params"]["args"] == [{"n": 1}, "go"]

    async def test_what_was_emitted_before_is_heard_at_once(self, client: httpx.AsyncClient) -> None:
        await emit_event(client, "go", payload=1)
        await emit_event(client, "go", payload=2)
        await start(client, hear("go"), AFTER)
        assert (await claim_steps(client))["after"]["params"]["args"] == [1, "go"]

    async def test_wait_after_the_run_began_accepts_only_emits_since_then(self, client: httpx.AsyncClient) -> None:
        await emit_event(client, "go", payload=1)
        run = await start(client, hear("go", metadata={"after": "run"}), AFTER)
        assert (await statuses_of(client, run))["hear"] == "running"
        again = await emit_event(client, "go", payload=2)
        assert (again.status_code, again.json()["payload"]) == (200, 1)
        assert (await statuses_of(client, run))["hear"] == "completed"

    async def test_events_of_another_queue_are_not_heard(self, client: httpx.AsyncClient) -> None:
        run = await start(client, hear("go"), AFTER)
        await emit_event(client, "go", queue="other")
        assert (await statuses_of(client, run))["hear"] == "running"

    async def test_event_of_one_run_is_heard_there_alone(self, client: httpx.AsyncClient) -> None:
        run = await start(client, hear("go"), AFTER)
        other = await start_run(client)
        await emit_event(client, "go", workflow_run_id=run["workflow_run_id"], payload=1)
        assert (await statuses_of(client, run))["hear"] == "completed"
        assert (await statuses_of(client, other))["hear"] == "running"
        response = await client.get(f"{QUEUES}/default/events/go")
        assert response.status_code == 404

    async def test_event_of_a_child_run_is_not_emitted_for_its_parent(self, client: httpx.AsyncClient) -> None:
        child = workflow(hear("go"), name="child")
        assert (await client.post(WORKFLOWS, json=child)).status_code == 201
        run = await start(client, step("kin", "child_workflow", children={"x": {"workflow_name": "child"}}), hear("go"))
        (born,) = await children_of(client, run)
        await emit_event(client, "go", workflow_run_id=born["workflow_run_id"])
        assert await status_of(client, born) == "completed"
        assert await statuses_of(client, run) == {"kin": "completed", "hear": "running"}
        assert (await client.get(f"{QUEUES}/default/events/go")).status_code == 404

    async def test_time_out_fails_the_step(self, client: httpx.AsyncClient, database: Database) -> None:
        run = await start(client, hear("go", timeout_seconds=30), AFTER)
        await let_pass(database, run, 30)
        assert (await ended_run(client, run))["status"] == "failed"
        assert (await emit_event(client, "go")).status_code == 201
        assert await statuses_of(client, run) == {"hear": "failed", "after": "upstream_failed"}


class TestEmit:
    async def test_tasks_that_await_it_wake(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        await report(client, held, "await-event", step_name="s", event_name="said")
        await start(
            client,
            step("say", "emit_event", event_name="said", payload={"n": "{{inputs.n}}"}),
            body={"inputs": {"n": 4}},
        )
        (woken,) = (await claim_steps(client)).values()
        assert (woken["task_id"], woken["event_payload"]) == (held["task_id"], {"n": 4})

    async def test_other_runs_hear_it_within_moments(self, client: httpx.AsyncClient) -> None:
        listener = await start(client, hear("said"), name="listener")
        await start(client, step("say", "emit_event", event_name="said"))

        async def has_heard() -> bool:
            return await status_of(client, listener) == "completed"

        await eventually(has_heard)

    async def test_first_emit_wins(self, client: httpx.AsyncClient) -> None:
        say = step("say", "emit_event", event_name="said", payload={"n": "{{inputs.n}}"})
        await start(client, say, body={"inputs": {"n": 1}})
        await start_run(client, inputs={"n": 2})
        assert (await client.get(f"{QUEUES}/default/events/said")).json()["payload"] == {"n": 1}

    async def test_activity_reports_by_an_event(self, client: httpx.AsyncClient) -> None:
        ask = {"task_id": "ask", "operator_type": "activity", "function": "f", "result_key": "asked"}
        run = await start(client, ask, {**hear("{{asked.completion_event}}"), "dependencies": ["ask"]}, AFTER)
        held = (await claim_steps(client))["ask"]
        await reported(client, held, "complete", result={"x": 1})
        assert (await claim_steps(client))["after"]["params"]["args"][0] == {"x": 1}
        assert await status_of(client, run) == "running"


class TestChildren:
    async def test_end_of_a_child_moves_the_parent_at_once(self, client: httpx.AsyncClient) -> None:
        await start(client, task("work", result_key="r"), name="child")
        await work_off(client)
        kin = {name: {"workflow_name": "child", "inputs": {"n": name}} for name in ("x", "y")}
        run = await start(client, step("kin", "child_workflow", children=kin), task("last", "kin", args=["{{kin}}"]))
        born = await children_of(client, run)
        assert [child["inputs"] for child in born] == [{"n": "x"}, {"n": "y"}]
        assert {child["workflow_name"] for child in born} == {"child"}
        for held in (await client.post(f"{QUEUES}/default/claim", json={"worker_id": "w", "limit": 9})).json()["tasks"]:
            await reported(client, held, "complete", result=held["workflow_run_id"])
        last = (await claim_steps(client))["last"]
        assert last["params"]["args"] == [
            {
                name: {"status": "completed", "result": {"r": child["workflow_run_id"]}}
                for name, child in zip(("x", "y"), born, strict=True)
            }
        ]

    async def test_unknown_workflow_fails_the_step(self, client: httpx.AsyncClient) -> None:
        run = await start(client, step("kin", "child_workflow", children={"x": {"workflow_name": "nothing"}}))
        ended = await ended_run(client, run)
        assert (ended["status"], ended["error"]["step"]) == ("failed", "kin")

    async def test_run_that_starts_itself_comes_to_an_end(self, client: httpx.AsyncClient) -> None:
        run = await start(client, step("again", "child_workflow", children={"x": {"workflow_name": "linear"}}))
        assert (await ended_run(client, run))["status"] == "failed"

    async def test_child_is_not_started_by_a_run_that_ends_at_once(self, client: httpx.AsyncClient) -> None:
        await start(client, task("work"), name="child")
        kin = step("kin", "child_workflow", children={"x": {"workflow_name": "child"}})
        run = await start(client, kin, step("stop", "terminate", status="failed"))
        assert await status_of(client, run) == "failed"
        assert [child["status"] for child in await children_of(client, run)] in ([], ["cancelled"])

    async def test_time_out_cancels_the_open_ones(self, client: httpx.AsyncClient, database: Database) -> None:
        await start(client, task("work"), name="child")
        await work_off(client)
        kin = step("kin", "child_workflow", children={"x": {"workflow_name": "child"}}, timeout_seconds=60)
        run = await start(client, kin)
        await let_pass(database, run, 60)
        assert (await ended_run(client, run))["status"] == "failed"
        (child,) = await children_of(client, run)
        assert (await ended_run(client, child))["status"] == "cancelled"

    async def test_cancelled_child_fails_the_step(self, client: httpx.AsyncClient) -> None:
        await start(client, task("work"), name="child")
        await work_off(client)
        run = await start(client, step("kin", "child_workflow", children={"x": {"workflow_name": "child"}}))
        (child,) = await children_of(client, run)
        assert (await client.post(f"/v1/workflow-runs/{child['workflow_run_id']}/cancel")).status_code == 200
        assert (await ended_run(client, run))["status"] == "failed"


class TestExtremes:
    @pytest.mark.parametrize(
        "extreme",
        [
            step("a", "wait", wait_for="P99999Y"),
            step("a", "wait", wait_for=1e300),
            step("a", "wait", wait_for="{{inputs.long}}"),
            hear("x", timeout_seconds=10**15),
            task("a", timeout_policy={"timeout": 1e17}),
            task("a", retry_policy={"max_retries": 10**9, "delay": 1e17, "backoff_factor": 9.0}),
        ],
    )
    async def test_times_beyond_all_calendars_are_refused_or_fail_the_step(
        self, client: httpx.AsyncClient, extreme: dict[str, Any]
    ) -> None:
        response = await client.post(WORKFLOWS, json=workflow(extreme, task("z"), name="extreme"))
        assert response.status_code in (201, 422), response.text
        if response.status_code == 201:
            run = await start_run(client, "extreme", inputs={"long": "P99999Y"})
            held = await claim_steps(client)
            for item in held.values():
                await reported(client, item, "fail")
            assert await status_of(client, run) in ("running", "failed")

    async def test_many_branches_and_results_end_quickly(self, client: httpx.AsyncClient) -> None:
        tasks = {f"t{n}": [task(f"t{n}", result_key=f"r{n}")] for n in range(100)}
        fork = step(
            "fork",
            "parallel",
            branches={name: [name] for name in tasks},
            branch_workflows={
                name: {"name": name, "version": "1", "tasks": {name: items[0]}} for name, items in tasks.items()
            },
        )
        run = await start(client, fork, *(task(f"s{n}", "fork", result_key=f"q{n}") for n in range(100)))
        assert len(await work_off(client)) == 200
        ended = await ended_run(client, run)
        assert len(ended["result"]) == 100
