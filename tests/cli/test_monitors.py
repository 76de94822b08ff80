"""`milepost ping` and `milepost monitors`, as real processes against a running service."""

import json
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from milepost.cli.exits import ExitCode
from tests.processes import Serving, environment, run_milepost


@pytest.fixture(scope="module")
def url(database_url: str) -> Iterator[str]:
    """Give the address of a running service."""
    with Serving(env=environment({"database_url": database_url, "port": 0})) as service:
        yield service.ready().url


@pytest.fixture
def name(url: str) -> str:
    """Return the name of a monitor that no other test uses."""
    name = f"m-{uuid4().hex}"
    body = {"workflow_name": name.replace("-", ""), "every_seconds": 60}
    assert httpx.put(f"{url}/v1/monitors/{name}", json=body).status_code == 201
    return name


def run_of(url: str, run_id: str) -> dict[str, object]:
    found: dict[str, object] = httpx.get(f"{url}/v1/workflow-runs/{run_id}").json()
    return found


class TestPing:
    def test_start_and_failure_are_of_one_run(self, url: str, name: str) -> None:
        started = run_milepost("ping", name, "start", url=url)
        failed = run_milepost("ping", name, "fail", "--message", "disk full", url=url)
        assert (started.returncode, failed.returncode) == (ExitCode.OK, ExitCode.OK), failed.stderr
        assert started.stdout == failed.stdout
        run = run_of(url, failed.stdout.strip())
        assert (run["status"], run["error"]) == ("failed", {"message": "disk full"})

    @pytest.mark.parametrize("words", [[], ["ok"]])
    def test_one_has_completed_unless_it_says_otherwise(self, url: str, name: str, words: list[str]) -> None:
        ended = run_milepost("ping", name, *words, url=url)
        assert run_of(url, ended.stdout.strip())["status"] == "completed"

    def test_unknown_monitor_is_refused_in_the_service_s_words(self, url: str) -> None:
        ended = run_milepost("ping", "no/such", url=url)
        assert ended.returncode == ExitCode.REFUSED
        assert ended.stderr.count("\n") == 1

    def test_wrong_word_is_a_mistake_of_the_command_line(self, url: str, name: str) -> None:
        assert run_milepost("ping", name, "stop", url=url).returncode == ExitCode.USAGE

    def test_service_that_is_away_is_told(self) -> None:
        assert run_milepost("ping", "m", url="http://127.0.0.1:1").returncode == ExitCode.UNREACHABLE


class TestListMonitors:
    def test_it_lists_those_that_are_asked_for(self, url: str, name: str) -> None:
        workflow = name.replace("-", "")
        table = run_milepost("monitors", "list", "--name", workflow, "--state", "waiting", url=url).stdout
        assert [line.split()[0] for line in table.splitlines()] == ["NAME", name]
        found = run_milepost("monitors", "list", "--name", workflow, "--json", url=url).stdout
        assert [item["name"] for item in json.loads(found)["items"]] == [name]
