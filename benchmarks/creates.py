"""Creates and status changes, beside the same HTTP without a database and the same rows without HTTP."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from uuid import uuid4

from app.db.embedded import find_binaries
from benchmarks.http import make_request
from benchmarks.load import Block, NextRequest, drive
from benchmarks.pgbench import create_script, run_pgbench, run_script
from benchmarks.postgres import connect, make_database, running_postgres
from benchmarks.service import Service, running_service
from benchmarks.tables import Cell, render_table
from benchmarks.validate_only_app import ADDRESS as VALIDATE_ONLY

CONNECTIONS = 32
ROUNDS = 7
ADDRESS = "/v1/workflow-runs"
BODY = (
    b'{"workflow_name":"nightly_etl","workflow_version":"1.4.0","created_by":"cron@db1",'
    b'"inputs":{"date":"2026-01-31","source":"warehouse","limit":1000},"tags":{"env":"prod","team":"data"}}'
)
_START = b'{"status":"running"}'
_HEADER = [
    "what",
    "per second",
    "p50 ms",
    "p99 ms",
    "service CPU us each",
    "rate / validate-only",
    "CPU / validate-only",
]


@dataclass(slots=True)
class Contender:
    """Something that is measured in blocks between those of the others."""

    name: str
    measure: Callable[[float], Block]
    blocks: list[Block] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    """Of the service, for each answer of a block."""


def create_request(address: str) -> NextRequest:
    """Return a source of creates, each with an idempotency key of its own."""
    return lambda: make_request("POST", address, BODY, f"Idempotency-Key: {uuid4()}\r\n")


def measure_creates(seconds: float) -> str:
    """Return a table of everything that writes, measured in interleaved blocks."""
    with running_postgres() as server_url:
        url = make_database(server_url, "creates")
        with running_service(url) as service:
            contenders = _contenders(service, url)
            _take_turns(contenders, service, seconds)
    return render_table(_HEADER, [_row(contender, contenders[0]) for contender in contenders])


def _contenders(service: Service, url: str) -> list[Contender]:
    major = find_binaries()[0].major
    plain = make_request("POST", ADDRESS, BODY)

    def post(next_request: NextRequest) -> Callable[[float], Block]:
        return lambda seconds: drive(service.port, next_request, status=201, connections=CONNECTIONS, seconds=seconds)

    return [
        Contender("validate-only: the same HTTP, no database", post(create_request(VALIDATE_ONLY))),
        Contender("create, with Idempotency-Key", post(create_request(ADDRESS))),
        Contender("create, without", post(lambda: plain)),
        Contender("PATCH pending -> running", lambda seconds: _start_runs(service, url, seconds)),
        Contender("pgbench: run + history + key", lambda seconds: run_pgbench(url, create_script(major), seconds)),
        Contender("pgbench: run alone", lambda seconds: run_pgbench(url, run_script(major), seconds)),
    ]


def _start_runs(service: Service, url: str, seconds: float) -> Block:
    """Move each pending run once, for ``seconds`` or until all are moved."""
    with connect(url) as database:
        rows = database.execute(
            "SELECT workflow_run_id FROM workflow_runs WHERE status = 'pending' LIMIT %s", [round(seconds * 6000)]
        ).fetchall()
    requests = iter([make_request("PATCH", f"{ADDRESS}/{row[0]}", _START) for row in rows])
    return drive(service.port, lambda: next(requests, None), status=200, connections=CONNECTIONS, seconds=seconds)


def _take_turns(contenders: Sequence[Contender], service: Service, seconds: float) -> None:
    for contender in contenders[:3]:
        contender.measure(seconds)
    for _ in range(ROUNDS):
        for contender in contenders:
            before = service.cpu_seconds()
            block = contender.measure(seconds)
            contender.blocks.append(block)
            contender.cpu_seconds.append((service.cpu_seconds() - before) / len(block.latencies))


def _row(contender: Contender, ceiling: Contender) -> list[Cell]:
    rates = [block.rate for block in contender.blocks]
    speed = median(rate / other.rate for rate, other in zip(rates, ceiling.blocks, strict=True))
    effort = median(one / other for one, other in zip(contender.cpu_seconds, ceiling.cpu_seconds, strict=True))
    of_service = not contender.name.startswith("pgbench")
    return [
        contender.name,
        median(rates),
        median(block.latency(50) for block in contender.blocks) * 1e3,
        median(block.latency(99) for block in contender.blocks) * 1e3,
        median(contender.cpu_seconds) * 1e6 if of_service else None,
        speed,
        effort if of_service else None,
    ]
