"""`milepost exec`: real commands, and what becomes of them and of their runs."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from milepost.cli.exits import ExitCode
from milepost.cli.jobs.options import name_of, read_inputs
from milepost.cli.jobs.output import TEXT_BYTES, Lines, Tail
from milepost.cli.jobs.story import LINES_MOST, Story
from tests.cli.executing import NOWHERE, Machine
from tests.e2e.processes import is_running
from tests.processes import Serving, environment
from tests.waiting import PATIENCE_SECONDS, wait_until

WARNING = b"; the command runs all the same\n"


@pytest.fixture(scope="module")
def url(database_url: str) -> Iterator[str]:
    """Give the address of a running service."""
    with Serving(env=environment({"database_url": database_url, "port": 0})) as service:
        yield service.ready().url


@pytest.fixture
def machine(url: str, tmp_path: Path) -> Machine:
    return Machine(url, tmp_path)


class TestCommands:
    def test_run_is_completed_with_what_was_given(self, machine: Machine) -> None:
        options = ["--name", "nightly", "--version", "2", "--queue", "batch", "--tag", "team=data", "--deadline", "900"]
        inputs = ["--input", "n=3", "--input", "where=a=b", "--input", 'list=[1,{"a":null}]']
        ended = machine.run("exec", *options, *inputs, "--heartbeat", "30", "--", "true")
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
        run = machine.one("nightly")
        assert (run["status"], run["error"], run["workflow_version"], run["queue"]) == ("completed", None, "2", "batch")
        assert run["inputs"] == {"n": 3, "where": "a=b", "list": [1, {"a": None}]}
        assert run["tags"] == {"team": "data"}
        assert run["deadline_at"]
        assert run["started_at"] <= run["completed_at"]

    def test_exit_code_is_the_commands_and_the_run_failed(self, machine: Machine) -> None:
        ended = machine.run("exec", "--name", "fails", "--", "sh", "-c", "echo out; echo bad >&2; exit 3")
        assert (ended.returncode, ended.stdout, ended.stderr) == (3, b"out\n", b"bad\n")
        run = machine.one("fails")
        error = run["error"]
        assert run["status"] == "failed"
        assert (error["type"], error["message"], error["exit_code"]) == ("ExitCode", "exit code 3", 3)
        assert sorted(error["output_tail"].split()) == ["bad", "out"]
        assert sorted(machine.log(run)) == [("error", "bad"), ("info", "out")]

    def test_signal_is_told_by_its_name(self, machine: Machine) -> None:
        assert machine.run("exec", "--name", "killed", "--", "sh", "-c", "kill -9 $$").returncode == 137
        error = machine.one("killed")["error"]
        assert (error["type"], error["signal"], error["message"]) == ("Signal", "SIGKILL", "ended by SIGKILL")

    @pytest.mark.parametrize(
        ("command", "code", "name"), [("./none", 127, "none"), ("none/such", 127, "such"), (".", 126, "job")]
    )
    def test_command_that_cannot_start_is_a_failed_run(
        self, machine: Machine, command: str, code: int, name: str
    ) -> None:
        ended = machine.run("exec", "--", command)
        assert (ended.returncode, ended.stdout) == (code, b"")
        assert ended.stderr.startswith(f"milepost: {command}: ".encode())
        run = machine.one(name)
        assert (run["status"], run["error"]["exit_code"]) == ("failed", code)

    def test_file_that_is_not_executable_is_126(self, machine: Machine) -> None:
        (machine.home / "plain.sh").write_text("exit 0")
        assert machine.run("exec", "--", "./plain.sh").returncode == 126
        assert machine.one("plain_sh")["error"]["exit_code"] == 126

    def test_script_without_a_first_line_is_run_by_sh(self, machine: Machine) -> None:
        (machine.home / "bare.sh").write_text('echo "$1"\n')
        (machine.home / "bare.sh").chmod(0o755)
        ended = machine.run("exec", "--", "./bare.sh", "a b")
        assert (ended.returncode, ended.stdout) == (0, b"a b\n")

    def test_command_finds_its_run(self, machine: Machine) -> None:
        ended = machine.run("exec", "--name", "finds", "--", "sh", "-c", "echo $MILEPOST_WORKFLOW_RUN_ID")
        assert ended.stdout.decode().strip() == machine.one("finds")["workflow_run_id"]

    @pytest.mark.parametrize(
        "options",
        [
            ["--name", "Nightly"],
            ["--name", "a__b"],
            ["--name", ""],
            ["--version", "a b"],
            ["--queue", "a b"],
            ["--tag", "plain"],
            ["--input", "=1"],
            ["--heartbeat", "0"],
            ["--deadline", "-1"],
            ["--heartbeat", "nan"],
            ["--deadline", "nan"],
            ["--url", "nonsense"],
            ["--url", "http://a:b"],
            ["--nmae", "x"],
        ],
    )
    def test_wrong_options_run_nothing(self, machine: Machine, options: list[str]) -> None:
        ended = machine.run("exec", *options, "--", "touch", "ran")
        assert (ended.returncode, ended.stdout) == (ExitCode.USAGE, b"")
        assert ended.stderr
        assert not (machine.home / "ran").exists()

    def test_arguments_that_are_no_text_reach_the_command(self, machine: Machine) -> None:
        odd = b"\xff'\"$x\n"
        command = [b"exec", b"--name", b"odd", b"--input", b"k=" + odd, b"--", b"printf", b"%s", odd]
        ended = machine.run(*map(os.fsdecode, command))
        assert (ended.returncode, ended.stdout) == (0, odd)
        assert machine.one("odd")["inputs"] == {"k": "\ufffd'\"$x\n"}


class TestStreams:
    def test_bytes_pass_unchanged(self, machine: Machine) -> None:
        data = bytes(range(256)) * 8192 + b"no end"
        ended = machine.run("exec", "--name", "bytes", "--", "sh", "-c", "tee /dev/stderr", said=data)
        assert (ended.returncode, ended.stdout == data, ended.stderr == data) == (0, True, True)

    def test_closed_stdout_ends_the_command(self, machine: Machine) -> None:
        with machine.start("exec", "--name", "yes", "--", "yes") as process:
            assert process.stdout
            process.stdout.read(2)
            process.stdout.close()
            assert process.wait(PATIENCE_SECONDS) == 128 + signal.SIGPIPE
        assert machine.one("yes")["error"]["signal"] == "SIGPIPE"

    def test_streams_that_were_never_open_are_not_mistaken_for_others(self, machine: Machine) -> None:
        script = f"exec {sys.executable} -m milepost exec --name closed -- sh -c 'cat; echo x; exit 5' <&- >&- 2>&-"
        env = {**machine.environment()}
        assert subprocess.run(["sh", "-c", script], env=env, timeout=PATIENCE_SECONDS, check=False).returncode == 5
        assert machine.one("closed")["error"]["exit_code"] == 5

    def test_it_ends_with_its_command_whoever_else_holds_the_pipes(self, machine: Machine) -> None:
        script = "sleep 600 & echo $!"
        ended = machine.run("exec", "--name", "leaves", "--", "sh", "-c", script)
        os.kill(int(ended.stdout), signal.SIGKILL)
        assert ended.returncode == 0
        assert machine.log(machine.one("leaves")) == [("info", ended.stdout.decode().strip())]

    def test_what_is_no_text_is_replaced_in_the_log(self, machine: Machine) -> None:
        machine.run("exec", "--name", "mixed", "--", "printf", "a\\000b\\377c\\r\\n\\n" + "é" * 10_000 + "\\nend")
        texts = [text for _, text in machine.log(machine.one("mixed"))]
        assert texts[:2] == ["a\ufffdb\ufffdc", ""]
        assert "".join(texts[2:]) == "é" * 10_000 + "end"
        assert max(len(text.encode()) for text in texts) <= TEXT_BYTES

    def test_output_is_in_the_log_while_the_command_runs(self, machine: Machine) -> None:
        with machine.start("exec", "--name", "speaks", "--", "sh", "-c", "printf half; exec sleep 600") as process:
            assert machine.one_running("speaks", "half")["status"] == "running"
            process.terminate()


class TestSignals:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_they_reach_the_whole_group(self, machine: Machine, number: signal.Signals) -> None:
        script = f"trap 'kill %1; exit 9' {number.name[3:]}; sleep 600 & echo ready; wait"
        name = f"asked_{number.name.lower()}"
        with machine.start("exec", "--name", name, "--", "bash", "-c", script) as process:
            machine.one_running(name)
            process.send_signal(number)
            assert process.wait(PATIENCE_SECONDS) == 9
        assert machine.one(name)["error"]["exit_code"] == 9

    def test_command_that_is_ended_by_one_is_128_and_its_number(self, machine: Machine) -> None:
        with machine.start("exec", "--name", "ended", "--", "sh", "-c", "echo ready; sleep 600") as process:
            machine.one_running("ended")
            process.terminate()
            assert process.wait(PATIENCE_SECONDS) == 128 + signal.SIGTERM
        assert machine.one("ended")["error"]["signal"] == "SIGTERM"


class TestRunsThatOthersEnd:
    def _cancel(self, machine: Machine, name: str, script: str) -> int:
        with machine.start("exec", "--name", name, "--", "sh", "-c", script) as process:
            run = machine.one_running(name)
            httpx.post(f"{machine.url}/v1/workflow-runs/{run['workflow_run_id']}/cancel", json={}).raise_for_status()
            code = process.wait(PATIENCE_SECONDS)
        wait_until(lambda: not is_running(int((machine.home / "pid").read_text())))
        assert machine.one(name)["status"] == "cancelled"
        return code

    def test_command_is_ended_soon_and_not_at_the_next_heartbeat(self, machine: Machine) -> None:
        arguments = ("exec", "--name", "soon", "--heartbeat", "86400", "--", "sh", "-c", "echo ready; sleep 600")
        with machine.start(*arguments) as process:
            run = machine.one_running("soon")
            cancel = {"grace_seconds": 3600}
            httpx.post(
                f"{machine.url}/v1/workflow-runs/{run['workflow_run_id']}/cancel", json=cancel
            ).raise_for_status()
            assert process.wait(PATIENCE_SECONDS) == 128 + signal.SIGTERM
        assert machine.one("soon")["status"] == "cancelled"

    def test_cancelled_run_ends_the_whole_group(self, machine: Machine) -> None:
        script = "sleep 600 & echo $! >pid; echo ready; wait"
        assert self._cancel(machine, "stops", script) == 128 + signal.SIGTERM

    def test_command_that_does_not_end_by_itself_is_killed(self, machine: Machine) -> None:
        script = "trap '' TERM; echo $$ >pid; echo ready; while :; do sleep 1; done"
        began = time.monotonic()
        assert self._cancel(machine, "stays", script) == 128 + signal.SIGKILL
        assert time.monotonic() - began > 9

    def test_rest_of_the_group_that_does_not_end_by_itself_is_killed(self, machine: Machine) -> None:
        child = "trap '' TERM; echo $$ >pid; echo ready; while :; do sleep 1; done"
        script = f'sh -c "{child.replace("$", chr(92) + "$")}" & wait'
        assert self._cancel(machine, "rest", script) == 128 + signal.SIGTERM

    def test_deadline_ends_the_command(self, machine: Machine) -> None:
        ended = machine.run("exec", "--name", "slow", "--deadline", "3", "--", "sleep", "600")
        assert ended.returncode == 143
        assert machine.one("slow")["reason"] == "deadline"

    def test_killed_exec_leaves_a_run_that_is_lost(self, machine: Machine) -> None:
        arguments = (
            "exec",
            "--name",
            "lost",
            "--heartbeat",
            "1",
            "--",
            "sh",
            "-c",
            "echo $$; echo ready; exec sleep 600",
        )
        with machine.start(*arguments) as process:
            machine.one_running("lost")
            process.kill()
            wait_until(lambda: machine.one("lost")["reason"] == "lost")
            assert process.stdout
            os.kill(int(process.stdout.readline()), signal.SIGKILL)

    def test_heartbeats_keep_it_running(self, machine: Machine) -> None:
        ended = machine.run("exec", "--name", "lives", "--heartbeat", "1", "--", "sleep", "4")
        assert (ended.returncode, machine.one("lives")["status"]) == (0, "completed")


class TestServiceAway:
    def test_command_runs_at_once_and_one_warning_says_so(self, machine: Machine) -> None:
        ended = machine.run("exec", "--", "sh", "-c", "cat; echo bad >&2; exit 4", said=b"x", url=NOWHERE)
        assert (ended.returncode, ended.stdout) == (4, b"x")
        warning, bad = sorted(ended.stderr.splitlines(keepends=True), key=len, reverse=True)
        assert warning.startswith(f"milepost: {NOWHERE} does not answer: ".encode())
        assert (warning.endswith(WARNING), bad) == (True, b"bad\n")

    def test_service_that_says_nothing_is_not_waited_for(self, machine: Machine) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            with machine.start("exec", "--", "echo", "ready", url=url) as process:
                began = time.monotonic()
                assert process.stdout
                assert process.stdout.readline() == b"ready\n"
                assert time.monotonic() - began < 5
                assert process.wait(PATIENCE_SECONDS) == 0

    def test_what_answers_is_no_milepost(self, machine: Machine) -> None:
        server = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "0"]
        pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
        with subprocess.Popen([server[0], "-u", *server[1:]], stdout=pipe, stderr=nothing, cwd=machine.home) as other:
            assert other.stdout
            address = other.stdout.readline().split()[5].decode()
            ended = machine.run("exec", "--", "echo", "done", url=f"http://127.0.0.1:{address}")
            other.kill()
        assert (ended.returncode, ended.stdout, ended.stderr.count(b"milepost:")) == (0, b"done\n", 1)

    def test_service_that_refuses_the_run_hinders_nothing(self, machine: Machine) -> None:
        tags = [option for number in range(65) for option in ("--tag", f"t{number}=1")]
        ended = machine.run("exec", "--name", "refused", *tags, "--", "echo", "done")
        assert (ended.returncode, ended.stdout) == (0, b"done\n")
        assert b"validation-failed" in ended.stderr
        assert machine.find("refused") == []

    def test_service_that_comes_back_while_it_runs_hears_all(self, database_url: str, tmp_path: Path) -> None:
        settings: dict[str, Any] = {"database_url": database_url}
        with socket.create_server(("127.0.0.1", 0)) as taken:
            settings["port"] = taken.getsockname()[1]
        machine = Machine(f"http://127.0.0.1:{settings['port']}", tmp_path)
        script = "echo before; while [ ! -e there ]; do sleep 0.1; done; echo after"
        with machine.start("exec", "--name", "early", "--", "sh", "-c", script) as process:
            assert process.stdout
            assert process.stdout.readline() == b"before\n"
            with Serving(env=environment(settings)) as service:
                service.ready()
                run = machine.one("early")
                assert datetime.fromisoformat(run["started_at"]) < datetime.fromisoformat(run["created_at"])
                service.stop(signal.SIGKILL)
            with Serving(env=environment(settings)) as service:
                service.ready()
                (tmp_path / "there").touch()
                assert process.wait(PATIENCE_SECONDS) == 0
                assert machine.one("early")["status"] == "completed"
                assert machine.log(run) == [("info", "before"), ("info", "after")]


class TestRules:
    @pytest.mark.parametrize(
        ("command", "name"),
        [
            ("./backup.sh", "backup_sh"),
            ("/usr/bin/python3.11", "python3_11"),
            ("7z", "job_7z"),
            ("_Ärger--X_", "rger_x"),
            ("/", "job"),
            ("\udcff", "job"),
            ("x" * 300, "x" * 200),
        ],
    )
    def test_name_is_made_from_the_command(self, command: str, name: str) -> None:
        assert name_of(command) == name

    @pytest.mark.parametrize(
        "text",
        ["NaN", "-Infinity", "1e999", "9" * 5000, "[" * 100 + "]" * 100, "[" * 100_000, '"\\u0000"', '"\\ud800"', "{a"],
    )
    def test_input_that_is_no_json_of_the_service_is_text(self, text: str) -> None:
        assert read_inputs([f"k={text}"]) == {"k": text}

    def test_tail_is_the_last_8_kib_of_text(self) -> None:
        tail = Tail()
        tail.add("é".encode() * 9000)
        tail.add(b"end")
        assert tail.text().endswith("éend")
        assert 8000 < len(tail.text().encode()) <= 8192

    def test_lines_that_are_too_many_are_dropped_and_counted(self) -> None:
        story = Story("http://a", {})
        lines = Lines("info", lambda text, level: story.add_line(text, level, "now"))
        lines.add(b"x\n" * (LINES_MOST + 7))
        story.finish({"completed_at": "then"})
        assert len(story.lines) == LINES_MOST + 1
        assert story.lines[-1]["text"].startswith("7 lines were dropped here")
        assert json.dumps(story.lines[0])
