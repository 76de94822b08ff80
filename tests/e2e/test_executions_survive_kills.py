"""A worker, the service or Postgres is killed (kill -9) while runs are executed: each step is done once."""

import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import connect
from tests.definitions import WORKFLOWS, task, workflow
from tests.e2e.processes import Service, free_port
from tests.e2e.test_tasks_survive_kills import QUEUE, kill_postgres, workers
from tests.factories import RUNS
from tests.waiting import wait_until

RUNS_AT_ONCE = 6
ITEMS = 12
LONG = 6000
RETRY = {"max_retries": 1000, "delay": 0.2, "backoff_factor": 1.0}


def step(task_id: str, operator: str, *dependencies: str, **members: Any) -> dict[str, Any]:
    return {"task_id": task_id, "operator_type": operator, "dependencies": list(dependencies), **members}


def definition() -> dict[str, Any]:
    """Return a definition with branches, iterations, retries, timers, events and a child run."""
    left = [task("l1", retry_policy=RETRY), step("say", "emit_event", "l1", event_name="said_{{run.id}}")]
    right = [
        step("hear", "wait_for_event", event_name="said_{{run.id}}"),
        step("told", "wait_for_event", "hear", event_name="told_{{run.id}}"),
        task("r1", "told", retry_policy=RETRY),
    ]
    body = [task("one", retry_policy=RETRY), task("two", "one", args=["{{item}}"], retry_policy=RETRY)]
    branches = {"left": left, "right": right}
    return workflow(
        task("begin"),
        step(
            "fork",
            "parallel",
            "begin",
            branches={name: [item["task_id"] for item in items] for name, items in branches.items()},
            branch_workflows={
                name: {"name": name, "version": "1", "tasks": {item["task_id"]: item for item in items}}
                for name, items in branches.items()
            },
        ),
        step("each", "foreach", "begin", items=str(list(range(ITEMS))), parallel=True, loop_body=body),
        step("rest", "wait", "begin", wait_for=1),
        step("kin", "child_workflow", "rest", children={"x": {"workflow_name": "child"}}),
        task("end", "fork", "each", "kin"),
        name="survivor",
        default_retry_policy=RETRY,
    )


def register(service: Service) -> None:
    child = workflow(task("work"), name="child", default_retry_policy=RETRY)
    for document in (child, definition()):
        response = service.http.post(WORKFLOWS, json=document)
        assert response.status_code == 201, response.text


class Caller(threading.Thread):
    """Starts runs and emits the events they await, each again until it is acknowledged."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.address = address
        self.runs: list[str] = []

    def run(self) -> None:
        with httpx.Client(base_url=self.address, timeout=20) as http:
            for number in range(RUNS_AT_ONCE):
                key = {"Idempotency-Key": f"run-{number}"}
                started = self.insist(http, f"{WORKFLOWS}/survivor/latest/runs", {"queue": QUEUE}, key)
                self.runs.append(started["workflow_run_id"])
            for run_id in list(self.runs):
                self.insist(http, f"/v1/queues/{QUEUE}/events/told_{run_id}", {"payload": 1}, {})

    def insist(self, http: httpx.Client, path: str, body: Any, headers: dict[str, str]) -> Any:
        while True:
            try:
                answer = http.post(path, json=body, headers=headers)
            except httpx.TransportError:
                time.sleep(0.05)
                continue
            if answer.is_success:
                return answer.json()
            assert answer.status_code == 503, answer.text
            time.sleep(0.05)


def steps_of(service: Service, run_id: str) -> dict[str, dict[str, Any]]:
    answer = service.http.get(f"{RUNS}/{run_id}/steps", params={"limit": 200}).json()
    assert answer["next_cursor"] is None
    return {item["path"]: item for item in answer["items"]}


class TestKill:
    @pytest.mark.parametrize("victim", ["worker", "service", "postgres"])
    def test_each_step_is_done_once_and_the_runs_end(self, home: Path, victim: str) -> None:
        port = free_port()
        address = f"http://127.0.0.1:{port}"
        settings = {"data_dir": home, "port": port, "housekeeping_seconds": 0.1}
        services = [Service(**settings)]
        services[0].http.base_url = httpx.URL(address)
        try:
            register(services[0].wait_ready())
            caller = Caller(address)
            with workers(address, 3) as working:
                caller.start()
                for kill_after in (10, 60):
                    wait_until(lambda most=kill_after: sum(len(worker.done) for worker in working) > most)  # type: ignore[misc]
                    self.kill(victim, services, working, settings, home)
                caller.join(30)

                def all_ended() -> bool:
                    runs = [services[-1].get({"workflow_run_id": run_id}) for run_id in caller.runs]
                    return len(runs) == RUNS_AT_ONCE and all(run["completed_at"] for run in runs)

                wait_until(all_ended)
            self.check(services[-1], caller.runs, working)
        finally:
            for service in services:
                service.__exit__(None, None, None)

    def kill(
        self, victim: str, services: list[Service], working: list[Any], settings: dict[str, Any], home: Path
    ) -> None:
        if victim == "worker":
            next(worker for worker in working if worker.process.poll() is None).kill()
            return
        if victim == "postgres":
            kill_postgres(home)
        services[-1].kill()
        services.append(Service(**settings))
        services[-1].http.base_url = httpx.URL(settings_address(settings))
        services[-1].wait_ready()

    def check(self, service: Service, runs: list[str], working: list[Any]) -> None:
        done = Counter(task_id for worker in working for task_id in worker.done)
        assert set(done.values()) <= {1}
        listed = service.http.get(RUNS, params={"limit": 200, "workflow_name": "survivor"}).json()["items"]
        assert sorted(run["workflow_run_id"] for run in listed) == sorted(runs)
        children = service.http.get(RUNS, params={"limit": 200, "workflow_name": "child"}).json()["items"]
        assert sorted(child["parent_workflow_run_id"] for child in children) == sorted(runs)
        assert {run["status"] for run in [*listed, *children]} == {"completed"}
        for run_id in runs:
            steps = steps_of(service, run_id)
            assert {item["status"] for item in steps.values()} == {"completed"}
            assert sum(path.startswith("each[") for path in steps) == 2 * ITEMS
            tasks = service.http.get(f"{RUNS}/{run_id}/tasks", params={"limit": 200}).json()["items"]
            assert Counter(item["step"] for item in tasks) == Counter(
                path for path, item in steps.items() if item["task_id"]
            )
            assert {item["status"] for item in tasks} == {"completed"}
            assert {item["task_id"] for item in tasks} == {i["task_id"] for i in steps.values() if i["task_id"]}


class TestTurns:
    def test_loop_that_was_killed_between_its_turns_begins_whole(self, url: str) -> None:
        loop = step("each", "foreach", items="{{inputs.numbers}}", parallel=True, loop_body=[task("one")])

        def begun() -> int:
            with connect(url) as database:
                return database.execute("SELECT count(DISTINCT step) FROM tasks").fetchone()[0]  # type: ignore[index,no-any-return]

        with Service(database_url=url, housekeeping_seconds=0.1) as service:
            assert service.http.post(WORKFLOWS, json=workflow(loop, name="long")).status_code == 201
            body = {"inputs": {"numbers": list(range(LONG))}}
            run = service.http.post(f"{WORKFLOWS}/long/latest/runs", json=body).json()
            wait_until(lambda: begun() > LONG // 5)
            service.kill()
        assert begun() < LONG
        with Service(database_url=url, housekeeping_seconds=0.1) as service:
            wait_until(lambda: begun() == LONG)
            page = service.get(run, "/steps", limit=200)
            assert {item["status"] for item in page["items"]} <= {"running", "runnable"}
            cancelled = service.http.post(f"{RUNS}/{run['workflow_run_id']}/cancel", json={"grace_seconds": 0})
            assert cancelled.json()["status"] == "cancelled"
        with connect(url) as database:
            left = database.execute("SELECT count(*) FROM tasks WHERE status <> 'cancelled'").fetchone()
            all_there = database.execute("SELECT count(*) FROM tasks").fetchone()
        assert (left, all_there) == ((0,), (LONG,))


def settings_address(settings: dict[str, Any]) -> str:
    return f"http://127.0.0.1:{settings['port']}"
