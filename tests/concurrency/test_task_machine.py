"""Tasks and runs over HTTP against a model of them: whatever is called in whatever order, the rules hold."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from itertools import count
from typing import Any, ClassVar

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule, run_state_machine_as_test

from app.domain.moves import FINAL, RUN_MOVES, TASK_FINAL, TASK_MOVES
from tests.concurrency.crowd import Json
from tests.conftest import make_client
from tests.factories import RUNS, run_body
from tests.replicas import running_app

_numbers = count(1)
OPEN = {"pending", "running", "sleeping"}


@dataclass
class Lease:
    """A token that a claim gave, and what became of it."""

    task_id: str
    token: str
    attempt: int
    spent_by: str | None = None
    """The call that ended it; None while it is held, or when it was taken away."""


@dataclass
class Model:
    """A task as it must stand."""

    status: str
    max_attempts: int
    run_id: str | None
    attempt: int = 1
    lease: Lease | None = None
    cancel_requested: bool = False
    past: list[str] = field(default_factory=list)
    """How each attempt before the newest ended."""

    def move(self, status: str) -> None:
        assert status in TASK_MOVES[self.status]  # type: ignore[index]
        self.status = status
        if status != "running":
            self.lease = None

    def next_attempt(self, past: str) -> None:
        self.past.append(past)
        self.attempt += 1

    def fail(self, *, retryable: bool) -> None:
        if self.cancel_requested:
            self.move("cancelled")
        elif retryable and self.attempt < self.max_attempts:
            self.move("pending")
            self.next_attempt("failed")
        else:
            self.move("failed")

    def reopen(self) -> None:
        self.next_attempt(self.status)
        self.status = "pending"
        self.max_attempts = max(self.max_attempts, self.attempt)
        self.cancel_requested = False


@dataclass
class RunModel:
    """A run as it must stand."""

    status: str = "pending"
    started: bool = False
    cancel_requested: bool = False
    attempt: int = 1


class TaskMachine(RuleBasedStateMachine):
    """Calls of workers and of everybody else, with tokens that hold and tokens that do not."""

    loop: ClassVar[asyncio.AbstractEventLoop]
    client: ClassVar[httpx.AsyncClient]

    tasks = Bundle("tasks")
    leases = Bundle("leases")
    runs = Bundle("runs")

    def __init__(self) -> None:
        super().__init__()
        self.queue = f"machine_{next(_numbers)}"
        self.checked: dict[str, str] = {}
        self.model: dict[str, Model] = {}
        self.run_model: dict[str, RunModel] = {}

    def do(self, call: Coroutine[Any, Any, httpx.Response]) -> httpx.Response:
        answer = self.loop.run_until_complete(call)
        assert answer.status_code < 500, answer.text
        return answer

    def post(self, path: str, **body: Any) -> httpx.Response:
        return self.do(self.client.post(path, json=body))

    # what everybody may do

    @rule(target=runs)
    def create_run(self) -> str:
        run_id: str = self.post(RUNS, **run_body(queue=self.queue)).json()["workflow_run_id"]
        self.run_model[run_id] = RunModel()
        return run_id

    @rule(target=tasks, max_attempts=st.integers(1, 3))
    def spawn(self, max_attempts: int) -> str:
        answer = self.post("/v1/tasks", task_name="work", queue=self.queue, max_attempts=max_attempts)
        assert answer.status_code == 201
        task_id: str = answer.json()["task_id"]
        self.model[task_id] = Model("pending", max_attempts, None)
        return task_id

    @rule(target=tasks, run_id=runs, max_attempts=st.integers(1, 3))
    def spawn_into(self, run_id: str, max_attempts: int) -> Any:
        answer = self.post(f"{RUNS}/{run_id}/tasks", task_name="work", queue=self.queue, max_attempts=max_attempts)
        run = self.run_model.get(run_id)
        if run is None or run.status in FINAL:
            assert answer.status_code == (404 if run is None else 409)
            return multiple()
        assert answer.status_code == 201
        self.model[answer.json()["task_id"]] = Model("pending", max_attempts, run_id)
        return answer.json()["task_id"]

    @rule(task_id=tasks)
    def cancel(self, task_id: str) -> None:
        answer = self.post(f"/v1/tasks/{task_id}/cancel")
        task = self.model.get(task_id)
        assert answer.status_code == (404 if task is None else 200)
        if task and task.status in OPEN:
            task.move("cancelled")

    @rule(task_id=tasks)
    def retry(self, task_id: str) -> None:
        answer = self.post(f"/v1/tasks/{task_id}/retry")
        task = self.model.get(task_id)
        run = self.run_model.get(task.run_id) if task and task.run_id else None
        if task is None:
            assert answer.status_code == 404
        elif task.status not in {"failed", "cancelled"} or (run and run.status in FINAL):
            assert (answer.status_code, answer.json()["code"]) == (409, "move-not-allowed")
        else:
            assert answer.status_code == 200, answer.text
            task.reopen()

    @rule(run_id=runs, status=st.sampled_from(["running", "completed", "failed", "cancelled"]), keep=st.booleans())
    def patch_run(self, run_id: str, status: str, keep: bool) -> None:
        body = {"status": status, "open_tasks": "keep" if keep else "cancel"}
        answer = self.do(self.client.patch(f"{RUNS}/{run_id}", json=body))
        run = self.run_model.get(run_id)
        if run is None:
            assert answer.status_code == 404
        elif run.status == status or (
            # a cancel that was requested wins over a later failed, also when that is said again
            run.status == "cancelled" and status == "failed" and answer.status_code == 200
        ):
            assert answer.status_code == 200
        elif status not in RUN_MOVES[run.status]:  # type: ignore[index]
            assert (answer.status_code, answer.json()["code"]) == (409, "move-not-allowed")
        else:
            assert answer.status_code == 200, answer.text
            run.status = "cancelled" if status == "failed" and run.cancel_requested else status
            run.started = run.started or status == "running"
            if run.status in FINAL and (run.status != "completed" or not keep):
                self._cancel_open(run_id)

    def _cancel_open(self, run_id: str) -> None:
        for task in self.model.values():
            if task.run_id == run_id and task.status in OPEN:
                task.move("cancelled")

    @rule(run_id=runs, at_once=st.booleans())
    def cancel_run(self, run_id: str, at_once: bool) -> None:
        answer = self.post(f"{RUNS}/{run_id}/cancel", grace_seconds=0 if at_once else 3600)
        run = self.run_model.get(run_id)
        if run is None or run.status in FINAL:
            expected = 404 if run is None else 200 if run.status == "cancelled" else 409
            assert answer.status_code == expected
            return
        assert answer.status_code == 200
        linked = [task for task in self.model.values() if task.run_id == run_id and task.status in OPEN]
        for task in linked:
            if task.status == "running" and not at_once:
                task.cancel_requested = True
            else:
                task.move("cancelled")
        run.cancel_requested = True
        if at_once or not any(task.status == "running" for task in linked):
            run.status = "cancelled"

    @rule(run_id=runs)
    def retry_run(self, run_id: str) -> None:
        answer = self.post(f"{RUNS}/{run_id}/retry")
        run = self.run_model.get(run_id)
        if run is None or run.status not in {"failed", "cancelled"}:
            assert answer.status_code == (404 if run is None else 409)
            return
        assert answer.status_code == 200
        run.status = "running" if run.started else "pending"
        run.cancel_requested = False
        run.attempt += 1
        for task in self.model.values():
            if task.run_id == run_id and task.status in {"failed", "cancelled"}:
                task.reopen()

    @rule(run_id=runs)
    def delete_run(self, run_id: str) -> None:
        answer = self.do(self.client.delete(f"{RUNS}/{run_id}"))
        run = self.run_model.get(run_id)
        if run is None or run.status not in FINAL:
            assert answer.status_code == (404 if run is None else 409)
            return
        assert answer.status_code == 204
        del self.run_model[run_id]
        self.model = {task_id: task for task_id, task in self.model.items() if task.run_id != run_id}

    # what workers do

    @rule(target=leases, limit=st.integers(1, 3))
    def claim(self, limit: int) -> Any:
        answer = self.post(f"/v1/queues/{self.queue}/claim", worker_id="worker", limit=limit, lease_seconds=3600)
        claimed = answer.json()["tasks"]
        ready = sum(task.status in {"pending", "sleeping"} for task in self.model.values())
        assert len(claimed) == min(limit, ready)
        leases = []
        for item in claimed:
            task = self.model[item["task_id"]]
            task.move("running")
            assert item["attempt"] == task.attempt
            task.lease = Lease(item["task_id"], item["lease_token"], task.attempt)
            leases.append(task.lease)
        return multiple(*leases)

    def report(self, lease: Lease, call: str, **body: Any) -> Model | None:
        """Send a worker's call; return the task if the lease was held, else check how it was refused."""
        answer = self.post(f"/v1/tasks/{lease.task_id}/{call}", lease_token=lease.token, **body)
        task = self.model.get(lease.task_id)
        if task is not None and task.lease is lease:
            assert answer.status_code == 200, answer.text
            if call != "heartbeat":
                lease.spent_by = call
            return task
        if task is None:
            assert answer.status_code == 404
        elif lease.spent_by == call:
            assert answer.status_code == 200, answer.text
        else:
            expected = "task-cancelled" if task.status == "cancelled" else "lease-lost"
            if lease.spent_by == "fail" and task.status != "cancelled":
                expected = "attempt-failed"
            assert (answer.status_code, answer.json()["code"]) == (409, expected)
        return None

    @rule(lease=leases)
    def heartbeat(self, lease: Lease) -> None:
        if task := self.report(lease, "heartbeat", lease_seconds=3600):
            assert task.status == "running"

    @rule(lease=leases)
    def complete(self, lease: Lease) -> None:
        if task := self.report(lease, "complete", result=1):
            task.move("completed")

    @rule(lease=leases)
    def fail(self, lease: Lease) -> None:
        if task := self.report(lease, "fail", error={"name": "E"}):
            task.fail(retryable=True)

    @rule(lease=leases)
    def sleep(self, lease: Lease) -> None:
        if task := self.report(lease, "sleep", seconds=0):
            task.move("sleeping")

    @rule(lease=leases)
    def release(self, lease: Lease) -> None:
        if task := self.report(lease, "release"):
            task.move("pending")

    # what must hold

    @invariant()
    def tasks_stand_as_they_must(self) -> None:
        self._follow_cancelled_runs()
        page = self.do(self.client.get("/v1/tasks", params={"queue": self.queue, "limit": 200})).json()["items"]
        assert {task["task_id"] for task in page} == self.model.keys()
        for now in page:
            task = self.model[now["task_id"]]
            assert (now["status"], now["attempt"]) == (task.status, task.attempt)
            assert (now["completed_at"] is not None) == (task.status in TASK_FINAL)
            if self.checked.get(now["task_id"]) != repr(task):
                self.checked[now["task_id"]] = repr(task)
                self._check_attempts(now, task)

    def _check_attempts(self, now: Json, task: Model) -> None:
        attempts = self.do(self.client.get(f"/v1/tasks/{now['task_id']}/attempts")).json()["items"]
        assert [item["attempt"] for item in attempts] == list(range(1, task.attempt + 1))
        assert [item["status"] for item in attempts] == [*task.past, task.status]
        assert [item["ended_at"] is None for item in attempts[:-1]] == [False] * (task.attempt - 1)
        assert (attempts[-1]["ended_at"] is None) == (task.status in OPEN)
        assert attempts[-1]["run_id"] == now["run_id"]

    def _follow_cancelled_runs(self) -> None:
        """The housekeeping ends a run whose cancel was requested once nothing runs in it: wait for that."""
        for run_id, run in self.run_model.items():
            running = any(t.run_id == run_id and t.status == "running" for t in self.model.values())
            if run.cancel_requested and run.status not in FINAL and not running:
                answer = self.do(self.client.get(f"{RUNS}/{run_id}/wait", params={"timeout_seconds": 10}))
                assert answer.json()["status"] == "cancelled"
                run.status = "cancelled"
                self._cancel_open(run_id)

    @invariant()
    def runs_stand_as_they_must(self) -> None:
        for run_id, run in self.run_model.items():
            now: Json = self.do(self.client.get(f"{RUNS}/{run_id}")).json()
            assert (now["status"], now["attempt"]) == (run.status, run.attempt)
            statuses = [task.status for task in self.model.values() if task.run_id == run_id]
            progress = now["progress"]
            assert progress["total"] == len(statuses)
            for status in (*OPEN, *TASK_FINAL):
                assert progress[status] == statuses.count(status)


class TestTasks:
    def test_obey_the_moves_whatever_is_called(self, new_database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        url = new_database()
        with asyncio.Runner() as runner:
            loop = runner.get_loop()
            running = running_app(url)
            app = loop.run_until_complete(running.__aenter__())
            try:
                client = make_client(app)
                monkeypatch.setattr(TaskMachine, "loop", loop, raising=False)
                monkeypatch.setattr(TaskMachine, "client", client, raising=False)
                run_state_machine_as_test(
                    TaskMachine,
                    settings=settings(
                        max_examples=20,
                        stateful_step_count=30,
                        deadline=None,
                        derandomize=True,
                        database=None,
                        suppress_health_check=list(HealthCheck),
                    ),
                )
                loop.run_until_complete(client.aclose())
            finally:
                loop.run_until_complete(running.__aexit__(None, None, None))
