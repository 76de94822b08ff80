"""Spawning, claiming and completing over HTTP, beside Absurd's stored functions called directly, on one Postgres."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.absurd import Absurd, running_absurd
from benchmarks.filling import fill_queue
from benchmarks.postgres import connect, make_database, running_postgres
from benchmarks.service import Service, running_service
from benchmarks.tables import Cell, render_table
from benchmarks.work import spawn_over_http, work_over_http

CONNECTIONS = (1, 16)
BATCHES = (1, 10, 100)
SPAWNS = (1, 100)
ROUNDS = 3
HISTORY = 1_000_000
_TASKS_PER_SECOND = 15_000
"""More than are worked."""
_SEED = """
INSERT INTO tasks (task_id, run_id, queue, task_name, params, headers, priority, max_attempts, status, result,
                   created_at, first_started_at, started_at, completed_at, claimed_by, lease_token)
SELECT gen_random_uuid(), gen_random_uuid(), 'bench', 'count', '{"n": 1}', '{}', 0, 1, 'completed', '1',
       moment, moment, moment, moment, 'seed', gen_random_uuid()
FROM (SELECT now() - n * interval '1 second' AS moment FROM generate_series(1, %s) n) AS past
"""


@dataclass(slots=True)
class Kind:
    """One kind of work: how it is done here and there, and the tasks per second of each block."""

    name: str
    connections: int
    ours: Callable[[float], float]
    theirs: Callable[[float], float]
    our_rates: list[float] = field(default_factory=list)
    their_rates: list[float] = field(default_factory=list)
    rates_with_history: list[float] = field(default_factory=list)


def measure_tasks(seconds: float) -> str:
    """Return a table of tasks per second, in interleaved blocks; ours again with a million finished tasks."""
    with running_postgres() as server_url:
        url = make_database(server_url, "tasks")
        with running_absurd(server_url) as absurd, running_service(url) as service:
            kinds = _kinds(service, url, absurd)
            for _ in range(ROUNDS):
                for kind in kinds:
                    kind.our_rates.append(kind.ours(seconds))
                    kind.their_rates.append(kind.theirs(seconds))
            _seed_history(url)
            for _ in range(ROUNDS):
                for kind in kinds:
                    kind.rates_with_history.append(kind.ours(seconds))
    header = ["what", "connections", "tasks per second", "Absurd", "ratio", f"with {HISTORY:,} finished", "slower by"]
    return render_table(header, [_row(kind) for kind in kinds])


def _kinds(service: Service, url: str, absurd: Absurd) -> Sequence[Kind]:
    kinds = []
    for connections in CONNECTIONS:
        for size in SPAWNS:

            def spawn(seconds: float, size: int = size, connections: int = connections) -> float:
                return spawn_over_http(service.port, size, connections, seconds)

            def spawn_there(seconds: float, size: int = size, connections: int = connections) -> float:
                return absurd.spawn(size, connections, seconds)

            kinds.append(Kind(f"spawn, {size} a call", connections, spawn, spawn_there))
        for size in BATCHES:

            def work(seconds: float, size: int = size, connections: int = connections) -> float:
                fill_queue(url, round(seconds * _TASKS_PER_SECOND))
                return work_over_http(service.port, size, connections, seconds)

            def work_there(seconds: float, size: int = size, connections: int = connections) -> float:
                return absurd.work(size, connections, seconds)

            kinds.append(Kind(f"claim and complete, {size} a call", connections, work, work_there))
    return kinds


def _seed_history(url: str) -> None:
    fill_queue(url, 0)
    with connect(url) as database:
        database.execute(_SEED, [HISTORY])
        database.execute("VACUUM (ANALYZE) tasks")
        database.execute("CHECKPOINT")


def _row(kind: Kind) -> list[Cell]:
    ours, theirs = median(kind.our_rates), median(kind.their_rates)
    with_history = median(kind.rates_with_history)
    return [kind.name, kind.connections, ours, theirs, ours / theirs, with_history, ours / with_history]
