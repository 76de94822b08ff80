"""Clients generated from the OpenAPI document: they pass their type checkers and talk to a running service."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients.node import find_node, packages, run, run_tool
from tests.clients.service import KEY

PROGRAMS = Path(__file__).parent / "programs"
Facts = dict[str, Any]
Use = Callable[[Path, Path, str], str]


def use_python(document: Path, home: Path, service: str) -> str:
    """Return what the program says that uses the client of openapi-python-client, once mypy is content."""
    (home / "config.yaml").write_text("post_hooks: []\npackage_name_override: milepost_client\n")
    generate: list[str | Path] = ["generate", "--meta", "none", "--output-path", home / "milepost_client"]
    generate += ["--path", document, "--config", "config.yaml", "--fail-on-warning"]
    run(sys.executable, "-m", "openapi_python_client", *generate, cwd=home)
    shutil.copy(PROGRAMS / "use_client.py", home)
    run(sys.executable, "-m", "mypy", "--strict", "use_client.py", "milepost_client", cwd=home)
    return run(sys.executable, "use_client.py", service, KEY, cwd=home)


def use_typescript(document: Path, home: Path, service: str) -> str:
    """Return what the program says that uses the client of openapi-typescript, once tsc is content."""
    for name in ("use_client.ts", "tsconfig.json"):
        shutil.copy(PROGRAMS / name, home)
    (home / "package.json").write_text('{"type": "module"}')
    (home / "node_modules").symlink_to(packages() / "node_modules")
    run_tool("openapi-typescript", document, "-o", "schema.ts", "--default-non-nullable=false", cwd=home)
    run_tool("tsc", "--project", "tsconfig.json", cwd=home)
    return run(find_node()[0], "built/use_client.js", service, KEY, cwd=home)


@pytest.fixture(scope="module", params=[use_python, use_typescript], ids=["python", "typescript"])
def facts(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, document: Path, service: str
) -> Facts:
    """Return what a program saw that uses a generated client."""
    use: Use = request.param
    seen: Facts = json.loads(use(document, tmp_path_factory.mktemp("client"), service))
    return seen


class TestGeneratedClients:
    def test_idempotency_key_creates_one_run_once(self, facts: Facts) -> None:
        assert facts["created"] == [201, 200]
        assert facts["same_run"] is True

    def test_any_json_comes_back_as_given(self, facts: Facts) -> None:
        assert facts["inputs"] == {"day": 31}

    def test_filters_find_the_run(self, facts: Facts) -> None:
        assert facts["found"] == ["pending"]

    def test_merge_patch_changes_what_it_names(self, facts: Facts) -> None:
        assert facts["completed"] == {"status": "completed", "result": {"rows": 3}, "tags": {}}

    def test_refusals_are_typed_problems(self, facts: Facts) -> None:
        assert facts["refused"] == {"conflict": "move-not-allowed", "allowed": ["delete"], "unknown": "not-found"}


class TestPackages:
    def test_lock_names_no_registry(self) -> None:
        lock = json.loads((Path(__file__).parent / "package-lock.json").read_text())
        installed = [package for path, package in lock["packages"].items() if path]
        assert all("integrity" in package and "resolved" not in package for package in installed)
