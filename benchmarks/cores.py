"""What a core of the service and a core of Postgres carry, with one server process and with two."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median

from benchmarks.calls import complete_and_claim, create_with_key
from benchmarks.filling import fill_queue
from benchmarks.load import NextRequest, drive
from benchmarks.postgres import connect, make_database, running_postgres
from benchmarks.processes import cpu_seconds_of, parent_of
from benchmarks.service import Service, running_service
from benchmarks.tables import Cell, render_table

WORKERS = (1, 2)
CONNECTIONS = 32
"""For each process, so that a batch has as many calls with one as with two."""
ROUNDS = 4
"""That count; one before them warms up."""
_TASKS_PER_SECOND = 15_000
"""More than are worked."""


@dataclass(slots=True)
class Calls:
    """One kind of call on a service of so many processes."""

    name: str
    next_request: NextRequest
    service: Service
    workers: int
    status: int = 200
    needs_tasks: bool = True
    rates: list[float] = field(default_factory=list)
    service_seconds: list[float] = field(default_factory=list)
    """CPU time of all its processes, for each call of a block."""
    postgres_seconds: list[float] = field(default_factory=list)

    def take_turn(self, url: str, postgres: int, seconds: float) -> None:
        """Measure one block; ``postgres`` is the process that all of the server stand below."""
        if self.needs_tasks:
            fill_queue(url, round(seconds * _TASKS_PER_SECOND))
        before = self.service.cpu_seconds(), cpu_seconds_of(postgres)
        block = drive(
            self.service.port,
            self.next_request,
            status=self.status,
            connections=CONNECTIONS * self.workers,
            seconds=seconds,
        )
        count = len(block.latencies)
        self.rates.append(block.rate)
        self.service_seconds.append((self.service.cpu_seconds() - before[0]) / count)
        self.postgres_seconds.append((cpu_seconds_of(postgres) - before[1]) / count)


def measure_cores(seconds: float) -> str:
    """Return a table of calls a second, and of CPU time a call, for one and two processes in interleaved blocks."""
    with running_postgres() as server_url, ExitStack() as stack:
        url = make_database(server_url, "cores")
        fill_queue(url, 0)
        kinds: list[Calls] = []
        for workers in WORKERS:
            kinds += _calls_of(stack.enter_context(running_service(url, workers=workers)), workers)
        with connect(url) as database:
            postgres = parent_of(database.info.backend_pid)
        for _ in range(1 + ROUNDS):
            for kind in kinds:
                kind.take_turn(url, postgres, seconds)
    return _render(kinds)


def _calls_of(service: Service, workers: int) -> Sequence[Calls]:
    return [
        Calls("create, with Idempotency-Key", create_with_key, service, workers, status=201, needs_tasks=False),
        Calls("complete + claim, 1 task a call", complete_and_claim(1), service, workers),
        Calls("complete + claim, 10 tasks a call", complete_and_claim(10), service, workers),
    ]


def _render(kinds: Sequence[Calls]) -> str:
    header = [
        "what",
        "processes",
        "calls per second",
        "to one process",
        "service CPU us a call",
        "Postgres CPU us a call",
    ]
    header += ["calls a service core carries", "a Postgres core"]
    names = list(dict.fromkeys(kind.name for kind in kinds))
    rows: list[list[Cell]] = []
    for name in names:
        same = [kind for kind in kinds if kind.name == name]
        rows += [_row(kind, same[0]) for kind in same]
    return render_table(header, rows)


def _row(kind: Calls, single: Calls) -> list[Cell]:
    ours, theirs = median(kind.service_seconds[1:]), median(kind.postgres_seconds[1:])
    ratio = median(rate / other for rate, other in zip(kind.rates[1:], single.rates[1:], strict=True))
    return [kind.name, kind.workers, median(kind.rates[1:]), ratio, ours * 1e6, theirs * 1e6, 1 / ours, 1 / theirs]
