"""Creates and status changes, beside a stock FastAPI application without a database and the same rows without HTTP."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from app.db.embedded import find_binaries
from benchmarks.calls import create_with_key, create_without_key, start_each
from benchmarks.load import Block, NextRequest, drive
from benchmarks.pgbench import create_script, run_pgbench, run_script
from benchmarks.postgres import connect, make_database, running_postgres
from benchmarks.service import Service, running_service, running_stock_app
from benchmarks.tables import Cell, render_table

CONNECTIONS = 32
ROUNDS = 7
HEADER = ["what", "per second", "p50 ms", "p99 ms", "CPU us each", "rate / stock", "CPU / stock"]


@dataclass(slots=True)
class Contender:
    """Something that is measured in blocks between those of the others."""

    name: str
    measure: Callable[[float], Block]
    server: Service | None = None
    """Whose CPU time is counted."""
    blocks: list[Block] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    """Of the server, for each answer of a block."""

    def take_turn(self, seconds: float) -> None:
        """Measure one block."""
        before = self._used()
        block = self.measure(seconds)
        self.blocks.append(block)
        self.cpu_seconds.append((self._used() - before) / len(block.latencies))

    def _used(self) -> float:
        return self.server.cpu_seconds() if self.server else 0.0


def measure_creates(seconds: float) -> str:
    """Return a table of everything that writes, measured in interleaved blocks."""
    with running_postgres() as server_url:
        url = make_database(server_url, "creates")
        with running_service(url) as service, running_stock_app() as stock:
            contenders = _contenders(service, stock, url)
            for contender in contenders[:3]:
                contender.measure(seconds)
            for _ in range(ROUNDS):
                for contender in contenders:
                    contender.take_turn(seconds)
    return render_table(HEADER, [describe_contender(contender, contenders[0]) for contender in contenders])


def _contenders(service: Service, stock: Service, url: str) -> Sequence[Contender]:
    major = find_binaries()[0].major

    def post(name: str, server: Service, next_request: NextRequest) -> Contender:
        def measure(seconds: float) -> Block:
            return drive(server.port, next_request, status=201, connections=CONNECTIONS, seconds=seconds)

        return Contender(name, measure, server)

    return [
        post("stock FastAPI: validate the body, answer with it", stock, create_without_key),
        post("create, with Idempotency-Key", service, create_with_key),
        post("create, without", service, create_without_key),
        Contender("PATCH pending -> running", lambda seconds: _start_runs(service, url, seconds), service),
        Contender("pgbench: run + history + key", lambda seconds: run_pgbench(url, create_script(major), seconds)),
        Contender("pgbench: run alone", lambda seconds: run_pgbench(url, run_script(major), seconds)),
    ]


def _start_runs(service: Service, url: str, seconds: float) -> Block:
    """Move each pending run once, for ``seconds`` or until all are moved."""
    with connect(url) as database:
        rows = database.execute(
            "SELECT workflow_run_id FROM workflow_runs WHERE status = 'pending' LIMIT %s", [round(seconds * 6000)]
        ).fetchall()
    runs = iter([row[0] for row in rows])
    return drive(service.port, start_each(runs), status=200, connections=CONNECTIONS, seconds=seconds)


def describe_contender(contender: Contender, ceiling: Contender) -> list[Cell]:
    """Return the row of a contender, its ratios to the ``ceiling``."""
    rates = [block.rate for block in contender.blocks]
    speed = median(rate / other.rate for rate, other in zip(rates, ceiling.blocks, strict=True))
    effort = median(one / other for one, other in zip(contender.cpu_seconds, ceiling.cpu_seconds, strict=True))
    return [
        contender.name,
        median(rates),
        median(block.latency(50) for block in contender.blocks) * 1e3,
        median(block.latency(99) for block in contender.blocks) * 1e3,
        median(contender.cpu_seconds) * 1e6 if contender.server else None,
        speed,
        effort if contender.server else None,
    ]
