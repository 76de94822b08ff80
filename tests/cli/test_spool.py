"""What `milepost exec` could not tell is told later: once, with its true times."""

import json
import signal
import socket
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from milepost.cli.exits import ExitCode
from milepost.cli.jobs.spool import Spool
from milepost.cli.jobs.story import Story
from tests.cli.executing import Machine
from tests.processes import Serving, environment
from tests.waiting import PATIENCE_SECONDS, wait_until


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def hear_one(listener: socket.socket, heard: list[bytes]) -> None:
    """Take what one caller sends, and answer nothing."""
    connection, _ = listener.accept()
    with connection:
        heard.append(connection.recv(100_000))


class Outage:
    """A service that comes and goes, always at the same address, and a machine that tells it of jobs."""

    def __init__(self, database_url: str, home: Path) -> None:
        self._settings: dict[str, Any] = {"database_url": database_url, "port": free_port()}
        self.machine = Machine(f"http://127.0.0.1:{self._settings['port']}", home)

    def serving(self) -> Serving:
        return Serving(env=environment(self._settings))

    def kept(self, suffix: str = ".json") -> list[Path]:
        return sorted(self.machine.home.glob(f"milepost/spool/*{suffix}"))

    def flush(self) -> tuple[int, str]:
        ended = self.machine.run("spool", "flush")
        return ended.returncode, ended.stdout.decode().strip()


@pytest.fixture
def outage(new_database: Any, tmp_path: Path) -> Outage:
    return Outage(new_database(), tmp_path)


def seconds_of(run: Any) -> float:
    ended, began = (datetime.fromisoformat(run[name]) for name in ("completed_at", "started_at"))
    return (ended - began) / timedelta(seconds=1)


class TestServiceAwayFromTheStart:
    def test_all_is_told_once_by_two_that_flush_at_once(self, outage: Outage) -> None:
        machine = outage.machine
        script = "echo out; echo bad >&2; sleep 1; exit 3"
        ended = machine.run("exec", "--name", "nightly", "--tag", "a=b", "--", "sh", "-c", script)
        assert (ended.returncode, ended.stderr.count(b"milepost:")) == (3, 1)
        (kept,) = outage.kept()
        assert kept.stat().st_mode & 0o077 == kept.parent.stat().st_mode & 0o077 == 0
        assert outage.flush() == (ExitCode.UNREACHABLE, "0 sent, 1 kept")
        with outage.serving() as service:
            service.ready()
            flushing = [machine.start("spool", "flush") for _ in range(2)]
            said = sorted(process.communicate(timeout=PATIENCE_SECONDS)[0] for process in flushing)
            assert said == [b"0 sent, 0 kept\n", b"1 sent, 0 kept\n"]
            (run,) = machine.find("nightly")
            assert (run["status"], run["error"]["exit_code"], run["tags"]) == ("failed", 3, {"a": "b"})
            assert 1 <= seconds_of(run) < 60
            assert run["completed_at"] < run["created_at"]
            assert sorted(machine.log(run)) == [("error", "bad"), ("info", "out")]
            assert [entry["to"] for entry in machine.get(f"/{run['workflow_run_id']}/history")["items"]] == ["failed"]
        assert outage.kept() == []

    def test_next_exec_tells_it(self, outage: Outage) -> None:
        machine = outage.machine
        for number in range(3):
            machine.run("exec", "--name", f"before_{number}", "--", "true")
        with outage.serving() as service:
            service.ready()
            ended = machine.run("exec", "--name", "later", "--", "true")
            assert (ended.returncode, ended.stderr) == (0, b"")
            assert [machine.one(f"before_{number}")["status"] for number in range(3)] == ["completed"] * 3
            assert (machine.one("later")["status"], outage.kept()) == ("completed", [])
            assert outage.flush() == (0, "0 sent, 0 kept")


class TestServiceThatIsKilled:
    def test_end_is_told_later_with_its_time(self, outage: Outage) -> None:
        machine = outage.machine
        script = "echo ready; while [ ! -e go ]; do sleep 0.1; done; echo after; exit 6"
        with outage.serving() as service:
            service.ready()
            process = machine.start("exec", "--name", "cut", "--", "sh", "-c", script)
            run = machine.one_running("cut")
            service.stop(signal.SIGKILL)
        (machine.home / "go").touch()
        began = time.monotonic()
        assert process.communicate(timeout=PATIENCE_SECONDS)[1].count(b"milepost:") == 1
        assert (process.returncode, time.monotonic() - began < 60) == (6, True)
        with outage.serving() as service:
            service.ready()
            assert outage.flush() == (0, "1 sent, 0 kept")
            told = machine.one("cut")
            assert (told["workflow_run_id"], told["error"]["exit_code"]) == (run["workflow_run_id"], 6)
            assert told["completed_at"] < told["updated_at"]
            assert machine.log(told) == [("info", "ready"), ("info", "after")]


class TestKey:
    @pytest.mark.parametrize("of_the_story", [True, False])
    def test_it_goes_to_the_service_that_it_is_of(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of_the_story: bool
    ) -> None:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
        monkeypatch.setenv("MILEPOST_API_KEY", "of-the-one")
        heard: list[bytes] = []
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            hearing = threading.Thread(target=hear_one, args=[listener, heard])
            hearing.start()
            Spool().keep(Story(url, {"workflow_name": "a", "workflow_version": "1"}))
            assert Spool().flush(f"{url}/" if of_the_story else "http://127.0.0.1:1", waits=True).away == 1
            hearing.join(PATIENCE_SECONDS)
        assert heard[0].startswith(b"POST /v1/workflow-runs ")
        assert (b"of-the-one" in heard[0]) is of_the_story


class TestWhatIsKept:
    def test_flush_that_is_killed_is_done_again_without_doubles(self, outage: Outage) -> None:
        machine = outage.machine
        for _ in range(5):
            machine.run("exec", "--name", "often", "--", "echo", "once")
        with outage.serving() as service:
            service.ready()
            with machine.start("spool", "flush") as flushing:
                wait_until(lambda: machine.find("often") or flushing.poll() is not None)
                flushing.send_signal(signal.SIGKILL)
            assert outage.flush()[0] == 0
            runs = machine.find("often")
            assert [machine.log(run) for run in runs] == [[("info", "once")]] * 5

    def test_what_cannot_be_read_or_is_refused_is_set_aside(self, outage: Outage) -> None:
        machine = outage.machine
        machine.run("exec", "--name", "good", "--", "true")
        (kept,) = outage.kept()
        story = json.loads(kept.read_text())
        wrong = {"0.json": b"{", "1.json": b"[]", "2.json": json.dumps({**story, "url": "x"}).encode()}
        wrong["3.json"] = json.dumps({**story, "key": "k", "run": {**story["run"], "workflow_name": "No"}}).encode()
        for name, content in wrong.items():
            (kept.parent / name).write_bytes(content)
        with outage.serving() as service:
            service.ready()
            assert outage.flush() == (ExitCode.REFUSED, "1 sent, 0 kept")
            assert machine.one("good")["status"] == "completed"
        assert outage.kept() == []
        assert len(outage.kept(".refused")) == 4

    def test_directory_that_cannot_be_written_hinders_nothing(self, outage: Outage) -> None:
        (outage.machine.home / "milepost").touch()
        ended = outage.machine.run("exec", "--", "echo", "done")
        assert (ended.returncode, ended.stdout, ended.stderr.count(b"milepost:")) == (0, b"done\n", 1)

    def test_nothing_kept_is_nothing_sent(self, outage: Outage) -> None:
        assert outage.flush() == (0, "0 sent, 0 kept")
