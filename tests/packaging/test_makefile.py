"""`make run`, with real processes."""

import os
import re
import signal
import subprocess
from collections.abc import Callable

import httpx
import pytest

from tests.processes import ROOT, SCRIPTS, Serving, environment, open_directory, postgres_processes


def to_make_alone(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGTERM)


def as_the_terminal_does(process: "subprocess.Popen[str]") -> None:
    os.killpg(process.pid, signal.SIGINT)


class TestInstall:
    def test_running_needs_no_tools_of_tests(self) -> None:
        with open_directory() as directory:
            venv = directory / "venv"
            made = subprocess.run(
                ["make", "--no-print-directory", f"VENV={venv}", f"{venv}/.ready"],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=True,
            )
            assert made.stdout.startswith("Installing Milepost into ")
            programs = {path.name for path in (venv / "bin").iterdir()}
            assert "milepost" in programs
            assert not programs & {"pytest", "ruff", "mypy"}


class TestHelp:
    def test_it_says_what_there_is(self) -> None:
        said = subprocess.run(
            ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        rules = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert [line.split()[:2] for line in said.splitlines()] == [["make", rule] for rule in rules]
        assert all(len(line) <= 80 and len(line.split()) > 3 for line in said.splitlines())


class TestMakeRun:
    @pytest.mark.parametrize("stop", [to_make_alone, as_the_terminal_does])
    def test_stop_ends_everything(self, stop: Callable[["subprocess.Popen[str]"], None]) -> None:
        with open_directory() as directory:
            env = environment({"data_dir": directory, "port": 0})
            command = ("make", "--old-file=.venv/.ready", f"BIN={SCRIPTS}", "run")
            with Serving(*command, cwd=ROOT, env=env) as service:
                assert httpx.get(f"{service.ready().url}/readyz").status_code == 200
                assert postgres_processes(directory)
                stop(service.process)
                service.wait()
                assert not postgres_processes(directory)
                with pytest.raises(httpx.ConnectError):
                    httpx.get(f"{service.url}/livez")
