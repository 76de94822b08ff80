"""Creating a workflow run that has started or ended already, or that is expected by some time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.factories import (
    RUNS,
    address,
    count_all,
    create_run,
    create_runs,
    get_run,
    history_of,
    ids,
    list_runs,
    patch_run,
    pointers,
    run_body,
    run_in,
)

BEGAN, ENDED = "2026-01-31T02:00:00Z", "2026-01-31T02:14:30Z"
FINAL = ("completed", "failed", "cancelled")
PAST = "2020-01-01T00:00:00Z"


def in_an_hour() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()


class TestRecordedRun:
    @pytest.mark.parametrize("key", [None, "k"])
    @pytest.mark.parametrize(
        "given",
        [
            {"status": "pending"},
            {"status": "pending", "started_at": BEGAN},
            {"status": "running"},
            {"status": "running", "started_at": BEGAN, "heartbeat_seconds": 60, "deadline_seconds": 60},
            {"status": "running", "tasks": [{"task_name": "load"}]},
            {"status": "completed", "started_at": BEGAN, "completed_at": ENDED, "result": [1, None]},
            {"status": "failed", "error": {"type": "E", "message": "no"}, "started_at": None},
            {"status": "cancelled", "completed_at": ENDED, "tasks": []},
            {"result": 0, "error": {}},
            {"expected_by": PAST},
            {"expected_by": "2999-01-01T00:00:00+02:00"},
        ],
        ids=str,
    )
    async def test_answer_is_what_is_stored(
        self, client: httpx.AsyncClient, given: dict[str, Any], key: str | None
    ) -> None:
        headers = {"Idempotency-Key": key} if key else {}
        answer = await client.post(RUNS, json=run_body(**given), headers=headers)
        assert answer.status_code == 201, answer.text
        run = answer.json()
        assert await get_run(client, run) == run
        assert (run["revision"], answer.headers["etag"]) == (1, '"1"')
        if key:
            again = await client.post(RUNS, json=run_body(**given), headers=headers)
            assert (again.status_code, again.content) == (200, answer.content)

    async def test_finished_job_is_recorded_by_one_call(self, client: httpx.AsyncClient) -> None:
        given = {"status": "failed", "started_at": BEGAN, "completed_at": ENDED, "error": {"message": "disk full"}}
        before = datetime.now(UTC) - timedelta(minutes=1)
        run = await create_run(client, **given)
        assert {name: run[name] for name in given} == given
        assert datetime.fromisoformat(run["created_at"]) > before
        (entry,) = await history_of(client, run)
        assert (entry["verb"], entry["from"], entry["to"]) == ("create", None, "failed")
        assert entry["at"] == run["created_at"]

    async def test_running_run_starts_at_its_creation(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client, status="running")
        assert run["started_at"] == run["created_at"]

    @pytest.mark.parametrize("status", FINAL)
    async def test_ended_run_ends_at_its_creation(self, client: httpx.AsyncClient, status: str) -> None:
        run = await create_run(client, status=status, heartbeat_seconds=1)
        assert (run["started_at"], run["completed_at"]) == (None, run["created_at"])
        assert (run["reason"], run["heartbeat_expires_at"]) == (None, None)

    async def test_run_that_is_to_start_later_does_not_end_before(self, client: httpx.AsyncClient) -> None:
        later = "2999-01-01T00:00:00Z"
        assert (await create_run(client, status="completed", started_at=later))["completed_at"] == later

    async def test_running_run_goes_on_as_any_other(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client, status="running", started_at=BEGAN, heartbeat_seconds=60)
        beaten = await client.post(address(run, "heartbeat"))
        assert beaten.json()["heartbeat_expires_at"] > run["heartbeat_expires_at"]
        after = (await patch_run(client, run, status="completed")).json()
        assert (after["status"], after["started_at"]) == ("completed", BEGAN)
        assert [entry["to"] for entry in await history_of(client, run)] == ["running", "completed"]

    async def test_ended_run_holds_what_it_was_recorded_with(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client, status="completed", result=1)
        assert (await patch_run(client, run, status="completed", result=1)).json() == run
        assert (await patch_run(client, run, result=2)).status_code == 409

    async def test_batch_takes_the_same(self, client: httpx.AsyncClient) -> None:
        runs = await create_runs(client, {}, {"status": "completed", "result": 7}, {"status": "running"})
        assert [run["status"] for run in runs] == ["pending", "completed", "running"]
        assert [run["result"] for run in runs] == [None, 7, None]
        assert [await get_run(client, run) for run in runs] == runs


CONTRADICTIONS: list[tuple[dict[str, Any], list[str]]] = [
    ({"completed_at": ENDED}, ["/completed_at"]),
    ({"status": "pending", "completed_at": ENDED}, ["/completed_at"]),
    ({"status": "running", "completed_at": ENDED}, ["/completed_at"]),
    *(({"status": status, "started_at": ENDED, "completed_at": BEGAN}, ["/completed_at"]) for status in FINAL),
    *(({"status": status, "tasks": [{"task_name": "a"}]}, ["/tasks"]) for status in FINAL),
    (
        {"status": "failed", "tasks": [{"task_name": "a"}], "started_at": ENDED, "completed_at": BEGAN},
        ["/tasks", "/completed_at"],
    ),
    ({"status": None}, ["/status"]),
    ({"status": "done"}, ["/status"]),
    ({"started_at": "2026-01-31T02:00:00"}, ["/started_at"]),
    ({"status": "completed", "completed_at": 5}, ["/completed_at"]),
    ({"error": "text"}, ["/error"]),
    ({"expected_by": "tomorrow"}, ["/expected_by"]),
    ({"expected_by": 5}, ["/expected_by"]),
    ({"late_at": PAST}, ["/late_at"]),
]


class TestRefusedRecord:
    @pytest.mark.parametrize(("given", "places"), CONTRADICTIONS, ids=str)
    async def test_what_contradicts_itself_is_refused_at_its_place(
        self, client: httpx.AsyncClient, given: dict[str, Any], places: list[str]
    ) -> None:
        before = await count_all(client)
        headers = {"Idempotency-Key": "free"}
        response = await client.post(RUNS, json=run_body(**given), headers=headers)
        assert pointers(response) == places
        batch = {"workflow_runs": [run_body(), run_body(**given)]}
        expected = [f"/workflow_runs/1{place}" for place in places]
        assert pointers(await client.post(f"{RUNS}/batch", json=batch)) == expected
        assert await count_all(client) == before
        assert (await client.post(RUNS, json=run_body(), headers=headers)).status_code == 201


class TestExpectedBy:
    async def test_run_that_is_overdue_at_its_creation_is_late_at_once(self, client: httpx.AsyncClient) -> None:
        for status in ("pending", "running", *FINAL):
            run = await create_run(client, status=status, expected_by=PAST)
            assert run["late_at"] == run["created_at"]

    async def test_run_that_has_ended_in_time_was_not_late(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client, status="completed", completed_at=BEGAN, expected_by=ENDED)
        assert run["late_at"] is None
        run = await create_run(client, status="completed", completed_at=ENDED, expected_by=BEGAN)
        assert run["late_at"] == run["created_at"]

    async def test_run_with_time_left_is_not_late(self, client: httpx.AsyncClient) -> None:
        assert (await create_run(client, expected_by=in_an_hour()))["late_at"] is None


class TestFilters:
    @pytest.mark.parametrize("order", ["created_at", "-created_at", "-updated_at", "started_at"])
    async def test_late_runs_are_found_also_when_they_have_ended(self, client: httpx.AsyncClient, order: str) -> None:
        open_one = await create_run(client, expected_by=PAST)
        ended = await create_run(client, expected_by=PAST, status="completed")
        plain = await create_run(client)
        in_time = await create_run(client, expected_by=in_an_hour())
        assert set(await list_runs(client, late="true", order=order)) == set(ids([open_one, ended]))
        assert set(await list_runs(client, late="false", order=order)) == set(ids([plain, in_time]))
        assert await list_runs(client, late="true", status="completed", order=order) == ids([ended])
        counts = await client.get(f"{RUNS}/counts", params={"late": "true"})
        assert {each["status"]: each["count"] for each in counts.json()["counts"]} == {"completed": 1, "pending": 1}

    async def test_runs_are_found_by_why_they_ended(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        await client.post(address(run, "cancel"))
        await run_in(client, "cancelled")
        assert await list_runs(client, reason="cancel_requested") == ids([run])
        assert await list_runs(client, [("reason", "deadline"), ("reason", "cancel_requested")]) == ids([run])
        assert await list_runs(client, reason="lost") == []
        counts = await client.get(f"{RUNS}/counts", params={"reason": "cancel_requested", "late": "false"})
        assert counts.json()["counts"] == [{"status": "cancelled", "count": 1}]

    @pytest.mark.parametrize("query", [{"late": "maybe"}, {"late": ""}, {"reason": "bad_luck"}, {"reason": ""}])
    @pytest.mark.parametrize("path", [RUNS, f"{RUNS}/counts"])
    async def test_what_nothing_can_be_is_refused(
        self, client: httpx.AsyncClient, path: str, query: dict[str, str]
    ) -> None:
        assert pointers(await client.get(path, params=query)) == [*query]

    async def test_cursor_belongs_to_its_filter(self, client: httpx.AsyncClient) -> None:
        await create_runs(client, *[{"expected_by": PAST}] * 3)
        page = (await client.get(RUNS, params={"late": "true", "limit": 1})).json()
        more = {"late": "true", "limit": 2, "cursor": page["next_cursor"]}
        assert len(await list_runs(client, more)) == 2
        assert pointers(await client.get(RUNS, params=more | {"late": "false"})) == ["cursor"]
