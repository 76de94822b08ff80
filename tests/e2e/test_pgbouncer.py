"""The life of workflow runs through a PgBouncer that pools by transaction."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from app.db.migrations import upgrade
from tests.conftest import connect
from tests.e2e import pgbouncer
from tests.e2e.processes import Service
from tests.factories import RUNS, run_body
from tests.waiting import PATIENCE_SECONDS, PROMPT_SECONDS, wait_until

pytestmark = pytest.mark.skipif(pgbouncer.PROGRAM is None, reason="pgbouncer is not installed (Debian: pgbouncer)")

END_A_RUN = """
    UPDATE workflow_runs SET status = 'cancelled', completed_at = now(), updated_at = now(), revision = revision + 1
    WHERE workflow_run_id = CAST(%s AS uuid)
"""


@pytest.fixture(params=["off", "auto"])
def service(request: pytest.FixtureRequest, url: str, home: Path) -> Iterator[Service]:
    """Give a service that reaches its database through a pool, and listens directly."""
    if request.param == "auto" and not pgbouncer.carries_prepared():
        pytest.skip("PgBouncer before 1.21 carries no prepared statements")
    with connect(url) as connection:
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET timezone = 'Asia/Kolkata'".encode())
    with (
        pgbouncer.pooling(url, home) as pooled,
        Service(database_url=pooled, listen_url=url, database_prepare=request.param) as service,
    ):
        yield service


class TestPooledByTransaction:
    def test_runs_live_their_life(self, service: Service) -> None:
        with ThreadPoolExecutor(8) as pool:
            runs = list(pool.map(lambda number: service.create(tags={"number": number}), range(80)))
            moved = list(pool.map(lambda run: service.patch(run, status="running").json(), runs))
            ended = list(pool.map(lambda run: service.patch(run, status="completed", result=1).json(), moved))
        assert {run["status"] for run in ended} == {"completed"}
        assert all(run["created_at"].endswith("Z") for run in ended)
        for order in ("created_at", "-updated_at", "completed_at"):
            for _ in range(8):
                page = service.http.get(RUNS, params={"order": order, "limit": 100, "status": "completed"}).json()
                assert len(page["items"]) == 80
        assert len(service.get(runs[0], "/history")["items"]) == 3
        assert service.http.delete(f"{RUNS}/{runs[0]['workflow_run_id']}").status_code == 204

    def test_same_key_has_its_effect_once(self, service: Service) -> None:
        def send(_: int) -> tuple[int, Any]:
            response = service.http.post(RUNS, json=run_body(), headers={"Idempotency-Key": "k"})
            return response.status_code, response.json()["workflow_run_id"]

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(send, range(16)))
        assert sorted(status for status, _ in answers) == [200] * 15 + [201]
        assert len({workflow_run_id for _, workflow_run_id in answers}) == 1

    def test_waiting_is_woken_over_the_direct_connection(self, service: Service) -> None:
        wait_until(lambda: "milepost_listening 1.0" in service.http.get("/metrics").text)
        run = service.create()
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(service.get, run, "/wait", timeout_seconds=30)
            wait_until(lambda: "milepost_waiters 1.0" in service.http.get("/metrics").text)
            began = time.monotonic()
            service.patch(run, status="failed", error={"name": "E", "message": "m"})
            assert waiting.result(PATIENCE_SECONDS)["status"] == "failed"
        assert time.monotonic() - began < PROMPT_SECONDS

    def test_housekeeping_works(self, service: Service) -> None:
        run = service.create(deadline_seconds=0.2)
        assert service.get(run, "/wait", timeout_seconds=10)["reason"] == "deadline"


def test_service_that_listens_through_the_pool_knows_that_it_hears_nothing(url: str, home: Path) -> None:
    with pgbouncer.pooling(url, home) as pooled, Service(database_url=pooled, database_prepare="off") as service:
        wait_until(lambda: "notifications_do_not_come_back" in service.log())
        assert "milepost_listening 0.0" in service.http.get("/metrics").text
        run = service.create()
        with ThreadPoolExecutor() as pool, connect(url) as connection:
            waiting = pool.submit(service.get, run, "/wait", timeout_seconds=30)
            wait_until(lambda: "milepost_waiters 1.0" in service.http.get("/metrics").text)
            began = time.monotonic()
            connection.execute(END_A_RUN, (run["workflow_run_id"],))
            assert waiting.result(timeout=30)["status"] == "cancelled"
        assert time.monotonic() - began < PROMPT_SECONDS


def test_migrations_run_through_the_pool(new_database: Any, home: Path) -> None:
    url: str = new_database("template0")
    with pgbouncer.pooling(url, home) as pooled:
        upgrade(pooled)
        upgrade(pooled)
    with connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)
