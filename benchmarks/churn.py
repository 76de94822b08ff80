"""Many tasks, spawned, claimed and completed one batch after the other: whether claims stay as fast as they began."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any

import psycopg
import uvloop

from benchmarks.calls import QUEUE, TASK
from benchmarks.postgres import connect, make_database, running_postgres
from benchmarks.service import running_service
from benchmarks.tables import Cell, render_table
from benchmarks.work import Connection

SLICES = 10
CONNECTIONS = 4
BATCH = 100
_WARM_UP = 2_000
_SPAWN = json.dumps({"tasks": [TASK] * BATCH}).encode()
_CLAIM = json.dumps({"worker_id": "bench", "limit": BATCH, "lease_seconds": 600}).encode()
_TABLES = """
    SELECT relname, n_live_tup, n_dead_tup, pg_table_size(relid) / 1e6, pg_indexes_size(relid) / 1e6,
           n_tup_upd, 100.0 * n_tup_hot_upd / nullif(n_tup_upd, 0), autovacuum_count
    FROM pg_stat_user_tables WHERE n_tup_ins + n_tup_upd > 0 AND relname IN ('tasks', 'queues', 'task_attempts')
    ORDER BY pg_total_relation_size(relid) DESC"""
_TABLES_HEADER = ["table", "rows", "dead", "MB", "indexes MB", "updates", "HOT %", "autovacuums"]
_INDEXES = """
    SELECT indexrelname, pg_relation_size(indexrelid) / 1e6, idx_scan
    FROM pg_stat_user_indexes WHERE relname = 'tasks' AND pg_relation_size(indexrelid) > 8192
    ORDER BY pg_relation_size(indexrelid) DESC"""


@dataclass(slots=True)
class Slice:
    """A tenth of the tasks."""

    wanted: int
    seconds: float = 0.0
    begun: int = 0
    done: int = 0
    claims: list[float] = field(default_factory=list)
    """How long each claim of a whole batch took, in seconds."""


def measure_churn(cycles: int) -> str:
    """Return a table of ten slices of the tasks, one of the tables as they are afterwards, and one of the indexes."""
    with running_postgres() as server_url:
        url = make_database(server_url, "churn")
        with running_service(url) as service, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_work_slice(service.port, _WARM_UP))
            slices = [runner.run(_work_slice(service.port, cycles // SLICES)) for _ in range(SLICES)]
        with connect(url) as database:
            return "\n\n".join([_render_slices(slices), *_render_tables(database)])


async def _work_slice(port: int, wanted: int) -> Slice:
    part = Slice(wanted)
    pool = [Connection(*await asyncio.open_connection("127.0.0.1", port, limit=2**24)) for _ in range(CONNECTIONS)]
    started = time.perf_counter()
    await asyncio.gather(*(_work(connection, part) for connection in pool))
    part.seconds = time.perf_counter() - started
    for connection in pool:
        connection.close()
    return part


async def _work(connection: Connection, part: Slice) -> None:
    while part.begun < part.wanted:
        part.begun += BATCH
        await connection.post("/v1/tasks/batch", _SPAWN)
        started = time.perf_counter()
        claimed = json.loads(await connection.post(f"/v1/queues/{QUEUE}/claim", _CLAIM))["tasks"]
        part.claims.append(time.perf_counter() - started)
        completed = await _complete(connection, claimed)
        part.done += completed


async def _complete(connection: Connection, tasks: Sequence[dict[str, Any]]) -> int:
    reports = [{"task_id": task["task_id"], "lease_token": task["lease_token"], "result": 1} for task in tasks]
    answer = await connection.post(f"/v1/queues/{QUEUE}/complete", json.dumps({"tasks": reports}).encode())
    outcomes = json.loads(answer)["outcomes"]
    if any(outcome["status"] != 200 for outcome in outcomes):
        raise ValueError(f"not all of {len(reports)} reports were taken")
    return len(outcomes)


def _render_slices(slices: Sequence[Slice]) -> str:
    header = [
        "tasks done",
        "tasks per second",
        "to the first",
        f"claim of {BATCH}: p50 ms",
        "p99 ms",
        "p50 to the first",
    ]
    rows: list[list[Cell]] = []
    done = 0
    first = slices[0]
    for part in slices:
        done += part.done
        rate, first_rate = part.done / part.seconds, first.done / first.seconds
        middle = _latency(part, 50)
        row: list[Cell] = [f"{done:,}", rate, rate / first_rate, middle * 1e3, _latency(part, 99) * 1e3]
        rows.append([*row, middle / _latency(first, 50)])
    return render_table(header, rows)


def _latency(part: Slice, percent: int) -> float:
    return quantiles(part.claims, n=100)[percent - 1]


def _render_tables(database: psycopg.Connection[Any]) -> Sequence[str]:
    database.execute("SELECT pg_stat_force_next_flush()")
    tables = database.execute(_TABLES).fetchall()
    indexes = database.execute(_INDEXES).fetchall()
    return [
        render_table(_TABLES_HEADER, [[name, *map(_plain, figures)] for name, *figures in tables]),
        render_table(["index of tasks", "MB", "scans"], [[name, *map(_plain, figures)] for name, *figures in indexes]),
    ]


def _plain(figure: Any) -> Cell:
    """Return a number of Postgres as one that tables know."""
    return figure if figure is None or isinstance(figure, int) else float(figure)
