"""`milepost why`, as a real process against a running service."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from milepost.cli.exits import ExitCode
from tests.definitions import task, workflow
from tests.domain.highway.scripts import foreach
from tests.processes import Serving, environment, run_milepost

UNKNOWN = "01890000-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def url(database_url: str) -> Iterator[str]:
    """Give the address of a running service."""
    with Serving(env=environment({"database_url": database_url, "port": 0})) as service:
        yield service.ready().url


def post(url: str, path: str, **body: Any) -> Any:
    response = httpx.post(f"{url}{path}", json=body)
    assert response.is_success, response.text
    return response.json()


class TestWhy:
    def test_end_of_a_runs_id_is_enough(self, url: str) -> None:
        run = post(url, "/v1/workflow-runs", workflow_name="etl", workflow_version="1")
        said = [
            run_milepost("why", text, url=url).stdout for text in (run["workflow_run_id"], run["workflow_run_id"][-12:])
        ]
        assert said[0] == said[1] != ""

    def test_task_is_explained_in_sentences(self, url: str) -> None:
        spawned = post(url, "/v1/tasks", task_name="send_invoice", queue="unworked")
        done = run_milepost("why", spawned["task_id"], url=url)
        assert done.returncode == ExitCode.OK
        assert done.stdout.splitlines() == [
            "The task send_invoice is pending: nobody claims from the queue unworked now; nobody ever has.",
            "",
            "1. Nobody claims from the queue unworked now; nobody ever has. [no_worker_seen]",
        ]

    def test_run_that_failed_names_its_root_cause_and_how_to_go_on(self, url: str) -> None:
        document = workflow(foreach("each", items="[1, 2]", body=[task("charge")], parallel=True), name="charging")
        post(url, "/v1/workflows", **document)
        run = post(url, "/v1/workflows/charging/latest/runs", queue="charging")
        claimed = post(url, "/v1/queues/charging/claim", worker_id="w", limit=2)["tasks"]
        for held in claimed:
            lease = {"lease_token": held["lease_token"]}
            how = "fail" if held["step"] == "each[1].charge" else "complete"
            failure = {"error": {"name": "ValueError", "message": "card declined"}, "retryable": False}
            post(url, f"/v1/tasks/{held['task_id']}/{how}", **lease | (failure if how == "fail" else {}))
        said = run_milepost("why", run["workflow_run_id"], url=url).stdout
        assert "The step each[1].charge failed: ValueError: card declined. [step_failed]" in said
        assert f"to change it: POST /v1/workflow-runs/{run['workflow_run_id']}/retry {{}}" in said
        watched = run_milepost("runs", "watch", run["workflow_run_id"], url=url)
        assert watched.returncode == ExitCode.RUN_FAILED
        assert "(each[1].charge: ValueError: card declined)" in watched.stdout

    def test_json_is_the_answer_of_the_service(self, url: str) -> None:
        run = post(url, "/v1/workflow-runs", workflow_name="nightly", workflow_version="1")
        done = run_milepost("why", run["workflow_run_id"], "--json", url=url)
        answer = httpx.get(f"{url}/v1/workflow-runs/{run['workflow_run_id']}/why").json()
        assert json.loads(done.stdout) == answer
        assert answer["reasons"][0]["code"] == "nobody_started_it"

    def test_schedule_is_explained(self, url: str) -> None:
        post(url, "/v1/workflows", **workflow(name="scheduled"))
        made = post(url, "/v1/schedules", workflow_name="scheduled", cron="0 2 * * *", paused=True)
        said = run_milepost("why", made["schedule_id"], url=url).stdout
        assert said.startswith("The schedule is paused: the schedule is paused.")

    def test_unknown_id_is_refused(self, url: str) -> None:
        done = run_milepost("why", UNKNOWN, url=url)
        assert done.returncode == ExitCode.REFUSED
        assert done.stderr.strip() == f"milepost: no run, task or schedule has the id {UNKNOWN}"

    def test_what_is_no_id_is_wrong_usage(self, url: str) -> None:
        assert run_milepost("why", "nine", url=url).returncode == ExitCode.USAGE

    def test_service_that_is_away_is_said(self) -> None:
        assert run_milepost("why", UNKNOWN, url="http://127.0.0.1:9").returncode == ExitCode.UNREACHABLE
