"""What is committed of the page is what its sources make: the types of the wire, and each built file, byte for byte."""

import filecmp
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WEB = ROOT / "web"
BUILT = ROOT / "app" / "dashboard" / "built"
NODE = shutil.which("node")
NPM = shutil.which("npm")


def files(directory: Path) -> set[str]:
    """Return the files below a directory, as they are named from there."""
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tree where the page was built anew."""
    if NODE is None or NPM is None:
        pytest.skip("no node on this machine")
    tree = tmp_path_factory.mktemp("rebuilt")
    (tree / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "openapi.json", tree / "docs")
    shutil.copytree(WEB, tree / "web", ignore=shutil.ignore_patterns("node_modules"))
    (tree / "app" / "dashboard").mkdir(parents=True)
    environment = {**os.environ, "CI": "1"}
    for command in ("install --no-save --prefer-offline", "run types", "run build"):
        done = subprocess.run(
            [NPM, *command.split(), "--silent"],
            cwd=tree / "web",
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if command.startswith("install") and done.returncode:
            pytest.skip("the packages of the page cannot be had on this machine")
        assert done.returncode == 0, done.stdout + done.stderr
    return tree


class TestBuilt:
    def test_the_types_of_the_wire_are_those_of_the_document(self, rebuilt: Path) -> None:
        said = "docs/openapi.json or web/ has changed: run `make web`"
        assert filecmp.cmp(rebuilt / "web/src/openapi.ts", WEB / "src/openapi.ts", shallow=False), said

    def test_each_file_is_built_again_as_it_is(self, rebuilt: Path) -> None:
        again = rebuilt / "app/dashboard/built"
        assert files(again) == files(BUILT), "run `make web`"
        assert [
            name for name in sorted(files(BUILT)) if not filecmp.cmp(again / name, BUILT / name, shallow=False)
        ] == []
