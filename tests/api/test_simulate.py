"""Playing scripts through definitions over HTTP."""

import asyncio
from typing import Any

import httpx
import pytest

from milepost.schemas import examples
from tests.definitions import LINEAR_YAML, WORKFLOWS, task, workflow
from tests.factories import code, pointers

SIMULATE = f"{WORKFLOWS}/simulate"
START = {"do": "start"}


async def simulate(client: httpx.AsyncClient, *steps: dict[str, Any], **body: Any) -> httpx.Response:
    return await client.post(SIMULATE, json={"definition": workflow(), "steps": steps, **body})


async def played(client: httpx.AsyncClient, *steps: dict[str, Any], **body: Any) -> dict[str, Any]:
    response = await simulate(client, *steps, **body)
    assert response.status_code == 200, response.text
    run: dict[str, Any] = response.json()
    return run


class TestScripts:
    async def test_documented_example_is_answered_as_documented(self, client: httpx.AsyncClient) -> None:
        assert (await client.post(SIMULATE, json=examples.SIMULATION)).json() == examples.SIMULATED

    async def test_each_step_is_echoed_as_it_was_sent(self, client: httpx.AsyncClient) -> None:
        complete = {"do": "complete", "task": "extract", "memory": {"a": 1}}
        run = await played(client, START, complete)
        assert [{name: step[name] for name in step if name != "then"} for step in run["steps"]] == [START, complete]
        assert run["steps"][1]["then"]["completed"] == ["extract"]

    async def test_yaml_text_is_a_definition_too(self, client: httpx.AsyncClient) -> None:
        run = await played(client, START, definition=LINEAR_YAML)
        assert run["final"]["tasks"] == {"extract": "runnable", "load": "waiting"}

    async def test_no_steps_do_nothing(self, client: httpx.AsyncClient) -> None:
        response = await client.post(SIMULATE, json={"definition": workflow()})
        assert response.json() == {"steps": [], "final": {"run_status": "pending", "tasks": {}}}

    async def test_inputs_run_and_start_time_are_read(self, client: httpx.AsyncClient) -> None:
        definition = workflow(
            task("a", args=["{{inputs.day}}", "{{run.id}}", "{{ds}}"]),
            {"task_id": "b", "operator_type": "wait", "wait_for": "time:06:00"},
        )
        run = await played(
            client,
            START,
            definition=definition,
            inputs={"day": 3},
            run={"ds": "2026-02-01"},
            start_time="2026-02-01T05:00:00+01:00",
        )
        then = run["steps"][0]["then"]
        assert then["runnable"][0]["args"] == [3, "run-1", "2026-02-01"]
        assert then["timers"] == [{"task": "b", "seconds": 7200}]

    async def test_strict_templates_fail_a_step(self, client: httpx.AsyncClient) -> None:
        definition = workflow(task("a", args=["{{nothing}}"]))
        assert (await played(client, START, definition=definition))["steps"][0]["then"]["unresolved"] == ["nothing"]
        run = await played(client, START, definition=definition, strict_templates=True)
        assert run["final"] == {"run_status": "failed", "tasks": {"a": "failed"}}

    async def test_nothing_is_stored(self, client: httpx.AsyncClient) -> None:
        await played(client, START)
        assert (await client.get(WORKFLOWS)).json()["items"] == []
        assert (await client.get("/v1/tasks")).json()["items"] == []


class TestRefusals:
    @pytest.mark.parametrize(
        ("step", "place"),
        [
            ({}, "/do"),
            ({"do": "dance"}, "/do"),
            ({"do": 1}, "/do"),
            ({"do": ["start"]}, "/do"),
            ({"do": "start", "task": "a"}, "/task"),
            ({"do": "complete"}, "/task"),
            ({"do": "complete", "task": "a", "error": 1}, "/error"),
            ({"do": "complete", "task": "a", "memory": 1}, "/memory"),
            ({"do": "fail", "task": "a", "retryable": "no"}, "/retryable"),
            ({"do": "event"}, "/event"),
            ({"do": "child", "task": "a", "child": "b", "status": "running"}, "/status"),
            ({"do": "advance"}, "/seconds"),
            ({"do": "advance", "seconds": -1}, "/seconds"),
            ({"do": "advance", "seconds": "5"}, "/seconds"),
            ("start", ""),
            (None, ""),
        ],
        ids=str,
    )
    async def test_malformed_step_is_refused_at_its_place(
        self, client: httpx.AsyncClient, step: Any, place: str
    ) -> None:
        assert pointers(await simulate(client, START, step)) == [f"/steps/1{place}"]

    @pytest.mark.parametrize(
        "steps",
        [
            [{"do": "complete", "task": "extract"}],
            [START, START],
            [START, {"do": "complete", "task": "load"}],
            [START, {"do": "complete", "task": "nothing"}],
            [START, {"do": "child", "task": "extract", "child": "a", "status": "completed"}],
            [START, {"do": "cancel"}, {"do": "complete", "task": "extract"}],
        ],
    )
    async def test_step_that_cannot_be_taken_is_refused_at_its_place(
        self, client: httpx.AsyncClient, steps: list[dict[str, Any]]
    ) -> None:
        assert pointers(await simulate(client, *steps)) == [f"/steps/{len(steps) - 1}"]

    async def test_definition_with_errors_is_refused_at_their_places(self, client: httpx.AsyncClient) -> None:
        response = await simulate(client, START, definition=workflow(task("a", "b")))
        assert pointers(response) == ["/definition/tasks/a/dependencies/0"]
        assert response.json()["errors"][0]["code"] == "missing_dependency"

    @pytest.mark.parametrize("definition", ["name: [", "", 1, None, []])
    async def test_what_is_no_definition_is_refused_at_its_place(
        self, client: httpx.AsyncClient, definition: Any
    ) -> None:
        assert pointers(await simulate(client, definition=definition)) == ["/definition"]

    @pytest.mark.parametrize(
        ("body", "place"),
        [
            ({"start_time": "2026-01-01T00:00:00"}, "/start_time"),
            ({"run": 1}, "/run"),
            ({"steps": {}}, "/steps"),
            ({"steps": [START] * 1001}, "/steps"),
            ({"strict_templates": 1}, "/strict_templates"),
            ({"strict": True}, "/strict"),
        ],
        ids=lambda value: str(value)[:40],
    )
    async def test_malformed_member_is_refused(self, client: httpx.AsyncClient, body: Any, place: str) -> None:
        assert pointers(await simulate(client, **body)) == [place]

    async def test_definition_is_required(self, client: httpx.AsyncClient) -> None:
        assert pointers(await client.post(SIMULATE, json={})) == ["/definition"]

    async def test_end_of_time_is_refused_at_its_place(self, client: httpx.AsyncClient) -> None:
        response = await simulate(client, START, {"do": "advance", "seconds": 1e9}, start_time="9990-01-01T00:00:00Z")
        assert (response.status_code, code(response)) == (422, "validation-failed")


class TestLoad:
    async def test_long_scripts_leave_the_service_alive(self, client: httpx.AsyncClient) -> None:
        loop = {
            "task_id": "each",
            "operator_type": "foreach",
            "items": "{{range(2000)}}",
            "parallel": True,
            "loop_body": [task("work")],
        }
        body = {"definition": workflow(loop), "steps": [START]}
        playing = [asyncio.create_task(client.post(SIMULATE, json=body)) for _ in range(3)]
        turns = 0
        while not all(task.done() for task in playing):
            assert (await client.get(WORKFLOWS)).status_code == 200
            turns += 1
        assert {(await task).status_code for task in playing} == {200}
        assert turns > 3
