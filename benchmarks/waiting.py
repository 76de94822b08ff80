"""Thousands of claims that wait: what they cost, how soon they get a task, and how others fare meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from statistics import quantiles

import uvloop
from pydantic_core import from_json

from benchmarks.calls import claim_request, create_with_key, spawn
from benchmarks.filling import fill_queue
from benchmarks.load import Block, drive_here
from benchmarks.postgres import make_database, running_postgres
from benchmarks.service import Service, running_service
from benchmarks.tables import Cell, render_table
from benchmarks.work import Connection

WAITING = 2_000
CREATING = 32
BLOCKS_LONG = 5
LOOK_SECONDS = 15.0
"""A waiting claim looks by itself once in this time: what they cost is measured over all of it."""
_OPEN_AT_ONCE = 100
_WAIT_SECONDS = 60
_DELIVERY_SECONDS = 10.0


@dataclass(slots=True)
class Deliveries:
    """Tasks on their way to whoever waits."""

    came: asyncio.Event = field(default_factory=asyncio.Event)
    latencies: list[float] = field(default_factory=list)
    """From sending the spawn to the end of the answer that brings the task, in seconds."""


class _Claimer(asyncio.Protocol):
    """A worker that always waits for a task, and never does one."""

    def __init__(self, name: str, deliveries: Deliveries) -> None:
        self.transport: asyncio.WriteTransport | None = None
        self._request = claim_request(1, _WAIT_SECONDS, name)
        self._deliveries = deliveries
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # a stream's transport writes
        self._send()

    def _send(self) -> None:
        if self.transport is not None:
            self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or len(body) < int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]):
            return
        self._received = b""
        if from_json(body)["tasks"]:
            self._deliveries.came.set()
        self._send()


@dataclass(frozen=True, slots=True)
class Situation:
    """How the service does while so many wait."""

    waiting: int
    cpu_share: float
    """Of one core, while nobody else calls."""
    creates: Block
    deliveries: Deliveries


def measure_waiting(seconds: float) -> str:
    """Return a table of how the service does while nobody waits, and while thousands of claims do."""
    with running_postgres() as server_url:
        url = make_database(server_url, "waiting")
        fill_queue(url, 0)
        with running_service(url) as service, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_create(service, seconds))
            situations = [runner.run(_look_at(service, waiting, seconds)) for waiting in (0, WAITING)]
    return _render(situations)


async def _look_at(service: Service, waiting: int, seconds: float) -> Situation:
    deliveries = Deliveries()
    async with _claims_waiting(service, waiting, deliveries):
        began, used = time.perf_counter(), service.cpu_seconds()
        await asyncio.sleep(LOOK_SECONDS * min(1.0, seconds))
        share = (service.cpu_seconds() - used) / (time.perf_counter() - began)
        if waiting:
            await _deliver(service, deliveries, seconds * BLOCKS_LONG)
        return Situation(waiting, share, await _create(service, seconds * BLOCKS_LONG), deliveries)


async def _create(service: Service, seconds: float) -> Block:
    return await drive_here(service.port, create_with_key, status=201, connections=CREATING, seconds=seconds)


@asynccontextmanager
async def _claims_waiting(service: Service, count: int, deliveries: Deliveries) -> AsyncIterator[None]:
    """Let ``count`` claims wait during the block."""
    loop = asyncio.get_running_loop()
    claimers: list[_Claimer] = []
    for first in range(0, count, _OPEN_AT_ONCE):
        for number in range(first, min(count, first + _OPEN_AT_ONCE)):
            make = partial(_Claimer, f"worker-{number}", deliveries)
            claimers.append((await loop.create_connection(make, "127.0.0.1", service.port))[1])
        await asyncio.sleep(0.1)
    await asyncio.sleep(1.0 if count else 0.0)
    yield
    for claimer in claimers:
        if claimer.transport:
            claimer.transport.close()


async def _deliver(service: Service, deliveries: Deliveries, seconds: float) -> None:
    """Spawn one task after the other, each when the last one has come to somebody."""
    connection = Connection(*await asyncio.open_connection("127.0.0.1", service.port))
    request = spawn(1)(b"")
    until = time.perf_counter() + seconds
    while request and time.perf_counter() < until:
        deliveries.came.clear()
        sent = time.perf_counter()
        answering = asyncio.create_task(connection.ask(request))
        async with asyncio.timeout(_DELIVERY_SECONDS):
            await deliveries.came.wait()
        deliveries.latencies.append(time.perf_counter() - sent)
        await answering
    connection.close()


def _render(situations: list[Situation]) -> str:
    header = ["what", "nobody waits", f"{WAITING:,} claims wait"]
    rows: list[list[Cell]] = [
        ["CPU of the service without other calls, % of one core", *(100 * each.cpu_share for each in situations)],
        ["creates per second, 32 connections", *(each.creates.rate for each in situations)],
        ["create: p50 ms", *(each.creates.latency(50) * 1e3 for each in situations)],
        ["create: p99 ms", *(each.creates.latency(99) * 1e3 for each in situations)],
        ["from a spawn to the claim that gets its task: p50 ms", *(_delivery(each, 50) for each in situations)],
        ["the same: p99 ms", *(_delivery(each, 99) for each in situations)],
    ]
    return render_table(header, rows)


def _delivery(situation: Situation, percent: int) -> Cell:
    latencies = situation.deliveries.latencies
    return quantiles(latencies, n=100)[percent - 1] * 1e3 if latencies else None
