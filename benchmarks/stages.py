"""Where the time of one create goes: in the service by stage, in Postgres by statement."""

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.creates import ADDRESS, CONNECTIONS, create_request
from benchmarks.load import drive
from benchmarks.postgres import connect, make_database, running_postgres
from benchmarks.sampling import Stack, read_samples
from benchmarks.service import running_service
from benchmarks.tables import Cell, render_table
from benchmarks.validate_only_app import ADDRESS as VALIDATE_ONLY

BLOCKS_LONG = 5
"""Samples need more time than rates: this many blocks in one."""

_OTHER = "event loop, and what no stage claims"
STAGES: Sequence[tuple[str, Sequence[str]]] = (
    ("uvicorn: parse requests, write answers", ("/uvicorn/",)),
    ("observe: request id, time, counters", ("/app/api/observe.py", "/app/metrics.py")),
    ("door: key, query, size and form of the body", ("/app/api/door.py", "/app/api/bodies.py", "/app/access/door")),
    ("pydantic: validate the body", ("/fastapi/_compat", "/pydantic/type_adapter.py", "/milepost/schemas/")),
    ("FastAPI: solve dependencies", ("/fastapi/dependencies/", "/app/api/calls.py")),
    ("FastAPI: body, endpoint, exit stacks", ("/fastapi/routing.py:get_request", "/fastapi/routing.py:request_resp")),
    ("Starlette, FastAPI: application, middleware, matching", ("/starlette/", "/fastapi/")),
    ("idempotency key: hash and bookkeeping", ("/app/access/idempotency.py", "/app/domain/json_values.py")),
    ("build the answer", ("_created_run", "_reply", "/app/api/answers.py", "/app/domain/progress.py", "validate_only")),
    (
        "service and endpoint code",
        ("/app/services/", "/app/execution/", "/app/moves/", "/app/access/", "/app/api/", "/app/domain/"),
    ),
    ("batcher", ("/app/db/batching.py",)),
    ("SQLAlchemy", ("/sqlalchemy/",)),
    ("psycopg", ("/psycopg/",)),
    ("our store: parameters and rows", ("/app/store/", "/app/db/")),
)
"""A sample counts for the first stage, from the innermost frame outwards, that has a part of its name."""


@dataclass(frozen=True, slots=True)
class Profile:
    """How the CPU time of one answer divides."""

    rate: float
    seconds_each: float
    shares: Mapping[str, float]


def stage_of(stack: Stack) -> str:
    """Return the stage that the innermost frame of ours or of a framework belongs to; others work for their caller."""
    for frame in stack:
        for stage, parts in STAGES:
            if any(part in frame for part in parts):
                return stage if "/uvicorn/server.py" not in frame else _OTHER
    return _OTHER


def measure_stages(seconds: float) -> str:
    """Return a table of the stages of a create beside those of validate-only, and one of Postgres' statements."""
    with running_postgres({"shared_preload_libraries": "pg_stat_statements"}) as server_url:
        url = make_database(server_url, "stages")
        create = _profile(url, ADDRESS, seconds * BLOCKS_LONG)
        statements = _statements(server_url, url, seconds)
        ceiling = _profile(url, VALIDATE_ONLY, seconds * BLOCKS_LONG)
    header = ["stage", "create: share %", "us", "validate-only: share %", "us"]
    rows = [_stage_row(stage, create, ceiling) for stage in (*(name for name, _ in STAGES), _OTHER)]
    total: list[Cell] = ["all", 100.0, create.seconds_each * 1e6, 100.0, ceiling.seconds_each * 1e6]
    return render_table(header, [*rows, total]) + "\n\n" + statements


def _stage_row(stage: str, *profiles: Profile) -> list[Cell]:
    row: list[Cell] = [stage]
    for profile in profiles:
        share = profile.shares.get(stage, 0.0)
        row += [100 * share, share * profile.seconds_each * 1e6]
    return row


def _profile(url: str, address: str, seconds: float) -> Profile:
    with tempfile.TemporaryDirectory(prefix="milepost-samples-") as scratch:
        file = Path(scratch, "samples.json")
        with running_service(url, file) as service:
            before = service.cpu_seconds()
            block = drive(service.port, create_request(address), status=201, connections=CONNECTIONS, seconds=seconds)
            used = service.cpu_seconds() - before
        counts: Counter[str] = Counter()
        for stack, count in read_samples(file).items():
            counts[stage_of(stack)] += count
    shares = {stage: count / counts.total() for stage, count in counts.items()}
    return Profile(block.rate, used / len(block.latencies), shares)


_BY_STATEMENT = """
    SELECT left(regexp_replace(query, '\\s+', ' ', 'g'), 60), calls, rows::float / calls,
           mean_exec_time, wal_bytes::float / calls
    FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid
    WHERE datname = 'stages' AND calls > 5
    ORDER BY total_exec_time DESC LIMIT 8"""


def _statements(server_url: str, url: str, seconds: float) -> str:
    with connect(server_url) as server:
        server.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        with running_service(url) as service:
            drive(service.port, create_request(ADDRESS), status=201, connections=CONNECTIONS, seconds=seconds)
            server.execute("SELECT pg_stat_statements_reset()")
            drive(service.port, create_request(ADDRESS), status=201, connections=CONNECTIONS, seconds=seconds)
            rows = server.execute(_BY_STATEMENT).fetchall()
    header = ["statement", "calls", "rows each", "ms each", "WAL bytes each"]
    return render_table(header, [[f"`{text}`", *figures] for text, *figures in rows])
