"""`milepost demo`, as a real process against a running service."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import pytest

from milepost.cli.exits import ExitCode
from tests.processes import Serving, environment
from tests.waiting import PATIENCE_SECONDS, wait_until


@pytest.fixture(scope="module")
def url(database_url: str) -> Iterator[str]:
    """Give the address of a running service."""
    with Serving(env=environment({"database_url": database_url, "port": 0})) as service:
        yield service.ready().url


def items(url: str, path: str, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = httpx.get(f"{url}/v1/{path}", params=query).json()["items"]
    return found


def count_orders(url: str) -> int:
    return len(items(url, "workflow-runs", workflow_name="demo_orders", limit=200))


def are_more_orders(url: str, than: int) -> bool:
    return count_orders(url) > than


class TestDemo:
    def test_it_makes_something_of_everything_and_leaves_it_there(self, url: str) -> None:
        command = (sys.executable, "-m", "app", "demo", "--every", "0.3")
        for turn in range(2):
            before = count_orders(url)
            with subprocess.Popen(command, env=environment({"url": url}), stderr=subprocess.PIPE, text=True) as demo:
                wait_until(partial(are_more_orders, url, before + 2))
                if turn == 0:
                    self._look(url)
                demo.send_signal(signal.SIGINT)
                _, said = demo.communicate(timeout=PATIENCE_SECONDS)
            assert demo.returncode == ExitCode.OK, said
            assert f"{url}/" in said
            assert "The shop is closed" in said
            assert "Traceback" not in said
        assert items(url, "workflow-runs", workflow_name="demo_backup", status="failed")

    def _look(self, url: str) -> None:
        """Wait until each thing that the demo promises has been there."""
        wait_until(lambda: items(url, "workflow-runs", late="true", workflow_name="demo_report"))
        wait_until(lambda: items(url, "workflow-runs", reason="lost", workflow_name="demo_import"))
        wait_until(lambda: items(url, "workflow-runs", status="failed", workflow_name="demo_orders"))
        wait_until(lambda: items(url, "tasks", queue="demo", task_name="remind", status="sleeping"))
        (stuck,) = items(url, "tasks", queue="demo-nobody")
        assert stuck["status"] == "pending"
        tracked = items(url, "workflow-runs", workflow_name="demo_import")
        assert any(run["reported_progress"] for run in tracked)
        order = items(url, "workflow-runs", workflow_name="demo_orders")[-1]
        assert order["links"]["order"]["url"].startswith("https://shop.example/")
        assert items(url, f"workflow-runs/{order['workflow_run_id']}/logs")

    def test_without_a_service_it_says_how_to_start_one(self) -> None:
        ended = subprocess.run(
            (sys.executable, "-m", "app", "demo"),
            env=environment({"url": "http://127.0.0.1:9"}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == ExitCode.UNREACHABLE
        assert "start one with `milepost serve`" in ended.stderr
        assert ended.stderr.count("\n") == 1
