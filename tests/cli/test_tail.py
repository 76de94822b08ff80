"""`milepost tail`: changes in a terminal, over a restart of the service."""

import json
import signal
import subprocess
from typing import Any

import httpx
from click import unstyle

from milepost.cli.tail import write_line
from tests.e2e.processes import Service
from tests.processes import MILEPOST, environment, run_milepost


def tail(service: Service, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [MILEPOST, "tail", *options],
        env=environment({"url": service.http.base_url}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def end(process: "subprocess.Popen[str]") -> int:
    """Return how it ended, with its pipes read."""
    process.communicate(timeout=60)
    return process.returncode


class TestTail:
    def test_it_prints_each_change_and_ends_with_ctrl_c(self, new_database: Any) -> None:
        with Service(database_url=new_database()) as service:
            process = tail(service, "--after", "0", "--kind", "workflow_run", "--json")
            runs = [service.create()["workflow_run_id"] for _ in range(3)]
            assert [json.loads(line(process))["id"] for _ in runs] == runs
            process.send_signal(signal.SIGINT)
            assert end(process) == -signal.SIGINT

    def test_it_goes_on_over_a_restart(self, new_database: Any) -> None:
        url = new_database()
        with Service(database_url=url) as first:
            process = tail(first, "--after", "0", "--json")
            first.create()
            assert json.loads(line(process))["position"] == 1
            port = first.port
            assert first.stop() == 0
        second = Service(database_url=url, port=port)
        second.http.base_url = httpx.URL(f"http://127.0.0.1:{port}")
        with second:
            second.create()
            assert json.loads(line(process))["position"] == 2
            process.kill()
            assert end(process) == -signal.SIGKILL

    def test_position_that_does_not_exist_is_refused(self, new_database: Any) -> None:
        with Service(database_url=new_database()) as service:
            ended = run_milepost("tail", "--after", "99", url=service.http.base_url)
            assert (ended.returncode, ended.stdout) == (22, "")
            assert "the newest is 0" in ended.stderr

    def test_service_that_is_not_there_is_told(self) -> None:
        ended = run_milepost("tail", url="http://127.0.0.1:9")
        assert (ended.returncode, ended.stdout) == (7, "")


class TestLine:
    def test_what_applies_is_there_and_nothing_else(self) -> None:
        change = {"position": 7, "at": "2026-01-31T02:00:05.120000Z", "kind": "task", "verb": "failed", "id": "a"}
        change |= {
            "workflow_name": "etl",
            "status": "pending",
            "attempt": 2,
            "queue": "q",
            "reason": None,
            "actor": "w\x07",
        }
        written = unstyle(write_line(change))
        assert written.split() == [
            *["7", "02:00:05.120", "task", "failed"],
            *["etl", "a", "status=pending", "attempt=2", "queue=q", "actor=w?"],
        ]
