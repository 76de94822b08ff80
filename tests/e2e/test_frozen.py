"""A process that stops moving inside a transaction, or whose machine is gone, holds nothing for long."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.conftest import connect
from tests.e2e.processes import Service
from tests.factories import RUNS
from tests.waiting import PATIENCE_SECONDS, wait_until

TIMEOUT_SECONDS = 5
WAITING = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def test_rows_locked_by_a_frozen_process_are_free_again(url: str) -> None:
    """It holds the run and waits for the task when it freezes; when the task is free, nobody tells it to go on."""
    with Service(database_url=url, database_timeout_seconds=TIMEOUT_SECONDS) as service, ThreadPoolExecutor() as pool:
        run = service.create(tasks=[{"task_name": "t"}])
        address = f"{RUNS}/{run['workflow_run_id']}/cancel"
        with connect(url) as holder, holder.transaction():
            holder.execute("SELECT FROM tasks FOR UPDATE")
            cancelling = pool.submit(httpx.post, f"{service.http.base_url}{address}", timeout=PATIENCE_SECONDS)
            wait_until(lambda: holder.execute(WAITING).fetchall())
            service.process.send_signal(signal.SIGSTOP)
        try:
            with connect(url) as other:
                with pytest.raises(Exception, match="lock"):
                    other.execute("SELECT FROM workflow_runs FOR UPDATE NOWAIT")
                began = time.monotonic()
                other.execute("SELECT FROM workflow_runs FOR UPDATE")
                assert time.monotonic() - began < TIMEOUT_SECONDS + 30
        finally:
            service.process.send_signal(signal.SIGCONT)
        assert cancelling.result(timeout=PATIENCE_SECONDS).status_code == 503
        wait_until(lambda: service.http.get("/readyz").status_code == 200)
        assert service.http.post(address).json()["status"] == "cancelled"
