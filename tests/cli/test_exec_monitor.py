"""`milepost exec --monitor`: the run is one that its monitor waits for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from milepost.cli.exits import ExitCode
from tests.cli.executing import NOWHERE, Machine
from tests.processes import Serving, environment
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def url(database_url: str) -> Iterator[str]:
    """Give the address of a running service."""
    with Serving(env=environment({"database_url": database_url, "port": 0})) as service:
        yield service.ready().url


@pytest.fixture
def machine(url: str, tmp_path: Path) -> Machine:
    return Machine(url, tmp_path)


def put(url: str, monitor: str, **fields: Any) -> None:
    response = httpx.put(f"{url}/v1/monitors/{monitor}", json={"every_seconds": 3600, **fields})
    assert response.is_success, response.text


def get(url: str, monitor: str) -> Any:
    return httpx.get(f"{url}/v1/monitors/{monitor}").json()


class TestMonitor:
    def test_run_is_one_that_it_waits_for(self, machine: Machine) -> None:
        put(machine.url, "nightly-backup", workflow_name="backup", tags={"host": "db1"})
        ended = machine.run("exec", "--monitor", "nightly-backup", "--tag", "team=data", "--", "true")
        assert (ended.returncode, ended.stderr) == (0, b"")
        run = machine.one("backup")
        assert run["tags"] == {"host": "db1", "team": "data"}
        wait_until(lambda: get(machine.url, "nightly-backup")["last_run_id"] == run["workflow_run_id"])

    def test_own_name_is_kept(self, machine: Machine) -> None:
        put(machine.url, "named", workflow_name="other", tags={"host": "db2"})
        assert machine.run("exec", "--monitor", "named", "--name", "own_name", "--", "true").returncode == 0
        assert machine.one("own_name")["tags"] == {"host": "db2"}
        assert machine.find("other") == []

    def test_unknown_one_is_warned_of_and_done_without(self, machine: Machine) -> None:
        ended = machine.run("exec", "--monitor", "nobodys", "--", "sh", "-c", "echo out; exit 3")
        assert (ended.returncode, ended.stdout) == (3, b"out\n")
        (warning,) = ended.stderr.splitlines()
        assert warning.startswith(b"milepost: the monitor is not followed: ")
        assert machine.one("sh")["status"] == "failed"

    def test_it_is_asked_for_later_where_the_service_was_away(self, machine: Machine) -> None:
        put(machine.url, "later", workflow_name="told_later", tags={"host": "db3"})
        ended = machine.run("exec", "--monitor", "later", "--", "true", url=NOWHERE)
        assert ended.returncode == 0
        (kept,) = machine.home.glob("milepost/spool/*.json")
        kept.write_text(kept.read_text().replace(NOWHERE, machine.url))
        assert machine.run("spool", "flush").returncode == 0
        run = machine.one("told_later")
        assert (run["status"], run["tags"]) == ("completed", {"host": "db3"})

    @pytest.mark.parametrize("name", ["", "Nightly", "a/../b", "a__b", "a b", "é", "a" * 201])
    def test_what_is_no_name_begins_nothing(self, machine: Machine, name: str) -> None:
        ended = machine.run("exec", "--monitor", name, "--", "touch", "begun")
        assert ended.returncode == ExitCode.USAGE
        assert not (machine.home / "begun").exists()
