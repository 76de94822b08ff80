"""A parallel foreach over many items: whether an iteration costs the same among 500 and among 10,000."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import uvloop

from benchmarks.postgres import connect, make_database, running_postgres
from benchmarks.service import running_service
from benchmarks.tables import Cell, render_table
from benchmarks.work import Connection

ITEMS = (500, 4_000, 10_000)
ROUNDS = 3
CONNECTIONS = 4
BATCH = 100
_MOST_SECONDS = 120
"""What takes longer has lost a task."""
_TASK = {"operator_type": "task", "function": "bench.work", "dependencies": []}
_DEFINITION = {
    "name": "bench_foreach",
    "version": "1.0.0",
    "tasks": {
        "each": {
            "task_id": "each",
            "operator_type": "foreach",
            "items": "{{inputs.items}}",
            "parallel": True,
            "dependencies": [],
            "loop_body": [{**_TASK, "task_id": "one", "args": ["{{item}}"]}],
        },
        "last": {**_TASK, "task_id": "last", "args": ["{{each.length}}"], "dependencies": ["each"]},
    },
}
_ROWS = "SELECT tup_returned + tup_fetched + tup_inserted + tup_updated FROM pg_stat_database WHERE datname = %s"


@dataclass(slots=True)
class Size:
    """So many items: how long starting and working took in each round, in ms an item, and rows touched an item."""

    items: int
    starts: list[float] = field(default_factory=list)
    works: list[float] = field(default_factory=list)
    rows: list[float] = field(default_factory=list)


def measure_foreach() -> str:
    """Return a table of milliseconds and rows of an item, for each number of items, in interleaved rounds."""
    with running_postgres() as server_url:
        url = make_database(server_url, "executions")
        sizes = [Size(items) for items in ITEMS]
        with running_service(url) as service:
            _call(service.port, "/v1/workflows", _DEFINITION)
            for _ in range(ROUNDS):
                for size in sizes:
                    _measure(service.port, url, size)
    return _render(sizes)


@dataclass(slots=True)
class Work:
    """What several workers do together."""

    wanted: int
    done: int = 0
    ended: float = 0.0
    """When the last was done, by the performance counter."""

    def note(self, done: int) -> None:
        """Count tasks that are done."""
        self.done += done
        if done and self.done == self.wanted:
            self.ended = time.perf_counter()


def _measure(port: int, url: str, size: Size) -> None:
    before = _rows(url)
    began = time.perf_counter()
    _call(port, "/v1/workflows/bench_foreach/1.0.0/runs", {"inputs": {"items": list(range(size.items))}})
    started = time.perf_counter()
    work = Work(size.items + 1)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(port, work))
    size.starts.append((started - began) * 1000 / size.items)
    size.works.append((work.ended - started) * 1000 / size.items)
    size.rows.append((_rows(url) - before) / size.items)


async def _work(port: int, work: Work) -> None:
    pool = [Connection(*await asyncio.open_connection("127.0.0.1", port, limit=2**26)) for _ in range(CONNECTIONS)]
    async with asyncio.timeout(_MOST_SECONDS):
        await asyncio.gather(*(_work_alone(connection, work) for connection in pool))
    for connection in pool:
        connection.close()


async def _work_alone(connection: Connection, work: Work) -> None:
    """Complete and claim; wait for tasks where there are none: those of a large foreach are made portion by portion."""
    reports: list[dict[str, Any]] = []
    while work.done < work.wanted:
        claim = {"worker_id": "bench", "limit": BATCH, "lease_seconds": 60, "wait_seconds": 0 if reports else 1}
        body = json.dumps({"tasks": reports, "claim": claim}).encode()
        answer = json.loads(await connection.post("/v1/queues/default/complete", body))
        work.note(len([1 for outcome in answer["outcomes"] if outcome["status"] == 200]))
        reports = [{"task_id": t["task_id"], "lease_token": t["lease_token"], "result": 1} for t in answer["tasks"]]


def _call(port: int, target: str, body: dict[str, Any]) -> Any:
    async def call() -> bytes:
        connection = Connection(*await asyncio.open_connection("127.0.0.1", port, limit=2**26))
        answer = await connection.post(target, json.dumps(body).encode())
        connection.close()
        return answer

    return json.loads(asyncio.run(call()))


def _rows(url: str) -> float:
    with connect(url) as database:
        database.execute("SELECT pg_stat_force_next_flush()")
        name = database.info.dbname
        row = database.execute(_ROWS, [name]).fetchone()
    return 0.0 if row is None else float(row[0])


def _render(sizes: Sequence[Size]) -> str:
    smallest = median(sizes[0].starts) + median(sizes[0].works)
    rows: list[list[Cell]] = []
    for size in sizes:
        start, work = median(size.starts), median(size.works)
        rows.append([f"{size.items:,}", start, work, start + work, (start + work) / smallest, median(size.rows)])
    header = ["items", "ms an item: start", "work", "together", "to the smallest", "rows touched an item"]
    return render_table(header, rows)
