"""What happens at the service while the page looks: real workers, executed definitions, and many tasks at once."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from milepost.client import Client, Worker
from tests.client.working import make_worker, working
from tests.definitions import WORKFLOWS, task, workflow
from tests.waiting import wait_until

ENDED = {"completed", "failed", "cancelled"}
TASKS_A_CALL = 1000


def etl(name: str = "nightly", version: str = "1.0.0", **changes: Any) -> dict[str, Any]:
    """Return a definition with branches side by side, a loop, and a step that reads inputs."""

    def branch(letter: str) -> list[dict[str, Any]]:
        return [task(f"check_{letter}"), task(f"publish_{letter}", f"check_{letter}")]

    return workflow(
        task("extract", args=["{{inputs.day}}", "{{inputs.source}}"], result_key="rows"),
        {
            "task_id": "each_file",
            "operator_type": "foreach",
            "dependencies": ["extract"],
            "items": "[1, 2, 3, 4, 5]",
            "parallel": True,
            "loop_body": [task("load_file", args=["{{item}}"])],
        },
        {
            "task_id": "both",
            "operator_type": "parallel",
            "dependencies": ["extract"],
            "branches": {"north": ["check_n", "publish_n"], "south": ["check_s", "publish_s"]},
            "branch_workflows": {
                "north": {"name": "north", "version": "1", "tasks": {one["task_id"]: one for one in branch("n")}},
                "south": {"name": "south", "version": "1", "tasks": {one["task_id"]: one for one in branch("s")}},
            },
        },
        task("report", "each_file", "both"),
        name=name,
        version=version,
        description="Loads last night's files and publishes what they say",
        **changes,
    )


def register(http: httpx.Client, document: dict[str, Any]) -> dict[str, Any]:
    """Return a definition that was just registered."""
    response = http.post(WORKFLOWS, json=document)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


def start(http: httpx.Client, name: str, version: str = "1.0.0", **body: Any) -> dict[str, Any]:
    """Return a run of a registered definition that was just started."""
    response = http.post(f"{WORKFLOWS}/{name}/{version}/runs", json=body)
    assert response.status_code == 201, response.text
    run: dict[str, Any] = response.json()
    return run


def spawn(http: httpx.Client, name: str, **spec: Any) -> str:
    """Return the id of a task that was just spawned."""
    response = http.post("/v1/tasks", json={"task_name": name, **spec})
    assert response.status_code == 201, response.text
    task_id: str = response.json()["task_id"]
    return task_id


def status_of(http: httpx.Client, task_id: str) -> str:
    """Return where a task stands."""
    status: str = http.get(f"/v1/tasks/{task_id}").json()["status"]
    return status


def wait_for(http: httpx.Client, task_id: str, *statuses: str) -> None:
    """Return once a task has one of these statuses."""
    wait_until(lambda: status_of(http, task_id) in (statuses or ENDED))


def many_tasks(http: httpx.Client, count: int, *, queue: str = "bulk") -> dict[str, Any]:
    """Return a run with so many tasks."""
    made = http.post("/v1/workflow-runs", json={"workflow_name": "bulk", "workflow_version": "1", "task_count": count})
    run: dict[str, Any] = made.json()
    link = {"workflow_run_id": run["workflow_run_id"], "queue": queue}
    for begin in range(0, count, TASKS_A_CALL):
        numbers = range(begin, min(count, begin + TASKS_A_CALL))
        tasks = [{"task_name": f"part_{number:05}", **link} for number in numbers]
        assert http.post("/v1/tasks/batch", json={"tasks": tasks}).status_code == 201
    return run


def shop_worker(client: Client, queue: str, **options: Any) -> Worker:
    """Return a worker whose tasks succeed, fail, are tried again, sleep, wait for an event, or last."""
    worker = make_worker(client, queue, **options)

    @worker.task("succeed")
    def succeed(ctx: Any, params: Any) -> Any:
        ctx.step("first", lambda: {"rows": 3})
        return {"given": params}

    @worker.task("fail")
    def fail(ctx: Any, params: Any) -> Any:
        raise ConnectionError(f"the warehouse does not answer, attempt {ctx.task.attempt}")

    @worker.task("recover")
    def recover(ctx: Any, params: Any) -> Any:
        if ctx.task.attempt == 1:
            raise TimeoutError("the first time is too early")
        return "the second time"

    @worker.task("sleep")
    def sleep(ctx: Any, params: Any) -> Any:
        ctx.sleep(3600)

    @worker.task("wait")
    def wait(ctx: Any, params: Any) -> Any:
        return ctx.await_event(params["event"])

    @worker.task("last")
    def last(ctx: Any, params: Any) -> Any:
        while not ctx.cancelled:
            time.sleep(0.02)

    return worker


@contextmanager
def shop(client: Client, queue: str, **options: Any) -> Iterator[Worker]:
    """Let the worker work for the time of the block."""
    worker = shop_worker(client, queue, **options)
    with working(worker):
        yield worker


@contextmanager
def steps_worker(client: Client, queue: str, *, broken: frozenset[str] = frozenset()) -> Iterator[Worker]:
    """Let a worker do the steps of ``etl`` for the time of the block; those that are broken fail."""
    worker = make_worker(client, queue)

    def handler(name: str) -> Any:
        def work(ctx: Any, params: Any) -> Any:
            if name in broken:
                raise ValueError(f"{name} found a file that it cannot read")
            return {"step": name}

        return work

    for name in ("extract", "load_file", "check_n", "check_s", "publish_n", "publish_s", "report"):
        worker.task(f"jobs.{name}")(handler(name))
    with working(worker):
        yield worker


def wait_until_ended(http: httpx.Client, workflow_run_id: str) -> None:
    """Return once a run has ended."""
    wait_until(lambda: http.get(f"/v1/workflow-runs/{workflow_run_id}").json()["status"] in ENDED)
