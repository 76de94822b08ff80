"""Executed runs through both clients: their steps and warnings, and what only they can do."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from milepost.client import AsyncClient, Client, MoveNotAllowed, NotFound, ValidationFailed
from milepost.schemas.steps import StepStatus, WorkflowStep
from milepost.schemas.workflow_runs import RunStatus
from tests.definitions import task, workflow
from tests.factories import UNKNOWN_ID

LEASE = {"worker_id": "test", "lease_seconds": 60}


def started(client: Client, queue: str) -> UUID:
    """Return a new run of two steps; the second has a template without a value."""
    steps = task("extract", result_key="rows"), task("load", "extract", args=["{{nothing}}"])
    client.register_workflow(workflow(*steps, name=queue))
    return client.start_workflow(queue, queue=queue).workflow_run_id


def work(client: Client, queue: str, result: object = None, **memory: Any) -> str:
    """Complete the next work item of ``queue``, and return its step."""
    (claimed,) = client.claim_tasks(queue, **LEASE).tasks  # type: ignore[arg-type]
    client.complete_task(claimed.task_id, claimed.lease_token, result, memory=memory or None)
    assert claimed.step is not None
    return claimed.step


def statuses(steps: list[WorkflowStep]) -> dict[str, str]:
    return {step.path: step.status.value for step in steps}


class TestSteps:
    def test_steps_are_listed_with_their_results(self, client: Client, queue: str) -> None:
        run_id = started(client, queue)
        assert work(client, queue, {"rows": 3}) == "extract"
        first, second = client.list_workflow_run_steps(run_id).items
        assert (first.path, first.status, first.result) == ("extract", StepStatus.completed, {"rows": 3})
        assert (second.path, second.status, second.operator_type) == ("load", StepStatus.runnable, "task")

    def test_status_filters_them(self, client: Client, queue: str) -> None:
        run_id = started(client, queue)
        work(client, queue)
        (step,) = client.list_workflow_run_steps(run_id, status=[StepStatus.runnable, "waiting"]).items
        assert step.path == "load"

    def test_iteration_walks_over_all_pages(self, client: Client, queue: str) -> None:
        run_id = started(client, queue)
        assert [step.path for step in client.iterate_workflow_run_steps(run_id, limit=1)] == ["extract", "load"]

    def test_unknown_run_is_not_found(self, client: Client) -> None:
        with pytest.raises(NotFound):
            client.list_workflow_run_steps(UNKNOWN_ID)


class TestWarnings:
    def test_template_without_a_value_is_a_warning(self, client: Client, queue: str) -> None:
        run_id = started(client, queue)
        work(client, queue)
        (warning,) = client.list_workflow_run_warnings(run_id).items
        assert (warning.path, warning.expression) == ("load", "nothing")
        assert [found.at for found in client.iterate_workflow_run_warnings(run_id)] == [warning.at]


class TestPause:
    def test_paused_run_hands_out_nothing_until_it_is_resumed(self, client: Client, queue: str) -> None:
        run_id = started(client, queue)
        assert client.pause_workflow_run(run_id).status is RunStatus.running
        assert client.claim_tasks(queue, **LEASE).tasks == []  # type: ignore[arg-type]
        assert client.resume_workflow_run(run_id).status is RunStatus.running
        assert work(client, queue) == "extract"

    def test_tracked_run_cannot_pause(self, client: Client, queue: str) -> None:
        run = client.create_workflow_run("nightly_etl", "1", queue=queue)
        with pytest.raises(MoveNotAllowed, match="only runs that the service executes"):
            client.pause_workflow_run(run.workflow_run_id)


class TestMemory:
    def test_completed_step_puts_values_into_the_memory_of_the_run(self, client: Client, queue: str) -> None:
        steps = task("extract"), task("load", "extract", args=["{{memory.cursor}}"])
        client.register_workflow(workflow(*steps, name=queue))
        client.start_workflow(queue, queue=queue)
        work(client, queue, cursor=42)
        (claimed,) = client.claim_tasks(queue, **LEASE).tasks  # type: ignore[arg-type]
        assert claimed.params == {"args": [42], "kwargs": {}}

    def test_task_that_is_no_step_has_none(self, client: Client, queue: str) -> None:
        client.spawn_task("extract", queue=queue)
        (claimed,) = client.claim_tasks(queue, **LEASE).tasks  # type: ignore[arg-type]
        with pytest.raises(ValidationFailed, match="/memory"):
            client.complete_task(claimed.task_id, claimed.lease_token, memory={"cursor": 42})


class TestRerun:
    def test_new_run_does_a_step_and_what_follows_again(self, client: Client, queue: str) -> None:
        run_id = started(client, queue)
        assert [work(client, queue, {"rows": 3}), work(client, queue)] == ["extract", "load"]
        key = uuid4().hex
        again, replayed = (client.rerun_workflow_run(run_id, "load", idempotency_key=key) for _ in range(2))
        assert again == replayed
        assert again.rerun_of_workflow_run_id == run_id
        assert statuses(client.list_workflow_run_steps(again.workflow_run_id).items) == {
            "extract": "completed",
            "load": "runnable",
        }

    def test_unknown_step_is_named(self, client: Client, queue: str) -> None:
        run_id = started(client, queue)
        client.cancel_workflow_run(run_id)
        with pytest.raises(ValidationFailed, match="/from_step"):
            client.rerun_workflow_run(run_id, "nowhere")


class TestAsyncClient:
    async def test_calls_are_awaited(self, async_client: AsyncClient, queue: str) -> None:
        await async_client.register_workflow(workflow(name=queue))
        run_id = (await async_client.start_workflow(queue, queue=queue)).workflow_run_id
        await async_client.pause_workflow_run(run_id)
        await async_client.resume_workflow_run(run_id)
        assert [step.path async for step in async_client.iterate_workflow_run_steps(run_id)] == ["extract", "load"]
        assert (await async_client.list_workflow_run_warnings(run_id)).items == []
