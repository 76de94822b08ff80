"""Logs of tasks whose worker, or whose service, is killed while they are worked."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.e2e.processes import ROOT, Service, free_port
from tests.waiting import PATIENCE_SECONDS, wait_until

QUEUE = "counting"
PROGRAM = Path(__file__).with_name("logging_worker.py")


@contextmanager
def counting(address: str, file: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Give a worker process that counts until ``file`` is there."""
    with subprocess.Popen([sys.executable, str(PROGRAM), address, QUEUE, str(file)], cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def spawn(service: Service) -> str:
    spawned = service.http.post("/v1/tasks", json={"task_name": "count", "queue": QUEUE})
    return str(spawned.json()["task_id"])


def lines_of(service: Service, task_id: str) -> list[str]:
    """Return all lines of a task."""
    lines: list[str] = []
    more: dict[str, str] = {}
    while True:
        page = service.http.get(f"/v1/tasks/{task_id}/logs", params={"limit": 1000, **more}).json()
        lines += [line["text"] for line in page["items"]]
        if page["next_cursor"] is None:
            return lines
        more = {"cursor": page["next_cursor"]}


def numbers(count: int) -> list[str]:
    return [str(number) for number in range(count)]


class TestKill:
    def test_lines_of_a_killed_worker_have_no_gap_and_stand_once(self, home: Path) -> None:
        with Service(data_dir=home) as service:
            task_id = spawn(service)
            with counting(str(service.http.base_url), home / "never") as worker:
                wait_until(lambda: len(lines_of(service, task_id)) > 50)
                worker.kill()
                worker.wait(PATIENCE_SECONDS)
            lines = lines_of(service, task_id)
            assert lines == numbers(len(lines))

    def test_lines_said_while_the_service_is_away_follow_once(self, home: Path) -> None:
        port = free_port()
        settings = {"data_dir": home, "port": port}
        address = httpx.URL(f"http://127.0.0.1:{port}")
        first, second = Service(**settings), None
        first.http.base_url = address
        try:
            first.wait_ready()
            task_id = spawn(first)
            with counting(str(address), home / "enough"):
                wait_until(lambda: len(lines_of(first, task_id)) > 20)
                first.kill()
                second = Service(**settings)
                second.http.base_url = address
                second.wait_ready()
                before = len(lines_of(second, task_id))
                wait_until(lambda: len(lines_of(second, task_id)) > before)
                (home / "enough").touch()
                wait_until(lambda: second.http.get(f"/v1/tasks/{task_id}").json()["status"] == "completed")
                said = second.http.get(f"/v1/tasks/{task_id}").json()["result"]
                wait_until(lambda: len(lines_of(second, task_id)) >= said)
            assert lines_of(second, task_id) == numbers(said)
        finally:
            for started in (first, second):
                if started is not None:
                    started.__exit__(None, None, None)
