"""The service as real processes, in the face of signals, kills and a database that comes and goes."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from app.api.kernel import Kernel
from app.db import migrations
from app.db.embedded import start_embedded
from app.db.embedded.reaper import server_pid
from app.db.migrations import start_upgraded, upgrade
from tests.conftest import connect
from tests.e2e.processes import Service, is_running
from tests.factories import RUNS, run_body
from tests.waiting import PATIENCE_SECONDS, PROMPT_SECONDS, eventually, wait_until

CLIENTS = 8
KEY = "a-key-of-more-than-twenty-characters"


def kill_postgres(home: Path) -> int:
    pid_file = next(home.glob("pg*/data/postmaster.pid"))
    pid = int(pid_file.read_text().splitlines()[0])
    os.kill(pid, signal.SIGKILL)
    return pid


def create_until_it_breaks(service: Service, acknowledged: list[str]) -> None:
    """Create runs without a pause and note each that was acknowledged."""
    with httpx.Client(base_url=service.http.base_url, timeout=20) as http:
        while True:
            try:
                response = http.post(RUNS, json=run_body())
            except httpx.TransportError:
                return
            if response.status_code != 201:
                assert response.status_code == 503, response.text
                return
            acknowledged.append(response.json()["workflow_run_id"])


class TestKill:
    @pytest.mark.parametrize("victim", ["service", "postgres"])
    def test_every_acknowledged_run_is_there_after_a_kill(self, home: Path, victim: str) -> None:
        acknowledged: list[str] = []
        with Service(data_dir=home) as service, ThreadPoolExecutor(CLIENTS) as pool:
            creating = [pool.submit(create_until_it_breaks, service, acknowledged) for _ in range(CLIENTS)]
            wait_until(lambda: len(acknowledged) > 400 or any(future.done() for future in creating))
            assert len(acknowledged) > 400, [future.exception() for future in creating if future.done()]
            if victim == "service":
                service.kill()
            else:
                kill_postgres(home)
            for future in creating:
                future.result(PATIENCE_SECONDS)
        with Service(data_dir=home) as again:
            for workflow_run_id in acknowledged:
                history = again.get({"workflow_run_id": workflow_run_id}, "/history")["items"]
                assert [(entry["from"], entry["to"]) for entry in history] == [(None, "pending")]
            assert again.stop() == 0, again.log()


class TestEmbedded:
    @pytest.mark.parametrize("workers", [1, 2])
    def test_killed_postgres_is_started_again_with_all_that_was_committed(self, home: Path, workers: int) -> None:
        with Service(data_dir=home, workers=workers) as service:
            runs = [service.create() for _ in range(20)]
            killed = kill_postgres(home)
            wait_until(lambda: server_pid(str(next(home.glob("pg*/data")))) not in {None, killed})
            wait_until(lambda: service.http.get("/readyz").status_code == 200)
            assert [service.get(run) for run in runs] == runs
            assert service.stop() == 0, service.log()

    def test_postgres_killed_during_the_migrations_keeps_no_process_from_starting(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        killed: list[int] = []

        def kill_first(url: str) -> None:
            if len(killed) < 2:
                killed.append(kill_postgres(home))
            upgrade(url)

        monkeypatch.setattr(migrations, "upgrade", kill_first)
        with start_upgraded(home) as cluster:
            assert len(set(killed)) == 2
            with connect(cluster.url) as connection:
                assert connection.execute("SELECT count(*) FROM workflow_runs").fetchone() == (0,)
            killed.append(kill_postgres(home))
            wait_until(lambda: server_pid(str(cluster.data_dir)) not in {None, *killed})


class TestDatabaseAway:
    def test_service_answers_503_and_comes_back_by_itself(self, home: Path) -> None:
        cluster = start_embedded(home)
        upgrade(cluster.url)
        with Service(database_url=cluster.url, database_timeout_seconds=3) as service:
            run = service.create()
            kill_postgres(home)
            refused = service.http.post(RUNS, json=run_body())
            assert refused.status_code == 503
            assert refused.headers["content-type"] == "application/problem+json"
            assert refused.json()["code"] == "unavailable"
            assert int(refused.headers["retry-after"]) >= 1
            assert service.http.get(f"{RUNS}/{run['workflow_run_id']}").status_code == 503
            assert service.http.get("/readyz").status_code == 503
            assert service.http.get("/livez").status_code == 200
            with start_embedded(home):
                wait_until(lambda: service.http.get("/readyz").status_code == 200)
                assert service.get(run) == run
                wait_until(lambda: "milepost_listening 1.0" in service.http.get("/metrics").text)
                late = service.create(deadline_seconds=0.2)
                assert service.get(late, "/wait", timeout_seconds=10)["reason"] == "deadline"
                assert service.stop() == 0, service.log()
        cluster.close()


class TestOutage:
    def test_it_is_told_in_two_lines_and_metrics_stay(self, home: Path) -> None:
        cluster = start_embedded(home)
        upgrade(cluster.url)
        with Service(database_url=cluster.url, database_timeout_seconds=3, api_key=KEY) as service:
            assert service.http.get("/metrics").status_code == 401
            service.http.headers["Authorization"] = f"Bearer {KEY}"
            service.create()
            assert service.http.get("/metrics").status_code == 200
            kill_postgres(home)
            wait_until(lambda: service.http.get("/readyz").status_code == 503)
            wait_until(lambda: "database_away" in service.log())
            for _ in range(20):
                assert service.http.post(RUNS, json=run_body()).status_code == 503
                assert service.http.get(RUNS).status_code == 503
            assert "milepost_http_requests_total" in service.http.get("/metrics").text
            assert service.http.get("/metrics", headers={"Authorization": "Bearer another"}).status_code == 503
            with start_embedded(home):
                wait_until(lambda: service.http.get("/readyz").status_code == 200, 60)
                wait_until(lambda: "milepost_listening 1.0" in service.http.get("/metrics").text, 60)
                assert service.stop() == 0, service.log()
            lines = [json.loads(line) for line in service.log().splitlines()]
        cluster.close()
        events = Counter(line["event"] for line in lines if line.get("path") != "/readyz")  # which may lag behind
        assert (events.pop("database_away"), events.pop("database_back")) == (1, 1)
        assert sum(events.values()) <= 3, lines  # what was under way when it went


@contextmanager
def writes_held(url: str) -> Iterator[psycopg.Connection[Any]]:
    """Let no write to the runs through until the end of the block."""
    with connect(url) as holder, holder.transaction():
        holder.execute("LOCK TABLE workflow_runs IN SHARE MODE")
        yield holder


def cancel_in_a_transaction_of_its_own(service: Service, run: dict[str, Any]) -> str:
    response = service.http.post(f"{RUNS}/{run['workflow_run_id']}/cancel")
    assert response.status_code == 200, response.text
    status: str = response.json()["status"]
    return status


def waiting_for_lock(holder: psycopg.Connection[Any]) -> int:
    query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'workflow_runs'::regclass"
    row = holder.execute(query).fetchone()
    return int(row[0]) if row else 0


class TestStop:
    def test_requests_under_way_are_answered_and_the_exit_code_is_0(self, url: str) -> None:
        with Service(database_url=url, drain_seconds=2) as service, ThreadPoolExecutor() as pool:
            run, *others = (service.create() for _ in range(6))
            waiting = pool.submit(service.get, run, "/wait", timeout_seconds=30)
            wait_until(lambda: "milepost_waiters 1.0" in service.http.get("/metrics").text)
            with writes_held(url) as holder:
                cancelling = [pool.submit(cancel_in_a_transaction_of_its_own, service, other) for other in others]
                wait_until(lambda: waiting_for_lock(holder) == 5)
                began = time.monotonic()
                service.process.send_signal(signal.SIGTERM)
                assert waiting.result(PATIENCE_SECONDS)["status"] == "pending"
            assert [future.result(PATIENCE_SECONDS) for future in cancelling] == ["cancelled"] * 5
            assert service.process.wait(PATIENCE_SECONDS) == 0, service.log()
            assert time.monotonic() - began < PROMPT_SECONDS
        with connect(url) as connection:
            query = "SELECT count(*) FROM workflow_runs WHERE status = 'cancelled'"
            assert connection.execute(query).fetchone() == (5,)

    def test_interrupt_stops_with_0_too(self, url: str) -> None:
        with Service(database_url=url) as service:
            service.process.send_signal(signal.SIGINT)
            assert service.process.wait(PATIENCE_SECONDS) == 0, service.log()


class TestReplicas:
    def test_wait_on_one_replica_is_answered_when_another_ends_the_run(self, url: str) -> None:
        with Service(database_url=url) as one, Service(database_url=url) as other, ThreadPoolExecutor() as pool:
            run = one.create()
            waiting = pool.submit(one.get, run, "/wait", timeout_seconds=30)
            wait_until(lambda: "milepost_waiters 1.0" in one.http.get("/metrics").text)
            began = time.monotonic()
            assert other.patch(run, status="completed").status_code == 200
            assert waiting.result(PATIENCE_SECONDS)["status"] == "completed"
            assert time.monotonic() - began < PROMPT_SECONDS

    def test_replica_that_ends_a_run_and_stops_at_once_still_tells_the_others(self, url: str) -> None:
        with Service(database_url=url) as one, Service(database_url=url) as other, ThreadPoolExecutor() as pool:
            run = one.create()
            waiting = pool.submit(one.get, run, "/wait", timeout_seconds=30)
            wait_until(lambda: "milepost_waiters 1.0" in one.http.get("/metrics").text)
            began = time.monotonic()
            assert other.patch(run, status="completed").status_code == 200
            assert other.stop() == 0
            assert waiting.result(PATIENCE_SECONDS)["status"] == "completed"
            assert time.monotonic() - began < PROMPT_SECONDS

    def test_two_housekeepings_end_each_overdue_run_once(self, url: str) -> None:
        settings = {"database_url": url, "housekeeping_seconds": 0.05}
        with Service(**settings) as one, Service(**settings):
            late = [one.create(deadline_seconds=0.5) for _ in range(30)]
            lost = [one.create(heartbeat_seconds=1) for _ in range(30)]
            for run in lost:
                assert one.patch(run, status="running").status_code == 200
            for run, reason in [*((run, "deadline") for run in late), *((run, "lost") for run in lost)]:
                assert one.get(run, "/wait", timeout_seconds=10)["reason"] == reason
                verbs = [entry["verb"] for entry in one.get(run, "/history")["items"]]
                assert verbs.count("expire") == 1


class TestWorkers:
    def test_two_processes_share_the_port_and_stop_together(self, url: str) -> None:
        with Service(database_url=url, workers=2) as service:
            workers = service.workers()
            assert len(workers) == 2
            assert service.get(service.create())["status"] == "pending"
            assert service.stop() == 0, service.log()
            assert not any(is_running(worker) for worker in workers)

    def test_workers_end_when_their_parent_is_killed(self, home: Path) -> None:
        with Service(data_dir=home, workers=2) as service:
            workers = service.workers()
            assert len(workers) == 2
            service.kill()
            wait_until(lambda: not any(is_running(worker) for worker in workers))
            with pytest.raises(httpx.TransportError):
                service.http.get("/livez")


class TestReadiness:
    def test_schema_that_is_behind_is_not_ready(self, url: str) -> None:
        with Service(database_url=url) as service:
            with connect(url) as connection:
                connection.execute("UPDATE alembic_version SET version_num = '0000'")
            health = service.http.get("/readyz")
            assert health.status_code == 503
            assert "0000" in health.json()["checks"]["migrations"]
            with connect(url) as connection:
                connection.execute("DROP TABLE alembic_version")
            assert service.http.get("/readyz").status_code == 503

    async def test_process_about_to_stop_is_not_ready(self, client: httpx.AsyncClient, kernel: Kernel) -> None:
        async def is_ready() -> bool:
            return (await client.get("/readyz")).status_code == 200

        await eventually(is_ready)  # its loop stood still while other tests watched processes
        kernel.wakeups.drain()
        try:
            assert (await client.get("/readyz")).status_code == 503
        finally:
            kernel.wakeups.draining = False
