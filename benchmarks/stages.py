"""Where the time of the calls of the hot path goes: in the service by stage, in Postgres by statement."""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.calls import always, claim_request, complete_and_claim, create_with_key, create_without_key
from benchmarks.filling import fill_queue
from benchmarks.load import Block, NextRequest, drive
from benchmarks.postgres import make_database, running_postgres
from benchmarks.sampling import Stack, sample
from benchmarks.service import Service, running_service, running_stock_app
from benchmarks.statements import measure_statements
from benchmarks.tables import Cell, render_table

BLOCKS_LONG = 5
"""Samples need more time than rates: this many blocks in one."""
CONNECTIONS = 32
_TASKS_PER_SECOND = 6_000
"""More than are claimed one by one."""

_LOOP = "event loop, and what no stage claims"
STAGES: Sequence[tuple[str, Sequence[str]]] = (
    (_LOOP, ("/uvicorn/server.py", "/app/server/serving.py", "/app/cli/", "/app/main.py")),
    ("server: read requests, write answers", ("/app/server/", "/uvicorn/")),
    ("way in: request id, look-up, counters", ("/app/api/way_in.py", "/app/api/add", "/app/api/obs", "/app/metrics")),
    ("door: who calls, names of parameters", ("/app/api/door.py", "/app/access/doorkeeper.py", "/app/api/parameters")),
    ("body: read JSON, refuse what cannot be kept", ("/app/api/bodies.py", "/app/domain/json_names.py")),
    ("pydantic: validate the body", ("/fastapi/_compat", "/pydantic/", "/milepost/schemas/", "plans.py:_read_body")),
    ("plan: what the operation is called with", ("/app/api/plans.py", "/app/api/calls.py")),
    ("FastAPI, Starlette", ("/starlette/", "/fastapi/")),
    ("idempotency key: hash and bookkeeping", ("/app/access/idempotency.py", "/app/domain/json_values.py")),
    ("build the answer", ("_created_run", "_reply", "_show", "_outcome_of", "/app/api/ans", "/app/domain/progress.py")),
    ("write JSON: answers, and rows for Postgres", ("/app/domain/json_texts.py",)),
    (
        "operation and service",
        ("/app/services/", "/app/execution/", "/app/moves/", "/app/access/", "/app/api/", "/app/domain/"),
    ),
    ("batcher", ("/app/db/batching.py",)),
    ("transaction and store: parameters and rows", ("/app/store/", "/app/db/")),
    ("SQLAlchemy: the pool", ("/sqlalchemy/",)),
    ("psycopg", ("/psycopg/",)),
)
"""A sample counts for the first stage, from the innermost frame outwards, that has a part of its name."""


@dataclass(frozen=True, slots=True)
class Call:
    """What is called, over and over."""

    name: str
    next_request: NextRequest
    status: int = 200
    needs_tasks: bool = True

    def drive(self, service: Service, url: str, seconds: float) -> Block:
        """Return what many connections got; there are tasks enough for them."""
        if self.needs_tasks:
            fill_queue(url, round(seconds * _TASKS_PER_SECOND))
        return drive(service.port, self.next_request, status=self.status, connections=CONNECTIONS, seconds=seconds)


CALLS = (
    Call("create", create_with_key, status=201, needs_tasks=False),
    Call("claim", always(claim_request(1))),
    Call("complete + claim", complete_and_claim(1)),
)
_STOCK = Call("stock FastAPI", create_without_key, status=201, needs_tasks=False)


@dataclass(frozen=True, slots=True)
class Profile:
    """How the CPU time of one answer divides."""

    name: str
    seconds_each: float
    shares: Mapping[str, float]


def stage_of(stack: Stack) -> str:
    """Return the stage that the innermost frame of ours or of a framework belongs to; others work for their caller."""
    return next(_stages_of(stack), _LOOP)


def _stages_of(stack: Stack) -> Iterator[str]:
    for frame in stack:
        for stage, parts in STAGES:
            if any(part in frame for part in parts):
                yield stage


def measure_stages(seconds: float) -> str:
    """Return a table of the stages of each call beside those of a stock application, and one of statements."""
    with running_postgres({"shared_preload_libraries": "pg_stat_statements"}) as server_url:
        url = make_database(server_url, "stages")
        profiles = [
            _profile(lambda file: running_service(url, samples_file=file), call, url, seconds * BLOCKS_LONG)
            for call in CALLS
        ]
        profiles.append(_profile(running_stock_app, _STOCK, url, seconds * BLOCKS_LONG))
        with running_service(url) as service:
            loads = {call.name: partial(call.drive, service, url, seconds) for call in CALLS}
            statements = measure_statements(server_url, "stages", loads)
    return f"{_render(profiles)}\n\n{statements}"


def _profile(
    running: Callable[[Path], AbstractContextManager[Service]], call: Call, url: str, seconds: float
) -> Profile:
    with tempfile.TemporaryDirectory(prefix="milepost-samples-") as scratch:
        file = Path(scratch, "samples.json")
        with running(file) as service:
            call.drive(service, url, seconds / BLOCKS_LONG)
            before = service.cpu_seconds()
            block, samples = sample(service.pid, file, lambda: call.drive(service, url, seconds))
            used = service.cpu_seconds() - before
    counts: Counter[str] = Counter()
    for stack, count in samples.items():
        counts[stage_of(stack)] += count
    shares = {stage: count / counts.total() for stage, count in counts.items()}
    return Profile(call.name, used / len(block.latencies), shares)


def _render(profiles: Sequence[Profile]) -> str:
    header = ["stage"]
    for profile in profiles:
        header += [f"{profile.name}: us", "%"]
    rows = [_row(stage, profiles) for stage in (*(name for name, _ in STAGES[1:]), _LOOP)]
    total: list[Cell] = ["all"]
    for profile in profiles:
        total += [profile.seconds_each * 1e6, 100.0]
    return render_table(header, [*rows, total])


def _row(stage: str, profiles: Sequence[Profile]) -> list[Cell]:
    row: list[Cell] = [stage]
    for profile in profiles:
        share = profile.shares.get(stage, 0.0)
        row += [share * profile.seconds_each * 1e6, 100 * share]
    return row
