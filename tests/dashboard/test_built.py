"""What is committed of the built page is small enough for a slow line, and lies there packed."""

import gzip
from pathlib import Path

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
