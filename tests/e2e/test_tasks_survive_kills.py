"""Tasks under way when a process is killed: nothing that was acknowledged is lost, and each task ends once."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from tests.e2e.processes import ROOT, Service, free_port
from tests.factories import RUNS
from tests.waiting import PATIENCE_SECONDS, PROMPT_SECONDS, wait_until

QUEUE = "survival"
TASKS = 400
PROGRAM = Path(__file__).with_name("claiming_worker.py")


class Worker:
    """A worker process, and what the service told it is done."""

    def __init__(self, address: str, name: str) -> None:
        self.done: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), address, QUEUE, name], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            if line.endswith("\n"):
                self.done.append(line.strip())

    def __enter__(self) -> Self:
        return self

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_SECONDS)
        self._reader.join(20)

    def __exit__(self, *_: object) -> None:
        self.kill()
        if self.process.stdout:
            self.process.stdout.close()


@contextmanager
def workers(address: str, count: int) -> Iterator[list[Worker]]:
    started = [Worker(address, f"worker-{number}") for number in range(count)]
    try:
        yield started
    finally:
        for worker in started:
            worker.__exit__()


class Spawner:
    """Spawns tasks into a run without a pause, also while nobody answers, and notes what was acknowledged."""

    def __init__(self, address: str, run_id: str, **spec: Any) -> None:
        self._address = address
        self._run_id = run_id
        self._spec = spec
        self.acknowledged: dict[str, str] = {}

    def spawn(self, numbers: range) -> None:
        deadline = time.monotonic() + 60
        with httpx.Client(base_url=self._address, timeout=20) as http:
            for number in numbers:
                key = f"key-{number}"
                body = {"task_name": "work", "queue": QUEUE, "idempotency_key": key, **self._spec}
                while key not in self.acknowledged:
                    assert time.monotonic() < deadline
                    try:
                        answer = http.post(f"{RUNS}/{self._run_id}/tasks", json=body)
                    except httpx.TransportError:
                        time.sleep(0.02)
                        continue
                    assert answer.status_code in {200, 201, 503}, answer.text
                    if answer.is_success:
                        self.acknowledged[key] = answer.json()["task_id"]


def kill_postgres(home: Path) -> None:
    pid_file = next(home.glob("pg*/data/postmaster.pid"))
    os.kill(int(pid_file.read_text().splitlines()[0]), signal.SIGKILL)


def tasks_of(service: Service, run_id: str) -> list[dict[str, Any]]:
    """Return all tasks of a run."""
    found: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 200}
    while True:
        page = service.http.get(f"{RUNS}/{run_id}/tasks", params=query).json()
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        query["cursor"] = page["next_cursor"]


class TestKill:
    @pytest.mark.parametrize("victim", ["worker", "service", "postgres"])
    def test_each_task_ends_once_and_the_run_reaches_100_percent(self, home: Path, victim: str) -> None:
        port = free_port()
        address = f"http://127.0.0.1:{port}"
        settings = {"data_dir": home, "port": port, "housekeeping_seconds": 0.1}
        service = Service(**settings)
        service.http.base_url = httpx.URL(address)
        replaced: Service | None = None
        try:
            service.wait_ready()
            run_id = service.create(queue=QUEUE)["workflow_run_id"]
            # Nobody's leases last while the service is away; a worker alone may die of a task with one attempt.
            spec = {} if victim == "worker" else {"max_attempts": 100}
            spawner = Spawner(address, run_id, **spec)
            with workers(address, 3) as working, ThreadPoolExecutor(2) as pool:
                halves = range(TASKS // 2), range(TASKS // 2, TASKS)
                spawning = [pool.submit(spawner.spawn, half) for half in halves]
                wait_until(lambda: sum(len(worker.done) for worker in working) > TASKS // 8)
                if victim == "worker":
                    working[0].kill()
                    current = service
                else:
                    if victim == "service":
                        service.kill()
                    else:
                        kill_postgres(home)
                        service.kill()
                    current = replaced = Service(**settings)
                    current.http.base_url = httpx.URL(address)
                    current.wait_ready()
                for future in spawning:
                    future.result(PATIENCE_SECONDS)

                def all_ended() -> bool:
                    progress = current.get({"workflow_run_id": run_id})["progress"]
                    return bool(progress["total"] == TASKS and progress["percent"] == 100)

                wait_until(all_ended)
            self.check(current, run_id, spawner, working)
        finally:
            for started in (service, replaced):
                if started is not None:
                    started.__exit__(None, None, None)

    def check(self, service: Service, run_id: str, spawner: Spawner, working: list[Worker]) -> None:
        tasks = {task["task_id"]: task for task in tasks_of(service, run_id)}
        assert tasks.keys() == set(spawner.acknowledged.values())
        assert Counter(task["status"] for task in tasks.values()) == {"completed": TASKS}
        progress = service.get({"workflow_run_id": run_id})["progress"]
        assert (progress["completed"], progress["total"], progress["percent"]) == (TASKS, TASKS, 100)
        for number, worker in enumerate(working):
            assert {tasks[task_id]["result"] for task_id in worker.done} <= {f"worker-{number}"}
        assert all(count == 1 for count in Counter(task_id for worker in working for task_id in worker.done).values())
        again = [task for task in tasks.values() if task["attempt"] > 1]
        for task in again:
            attempts = service.http.get(f"/v1/tasks/{task['task_id']}/attempts").json()["items"]
            assert [item["attempt"] for item in attempts] == list(range(1, task["attempt"] + 1))
            assert {(item["status"], item["reason"]) for item in attempts[:-1]} == {("failed", "lost")}
            assert attempts[-1]["status"] == "completed"


class TestHangUp:
    def test_claimer_who_hangs_up_does_not_swallow_a_task(self, url: str) -> None:
        with Service(database_url=url) as service, ThreadPoolExecutor() as pool:
            for _ in range(3):
                hasty = {"worker_id": "hasty", "wait_seconds": 30}
                with (
                    pytest.raises(httpx.ReadTimeout),
                    httpx.Client(base_url=service.http.base_url, timeout=0.3) as http,
                ):
                    http.post(f"/v1/queues/{QUEUE}/claim", json=hasty)
            claim = {"worker_id": "patient", "wait_seconds": 20}
            claiming = pool.submit(service.http.post, f"/v1/queues/{QUEUE}/claim", json=claim)
            wait_until(lambda: "milepost_waiters 4.0" in service.http.get("/metrics").text)
            service.http.post("/v1/tasks", json={"task_name": "work", "queue": QUEUE})
            began = time.monotonic()
            assert [task["task_name"] for task in claiming.result(PATIENCE_SECONDS).json()["tasks"]] == ["work"]
            assert time.monotonic() - began < PROMPT_SECONDS
