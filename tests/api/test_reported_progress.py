"""Progress that owners of runs and workers of tasks report."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from tests.factories import QUEUES, TASKS, address, create_run, get_run, history_of, pointers, run_in

Report = Callable[[Any], Awaitable[httpx.Response]]
WAYS = ("patch", "run heartbeat", "task heartbeat")
NOTHING = {"done": None, "total": None, "unit": None, "message": None}


class Reporter:
    """One of the ways to report progress, and what shows it."""

    def __init__(self, client: httpx.AsyncClient, shown_at: str, method: str, path: str, body: dict[str, Any]) -> None:
        self.client, self.shown_at, self.method, self.path, self.body = client, shown_at, method, path, body

    async def send(self, report: Any) -> httpx.Response:
        return await self.client.request(self.method, self.path, json={**self.body, "reported_progress": report})

    async def report(self, report: Any) -> dict[str, Any]:
        """Return what shows a report after it."""
        response = await self.send(report)
        assert response.status_code == 200, response.text
        return await self.look()

    async def look(self) -> dict[str, Any]:
        shown: dict[str, Any] = (await self.client.get(self.shown_at)).json()
        return shown


@pytest.fixture(params=WAYS)
async def reporter(client: httpx.AsyncClient, request: pytest.FixtureRequest) -> Reporter:
    if request.param == "task heartbeat":
        task = (await client.post(TASKS, json={"task_name": "load"})).json()
        claimed = (await client.post(f"{QUEUES}/default/claim", json={"worker_id": "w"})).json()["tasks"][0]
        path = f"{TASKS}/{task['task_id']}"
        return Reporter(client, path, "POST", f"{path}/heartbeat", {"lease_token": claimed["lease_token"]})
    run = await run_in(client, "running", heartbeat_seconds=600)
    if request.param == "patch":
        return Reporter(client, address(run), "PATCH", address(run), {})
    return Reporter(client, address(run), "POST", address(run, "heartbeat"), {})


class TestReportedProgress:
    async def test_none_was_reported_at_first(self, reporter: Reporter) -> None:
        assert (await reporter.look())["reported_progress"] is None

    async def test_members_merge_and_null_clears(self, reporter: Reporter) -> None:
        first = await reporter.report({"done": 1, "total": 10, "unit": "rows"})
        assert first["reported_progress"] == {"done": 1, "total": 10, "unit": "rows", "message": None}
        second = await reporter.report({"done": 2.5, "message": "orders", "total": None})
        assert second["reported_progress"] == {"done": 2.5, "total": None, "unit": "rows", "message": "orders"}
        cleared = await reporter.report(None)
        assert cleared["reported_progress"] is None
        assert (first["revision"] + 1, second["revision"] + 1) == (second["revision"], cleared["revision"])

    async def test_the_same_again_is_nothing_new(self, reporter: Reporter) -> None:
        first = await reporter.report({"done": 1, "total": 10, "unit": "rows"})
        for same in ({"done": 1}, {"done": 1.0, "unit": "rows"}, {}, {"message": None}):
            again = await reporter.report(same)
            assert again["reported_progress"] == first["reported_progress"]
            assert (again["revision"], again["updated_at"]) == (first["revision"], first["updated_at"])

    async def test_null_where_nothing_was_reported_is_nothing_new(self, reporter: Reporter) -> None:
        before = await reporter.look()
        for nothing in (None, {}, NOTHING):
            after = await reporter.report(nothing)
            assert (after["reported_progress"], after["revision"]) == (None, before["revision"])

    async def test_when_all_members_are_cleared_nothing_is_left(self, reporter: Reporter) -> None:
        await reporter.report({"done": 1})
        assert (await reporter.report({"done": None}))["reported_progress"] is None

    async def test_numbers_stay_what_they_are(self, reporter: Reporter) -> None:
        shown = (await reporter.report({"done": 0, "total": 12345678901234567890}))["reported_progress"]
        assert (shown["done"], shown["total"]) == (0, 12345678901234567890)
        assert isinstance(shown["done"], int)

    @pytest.mark.parametrize(
        ("report", "pointer"),
        [
            ({"done": -1}, "/reported_progress/done"),
            ({"total": -0.5}, "/reported_progress/total"),
            ({"done": "1"}, "/reported_progress/done"),
            ({"done": True}, "/reported_progress/done"),
            ({"unit": 1}, "/reported_progress/unit"),
            ({"unit": "u" * 101}, "/reported_progress/unit"),
            ({"message": "m" * 2001}, "/reported_progress/message"),
            ({"percent": 1}, "/reported_progress/percent"),
            ("half", "/reported_progress"),
            ([], "/reported_progress"),
        ],
    )
    async def test_refusal_names_the_place(self, reporter: Reporter, report: Any, pointer: str) -> None:
        before = await reporter.look()
        response = await reporter.send(report)
        assert set(pointers(response)) == {pointer}
        assert await reporter.look() == before


class TestRuns:
    async def test_heartbeat_still_winds_the_clock_up(self, client: httpx.AsyncClient) -> None:
        run = await run_in(client, "running", heartbeat_seconds=600)
        response = await client.post(address(run, "heartbeat"), json={"reported_progress": {"done": 1}})
        assert response.json()["heartbeat_expires_at"] > run["heartbeat_expires_at"]
        after = await get_run(client, run)
        assert after["heartbeat_expires_at"] == response.json()["heartbeat_expires_at"]
        assert after["reported_progress"]["done"] == 1
        assert len(await history_of(client, run)) == 2

    @pytest.mark.parametrize("status", ["pending", "completed"])
    async def test_run_that_does_not_run_takes_progress(self, client: httpx.AsyncClient, status: str) -> None:
        run = await run_in(client, status, heartbeat_seconds=600)
        response = await client.post(address(run, "heartbeat"), json={"reported_progress": {"done": 1}})
        assert (response.status_code, response.json()["status"]) == (200, status)
        assert response.json()["heartbeat_expires_at"] is None
        assert (await get_run(client, run))["reported_progress"]["done"] == 1
        patched = await client.patch(address(run), json={"reported_progress": {"done": 2}})
        assert (patched.status_code, patched.json()["reported_progress"]["done"]) == (200, 2)

    async def test_run_without_heartbeats_refuses_them(self, client: httpx.AsyncClient) -> None:
        run = await run_in(client, "running")
        response = await client.post(address(run, "heartbeat"), json={"reported_progress": {"done": 1}})
        assert response.status_code == 409
        assert await get_run(client, run) == run

    async def test_progress_and_status_go_together(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        response = await client.patch(address(run), json={"status": "running", "reported_progress": {"done": 3}})
        assert (response.json()["status"], response.json()["revision"]) == ("running", 2)
        assert response.json()["reported_progress"] == {**NOTHING, "done": 3}
