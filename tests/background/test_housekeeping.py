"""The loops themselves: they go on whatever happens to a round."""

import asyncio

import pytest

from app.background.housekeeping import ROWS_PER_ROUND, Chore, Housekeeping
from app.db.engine import Database, Tx
from tests.waiting import eventually


class Rounds:
    """A chore that counts its rounds, fails in the first ones, and does as many rows as it is told."""

    def __init__(self, *, failing: int = 0, rows: int = 0) -> None:
        self.failing = failing
        self.rows = rows
        self.done = 0

    async def __call__(self, tx: Tx, most: int) -> int:
        self.done += 1
        if self.done <= self.failing:
            raise RuntimeError("this round fails")
        return min(self.rows, most)

    async def reached(self, rounds: int) -> None:
        async def look() -> bool:
            return self.done >= rounds

        await eventually(look)


async def keep(database: Database, rounds: Rounds, pause_seconds: float, until: int) -> list[str]:
    """Let the chore go on until its round ``until``; return what was overdue at the end."""
    housekeeping = Housekeeping(database, [Chore("counting", rounds, pause_seconds)])
    housekeeping.start()
    try:
        await rounds.reached(until)
        return housekeeping.overdue(60)
    finally:
        await housekeeping.stop()


class TestHousekeeping:
    async def test_failing_round_is_followed_by_the_next(self, database: Database) -> None:
        assert await keep(database, Rounds(failing=3), 0.01, until=5) == []

    async def test_full_round_is_followed_at_once(self, database: Database) -> None:
        async with asyncio.timeout(2):
            await keep(database, Rounds(rows=ROWS_PER_ROUND), 3600, until=10)

    async def test_chore_that_never_succeeds_is_overdue(self, database: Database) -> None:
        rounds = Rounds(failing=1_000_000)
        housekeeping = Housekeeping(database, [Chore("failing", rounds, 0.01)])
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

        housekeeping = Housekeeping(database, [Chore("forever", forever, 1)])
        housekeeping.start()
        await under_way.wait()
        async with asyncio.timeout(2):
            await housekeeping.stop()

    @pytest.mark.parametrize("rows", [0, 1, ROWS_PER_ROUND - 1])
    async def test_round_that_was_not_full_is_followed_by_a_pause(self, database: Database, rows: int) -> None:
        chore = Rounds(rows=rows)
        housekeeping = Housekeeping(database, [Chore("resting", chore, 3600)])
        housekeeping.start()
        await chore.reached(1)
        for _ in range(5):
            async with database.transaction():
                pass
        await housekeeping.stop()
        assert chore.done == 1
