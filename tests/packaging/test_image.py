"""The container files, and the steps of the Dockerfile run without a container engine."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from app.db.migrations import head_revision
from milepost.cli.exits import ExitCode
from tests.processes import ROOT, SCRIPTS, Serving, environment, open_directory
from tests.waiting import PATIENCE_SECONDS

DOCKERFILE = (ROOT / "Dockerfile").read_text()
BUILD, IMAGE = DOCKERFILE.split("\nFROM ")[1:]
KEY = "a-key-of-the-image-test"
ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - what the image listens on


def instructions(stage: str, name: str) -> list[str]:
    """Return what follows each ``name`` in a stage, its lines joined."""
    lines = stage.replace("\\\n", " ").splitlines()
    return [" ".join(line.split()[1:]) for line in lines if line.startswith(f"{name} ")]


@dataclass
class Built:
    """What the build stage made: the sources it saw and the environment that is copied into the image."""

    source: Path
    bin: Path

    def run(self, *arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
        """Return how `milepost` ended, away from the checkout."""
        return subprocess.run(
            [self.bin / "milepost", *arguments],
            cwd="/",
            env=environment(settings),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )


@pytest.fixture(scope="module")
def built() -> Iterator[Built]:
    """Run the COPY and RUN lines of the build stage."""
    with open_directory() as directory:
        source, home = directory / "src", directory / "milepost"
        source.mkdir()
        for line in instructions(BUILD, "COPY"):
            *names, _ = line.split()
            for name in names:
                (source / name).parent.mkdir(exist_ok=True)
                if (ROOT / name).is_dir():
                    shutil.copytree(ROOT / name, source / name, dirs_exist_ok=True)
                else:
                    shutil.copy(ROOT / name, source / name)
        uv = shutil.which("uv") or str(SCRIPTS / "uv")
        env = environment() | {"VIRTUAL_ENV": str(home), "UV_LINK_MODE": "copy", "UV_COMPILE_BYTECODE": "0"}
        env["PATH"] = os.pathsep.join([str(Path(uv).parent), str(Path(sys.executable).parent), os.environ["PATH"]])
        for line in instructions(BUILD, "RUN"):
            without_uv = re.sub(r"python -m pip install \S*.*?&& ", "", line)
            command = without_uv.replace("/opt/milepost", str(home)).replace("--no-cache ", "")
            subprocess.run(["sh", "-euc", command], cwd=source, env=env, check=True, stdin=subprocess.DEVNULL)
        yield Built(source, home / "bin")


class TestImage:
    def test_wheel_holds_the_migrations(self, built: Built) -> None:
        (wheel,) = (built.source / "dist").glob("milepost_server-*.whl")
        names = set(zipfile.ZipFile(wheel).namelist())
        revisions = {f"app/alembic/versions/{path.name}" for path in (ROOT / "alembic" / "versions").glob("*.py")}
        assert revisions | {"app/alembic.ini", "app/alembic/env.py"} <= names
        assert not any(name.startswith(("tests/", "benchmarks/")) for name in names)

    def test_only_what_runs_is_installed(self, built: Built) -> None:
        assert not list(built.bin.glob("pytest*"))
        assert not list(built.bin.glob("mypy*"))

    def test_it_migrates_serves_is_healthy_and_stops(self, built: Built, new_database: Callable[[str], str]) -> None:
        url = new_database("template0")
        assert built.run("migrate", database_url=url).stdout == f"The schema is at {head_revision()}.\n"
        env = environment({"database_url": url, "host": ANY_ADDRESS, "port": 0, "api_key": KEY})
        with Serving(built.bin / "milepost", "serve", cwd=Path("/"), env=env) as service:
            port = service.ready().url.rpartition(":")[2]
            runs = f"http://127.0.0.1:{port}/v1/workflow-runs"
            assert httpx.get(runs).status_code == 401
            assert httpx.get(runs, headers={"Authorization": f"Bearer {KEY}"}).status_code == 200
            assert self.is_healthy(built, port)
            assert service.stop() == ExitCode.OK
        assert not self.is_healthy(built, port)

    @staticmethod
    def is_healthy(built: Built, port: str) -> bool:
        (healthcheck,) = instructions(IMAGE, "HEALTHCHECK")
        python, *arguments = json.loads(healthcheck.partition(" CMD ")[2])
        asked = subprocess.run(
            [built.bin / python, *arguments], env=environment({"port": port}), capture_output=True, check=False
        )
        return asked.returncode == 0

    def test_it_does_not_start_without_a_key(self, built: Built, new_database: Callable[[], str]) -> None:
        ended = built.run("serve", host=ANY_ADDRESS, port=0, database_url=new_database())
        assert ended.returncode == ExitCode.CANNOT_START
        assert "without an API key" in ended.stderr

    def test_it_listens_on_every_address_as_an_ordinary_user_that_gets_the_signals(self) -> None:
        assert "MILEPOST_HOST=0.0.0.0" in IMAGE
        assert "ALLOW_UNAUTHENTICATED" not in DOCKERFILE
        assert instructions(IMAGE, "USER") == ["10001:10001"]
        assert json.loads(instructions(IMAGE, "ENTRYPOINT")[0]) == ["milepost"]
        assert json.loads(instructions(IMAGE, "CMD")[-1]) == ["serve"]


class TestContainerFiles:
    @pytest.mark.parametrize(
        "command",
        [
            ["hadolint", "Dockerfile"],
            ["docker-compose", "config", "--quiet"],
            ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"],
        ],
        ids=lambda command: command[0],
    )
    def test_checker_finds_nothing(self, command: list[str]) -> None:
        program = SCRIPTS / command[0]
        checked = subprocess.run(
            [program, *command[1:]],
            cwd=ROOT,
            env=environment({"api_key": KEY}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr

    def test_compose_needs_a_key_and_publishes_on_loopback_only(self) -> None:
        compose = [str(SCRIPTS / "docker-compose"), "config", "--format", "json"]
        refused = subprocess.run(compose, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
        assert refused.returncode != 0
        assert "MILEPOST_API_KEY" in refused.stderr
        env = environment({"api_key": KEY})
        services = json.loads(subprocess.run(compose, cwd=ROOT, env=env, capture_output=True, check=True).stdout)[
            "services"
        ]
        published = [(name, port["host_ip"]) for name, service in services.items() for port in service.get("ports", [])]
        assert published == [("milepost", "127.0.0.1")]

    def test_lock_names_no_registry(self) -> None:
        lock = (ROOT / "requirements.lock").read_text()
        assert "://" not in lock
        assert not re.search(r"^[a-z].*[^\\]$", lock, re.MULTILINE), "a pin without a hash"
