"""Workflow runs and their tasks over HTTP: linking, progress, cancel, retry, and what an end does to open tasks."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.factories import (
    RUNS,
    TASKS,
    UNKNOWN_ID,
    address,
    attempts_of,
    claim_task,
    claim_tasks,
    code,
    count_all,
    create_run,
    create_runs,
    get_run,
    get_task,
    history_of,
    patch_run,
    pointers,
    put_checkpoint,
    report,
    reported,
    run_body,
    run_in,
    spawn_task,
    start_task,
    task_address,
    task_body,
    task_in,
)
from tests.waiting import PROMPT_SECONDS

ENDED = ("completed", "failed", "cancelled")
BROKEN = {"name": "Broken", "message": "it broke"}
WAYS = ("path", "workflow_run_id", "params", "headers")


def link(way: str, run_id: str) -> dict[str, Any]:
    """Return the part of a task's body that links it; nothing for the path."""
    match way:
        case "path":
            return {}
        case "workflow_run_id":
            return {"workflow_run_id": run_id}
        case _:
            return {way: {"workflow_run_id": run_id}}


def place_of(way: str) -> str:
    return "/workflow_run_id" if way == "workflow_run_id" else f"/{way}/workflow_run_id"


async def spawn_linked(client: httpx.AsyncClient, way: str, run_id: str, **options: Any) -> httpx.Response:
    path = f"{RUNS}/{run_id}/tasks" if way == "path" else TASKS
    return await client.post(path, json=task_body(**options, **link(way, run_id)))


async def cancel_run(client: httpx.AsyncClient, run: dict[str, Any], **how: Any) -> dict[str, Any]:
    response = await client.post(address(run, "cancel"), json=how)
    assert response.status_code == 200, response.text
    after: dict[str, Any] = response.json()
    assert response.headers["etag"] == f'"{after["revision"]}"'
    return after


async def retry_run(client: httpx.AsyncClient, run: dict[str, Any], **how: Any) -> dict[str, Any]:
    response = await client.post(address(run, "retry"), json=how)
    assert response.status_code == 200, response.text
    after: dict[str, Any] = response.json()
    assert response.headers["etag"] == f'"{after["revision"]}"'
    return after


async def run_with_tasks(client: httpx.AsyncClient, *statuses: str, **run: Any) -> tuple[dict[str, Any], list[Any]]:
    """Return a running run with a task in each of the statuses."""
    made = await run_in(client, "running", **run)
    linked = {"workflow_run_id": made["workflow_run_id"]}
    tasks = [await task_in(client, status, queue=f"q{n}", **linked) for n, status in enumerate(statuses)]
    return await get_run(client, made), tasks


async def wait_for_end(client: httpx.AsyncClient, run: dict[str, Any]) -> dict[str, Any]:
    after: dict[str, Any] = (await client.get(address(run, "wait"), params={"timeout_seconds": 2})).json()
    assert after["completed_at"] is not None
    return after


class TestLink:
    @pytest.mark.parametrize("way", WAYS)
    async def test_task_is_linked_in_each_way(self, client: httpx.AsyncClient, way: str) -> None:
        run = await create_run(client, queue="etl")
        response = await spawn_linked(client, way, run["workflow_run_id"])
        assert response.status_code == 201
        spawned = response.json()
        assert spawned["workflow_run_id"] == run["workflow_run_id"]
        task = await get_task(client, spawned)
        assert (task["workflow_run_id"], task["queue"]) == (run["workflow_run_id"], "etl")
        assert response.headers["location"] == task_address(task)
        assert (await claim_task(client, "etl"))["workflow_run_id"] == run["workflow_run_id"]
        for name in ("params", "headers"):
            assert task[name] == (link(way, run["workflow_run_id"]).get(name) or {})

    @pytest.mark.parametrize("way", WAYS)
    async def test_id_is_compared_as_uuid(self, client: httpx.AsyncClient, way: str) -> None:
        run = await create_run(client)
        shouted = run["workflow_run_id"].upper()
        response = await spawn_linked(client, way, shouted)
        assert response.json()["workflow_run_id"] == run["workflow_run_id"]

    async def test_all_ways_together_agree(self, client: httpx.AsyncClient) -> None:
        run_id = (await create_run(client))["workflow_run_id"]
        body = task_body(
            workflow_run_id=run_id.upper(),
            params={"workflow_run_id": run_id},
            headers={"workflow_run_id": run_id.upper()},
        )
        assert (await client.post(f"{RUNS}/{run_id}/tasks", json=body)).status_code == 201

    @pytest.mark.parametrize(("one", "other"), [(a, b) for n, a in enumerate(WAYS) for b in WAYS[n + 1 :] if a != b])
    async def test_two_that_disagree_are_refused(self, client: httpx.AsyncClient, one: str, other: str) -> None:
        runs = [run["workflow_run_id"] for run in await create_runs(client, {}, {})]
        path = f"{RUNS}/{runs[0]}/tasks" if one == "path" else TASKS
        body = task_body(**link(one, runs[0]), **link(other, runs[1]))
        assert pointers(await client.post(path, json=body)) == [place_of(other)]
        assert (await client.get(TASKS)).json()["items"] == []

    @pytest.mark.parametrize("way", WAYS)
    async def test_unknown_run_is_refused(self, client: httpx.AsyncClient, way: str) -> None:
        response = await spawn_linked(client, way, str(UNKNOWN_ID))
        if way == "path":
            assert (response.status_code, code(response)) == (404, "not-found")
        else:
            assert pointers(response) == [place_of(way)]

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("status", ENDED)
    async def test_ended_run_is_refused(self, client: httpx.AsyncClient, way: str, status: str) -> None:
        run = await run_in(client, status)
        response = await spawn_linked(client, way, run["workflow_run_id"])
        assert (response.status_code, code(response)) == (409, "move-not-allowed")
        assert response.json()["current"] == run
        assert (await client.get(address(run, "tasks"))).json()["items"] == []

    @pytest.mark.parametrize("way", ["params", "headers"])
    @pytest.mark.parametrize("value", ["x", "", 7, True, {}, ["x"], 1.5])
    async def test_value_that_is_no_id_is_refused(self, client: httpx.AsyncClient, way: str, value: Any) -> None:
        body = task_body(**{way: {"workflow_run_id": value}})
        assert pointers(await client.post(TASKS, json=body)) == [place_of(way)]

    @pytest.mark.parametrize("params", [[{"workflow_run_id": "x"}], {"a": {"workflow_run_id": "x"}}, "x", None])
    async def test_only_the_first_level_of_an_object_counts(self, client: httpx.AsyncClient, params: Any) -> None:
        assert (await spawn_task(client, params=params))["workflow_run_id"] is None

    @pytest.mark.parametrize("way", ["workflow_run_id", "params", "headers"])
    async def test_null_links_to_nothing(self, client: httpx.AsyncClient, way: str) -> None:
        body = task_body(**{way: None if way == "workflow_run_id" else {"workflow_run_id": None}})
        assert (await client.post(TASKS, json=body)).json()["workflow_run_id"] is None

    async def test_task_may_name_another_queue(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client, queue="etl")
        task = (await spawn_linked(client, "path", run["workflow_run_id"], queue="fast")).json()
        assert (await get_task(client, task))["queue"] == "fast"

    @pytest.mark.parametrize("way", WAYS[1:])
    async def test_batch_names_the_place_of_an_unknown_run(self, client: httpx.AsyncClient, way: str) -> None:
        run = await create_run(client)
        tasks = [task_body(workflow_run_id=run["workflow_run_id"])] * 3 + [task_body(**link(way, str(UNKNOWN_ID)))]
        assert pointers(await client.post(f"{TASKS}/batch", json={"tasks": tasks})) == [f"/tasks/3{place_of(way)}"]
        assert (await get_run(client, run))["progress"]["total"] == 0

    async def test_batch_with_an_ended_run_spawns_nothing(self, client: httpx.AsyncClient) -> None:
        run, ended = await create_run(client), await run_in(client, "failed")
        tasks = [task_body(workflow_run_id=each["workflow_run_id"]) for each in (run, ended)]
        assert (await client.post(f"{TASKS}/batch", json={"tasks": tasks})).status_code == 409
        assert (await get_run(client, run))["progress"]["total"] == 0

    async def test_known_key_gives_the_first_task(self, client: httpx.AsyncClient) -> None:
        run_id = (await create_run(client))["workflow_run_id"]
        first = await spawn_linked(client, "path", run_id, idempotency_key="a")
        again = await spawn_linked(client, "path", run_id, idempotency_key="a")
        assert (again.status_code, again.json()) == (200, {**first.json(), "created": False})

    async def test_header_makes_repeats_safe(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        answers = [
            await client.post(address(run, "tasks"), json=task_body(), headers={"Idempotency-Key": "k"})
            for _ in range(2)
        ]
        assert [answer.status_code for answer in answers] == [201, 200]
        assert (await get_run(client, run))["progress"]["total"] == 1


class TestCreateWithTasks:
    async def test_tasks_are_made_with_the_run(self, client: httpx.AsyncClient) -> None:
        trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        body = run_body(queue="etl", tasks=[task_body(params=1), task_body(queue="fast", priority=2)])
        response = await client.post(RUNS, json=body, headers={"traceparent": trace})
        assert response.status_code == 201
        run = response.json()
        assert (run["progress"]["total"], run["progress"]["pending"]) == (2, 2)
        assert run == await get_run(client, run)
        items = (await client.get(address(run, "tasks"))).json()["items"]
        assert [(task["params"], task["queue"], task["priority"]) for task in items] == [(1, "etl", 0), ({}, "fast", 2)]
        assert {task["workflow_run_id"] for task in items} == {run["workflow_run_id"]}
        assert {task["traceparent"] for task in items} == {trace}

    async def test_batch_makes_the_tasks_of_each(self, client: httpx.AsyncClient) -> None:
        runs = await create_runs(client, {"tasks": [task_body()] * 2}, {}, {"tasks": [task_body(delay_seconds=60)]})
        assert [run["progress"]["pending"] for run in runs] == [2, 0, 1]

    @pytest.mark.parametrize(
        ("options", "place"),
        [
            ({"task_name": ""}, "/task_name"),
            ({"max_attempts": None}, "/max_attempts"),
            ({"extra": 1}, "/extra"),
            ({"retry_strategy": {"kind": "fixed", "base_seconds": -1}}, "/retry_strategy/base_seconds"),
            ({"parent_task_id": str(UNKNOWN_ID)}, "/parent_task_id"),
            ({"workflow_run_id": str(UNKNOWN_ID)}, "/workflow_run_id"),
            ({"params": {"workflow_run_id": str(UNKNOWN_ID)}}, "/params/workflow_run_id"),
            ({"headers": {"workflow_run_id": "x"}}, "/headers/workflow_run_id"),
        ],
    )
    async def test_bad_task_is_named_and_nothing_is_made(
        self, client: httpx.AsyncClient, options: dict[str, Any], place: str
    ) -> None:
        tasks = [task_body(), task_body(**options)]
        assert pointers(await client.post(RUNS, json=run_body(tasks=tasks))) == [f"/tasks/1{place}"]
        batch = {"workflow_runs": [run_body(), run_body(tasks=tasks)]}
        assert pointers(await client.post(f"{RUNS}/batch", json=batch)) == [f"/workflow_runs/1/tasks/1{place}"]
        assert await count_all(client) == 0
        assert (await client.get(TASKS)).json()["items"] == []

    async def test_repeat_with_a_key_makes_them_once(self, client: httpx.AsyncClient) -> None:
        body = run_body(tasks=[task_body()] * 3)
        answers = [await client.post(RUNS, json=body, headers={"Idempotency-Key": "k"}) for _ in range(2)]
        assert answers[0].json() == answers[1].json()
        assert (await get_run(client, answers[0].json()))["progress"]["total"] == 3

    async def test_waiting_claim_gets_them(self, client: httpx.AsyncClient) -> None:
        waiting = asyncio.create_task(claim_tasks(client, limit=5, wait_seconds=30))
        await create_run(client, tasks=[task_body(), task_body()])
        async with asyncio.timeout(PROMPT_SECONDS):
            assert len(await waiting) == 2


class TestListTasksOfRun:
    async def test_oldest_is_first(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client, tasks=[task_body(params=n) for n in range(5)])
        await spawn_task(client)
        page = (await client.get(address(run, "tasks"))).json()
        assert [task["params"] for task in page["items"]] == list(range(5))
        assert page["next_cursor"] is None

    async def test_pages_follow_without_gap(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client, tasks=[task_body(params=n) for n in range(5)])
        first = await client.get(address(run, "tasks"), params={"limit": 3})
        second = await client.get(first.links["next"]["url"])
        assert [task["params"] for task in first.json()["items"] + second.json()["items"]] == list(range(5))

    async def test_filters_hold(self, client: httpx.AsyncClient) -> None:
        run, tasks = await run_with_tasks(client, "failed", "pending", "completed")
        query: list[tuple[str, Any]] = [("status", "failed"), ("status", "completed")]
        items = (await client.get(address(run, "tasks"), params=query)).json()["items"]
        assert [task["task_id"] for task in items] == [tasks[0]["task_id"], tasks[2]["task_id"]]

    async def test_list_is_a_table_for_a_terminal(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client, tasks=[task_body()])
        response = await client.get(address(run, "tasks"), headers={"Accept": "text/plain"})
        assert "send_invoice" in response.text

    async def test_unknown_run_is_not_found(self, client: httpx.AsyncClient) -> None:
        assert (await client.get(f"{RUNS}/{UNKNOWN_ID}/tasks")).status_code == 404

    async def test_cursor_of_another_run_is_refused(self, client: httpx.AsyncClient) -> None:
        one, two = await create_runs(client, {"tasks": [task_body()] * 2}, {})
        cursor = (await client.get(address(one, "tasks"), params={"limit": 1})).json()["next_cursor"]
        assert pointers(await client.get(address(two, "tasks"), params={"cursor": cursor})) == ["cursor"]


class TestProgress:
    async def test_tasks_are_counted_by_status(self, client: httpx.AsyncClient) -> None:
        run, _ = await run_with_tasks(
            client, "pending", "running", "sleeping", "completed", "completed", "failed", "cancelled", "cancelled"
        )
        assert run["progress"] == {
            "total": 8,
            "pending": 1,
            "running": 1,
            "sleeping": 1,
            "completed": 2,
            "failed": 1,
            "cancelled": 2,
            "percent": 62.5,
        }

    async def test_declared_count_is_the_total(self, client: httpx.AsyncClient) -> None:
        run, _ = await run_with_tasks(client, "completed", "pending", task_count=8)
        assert (run["progress"]["total"], run["progress"]["percent"]) == (8, 12.5)
        changed = (await patch_run(client, run, task_count=None)).json()
        assert (changed["progress"]["total"], changed["progress"]["percent"]) == (2, 50)
        assert changed == await get_run(client, run)

    @pytest.mark.parametrize("declared", [None, 0])
    async def test_percent_of_nothing_is_null(self, client: httpx.AsyncClient, declared: int | None) -> None:
        run = await create_run(client, task_count=declared)
        assert (run["progress"]["total"], run["progress"]["percent"]) == (0, None)

    async def test_list_and_patch_tell_it_too(self, client: httpx.AsyncClient) -> None:
        run, _ = await run_with_tasks(client, "completed", "failed", "pending")
        patched = (await patch_run(client, run, tags={"a": 1})).json()
        (listed,) = (await client.get(RUNS)).json()["items"]
        assert patched["progress"] == listed["progress"] == run["progress"]

    async def test_what_tasks_do_never_moves_the_run(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client, tasks=[task_body(), task_body()])
        for call in ("complete", "fail"):
            await reported(client, await claim_task(client), call)
        after = await get_run(client, run)
        assert (after["status"], after["revision"]) == ("pending", 1)
        assert after["progress"]["percent"] == 100


class TestEndByPatch:
    @pytest.mark.parametrize("status", ["failed", "cancelled"])
    @pytest.mark.parametrize("choice", [None, "keep", "cancel", "refuse"])
    async def test_bad_end_cancels_open_tasks(self, client: httpx.AsyncClient, status: str, choice: str | None) -> None:
        run, tasks = await run_with_tasks(client, "pending", "running", "sleeping", "completed", "failed")
        change = {"status": status} | ({"open_tasks": choice} if choice else {})
        response = await patch_run(client, run, **change)
        assert response.status_code == 200, response.text
        assert response.json()["progress"]["cancelled"] == 3
        assert response.json() == await get_run(client, run)
        after = [await get_task(client, task) for task in tasks]
        assert [task["status"] for task in after] == ["cancelled"] * 3 + ["completed", "failed"]
        assert [task["reason"] for task in after[:3]] == ["run_ended"] * 3

    @pytest.mark.parametrize("status", ["failed", "cancelled"])
    async def test_worker_is_told(self, client: httpx.AsyncClient, status: str) -> None:
        run = await run_in(client, "running")
        held = await start_task(client, workflow_run_id=run["workflow_run_id"])
        await patch_run(client, run, status=status)
        response = await report(client, held, "heartbeat")
        assert (response.status_code, code(response)) == (409, "task-cancelled")
        assert response.json()["current"]["reason"] == "run_ended"

    @pytest.mark.parametrize("change", [{}, {"open_tasks": "keep"}])
    async def test_completed_leaves_open_tasks_to_finish(
        self, client: httpx.AsyncClient, change: dict[str, Any]
    ) -> None:
        run = await run_in(client, "running", tasks=[task_body()])
        held = await start_task(client, workflow_run_id=run["workflow_run_id"], queue="q", max_attempts=2)
        after = (await patch_run(client, run, status="completed", **change)).json()
        assert (after["status"], after["progress"]["pending"], after["progress"]["running"]) == ("completed", 1, 1)
        await reported(client, held, "fail")
        await reported(client, await claim_task(client, "q"), "complete")
        await reported(client, await claim_task(client), "complete")
        assert (await get_run(client, run))["progress"]["percent"] == 100

    async def test_completed_cancels_them_when_asked(self, client: httpx.AsyncClient) -> None:
        run, tasks = await run_with_tasks(client, "pending", "running", "sleeping", "failed")
        after = (await patch_run(client, run, status="completed", open_tasks="cancel")).json()
        assert (after["status"], after["progress"]["cancelled"], after["progress"]["failed"]) == ("completed", 3, 1)
        assert {(await get_task(client, task))["reason"] for task in tasks[:3]} == {"run_ended"}

    @pytest.mark.parametrize("status", ["pending", "running", "sleeping"])
    async def test_completed_is_refused_when_asked(self, client: httpx.AsyncClient, status: str) -> None:
        run, _ = await run_with_tasks(client, "completed", status)
        response = await patch_run(client, run, status="completed", result=1, open_tasks="refuse")
        assert (response.status_code, code(response)) == (409, "open-tasks")
        assert response.json()["current"] == run == await get_run(client, run)

    @pytest.mark.parametrize("choice", ["keep", "cancel", "refuse"])
    async def test_nothing_open_is_no_obstacle(self, client: httpx.AsyncClient, choice: str) -> None:
        run, _ = await run_with_tasks(client, "completed", "failed", "cancelled")
        assert (await patch_run(client, run, status="completed", open_tasks=choice)).status_code == 200

    @pytest.mark.parametrize("choice", [None, "drop", 1])
    async def test_unknown_choice_is_refused(self, client: httpx.AsyncClient, choice: Any) -> None:
        run = await run_in(client, "running")
        assert pointers(await patch_run(client, run, status="completed", open_tasks=choice)) == ["/open_tasks"]


class TestCancelRun:
    @pytest.mark.parametrize("status", ["pending", "running"])
    @pytest.mark.parametrize("how", [{}, {"grace_seconds": 0}, {"grace_seconds": 60}])
    async def test_run_without_tasks_is_cancelled_at_once(
        self, client: httpx.AsyncClient, status: str, how: dict[str, Any]
    ) -> None:
        run = await run_in(client, status)
        after = await cancel_run(client, run, **how)
        assert after == await get_run(client, run)
        assert (after["status"], after["reason"]) == ("cancelled", "cancel_requested")
        assert after["cancel_requested_at"] is not None
        assert after["completed_at"] is not None

    async def test_body_may_be_left_out(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        assert (await client.post(address(run, "cancel"))).json()["status"] == "cancelled"

    async def test_what_does_not_run_is_cancelled_now(self, client: httpx.AsyncClient) -> None:
        run, tasks = await run_with_tasks(client, "pending", "sleeping", "completed", "failed")
        after = await cancel_run(client, run)
        assert after["status"] == "cancelled"
        statuses = [(await get_task(client, task))["status"] for task in tasks]
        assert statuses == ["cancelled", "cancelled", "completed", "failed"]
        assert (await get_task(client, tasks[0]))["reason"] == "cancel_requested"

    async def test_what_runs_is_asked_to_stop(self, client: httpx.AsyncClient) -> None:
        run, (pending, held) = await run_with_tasks(client, "pending", "running")
        after = await cancel_run(client, run)
        assert (after["status"], after["reason"], after["completed_at"]) == ("running", None, None)
        assert after["cancel_requested_at"] is not None
        assert after["progress"]["cancelled"] == after["progress"]["running"] == 1
        assert (await get_task(client, pending))["status"] == "cancelled"
        task = await get_task(client, held)
        assert (task["status"], task["cancel_requested_at"]) == ("running", after["cancel_requested_at"])
        assert (await reported(client, held, "heartbeat"))["cancel_requested"] is True

    async def test_repeat_changes_nothing(self, client: httpx.AsyncClient) -> None:
        run, _ = await run_with_tasks(client, "running")
        after = await cancel_run(client, run, grace_seconds=60)
        history = await history_of(client, run)
        assert await cancel_run(client, run, grace_seconds=60) == after
        assert await history_of(client, run) == history
        sooner = await cancel_run(client, run, grace_seconds=0)
        assert (sooner["status"], sooner["revision"] > after["revision"]) == ("cancelled", True)
        assert await cancel_run(client, run) == sooner

    async def test_run_is_cancelled_when_the_last_has_ended(self, client: httpx.AsyncClient) -> None:
        run, (first, second) = await run_with_tasks(client, "running", "running")
        await cancel_run(client, run)
        await reported(client, first, "complete", result=1)
        assert (await get_run(client, run))["status"] == "running"
        await reported(client, second, "release")
        after = await wait_for_end(client, run)
        assert (after["status"], after["reason"]) == ("cancelled", "cancel_requested")
        assert [(await get_task(client, task))["status"] for task in (first, second)] == ["completed", "cancelled"]

    @pytest.mark.parametrize("retryable", [True, False])
    async def test_failure_is_not_retried_and_its_error_is_kept(
        self, client: httpx.AsyncClient, retryable: bool
    ) -> None:
        run = await run_in(client, "running")
        held = await start_task(client, workflow_run_id=run["workflow_run_id"], max_attempts=5)
        await cancel_run(client, run)
        task = await reported(client, held, "fail", error=BROKEN, retryable=retryable)
        assert (task["status"], task["reason"], task["error"]) == ("cancelled", "cancel_requested", BROKEN)
        assert task["cancelled_at"] is not None
        (attempt,) = await attempts_of(client, held)
        assert (attempt["status"], attempt["reason"], attempt["error"]) == ("cancelled", "cancel_requested", BROKEN)
        assert await reported(client, held, "fail", error=BROKEN, retryable=retryable) == task

    async def test_attempt_that_failed_so_survives_a_retry(self, client: httpx.AsyncClient) -> None:
        run = await run_in(client, "running")
        held = await start_task(client, workflow_run_id=run["workflow_run_id"])
        await cancel_run(client, run)
        await reported(client, held, "fail", error=BROKEN)
        await retry_run(client, await wait_for_end(client, run))
        first, second = await attempts_of(client, held)
        assert (first["status"], first["error"], second["status"]) == ("cancelled", BROKEN, "pending")

    async def test_no_grace_cancels_what_runs_at_once(self, client: httpx.AsyncClient) -> None:
        run, (held,) = await run_with_tasks(client, "running")
        after = await cancel_run(client, run, grace_seconds=0)
        assert (after["status"], after["progress"]["cancelled"]) == ("cancelled", 1)
        response = await report(client, held, "complete")
        assert (response.status_code, code(response)) == (409, "task-cancelled")

    async def test_cancelled_run_stays_as_it_is(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        after = await cancel_run(client, run)
        assert await cancel_run(client, run) == after == await get_run(client, run)

    async def test_repeated_request_is_the_first_one(self, client: httpx.AsyncClient) -> None:
        run, _ = await run_with_tasks(client, "running")
        first = await cancel_run(client, run)
        again = await cancel_run(client, run)
        assert (again["status"], again["cancel_requested_at"]) == ("running", first["cancel_requested_at"])

    async def test_repeated_request_may_end_the_grace(self, client: httpx.AsyncClient) -> None:
        run, _ = await run_with_tasks(client, "running")
        await cancel_run(client, run)
        assert (await cancel_run(client, run, grace_seconds=0))["status"] == "cancelled"

    async def test_repeated_request_does_not_prolong_the_grace(self, client: httpx.AsyncClient) -> None:
        run, _ = await run_with_tasks(client, "running")
        await cancel_run(client, run, grace_seconds=0.2)
        await cancel_run(client, run, grace_seconds=3600)
        assert (await wait_for_end(client, run))["status"] == "cancelled"

    @pytest.mark.parametrize("status", ["completed", "failed"])
    async def test_run_that_ended_otherwise_is_refused(self, client: httpx.AsyncClient, status: str) -> None:
        run = await run_in(client, status)
        response = await client.post(address(run, "cancel"))
        assert (response.status_code, code(response)) == (409, "move-not-allowed")
        assert response.json()["current"] == run

    async def test_unknown_run_is_not_found(self, client: httpx.AsyncClient) -> None:
        assert (await client.post(f"{RUNS}/{UNKNOWN_ID}/cancel")).status_code == 404

    @pytest.mark.parametrize(
        ("how", "place"),
        [
            ({"grace_seconds": -1}, "/grace_seconds"),
            ({"grace_seconds": "5"}, "/grace_seconds"),
            ({"grace_seconds": None}, "/grace_seconds"),
            ({"reason": 5}, "/reason"),
            ({"why": "x"}, "/why"),
        ],
    )
    async def test_bad_body_is_refused(self, client: httpx.AsyncClient, how: dict[str, Any], place: str) -> None:
        run = await create_run(client)
        assert pointers(await client.post(address(run, "cancel"), json=how)) == [place]
        assert (await get_run(client, run))["status"] == "pending"

    async def test_history_tells_who_asked_and_why(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        await cancel_run(client, run, reason="wrong inputs")
        entries = (await history_of(client, run))[1:]
        assert [(e["verb"], e["from"], e["to"], e["reason"]) for e in entries] == [
            ("cancel", "pending", "cancelled", "wrong inputs")
        ]

    async def test_history_tells_request_and_end_apart(self, client: httpx.AsyncClient) -> None:
        run, (held,) = await run_with_tasks(client, "running")
        await cancel_run(client, run, reason="wrong inputs")
        await reported(client, held, "complete")
        await wait_for_end(client, run)
        entries = (await history_of(client, run))[2:]
        assert [(e["verb"], e["from"], e["to"], e["reason"], e["actor"]) for e in entries] == [
            ("cancel", "running", "running", "wrong inputs", "anonymous"),
            ("cancel", "running", "cancelled", "cancel_requested", "housekeeping"),
        ]

    async def test_task_may_be_spawned_until_the_end(self, client: httpx.AsyncClient) -> None:
        run, (held,) = await run_with_tasks(client, "running")
        await cancel_run(client, run)
        response = await client.post(address(run, "tasks"), json=task_body())
        assert response.status_code in (201, 409)
        await reported(client, held, "complete")
        after = await wait_for_end(client, run)
        assert (after["progress"]["pending"], after["status"]) == (0, "cancelled")


class TestRetryRun:
    @pytest.mark.parametrize("status", ["failed", "cancelled"])
    async def test_ended_run_is_opened_again(self, client: httpx.AsyncClient, status: str) -> None:
        run, _ = await run_with_tasks(client)
        ended = (await patch_run(client, run, status=status)).json()
        after = await retry_run(client, run)
        assert after == await get_run(client, run)
        assert (after["status"], after["attempt"]) == ("running", 2)
        assert after["revision"] == ended["revision"] + 1
        cleared = ("completed_at", "reason", "cancel_requested_at", "error", "result")
        assert {name: after[name] for name in cleared} == dict.fromkeys(cleared)

    async def test_repeat_with_its_key_changes_nothing(self, client: httpx.AsyncClient) -> None:
        run, _ = await run_with_tasks(client)
        await patch_run(client, run, status="failed")
        again: dict[str, Any] = {"url": address(run, "retry"), "headers": {"Idempotency-Key": "k"}}
        answers = await asyncio.gather(*(client.post(**again, json={"reason": "mended"}) for _ in range(5)))
        assert {(answer.status_code, answer.text) for answer in answers} == {(200, answers[0].text)}
        assert sorted(answer.headers.get("idempotency-replayed", "") for answer in answers) == ["", *["true"] * 4]
        after = await get_run(client, run)
        assert (after["attempt"], after["revision"]) == (2, answers[0].json()["revision"])
        await patch_run(client, run, status="failed")
        assert (await client.post(**again, json={"reason": "mended"})).json() == after
        assert code(await client.post(**again, json={"reason": "other"})) == "idempotency-key-reused"

    async def test_run_that_never_started_is_pending_again(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        await cancel_run(client, run)
        assert (await retry_run(client, run))["status"] == "pending"

    async def test_failed_and_cancelled_tasks_become_claimable(self, client: httpx.AsyncClient) -> None:
        run, tasks = await run_with_tasks(client, "failed", "cancelled", "pending", "completed")
        await patch_run(client, run, status="failed")
        after = await retry_run(client, run)
        assert (after["progress"]["pending"], after["progress"]["completed"]) == (3, 1)
        for n in range(3):
            claimed = await claim_task(client, f"q{n}")
            assert (claimed["task_id"], claimed["attempt"]) == (tasks[n]["task_id"], 2)
            await reported(client, claimed, "complete")
        assert (await get_task(client, tasks[3]))["attempt"] == 1
        assert (await get_run(client, run))["progress"]["percent"] == 100

    async def test_checkpoints_of_its_tasks_stay(self, client: httpx.AsyncClient) -> None:
        run = await run_in(client, "running")
        held = await start_task(client, workflow_run_id=run["workflow_run_id"])
        await put_checkpoint(client, held, "a", state=1)
        await patch_run(client, run, status="failed")
        await retry_run(client, run)
        assert (await claim_task(client))["checkpoints"] == {"a": 1}

    async def test_finished_tasks_of_a_kept_run_stay(self, client: httpx.AsyncClient) -> None:
        run, tasks = await run_with_tasks(client, "completed")
        before = await get_task(client, tasks[0])
        await patch_run(client, run, status="failed")
        await retry_run(client, run)
        assert await get_task(client, tasks[0]) == before

    @pytest.mark.parametrize("status", ["pending", "running", "completed"])
    async def test_run_that_did_not_fail_is_refused(self, client: httpx.AsyncClient, status: str) -> None:
        run = await run_in(client, status)
        response = await client.post(address(run, "retry"))
        assert (response.status_code, code(response)) == (409, "move-not-allowed")
        assert response.json()["current"] == run == await get_run(client, run)

    async def test_unknown_run_is_not_found(self, client: httpx.AsyncClient) -> None:
        assert (await client.post(f"{RUNS}/{UNKNOWN_ID}/retry")).status_code == 404

    async def test_unknown_member_is_refused(self, client: httpx.AsyncClient) -> None:
        run = await run_in(client, "failed")
        assert pointers(await client.post(address(run, "retry"), json={"force": True})) == ["/force"]

    async def test_history_tells_it(self, client: httpx.AsyncClient) -> None:
        run = await run_in(client, "failed")
        await retry_run(client, run, reason="upstream is back")
        entry = (await history_of(client, run))[-1]
        assert (entry["verb"], entry["from"], entry["to"], entry["attempt"], entry["reason"]) == (
            "retry",
            "failed",
            entry["to"],
            2,
            "upstream is back",
        )

    async def test_opened_run_can_be_cancelled_with_grace_again(self, client: httpx.AsyncClient) -> None:
        run, (held,) = await run_with_tasks(client, "running")
        await cancel_run(client, run, grace_seconds=0)
        await retry_run(client, run)
        held = await claim_task(client, "q0")
        assert (await reported(client, held, "heartbeat"))["cancel_requested"] is False
        assert (await cancel_run(client, run))["status"] == "running"
        assert (await reported(client, held, "heartbeat"))["cancel_requested"] is True

    async def test_tasks_may_be_spawned_again(self, client: httpx.AsyncClient) -> None:
        run = await run_in(client, "failed")
        await retry_run(client, run)
        assert (await client.post(address(run, "tasks"), json=task_body())).status_code == 201

    async def test_waiting_claim_gets_its_tasks(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client, tasks=[task_body()])
        await patch_run(client, run, status="failed")
        waiting = asyncio.create_task(claim_tasks(client, wait_seconds=30))
        await retry_run(client, run)
        async with asyncio.timeout(PROMPT_SECONDS):
            assert len(await waiting) == 1


class TestDeleteRun:
    async def test_only_its_own_tasks_go_along(self, client: httpx.AsyncClient) -> None:
        run, other = await create_runs(client, {"tasks": [task_body()] * 2}, {"tasks": [task_body()]})
        await patch_run(client, run, status="failed")
        assert (await client.delete(address(run))).status_code == 204
        items = (await client.get(TASKS)).json()["items"]
        assert [UUID(task["workflow_run_id"]) for task in items] == [UUID(other["workflow_run_id"])]


class TestRepeatedSpawn:
    async def test_known_key_is_answered_also_when_the_run_has_ended(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        address = f"{RUNS}/{run['workflow_run_id']}/tasks"
        first = await client.post(address, json={"task_name": "once", "idempotency_key": "once"})
        await patch_run(client, run, status="completed")
        again = await client.post(address, json={"task_name": "once", "idempotency_key": "once"})
        assert (again.status_code, again.json()["created"]) == (200, False)
        assert again.json()["task_id"] == first.json()["task_id"]
        other = await client.post(address, json={"task_name": "once", "idempotency_key": "another"})
        assert code(other) == "move-not-allowed"

    async def test_repeat_with_its_header_is_answered_also_when_the_run_has_ended(
        self, client: httpx.AsyncClient
    ) -> None:
        run = await create_run(client)
        address = f"{RUNS}/{run['workflow_run_id']}/tasks"
        key = {"Idempotency-Key": "spawn-once"}
        first = await client.post(address, json={"task_name": "once"}, headers=key)
        await patch_run(client, run, status="completed")
        again = await client.post(address, json={"task_name": "once"}, headers=key)
        assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
        assert again.json() == first.json()
        other = await client.post(address, json={"task_name": "other"}, headers=key)
        assert code(other) == "idempotency-key-reused"
