"""One client alone: how much longer its calls take than the very statements that the service executes for them."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from secrets import token_bytes
from statistics import median
from typing import Any

import psycopg
from psycopg.rows import dict_row
from uuid_utils.compat import uuid7

from app.access.callers import Caller
from app.access.idempotency import IdempotencyKey
from app.services.claims import Exchange, Exchanged, exchange
from app.services.tasks import Spawn, spawn_tasks
from app.services.workflow_runs.create import Creation, create_runs
from benchmarks.calls import QUEUE, RUN, TASK, complete_and_claim, create_with_key, spawn
from benchmarks.filling import fill_queue
from benchmarks.load import NextRequest, drive
from benchmarks.postgres import connect, make_database, running_postgres
from benchmarks.recording import Script, record
from benchmarks.service import Service, running_service
from benchmarks.tables import Cell, render_table
from milepost.schemas.tasks import Claim, CompletedItem, TaskSpec
from milepost.schemas.workflow_runs import WorkflowRunCreate

ROUNDS = 5
_TASKS_PER_SECOND = 4_000
"""More than one client works."""
_CALLER = Caller("benchmark", "benchmark")
_CLAIM = Claim(worker_id="bench", lease_seconds=600)
Database = psycopg.Connection[Any]


@dataclass(slots=True)
class Pair:
    """A call over HTTP and its statements without the service: the p50 of each block, in seconds."""

    name: str
    call: Callable[[float], float]
    execute: Callable[[float], float]
    calls: list[float] = field(default_factory=list)
    executions: list[float] = field(default_factory=list)


def measure_alone(seconds: float) -> str:
    """Return a table of the calls of one client beside their statements, in interleaved blocks."""
    with running_postgres() as server_url:
        url = make_database(server_url, "alone")
        with running_service(url) as service, connect(url) as database:
            database.row_factory = dict_row
            pairs = asyncio.run(_make_pairs(service, url, database))
            for _ in range(ROUNDS):
                for pair in pairs:
                    pair.calls.append(pair.call(seconds))
                    pair.executions.append(pair.execute(seconds))
    header = ["what", "over HTTP: p50 ms", "its statements alone: p50 ms", "difference ms", "ratio"]
    return render_table(header, [_row(pair) for pair in pairs])


def _row(pair: Pair) -> list[Cell]:
    turns = list(zip(pair.calls, pair.executions, strict=True))
    difference, ratio = median(ours - alone for ours, alone in turns), median(ours / alone for ours, alone in turns)
    return [pair.name, median(pair.calls) * 1e3, median(pair.executions) * 1e3, difference * 1e3, ratio]


async def _make_pairs(service: Service, url: str, database: Database) -> list[Pair]:
    def call(next_request: NextRequest, status: int, tasks_per_second: int = 0) -> Callable[[float], float]:
        def run(seconds: float) -> float:
            if tasks_per_second:
                fill_queue(url, round(seconds * tasks_per_second))
            return drive(service.port, next_request, status=status, connections=1, seconds=seconds).latency(50)

        return run

    creation, creating = await _record_creation(url)
    spawning = (await record(url, spawn_tasks.work, Spawn([TaskSpec.model_validate(TASK)], _CALLER)))[1]
    return [
        Pair(
            "create a run, with key",
            call(create_with_key, 201),
            lambda s: _execute_anew(database, creating, creation, s),
        ),
        Pair("spawn a task", call(spawn(1), 201), lambda s: _execute_anew(database, spawning, None, s)),
        Pair(
            "complete a task + claim the next",
            call(complete_and_claim(1), 200, _TASKS_PER_SECOND),
            await _record_exchange(url, database),
        ),
    ]


async def _record_creation(url: str) -> tuple[IdempotencyKey, Script]:
    key = IdempotencyKey(token_bytes(32), token_bytes(32))
    creation = Creation([WorkflowRunCreate.model_validate_json(RUN)], _CALLER, key)
    return key, (await record(url, create_runs.work, creation))[1]


def _execute_anew(database: Database, script: Script, key: IdempotencyKey | None, seconds: float) -> float:
    """Return the p50 of executing ``script``, each time with ids, and a key, that are new."""
    ids = script.find_ids()
    latencies = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        others = {each: str(uuid7()) for each in ids}
        if key:
            others[key.scope.hex()] = token_bytes(32).hex()
        latencies.append(_time(script.about(others), database)[0])
    return median(latencies)


def _time(script: Script, database: Database) -> tuple[float, Any]:
    started = time.perf_counter()
    rows = script.execute(database)
    return time.perf_counter() - started, rows


async def _record_exchange(url: str, database: Database) -> Callable[[float], float]:
    """Return what executes the statements of a completion with a claim, each time about the task of the last claim."""
    fill_queue(url, 2)
    task = (await _exchange(url))[0].tasks[0]
    reported = {name: str(task[name]) for name in ("task_id", "lease_token")}
    script = (await _exchange(url, CompletedItem.model_validate({**reported, "result": 1})))[1]

    def execute(seconds: float) -> float:
        fill_queue(url, round(seconds * _TASKS_PER_SECOND))
        first = asyncio.run(_exchange(url))[0].tasks[0]
        task_id, token = (str(first[name]) for name in reported)
        latencies = []
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            about = script.about(dict(zip(reported.values(), (task_id, token), strict=True)))
            took, rows = _time(about, database)
            latencies.append(took)
            task_id, token = (str(rows[0][name]) for name in reported)
        return median(latencies)

    return execute


async def _exchange(url: str, *done: CompletedItem) -> tuple[Exchanged, Script]:
    return await record(url, exchange.work, Exchange(QUEUE, done, _CLAIM))
