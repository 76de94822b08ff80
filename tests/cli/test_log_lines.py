"""`milepost logs`, as a real process against a running service."""

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from milepost.cli.exits import ExitCode
from milepost.cli.log_lines import _write
from tests.factories import UNKNOWN_ID
from tests.processes import MILEPOST, Serving, environment, run_milepost
from tests.waiting import PATIENCE_SECONDS


@pytest.fixture(scope="module")
def url(database_url: str) -> Iterator[str]:
    """Give the address of a running service."""
    with Serving(env=environment({"database_url": database_url, "port": 0})) as service:
        yield service.ready().url


def create(url: str) -> str:
    run = httpx.post(f"{url}/v1/workflow-runs", json={"workflow_name": "etl", "workflow_version": "1"}).json()
    return str(run["workflow_run_id"])


def append(url: str, run_id: str, *lines: dict[str, Any], kind: str = "workflow-runs") -> None:
    response = httpx.post(f"{url}/v1/{kind}/{run_id}/logs", json={"lines": lines})
    assert response.status_code == 201, response.text


def texts(output: str) -> list[str]:
    return [line.split(" ", 2)[2] for line in output.splitlines()]


class TestShow:
    def test_log_of_a_run_is_printed_oldest_first(self, url: str) -> None:
        run_id = create(url)
        append(url, run_id, {"text": "one\ntwo", "at": "2026-01-31T02:00:00Z"}, {"text": "three", "level": "error"})
        first, further, last = run_milepost("logs", run_id, url=url).stdout.splitlines()
        assert (first, further) == ("2026-01-31T02:00:00.000Z info one", "  two")
        assert last.endswith("Z error three")

    def test_end_of_a_runs_id_is_enough(self, url: str) -> None:
        run_id = create(url)
        append(url, run_id, {"text": "x"})
        assert texts(run_milepost("logs", run_id[-12:], url=url).stdout) == ["x"]

    def test_id_may_be_that_of_a_task(self, url: str) -> None:
        task_id = httpx.post(f"{url}/v1/tasks", json={"task_name": "load"}).json()["task_id"]
        append(url, task_id, {"text": "x"}, kind="tasks")
        assert texts(run_milepost("logs", task_id, url=url).stdout) == ["x"]

    def test_long_log_is_printed_whole(self, url: str) -> None:
        run_id = create(url)
        for start in (0, 1000, 2000):
            append(url, run_id, *({"text": str(start + i)} for i in range(1000)))
        assert texts(run_milepost("logs", run_id, url=url).stdout) == [str(i) for i in range(3000)]

    def test_options_choose_lines(self, url: str) -> None:
        run_id = create(url)
        hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        append(url, run_id, {"text": "old", "at": hour_ago}, {"text": "bad", "level": "error"}, {"text": "Good"})

        def choose(*options: str) -> list[str]:
            return texts(run_milepost("logs", run_id, *options, url=url).stdout)

        assert choose("-n", "2") == ["bad", "Good"]
        assert choose("--level", "warning") == ["bad"]
        assert choose("-q", "good") == ["Good"]
        assert choose("--since", "10m") == ["bad", "Good"]
        assert choose("--after", hour_ago) == ["bad", "Good"]

    def test_json_is_an_object_a_line(self, url: str) -> None:
        run_id = create(url)
        append(url, run_id, {"text": "ä", "fields": {"rows": 1}}, {"text": "b"})
        lines = [json.loads(line) for line in run_milepost("logs", run_id, "--json", url=url).stdout.splitlines()]
        assert [(line["text"], line["fields"]) for line in lines] == [("ä", {"rows": 1}), ("b", {})]

    def test_unknown_id_is_refused(self, url: str) -> None:
        done = run_milepost("logs", str(UNKNOWN_ID), url=url)
        assert (done.returncode, done.stdout) == (ExitCode.REFUSED, "")
        assert "not-found" in done.stderr

    def test_wrong_time_is_a_wrong_command_line(self, url: str) -> None:
        done = run_milepost("logs", str(UNKNOWN_ID), "--since", "yesterday", url=url)
        assert done.returncode == ExitCode.USAGE

    def test_service_that_is_away_is_told(self) -> None:
        done = run_milepost("logs", str(UNKNOWN_ID), url="http://127.0.0.1:9")
        assert done.returncode == ExitCode.UNREACHABLE

    def test_colours_are_for_a_terminal(self) -> None:
        line = {"at": "2026-01-31T02:00:00Z", "level": "error", "text": "bad"}
        assert _write(line, in_color=False) == "2026-01-31T02:00:00.000Z error bad\n"
        assert _write(line, in_color=True) == "2026-01-31T02:00:00.000Z \x1b[31merror\x1b[0m bad\n"


class TestFollow:
    def test_new_lines_come_until_the_run_has_ended(self, url: str) -> None:
        run_id = create(url)
        append(url, run_id, {"text": "before"})
        command = [str(MILEPOST), "logs", run_id, "-f"]
        with subprocess.Popen(
            command, env=environment({"url": url}), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
        ) as process:
            assert process.stdout
            assert texts(process.stdout.readline()) == ["before"]
            append(url, run_id, {"text": "during"})
            assert texts(process.stdout.readline()) == ["during"]
            late = (datetime.now(UTC) - timedelta(seconds=20)).isoformat()
            append(url, run_id, {"text": "late", "at": late}, {"text": "last"})
            assert httpx.patch(f"{url}/v1/workflow-runs/{run_id}", json={"status": "completed"}).is_success
            rest, _ = process.communicate(timeout=PATIENCE_SECONDS)
        assert (texts(rest), process.returncode) == (["late", "last"], 0)
