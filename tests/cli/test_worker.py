"""`milepost worker`, as a real process in a directory with modules of its own."""

import json
import logging
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.settings import Settings
from milepost.cli.exits import ExitCode
from milepost.cli.logs import JsonFormatter, configure_logs
from milepost.client.worker_logs import EventFormatter
from tests.processes import MILEPOST, Serving, environment, run_milepost
from tests.waiting import PATIENCE_SECONDS

ADD = "def add(a, b, *, ctx):\n    return [ctx.task.task_name, a + b]\n"


@pytest.fixture(scope="module")
def url(database_url: str) -> Iterator[str]:
    """Give the address of a running service."""
    with Serving(env=environment({"database_url": database_url, "port": 0})) as service:
        yield service.ready().url


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a directory with modules: of functions, without any, and such as cannot be imported."""
    modules = {
        "sums.py": ADD,
        "empty.py": "from os.path import join\nLIMIT = 5\n",
        "needs.py": "import not_installed_here\n",
        "wrong.py": "def add(:\n",
        "breaks.py": "\n\nraise OSError('no such disk')\n",
        "public.py": "__all__ = ['gone']\n",
        "many.py": "for n in range(101):\n    exec(f'def f{n}(): pass')\n",
        "own.py": "from milepost import Client, Worker\nworker = Worker(Client(), queue='own', wait_seconds=0.1)\n"
        "@worker.task('greet')\ndef greet(ctx, params):\n    return 'hello'\n",
    }
    for name, text in modules.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def start(home: Path, url: str, *arguments: str) -> "subprocess.Popen[str]":
    command = [str(MILEPOST), "worker", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=home, env=environment({"url": url}), stdout=pipe, stderr=pipe, text=True)


@contextmanager
def working(home: Path, url: str, *arguments: str) -> Iterator[None]:
    """Let a worker work for the time of the block; it ends well when it is told to stop."""
    with start(home, url, *arguments) as process:
        try:
            yield
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == ExitCode.OK
        finally:
            process.kill()


def refused(home: Path, *arguments: str) -> tuple[int, str]:
    """Return the exit code of a worker that does not start, and the one line that it said."""
    with start(home, "http://127.0.0.1:1", *arguments) as process:
        said, complaint = process.communicate(timeout=PATIENCE_SECONDS)
    assert said == ""
    assert complaint.count("\n") == 1, complaint
    return process.returncode, complaint.removeprefix("milepost: ").rstrip("\n")


def result_of(url: str, name: str, queue: str = "default", *args: Any) -> Any:
    """Return the result of a task that is done now."""
    task = {"task_name": name, "queue": queue, "params": {"args": args}}
    task_id = httpx.post(f"{url}/v1/tasks", json=task).json()["task_id"]
    ended = httpx.get(f"{url}/v1/tasks/{task_id}/wait", params={"timeout_seconds": 30}, timeout=PATIENCE_SECONDS).json()
    assert ended["status"] == "completed", ended
    return ended["result"]


class TestFunctions:
    def test_functions_of_several_modules_are_called(self, home: Path, url: str) -> None:
        (home / "jobs").mkdir()
        (home / "jobs" / "more.py").write_text(ADD)
        with working(home, url, "--functions", "sums", "--functions", "jobs.more", "--concurrency", "2"):
            assert result_of(url, "sums.add", "default", 1, 2) == ["sums.add", 3]
            assert result_of(url, "jobs.more.add", "default", 1, 2) == ["jobs.more.add", 3]

    def test_queue_may_be_named(self, home: Path, url: str) -> None:
        with working(home, url, "--functions", "sums", "--queue", "special"):
            assert result_of(url, "sums.add", "special", 1, 2) == ["sums.add", 3]

    def test_package_that_has_the_name_of_ours_is_found(self, home: Path, url: str) -> None:
        (home / "app").mkdir()
        (home / "app" / "__init__.py").write_text("STEP = 10\n")
        (home / "app" / "etl.py").write_text(
            "from app import STEP\nfrom milepost import NonRetryable\ndef add(n):\n    return n + STEP\n"
        )
        with working(home, url, "--functions", "app.etl"):
            assert result_of(url, "app.etl.add", "default", 1) == 11

    @pytest.mark.parametrize(
        ("module", "complaint"),
        [
            ("nowhere", "cannot import nowhere: No module named 'nowhere'"),
            ("sums.add", "cannot import sums.add: No module named 'sums.add'; 'sums' is not a package"),
            ("needs", "cannot import needs: No module named 'not_installed_here'"),
            ("wrong", "cannot import wrong: invalid syntax (wrong.py, line 1)"),
            ("breaks", "cannot import breaks: OSError: no such disk (breaks.py, line 3)"),
            ("empty", "empty has no public function: none is defined in it, or named in __all__"),
            ("public", "module 'public' has no attribute 'gone'"),
            ("many", "a worker has at most 100 functions, and these are 101"),
            ("./sums.py", "./sums.py is not the name of a module, such as etl or jobs.etl"),
            ("", "nothing is not the name of a module, such as etl or jobs.etl"),
        ],
    )
    def test_module_that_has_none_is_told_in_one_line(self, home: Path, module: str, complaint: str) -> None:
        assert refused(home, "--functions", module) == (ExitCode.USAGE, complaint)

    def test_address_that_is_none_is_refused(self, home: Path) -> None:
        code, complaint = refused(home, "--functions", "sums", "--url", "nonsense")
        assert (code, "nonsense is not the address of a service" in complaint) == (ExitCode.USAGE, True)

    def test_queue_that_cannot_be_is_refused_by_the_service(self, home: Path, url: str) -> None:
        with start(home, url, "--functions", "sums", "--queue", "not a queue") as process:
            _, complaint = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == ExitCode.REFUSED
        assert "validation-failed" in complaint.splitlines()[-1]

    def test_log_says_which_functions_are_served(self, home: Path, url: str) -> None:
        with start(home, url, "--functions", "sums") as process:
            assert process.stderr
            first = json.loads(process.stderr.readline())
            process.terminate()
        assert (first["event"], first["tasks"]) == ("working", ["sums.add"])


class TestEnvironment:
    @pytest.mark.parametrize(
        ("settings", "complaint"),
        [
            ({"urls": "http://hunter2"}, "MILEPOST_URLS is not a setting: did you mean MILEPOST_URL?"),
            ({"apikey": "hunter2"}, "MILEPOST_APIKEY is not a setting: did you mean MILEPOST_API_KEY?"),
            ({"log_level": "hunter2"}, "MILEPOST_LOG_LEVEL: must be one of debug, info, warning, error"),
            ({"log_format": "hunter2"}, "MILEPOST_LOG_FORMAT: must be one of json, text"),
        ],
    )
    def test_what_is_wrong_with_it_is_told_without_the_value(self, settings: dict[str, str], complaint: str) -> None:
        ended = run_milepost("worker", "own:worker", **settings)
        assert (ended.returncode, ended.stdout) == (ExitCode.CANNOT_START, "")
        assert ended.stderr == f"milepost: {complaint}\n"

    def test_settings_of_the_service_may_be_there(self) -> None:
        configure_logs({f"MILEPOST_{name.upper()}": "" for name in Settings.model_fields})

    @pytest.mark.parametrize("text", ["a\nb", "\x1b[2J", "\u2028"])
    def test_text_of_a_caller_begins_no_line_and_moves_no_cursor(self, text: str) -> None:
        error = ValueError(text)
        info = (ValueError, error, None)
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed %s", (text,), info)
        lines = EventFormatter().format(record).split("\n")
        assert all(line.isprintable() for line in lines)
        assert all(line.startswith("    ") for line in lines[1:])
        (line,) = JsonFormatter().format(record).split("\n")
        assert line.isprintable()
        assert json.loads(line)["event"] == f"failed {text}"


class TestWorkerOfAModule:
    def test_it_is_run(self, home: Path, url: str) -> None:
        with working(home, url, "own:worker"):
            assert result_of(url, "greet", "own") == "hello"

    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            (["own"], "own is not MODULE:WORKER, such as jobs.billing:worker"),
            (["own:greet"], "greet in own is not a Worker"),
            (["nowhere:worker"], "cannot import nowhere: No module named 'nowhere'"),
            ([], "name either MODULE:WORKER or --functions MODULE"),
            (["own:worker", "--functions", "sums"], "name either MODULE:WORKER or --functions MODULE"),
            (["own:worker", "--queue", "x"], "--queue and --concurrency go with --functions; a Worker has its own"),
        ],
    )
    def test_anything_else_is_told_in_one_line(self, home: Path, arguments: list[str], complaint: str) -> None:
        assert refused(home, *arguments) == (ExitCode.USAGE, complaint)
