"""What happens to workflow runs when nobody calls."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from app.api.kernel import Kernel
from app.db.engine import Database, Tx
from app.moves.runs import end_overdue_runs, mark_late_runs
from app.store.workflow_runs import lock_runs
from tests.factories import address, create_run, create_runs, get_run, history_of, patch_run, run_in
from tests.replicas import replica
from tests.waiting import eventually

Shift = Callable[[dict[str, Any], str, float], Awaitable[None]]


@pytest.fixture
def shift(database: Database) -> Shift:
    """Return a function that moves a time of a run by some seconds, as if the clock had gone on."""

    async def shift(run: dict[str, Any], column: str, seconds: float) -> None:
        change = f"{column} = {column} + make_interval(secs => :seconds)"
        async with database.transaction() as tx:
            await tx.execute(
                text(f"UPDATE workflow_runs SET {change} WHERE workflow_run_id = CAST(:id AS uuid)"),
                {"seconds": seconds, "id": run["workflow_run_id"]},
            )

    return shift


async def ended(client: httpx.AsyncClient, run: dict[str, Any]) -> dict[str, Any]:
    """Return ``run`` as soon as it has ended; fail after two seconds."""

    async def look() -> dict[str, Any] | None:
        now = await get_run(client, run)
        return now if now["completed_at"] else None

    return await eventually(look)


class TestDeadline:
    @pytest.mark.parametrize("status", ["pending", "running"])
    async def test_open_run_fails_within_two_seconds(self, client: httpx.AsyncClient, status: str) -> None:
        run = await run_in(client, status, deadline_seconds=0.1)
        after = await ended(client, run)
        assert (after["status"], after["reason"]) == ("failed", "deadline")
        assert set(after["error"]) >= {"name", "message"}
        assert after["revision"] == run["revision"] + 1
        late = datetime.fromisoformat(after["completed_at"]) - datetime.fromisoformat(after["deadline_at"])
        assert timedelta(0) <= late < timedelta(seconds=2)

    async def test_two_seconds_are_enough_by_default_too(self, database_url: str, client: httpx.AsyncClient) -> None:
        del client  # its housekeeping looks more often than others do
        async with replica(database_url, housekeeping_seconds=0.5) as other:
            run = await create_run(other, deadline_seconds=0.01)
            assert (await ended(other, run))["reason"] == "deadline"

    async def test_history_tells_who_ended_it_and_why(self, client: httpx.AsyncClient) -> None:
        run = await run_in(client, "running", deadline_seconds=0.05)
        after = await ended(client, run)
        entry = (await history_of(client, run))[-1]
        assert (entry["from"], entry["to"], entry["reason"]) == ("running", "failed", "deadline")
        assert (entry["at"], entry["request_id"]) == (after["completed_at"], None)

    async def test_result_is_kept(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client, deadline_seconds=0.3)
        await patch_run(client, run, result={"rows": 3})
        assert (await ended(client, run))["result"] == {"rows": 3}

    async def test_run_that_ended_in_time_stays(self, client: httpx.AsyncClient, kernel: Kernel, shift: Shift) -> None:
        run = await run_in(client, "completed", deadline_seconds=60)
        await shift(run, "deadline_at", -120)
        async with kernel.database.transaction() as tx:
            assert await end_overdue_runs(tx, [UUID(run["workflow_run_id"])]) == 0
        after = await get_run(client, run)
        assert (after["status"], after["reason"], after["revision"]) == ("completed", None, run["revision"])

    async def test_start_in_the_future_does_not_keep_it_open(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client, deadline_seconds=0.2)
        await patch_run(client, run, status="running", started_at="2999-01-01T00:00:00Z")
        after = await ended(client, run)
        assert after["completed_at"] >= after["started_at"]

    async def test_ended_run_is_final(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client, deadline_seconds=0.05)
        await ended(client, run)
        refused = await patch_run(client, run, status="completed")
        assert (refused.status_code, refused.json()["current"]["reason"]) == (409, "deadline")


class TestLost:
    async def test_run_whose_heartbeat_is_missed_fails_within_two_seconds(self, client: httpx.AsyncClient) -> None:
        run = await run_in(client, "running", heartbeat_seconds=1)

        async def look() -> dict[str, Any] | None:
            now = await get_run(client, run)
            return now if now["completed_at"] else None

        after = await eventually(look)
        assert (after["status"], after["reason"], after["heartbeat_expires_at"]) == ("failed", "lost", None)
        lived = datetime.fromisoformat(after["completed_at"]) - datetime.fromisoformat(after["started_at"])
        assert timedelta(seconds=1) <= lived < timedelta(seconds=3)

    async def test_history_and_error_tell_why(self, client: httpx.AsyncClient, shift: Shift) -> None:
        run = await run_in(client, "running", heartbeat_seconds=60)
        await shift(run, "heartbeat_expires_at", -61)
        after = await ended(client, run)
        assert set(after["error"]) >= {"name", "message"}
        assert (await history_of(client, run))[-1]["reason"] == "lost"

    async def test_heartbeat_keeps_it_alive(self, client: httpx.AsyncClient, kernel: Kernel, shift: Shift) -> None:
        run = await run_in(client, "running", heartbeat_seconds=60)
        await shift(run, "heartbeat_expires_at", -50)
        assert (await client.post(address(run, "heartbeat"))).status_code == 200
        await shift(run, "heartbeat_expires_at", -50)
        async with kernel.database.transaction() as tx:
            assert await end_overdue_runs(tx, [UUID(run["workflow_run_id"])]) == 0
        assert (await get_run(client, run))["status"] == "running"

    async def test_pending_run_is_not_lost(self, tx: Tx, client: httpx.AsyncClient, shift: Shift) -> None:
        run = await create_run(client, heartbeat_seconds=1)
        await shift(run, "created_at", -3600)
        assert await end_overdue_runs(tx, [UUID(run["workflow_run_id"])]) == 0

    async def test_heartbeat_of_a_lost_run_tells_so(self, client: httpx.AsyncClient, shift: Shift) -> None:
        run = await run_in(client, "running", heartbeat_seconds=60)
        await shift(run, "heartbeat_expires_at", -61)
        await ended(client, run)
        answer = await client.post(address(run, "heartbeat"))
        assert (answer.status_code, answer.json()["status"]) == (200, "failed")


class TestManyAndSeveral:
    async def test_more_than_one_round_takes_are_all_ended(self, client: httpx.AsyncClient) -> None:
        await create_runs(client, *[{"deadline_seconds": 0.01}] * 700)

        async def all_failed() -> bool:
            counted = await client.get("/v1/workflow-runs/counts")
            return bool(counted.json()["counts"] == [{"status": "failed", "count": 700}])

        await eventually(all_failed)

    async def test_two_replicas_end_a_run_exactly_once(self, client: httpx.AsyncClient, database_url: str) -> None:
        async with replica(database_url, housekeeping_seconds=0.01):
            runs = await create_runs(client, *[{"deadline_seconds": 0.2}] * 100)
            for run in runs:
                await ended(client, run)
        for run in runs:
            after = await get_run(client, run)
            assert (after["status"], after["revision"]) == ("failed", 2)
            assert len(await history_of(client, run)) == 2

    async def test_deadline_and_lost_heartbeat_end_a_run_once(self, client: httpx.AsyncClient, shift: Shift) -> None:
        run = await run_in(client, "running", heartbeat_seconds=60, deadline_seconds=0.3)
        await shift(run, "heartbeat_expires_at", -59.7)
        after = await ended(client, run)
        assert after["reason"] in ("deadline", "lost")
        assert [entry["to"] for entry in await history_of(client, run)] == ["pending", "running", "failed"]
        assert after["revision"] == 3

    async def test_run_that_is_being_changed_is_left_for_the_next_round(
        self, client: httpx.AsyncClient, kernel: Kernel
    ) -> None:
        held, free = await create_runs(client, *[{"deadline_seconds": 0.1}] * 2)
        async with kernel.database.transaction() as tx:
            await lock_runs(tx, [UUID(held["workflow_run_id"])])
            assert (await ended(client, free))["reason"] == "deadline"
            assert (await get_run(client, held))["status"] == "pending"
        assert (await ended(client, held))["reason"] == "deadline"
        assert kernel.housekeeping.overdue(2) == []


def soon(seconds: float = 0.2) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


class TestLateness:
    @pytest.mark.parametrize("status", ["pending", "running"])
    async def test_open_run_is_late_within_two_seconds(self, client: httpx.AsyncClient, status: str) -> None:
        run = await create_run(client, status=status, expected_by=soon())

        async def look() -> dict[str, Any] | None:
            now = await get_run(client, run)
            return now if now["late_at"] else None

        after = await eventually(look)
        late = datetime.fromisoformat(after["late_at"]) - datetime.fromisoformat(run["expected_by"])
        assert timedelta(0) <= late < timedelta(seconds=2)
        assert (after["status"], after["revision"]) == (status, run["revision"] + 1)
        entry = (await history_of(client, run))[-1]
        assert (entry["verb"], entry["from"], entry["to"], entry["actor"]) == ("late", status, status, "housekeeping")

    async def test_it_is_noted_once_by_any_number_of_replicas(
        self, database_url: str, client: httpx.AsyncClient
    ) -> None:
        async with replica(database_url), replica(database_url):
            runs = await create_runs(client, *[{"expected_by": soon()}] * 20)

            async def all_are_late() -> bool:
                return all([(await get_run(client, run))["late_at"] for run in runs])

            await eventually(all_are_late)
        for run in runs:
            assert [entry["verb"] for entry in await history_of(client, run)] == ["create", "late"]
            assert (await get_run(client, run))["revision"] == 2

    async def test_run_that_ended_in_time_is_not_late(
        self, client: httpx.AsyncClient, kernel: Kernel, shift: Shift
    ) -> None:
        run = await run_in(client, "completed", expected_by=soon(60))
        await shift(run, "expected_by", -120)
        async with kernel.database.transaction() as tx:
            assert await mark_late_runs(tx, [UUID(run["workflow_run_id"])]) == 0
        assert (await get_run(client, run))["late_at"] is None

    async def test_late_run_ends_as_any_other_and_stays_late(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client, expected_by="2020-01-01T00:00:00Z")
        after = (await patch_run(client, run, status="failed")).json()
        assert (after["status"], after["late_at"]) == ("failed", run["late_at"])
        reopened = (await client.post(address(run, "retry"))).json()
        assert (reopened["status"], reopened["late_at"]) == ("pending", run["late_at"])
