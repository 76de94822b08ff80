"""The service answers whatever the OpenAPI document allows, and much that it does not, as documented."""

import shutil
import sys
from pathlib import Path

from tests.clients.node import run
from tests.clients.service import KEY

HERE = Path(__file__).parent


class TestSchemathesis:
    def test_service_answers_as_documented(self, service: str, tmp_path: Path) -> None:
        for name in ("schemathesis.toml", "schemathesis_hooks.py"):
            shutil.copy(HERE / "programs" / name, tmp_path)
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{service}/openapi.json"]
        run(*command, cwd=tmp_path, API_KEY=KEY)
