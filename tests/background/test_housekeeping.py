"""The loops themselves: they go on whatever happens to a round."""

import asyncio
import os
from typing import Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import make_url, text
from sqlalchemy.exc import OperationalError

from app.background.housekeeping import ROUNDS_AT_ONCE, Housekeeping
from app.background.rounds import ROWS_PER_ROUND, Sweep
from app.background.turns import FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS, pause_after
from app.db.engine import Database, Tx
from tests.conftest import SERVER, connect, make_client
from tests.replicas import running_app
from tests.waiting import PROMPT_SECONDS, eventually


class Rounds:
    """A chore that counts its rounds, fails in the first ones, and does as many rows as it is told."""

    def __init__(self, *, failing: int = 0, rows: int = 0, failure: Exception | None = None) -> None:
        self.failing = failing
        self.rows = rows
        self.failure = failure or RuntimeError("this round fails")
        self.done = 0

    async def __call__(self, tx: Tx, most: int) -> int:
        self.done += 1
        if self.done <= self.failing:
            raise self.failure
        return min(self.rows, most)

    async def reached(self, rounds: int) -> None:
        async def look() -> bool:
            return self.done >= rounds

        await eventually(look)


async def keep(database: Database, rounds: Rounds, pause_seconds: float, until: int) -> list[str]:
    """Let the chore go on until its round ``until``; return what was overdue at the end."""
    housekeeping = Housekeeping(database, [Sweep("counting", rounds, pause_seconds)])
    housekeeping.start()
    try:
        await rounds.reached(until)
        return housekeeping.overdue(60)
    finally:
        await housekeeping.stop()


class TestHousekeeping:
    async def test_failing_round_is_followed_by_the_next(self, database: Database) -> None:
        assert await keep(database, Rounds(failing=3), 0.01, until=5) == []

    async def test_failing_round_is_followed_within_seconds_however_long_the_chore_rests(
        self, database: Database
    ) -> None:
        assert await keep(database, Rounds(failing=3), 3600, until=4) == []

    async def test_full_round_is_followed_at_once(self, database: Database) -> None:
        async with asyncio.timeout(PROMPT_SECONDS):
            await keep(database, Rounds(rows=ROWS_PER_ROUND), 3600, until=10)

    async def test_chore_that_never_succeeds_is_overdue(self, database: Database) -> None:
        rounds = Rounds(failing=1_000_000)
        housekeeping = Housekeeping(database, [Sweep("failing", rounds, 0.01)])
        housekeeping.start()

        async def overdue() -> bool:
            return housekeeping.overdue(0.05) == ["failing"]

        await eventually(overdue)
        await housekeeping.stop()

    async def test_it_stops_in_the_middle_of_a_round(self, database: Database) -> None:
        under_way = asyncio.Event()

        async def forever(tx: Tx, most: int) -> int:
            under_way.set()
            await asyncio.Event().wait()
            return most

        housekeeping = Housekeeping(database, [Sweep("forever", forever, 1)])
        housekeeping.start()
        await under_way.wait()
        async with asyncio.timeout(PROMPT_SECONDS):
            await housekeeping.stop()

    @pytest.mark.parametrize("rows", [0, 1, ROWS_PER_ROUND - 1])
    async def test_round_that_was_not_full_is_followed_by_a_pause(self, database: Database, rows: int) -> None:
        chore = Rounds(rows=rows)
        housekeeping = Housekeeping(database, [Sweep("resting", chore, 3600)])
        housekeeping.start()
        await chore.reached(1)
        for _ in range(5):
            async with database.transaction():
                pass
        await housekeeping.stop()
        assert chore.done == 1

    async def test_pause_ends_when_there_is_something_to_do(self, database: Database) -> None:
        chore = Rounds()
        housekeeping = Housekeeping(database, [Sweep("resting", chore, 3600)])
        housekeeping.start()
        for rounds in range(1, 5):
            async with asyncio.timeout(PROMPT_SECONDS):
                await chore.reached(rounds)
            housekeeping.hurry("resting")
        await housekeeping.stop()

    async def test_few_chores_are_done_at_the_same_time(self, database: Database) -> None:
        under_way, most = 0, 0

        async def work(_tx: Tx, _most: int) -> int:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.01)
            under_way -= 1
            return 0

        last = Rounds()
        chores = [
            *(Sweep(f"chore {number}", work, 0.01) for number in range(2 * ROUNDS_AT_ONCE)),
            Sweep("l", last, 0.01),
        ]
        housekeeping = Housekeeping(database, chores)
        housekeeping.start()
        await last.reached(10)
        await housekeeping.stop()
        assert 1 < most <= ROUNDS_AT_ONCE


class TestOutages:
    @pytest.mark.parametrize("failures", [1, 2, 5, 100, 100_000])
    def test_pauses_grow_to_a_few_seconds(self, failures: int) -> None:
        assert FIRST_PAUSE_SECONDS / 2 <= pause_after(failures) <= LAST_PAUSE_SECONDS

    async def test_chores_take_turns_while_the_database_is_away(self, database: Database) -> None:
        under_way: list[int] = []
        most: list[int] = []
        is_away = True

        async def look(tx: Tx, _most: int) -> int:
            under_way.append(1)
            most.append(len(under_way))
            await asyncio.sleep(0)
            under_way.pop()
            if is_away:
                raise OperationalError("SELECT", {}, Exception("connection refused"))
            await tx.execute(text("SELECT 1"))
            return 0

        housekeeping = Housekeeping(database, [Sweep(f"chore_{number}", look, 60) for number in range(15)])
        housekeeping.start()

        async def tried(times: int) -> bool:
            return len(most) >= times

        await eventually(lambda: tried(18))
        assert max(most[15:]) == 1
        is_away = False
        await eventually(lambda: tried(18 + 15))
        assert housekeeping.overdue(0) == []
        await housekeeping.stop()

    async def test_chore_of_once_a_minute_that_met_an_interruption_is_done_within_seconds(
        self, new_database: Any
    ) -> None:
        url = new_database()
        name = make_url(url).database
        done: list[int] = []

        async def count(tx: Tx, most: int) -> int:
            await tx.execute(text("SELECT 1"))
            done.append(most)
            return 0

        async def is_done() -> bool:
            return bool(done)

        async def is_ready() -> bool:
            return (await client.get("/readyz")).status_code == 200

        async with running_app(url) as app, make_client(app) as client:
            housekeeping = Housekeeping(app.state.kernel.database, [Sweep("once_a_minute", count, 60)])
            with connect(os.environ[SERVER]) as server:
                server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
                server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
                housekeeping.start()
                await eventually(lambda: _has_failed("once_a_minute"))
                server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())
            await eventually(is_done)
            await eventually(is_ready)
            assert housekeeping.overdue(30) == []
            await housekeeping.stop()


async def _has_failed(chore: str) -> bool:
    failures = REGISTRY.get_sample_value("milepost_housekeeping_failures_total", {"loop": chore})
    return bool(failures)
