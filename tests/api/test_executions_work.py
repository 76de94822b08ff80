"""Worker calls on the work items of executed runs, and what they do to the runs."""

import asyncio
from typing import Any

import httpx
import pytest

from app.db.engine import Database
from tests.definitions import task
from tests.executing import (
    claim_steps,
    do_step,
    ended_run,
    fail_step,
    let_pass,
    start,
    start_run,
    status_of,
    statuses_of,
    steps_of,
    tasks_of,
    warnings_of,
    work_off,
)
from tests.factories import (
    QUEUES,
    attempts_of,
    claim_tasks,
    code,
    emit_event,
    expire_lease,
    get_task,
    pass_time,
    pointers,
    report,
    reported,
    spawn_task,
    start_task,
    task_address,
)
from tests.waiting import eventually

RETRY = {"retry_policy": {"max_retries": 1, "delay": 5, "backoff_factor": 2.0}}
BROKEN = {"name": "Broken", "message": "it broke"}


def items_of(*held: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"task_id": item["task_id"], "lease_token": item["lease_token"], "result": item["step"]} for item in held]


async def complete_batch(client: httpx.AsyncClient, *held: dict[str, Any], **claim: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"tasks": items_of(*held)}
    if claim:
        body["claim"] = {"worker_id": "w", "limit": 100, **claim}
    response = await client.post(f"{QUEUES}/default/complete", json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


class TestWorkItem:
    async def test_it_is_a_task_of_the_run_with_step_and_resolved_params(self, client: httpx.AsyncClient) -> None:
        first = task("a", args=["{{inputs.n}}", "day {{ds}}"], kwargs={"limit": "{{inputs.n}}"}, result_key="r")
        run = await start(client, first, task("b", "a", args=["{{r.x[1]}}"]), body={"inputs": {"n": 3}})
        held = (await claim_steps(client))["a"]
        day = run["data_interval_start"][:10]
        assert (held["task_name"], held["workflow_run_id"]) == ("jobs.a", run["workflow_run_id"])
        assert held["params"] == {"args": [3, f"day {day}"], "kwargs": {"limit": 3}}
        await reported(client, held, "complete", result={"x": [1, {"y": 2}]})
        assert (await claim_steps(client))["b"]["params"] == {"args": [{"y": 2}], "kwargs": {}}
        assert [task["step"] for task in await tasks_of(client, run)] == ["a", "b"]

    async def test_it_goes_to_the_queue_of_the_run(self, client: httpx.AsyncClient) -> None:
        await start(client, body={"queue": "etl"})
        assert await claim_steps(client) == {}
        assert list(await claim_steps(client, "etl")) == ["extract"]

    async def test_template_without_a_value_is_a_warning_that_names_step_and_expression(
        self, client: httpx.AsyncClient
    ) -> None:
        run = await start(client, task("a", args=["{{nothing.here}} and {{ds}}"], kwargs={"x": "{{ENV.HOME}}"}))
        held = (await claim_steps(client))["a"]
        day = run["data_interval_start"][:10]
        assert held["params"] == {"args": [f"{{{{nothing.here}}}} and {day}"], "kwargs": {"x": "{{ENV.HOME}}"}}
        assert sorted(await warnings_of(client, run)) == [("a", "ENV.HOME"), ("a", "nothing.here")]

    async def test_strict_templates_fail_the_step(self, client: httpx.AsyncClient) -> None:
        run = await start(client, task("a", args=["{{nothing}}"], **RETRY), body={"strict_templates": True})
        assert (await ended_run(client, run))["status"] == "failed"
        assert (await steps_of(client, run))["a"]["status"] == "failed"

    async def test_memory_is_read_by_later_steps(self, client: httpx.AsyncClient) -> None:
        run = await start(client, task("a"), task("b", "a"), task("c", "b", args=["{{memory.x}}", "{{memory.y}}"]))
        await do_step(client, "a", memory={"x": 1, "y": {"z": 1}})
        await do_step(client, "b", memory={"x": 2})
        assert (await claim_steps(client))["c"]["params"]["args"] == [2, {"z": 1}]
        assert await status_of(client, run) == "running"

    async def test_memory_of_a_task_that_is_no_step_is_refused(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        response = await report(client, held, "complete", memory={"a": 1})
        assert pointers(response) == ["/memory"]
        await reported(client, held, "complete")

    async def test_memory_of_an_unknown_task_is_not_found(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        unknown = {**held, "task_id": held["workflow_run_id"] or "01890000-0000-7000-8000-000000000000"}
        assert (await report(client, unknown, "complete", memory={"a": 1})).status_code == 404

    async def test_progress_counts_work_items(self, client: httpx.AsyncClient) -> None:
        run = await start(client)
        await do_step(client, "extract")
        await work_off(client)
        ended = await ended_run(client, run)
        assert (ended["progress"]["completed"], ended["progress"]["percent"]) == (2, 100)


class TestComplete:
    async def test_following_step_is_handed_out_in_the_same_call(self, client: httpx.AsyncClient) -> None:
        runs = [await start(client)] + [await start_run(client) for _ in range(2)]
        held = await claim_tasks(client, limit=10)
        answer = await complete_batch(client, *held, limit=10)
        assert [outcome["task_status"] for outcome in answer["outcomes"]] == ["completed"] * 3
        assert [item["step"] for item in answer["tasks"]] == ["load"] * 3
        await complete_batch(client, *answer["tasks"])
        assert {(await ended_run(client, run))["status"] for run in runs} == {"completed"}

    async def test_several_steps_of_a_run_in_one_batch(self, client: httpx.AsyncClient) -> None:
        await start(client, task("a"), task("b"), task("c"), task("d", "a", "b", "c", args=["{{a}}{{c}}"]))
        held = await claim_tasks(client, limit=10)
        answer = await complete_batch(client, *held, limit=10)
        assert [(item["step"], item["params"]["args"]) for item in answer["tasks"]] == [("d", ["ac"])]

    async def test_repeat_is_answered_the_same(self, client: httpx.AsyncClient) -> None:
        await start(client)
        held = (await claim_steps(client))["extract"]
        first, again = [await report(client, held, "complete", result=1) for _ in range(2)]
        assert (again.status_code, again.json()) == (200, first.json())
        assert list(await claim_steps(client)) == ["load"]
        other = await report(client, held, "complete", result=2)
        assert (other.status_code, code(other)) == (409, "lease-lost")

    async def test_repeat_within_one_batch_counts_once(self, client: httpx.AsyncClient) -> None:
        await start(client)
        held = (await claim_steps(client))["extract"]
        answer = await complete_batch(client, held, held, limit=10)
        assert [outcome["status"] for outcome in answer["outcomes"]] == [200, 200]
        assert [item["step"] for item in answer["tasks"]] == ["load"]

    async def test_stale_token_changes_nothing(self, client: httpx.AsyncClient) -> None:
        run = await start(client)
        held = (await claim_steps(client))["extract"]
        await reported(client, held, "release")
        response = await report(client, held, "complete", result=1)
        assert (response.status_code, code(response)) == (409, "lease-lost")
        assert (await statuses_of(client, run))["load"] == "waiting"
        assert list(await claim_steps(client)) == ["extract"]

    async def test_result_that_breaks_a_postcondition_is_a_failed_attempt(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        guard = {"postconditions": [{"variable": "{{result}}", "check": "in_range", "value": [1, 5]}]}
        run = await start(client, task("a", **guard, **RETRY), task("b", "a"))
        held = (await claim_steps(client))["a"]
        first, again = [await report(client, held, "complete", result=9) for _ in range(2)]
        assert (first.json()["status"], first.json()["attempt"], first.json()["result"]) == ("sleeping", 2, None)
        assert (again.status_code, again.json()) == (200, first.json())
        assert (await attempts_of(client, held))[0]["error"]["name"] == "PostconditionFailed"
        await let_pass(database, run, 5)
        held = (await claim_steps(client))["a"]
        answer = await complete_batch(client, {**held, "step": 9})
        assert [(o["status"], o["task_status"]) for o in answer["outcomes"]] == [(200, "failed")]
        assert await statuses_of(client, run) == {"a": "failed", "b": "upstream_failed"}
        assert (await ended_run(client, run))["error"]["step"] == "a"

    async def test_step_that_another_of_the_batch_ended_is_cancelled(self, client: httpx.AsyncClient) -> None:
        stop = {"task_id": "stop", "operator_type": "terminate", "status": "completed", "dependencies": ["a"]}
        run = await start(client, task("a"), task("b"), stop)
        held = await claim_tasks(client, limit=10)
        answer = await complete_batch(client, *held)
        assert [(o["status"], o["code"]) for o in answer["outcomes"]] == [(200, None), (409, "task-cancelled")]
        assert (await statuses_of(client, run))["b"] == "cancelled"
        assert {t["step"]: t["status"] for t in await tasks_of(client, run)} == {"a": "completed", "b": "cancelled"}


class TestFail:
    async def test_policy_decides_when_it_is_tried_again(self, client: httpx.AsyncClient, database: Database) -> None:
        run = await start(client, task("a", retry_policy={"max_retries": 2, "delay": 10, "backoff_factor": 3.0}))
        for attempt, seconds in ((1, 10), (2, 30)):
            held = (await claim_steps(client))["a"]
            assert held["attempt"] == attempt
            assert (await reported(client, held, "fail", error=BROKEN))["status"] == "sleeping"
            await let_pass(database, run, seconds - 2)
            assert await claim_steps(client) == {}
            await let_pass(database, run, 2)
        failed = await reported(client, (await claim_steps(client))["a"], "fail", error=BROKEN)
        assert (failed["status"], failed["reason"], failed["attempt"]) == ("failed", "attempts_exhausted", 3)
        attempts = await attempts_of(client, failed)
        assert [(item["attempt"], item["status"]) for item in attempts] == [(1, "failed"), (2, "failed"), (3, "failed")]
        ended = await ended_run(client, run)
        assert (ended["status"], ended["error"]["step"], ended["error"]["message"]) == (
            "failed",
            "a",
            "a: Broken: it broke",
        )

    async def test_repeat_is_answered_the_same(self, client: httpx.AsyncClient) -> None:
        await start(client, task("a", **RETRY))
        held = (await claim_steps(client))["a"]
        first, again = [await report(client, held, "fail", error=BROKEN) for _ in range(2)]
        assert (again.status_code, again.json()) == (200, first.json())
        other = await report(client, held, "complete")
        assert (other.status_code, code(other)) == (409, "attempt-failed")

    async def test_what_is_not_retryable_is_not_tried_again(self, client: httpx.AsyncClient) -> None:
        run = await start(client, task("a", **RETRY))
        failed = await fail_step(client, "a")
        assert (failed["status"], failed["reason"]) == ("failed", "not_retryable")
        assert (await ended_run(client, run))["status"] == "failed"

    async def test_worker_may_say_when(self, client: httpx.AsyncClient, database: Database) -> None:
        run = await start(client, task("a", **RETRY))
        held = (await claim_steps(client))["a"]
        await reported(client, held, "fail", retry_after_seconds=100)
        await let_pass(database, run, 90)
        assert await claim_steps(client) == {}
        await let_pass(database, run, 10)
        assert list(await claim_steps(client)) == ["a"]

    async def test_time_out_of_an_attempt_ends_it(self, client: httpx.AsyncClient, database: Database) -> None:
        run = await start(client, task("a", timeout_policy={"timeout": 60}, **RETRY), task("b", "a"))
        held = (await claim_steps(client))["a"]
        await let_pass(database, run, 60)
        response = await report(client, held, "complete")
        assert (response.status_code, code(response)) == (409, "lease-lost")
        (past, now) = await attempts_of(client, held)
        assert (past["status"], past["reason"], past["error"]["name"]) == ("failed", "timeout", "TimeoutError")
        assert (now["attempt"], now["status"]) == (2, "sleeping")
        await let_pass(database, run, 5)
        assert (await claim_steps(client))["a"]["attempt"] == 2
        await let_pass(database, run, 60)
        task_now = await get_task(client, held)
        assert (task_now["status"], task_now["reason"]) == ("failed", "timeout")
        assert (await ended_run(client, run))["status"] == "failed"

    async def test_time_out_of_a_submitted_activity_ends_its_work_item(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        ask = {"task_id": "ask", "operator_type": "activity", "function": "f", "result_key": "asked"}
        hear = {"task_id": "hear", "operator_type": "wait_for_event", "dependencies": ["ask"]}
        run = await start(
            client,
            {**ask, "timeout_policy": {"timeout": 60}},
            {**hear, "event_name": "{{asked.completion_event}}"},
        )
        held = (await claim_steps(client))["ask"]
        assert await statuses_of(client, run) == {"ask": "completed", "hear": "running"}
        await let_pass(database, run, 60)
        assert (await ended_run(client, run))["status"] == "failed"
        assert (await get_task(client, held))["status"] in ("failed", "cancelled")


class TestLease:
    @pytest.mark.parametrize("retries", [0, 1])
    async def test_five_expired_leases_are_no_failures_and_the_next_one_is(
        self, client: httpx.AsyncClient, database: Database, retries: int
    ) -> None:
        run = await start(client, task("a", **(RETRY if retries else {})))
        for attempt in range(1, 7 + retries):
            held = (await eventually(lambda: held_steps(client)))["a"]
            assert held["attempt"] == attempt
            async with database.transaction() as tx:
                await expire_lease(tx, held)
            last = attempt == 6 + retries
            await eventually(lambda held=held, last=last: was_lost(client, held, is_last=last))  # type: ignore[misc]
        item = await get_task(client, held)
        assert (item["status"], item["reason"], item["lost_count"]) == ("failed", "attempts_exhausted", 6 + retries)
        past = await attempts_of(client, held)
        assert [(a["status"], a["reason"], a["error"]["name"]) for a in past] == [
            ("failed", "lost", "LeaseExpired")
        ] * (6 + retries)
        ended = await ended_run(client, run)
        assert (ended["status"], ended["error"]["step"]) == ("failed", "a")
        late = await report(client, held, "complete")
        assert (late.status_code, code(late)) == (409, "lease-lost")

    async def test_heartbeat_keeps_it(self, client: httpx.AsyncClient, database: Database) -> None:
        await start(client)
        held = (await claim_steps(client, lease_seconds=30))["extract"]
        response = await report(client, held, "heartbeat", lease_seconds=90)
        assert response.json()["cancel_requested"] is False
        async with database.transaction() as tx:
            await pass_time(tx, held, 60)
        await reported(client, held, "complete")

    async def test_released_item_is_claimed_again_with_the_same_attempt(self, client: httpx.AsyncClient) -> None:
        await start(client)
        held = (await claim_steps(client))["extract"]
        await reported(client, held, "release")
        assert (await claim_steps(client))["extract"]["attempt"] == 1

    async def test_item_may_sleep_and_await_events(self, client: httpx.AsyncClient, database: Database) -> None:
        run = await start(client)
        held = (await claim_steps(client))["extract"]
        await reported(client, held, "sleep", seconds=60)
        async with database.transaction() as tx:
            await pass_time(tx, held, 60)
        held = await eventually(lambda: one_step(client))
        answer = await report(client, held, "await-event", step_name="s", event_name="go")
        assert answer.json() == {"outcome": "suspended"}
        await emit_event(client, "go", payload={"a": 1})
        held = (await claim_steps(client))["extract"]
        assert (held["attempt"], held["wake_event"], held["event_payload"]) == (1, "go", {"a": 1})
        await reported(client, held, "complete")
        assert (await statuses_of(client, run))["load"] == "runnable"


async def held_steps(client: httpx.AsyncClient) -> dict[str, Any] | None:
    return await claim_steps(client) or None


async def was_lost(client: httpx.AsyncClient, held: dict[str, Any], *, is_last: bool) -> bool:
    now = await get_task(client, held)
    return bool(now["status"] == "failed" if is_last else now["attempt"] > held["attempt"])


async def has_status(client: httpx.AsyncClient, held: dict[str, Any], status: str) -> bool:
    return bool((await get_task(client, held))["status"] == status)


async def one_step(client: httpx.AsyncClient) -> dict[str, Any] | None:
    return next(iter((await claim_steps(client)).values()), None)


class TestTaskVerbs:
    async def test_cancelled_work_item_fails_its_step_and_the_run_goes_on(self, client: httpx.AsyncClient) -> None:
        undo = task("undo", args=["{{failed_task_id}}", "{{error_message}}"])
        run = await start(client, task("a", on_failure_task_id="undo", **RETRY), undo, task("b", "a"), task("c"))
        held = await claim_steps(client)
        response = await client.post(task_address(held["a"], "cancel"))
        assert (response.status_code, response.json()["status"]) == (200, "cancelled")
        assert (await client.post(task_address(held["a"], "cancel"))).json() == response.json()
        step = (await steps_of(client, run))["a"]
        assert (step["status"], step["error"]["name"]) == ("failed", "TaskCancelled")
        assert (await statuses_of(client, run))["b"] == "upstream_failed"
        assert (await claim_steps(client))["undo"]["params"]["args"][0] == "a"
        late = await report(client, held["a"], "complete")
        assert (late.status_code, code(late)) == (409, "task-cancelled")

    async def test_item_whose_next_attempt_is_to_come_can_be_cancelled(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        run = await start(client, task("a", **RETRY))
        held = (await claim_steps(client))["a"]
        await reported(client, held, "fail")
        assert (await client.post(task_address(held, "cancel"))).json()["status"] == "cancelled"
        assert (await ended_run(client, run))["status"] == "failed"
        await let_pass(database, run, 60)
        assert await claim_steps(client) == {}
        assert (await get_task(client, held))["status"] == "cancelled"

    @pytest.mark.parametrize("how", [{}, {"spawn_new": True}])
    async def test_work_item_is_not_retried_by_itself(self, client: httpx.AsyncClient, how: dict[str, Any]) -> None:
        run = await start(client)
        failed = await fail_step(client, "extract")
        response = await client.post(task_address(failed, "retry"), json=how)
        assert (response.status_code, code(response)) == (409, "move-not-allowed")
        assert "retry the run" in response.json()["detail"]
        assert await status_of(client, run) == "failed"


class TestOtherTasks:
    async def test_task_linked_to_an_executed_run_does_not_move_it(self, client: httpx.AsyncClient) -> None:
        run = await start(client)
        await spawn_task(client, workflow_run_id=run["workflow_run_id"], queue="other")
        linked = (await claim_tasks(client, "other"))[0]
        assert linked["step"] is None
        await reported(client, linked, "fail", retryable=False)
        await work_off(client)
        assert (await ended_run(client, run))["status"] == "completed"

    async def test_open_ones_are_cancelled_when_the_run_fails(self, client: httpx.AsyncClient) -> None:
        run = await start(client)
        linked = await spawn_task(client, workflow_run_id=run["workflow_run_id"], queue="other")
        await fail_step(client, "extract")
        after = await get_task(client, linked)
        assert (after["status"], after["reason"]) == ("cancelled", "run_ended")
        assert await status_of(client, run) == "failed"

    async def test_many_reports_at_once_are_all_taken(self, client: httpx.AsyncClient) -> None:
        runs = [await start(client)] + [await start_run(client) for _ in range(9)]
        held = await claim_tasks(client, limit=10)
        other = [await start_task(client, queue=f"q{number}") for number in range(5)]
        answers = await asyncio.gather(*(report(client, item, "complete") for item in [*held, *other]))
        assert {answer.status_code for answer in answers} == {200}
        assert len(await claim_tasks(client, limit=20)) == len(runs)
