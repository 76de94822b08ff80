"""The load: keep-alive connections that send the next request as soon as the last one is answered."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import quantiles

import uvloop

NextRequest = Callable[[bytes], bytes | None]
"""Gives the bytes of the next request, to the body of the last answer on the same connection, at first an empty one.

None when there is nothing left to ask.
"""


@dataclass(slots=True)
class Block:
    """What one stretch of load brought."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    """Of each answer, in seconds."""
    unexpected: dict[int, int] = field(default_factory=dict)
    """Answers with another status than the one asked for, by status."""
    last_body: bytes = b""

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds

    def latency(self, percent: int) -> float:
        """Return the latency that ``percent`` of the answers stay below, in seconds."""
        return quantiles(self.latencies, n=100)[percent - 1]


class _Connection(asyncio.Protocol):
    """One HTTP/1.1 connection; parses just enough of an answer to know its status and its end."""

    def __init__(self, block: Block, next_request: NextRequest, status: int, ends_at: float) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._block = block
        self._next_request = next_request
        self._status = status
        self._ends_at = ends_at
        self._received = b""
        self._sent_at = 0.0
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream's transport writes
        self._send(b"")

    def _send(self, last_body: bytes) -> None:
        request = self._next_request(last_body) if time.perf_counter() < self._ends_at else None
        if self._transport is None or request is None:
            self._finish()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def _finish(self) -> None:
        if self._transport is not None:
            self._transport.close()
        if not self.done.done():
            self.done.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0 or len(self._received) < head_end + 4 + _content_length(self._received, head_end):
            return
        self._block.latencies.append(time.perf_counter() - self._sent_at)
        status = int(self._received[9:12])
        if status != self._status:
            self._block.unexpected[status] = self._block.unexpected.get(status, 0) + 1
        self._block.last_body = self._received[head_end + 4 :]
        self._received = b""
        self._send(self._block.last_body)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the service closed a connection"))


def _content_length(received: bytes, head_end: int) -> int:
    start = received.find(b"content-length: ", 0, head_end) + 16
    return int(received[start : received.index(b"\r", start)])


async def drive_here(port: int, next_request: NextRequest, *, status: int, connections: int, seconds: float) -> Block:
    """Return what ``connections`` connections got in ``seconds``. Raises ValueError when a status is not ``status``."""
    loop = asyncio.get_running_loop()
    block = Block()
    started = time.perf_counter()
    pairs = [
        await loop.create_connection(
            lambda: _Connection(block, next_request, status, started + seconds), "127.0.0.1", port
        )
        for _ in range(connections)
    ]
    await asyncio.gather(*(connection.done for _, connection in pairs))
    block.seconds = time.perf_counter() - started
    if block.unexpected:
        raise ValueError(f"expected only {status}, got {block.unexpected}; the last answer: {block.last_body!r}")
    return block


def drive(port: int, next_request: NextRequest, *, status: int, connections: int, seconds: float) -> Block:
    """Do what `drive_here` does, in an event loop of its own."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(drive_here(port, next_request, status=status, connections=connections, seconds=seconds))
