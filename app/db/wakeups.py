"""Who waits for what, and how they learn of it: in this process at once, in other replicas by NOTIFY."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any
from uuid import uuid4

import psycopg
import structlog

from app.db.engine import CONNECT_ARGS, read_url
from app.db.outages import Outage, describe_failure
from app.db.sessions import Sessions
from app.metrics import LISTENING, WAITERS

CHANNEL = "milepost"
PAYLOAD_MOST = 7_000
"""Bytes in one NOTIFY; Postgres takes less than 8,000."""
DEAF_LOOK_SECONDS = 1.0
"""How often the waiting look for themselves while no notification can be heard."""
LISTENING_LOOK_SECONDS = 15.0
"""How often they look although one can: a replica may die between its commit and its NOTIFY."""
NUMBER_BYTES = 12
"""For a separator, and for the number that a queue has beside it."""
RECONNECT_SECONDS = 0.5
STEADY_SECONDS = 10.0
"""A connection that held longer was a good one: its loss is a new one."""
TRIES_UNTOLD = 3
"""After how many failures in a row it is told: by then it is known whether the whole database is away."""
ECHO_SECONDS = 5.0
"""How soon a notification of one's own has to come back."""
PROVE_SECONDS = 15.0
"""How often one is sent to see whether they do: a pooler may hand out another session at any time."""
SESSION_SECONDS = 10.0
STOP_SECONDS = 1.0
"""How long a stop waits until the other replicas are told."""

log = structlog.get_logger()


def queue_topic(queue: str, *, choosy: bool = False) -> str:
    """Return the topic of ready tasks on ``queue``; ``choosy`` claimers, who take only some, are woken all."""
    return f"{'choosy' if choosy else 'queue'}:{queue}"


class Waiter:
    """Somebody who waits for news of a topic."""

    def __init__(self, wakeups: "Wakeups") -> None:
        self._wakeups = wakeups
        self._news = asyncio.Event()

    @property
    def is_woken(self) -> bool:
        """Whether there is news that was not looked at yet."""
        return self._news.is_set()

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

    def __init__(self, url: str, outage: Outage | None = None) -> None:
        self._outage = outage or Outage()
        self._url = _direct(url)
        self._name = uuid4().hex
        self._waiters: defaultdict[str, dict[Waiter, None]] = defaultdict(dict)
        self._hooks: dict[str, Callable[[], None]] = {}
        self._unsent: set[str] = set()
        self._unsent_ready: Counter[str] = Counter()
        self._something_unsent = asyncio.Event()
        self._all_sent = asyncio.Event()
        self._all_sent.set()
        self._echo_due = False
        self._echoed = asyncio.Event()
        self._begun = asyncio.Event()
        """Set from LISTEN on a connection until that is lost."""
        self._lost = asyncio.Event()
        self._sessions = Sessions(SESSION_SECONDS)
        self._connections: list[asyncio.Task[None]] = []
        self._proving: asyncio.Task[None] | None = None
        self._is_deafness_told = False
        self.listening = False
        """Whether what other replicas say is heard: notifications of one's own come back."""
        self.draining = False

    async def start(self) -> None:
        """Begin to listen to other replicas and to tell them."""
        await self._connect_anew()
        self._proving = asyncio.create_task(self._prove())

    async def stop(self) -> None:
        """Tell what there is to tell, then stop listening and telling."""
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await self._all_sent.wait()
        tasks = [*self._connections, *([self._proving] if self._proving else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connect_anew(self) -> None:
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        self._connections = [asyncio.create_task(self._keep(work)) for work in (self._listen, self._notify)]

    def drain(self) -> None:
        """Let everybody go: the process is about to stop."""
        self.draining = True
        self._wake(list(self._waiters))

    def on(self, topic: str, hook: Callable[[], None]) -> None:
        """Call ``hook`` whenever there is, or may have been, news of ``topic``."""
        self._hooks[topic] = hook

    @contextmanager
    def waiting(self, *topics: str) -> Iterator[Waiter]:
        """Give a waiter for news of ``topics``; take it before looking, so that nothing is missed in between."""
        waiter = Waiter(self)
        for topic in topics:
            self._waiters[topic][waiter] = None
        WAITERS.inc()
        try:
            yield waiter
        finally:
            WAITERS.dec()
            for topic in topics:
                self._leave(topic, waiter)

    def _leave(self, topic: str, waiter: Waiter) -> None:
        self._waiters[topic].pop(waiter, None)
        if waiter.is_woken:
            self._wake_one(topic)
        if not self._waiters[topic]:
            del self._waiters[topic]

    def publish(self, topics: set[str], ready: Mapping[str, int] | None = None) -> None:
        """Wake everybody who waits for one of ``topics``, and for each queue as many as tasks got ready there.

        So in all replicas; of those who wait for a queue, who has waited longest is woken first.
        """
        self._wake(topics)
        self._wake_claimers(ready or {})
        self._unsent |= topics
        self._unsent_ready.update(ready or {})
        self._something_unsent.set()
        self._all_sent.clear()

    def _wake_claimers(self, ready: Mapping[str, int]) -> None:
        for queue, tasks in ready.items():
            asleep = (waiter for waiter in self._waiters.get(queue_topic(queue), ()) if not waiter.is_woken)
            for waiter in list(islice(asleep, tasks)):
                waiter.wake()
            self._wake([queue_topic(queue, choosy=True)])

    def _wake_one(self, topic: str) -> None:
        """Hand on the news that came for one who leaves without having looked at it: nobody else was told."""
        if heir := next((waiter for waiter in self._waiters[topic] if not waiter.is_woken), None):
            heir.wake()

    def _wake(self, topics: Iterable[str]) -> None:
        for topic in topics:
            for waiter in self._waiters.get(topic, ()):
                waiter.wake()
            if hook := self._hooks.get(topic):
                hook()

    def _wake_all(self) -> None:
        self._wake([*self._waiters, *self._hooks])

    async def _keep(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do ``work`` again whenever its connection breaks; tell it once where the database itself is there."""
        clock = asyncio.get_running_loop().time
        tries = 0
        while True:
            began = clock()
            try:
                await work()
            except (psycopg.Error, OSError) as failure:
                tries = 1 if clock() - began > STEADY_SECONDS else tries + 1
                if tries == TRIES_UNTOLD and not self._outage.is_under_way:
                    log.warning("wakeups_connection_lost", error=describe_failure(failure))
                await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self) -> None:
        try:
            async with await self._connect() as connection:
                await connection.execute(f"LISTEN {CHANNEL}")
                self._begun.set()
                self._lost.clear()
                async for notification in connection.notifies():
                    self._hear(notification.payload)
        finally:
            self._begun.clear()
            self._lost.set()
            self._set_listening(listening=False)

    async def _prove(self) -> None:
        """Let notifications of one's own come back, again and again; where they do not, connect anew.

        A pooler takes a LISTEN and lets no notification through, and a server that was replaced has none to bring.
        `asyncio.wait_for` would not do: in Python 3.11 it swallows a stop that comes with what it waits for.
        """
        while True:
            await self._begun.wait()
            self._echoed.clear()
            self._echo_due = True
            self._something_unsent.set()
            try:
                async with asyncio.timeout(ECHO_SECONDS):
                    await self._echoed.wait()
            except TimeoutError:
                self._tell_deafness()
                self._set_listening(listening=False)
                await self._connect_anew()
            else:
                self._is_deafness_told = False
                self._set_listening(listening=True)
                with suppress(TimeoutError):
                    async with asyncio.timeout(PROVE_SECONDS):
                        await self._lost.wait()

    def _set_listening(self, *, listening: bool) -> None:
        if listening != self.listening:
            self.listening = listening
            LISTENING.set(listening)
            self._wake_all()

    def _tell_deafness(self) -> None:
        if not self._is_deafness_told and not self._outage.is_under_way:
            log.warning(
                "notifications_do_not_come_back",
                consequence=f"who waits looks every {DEAF_LOOK_SECONDS:.0f} s",
                remedy="behind a pooler set MILEPOST_LISTEN_URL to a direct address of the database",
            )
            self._is_deafness_told = True

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        return await self._sessions.open(self._url, prepare_threshold=None)

    def _hear(self, payload: str) -> None:
        """Wake whom a notification is for; everybody may send one, so one that is not understood is passed over."""
        try:
            message = json.loads(payload)
            if message["from"] == self._name:
                self._echoed.set()
            else:
                self._wake(message.get("topics", ()))
                self._wake_claimers(message.get("ready", {}))
        except (ValueError, LookupError, TypeError, AttributeError):
            log.warning("wakeup_not_understood", payload=payload[:200])

    async def _notify(self) -> None:
        async with await self._connect() as connection:
            while True:
                await self._something_unsent.wait()
                self._something_unsent.clear()
                topics, self._unsent = self._unsent, set()
                ready, self._unsent_ready = self._unsent_ready, Counter()
                echo, self._echo_due = self._echo_due, False
                try:
                    await _send(connection, self._name, topics, ready, echo=echo)
                except (psycopg.Error, asyncio.CancelledError):
                    self.publish(topics, ready)
                    raise
                if not self._something_unsent.is_set():
                    self._all_sent.set()


async def send_wakeups(url: str, topics: set[str]) -> None:
    """Tell all replicas of news of ``topics``, from outside of any."""
    if topics:
        async with await _connect(_direct(url)) as connection:
            await _send(connection, "outside", topics, {})


async def _send(
    connection: psycopg.AsyncConnection[Any],
    sender: str,
    topics: set[str],
    ready: Mapping[str, int],
    *,
    echo: bool = False,
) -> None:
    messages: list[dict[str, Any]] = [{}] if echo else []
    messages += [{"topics": part} for part in _in_parts(sorted(topics))]
    messages += [{"ready": {queue: ready[queue] for queue in part}} for part in _in_parts(sorted(ready))]
    for message in messages:
        payload = json.dumps({"from": sender, **message})
        await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, payload))


async def _connect(url: str) -> psycopg.AsyncConnection[Any]:
    return await psycopg.AsyncConnection.connect(url, autocommit=True, prepare_threshold=None)


def _direct(url: str) -> str:
    """Return ``url`` as libpq writes it, so that a dead connection is found also when nothing is said on it."""
    target = read_url(url).set(drivername="postgresql")
    missing = {name: str(value) for name, value in CONNECT_ARGS.items() if name not in target.query}
    return target.update_query_dict(missing).render_as_string(hide_password=False)


def _in_parts(topics: Sequence[str]) -> Iterator[list[str]]:
    """Yield ``topics`` in parts that each fit into one notification."""
    part: list[str] = []
    size = 0
    for topic in topics:
        more = len(json.dumps(topic)) + NUMBER_BYTES
        if part and size + more > PAYLOAD_MOST:
            yield part
            part, size = [], 0
        part.append(topic)
        size += more
    if part:
        yield part
