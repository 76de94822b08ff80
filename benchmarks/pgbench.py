"""What Postgres alone takes: pgbench with the rows of a create."""

import subprocess
import tempfile
import time
from pathlib import Path

from app.db.embedded import find_binaries
from benchmarks.load import Block

CLIENTS = 16

_RUN = """INSERT INTO workflow_runs
    (workflow_run_id, workflow_name, workflow_version, status, queue, inputs, tags, tag_texts, created_by)
  VALUES ({id}, 'nightly_etl', '1.4.0', 'pending', 'default',
    '{{"date": "2026-01-31", "source": "warehouse", "limit": 1000}}', '{{"env": "prod", "team": "data"}}',
    '{{"env": "prod", "team": "data"}}', 'cron@db1')"""
_RUN_WITH_ALL = """WITH run AS (
  {run} RETURNING workflow_run_id, created_at
), key AS (
  INSERT INTO idempotency_keys (scope, body, answer)
  SELECT sha256(uuid_send({id})), sha256('body'), repeat('{{"answer": "of the usual size"}}', 24)
)
INSERT INTO workflow_run_history (workflow_run_id, at, verb, to_status, attempt, actor, request_id)
SELECT workflow_run_id, created_at, 'create', 'pending', 1, 'benchmark', {id}::text FROM run"""


def run_script(major: int) -> str:
    """Return the insertion of one bare run."""
    return _RUN.format(id=_new_id(major)) + ";"


def create_script(major: int) -> str:
    """Return the insertion of a run with its history and idempotency key: one statement, one transaction."""
    return _RUN_WITH_ALL.format(run=run_script(major).rstrip(";"), id=_new_id(major)) + ";"


def _new_id(major: int) -> str:
    return "uuidv7()" if major >= 18 else "gen_random_uuid()"


def run_pgbench(database_url: str, script: str, seconds: float) -> Block:
    """Return what 16 clients got that run ``script`` on prepared statements, each over and over."""
    with tempfile.TemporaryDirectory(prefix="milepost-pgbench-") as scratch:
        file = Path(scratch, "script.sql")
        file.write_text(script)
        program = find_binaries()[0].bin_dir / "pgbench"
        counts = [f"--client={CLIENTS}", "--jobs=1", f"--time={max(1, round(seconds))}"]
        log = ["--log", f"--log-prefix={scratch}/latencies"]
        command: list[str | Path] = [
            program,
            "--no-vacuum",
            "--protocol=prepared",
            f"--file={file}",
            *counts,
            *log,
            database_url,
        ]
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, cwd="/")
        block = Block(seconds=time.perf_counter() - started)
        for part in Path(scratch).glob("latencies*"):
            block.latencies += [int(line.split()[2]) / 1e6 for line in part.read_text().splitlines()]
    return block
