"""Absurd's stored functions, called directly over connections of their own: no HTTP in between."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import absurdctl
import psycopg
import uvloop
from psycopg import sql
from psycopg.types.json import Jsonb
from sqlalchemy import make_url

from benchmarks.postgres import connect

_SPAWN = "SELECT task_id FROM absurd.spawn_task('bench', 'count', %s, '{}'::jsonb)"
_SPAWN_MANY = """
SELECT spawned.task_id
FROM generate_series(1, %s) n, LATERAL absurd.spawn_task('bench', 'count', jsonb_build_object('n', n), '{}') spawned
"""
_CLAIM = "SELECT run_id FROM absurd.claim_task('bench', 'bench', 60, %s)"
_COMPLETE = "SELECT absurd.complete_run('bench', run_id, %s) FROM unnest(%s::uuid[]) AS run_id"
_TASKS_PER_SECOND = 3_000
"""More than it works."""


@dataclass(frozen=True, slots=True)
class Absurd:
    """A database with Absurd's schema and one queue."""

    url: str

    def spawn(self, size: int, connections: int, seconds: float) -> float:
        """Return how many tasks are spawned a second, ``size`` in each statement."""

        async def spawn(connection: psycopg.AsyncConnection[Any], until: float) -> int:
            tasks = 0
            while time.perf_counter() < until:
                if size == 1:
                    await connection.execute(_SPAWN, [Jsonb({"n": 1})])
                else:
                    await connection.execute(_SPAWN_MANY, [size])
                tasks += size
            return tasks

        return self._run(connections, seconds, spawn)

    def work(self, size: int, connections: int, seconds: float) -> float:
        """Return how many tasks are completed a second: ``size`` claimed, then completed in one statement."""
        self._fill(round(seconds * _TASKS_PER_SECOND))

        async def work(connection: psycopg.AsyncConnection[Any], until: float) -> int:
            tasks = 0
            while time.perf_counter() < until:
                rows = await (await connection.execute(_CLAIM, [size])).fetchall()
                await connection.execute(_COMPLETE, [Jsonb(1), [row[0] for row in rows]])
                tasks += len(rows)
            return tasks

        return self._run(connections, seconds, work)

    def _fill(self, tasks: int) -> None:
        with connect(self.url) as database:
            database.execute("SELECT absurd.drop_queue('bench')")
            database.execute("SELECT absurd.create_queue('bench')")
            database.execute(_SPAWN_MANY, [tasks])
            database.execute("ANALYZE")

    def _run(
        self, connections: int, seconds: float, turn: Callable[[psycopg.AsyncConnection[Any], float], Awaitable[int]]
    ) -> float:
        async def run() -> float:
            pool = [await psycopg.AsyncConnection.connect(self.url, autocommit=True) for _ in range(connections)]
            started = time.perf_counter()
            done = await asyncio.gather(*(turn(connection, started + seconds) for connection in pool))
            took = time.perf_counter() - started
            for connection in pool:
                await connection.close()
            return sum(done) / took

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(run())


@contextmanager
def running_absurd(server_url: str) -> Iterator[Absurd]:
    """Give a database on this server with Absurd's own schema."""
    with connect(server_url) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier("absurd")))
    url = make_url(server_url).set(database="absurd").render_as_string(hide_password=False)
    with connect(url) as database:
        database.execute(absurdctl.BUNDLED_SCHEMA_SQL)
        database.execute("SELECT absurd.create_queue('bench')")
    yield Absurd(url)
