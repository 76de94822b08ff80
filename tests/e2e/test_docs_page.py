"""The page `/docs` in a real browser."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.processes import Service

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
OPTIONS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--enable-logging=stderr",
    "--virtual-time-budget=60000",
]


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
class TestDocsPage:
    def test_it_shows_every_operation_and_nothing_is_blocked(self, url: str, tmp_path: Path) -> None:
        with Service(database_url=url) as service:
            address = f"{service.http.base_url}/docs"
            command = [str(CHROMIUM), *OPTIONS, f"--user-data-dir={tmp_path}", "--dump-dom", address]
            shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=180)
            paths = service.http.get("/openapi.json").json()["paths"]
        told = [line for line in shown.stderr.splitlines() if ":CONSOLE" in line]
        assert not told
        blocks = re.findall(r'class="opblock opblock-\w+', shown.stdout)
        assert len(blocks) == sum(len(methods) for methods in paths.values())
