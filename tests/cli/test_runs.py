"""`milepost runs`, as a real process against a running service."""

import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.cli.exits import ExitCode
from tests.processes import MILEPOST, Serving, environment, run_milepost


@pytest.fixture(scope="module")
def url(database_url: str) -> Iterator[str]:
    """Give the address of a running service."""
    with Serving(env=environment({"database_url": database_url, "port": 0})) as service:
        yield service.ready().url


def create(url: str, name: str, **change: Any) -> str:
    """Return the id of a new run, after ``change``."""
    run = httpx.post(f"{url}/v1/workflow-runs", json={"workflow_name": name, "workflow_version": "1"}).json()
    if change:
        assert httpx.patch(f"{url}/v1/workflow-runs/{run['workflow_run_id']}", json=change).status_code == 200
    return str(run["workflow_run_id"])


class TestListRuns:
    def test_runs_are_listed_as_a_table_newest_first(self, url: str) -> None:
        ids = [create(url, "listed") for _ in range(3)]
        ended = run_milepost("runs", "list", "--name", "listed", url=url)
        assert ended.returncode == ExitCode.OK, ended
        heading, *rows = ended.stdout.splitlines()
        assert heading.startswith("WORKFLOW_RUN_ID")
        assert [row.split()[0] for row in rows] == ids[::-1]

    def test_filters_and_cursor_are_passed_on(self, url: str) -> None:
        ids = [create(url, "paged", status="running") for _ in range(3)]
        create(url, "paged")
        filters = ["--name", "paged", "--status", "running", "--order", "created_at", "--limit", "2", "--json"]
        page = json.loads(run_milepost("runs", "list", *filters, url=url).stdout)
        assert [run["workflow_run_id"] for run in page["items"]] == ids[:2]
        rest = json.loads(run_milepost("runs", "list", *filters, "--cursor", page["next_cursor"], url=url).stdout)
        assert [run["workflow_run_id"] for run in rest["items"]] == ids[2:]

    def test_refusal_is_one_line_in_the_service_s_words(self, url: str) -> None:
        ended = run_milepost("runs", "list", "--status", "done", url=url)
        assert ended.returncode == ExitCode.REFUSED
        assert ended.stderr.count("\n") == 1
        assert "(validation-failed): status: " in ended.stderr

    @pytest.mark.parametrize("nowhere", ["http://127.0.0.1:1", "nonsense"])
    def test_service_that_does_not_answer_is_told_in_one_line(self, nowhere: str) -> None:
        ended = run_milepost("runs", "list", url=nowhere)
        assert ended.returncode == ExitCode.UNREACHABLE
        assert ended.stderr.startswith(f"milepost: {nowhere} does not answer: ")
        assert ended.stderr.count("\n") == 1


class TestShowRun:
    def test_facts_and_history_are_shown(self, url: str) -> None:
        run_id = create(url, "shown", status="failed", error={"message": "no space left"})
        shown = run_milepost("runs", "show", run_id, url=url).stdout
        assert "no space left" in shown
        assert "pending  failed" in shown

    def test_json_is_the_service_s_answer(self, url: str) -> None:
        run_id = create(url, "shown")
        assert json.loads(run_milepost("runs", "show", run_id, "--json", url=url).stdout)["workflow_run_id"] == run_id

    def test_unknown_run_is_refused(self, url: str) -> None:
        ended = run_milepost("runs", "show", "01890000-0000-7000-8000-000000000000", url=url)
        assert ended.returncode == ExitCode.REFUSED
        assert "(not-found)" in ended.stderr


class TestWatchRun:
    @pytest.mark.parametrize(
        ("status", "code"),
        [("completed", ExitCode.OK), ("failed", ExitCode.RUN_FAILED), ("cancelled", ExitCode.RUN_FAILED)],
    )
    def test_exit_code_tells_how_the_run_ended(self, url: str, status: str, code: ExitCode) -> None:
        ended = run_milepost("runs", "watch", create(url, "watched", status=status), url=url)
        assert ended.returncode == code
        assert f"watched__1  {status}" in ended.stdout

    def test_time_out_has_its_own_exit_code(self, url: str) -> None:
        ended = run_milepost("runs", "watch", create(url, "watched"), "--timeout-seconds", "0.2", "--json", url=url)
        assert ended.returncode == ExitCode.TIMED_OUT
        assert json.loads(ended.stdout)["status"] == "pending"

    def test_run_is_watched_across_a_restart_of_the_service(self, database_url: str) -> None:
        with Serving(env=environment({"database_url": database_url, "port": 0})) as service:
            url = service.ready().url
            run_id = create(url, "watched", status="running")
            watching = subprocess.Popen(
                [MILEPOST, "runs", "watch", run_id], env=environment({"url": url}), stdout=subprocess.PIPE, text=True
            )
            while "milepost_waiters 1.0" not in httpx.get(f"{url}/metrics").text:
                time.sleep(0.01)
            assert service.stop() == ExitCode.OK
        with Serving(env=environment({"database_url": database_url, "port": url.rpartition(":")[2]})) as service:
            path = f"{service.ready().url}/v1/workflow-runs/{run_id}"
            assert httpx.patch(path, json={"status": "completed"}).status_code == 200
            said, _ = watching.communicate(timeout=30)
        assert watching.returncode == ExitCode.OK
        assert said.splitlines()[-1].endswith("watched__1  completed")
