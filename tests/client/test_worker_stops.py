"""Workers that are told to stop, and services that go away and come back."""

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest

from milepost.client import AsyncTaskContext, Client, TaskContext
from milepost.schemas.tasks import TaskStatus
from tests.client.server import listening
from tests.client.working import ended, make_worker, working
from tests.waiting import PATIENCE_SECONDS, wait_until

ROOT = Path(__file__).resolve().parents[2]
JOBS = """
import threading
from milepost.client import Client, Worker

worker = Worker(Client(), queue={queue!r}, wait_seconds=0.5, drain_seconds={drain_seconds})

@worker.task("slow")
def slow(ctx, params):
    ctx.heartbeat(progress="started")
    ended = threading.Event()
    while not ended.wait(0.01):
        if params == "finish" and ctx.task.attempt == 1 and (ctx.heartbeat() or worker._stops):
            return "finished"

worker.task("quick")(lambda ctx, params: "done")
not_a_worker = 1
"""


class TestStop:
    def test_what_runs_is_finished_first(self, client: Client, queue: str) -> None:
        worker = make_worker(client, queue)
        started, go_on = threading.Event(), threading.Event()

        @worker.task("slow")
        def slow(ctx: TaskContext, params: Any) -> str:
            started.set()
            go_on.wait(20)
            return "finished"

        first, second = (client.spawn_task("slow", queue=queue) for _ in range(2))
        worker.concurrency = 1
        with working(worker):
            assert started.wait(10)
            worker.stop()
            wait_until(worker._stopping.is_set)
            go_on.set()
        assert client.get_task(first.task_id).result == "finished"
        assert client.get_task(second.task_id).status is TaskStatus.pending

    def test_who_stops_signs_off(self, client: Client, queue: str) -> None:
        client.put_queue(queue)
        worker = make_worker(client, queue)
        worker.task("mine")(lambda ctx, params: None)
        with working(worker):
            (seen,) = wait_until(lambda: client.get_queue(queue).workers)
            assert (seen.worker_id, seen.task_names) == (worker.worker_id, ["mine"])
        assert client.get_queue(queue).workers == []

    @pytest.mark.parametrize("asynchronous", [False, True])
    def test_what_does_not_finish_is_given_back(self, client: Client, queue: str, asynchronous: bool) -> None:
        worker = make_worker(client, queue, drain_seconds=0.2)
        started, end = threading.Event(), threading.Event()

        def hang(ctx: TaskContext, params: Any) -> None:
            started.set()
            end.wait(30)

        async def hang_async(ctx: AsyncTaskContext, params: Any) -> None:
            started.set()
            while not end.is_set():
                await ctx.heartbeat()

        worker.task("hang")(hang_async if asynchronous else hang)
        spawned = client.spawn_task("hang", queue=queue)
        with working(worker):
            assert started.wait(10)
        end.set()
        task = client.get_task(spawned.task_id)
        assert (task.status, task.attempt) == (TaskStatus.pending, 1)
        assert client.claim_tasks(queue, worker_id="next").tasks[0].task_id == task.task_id

    def test_second_stop_does_not_wait(self, client: Client, queue: str) -> None:
        worker = make_worker(client, queue, drain_seconds=600)
        started, end = threading.Event(), threading.Event()

        @worker.task("hang")
        def hang(ctx: TaskContext, params: Any) -> None:
            started.set()
            end.wait(30)

        spawned = client.spawn_task("hang", queue=queue)
        with working(worker):
            assert started.wait(10)
            worker.stop()
            worker.stop()
        end.set()
        assert client.get_task(spawned.task_id).status is TaskStatus.pending

    def test_what_a_last_claim_brings_can_be_claimed_again(self, client: Client, queue: str) -> None:
        worker = make_worker(client, queue, wait_seconds=5, lease_seconds=1)
        worker.task("quick")(lambda ctx, params: "done")
        with working(worker):
            ended(client, client.spawn_task("quick", queue=queue).task_id)
            worker.stop()
            wait_until(worker._stopping.is_set)
            spawned = client.spawn_task("quick", queue=queue)
        wait_until(lambda: client.get_task(spawned.task_id).status is TaskStatus.pending)

    def test_claim_that_waits_does_not_keep_it(self, client: Client, queue: str, service_url: str) -> None:
        worker = make_worker(client, queue, wait_seconds=60)
        worker.task("quick")(lambda ctx, params: "done")
        with working(worker):
            ended(client, client.spawn_task("quick", queue=queue).task_id)
            worker.stop()
            begun = monotonic()
        assert monotonic() - begun < 30
        wait_until(lambda: "milepost_waiters 0.0" in httpx.get(f"{service_url}/metrics").text)  # it sees who has gone
        spawned = client.spawn_task("quick", queue=queue)
        assert client.claim_tasks(queue, worker_id="next").tasks[0].task_id == spawned.task_id

    def test_worker_can_run_again(self, client: Client, queue: str) -> None:
        worker = make_worker(client, queue)
        worker.task("quick")(lambda ctx, params: "done")
        for _ in range(2):
            with working(worker):
                assert ended(client, client.spawn_task("quick", queue=queue).task_id).result == "done"


class TestServiceAway:
    @pytest.mark.parametrize("answering", [False, True], ids=["nobody listens", "nobody answers"])
    def test_worker_that_holds_nothing_stops(self, queue: str, answering: bool) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            if answering:
                listener.listen()
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with Client(url, timeout=600, retry_attempts=1000, retry_seconds=600) as client:
                worker = make_worker(client, queue)
                worker.task("quick")(lambda ctx, params: "done")
                with working(worker):
                    wait_until(lambda: worker._loop is not None)
                    begun = monotonic()
                assert monotonic() - begun < 30

    def test_worker_goes_on_when_the_service_is_back(self, database_url: str, queue: str) -> None:
        with listening(database_url) as url:
            port = int(url.rpartition(":")[2])
        with Client(url, retry_seconds=0.5) as client:
            worker = make_worker(client, queue)
            worker.task("quick")(lambda ctx, params: "done")
            with working(worker), listening(database_url, port):
                assert ended(client, client.spawn_task("quick", queue=queue).task_id).result == "done"

    def test_result_is_reported_when_the_service_is_back(self, database_url: str, queue: str) -> None:
        away, done = threading.Event(), threading.Event()
        with listening(database_url) as url:
            port = int(url.rpartition(":")[2])
            client = Client(url, retry_seconds=0.5)
            worker = make_worker(client, queue)

            @worker.task("work")
            def work(ctx: TaskContext, params: Any) -> str:
                done.set()
                away.wait(20)
                return "kept"

            spawned = client.spawn_task("work", queue=queue)
            running = working(worker)
            running.__enter__()  # it outlives the first service
            assert done.wait(10)
        away.set()
        with client, listening(database_url, port):
            task = ended(client, spawned.task_id)
            running.__exit__(None, None, None)
        assert (task.result, task.attempt) == ("kept", 1)


class TestCommand:
    def start(self, tmp_path: Path, service_url: str, queue: str, drain_seconds: float) -> subprocess.Popen[str]:
        (tmp_path / "jobs.py").write_text(JOBS.format(queue=queue, drain_seconds=drain_seconds))
        return subprocess.Popen(
            [sys.executable, "-m", "milepost", "worker", "jobs:worker"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "MILEPOST_URL": service_url},
            stderr=subprocess.PIPE,
            text=True,
        )

    def stop(self, process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
        process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE_SECONDS)
        return process.returncode, said

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_signal_lets_it_finish_and_end_with_zero(
        self, client: Client, service_url: str, queue: str, tmp_path: Path, number: signal.Signals
    ) -> None:
        spawned = client.spawn_task("slow", "finish", queue=queue)
        process = self.start(tmp_path, service_url, queue, drain_seconds=15)
        wait_until(lambda: client.get_task(spawned.task_id).progress == "started")
        code, said = self.stop(process, number)
        assert code == 0, said
        assert client.get_task(spawned.task_id).result == "finished"
        assert '"event": "stopped"' in said

    def test_thread_that_never_ends_does_not_keep_it(
        self, client: Client, service_url: str, queue: str, tmp_path: Path
    ) -> None:
        spawned = client.spawn_task("slow", "for ever", queue=queue)
        process = self.start(tmp_path, service_url, queue, drain_seconds=0.1)
        wait_until(lambda: client.get_task(spawned.task_id).progress == "started")
        begun = monotonic()
        code, said = self.stop(process, signal.SIGTERM)
        assert code == 0, said
        assert monotonic() - begun < 10
        task = client.get_task(spawned.task_id)
        assert (task.status, task.attempt) == (TaskStatus.pending, 1)

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
    def test_second_signal_is_obeyed(
        self, client: Client, service_url: str, queue: str, tmp_path: Path, number: signal.Signals, code: int
    ) -> None:
        spawned = client.spawn_task("slow", "for ever", queue=queue)
        with self.start(tmp_path, service_url, queue, drain_seconds=600) as process:
            try:
                wait_until(lambda: client.get_task(spawned.task_id).progress == "started")
                process.send_signal(number)
                assert process.stderr
                assert any('"draining"' in line for line in process.stderr)
                assert self.stop(process, number)[0] == code
            finally:
                process.kill()

    @pytest.mark.parametrize(
        ("place", "explanation"),
        [
            ("jobs", "is not MODULE:WORKER"),
            ("no_such_module:worker", "cannot import no_such_module"),
            ("jobs:not_a_worker", "is not a Worker"),
            ("jobs:missing", "is not a Worker"),
        ],
    )
    def test_wrong_place_is_told_in_one_line(self, tmp_path: Path, place: str, explanation: str) -> None:
        (tmp_path / "jobs.py").write_text(JOBS.format(queue="q", drain_seconds=1))
        done = subprocess.run(
            [sys.executable, "-m", "milepost", "worker", place],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert explanation in done.stderr


PROGRAM = """
from milepost.client import RetryLater, Worker

worker = Worker(queue={queue!r}, wait_seconds=0.5)

@worker.task("charge")
def charge(ctx, params):
    if ctx.task.attempt == 1:
        raise RetryLater("the bank is closed", seconds=0)
    raise ValueError("no such account")

{before}
worker.run()
"""


class TestLinesOfAProgram:
    def run(self, service_url: str, client: Client, queue: str, before: str = "") -> str:
        """Return what a program says whose worker fails a task, until it is told to stop."""
        spawned = client.spawn_task("charge", queue=queue, max_attempts=2)
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(queue=queue, before=before)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "MILEPOST_URL": service_url},
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert ended(client, spawned.task_id).status is TaskStatus.failed
            process.send_signal(signal.SIGTERM)
            return process.communicate(timeout=PATIENCE_SECONDS)[1]
        finally:
            process.kill()

    def test_each_tells_what_it_is_about(self, service_url: str, client: Client, queue: str) -> None:
        said = self.run(service_url, client, queue)
        assert f" working queue={queue} " in said
        assert "task_name=charge attempt=1 why='the bank is closed'" in said
        assert said.count("Traceback") == 1
        assert " task_failed task_id=" in said
        assert "task_name=charge attempt=2\n    Traceback" in said
        assert f" stopped queue={queue} " in said

    def test_logging_of_the_program_s_own_is_left_alone(self, service_url: str, client: Client, queue: str) -> None:
        own = "import logging; logging.basicConfig(format='own: %(message)s', level='WARNING')"
        said = self.run(service_url, client, queue, own)
        assert "own: task_failed\n" in said
        assert "working" not in said
