"""Who waits for what, and how they learn of it: in this process at once, in other replicas by NOTIFY."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

import psycopg
import structlog

from app.db.engine import read_url
from app.metrics import LISTENING, WAITERS

CHANNEL = "milepost"
PAYLOAD_MOST = 7_000
"""Bytes in one NOTIFY; Postgres takes less than 8,000."""
DEAF_LOOK_SECONDS = 1.0
"""How often the waiting look for themselves while no notification can be heard."""
LISTENING_LOOK_SECONDS = 15.0
"""How often they look although one can: a replica may die between its commit and its NOTIFY."""
RECONNECT_SECONDS = 0.5

log = structlog.get_logger()


class Waiter:
    """Somebody who waits for news of a topic."""

    def __init__(self, wakeups: "Wakeups") -> None:
        self._wakeups = wakeups
        self._news = asyncio.Event()

    def wake(self) -> None:
        """Say that there is news."""
        self._news.set()

    async def wait(self, seconds: float) -> None:
        """Return when there is news since the last call, when it is time to look anyway, or after ``seconds``."""
        look = LISTENING_LOOK_SECONDS if self._wakeups.listening else DEAF_LOOK_SECONDS
        with suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, look)):
                await self._news.wait()
        self._news.clear()


class Wakeups:
    """Topics with news reach the waiters of this process at once, and those of other replicas by LISTEN.

    A NOTIFY never stands inside a transaction that writes: it is sent afterwards, one for all topics that have
    gathered while the last one was under way.
    """

    def __init__(self, url: str) -> None:
        self._url = _direct(url)
        self._name = uuid4().hex
        self._waiters: defaultdict[str, set[Waiter]] = defaultdict(set)
        self._hooks: dict[str, Callable[[], None]] = {}
        self._unsent: set[str] = set()
        self._something_unsent = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.listening = False
        self.draining = False

    async def start(self) -> None:
        """Begin to listen to other replicas and to tell them."""
        self._tasks = [asyncio.create_task(self._keep(self._listen)), asyncio.create_task(self._keep(self._notify))]

    async def stop(self) -> None:
        """Stop listening and telling."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def drain(self) -> None:
        """Let everybody go: the process is about to stop."""
        self.draining = True
        self._wake(list(self._waiters))

    def on(self, topic: str, hook: Callable[[], None]) -> None:
        """Call ``hook`` whenever there is, or may have been, news of ``topic``."""
        self._hooks[topic] = hook

    @contextmanager
    def waiting(self, topic: str) -> Iterator[Waiter]:
        """Give a waiter for news of ``topic``; take it before looking, so that nothing is missed in between."""
        waiter = Waiter(self)
        self._waiters[topic].add(waiter)
        WAITERS.inc()
        try:
            yield waiter
        finally:
            WAITERS.dec()
            self._waiters[topic].discard(waiter)
            if not self._waiters[topic]:
                del self._waiters[topic]

    def publish(self, topics: set[str]) -> None:
        """Wake everybody who waits for one of ``topics``, in all replicas."""
        self._wake(topics)
        self._unsent |= topics
        self._something_unsent.set()

    def _wake(self, topics: Iterable[str]) -> None:
        for topic in topics:
            for waiter in self._waiters.get(topic, ()):
                waiter.wake()
            if hook := self._hooks.get(topic):
                hook()

    def _wake_all(self) -> None:
        self._wake([*self._waiters, *self._hooks])

    async def _keep(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do ``work`` again whenever its connection breaks."""
        while True:
            try:
                await work()
            except (psycopg.Error, OSError) as failure:
                log.warning("wakeups_connection_lost", error=str(failure).strip())
                await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self) -> None:
        try:
            async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
                await connection.execute(f"LISTEN {CHANNEL}")
                self.listening = True
                LISTENING.set(1)
                self._wake_all()
                async for notification in connection.notifies():
                    message = json.loads(notification.payload)
                    if message["from"] != self._name:
                        self._wake(message["topics"])
        finally:
            self.listening = False
            LISTENING.set(0)
            self._wake_all()

    async def _notify(self) -> None:
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
            while True:
                await self._something_unsent.wait()
                self._something_unsent.clear()
                topics, self._unsent = self._unsent, set()
                try:
                    await _send(connection, self._name, topics)
                except psycopg.Error:
                    self.publish(topics)
                    raise


async def send_wakeups(url: str, topics: set[str]) -> None:
    """Tell all replicas of news of ``topics``, from outside of any."""
    if topics:
        async with await psycopg.AsyncConnection.connect(_direct(url), autocommit=True) as connection:
            await _send(connection, "outside", topics)


async def _send(connection: psycopg.AsyncConnection[Any], sender: str, topics: set[str]) -> None:
    for part in _in_parts(sorted(topics)):
        payload = json.dumps({"from": sender, "topics": part})
        await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, payload))


def _direct(url: str) -> str:
    """Return ``url`` as libpq writes it."""
    return read_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _in_parts(topics: Sequence[str]) -> Iterator[list[str]]:
    """Yield ``topics`` in parts that each fit into one notification."""
    part: list[str] = []
    size = 0
    for topic in topics:
        if part and size + len(topic) > PAYLOAD_MOST:
            yield part
            part, size = [], 0
        part.append(topic)
        size += len(topic.encode()) + 4
    if part:
        yield part
