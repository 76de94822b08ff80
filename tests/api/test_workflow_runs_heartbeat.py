"""Heartbeats of workflow runs over HTTP."""

from datetime import datetime, timedelta

import httpx
import pytest

from tests.factories import (
    JSON,
    RUNS,
    UNKNOWN_ID,
    address,
    code,
    create_run,
    get_run,
    history_of,
    patch_run,
    pointers,
    run_in,
)


async def beat(client: httpx.AsyncClient, run: dict[str, str]) -> httpx.Response:
    return await client.post(address(run, "heartbeat"))


class TestHeartbeatWorkflowRun:
    async def test_clock_starts_when_the_run_becomes_running(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client, heartbeat_seconds=60)
        running = (await patch_run(client, run, status="running")).json()
        clock = datetime.fromisoformat(running["heartbeat_expires_at"])
        assert clock == datetime.fromisoformat(running["updated_at"]) + timedelta(seconds=60)

    async def test_clock_does_not_follow_the_start_the_client_tells(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client, heartbeat_seconds=60)
        running = (await patch_run(client, run, status="running", started_at="2020-01-01T00:00:00Z")).json()
        assert running["heartbeat_expires_at"] > running["created_at"]

    async def test_it_moves_the_clock_and_nothing_else(self, client: httpx.AsyncClient) -> None:
        run = await run_in(client, "running", heartbeat_seconds=60)
        answer = await beat(client, run)
        assert answer.status_code == 200
        assert (answer.json()["status"], answer.json()["cancel_requested"]) == ("running", False)
        after = await get_run(client, run)
        assert after["heartbeat_expires_at"] > run["heartbeat_expires_at"]
        assert {**after, "heartbeat_expires_at": None} == {**run, "heartbeat_expires_at": None}
        assert len(await history_of(client, run)) == 2

    async def test_run_without_heartbeats_refuses_it(self, client: httpx.AsyncClient) -> None:
        run = await run_in(client, "running")
        answer = await beat(client, run)
        assert answer.status_code == 409
        assert answer.json()["current"] == run
        assert answer.json()["allowed"][:3] == ["completed", "failed", "cancelled"]

    @pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
    async def test_ended_run_answers_with_its_status(self, client: httpx.AsyncClient, status: str) -> None:
        run = await run_in(client, status, heartbeat_seconds=60)
        answer = await beat(client, run)
        assert (answer.status_code, answer.json()["status"]) == (200, status)
        assert await get_run(client, run) == run

    @pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
    async def test_clock_stops_when_the_run_ends(self, client: httpx.AsyncClient, status: str) -> None:
        run = await run_in(client, "running", heartbeat_seconds=60)
        assert (await patch_run(client, run, status=status)).json()["heartbeat_expires_at"] is None

    async def test_pending_run_does_not_tick(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client, heartbeat_seconds=60)
        assert (await beat(client, run)).json()["status"] == "pending"
        assert await get_run(client, run) == run

    async def test_unknown_run_is_not_found(self, client: httpx.AsyncClient) -> None:
        assert code(await client.post(f"{RUNS}/{UNKNOWN_ID}/heartbeat")) == "not-found"

    @pytest.mark.parametrize("body", ["", "{}", " {} "])
    async def test_nothing_and_an_empty_object_are_taken(self, client: httpx.AsyncClient, body: str) -> None:
        run = await run_in(client, "running", heartbeat_seconds=60)
        answer = await client.post(address(run, "heartbeat"), content=body, headers=JSON)
        assert answer.status_code == 200

    @pytest.mark.parametrize(("body", "place"), [('{"x": 1}', "/x"), ("[]", ""), ("null", ""), ('"x"', ""), ("0", "")])
    async def test_other_body_is_refused(self, client: httpx.AsyncClient, body: str, place: str) -> None:
        run = await run_in(client, "running", heartbeat_seconds=60)
        answer = await client.post(address(run, "heartbeat"), content=body, headers=JSON)
        assert pointers(answer) == [place]
