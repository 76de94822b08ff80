"""One row that fails stops no other: it is set aside, named, tried again, and ended where it cannot succeed."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from app.api.kernel import Kernel
from app.db.engine import Database
from app.execution.giving_up import pause_schedule
from tests.api.test_monitors import get_monitor, put_monitor
from tests.api.test_schedules import (
    NEW_YEAR,
    backfill,
    create_schedule,
    get_schedule,
    scheduled_runs,
    update_schedule,
)
from tests.definitions import register, task
from tests.executing import children_of, claim_steps, ended_run, start, start_run, statuses_of
from tests.factories import (
    address,
    claim_tasks,
    create_run,
    emit_event,
    get_run,
    get_task,
    history_of,
    report,
    reported,
    spawn_task,
    start_task,
)
from tests.replicas import replica
from tests.waiting import eventually

Json = dict[str, Any]


REFUSE = """
    CREATE FUNCTION refuse_row() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF to_jsonb(NEW) ->> '{column}' = '{value}' AND {condition} THEN
            RAISE EXCEPTION 'this row cannot be changed' USING ERRCODE = '{state}';
        END IF;
        RETURN NEW;
    END $$
"""
POISON = "CREATE TRIGGER refuse_row BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_row()"
CURE = "DROP FUNCTION IF EXISTS refuse_row() CASCADE"


@asynccontextmanager
async def poisoned(
    database: Database, table: str, column: str, value: str, *, state: str = "55000", condition: str = "true"
) -> AsyncIterator[None]:
    """Let each change of the rows of a table fail in which ``column`` is ``value``."""
    values = {"table": table, "column": column, "value": value, "state": state, "condition": condition}
    try:
        for statement in (REFUSE, POISON):
            await execute(database, statement.format(**values))
        yield
    finally:
        await execute(database, CURE)


async def execute(database: Database, statement: str, **values: Any) -> None:
    """Execute a statement in which triggers do nothing."""
    async with database.transaction() as tx:
        await tx.execute(text("SET LOCAL session_replication_role = replica"))
        await tx.execute(text(statement), values)


async def set_aside(database: Database, chore: str) -> list[Any]:
    """Return what a chore leaves out, as (row_key, failures, error)."""
    query = text("SELECT row_key, failures, error FROM set_aside_rows WHERE chore = :chore")
    async with database.transaction() as tx:
        return list((await tx.execute(query, {"chore": chore})).all())


class Case(NamedTuple):
    """Two rows of a chore: both are about to be due, one of which cannot be changed."""

    table: str
    column: str
    bad: str
    """The id of the one that cannot."""
    is_served: Callable[[], Awaitable[bool]]
    """Whether the other was done."""
    let_come_due: str


MakeCase = Callable[[httpx.AsyncClient], Awaitable[Case]]


def _has_ended(client: httpx.AsyncClient, run: Json) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return (await get_run(client, run))["completed_at"] is not None

    return look


def _is_task(client: httpx.AsyncClient, given: Json, *statuses: str) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return (await get_task(client, given))["status"] in statuses

    return look


async def overdue_runs(client: httpx.AsyncClient) -> Case:
    bad, good = [await create_run(client, deadline_seconds=3600) for _ in range(2)]
    due = "UPDATE workflow_runs SET deadline_at = now() - interval '1 second'"
    return Case("workflow_runs", "workflow_run_id", bad["workflow_run_id"], _has_ended(client, good), due)


async def late_runs(client: httpx.AsyncClient) -> Case:
    bad, good = [await create_run(client, expected_by="2999-01-01T00:00:00Z") for _ in range(2)]

    async def is_late() -> bool:
        return (await get_run(client, good))["late_at"] is not None

    due = "UPDATE workflow_runs SET expected_by = now() - interval '1 second'"
    return Case("workflow_runs", "workflow_run_id", bad["workflow_run_id"], is_late, due)


async def cancelled_runs(client: httpx.AsyncClient) -> Case:
    bad, good = [await start(client, task("a"), version=version) for version in ("1", "2")]
    await claim_steps(client)
    for run in (bad, good):
        response = await client.post(address(run, "cancel"), json={"grace_seconds": 3600})
        assert response.json()["completed_at"] is None
    due = "UPDATE workflow_runs SET cancel_due_at = now() - interval '1 second'"
    return Case("workflow_runs", "workflow_run_id", bad["workflow_run_id"], _has_ended(client, good), due)


async def expired_tasks(client: httpx.AsyncClient) -> Case:
    bad, good = [await start_task(client) for _ in range(2)]
    due = "UPDATE tasks SET lease_expires_at = now() - interval '1 second'"
    return Case("tasks", "task_id", bad["task_id"], _is_task(client, good, "pending"), due)


async def expired_work(client: httpx.AsyncClient) -> Case:
    await start(client, task("a"), task("b"))
    held = await claim_steps(client)
    due = "UPDATE tasks SET lease_expires_at = now() - interval '1 second'"
    return Case("tasks", "task_id", held["a"]["task_id"], _is_task(client, held["b"], "pending", "sleeping"), due)


WAIT = {"task_id": "rest", "operator_type": "wait", "wait_for": 3600}


async def due_steps(client: httpx.AsyncClient) -> Case:
    bad = await start(client, WAIT)
    good = await start_run(client)
    due = "UPDATE workflow_steps SET due_at = now() - interval '1 second'"
    return Case("workflow_steps", "workflow_run_id", bad["workflow_run_id"], _has_ended(client, good), due)


async def late_executions(client: httpx.AsyncClient) -> Case:
    bad = await start(client, task("a"), deadline_seconds=3600)
    good = await start_run(client)
    due = "UPDATE workflow_executions SET deadline_at = now() - interval '1 second'"
    return Case("workflow_runs", "workflow_run_id", bad["workflow_run_id"], _has_ended(client, good), due)


async def dropping_runs(client: httpx.AsyncClient) -> Case:
    await start(client, task("work"), name="child")
    kin = {"task_id": "kin", "operator_type": "child_workflow", "children": {"x": {"workflow_name": "child"}}}
    bad = await start(client, kin)
    (good,) = await children_of(client, await start_run(client))
    due = """
        WITH ended AS (UPDATE workflow_steps SET status = 'cancelled', completed_at = now() WHERE path = 'kin')
        UPDATE workflow_executions SET children_dropped_at = now() WHERE parent_step IS NULL
    """
    return Case("workflow_runs", "parent_workflow_run_id", bad["workflow_run_id"], _has_ended(client, good), due)


async def awaiting_runs(client: httpx.AsyncClient) -> Case:
    bad = await start(client, {"task_id": "hear", "operator_type": "wait_for_event", "event_name": "go"})
    good = await start_run(client)
    due = """
        WITH event AS (INSERT INTO events (queue, event_name, payload) VALUES ('default', 'go', '7'))
        INSERT INTO event_deliveries (queue, event_name) VALUES ('default', 'go')
    """
    return Case("workflow_steps", "workflow_run_id", bad["workflow_run_id"], _has_ended(client, good), due)


async def due_schedules(client: httpx.AsyncClient) -> Case:
    await register(client, task("a"), name="nightly_etl")
    bad, good = [await create_schedule(client, cron="0 * * * *") for _ in range(2)]

    async def has_fired() -> bool:
        return (await get_schedule(client, good))["last_fire_at"] is not None

    due = "UPDATE schedules SET next_fire_at = date_trunc('hour', now())"
    return Case("schedules", "schedule_id", bad["schedule_id"], has_fired, due)


async def late_monitors(client: httpx.AsyncClient) -> Case:
    for name in ("bad", "good"):
        await put_monitor(client, name)

    async def is_late() -> bool:
        return bool((await get_monitor(client, "good"))["state"] == "late")

    due = "UPDATE monitors SET next_expected_at = now() - interval '1 hour', look_at = now()"
    return Case("monitors", "name", "bad", is_late, due)


async def pending_runs(client: httpx.AsyncClient) -> Case:
    await register(client, task("a"), name="nightly_etl")
    pending = []
    for schedule in [await create_schedule(client) for _ in range(2)]:
        await backfill(client, schedule, NEW_YEAR, "2025-01-03T00:00:00Z")
        pending.append((await scheduled_runs(client, schedule))[-1])
    bad, good = pending

    async def has_begun() -> bool:
        return bool((await get_run(client, good))["status"] == "running")

    due = "UPDATE schedules SET max_active_runs = 5"
    return Case("workflow_runs", "workflow_run_id", bad["workflow_run_id"], has_begun, due)


async def sleeping_tasks(client: httpx.AsyncClient) -> Case:
    bad, good = [await spawn_task(client, delay_seconds=3600) for _ in range(2)]

    async def can_be_claimed() -> bool:
        return good["task_id"] in {task["task_id"] for task in await claim_tasks(client, limit=10)}

    due = "UPDATE tasks SET due_at = now() - interval '1 second'"
    return Case("tasks", "task_id", bad["task_id"], can_be_claimed, due)


async def limited_tasks(client: httpx.AsyncClient) -> Case:
    bad, good = [await spawn_task(client, cancellation={"max_delay": 3600}) for _ in range(2)]
    due = "UPDATE tasks SET limit_at = now() - interval '1 second'"
    return Case("tasks", "task_id", bad["task_id"], _is_task(client, good, "cancelled"), due)


async def bulk_items(client: httpx.AsyncClient) -> Case:
    bad, good = [await create_run(client) for _ in range(2)]

    async def is_cancelled() -> bool:
        return bool((await get_run(client, good))["status"] == "cancelled")

    due = f"""
        WITH operation AS (
            INSERT INTO bulk_operations (bulk_operation_id, resource, verb, filter, total, created_by)
            VALUES (gen_random_uuid(), 'workflow_runs', 'cancel', '{{}}', 2, 'test') RETURNING bulk_operation_id
        )
        INSERT INTO bulk_outcomes (sequence, bulk_operation_id, resource_id) OVERRIDING SYSTEM VALUE
        SELECT sequence, bulk_operation_id, CAST(id AS uuid)
        FROM operation, (
            VALUES (-2, '{bad["workflow_run_id"]}'), (-1, '{good["workflow_run_id"]}')
        ) AS item (sequence, id)
    """
    return Case("bulk_outcomes", "sequence", "-2", is_cancelled, due)


CASES: dict[str, MakeCase] = {
    "end_overdue_runs": overdue_runs,
    "mark_late_runs": late_runs,
    "finish_cancelled_runs": cancelled_runs,
    "cancel_dropped_children": dropping_runs,
    "expire_leases": expired_tasks,
    "expire_step_leases": expired_work,
    "advance_due_steps": due_steps,
    "end_runs_past_deadline": late_executions,
    "deliver_events": awaiting_runs,
    "fire_schedules": due_schedules,
    "watch_monitors": late_monitors,
    "begin_planned_runs": pending_runs,
    "wake_due_tasks": sleeping_tasks,
    "cancel_limited_tasks": limited_tasks,
    "work_bulk_operations": bulk_items,
}


async def ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/readyz")).status_code == 200


class TestEveryChore:
    def test_there_is_a_case_for_each(self, kernel: Kernel) -> None:
        jobs = kernel.housekeeping._jobs  # type: ignore[attr-defined]
        assert CASES.keys() == {job.name for job in jobs if hasattr(job, "find")}

    @pytest.mark.parametrize("chore", CASES)
    async def test_row_that_fails_stops_no_other_and_is_done_when_it_can_be(
        self, client: httpx.AsyncClient, database: Database, chore: str
    ) -> None:
        case = await CASES[chore](client)

        async def left_out() -> list[Any]:
            return [row for row in await set_aside(database, chore) if case.bad in row.row_key]

        with capture_logs() as logs:
            async with poisoned(database, case.table, case.column, case.bad):
                await execute(database, case.let_come_due)
                await eventually(case.is_served)
                (row,) = await eventually(left_out)
                assert "this row cannot be changed" in row.error
                assert await ready(client)

            async def none_is_left() -> bool:
                await execute(database, "UPDATE set_aside_rows SET retry_at = now()")
                return not await left_out()

            await eventually(none_is_left)
        named = [log for log in logs if log["event"] == "row_set_aside" and case.bad in log["row"]]
        assert named[0]["chore"] == chore
        assert not [log for log in logs if log["event"] == "row_given_up"]


async def failed_for_good(client: httpx.AsyncClient, run: Json) -> Json:
    await eventually(_has_ended(client, run))
    ended = await get_run(client, run)
    assert ended["error"]["name"] == "Unworkable", ended
    return ended


class TestWhatCannotSucceed:
    async def test_run_fails_with_all_that_is_open_of_it(self, client: httpx.AsyncClient, database: Database) -> None:
        run = await start(client, WAIT, task("a"), task("b", "rest"))
        held = (await claim_steps(client))["a"]
        run_id = run["workflow_run_id"]
        condition = "to_jsonb(NEW) ->> 'status' = 'completed'"
        async with poisoned(database, "workflow_steps", "workflow_run_id", run_id, state="54000", condition=condition):
            await execute(database, "UPDATE workflow_steps SET due_at = now() WHERE path = 'rest'")
            ended = await failed_for_good(client, run)
        assert (ended["status"], ended["reason"]) == ("failed", None)
        assert "advance_due_steps could not be done" in ended["error"]["message"]
        assert "this row cannot be changed" in ended["error"]["message"]
        assert await statuses_of(client, run) == {"rest": "cancelled", "a": "cancelled", "b": "skipped"}
        assert (await get_task(client, held))["reason"] == "run_ended"
        assert (await history_of(client, run))[-1]["to"] == "failed"
        assert await set_aside(database, "advance_due_steps") == []
        assert (await report(client, held, "complete")).status_code == 409

    async def test_run_that_was_to_be_cancelled_is(self, client: httpx.AsyncClient, database: Database) -> None:
        run = await start(client, WAIT, task("a"))
        await claim_steps(client)
        await client.post(address(run, "cancel"), json={"grace_seconds": 3600})
        run_id = run["workflow_run_id"]
        condition = "to_jsonb(NEW) ->> 'status' = 'completed'"
        async with poisoned(database, "workflow_steps", "workflow_run_id", run_id, state="22000", condition=condition):
            await execute(database, "UPDATE workflow_steps SET due_at = now() WHERE path = 'rest'")
            ended = await failed_for_good(client, run)
        assert (ended["status"], ended["reason"]) == ("cancelled", "cancel_requested")

    async def test_run_that_started_it_is_told(self, client: httpx.AsyncClient, database: Database) -> None:
        await register(client, WAIT, name="inner")
        children = {"one": {"workflow_name": "inner"}}
        parent = await start(
            client, {"task_id": "c", "operator_type": "child_workflow", "children": children}, name="outer"
        )
        condition = "NEW.status = 'completed' AND NEW.path = 'rest'"
        async with poisoned(database, "workflow_steps", "path", "rest", state="54000", condition=condition):
            await execute(database, "UPDATE workflow_steps SET due_at = now() WHERE path = 'rest'")
            ended = await ended_run(client, parent)
        assert (ended["status"], ended["error"]["step"]) == ("failed", "c")

    async def test_children_of_it_are_cancelled(self, client: httpx.AsyncClient, database: Database) -> None:
        await register(client, task("a"), name="inner")
        children = {"one": {"workflow_name": "inner"}}
        child_workflow = {"task_id": "c", "operator_type": "child_workflow", "children": children}
        parent = await start(client, child_workflow, WAIT, name="outer")
        condition = "NEW.status = 'completed' AND NEW.path = 'rest'"
        async with poisoned(database, "workflow_steps", "path", "rest", state="54000", condition=condition):
            await execute(database, "UPDATE workflow_steps SET due_at = now() WHERE path = 'rest'")
            await failed_for_good(client, parent)
        query = {"parent_workflow_run_id": parent["workflow_run_id"]}
        (child,) = (await client.get("/v1/workflow-runs", params=query)).json()["items"]
        assert (await ended_run(client, child))["status"] == "cancelled"

    async def test_task_fails(self, client: httpx.AsyncClient, database: Database) -> None:
        held = await start_task(client)
        await reported(client, held, "sleep", seconds=3600)
        condition = "NEW.ready_at IS NOT NULL"
        async with poisoned(database, "tasks", "task_id", held["task_id"], state="54000", condition=condition):
            await execute(database, "UPDATE tasks SET due_at = now()")
            await eventually(_is_task(client, held, "failed"))
        ended = await get_task(client, held)
        assert (ended["error"]["name"], ended["wake_at"], ended["lease_expires_at"]) == ("Unworkable", None, None)
        attempts = (await client.get(f"/v1/tasks/{held['task_id']}/attempts")).json()["items"]
        assert [attempt["status"] for attempt in attempts] == ["failed"]
        assert attempts[0]["error"] == ended["error"]

    async def test_schedule_that_two_replicas_give_up_is_paused_once(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        await register(client, task("a"), name="nightly_etl")
        schedule = await create_schedule(client, cron="0 * * * *")
        for why in ("the first", "the second"):
            async with database.transaction() as tx:
                await pause_schedule(tx, UUID(schedule["schedule_id"]), why)
        paused = await get_schedule(client, schedule)
        assert (paused["revision"], paused["paused_reason"]) == (schedule["revision"] + 1, "the first")

    async def test_schedule_is_paused_and_says_why(self, client: httpx.AsyncClient, database: Database) -> None:
        await register(client, task("a"), name="nightly_etl")
        schedule = await create_schedule(client, cron="0 * * * *")
        assert schedule["paused_reason"] is None
        due = "UPDATE schedules SET next_fire_at = date_trunc('hour', now())"

        async def is_paused() -> bool:
            return bool((await get_schedule(client, schedule))["paused"])

        async with poisoned(database, "workflow_runs", "schedule_id", schedule["schedule_id"], state="54000"):
            await execute(database, due)
            await eventually(is_paused)
        paused = await get_schedule(client, schedule)
        assert "fire_schedules could not be done" in paused["paused_reason"]
        assert paused["revision"] == schedule["revision"] + 1
        resumed = await update_schedule(client, schedule, paused=False)
        assert (resumed["paused"], resumed["paused_reason"]) == (False, None)

    async def test_row_that_fails_again_and_again_is_ended(self, client: httpx.AsyncClient, database: Database) -> None:
        run = await start(client, WAIT)
        run_id = run["workflow_run_id"]
        condition = "to_jsonb(NEW) ->> 'status' = 'completed'"
        async with poisoned(database, "workflow_steps", "workflow_run_id", run_id, condition=condition):
            await execute(database, "UPDATE workflow_steps SET due_at = now()")

            async def is_ended() -> bool:
                await execute(database, "UPDATE set_aside_rows SET retry_at = now()")
                return await _has_ended(client, run)()

            await eventually(is_ended)
        await failed_for_good(client, run)

    async def test_row_that_cannot_even_be_ended_stays_set_aside(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        run = await create_run(client, deadline_seconds=3600)
        run_id = run["workflow_run_id"]
        with capture_logs() as logs:
            async with poisoned(database, "workflow_runs", "workflow_run_id", run_id, state="54000"):
                await execute(database, "UPDATE workflow_runs SET deadline_at = now()")

                async def is_named() -> bool:
                    return any(log["event"] == "row_cannot_be_ended" and log["row"] == run_id for log in logs)

                await eventually(is_named)
                assert await ready(client)
            await eventually(_has_ended(client, run))

    async def test_replicas_end_it_once_and_serve_the_others(
        self, client: httpx.AsyncClient, database: Database, database_url: str
    ) -> None:
        bad = await start(client, WAIT)
        others = [await start_run(client) for _ in range(5)]
        run_id = bad["workflow_run_id"]
        condition = "to_jsonb(NEW) ->> 'status' = 'completed'"
        async with (
            replica(database_url) as second,
            poisoned(database, "workflow_steps", "workflow_run_id", run_id, state="54000", condition=condition),
        ):
            await execute(database, "UPDATE workflow_steps SET due_at = now()")
            for run in others:
                assert (await ended_run(second, run))["status"] == "completed"
            await failed_for_good(second, bad)
            assert await ready(second)
        assert [entry["to"] for entry in await history_of(client, bad)].count("failed") == 1

    async def test_next_process_leaves_out_what_the_last_one_set_aside(
        self, client: httpx.AsyncClient, database: Database, database_url: str
    ) -> None:
        del client  # its housekeeping sees the row first
        async with replica(database_url) as first:
            run = await create_run(first, deadline_seconds=3600)
            run_id = run["workflow_run_id"]
            async with poisoned(database, "workflow_runs", "workflow_run_id", run_id):
                await execute(database, "UPDATE workflow_runs SET deadline_at = now()")

                async def is_left_out() -> bool:
                    await execute(database, "UPDATE set_aside_rows SET retry_at = now() + interval '1 hour'")
                    return bool(await set_aside(database, "end_overdue_runs"))

                await eventually(is_left_out)
                ((_, before, _),) = await set_aside(database, "end_overdue_runs")
                async with replica(database_url) as second:
                    other = await create_run(second, deadline_seconds=0.01)
                    await eventually(_has_ended(second, other))
                    assert await ready(second)
                ((_, failures, _),) = await set_aside(database, "end_overdue_runs")
                assert failures <= before + 1  # one try may have been under way


class TestClaims:
    async def test_task_that_cannot_be_woken_does_not_keep_others_from_being_claimed(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        bad = await spawn_task(client, delay_seconds=3600)
        async with poisoned(database, "tasks", "task_id", bad["task_id"]):
            await execute(database, "UPDATE tasks SET due_at = now()")
            good = await spawn_task(client)
            assert [task["task_id"] for task in await claim_tasks(client)] == [good["task_id"]]


class TestWhatCallersSend:
    async def test_emit_behind_a_timer_with_a_name_that_is_too_long_fails_its_step(
        self, client: httpx.AsyncClient
    ) -> None:
        rest = {"task_id": "rest", "operator_type": "wait", "wait_for": 0.2}
        bad = {
            "task_id": "shout",
            "operator_type": "emit_event",
            "event_name": "{{name}}",
            "dependencies": ["rest"],
        }
        run = await start(client, rest, bad, body={"inputs": {"name": "n" * 20_000}})
        other = await start_run(client, inputs={"name": "short"})
        assert (await ended_run(client, other))["status"] == "completed"
        ended = await ended_run(client, run)
        assert (ended["status"], ended["error"]["cause"]["name"]) == ("failed", "BadEventName")
        assert await ready(client)

    async def test_loop_behind_a_timer_that_nests_deeper_each_time_fails(self, client: httpx.AsyncClient) -> None:
        rest = {"task_id": "rest", "operator_type": "wait", "wait_for": 0.2}
        shout = {
            "task_id": "shout",
            "operator_type": "emit_event",
            "event_name": "{{run.id}}-{{iteration}}",
            "payload": {"a": {"b": {"c": "{{hear.payload | default(deep)}}"}}},
        }
        hear = {
            "task_id": "hear",
            "operator_type": "wait_for_event",
            "event_name": "{{run.id}}-{{iteration}}",
            "dependencies": ["shout"],
        }
        loop = {
            "task_id": "loop",
            "operator_type": "while",
            "condition": "{{iteration}} < 20",
            "loop_body": [shout, hear],
            "dependencies": ["rest"],
        }
        deep: Any = 0
        for _ in range(50):
            deep = [deep]
        run = await start(client, rest, loop, body={"inputs": {"deep": deep}})
        ended = await ended_run(client, run)
        assert ended["status"] == "failed"
        assert re.fullmatch(r"loop\[\d+\]\.shout", ended["error"]["step"])
        assert await ready(client)

    async def test_schedule_whose_runs_emit_what_cannot_be_goes_on(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        shout = {"task_id": "shout", "operator_type": "emit_event", "event_name": "{{name}}"}
        await register(client, shout, name="nightly_etl")
        bad = await create_schedule(client, cron="0 * * * *", inputs={"name": "n" * 20_000})
        good = await create_schedule(client, cron="0 * * * *", inputs={"name": "short"})
        await execute(database, "UPDATE schedules SET next_fire_at = date_trunc('hour', now())")

        async def both_fired() -> bool:
            return all([(await get_schedule(client, one))["last_fire_at"] for one in (bad, good)])

        await eventually(both_fired)
        runs = (await client.get("/v1/workflow-runs", params={"limit": 10})).json()["items"]
        assert {run["schedule_id"]: run["status"] for run in runs} == {
            bad["schedule_id"]: "failed",
            good["schedule_id"]: "completed",
        }
        assert not (await get_schedule(client, bad))["paused"]

    async def test_longer_name_is_refused_where_it_is_sent(self, client: httpx.AsyncClient) -> None:
        assert (await emit_event(client, "n" * 256)).status_code == 422
