"""Runs that end with so many open steps and tasks that those are ended all together."""

from typing import Any

import httpx
import pytest

from app.execution import run_states
from app.moves import tasks
from tests.definitions import register, task
from tests.executing import children_of, claim_steps, start, status_of, statuses_of, tasks_of
from tests.factories import address, create_run, report

Json = dict[str, Any]


def step(task_id: str, operator: str, *dependencies: str, **members: Any) -> Json:
    return {"task_id": task_id, "operator_type": operator, "dependencies": list(dependencies), **members}


STEPS = [
    task("done"),
    task("offered", "done"),
    task("again", "done", retry_policy={"max_retries": 3, "delay": 600}),
    task("waits", "offered"),
    step("rest", "wait", wait_for=3600),
    step("hears", "wait_for_event", event_name="never-{{run.id}}"),
    step("submitted", "activity", function="f", result_key="s"),
    step("report", "wait_for_event", "submitted", event_name="{{s.completion_event}}"),
    step("loop", "foreach", items="[1, 2, 3]", parallel=True, loop_body=[task("a"), task("b", "a")]),
]


def child_of(name: str) -> Json:
    return step("child", "child_workflow", children={"x": {"workflow_name": f"{name}_child"}})


async def ended(client: httpx.AsyncClient, name: str = "first") -> Json:
    """Return everything about a run in the middle of everything that has been cancelled."""
    await register(client, task("work"), name=f"{name}_child")
    run = await start(client, *STEPS, child_of(name), name=name)
    held = await claim_steps(client)
    await report(client, held["done"], "complete")
    again = (await claim_steps(client))["again"]
    await report(client, again, "fail", error={"name": "E"})
    response = await client.post(address(run, "cancel"), json={"grace_seconds": 0})
    assert response.status_code == 200, response.text
    facts = ("step", "status", "reason", "attempt", "lease_expires_at", "wake_at")
    shown = {t["step"]: {name: t[name] for name in facts} for t in await tasks_of(client, run)}
    assert all(t["completed_at"] for t in await tasks_of(client, run))
    (child,) = await children_of(client, run)
    return {
        "run": await status_of(client, run),
        "steps": await statuses_of(client, run),
        "tasks": shown,
        "child": await status_of(client, child),
        "id": run,
    }


@pytest.fixture
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_states, "STEPS_AT_ONCE", 3)
    monkeypatch.setattr(tasks, "TASKS_AT_ONCE", 2)


async def test_they_end_as_few_do(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    few = await ended(client)
    monkeypatch.setattr(run_states, "STEPS_AT_ONCE", 3)
    monkeypatch.setattr(tasks, "TASKS_AT_ONCE", 2)
    many = await ended(client, "second")
    del few["id"], many["id"]
    assert many == few
    assert many["child"] == "cancelled"
    assert many["steps"]["waits"] == "skipped"
    assert many["steps"]["again"] == "cancelled"


@pytest.mark.usefixtures("_few")
async def test_retry_opens_them_again(client: httpx.AsyncClient) -> None:
    run = (await ended(client))["id"]
    response = await client.post(address(run, "retry"), json={})
    assert response.status_code == 200, response.text
    found = set(await claim_steps(client))
    assert {"offered", "submitted", "loop[0].a", "loop[2].a"} <= found


@pytest.mark.usefixtures("_few")
async def test_tasks_of_a_tracked_run_are_cancelled_but_those_that_run(client: httpx.AsyncClient) -> None:
    run = await create_run(client, tasks=[{"task_name": "t"}] * 6)
    (held,) = await claim_steps(client, limit=1)
    del held
    response = await client.post(address(run, "cancel"), json={"grace_seconds": 60})
    assert response.json()["cancel_requested_at"], response.text
    found = [t["status"] for t in await tasks_of(client, run)]
    assert sorted(found) == ["cancelled"] * 5 + ["running"]
    assert {t["reason"] for t in await tasks_of(client, run)} == {"cancel_requested", None}
