"""A run that is killed leaves nothing behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.leftovers import find_marked
from tests.processes import ROOT
from tests.waiting import wait_until

HOOKS = """
from tests.leftovers import clear_up, watch

def pytest_configure():
    watch()

def pytest_unconfigure():
    clear_up()
"""
STARTING = """
import os, subprocess, sys, time
from pathlib import Path
from tests.leftovers import MARK, remove_at_end

def test_starts_something():
    home = Path({home!r})
    home.mkdir()
    remove_at_end(home)
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    Path({said!r} + ".new").write_text(os.environ[MARK])
    Path({said!r} + ".new").rename({said!r})
    {then}
"""

Run = tuple["subprocess.Popen[bytes]", str]


def start_run(tmp_path: Path, then: str) -> Run:
    """Start a run of one test that starts a process in a session of its own; the run, and the mark of its processes."""
    said = tmp_path / "said"
    (tmp_path / "conftest.py").write_text(HOOKS)
    (tmp_path / "test_it.py").write_text(STARTING.format(home=str(tmp_path / "home"), said=str(said), then=then))
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", str(tmp_path)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
    )
    wait_until(said.exists)
    return run, said.read_text()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found in /proc")
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_run_that_is_ended_by_a_signal_leaves_nothing_behind(tmp_path: Path, end: signal.Signals) -> None:
    run, mark = start_run(tmp_path, "time.sleep(600)")
    assert find_marked(mark)
    run.send_signal(end)
    run.wait()
    wait_until(lambda: not find_marked(mark))
    wait_until(lambda: not (tmp_path / "home").exists())


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found in /proc")
def test_run_that_fails_has_cleared_up_when_it_ends(tmp_path: Path) -> None:
    run, mark = start_run(tmp_path, "assert False")
    assert run.wait() == pytest.ExitCode.TESTS_FAILED
    assert not find_marked(mark)
    assert not (tmp_path / "home").exists()
