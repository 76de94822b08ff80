"""Runs whose step was ended before them: they are cancelled soon, whatever becomes of the run that started them."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.background.housekeeping import Housekeeping
from app.db.engine import Database
from tests.definitions import task
from tests.executing import children_of, claim_steps, start, status_of, statuses_of
from tests.factories import address, report
from tests.replicas import replica
from tests.waiting import eventually

Json = dict[str, Any]


def starting(task_id: str, *workflow_names: str) -> Json:
    """Return a step that starts runs of these workflows."""
    children = {name: {"workflow_name": name} for name in workflow_names}
    return {"task_id": task_id, "operator_type": "child_workflow", "children": children}


async def start_family(client: httpx.AsyncClient) -> tuple[Json, Json, Json]:
    """Return a run that ends with its step `a`, a run that it has started, and one that this has started."""
    await start(client, task("work"), name="inner")
    await start(client, starting("m", "inner"), task("beside"), name="middle")
    stop = {"task_id": "stop", "operator_type": "terminate", "status": "failed", "dependencies": ["a"]}
    run = await start(client, task("a"), stop, starting("kin", "middle"), name="outer")
    (child,) = await children_of(client, run)
    (grandchild,) = await children_of(client, child)
    return run, child, grandchild


async def end(client: httpx.AsyncClient, run: Json) -> None:
    """End a run of the family by the report of its step `a`."""
    held = await claim_steps(client)
    response = await report(client, held["a"], "complete")
    assert response.status_code == 200, response.text
    assert await status_of(client, run) == "failed"


async def leave_to_others(database: Database, run: Json) -> None:
    """Keep the housekeeping from cancelling what this run has started."""
    statement = text(
        "INSERT INTO set_aside_rows (chore, row_key, error, retry_at)"
        " VALUES ('cancel_dropped_children', :id, 'left to others', now() + interval '1 hour')"
    )
    async with database.transaction() as tx:
        await tx.execute(statement, {"id": run["workflow_run_id"]})


async def marks(database: Database) -> int:
    """Return how many runs have dropped others that are still to be cancelled."""
    statement = text("SELECT count(*) FROM workflow_executions WHERE children_dropped_at IS NOT NULL")
    async with database.transaction() as tx:
        return int((await tx.execute(statement)).scalar_one())


class TestDroppedChildren:
    async def test_run_that_a_report_ends_has_all_below_it_cancelled(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        run, *below = await start_family(client)
        await end(client, run)

        async def are_cancelled() -> bool:
            return [await status_of(client, each) for each in below] == ["cancelled"] * 2 and not await marks(database)

        await eventually(are_cancelled)
        assert (await statuses_of(client, run))["kin"] == "cancelled"

    async def test_the_housekeeping_is_told_at_once(self, new_database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        told: list[str] = []
        monkeypatch.setattr(Housekeeping, "hurry", lambda _, name: told.append(name))
        async with replica(new_database()) as client:
            run, *_ = await start_family(client)
            told.clear()  # of what a replica is told when it begins to listen
            await end(client, run)
            assert told == ["cancel_dropped_children"]

    async def test_retry_cancels_what_the_attempt_before_has_left(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        run, *below = await start_family(client)
        await leave_to_others(database, run)
        await end(client, run)
        assert [await status_of(client, each) for each in below] == ["running"] * 2
        response = await client.post(address(run, "retry"), json={})
        assert response.status_code == 200, response.text
        assert [await status_of(client, each) for each in below] == ["cancelled"] * 2
        old, new = await children_of(client, run)
        assert (old["workflow_run_id"], new["status"]) == (below[0]["workflow_run_id"], "running")
        assert (await statuses_of(client, run))["kin"] == "running"

    async def test_deletion_cancels_what_is_left(self, client: httpx.AsyncClient, database: Database) -> None:
        run, *below = await start_family(client)
        await leave_to_others(database, run)
        await end(client, run)
        assert (await client.delete(address(run))).status_code == 204
        assert [await status_of(client, each) for each in below] == ["cancelled"] * 2
