"""`milepost serve`, `migrate` and `version`, and how every command refuses."""

import itertools
import json
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from app.db.migrations import head_revision
from milepost.cli.exits import ExitCode
from tests.conftest import connect
from tests.processes import MILEPOST, Serving, environment, open_directory, postgres_processes, run_milepost
from tests.waiting import PATIENCE_SECONDS

NOWHERE = "postgresql://milepost:secret@127.0.0.1:1/milepost"


@pytest.fixture
def port() -> Iterator[int]:
    """Give a port that is taken."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def only_line(ended: subprocess.CompletedProcess[str], code: ExitCode) -> str:
    """Return the one line that the command said before it left with ``code``."""
    assert (ended.returncode, ended.stdout) == (code, ""), ended
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert ended.stderr.startswith("milepost: "), ended.stderr
    return ended.stderr


class TestServe:
    def test_port_that_is_taken_is_named(self, port: int) -> None:
        said = only_line(run_milepost("serve", "--port", str(port)), ExitCode.CANNOT_START)
        assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in said

    def test_host_that_does_not_exist_is_named(self) -> None:
        said = only_line(run_milepost("serve", "--host", "no.such.host.invalid"), ExitCode.CANNOT_START)
        assert "no.such.host.invalid" in said

    def test_five_lines_say_where_everything_is(self, new_database: Callable[[], str]) -> None:
        env = environment({"database_url": new_database(), "port": 0, "log_format": "text"})
        with subprocess.Popen([MILEPOST, "serve"], env=env, stderr=subprocess.PIPE, text=True) as service:
            try:
                assert service.stderr
                said = list(itertools.takewhile(lambda line: "keys" not in line, service.stderr))[-5:]
            finally:
                service.terminate()
        assert [line.split()[0] for line in said] == ["Milepost", "page", "API", "docs", "data"]
        assert "http://127.0.0.1:" in said[1]
        assert "http://127.0.0.1:" in said[2]
        assert "/docs" in said[3]
        assert "MILEPOST_DATABASE_URL" in said[4]

    def test_every_wrong_setting_is_named(self) -> None:
        said = only_line(run_milepost("serve", port="many", workers=0), ExitCode.CANNOT_START)
        assert "MILEPOST_PORT: " in said
        assert "MILEPOST_WORKERS: " in said

    @pytest.mark.parametrize("command", [["serve"], ["migrate"], ["keys", "list"], ["openapi"]])
    def test_unknown_setting_is_named_with_the_nearest(self, command: list[str]) -> None:
        ended = run_milepost(*command, prot="hunter2", databse_url="hunter3", url=NOWHERE, workflow_run_id="x")
        said = only_line(ended, ExitCode.CANNOT_START)
        assert "MILEPOST_PROT is not a setting: did you mean MILEPOST_PORT?" in said
        assert "MILEPOST_DATABSE_URL is not a setting: did you mean MILEPOST_DATABASE_URL?" in said
        assert "hunter" not in said
        assert "MILEPOST_URL " not in said

    def test_setting_for_what_is_not_there_yet_is_told_and_not_refused(self) -> None:
        ended = run_milepost("openapi", otel="x", retention="off")
        assert ended.returncode == ExitCode.OK
        assert ended.stderr == "milepost: without effect in this version: MILEPOST_OTEL, MILEPOST_RETENTION\n"

    @pytest.mark.parametrize(
        "origins",
        ["*", "ops.example", "https://ops.example/", "https://a.example https://b.example", "HTTPS://A.example"],
    )
    def test_what_is_no_origin_is_refused(self, origins: str) -> None:
        said = only_line(run_milepost("openapi", cors_origins=origins), ExitCode.CANNOT_START)
        assert "MILEPOST_CORS_ORIGINS: must be origins such as https://ops.example" in said

    def test_wrong_value_is_not_echoed(self) -> None:
        said = only_line(run_milepost("serve", port="hunter2", log_format="hunter3"), ExitCode.CANNOT_START)
        assert "MILEPOST_PORT: must be an integer" in said
        assert "MILEPOST_LOG_FORMAT: must be one of json, text" in said
        assert "hunter" not in said

    def test_database_url_is_not_echoed(self) -> None:
        said = only_line(run_milepost("serve", database_url="mysql://root:hunter2@db/x"), ExitCode.CANNOT_START)
        assert "MILEPOST_DATABASE_URL: must look like postgresql://" in said
        assert "hunter2" not in said

    def test_every_address_without_a_key_is_refused(self, new_database: Callable[[], str]) -> None:
        ended = run_milepost("serve", host="0.0.0.0", port=0, database_url=new_database())  # noqa: S104 - it is refused
        said = only_line(ended, ExitCode.CANNOT_START)
        assert "refusing to listen on 0.0.0.0 without an API key" in said

    @pytest.mark.parametrize("workers", [1, 2])
    def test_key_that_can_be_guessed_is_refused_and_not_shown(self, workers: int) -> None:
        said = only_line(run_milepost("serve", api_key="hunter2", port=0, workers=workers), ExitCode.CANNOT_START)
        assert said == (
            "milepost: MILEPOST_API_KEY: must have 20 characters or more; `openssl rand -hex 32` makes a good one\n"
        )

    def test_several_processes_end_when_one_cannot_start(self, new_database: Callable[[], str]) -> None:
        settings = {"host": "0.0.0.0", "port": 0, "workers": 2, "database_url": new_database()}  # noqa: S104
        ended = run_milepost("serve", **settings)
        assert ended.returncode == ExitCode.CANNOT_START
        assert "Traceback" not in ended.stderr

    def test_embedded_postgres_that_cannot_be_kept_is_named(self) -> None:
        said = only_line(run_milepost("serve", port=0, data_dir="/proc/milepost"), ExitCode.CANNOT_START)
        assert "cannot keep a database in /proc/milepost" in said

    def test_unreachable_database_is_waited_for(self) -> None:
        with Serving(env=environment({"database_url": NOWHERE, "port": 0, "database_timeout_seconds": 1})) as service:
            url = service.ready().url
            assert httpx.get(f"{url}/livez").status_code == 200
            assert httpx.get(f"{url}/readyz").json()["checks"]["database"] == "does not answer"
            assert httpx.get(f"{url}/v1/workflow-runs").json()["code"] == "unavailable"
            assert service.stop() == ExitCode.OK
        said = [(line["level"], line["event"]) for line in map(json.loads, service.lines)]
        assert [event for level, event in said if level != "info"] == ["database_not_ready"]

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_signal_ends_it_with_success_after_open_requests_are_answered(
        self, number: signal.Signals, database_url: str
    ) -> None:
        with Serving(env=environment({"database_url": database_url, "port": 0})) as service:
            url = service.ready().url
            body = {"workflow_name": "etl", "workflow_version": "1"}
            run = httpx.post(f"{url}/v1/workflow-runs", json=body).json()
            with httpx.stream("GET", f"{url}/metrics"):
                pass
            asking = subprocess.Popen(
                ["curl", "--silent", f"{url}/v1/workflow-runs/{run['workflow_run_id']}/wait"],
                stdout=subprocess.PIPE,
                text=True,
            )
            while "milepost_waiters 1.0" not in httpx.get(f"{url}/metrics").text:
                pass
            assert service.stop(number) == ExitCode.OK
            answer, _ = asking.communicate(timeout=PATIENCE_SECONDS)
        assert json.loads(answer)["status"] == "pending"
        assert "Traceback" not in "".join(service.lines)

    def test_embedded_postgres_ends_with_it(self) -> None:
        with open_directory() as directory:
            with Serving(env=environment({"data_dir": directory, "port": 0})) as service:
                assert httpx.get(f"{service.ready().url}/readyz").status_code == 200
                assert postgres_processes(directory)
                assert service.stop() == ExitCode.OK
            assert not postgres_processes(directory)


class TestMigrate:
    def test_empty_database_gets_the_schema_and_again_changes_nothing(self, new_database: Callable[[str], str]) -> None:
        settings = {"database_url": new_database("template0")}
        for _ in range(2):
            ended = run_milepost("migrate", **settings)
            assert (ended.returncode, ended.stdout) == (ExitCode.OK, f"The schema is at {head_revision()}.\n"), ended

    def test_unreachable_database_is_told_in_one_line(self) -> None:
        said = only_line(run_milepost("migrate", database_url=NOWHERE), ExitCode.CANNOT_START)
        assert "Connection refused" in said
        assert "secret" not in said

    def test_schema_of_a_newer_version_is_refused(self, new_database: Callable[[], str]) -> None:
        url = new_database()
        with connect(url) as database:
            database.execute("UPDATE alembic_version SET version_num = '9999'")
        said = only_line(run_milepost("migrate", database_url=url), ExitCode.CANNOT_START)
        assert "the database is not one that this version knows" in said
        assert "9999" in said


class TestCommand:
    def test_version_names_the_service_and_python(self) -> None:
        ended = run_milepost("version")
        assert ended.returncode == ExitCode.OK
        assert ended.stdout.startswith("milepost ")

    def test_module_is_the_same_command(self, tmp_path: Path) -> None:
        ended = subprocess.run(
            [MILEPOST.with_name("python"), "-m", "app", "version"],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        assert ended.stdout == run_milepost("version").stdout

    @pytest.mark.parametrize("arguments", [["deploy"], ["serve", "--ports", "1"], ["runs", "list", "--limit", "many"]])
    def test_wrong_command_line_is_a_usage_error(self, arguments: list[str]) -> None:
        ended = run_milepost(*arguments)
        assert ended.returncode == ExitCode.USAGE
        assert "Usage: milepost" in ended.stderr
