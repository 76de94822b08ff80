"""The change feed: what it costs those who write, and how soon a change comes to who reads."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import median, quantiles

import uvloop

from benchmarks.calls import complete_and_claim, create_with_key, spawn
from benchmarks.filling import fill_queue
from benchmarks.http import API_KEY
from benchmarks.load import Block, NextRequest, drive, drive_here
from benchmarks.postgres import connect, make_database, running_postgres
from benchmarks.processes import cpu_seconds_of
from benchmarks.service import Service, running_service
from benchmarks.tables import Cell, render_table

ROUNDS = 7
CONNECTIONS = 32
STREAMS = 1_000
TABLES = ("workflow_runs", "tasks", "queues")
_TASKS_PER_SECOND = 6_000
_PATIENCE_SECONDS = 60.0


@dataclass(slots=True)
class Call:
    """A call that writes, measured in blocks with and without the feed."""

    name: str
    measure: Callable[[float], Block]
    told: list[tuple[float, float]] = field(default_factory=list)
    """Calls per second, and CPU seconds of service and Postgres a call."""
    untold: list[tuple[float, float]] = field(default_factory=list)


def measure_changes(seconds: float) -> str:
    """Return a table of writing with the feed and without, and one of how soon changes arrive."""
    with running_postgres() as server_url:
        url = make_database(server_url, "changes")
        fill_queue(url, 0)
        with running_service(url) as service, running_service(url) as other:
            calls = _calls(service, url)
            for call in calls:
                call.measure(seconds)
            for _ in range(ROUNDS):
                for call in calls:
                    for told in (True, False):
                        _take_turn(call, service, url, seconds, told=told)
            _tell(url, told=True)
            arrivals = [
                ("1 stream, same process", _arrivals(service, service, 1, seconds)),
                ("1 stream, another replica", _arrivals(service, other, 1, seconds)),
                (f"{STREAMS:,} streams, same process", _arrivals(service, service, STREAMS, seconds)),
            ]
    return _render_costs(calls) + "\n" + _render_arrivals(arrivals)


def _calls(service: Service, url: str) -> Sequence[Call]:
    def call(next_request: NextRequest, status: int, seconds: float) -> Block:
        return drive(service.port, next_request, status=status, connections=CONNECTIONS, seconds=seconds)

    def work(seconds: float) -> Block:
        fill_queue(url, round(seconds * _TASKS_PER_SECOND))
        return call(complete_and_claim(1), 200, seconds)

    return [
        Call("create, with Idempotency-Key", partial(call, create_with_key, 201)),
        Call("spawn", partial(call, spawn(1), 201)),
        Call("complete + claim, 1 task a call", work),
    ]


def _tell(url: str, *, told: bool) -> None:
    """Let the triggers tell of changes, or not."""
    with connect(url) as database:
        for table in TABLES:
            database.execute(f"ALTER TABLE {table} {'ENABLE' if told else 'DISABLE'} TRIGGER USER".encode())


def _take_turn(call: Call, service: Service, url: str, seconds: float, *, told: bool) -> None:
    _tell(url, told=told)
    before = service.cpu_seconds() + _postgres_seconds(url)
    block = call.measure(seconds)
    used = service.cpu_seconds() + _postgres_seconds(url) - before
    (call.told if told else call.untold).append((block.rate, used / len(block.latencies)))


def _postgres_seconds(url: str) -> float:
    """Return the CPU time of the sessions that are there, those of the service."""
    with connect(url) as database:
        pids = database.execute(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        ).fetchall()
    return sum(cpu_seconds_of(pid) for (pid,) in pids)


def _render_costs(calls: Sequence[Call]) -> str:
    header = ["call, 32 connections", "per second", "without the feed", "rate", "CPU us each, Postgres too", "CPU"]
    rows: list[list[Cell]] = []
    for call in calls:
        turns = list(zip(call.told, call.untold, strict=True))
        row: list[Cell] = [call.name, median(rate for rate, _ in call.told), median(rate for rate, _ in call.untold)]
        row.append(median(one[0] / other[0] for one, other in turns))
        row += [median(cpu for _, cpu in call.told) * 1e6, median(one[1] / other[1] for one, other in turns)]
        rows.append(row)
    return render_table(header, rows)


def _arrivals(writes: Service, tells: Service, streams: int, seconds: float) -> list[float]:
    """Return how long after it was sent each create came to the last of the streams, in seconds."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_watch(writes, tells, streams, seconds))


class _Stream(asyncio.Protocol):
    """A reader of a stream that looks at nothing but when something comes."""

    def __init__(self) -> None:
        self.came = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        if b"workflow_run.created" in data:
            self.came.set()


def _once(request: bytes) -> NextRequest:
    """Return a source of one request."""
    requests = iter([request])
    return lambda _last: next(requests, None)


async def _watch(writes: Service, tells: Service, streams: int, seconds: float) -> list[float]:
    loop = asyncio.get_running_loop()
    readers = []
    ask = f"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {API_KEY}\r\n\r\n".encode()
    for _ in range(streams):
        transport, reader = await loop.create_connection(_Stream, "127.0.0.1", tells.port)
        transport.write(ask)
        readers.append((transport, reader))
    await asyncio.sleep(1 + streams / 500)
    latencies = []
    for _ in range(round(40 * seconds)):
        for _, reader in readers:
            reader.came.clear()
        create = _once(create_with_key())
        sent = time.perf_counter()
        await drive_here(writes.port, create, status=201, connections=1, seconds=_PATIENCE_SECONDS)
        for _, reader in readers:
            await reader.came.wait()
        latencies.append(time.perf_counter() - sent)
        await asyncio.sleep(0.05)
    for transport, _ in readers:
        transport.close()
    return latencies


def _render_arrivals(arrivals: Sequence[tuple[str, list[float]]]) -> str:
    header = ["from sending a create to its change at the last reader", "p50 ms", "p99 ms"]
    rows: list[list[Cell]] = [
        [name, median(found) * 1e3, quantiles(found, n=100)[98] * 1e3] for name, found in arrivals
    ]
    return render_table(header, rows)
