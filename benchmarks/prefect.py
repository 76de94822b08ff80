"""Creating flow runs by Prefect's server, on the same Postgres, beside creating workflow runs."""

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from psycopg import sql
from sqlalchemy import make_url

from benchmarks.calls import create_with_key
from benchmarks.creates import CONNECTIONS, HEADER, Contender, describe_contender
from benchmarks.http import make_request
from benchmarks.load import Block, NextRequest, drive
from benchmarks.postgres import connect, make_database, running_postgres
from benchmarks.service import Service, find_free_port, running_process, running_service
from benchmarks.tables import render_table

REQUIREMENT = "prefect>=3,<4"
ROUNDS = 5
BLOCKS_LONG = 3
"""Its answers take their time."""
_INPUTS = {"date": "2026-01-31", "source": "warehouse", "limit": 1000}


def measure_prefect(seconds: float) -> str:
    """Return a table of both, measured in interleaved blocks; or a word that Prefect cannot be had."""
    with tempfile.TemporaryDirectory(prefix="milepost-prefect-") as scratch, running_postgres() as server_url:
        python = _install(Path(scratch))
        if python is None:
            return f"Not measured: `{REQUIREMENT}` cannot be installed from the package index here."
        url = make_database(server_url, "milepost_runs")
        with running_service(url) as service, _running_prefect(python, Path(scratch), server_url) as prefect:
            contenders = [
                _contender(f"Prefect {_version(python)}: create a flow run", prefect, _create_flow_runs(prefect)),
                _contender("create a run, with Idempotency-Key", service, create_with_key),
            ]
            for contender in contenders:
                contender.measure(seconds)
            for _ in range(ROUNDS):
                for contender in contenders:
                    contender.take_turn(seconds * BLOCKS_LONG)
    header = [name.replace("stock", "Prefect") for name in HEADER]
    return render_table(header, [describe_contender(contender, contenders[0]) for contender in contenders])


def _install(directory: Path) -> Path | None:
    """Install Prefect into an environment of its own; return its Python, or None where that is not possible."""
    venv.create(directory / "environment", with_pip=True)
    python = directory / "environment" / "bin" / "python"
    command: list[str | Path] = [python, "-m", "pip", "install", "--quiet", REQUIREMENT]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        return None
    return python


def _version(python: Path) -> str:
    command: list[str | Path] = [python, "-c", "from importlib.metadata import version; print(version('prefect'))"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def _running_prefect(python: Path, home: Path, server_url: str) -> Iterator[Service]:
    """Give Prefect's server on a database of its own; it migrates that when it starts."""
    with connect(server_url) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier("prefect")))
    url = make_url(server_url).set(drivername="postgresql+asyncpg", database="prefect")
    environment = {
        **os.environ,
        "PREFECT_HOME": str(home),
        "PREFECT_API_DATABASE_CONNECTION_URL": url.render_as_string(hide_password=False),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_SERVER_LEVEL": "WARNING",
    }
    port = find_free_port()
    command = [str(python), "-m", "prefect", "server", "start", "--host=127.0.0.1", f"--port={port}", "--no-ui"]
    with running_process(command, port, environment) as service:
        yield service


def _contender(name: str, server: Service, next_request: NextRequest) -> Contender:
    def measure(seconds: float) -> Block:
        return drive(server.port, next_request, status=201, connections=CONNECTIONS, seconds=seconds)

    return Contender(name, measure, server)


def _create_flow_runs(prefect: Service) -> NextRequest:
    flow = urllib.request.Request(
        f"http://127.0.0.1:{prefect.port}/api/flows/", b'{"name": "nightly_etl"}', {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(flow) as answer:  # noqa: S310 - it is http
        flow_id = json.loads(answer.read())["id"]
    run = {"flow_id": flow_id, "parameters": _INPUTS, "tags": ["prod", "data"], "state": {"type": "PENDING"}}

    def create(_last: bytes) -> bytes:
        body = json.dumps({**run, "idempotency_key": str(uuid4())})
        return make_request("POST", "/api/flow_runs/", body.encode())

    return create
