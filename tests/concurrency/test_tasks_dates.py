"""Times of transactions that began long ago: what a worker is told is dated by the moment."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text

from app.db.engine import Database, Tx
from app.moves.leases import Report
from app.services.claims import Exchange, Exchanged, exchange
from app.services.leases import fail_task
from app.store.tasks import lock_tasks
from milepost.schemas.tasks import Claim, TaskFailure
from tests.factories import attempts_of, reported, spawn_task, start_task
from tests.waiting import eventually

BLOCKED = text("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
MOMENT = text("SELECT clock_timestamp()")


async def moment_of(tx: Tx) -> datetime:
    """Return what time it is, in a transaction that has begun by then."""
    moment: datetime = (await tx.execute(MOMENT)).scalar_one()
    return moment


def time_of(text_: str) -> datetime:
    return datetime.fromisoformat(text_)


class TestClaim:
    async def test_it_is_dated_by_the_moment(self, client: httpx.AsyncClient, database: Database) -> None:
        async with database.transaction() as tx:
            await moment_of(tx)
            spawned = await spawn_task(client)
            before = await moment_of(tx)
            (came,) = await exchange.work(tx, [Exchange("default", (), Claim(worker_id="w", lease_seconds=30))])
            assert isinstance(came, Exchanged)
        (claimed,) = came.tasks
        assert str(claimed["task_id"]) == spawned["task_id"]
        moment = claimed["server_time"]
        assert isinstance(moment, datetime)
        assert moment >= before
        assert claimed["lease_expires_at"] == moment + timedelta(seconds=30)

    async def test_attempts_do_not_overlap(self, client: httpx.AsyncClient, database: Database) -> None:
        async with database.transaction() as earlier:
            await moment_of(earlier)
            held = await start_task(client, max_attempts=2)
            await reported(client, held, "fail")
            (came,) = await exchange.work(earlier, [Exchange("default", (), Claim(worker_id="w"))])
            assert isinstance(came, Exchanged)
        assert [task["attempt"] for task in came.tasks] == [2]
        first, second = await attempts_of(client, held)
        assert time_of(first["ended_at"]) <= time_of(second["started_at"])


class TestFail:
    async def test_it_is_dated_by_the_moment(self, client: httpx.AsyncClient, database: Database) -> None:
        async with database.transaction() as tx:
            await moment_of(tx)
            held = await start_task(client)
            before = await moment_of(tx)
            await fail_task.work(
                tx, [Report(UUID(held["task_id"]), TaskFailure(lease_token=held["lease_token"]), "fail")]
            )
        (attempt,) = await attempts_of(client, held)
        assert time_of(attempt["started_at"]) < before <= time_of(attempt["ended_at"])


class TestHeartbeat:
    async def test_one_that_waited_for_a_lock_counts_from_then(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        held = await start_task(client)

        async def is_blocked() -> Any:
            async with database.reading() as looking:
                return (await looking.execute(BLOCKED)).all()

        async with database.transaction() as tx:
            await lock_tasks(tx, [UUID(held["task_id"])])
            beating = asyncio.create_task(reported(client, held, "heartbeat", lease_seconds=30))
            await eventually(is_blocked)
            before = await moment_of(tx)
        answer = await beating
        assert time_of(answer["server_time"]) >= before
        assert time_of(answer["lease_expires_at"]) == time_of(answer["server_time"]) + timedelta(seconds=30)
