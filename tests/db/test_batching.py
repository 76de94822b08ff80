"""Calls that share a transaction: each gets its own answer, whatever happens to the others."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.db.batching import Batcher
from app.db.engine import Database, Tx
from app.db.failures import explain_failure
from app.errors import NotFound, Refusal, Unavailable
from app.settings import Settings
from tests.conftest import make_settings
from tests.waiting import PATIENCE_SECONDS


class Silent:
    """Tells nobody."""

    def publish(self, topics: set[str], ready: Any = None) -> None:
        """Do nothing."""


class Calls:
    """Work that notes which items shared a transaction."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    async def work(self, tx: Tx, items: Sequence[str]) -> Sequence[str | Refusal]:
        """Return each item, after what its name says."""
        self.batches.append(list(items))
        if "divide" in items:
            await tx.execute(text("SELECT 1 / 0"))
        if "break" in items:
            await tx.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        if "miscount" in items and len(items) > 1:
            return []
        shared = (await tx.execute(text("SELECT pg_current_xact_id()::text"))).scalar_one()
        return [NotFound("not there") if item == "refuse" else f"{item} {shared}" for item in items]


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def batcher(database: Database, calls: Calls) -> Batcher[str, str]:
    return Batcher(database, calls.work)


async def ask(batcher: Batcher[str, str], *items: str) -> list[Any]:
    """Return the outcome of each item; the first goes alone, the others gather behind it."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        return list(await asyncio.gather(*(batcher(item) for item in items), return_exceptions=True))


class TestBatcher:
    async def test_calls_of_one_moment_share_a_transaction_in_their_order(
        self, batcher: Batcher[str, str], calls: Calls
    ) -> None:
        outcomes = await ask(batcher, "a", "b", "c", "d")
        assert calls.batches == [["a", "b", "c", "d"]]
        names, transactions = zip(*(outcome.split() for outcome in outcomes), strict=True)
        assert names == ("a", "b", "c", "d")
        assert len(set(transactions)) == 1

    async def test_calls_that_arrive_meanwhile_go_into_the_next_batch(
        self, batcher: Batcher[str, str], calls: Calls
    ) -> None:
        first = asyncio.create_task(batcher("a"))
        while not calls.batches:  # noqa: ASYNC110 - the condition is the signal
            await asyncio.sleep(0)
        await ask(batcher, "b", "c")
        await first
        assert calls.batches == [["a"], ["b", "c"]]

    async def test_refused_item_is_refused_alone(self, batcher: Batcher[str, str], calls: Calls) -> None:
        a, refused, b = await ask(batcher, "a", "refuse", "b")
        assert (a[0], type(refused), b[0]) == ("a", NotFound, "b")
        assert len(calls.batches) == 1

    async def test_failing_item_fails_alone(self, batcher: Batcher[str, str], calls: Calls) -> None:
        a, failed, b = await ask(batcher, "a", "divide", "b")
        assert (a[0], b[0]) == ("a", "b")
        assert isinstance(failed, DBAPIError)
        assert "DivisionByZero" in str(failed)
        assert calls.batches == [["a", "divide", "b"], ["a"], ["divide"], ["b"]]

    async def test_work_that_miscounts_its_outcomes_leaves_nobody_waiting(self, batcher: Batcher[str, str]) -> None:
        a, b = await ask(batcher, "a", "miscount")
        assert a.startswith("a ")
        assert b.startswith("miscount ")

    async def test_lost_connection_is_told_to_each_and_not_tried_again(
        self, batcher: Batcher[str, str], calls: Calls
    ) -> None:
        outcomes = await ask(batcher, "a", "break", "b")
        assert [type(explain_failure(outcome)) for outcome in outcomes] == [Unavailable] * 3
        assert len(calls.batches) == 1
        assert (await ask(batcher, "c"))[0].startswith("c ")

    async def test_caller_that_goes_away_takes_nobody_along(self, batcher: Batcher[str, str], calls: Calls) -> None:
        leaving = asyncio.create_task(batcher("leaving"))
        staying = asyncio.create_task(batcher("staying"))
        while not calls.batches:  # noqa: ASYNC110 - the condition is the signal
            await asyncio.sleep(0)
        leaving.cancel()
        assert (await staying).startswith("staying ")
        assert leaving.cancelled() or isinstance(leaving.exception(), asyncio.CancelledError)
        assert (await ask(batcher, "next"))[0].startswith("next ")

    async def test_away_database_is_tried_once_for_all(self, calls: Calls) -> None:
        away = Database(Settings(), "postgresql://nobody@/nothing?host=/nowhere", Silent())
        outcomes = await ask(Batcher(away, calls.work), *("a" for _ in range(50)))
        assert {type(explain_failure(outcome)) for outcome in outcomes} == {Unavailable}
        assert len({id(outcome) for outcome in outcomes}) == 1, "one failure, not one for each try"
        await away.close()

    async def test_pool_that_is_used_up_is_waited_for_once(self, database_url: str, calls: Calls) -> None:
        settings = make_settings(database_url, database_timeout_seconds=0.3).model_copy(
            update={"database_pool_size": 1}
        )
        narrow = Database(settings, database_url, Silent())
        async with narrow._engine.connect(), asyncio.timeout(PATIENCE_SECONDS):
            outcomes = await ask(Batcher(narrow, calls.work), *("a" for _ in range(20)))
        assert {type(explain_failure(outcome)) for outcome in outcomes} == {Unavailable}
        await narrow.close()

    async def test_end_of_the_flusher_leaves_nobody_waiting(self, batcher: Batcher[str, str], calls: Calls) -> None:
        waiting = [asyncio.create_task(batcher(item)) for item in "ab"]
        while not calls.batches:  # noqa: ASYNC110 - the condition is the signal
            await asyncio.sleep(0)
        assert batcher._flusher
        batcher._flusher.cancel()
        done, pending = await asyncio.wait(waiting, timeout=PATIENCE_SECONDS)
        assert not pending
        assert all(task.cancelled() for task in done)
