"""Which commands there are, and that none waits for what the others import."""

import subprocess
import sys
import tomllib
from importlib import import_module

import pytest

from app.cli import COMMANDS
from milepost.cli.commands import ENTRY_POINTS, OF_CALLERS, OF_THE_SERVICE
from milepost.cli.exits import ExitCode
from tests.processes import ROOT, environment

RUN = """
import sys
from milepost.cli import main
try:
    main({added!r})
finally:
    print([name for name in {forbidden!r} if name in sys.modules])
"""


def run(*arguments: str, added: dict[str, str], forbidden: list[str]) -> subprocess.CompletedProcess[str]:
    """Return how `milepost` ended; its last line is what was imported of what is ``forbidden``."""
    code = RUN.format(added=added, forbidden=forbidden)
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)


class TestPlaces:
    def test_entry_points_are_those_of_the_service(self) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        assert project["entry-points"][ENTRY_POINTS] == COMMANDS

    def test_names_that_are_missing_without_the_service_are_told(self) -> None:
        assert tuple(COMMANDS) == OF_THE_SERVICE

    @pytest.mark.parametrize("place", [*OF_CALLERS.values(), *COMMANDS.values()])
    def test_something_is_there(self, place: str) -> None:
        module, _, name = place.partition(":")
        assert callable(getattr(import_module(module), name))


class TestWithoutTheService:
    @pytest.mark.parametrize("name", OF_THE_SERVICE)
    def test_its_commands_say_what_to_install(self, name: str) -> None:
        ended = run(name, "--help", added={}, forbidden=[])
        assert ended.returncode == ExitCode.USAGE
        assert ended.stderr == f"milepost: `{name}` is a command of the service: pip install milepost-server\n"

    def test_help_says_what_is_missing(self) -> None:
        said = run("--help", added={}, forbidden=["app", "milepost.client"]).stdout
        assert " ".join(said.split()).endswith(
            "`pip install milepost-server` adds serve, migrate, keys, openapi, demo. []"
        )
        assert "Running the service" not in said


class TestLoading:
    @pytest.mark.parametrize("name", OF_CALLERS)
    def test_commands_of_callers_load_nothing_of_the_service(self, name: str) -> None:
        ended = run(name, "--help", added=dict(COMMANDS), forbidden=["app", "importlib.metadata", "httpx", "pydantic"])
        assert ended.returncode == 0
        assert ended.stdout.endswith("[]\n") or name == "version"

    @pytest.mark.parametrize("name", COMMANDS)
    def test_help_of_commands_of_the_service_loads_no_database_and_no_framework(self, name: str) -> None:
        ended = run(name, "--help", added=dict(COMMANDS), forbidden=["fastapi", "sqlalchemy", "psycopg", "httpx"])
        assert ended.returncode == 0
        assert ended.stdout.endswith("[]\n")

    def test_misspelt_name_is_answered_with_the_nearest_of_either(self) -> None:
        assert "Did you mean 'serve'?" in run("srve", added=dict(COMMANDS), forbidden=[]).stderr
        assert "Did you mean 'runs'?" in run("rums", added=dict(COMMANDS), forbidden=[]).stderr
