"""A service in a process of its own, for clients that are not ours."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KEY = "a-key-with-every-scope"
ROOT = Path(__file__).parents[2]


@contextmanager
def running_service(database_url: str, log: Path) -> Iterator[str]:
    """Give the address of a service on the database, which must be migrated; it asks for the key."""
    environment = os.environ | {
        "MILEPOST_DATABASE_URL": database_url,
        "MILEPOST_API_KEY": KEY,
        "MILEPOST_LOG_FORMAT": "json",
    }
    command = [sys.executable, "-m", "app", "serve", "--port", "0"]
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=output)
    try:
        yield _wait_for_address(process, log)
    finally:
        process.terminate()
        process.wait(30)


def _wait_for_address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Return where the service listens, as soon as its log says so."""
    while process.poll() is None:
        for line in log.read_text().splitlines(keepends=True):
            if line.endswith("\n") and '"serving"' in line:
                return str(json.loads(line)["url"])
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError(log.read_text())
