"""What is committed of the built page is what its sources make, and small enough for a slow line."""

import gzip
import shutil
import subprocess
from pathlib import Path

import pytest

from app.dashboard.assets import BUILT
from tests.processes import ROOT

WEB = ROOT / "web"
ALL_BYTES_MOST = 100_000
FIRST_BYTES_MOST = 50_000
"""Packed JavaScript: of the whole page, and of what every screen begins with."""


def packed_size(paths: list[Path]) -> int:
    """Return how many bytes of files go over the line."""
    return sum(len(gzip.compress(path.read_bytes())) for path in paths)


class TestBuilt:
    def test_scripts_are_small(self) -> None:
        scripts = list((BUILT / "assets").glob("*.js"))
        assert scripts
        assert packed_size(scripts) < ALL_BYTES_MOST
        page = (BUILT / "index.html").read_text()
        assert packed_size([path for path in scripts if path.name in page]) < FIRST_BYTES_MOST

    def test_each_asset_lies_there_packed(self) -> None:
        for path in (BUILT / "assets").iterdir():
            if path.suffix in {".js", ".css", ".svg"}:
                packed = path.with_name(f"{path.name}.gz")
                assert gzip.decompress(packed.read_bytes()) == path.read_bytes()
                assert path.with_name(f"{path.name}.br").exists()

    def test_lock_names_no_registry(self) -> None:
        assert '"resolved"' not in (WEB / "package-lock.json").read_text()


@pytest.mark.skipif(not (WEB / "node_modules").exists(), reason="`npm ci` was not run in web/")
class TestBuild:
    def test_types_are_those_of_the_contract(self, tmp_path: Path) -> None:
        node = shutil.which("node") or "node"
        subprocess.run([node, "scripts/types.mjs", str(tmp_path / "openapi.ts")], cwd=WEB, check=True)
        assert (tmp_path / "openapi.ts").read_text() == (WEB / "src" / "openapi.ts").read_text()

    def test_same_sources_make_the_same_bytes(self, tmp_path: Path) -> None:
        command = ["npx", "vite", "build", "--outDir", str(tmp_path / "built"), "--emptyOutDir"]
        subprocess.run(command, cwd=WEB, check=True, capture_output=True)
        made = {path.relative_to(tmp_path / "built"): path.read_bytes() for path in (tmp_path / "built").rglob("*.*")}
        held = {path.relative_to(BUILT): path.read_bytes() for path in BUILT.rglob("*.*") if path.is_file()}
        assert made == {path: text for path, text in held.items() if path.suffix not in {".br", ".gz"}}
