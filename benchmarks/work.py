"""Spawning and working tasks over HTTP, as fast as a client can."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable

import uvloop

from benchmarks.calls import TASK
from benchmarks.http import make_request


class Connection:
    """One keep-alive HTTP/1.1 connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def post(self, target: str, body: bytes) -> bytes:
        """Return the body of the answer. Raises ValueError if it is a refusal."""
        return await self.ask(make_request("POST", target, body))

    async def ask(self, request: bytes) -> bytes:
        """Return the body of the answer to a whole request. Raises ValueError if it is a refusal."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        answer = await self._reader.readexactly(length)
        if head[9:10] != b"2":
            raise ValueError(answer.decode())
        return answer

    def close(self) -> None:
        """Close it."""
        self._writer.close()


Turn = Callable[[Connection, float], Awaitable[int]]
"""Works on one connection until a moment of the performance counter; how many tasks it did."""


def spawn_over_http(port: int, size: int, connections: int, seconds: float) -> float:
    """Return how many tasks are spawned a second, ``size`` with each call."""
    target, body = ("/v1/tasks", TASK) if size == 1 else ("/v1/tasks/batch", {"tasks": [TASK] * size})
    sent = json.dumps(body).encode()

    async def spawn(connection: Connection, until: float) -> int:
        tasks = 0
        while time.perf_counter() < until:
            await connection.post(target, sent)
            tasks += size
        return tasks

    return _run(port, connections, seconds, spawn)


def work_over_http(port: int, size: int, connections: int, seconds: float) -> float:
    """Return how many tasks are completed a second, ``size`` completed and as many claimed with each call."""

    async def work(connection: Connection, until: float) -> int:
        tasks = 0
        done: list[dict[str, object]] = []
        while time.perf_counter() < until:
            body = {"tasks": done, "claim": {"worker_id": "bench", "limit": size, "lease_seconds": 60}}
            answer = json.loads(await connection.post("/v1/queues/bench/complete", json.dumps(body).encode()))
            tasks += sum(outcome["status"] == 200 for outcome in answer["outcomes"])
            done = [{"task_id": t["task_id"], "lease_token": t["lease_token"], "result": 1} for t in answer["tasks"]]
        return tasks

    return _run(port, connections, seconds, work)


def _run(port: int, connections: int, seconds: float, turn: Turn) -> float:
    async def run() -> float:
        pool = [Connection(*await asyncio.open_connection("127.0.0.1", port, limit=2**24)) for _ in range(connections)]
        started = time.perf_counter()
        done = await asyncio.gather(*(turn(connection, started + seconds) for connection in pool))
        for connection in pool:
            connection.close()
        return sum(done) / (time.perf_counter() - started)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())
