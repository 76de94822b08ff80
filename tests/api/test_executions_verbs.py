"""Verbs of executed runs: cancel, pause, resume, retry, rerun, PATCH, delete; and their deadlines."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.db.engine import Database, Tx
from tests.definitions import task
from tests.docs.statements import asking, execute
from tests.executing import (
    children_of,
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
    work_off,
)
from tests.factories import (
    UNKNOWN_ID,
    address,
    claim_tasks,
    code,
    create_run,
    emit_event,
    get_run,
    history_of,
    pass_time,
    patch_run,
    pointers,
    report,
    reported,
)
from tests.waiting import eventually

RETRY = {"retry_policy": {"max_retries": 1, "delay": 5, "backoff_factor": 2.0}}


def step(task_id: str, operator: str, *dependencies: str, **members: Any) -> dict[str, Any]:
    return {"task_id": task_id, "operator_type": operator, "dependencies": list(dependencies), **members}


def branches(**tasks: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "branches": {name: [item["task_id"] for item in items] for name, items in tasks.items()},
        "branch_workflows": {
            name: {"name": name, "version": "1", "tasks": {item["task_id"]: item for item in items}}
            for name, items in tasks.items()
        },
    }


async def verb(client: httpx.AsyncClient, run: dict[str, Any], name: str, **body: Any) -> dict[str, Any]:
    response = await client.post(address(run, name), json=body)
    assert response.status_code in (200, 201), response.text
    answer: dict[str, Any] = response.json()
    return answer


class TestCancel:
    async def test_nobody_works_on_it_so_it_is_cancelled_at_once(self, client: httpx.AsyncClient) -> None:
        run = await start(client)
        after = await verb(client, run, "cancel", reason="not needed")
        assert (after["status"], after["reason"]) == ("cancelled", "cancel_requested")
        assert await statuses_of(client, run) == {"extract": "cancelled", "load": "skipped"}
        assert [t["status"] for t in await tasks_of(client, run)] == ["cancelled"]
        assert await claim_steps(client) == {}

    async def test_grace_lets_a_worker_finish_but_nothing_new_is_handed_out(self, client: httpx.AsyncClient) -> None:
        run = await start(client, task("a"), task("b"), task("c", "a"))
        (held,) = await claim_tasks(client, limit=1)
        after = await verb(client, run, "cancel", grace_seconds=60)
        assert (after["status"], bool(after["cancel_requested_at"])) == ("running", True)
        beat = await report(client, held, "heartbeat")
        assert beat.json()["cancel_requested"] is True
        await reported(client, held, "complete")
        assert await claim_steps(client) == {}
        assert (await ended_run(client, run))["status"] == "cancelled"
        assert await statuses_of(client, run) == {"a": "completed", "b": "cancelled", "c": "cancelled"}

    async def test_grace_that_is_over_ends_what_runs(self, client: httpx.AsyncClient) -> None:
        run = await start(client)
        held = (await claim_steps(client))["extract"]
        await verb(client, run, "cancel", grace_seconds=0.2)
        assert (await ended_run(client, run))["status"] == "cancelled"
        late = await report(client, held, "complete")
        assert (late.status_code, code(late)) == (409, "task-cancelled")
        assert await statuses_of(client, run) == {"extract": "cancelled", "load": "skipped"}

    async def test_failure_during_the_grace_is_not_tried_again(self, client: httpx.AsyncClient) -> None:
        run = await start(client, task("a", **RETRY), task("b"))
        held = await claim_steps(client)
        await verb(client, run, "cancel", grace_seconds=60)
        failed = await reported(client, held["a"], "fail", error={"name": "E", "message": "m"})
        assert (failed["status"], failed["reason"]) == ("cancelled", "cancel_requested")
        await reported(client, held["b"], "complete")
        assert (await ended_run(client, run))["status"] == "cancelled"

    async def test_released_work_is_not_handed_out_again(self, client: httpx.AsyncClient) -> None:
        run = await start(client, task("a"), task("b"))
        held = await claim_steps(client)
        await verb(client, run, "cancel", grace_seconds=60)
        await reported(client, held["a"], "release")
        assert await claim_steps(client) == {}
        await reported(client, held["b"], "complete")
        assert (await ended_run(client, run))["status"] == "cancelled"

    async def test_runs_that_it_has_started_are_cancelled_too(self, client: httpx.AsyncClient) -> None:
        inner = await start(client, task("work"), name="inner")
        middle = step("m", "child_workflow", children={"x": {"workflow_name": "inner"}})
        outer = step("o", "child_workflow", children={"y": {"workflow_name": "middle"}})
        await start(client, middle, name="middle")
        run = await start(client, outer, name="outer")
        (child,) = await children_of(client, run)
        (grandchild,) = await children_of(client, child)
        held = await claim_tasks(client, limit=10)
        assert len(held) == 3
        await verb(client, run, "cancel", grace_seconds=0)
        assert [await status_of(client, r) for r in (run, child, grandchild)] == ["cancelled"] * 3
        assert await status_of(client, inner) == "running"

    async def test_request_costs_the_same_however_many_runs_are_below(
        self, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Tx, "execute", execute)
        await start(client, task("work"), name="inner")
        await start(client, step("m", "child_workflow", children={"x": {"workflow_name": "inner"}}), name="middle")
        asked: list[list[str]] = []
        for amount in (1, 5):
            children = {f"c{number}": {"workflow_name": "middle"} for number in range(amount)}
            outer = step("o", "child_workflow", children=children)
            run = await start(client, task("held"), outer, name=f"outer_{amount}")
            await claim_steps(client)
            with asking() as calls:
                await verb(client, run, "cancel", grace_seconds=600)
            assert await status_of(client, run) == "running"
            asked.append(calls)
        assert asked[0] == asked[1]

    async def test_cancelled_again_it_stays(self, client: httpx.AsyncClient) -> None:
        run = await start(client)
        first = await verb(client, run, "cancel")
        assert await verb(client, run, "cancel") == first

    async def test_ended_run_cannot_be_cancelled(self, client: httpx.AsyncClient) -> None:
        run = await start(client)
        await work_off(client)
        response = await client.post(address(run, "cancel"))
        assert (response.status_code, code(response)) == (409, "move-not-allowed")

    async def test_history_tells_who(self, client: httpx.AsyncClient) -> None:
        run = await start(client)
        await verb(client, run, "cancel", reason="not needed")
        entries = await history_of(client, run)
        assert [(e["verb"], e["from"], e["to"]) for e in entries] == [
            ("create", None, "pending"),
            ("execute", "pending", "running"),
            ("cancel", "running", "cancelled"),
        ]
        assert entries[-1]["reason"] in ("not needed", "cancel_requested")


class TestRetry:
    async def test_failed_steps_and_what_they_held_up_are_done_again(self, client: httpx.AsyncClient) -> None:
        run = await start(client, task("a"), task("b"), task("c", "a", "b", args=["{{a}}", "{{b}}"]))
        held = await claim_steps(client)
        await reported(client, held["a"], "complete", result="A")
        await reported(client, held["b"], "fail", error={"name": "E", "message": "m"}, retryable=False)
        assert (await ended_run(client, run))["status"] == "failed"
        after = await verb(client, run, "retry", reason="fixed")
        assert (after["status"], after["attempt"], after["completed_at"], after["error"]) == ("running", 2, None, None)
        assert await statuses_of(client, run) == {"a": "completed", "b": "runnable", "c": "waiting"}
        again = (await claim_steps(client))["b"]
        assert (again["task_id"], again["attempt"]) == (held["b"]["task_id"], 2)
        await reported(client, again, "complete", result="B")
        assert (await claim_steps(client))["c"]["params"]["args"] == ["A", "B"]

    async def test_retried_step_has_all_its_attempts_again(self, client: httpx.AsyncClient, database: Database) -> None:
        run = await start(client, task("a", **RETRY))
        for _ in range(2):
            for _ in range(2):
                await reported(client, (await claim_steps(client))["a"], "fail")
                await let_pass(database, run, 5)
            assert (await ended_run(client, run))["status"] == "failed"
            await verb(client, run, "retry")
        assert (await claim_steps(client))["a"]["attempt"] == 5

    async def test_cancelled_run_goes_on(self, client: httpx.AsyncClient) -> None:
        run = await start(client, task("a"), task("b", "a"), task("c"))
        await reported(client, (await claim_steps(client))["a"], "complete", result=1)
        await verb(client, run, "cancel", grace_seconds=0)
        await verb(client, run, "retry")
        assert sorted(await work_off(client)) == ["b", "c"]
        assert (await ended_run(client, run))["status"] == "completed"

    async def test_inside_branches_and_iterations_what_is_done_stays(self, client: httpx.AsyncClient) -> None:
        one, two = task("one", args=["{{item}}"]), task("two", "one", args=["{{one}}"])
        each = step("each", "foreach", items="[1, 2, 3]", parallel=True, loop_body=[one, two])
        fork = step("fork", "parallel", **branches(left=[each], right=[task("r")]))
        run = await start(client, fork, task("end", "fork"))
        for path, held in (await claim_steps(client)).items():
            broken = path.endswith("[1].one")
            await reported(client, held, "fail" if broken else "complete", **({"retryable": False} if broken else {}))
        await work_off(client)
        assert (await ended_run(client, run))["status"] == "failed"
        before = {path for path, status in (await statuses_of(client, run)).items() if status == "completed"}
        await verb(client, run, "retry")
        assert list(await claim_steps(client)) == ["fork.left.each[1].one"]
        await verb(client, run, "cancel", grace_seconds=0)
        await verb(client, run, "retry")
        assert await work_off(client) == ["fork.left.each[1].one", "fork.left.each[1].two", "end"]
        after = await statuses_of(client, run)
        assert set(after.values()) == {"completed"}
        assert before < after.keys()
        assert (await ended_run(client, run))["status"] == "completed"

    @pytest.mark.parametrize("status", ["running", "completed"])
    async def test_only_what_failed_or_was_cancelled(self, client: httpx.AsyncClient, status: str) -> None:
        run = await start(client)
        if status == "completed":
            await work_off(client)
        response = await client.post(address(run, "retry"))
        assert (response.status_code, code(response)) == (409, "move-not-allowed")
        assert await status_of(client, run) == status

    async def test_deadline_counts_anew(self, client: httpx.AsyncClient, database: Database) -> None:
        run = await start(client, deadline_seconds=100)
        await let_pass(database, run, 100)
        assert (await ended_run(client, run))["reason"] == "deadline"
        await verb(client, run, "retry")
        await let_pass(database, run, 90)
        assert await status_of(client, run) == "running"
        await let_pass(database, run, 10)
        assert (await ended_run(client, run))["status"] == "failed"


class TestRerun:
    async def test_new_run_takes_over_what_does_not_follow(self, client: httpx.AsyncClient) -> None:
        steps = [task("a"), task("b", "a", args=["{{a}}"]), task("c", "b", args=["{{a}}", "{{b}}"]), task("d", "a")]
        run = await start(client, *steps, body={"inputs": {"n": 1}, "tags": {"k": "v"}, "created_by": "me"})
        await work_off(client)
        response = await client.post(address(run, "rerun"), json={"from_step": "b"})
        assert response.status_code == 201, response.text
        again = response.json()
        assert response.headers["location"].endswith(again["workflow_run_id"])
        assert again["workflow_run_id"] != run["workflow_run_id"]
        assert again["rerun_of_workflow_run_id"] == run["workflow_run_id"]
        assert {name: again[name] for name in ("inputs", "tags", "created_by", "queue", "data_interval_start")} == {
            name: run[name] for name in ("inputs", "tags", "created_by", "queue", "data_interval_start")
        }
        assert await statuses_of(client, again) == {
            "a": "completed",
            "b": "runnable",
            "c": "waiting",
            "d": "completed",
        }
        held = (await claim_steps(client))["b"]
        assert held["params"]["args"] == ["a"]
        await reported(client, held, "complete", result="B2")
        assert (await claim_steps(client))["c"]["params"]["args"] == ["a", "B2"]
        assert await status_of(client, run) == "completed"

    async def test_fork_is_done_again_with_the_task_that_waits_for_it(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        fork = step("fork", "parallel", result_key="forked", **branches(left=[task("x")], right=[task("y")]))
        function = "tools.workflow.wait_for_parallel_branches"
        waits = task("wait", "fork", function=function, args=["{{forked}}"], kwargs={"timeout_seconds": 30})
        run = await start(client, fork, waits)
        await reported(client, (await claim_steps(client))["fork.left.x"], "complete")
        await let_pass(database, run, 30)
        assert (await ended_run(client, run))["status"] == "failed"
        again = await verb(client, run, "rerun", from_step="wait")
        assert await work_off(client) == ["fork.left.x", "fork.right.y"]
        assert (await ended_run(client, again))["status"] == "completed"

    async def test_activity_is_done_again_that_was_given_up(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        long = task("long", operator_type="activity", result_key="job")
        event = {"event_name": "{{job.completion_event}}", "timeout_seconds": 30}
        run = await start(client, long, step("hear", "wait_for_event", "long", **event))
        await let_pass(database, run, 30)
        assert (await ended_run(client, run))["status"] == "failed"
        again = await verb(client, run, "rerun", from_step="hear")
        assert await work_off(client) == ["long"]
        assert (await ended_run(client, again))["status"] == "completed"

    async def test_old_run_may_be_deleted(self, client: httpx.AsyncClient) -> None:
        run = await start(client)
        await work_off(client)
        again = await verb(client, run, "rerun", from_step="load")
        assert (await client.delete(address(run))).status_code == 204
        assert (await get_run(client, again))["rerun_of_workflow_run_id"] in (None, run["workflow_run_id"])
        assert await work_off(client) == ["load"]
        assert (await ended_run(client, again))["status"] == "completed"

    async def test_step_inside_a_container_is_refused(self, client: httpx.AsyncClient) -> None:
        run = await start(client, step("fork", "parallel", **branches(left=[task("x")])))
        await work_off(client)
        for name in ("fork.left.x", "nothing"):
            assert pointers(await client.post(address(run, "rerun"), json={"from_step": name})) == ["/from_step"]

    @pytest.mark.parametrize(
        ("body", "place"), [({}, "/from_step"), ({"from_step": ""}, "/from_step"), ({"x": 1}, "/from_step")]
    )
    async def test_bad_body_is_refused(self, client: httpx.AsyncClient, body: dict[str, Any], place: str) -> None:
        run = await start(client)
        assert place in pointers(await client.post(address(run, "rerun"), json=body))

    async def test_open_run_is_refused(self, client: httpx.AsyncClient) -> None:
        response = await client.post(address(await start(client), "rerun"), json={"from_step": "load"})
        assert (response.status_code, code(response)) == (409, "move-not-allowed")

    async def test_tracked_run_is_refused(self, client: httpx.AsyncClient) -> None:
        response = await client.post(address(await create_run(client), "rerun"), json={"from_step": "load"})
        assert (response.status_code, code(response)) == (409, "move-not-allowed")

    async def test_key_makes_it_once(self, client: httpx.AsyncClient) -> None:
        run = await start(client)
        await work_off(client)
        headers = {"Idempotency-Key": "k"}
        first, again = [
            await client.post(address(run, "rerun"), json={"from_step": "load"}, headers=headers) for _ in range(2)
        ]
        assert (first.status_code, again.status_code) == (201, 200)
        assert again.json() == first.json()


class TestPause:
    async def test_nothing_is_handed_out_until_it_is_resumed(self, client: httpx.AsyncClient) -> None:
        run = await start(client, task("a"), task("b"), task("c", "a"))
        (held,) = await claim_tasks(client, limit=1)
        await verb(client, run, "pause")
        assert await claim_steps(client) == {}
        await reported(client, held, "complete")
        assert await statuses_of(client, run) == {"a": "completed", "b": "runnable", "c": "runnable"}
        assert await claim_steps(client) == {}
        await verb(client, run, "resume")
        assert sorted(await claim_steps(client)) == ["b", "c"]
        assert [entry["verb"] for entry in (await history_of(client, run))[2:]] == ["pause", "resume"]

    async def test_waiting_claim_gets_what_is_resumed(self, client: httpx.AsyncClient) -> None:
        run = await start(client)
        await verb(client, run, "pause")
        await verb(client, run, "resume")
        assert list(await claim_steps(client, wait_seconds=60)) == ["extract"]

    async def test_timers_retries_and_events_go_on_without_handing_out_work(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        run = await start(
            client,
            step("rest", "wait", wait_for=60),
            task("rested", "rest"),
            step("hear", "wait_for_event", event_name="go_{{run.id}}"),
            task("heard", "hear"),
            task("again", **RETRY),
        )
        await reported(client, (await claim_steps(client))["again"], "fail")
        await verb(client, run, "pause")
        await emit_event(client, f"go_{run['workflow_run_id']}")
        await let_pass(database, run, 60)
        stands = await statuses_of(client, run)
        assert {name: stands[name] for name in ("rested", "heard", "again")} == {
            "rested": "runnable",
            "heard": "runnable",
            "again": "runnable",
        }
        assert await claim_steps(client) == {}
        await verb(client, run, "resume")
        assert sorted(await claim_steps(client)) == ["again", "heard", "rested"]

    async def test_released_and_woken_work_is_held_back(self, client: httpx.AsyncClient, database: Database) -> None:
        run = await start(client, task("a"), task("b"), task("c"), task("d"))
        held = await claim_steps(client)
        await reported(client, held["b"], "sleep", seconds=60)
        await report(client, held["c"], "await-event", step_name="s", event_name="go")
        await verb(client, run, "pause")
        await reported(client, held["a"], "release")
        await reported(client, held["d"], "sleep", seconds=0)
        await emit_event(client, "go")
        async with database.transaction() as tx:
            await pass_time(tx, held["b"], 60)

        async def is_woken() -> bool:
            async with database.transaction() as tx:
                return not (await tx.execute(text("SELECT 1 FROM tasks WHERE due_at IS NOT NULL"))).all()

        await eventually(is_woken)
        assert await claim_steps(client) == {}
        await verb(client, run, "resume")
        assert sorted(await claim_steps(client)) == ["a", "b", "c", "d"]

    async def test_paused_run_can_be_cancelled_and_again_paused_stays(self, client: httpx.AsyncClient) -> None:
        run = await start(client)
        first = await verb(client, run, "pause")
        assert await verb(client, run, "pause") == first
        assert (await verb(client, run, "cancel"))["status"] == "cancelled"

    @pytest.mark.parametrize("name", ["pause", "resume"])
    async def test_ended_and_tracked_runs_are_refused(self, client: httpx.AsyncClient, name: str) -> None:
        run = await start(client)
        await work_off(client)
        for refused in (run, await create_run(client)):
            response = await client.post(address(refused, name))
            assert (response.status_code, code(response)) == (409, "move-not-allowed")

    async def test_refusals_name_what_can_be_done_instead(self, client: httpx.AsyncClient) -> None:
        run = await start(client)
        told = [(await client.delete(address(run))).json()["allowed"][-2:]]
        await verb(client, run, "pause")
        told.append((await client.delete(address(run))).json()["allowed"][-2:])
        await verb(client, run, "resume")
        await work_off(client)
        told.append((await client.post(address(run, "pause"))).json()["allowed"][-2:])
        assert told == [["cancel", "pause"], ["cancel", "resume"], ["delete", "rerun"]]

    @pytest.mark.parametrize("name", ["pause", "resume", "rerun", "steps", "warnings"])
    async def test_unknown_run_is_not_found(self, client: httpx.AsyncClient, name: str) -> None:
        place = address({"workflow_run_id": str(UNKNOWN_ID)}, name)
        is_read = name in ("steps", "warnings")
        response = await (
            client.get(place) if is_read else client.post(place, json={"from_step": "a"} if name == "rerun" else {})
        )
        assert (response.status_code, code(response)) == (404, "not-found")

    @pytest.mark.parametrize("name", ["pause", "resume"])
    async def test_bad_body_is_refused(self, client: httpx.AsyncClient, name: str) -> None:
        assert pointers(await client.post(address(await start(client), name), json={"why": 1})) == ["/why"]


class TestPatch:
    @pytest.mark.parametrize(
        "change",
        [
            {"status": "completed"},
            {"status": "failed"},
            {"result": 1},
            {"error": {"message": "m"}},
            {"status": "pending"},
        ],
    )
    async def test_what_only_the_execution_brings_about_cannot_be_reported(
        self, client: httpx.AsyncClient, change: dict[str, Any]
    ) -> None:
        run = await start(client)
        response = await patch_run(client, run, **change)
        assert (response.status_code, code(response)) == (409, "move-not-allowed")
        assert await status_of(client, run) == "running"
        assert list(await claim_steps(client)) == ["extract"]

    async def test_tags_may_change(self, client: httpx.AsyncClient) -> None:
        run = await start(client, body={"tags": {"a": 1}})
        response = await patch_run(client, run, tags={"b": 2, "a": None})
        assert (response.status_code, response.json()["tags"]) == (200, {"b": 2})
        await work_off(client)
        assert (await patch_run(client, run, tags={"c": 3})).json()["tags"] == {"b": 2, "c": 3}


class TestDelete:
    async def test_everything_goes(self, client: httpx.AsyncClient, database: Database) -> None:
        run = await start(
            client, task("a", args=["{{nothing}}"]), step("l", "foreach", "a", items="[1]", loop_body=[task("b")])
        )
        response = await client.delete(address(run))
        assert (response.status_code, code(response)) == (409, "move-not-allowed")
        await work_off(client)
        assert (await client.delete(address(run))).status_code == 204
        for table in ("workflow_executions", "workflow_steps", "workflow_frames", "workflow_warnings", "tasks"):
            async with database.transaction() as tx:
                assert (await tx.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one() == 0, table

    async def test_children_stay(self, client: httpx.AsyncClient) -> None:
        await start(client, task("work"), name="inner")
        run = await start(client, step("o", "child_workflow", children={"x": {"workflow_name": "inner"}}), name="outer")
        await work_off(client)
        (child,) = await children_of(client, run)
        assert (await client.delete(address(run))).status_code == 204
        assert (await get_run(client, child))["parent_workflow_run_id"] is None


class TestDeadline:
    @pytest.mark.parametrize(("action", "status"), [("fail", "failed"), ("cancel", "cancelled")])
    async def test_run_that_takes_too_long_is_ended(
        self, client: httpx.AsyncClient, database: Database, action: str, status: str
    ) -> None:
        run = await start(client, task("a"), task("b", "a"), deadline_seconds=100, deadline_action=action)
        assert run["deadline_at"] is not None
        held = (await claim_steps(client))["a"]
        await let_pass(database, run, 100)
        ended = await ended_run(client, run)
        assert (ended["status"], ended["reason"]) == (status, "deadline")
        assert await statuses_of(client, run) == {"a": "cancelled", "b": "skipped"}
        late = await report(client, held, "complete")
        assert (late.status_code, code(late)) == (409, "task-cancelled")

    async def test_run_that_ends_in_time_is_left_alone(self, client: httpx.AsyncClient, database: Database) -> None:
        run = await start(client, task("a"), deadline_seconds=100)
        await do_step(client, "a")
        await let_pass(database, run, 200)
        assert await status_of(client, run) == "completed"


class TestEnd:
    async def test_waiting_for_the_run_ends_with_it(self, client: httpx.AsyncClient) -> None:
        run = await start(client, task("a", result_key="r"))
        await do_step(client, "a", {"x": 1})
        ended = await ended_run(client, run)
        assert (ended["status"], ended["result"], ended["reason"]) == ("completed", {"r": {"x": 1}}, None)
        assert ended["started_at"] <= ended["completed_at"]

    async def test_error_names_the_step(self, client: httpx.AsyncClient) -> None:
        run = await start(client)
        await fail_step(client, "extract")
        ended = await ended_run(client, run)
        assert (ended["status"], ended["error"]["step"]) == ("failed", "extract")
        assert (await steps_of(client, run))["load"]["status"] == "upstream_failed"

    async def test_runs_of_one_definition_do_not_touch_each_other(self, client: httpx.AsyncClient) -> None:
        runs = [await start(client)] + [await start_run(client) for _ in range(2)]
        held = await claim_tasks(client, limit=10)
        await reported(client, held[0], "fail", retryable=False)
        await reported(client, held[1], "complete")
        assert [await status_of(client, run) for run in runs] == ["failed", "running", "running"]
        assert [list((await statuses_of(client, run)).values()) for run in runs[1:]] == [
            ["completed", "runnable"],
            ["running", "waiting"],
        ]
