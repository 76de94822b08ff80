"""Lines that handlers write go to the logs of their tasks: in the background, bounded, and never in the way of work."""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from milepost.client.client import AsyncClient
from milepost.client.encoding import write_json
from milepost.client.exceptions import (
    InternalError,
    MilepostError,
    Unavailable,
    UnreachableError,
    UnreadableAnswerError,
)
from milepost.schemas.logs import LINES_A_CALL, TEXT_BYTES_MOST, LogLevel

SEND_SECONDS = 0.5
"""How often what was written is sent."""
END_SECONDS = 1.0
"""How long the end of a task, and of a worker, waits for its last lines to be sent."""
BYTES_MOST = 8 * 1024 * 1024
"""What a worker keeps at most that is not sent yet; further lines are dropped, counted and told of."""
LINES_MOST = 20_000
CALL_BYTES_MOST = 256 * 1024
FIELDS_BYTES_MOST = 64 * 1024
LINE_BYTES = 100
"""What a line takes beside its text and fields."""
DEPTH_MOST = 20
SENDERS_MOST = 4
log = logging.getLogger("milepost.worker")


class Line(NamedTuple):
    """A line that was not sent yet."""

    body: Mapping[str, Any]
    size: int


class Sent(NamedTuple):
    """Lines under way: sent again they are known by their key."""

    lines: list[Line]
    key: str


class TaskLog:
    """The log of one attempt; lines may come from any thread."""

    def __init__(self, logs: "TaskLogs", task_id: UUID, now: Callable[[], datetime]) -> None:
        self.task_id = task_id
        self.dropped = 0
        self.waiting: deque[Line] = deque()
        self.under_way: Sent | None = None
        self.sending = asyncio.Lock()
        self._logs = logs
        self._now = now
        self._rest = ""

    def add(self, text: str, level: str = LogLevel.info, fields: Mapping[str, Any] | None = None) -> None:
        """Take a line that is sent later. Raises ValueError for a level that there is not."""
        kept = _clean(text).encode()[:TEXT_BYTES_MOST].decode(errors="ignore")
        body = {"text": kept, "level": LogLevel(level).value, "at": self._now(), "fields": _read_fields(fields or {})}
        self._logs.take(self, Line(body, len(kept.encode()) + len(write_json(body["fields"])) + LINE_BYTES))

    def write(self, text: str) -> None:
        """Take printed text: each whole line of it, and the rest once its end has come."""
        *lines, self._rest = (self._rest + text).split("\n")
        if len(self._rest) > TEXT_BYTES_MOST:
            lines, self._rest = [*lines, self._rest], ""
        for line in lines:
            self.add(line.rstrip("\r"))

    def end_line(self) -> None:
        """Take the rest of what was printed as a line."""
        if self._rest:
            self.write("\n")


class TaskLogs:
    """The logs of the tasks that a worker works: what they hold is sent while it runs."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._logs: dict[int, TaskLog] = {}
        self._size = 0
        self._count = 0
        self._lock = threading.Lock()
        self._is_away = False
        self._senders = asyncio.Semaphore(SENDERS_MOST)

    def open(self, task_id: UUID, now: Callable[[], datetime]) -> TaskLog:
        """Return the log of an attempt; ``now`` is the service's time."""
        return TaskLog(self, task_id, now)

    def take(self, of: TaskLog, line: Line) -> None:
        """Keep a line until it is sent; one for which there is no room is dropped."""
        with self._lock:
            self._logs[id(of)] = of
            if self._size + line.size > BYTES_MOST or self._count >= LINES_MOST:
                of.dropped += 1
                return
            of.waiting.append(line)
            self._size += line.size
            self._count += 1

    async def keep_sending(self) -> None:
        """Send what was written, every while."""
        while True:
            await asyncio.sleep(SEND_SECONDS)
            try:
                await self._send_all()
            except Exception:
                log.exception("logs_failed")

    async def _send_all(self) -> None:
        with self._lock:
            logs = list(self._logs.values())
        await asyncio.gather(*(self._send(each) for each in logs))

    async def end(self, of: TaskLog) -> None:
        """Send the last lines of an attempt, unless the service is away or slow: then they follow later."""
        of.end_line()
        if id(of) in self._logs and not self._is_away:
            with suppress(TimeoutError):
                async with asyncio.timeout(END_SECONDS):
                    await self._send(of)

    async def close(self) -> None:
        """Send all that is left, as far as that does not take long, and tell what is lost."""
        with suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await self._send_all()
        for of in self._logs.values():
            under_way = of.under_way.lines if of.under_way else []
            self._tell_lost(of, of.dropped + len(of.waiting) + len(under_way), "the worker has stopped")

    async def _send(self, of: TaskLog) -> None:
        """Send the lines of one log in their order, until there are none or the service is away."""
        async with of.sending, self._senders:
            while (chunk := self._next(of)) is not None:
                try:
                    bodies: Any = [line.body for line in chunk.lines]
                    await self._client.append_task_logs(of.task_id, bodies, idempotency_key=chunk.key)
                except (UnreachableError, UnreadableAnswerError, Unavailable, InternalError):
                    self._is_away = True
                    return
                except (MilepostError, TypeError, ValueError) as error:
                    self._tell_lost(of, len(chunk.lines), str(error))
                self._is_away = False
                self._forget(of, chunk)

    def _next(self, of: TaskLog) -> Sent | None:
        """Return what is sent next: the same again, as long as it is not known to have arrived."""
        if of.under_way is not None:
            return of.under_way
        with self._lock:
            if of.dropped and self._count < LINES_MOST:
                self._add_gap(of)
            lines: list[Line] = []
            size = 0
            while of.waiting and len(lines) < LINES_A_CALL and (not lines or size < CALL_BYTES_MOST):
                lines.append(of.waiting.popleft())
                size += lines[-1].size
            if not lines:
                self._logs.pop(id(of), None)
                return None
        of.under_way = Sent(lines, str(uuid4()))
        return of.under_way

    def _add_gap(self, of: TaskLog) -> None:
        """Say in the log itself that lines are missing there."""
        text = f"{of.dropped} lines were dropped here: the worker could not send them in time"
        log.warning("log_lines_dropped", extra={"task_id": str(of.task_id), "lines": of.dropped})
        at = of.waiting[-1].body["at"] if of.waiting else None
        body: dict[str, Any] = {"text": text, "level": LogLevel.warning.value, "fields": {"dropped": of.dropped}}
        of.waiting.append(Line(body if at is None else {**body, "at": at}, LINE_BYTES))
        of.dropped = 0
        self._size += LINE_BYTES
        self._count += 1

    def _forget(self, of: TaskLog, chunk: Sent) -> None:
        of.under_way = None
        with self._lock:
            self._size -= sum(line.size for line in chunk.lines)
            self._count -= len(chunk.lines)

    def _tell_lost(self, of: TaskLog, lines: int, why: str) -> None:
        if lines:
            log.warning("log_lines_lost", extra={"task_id": str(of.task_id), "lines": lines, "error": why})


def _clean(text: str) -> str:
    """Return ``text`` without what JSON or Postgres cannot carry."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def _read_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``fields`` as JSON can carry them; what it has no form for is written as text."""
    plain = {_clean(str(name)): _read_value(value, DEPTH_MOST) for name, value in fields.items()}
    size = len(write_json(plain))
    return plain if size <= FIELDS_BYTES_MOST else {"left_out": f"{size} bytes of fields"}


def _read_value(value: Any, depth: int) -> Any:
    match value:
        case None | bool():
            return value
        case int() | float() if abs(value) < 1e300:  # noqa: PLR2004 - neither NaN nor too large for a number
            return value
        case dict() if depth:
            return {_clean(str(name)): _read_value(inner, depth - 1) for name, inner in value.items()}
        case list() | tuple() | set() if depth:
            return [_read_value(inner, depth - 1) for inner in value]
    try:
        return _clean(str(value))
    except Exception:  # noqa: BLE001 - whatever a value does when it is written, the work goes on
        return f"<{type(value).__name__}>"
