"""Every transaction takes its locks in the order of their ranks, and every statement that locks says so."""

import asyncio
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select, text, update

from app.db.engine import Database
from app.models import Task, WorkflowRun
from app.services.workflows import delete_workflow
from app.store import events, run_ends, schedules, tasks, workflow_runs, workflows
from app.store.locks import Rank, Way
from tests.api.test_schedules import document
from tests.lock_order import LockOrder, LockOrderError, declared, is_ordered
from tests.store.statements import Statement, all_statements
from tests.waiting import eventually

LOW, HIGH = sorted((uuid4(), uuid4()))
STATEMENTS = list(all_statements())
BLOCKED = text("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")


def took(*statements: tuple[Any, Any]) -> LockOrder:
    order = LockOrder()
    for statement, parameters in statements:
        order.take(statement, parameters)
    return order


class TestOrder:
    def test_lower_rank_cannot_be_waited_for(self) -> None:
        with pytest.raises(LockOrderError, match="waits for runs after tasks"):
            took((tasks._LOCK, {"ids": [LOW]}), (workflow_runs._LOCK, {"ids": [HIGH]}))

    def test_higher_rank_follows(self) -> None:
        took((workflow_runs._LOCK, {"ids": [HIGH]}), (tasks._LOCK, {"ids": [LOW]}))

    def test_what_was_locked_before_can_be_locked_again(self) -> None:
        took(*[(workflow_runs._LOCK, {"ids": [LOW]}), (tasks._LOCK, {"ids": [HIGH]})] * 2)

    def test_higher_ids_follow_lower_ones(self) -> None:
        took((workflow_runs._LOCK, {"ids": [LOW]}), (workflow_runs._LOCK, {"ids": [HIGH]}))

    def test_lower_ids_cannot_follow(self) -> None:
        with pytest.raises(LockOrderError, match="takes runs again"):
            took((workflow_runs._LOCK, {"ids": [HIGH]}), (workflow_runs._LOCK, {"ids": [LOW]}))

    def test_what_never_waits_may_come_at_any_time(self) -> None:
        took((tasks._LOCK, {"ids": [LOW]}), (events._TRY_LOCK, {"lock": "q/name", "number": 1}))
        took((tasks._LOCK, {"ids": [LOW]}), (run_ends._LOCK_CANCELLED, {"ids": [HIGH]}))

    def test_nothing_is_waited_for_where_nothing_is_named(self) -> None:
        took((tasks._LOCK, {"ids": [LOW]}), (workflow_runs._LOCK, {"ids": []}))

    def test_what_is_changed_was_locked_before(self) -> None:
        with pytest.raises(LockOrderError, match="has locked no tasks before"):
            took((tasks._UPDATE, {"rows": "[]"}))

    @pytest.mark.parametrize(
        "statement",
        [
            select(Task.task_id).with_for_update(),
            select(Task.task_id).with_for_update(read=True, key_share=True),
            update(WorkflowRun).values(reason=None),
            text("SELECT pg_advisory_xact_lock(1)"),
        ],
    )
    def test_statement_that_locks_and_does_not_say_so_is_noticed(self, statement: Any) -> None:
        with pytest.raises(LockOrderError, match="says nothing"):
            took((statement, {}))


class TestTransaction:
    async def test_wrong_order_fails(self, database: Database) -> None:
        async with database.transaction() as tx:
            await tasks.lock_tasks(tx, [LOW])
            with pytest.raises(LockOrderError):
                await workflow_runs.lock_runs(tx, [HIGH])

    async def test_what_a_savepoint_gave_back_is_not_held(self, database: Database) -> None:
        async with database.transaction() as tx:
            with suppress(ZeroDivisionError):
                async with tx.savepoint():
                    await tasks.lock_tasks(tx, [LOW])
                    _ = 1 / 0
            await workflow_runs.lock_runs(tx, [HIGH])

    async def test_reading_holds_nothing(self, database: Database) -> None:
        async with database.reading() as tx:
            await tasks.lock_tasks(tx, [LOW])
            await workflow_runs.lock_runs(tx, [HIGH])


@pytest.fixture(autouse=True)
def order_of_locks() -> None:
    """Let the tests of this module break the order."""


class TestStatements:
    @pytest.mark.parametrize("statement", STATEMENTS, ids=map(str, STATEMENTS))
    def test_statement_that_locks_says_so_and_takes_rows_in_order(self, statement: Statement) -> None:
        lock = declared(statement.value)
        assert lock is None or lock.way is not Way.waits or is_ordered(statement.value)

    def test_every_rank_is_waited_for(self) -> None:
        locks = [lock for statement in STATEMENTS if (lock := declared(statement.value)) is not None]
        assert {lock.rank for lock in locks if lock.way is Way.waits} == {*Rank}


class TestDeletedDefinition:
    async def test_its_schedules_are_locked_before_it(self, client: httpx.AsyncClient, database: Database) -> None:
        """Who fires a schedule holds it and waits for its definition, which who deletes that has locked."""
        sent = document(schedule="0 0 1 1 *", is_paused=True)
        answer = await client.post("/v1/workflows", json=sent)
        assert answer.status_code == 201, answer.text
        name, version = answer.json()["workflow_name"], answer.json()["workflow_version"]
        (schedule,) = (await client.get("/v1/schedules")).json()["items"]

        async def is_blocked() -> Any:
            async with database.reading() as looking:
                return (await looking.execute(BLOCKED)).all()

        async def delete() -> None:
            async with database.transaction() as tx:
                await delete_workflow(tx, name, version)

        async with database.transaction() as tx:
            await schedules.lock_schedules(tx, [UUID(schedule["schedule_id"])])
            deleting = asyncio.create_task(delete())
            await eventually(is_blocked)
            assert await workflows.share_workflow(tx, name, version) is not None
        await deleting
        assert (await client.get("/v1/schedules")).json()["items"] == []
