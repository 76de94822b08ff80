"""Both wheels, each installed into an empty environment and used there."""

import json
import resource
import subprocess
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from milepost.cli.exits import ExitCode
from tests.packaging.wheels import PROJECTS, Installed, build_wheel, clean_environment, install
from tests.processes import ROOT, SCRIPTS, Serving, open_directory, postgres_processes
from tests.waiting import PATIENCE_SECONDS

BYTES_MOST = 30_000_000
IMPORT_SECONDS_MOST = 0.25
JOBS = """
from milepost import Client, Worker
from app.rates import RATE

worker = Worker(Client(), queue="light", wait_seconds=0.1)


@worker.task("double")
def double(ctx, params):
    return {"n": RATE * params["n"]}
"""
USE = """
import sys
from milepost import AbsurdClient, AsyncClient, Client, MoveNotAllowed, Worker, spawn_retry_task
from milepost.schemas.workflow_runs import WorkflowRun
print([name for name in ("app", "fastapi", "starlette", "sqlalchemy", "psycopg") if name in sys.modules])
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a wheel of each distribution."""
    return {name: build_wheel(place, tmp_path_factory.mktemp(name)) for name, place in PROJECTS.items()}


@pytest.fixture(scope="module")
def light(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Return an environment of who calls the service."""
    return install(tmp_path_factory.mktemp("light") / "venv", wheels["milepost"])


@pytest.fixture(scope="module")
def full(wheels: dict[str, Path]) -> Iterator[Installed]:
    """Give an environment of who runs the service."""
    with open_directory() as directory:
        yield install(directory / "venv", *wheels.values())


@pytest.fixture(scope="module")
def url(database_url: str) -> Iterator[str]:
    """Give the address of a running service."""
    with Serving(env=clean_environment(database_url=database_url, port=0)) as service:
        yield service.ready().url


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project with a worker and a package `app` of its own."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__init__.py").touch()
    (tmp_path / "app" / "rates.py").write_text("RATE = 2\n")
    (tmp_path / "jobs.py").write_text(JOBS)
    return tmp_path


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert len(names) == len(set(names))
    return set(names)


def metadata(place: Path) -> Any:
    return tomllib.loads((place / "pyproject.toml").read_text())["project"]


class TestWheels:
    def test_each_module_is_in_one_of_them(self, wheels: dict[str, Path]) -> None:
        for name, package in (("milepost", "milepost"), ("milepost-server", "app")):
            modules = {str(path.relative_to(ROOT)) for path in (ROOT / package).rglob("*.py")}
            held = {path for path in names_in(wheels[name]) if path.endswith(".py")}
            assert {path for path in held if not path.startswith("app/alembic/")} == modules

    def test_types_and_the_licence_are_published(self, wheels: dict[str, Path]) -> None:
        assert "milepost/py.typed" in names_in(wheels["milepost"])
        assert (ROOT / "milepost" / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
        for wheel in wheels.values():
            assert any(name.endswith("/licenses/LICENSE") for name in names_in(wheel))

    def test_the_service_needs_the_client_of_its_own_version(self) -> None:
        server, client = metadata(ROOT), metadata(ROOT / "milepost")
        assert server["version"] == client["version"]
        assert f"milepost=={client['version']}" in server["dependencies"]


class TestLight:
    def test_it_is_small(self, light: Installed) -> None:
        assert light.size() < BYTES_MOST

    def test_nothing_is_called_app_and_nothing_is_of_the_service(self, light: Installed) -> None:
        names = {path.name for path in light.site.iterdir()}
        assert "milepost" in names
        assert not names & {"app", "fastapi", "starlette", "sqlalchemy", "psycopg", "uvicorn", "alembic"}

    def test_public_names_are_imported_without_a_warning(self, light: Installed) -> None:
        ended = light.run("python", "-W", "error", "-c", USE)
        assert (ended.stdout, ended.stderr) == ("[]\n", "")

    @pytest.mark.parametrize(("name", "code"), [("Worker", 0), ("Wroker", 1)])
    def test_public_names_have_types(self, light: Installed, tmp_path: Path, name: str, code: int) -> None:
        (tmp_path / "use.py").write_text(f"from milepost import {name}\n\n{name}().run()\n")
        options = ["--python-executable", str(light.bin / "python"), "--cache-dir", str(tmp_path), "--strict"]
        command = [str(SCRIPTS / "mypy"), *options, "use.py"]
        ended = subprocess.run(command, cwd=tmp_path, env=clean_environment(), capture_output=True, check=False)
        assert ended.returncode == code, ended.stdout

    def test_import_is_quick(self, light: Installed) -> None:
        def seconds() -> float:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            assert light.run("python", "-c", "import milepost").returncode == 0
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

        assert min(seconds() for _ in range(5)) < IMPORT_SECONDS_MOST

    def test_commands_of_the_service_say_what_to_install(self, light: Installed) -> None:
        ended = light.run("milepost", "serve")
        assert (ended.returncode, ended.stdout) == (ExitCode.USAGE, "")
        assert ended.stderr == "milepost: `serve` is a command of the service: pip install milepost-server\n"

    def test_service_is_asked(self, light: Installed, url: str) -> None:
        ended = light.run("milepost", "runs", "list", "--json", url=url)
        assert json.loads(ended.stdout)["items"] == httpx.get(f"{url}/v1/workflow-runs").json()["items"]

    def test_worker_works_in_a_project_that_has_an_app(self, light: Installed, url: str, project: Path) -> None:
        task = {"task_name": "double", "queue": "light", "params": {"n": 21}}
        task_id = httpx.post(f"{url}/v1/tasks", json=task).json()["task_id"]
        env = clean_environment(url=url)
        worker = subprocess.Popen([light.bin / "milepost", "worker", "jobs:worker"], cwd=project, env=env)
        try:
            wait = f"{url}/v1/tasks/{task_id}/wait?timeout_seconds=30"
            ended = httpx.get(wait, timeout=PATIENCE_SECONDS).json()
            assert (ended["status"], ended["result"]) == ("completed", {"n": 42})
            worker.terminate()
            assert worker.wait(PATIENCE_SECONDS) == ExitCode.OK
        finally:
            worker.kill()
            worker.wait()


class TestFull:
    def test_it_migrates_and_serves(self, full: Installed, new_database: Callable[[str], str]) -> None:
        url = new_database("template0")
        assert full.run("milepost", "migrate", database_url=url).stdout.startswith("The schema is at ")
        env = clean_environment(database_url=url, port=0)
        with Serving(full.bin / "milepost", "serve", cwd=full.home, env=env) as service:
            address = service.ready().url
            assert httpx.get(f"{address}/v1/workflow-runs").json()["items"] == []
            assert full.run("milepost", "runs", "list", url=address).returncode == ExitCode.OK
            assert service.stop() == ExitCode.OK

    def test_postgres_comes_along(self, full: Installed) -> None:
        with open_directory() as directory:
            env = clean_environment(data_dir=directory, port=0)
            with Serving(full.bin / "milepost", "serve", cwd=full.home, env=env) as service:
                assert httpx.get(f"{service.ready().url}/readyz").status_code == 200
                assert postgres_processes(directory)
                assert service.stop() == ExitCode.OK

    def test_help_tells_all_commands(self, full: Installed) -> None:
        said = full.run("milepost", "--help").stdout
        assert all(name in said for name in ("runs", "workflows", "worker", "serve", "migrate", "keys", "openapi"))
        assert "pip install" not in said

    def test_module_is_the_same_command(self, full: Installed) -> None:
        said = [full.run("python", "-m", name, "version").stdout for name in ("app", "milepost")]
        assert said == [full.run("milepost", "version").stdout] * 2
