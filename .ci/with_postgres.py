"""Runs a command with a throw-away Postgres: `python .ci/with_postgres.py [--bin-dir DIRECTORY] COMMAND...`.

`MILEPOST_DATABASE_URL` and `MILEPOST_TEST_SERVER_URL` lead the command to it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from app.db.embedded import find_binaries, start_embedded

FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "400"}


def main() -> int:
    """Return what the command returned."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin-dir", type=Path)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    found = [binaries for binaries in find_binaries() if given.bin_dir in (None, binaries.bin_dir)]
    if not found:
        sys.exit(f"there is no Postgres in {given.bin_dir}")
    with tempfile.TemporaryDirectory(prefix="milepost-ci-") as directory:
        Path(directory).chmod(0o755)
        with start_embedded(Path(directory), binaries=found[0], settings=FAST) as cluster:
            print(f"Postgres {cluster.version}", flush=True)
            urls = {"MILEPOST_DATABASE_URL": cluster.url, "MILEPOST_TEST_SERVER_URL": cluster.url}
            return subprocess.run(given.command, env={**os.environ, **urls}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
