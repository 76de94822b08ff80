"""Changing a workflow run over HTTP."""

import json
from itertools import product
from typing import Any

import httpx
import pytest

from tests.api.json_texts import KEPT
from tests.factories import (
    JSON,
    RUNS,
    STATUSES,
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

ENDED = ("completed", "failed", "cancelled")
MOVES = {"pending": ("running", *ENDED), "running": ENDED} | dict.fromkeys(ENDED, ())
EARLY, LATE = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


async def assert_unchanged(client: httpx.AsyncClient, run: dict[str, Any], response: httpx.Response) -> None:
    """Fail unless ``response`` says 200, and the run and its history are as they were."""
    entries = await history_of(client, run)
    assert response.status_code == 200, response.text
    assert response.json() == run == await get_run(client, run)
    assert response.headers["etag"] == f'"{run["revision"]}"'
    assert len(entries) == (1 if run["status"] == "pending" else 2)


async def assert_refused(client: httpx.AsyncClient, run: dict[str, Any], response: httpx.Response) -> None:
    """Fail unless ``response`` is a 409 that tells where the run stands, and the run is as it was."""
    assert response.status_code == 409, response.text
    assert code(response) == "move-not-allowed"
    problem = response.json()
    assert problem["current"] == run == await get_run(client, run)
    moves = MOVES[run["status"]]
    assert problem["allowed"][: len(moves)] == list(moves)
    assert not set(problem["allowed"][len(moves) :]) & set(STATUSES)


class TestMoves:
    @pytest.mark.parametrize(("before", "after"), [(a, b) for a, b in product(STATUSES, STATUSES) if b in MOVES[a]])
    async def test_allowed_move_is_made_and_told(self, client: httpx.AsyncClient, before: str, after: str) -> None:
        run = await run_in(client, before)
        response = await patch_run(client, run, status=after)
        assert response.status_code == 200
        moved = response.json()
        assert (moved["status"], moved["revision"]) == (after, run["revision"] + 1)
        assert response.headers["etag"] == f'"{moved["revision"]}"'
        assert moved == await get_run(client, run)
        assert (await history_of(client, run))[-1]["to"] == after

    @pytest.mark.parametrize(
        ("before", "after"), [(a, b) for a, b in product(STATUSES, STATUSES) if b not in (a, *MOVES[a])]
    )
    async def test_other_move_is_refused(self, client: httpx.AsyncClient, before: str, after: str) -> None:
        run = await run_in(client, before)
        await assert_refused(client, run, await patch_run(client, run, status=after))

    @pytest.mark.parametrize("status", STATUSES)
    async def test_same_status_is_nothing_new(self, client: httpx.AsyncClient, status: str) -> None:
        run = await run_in(client, status)
        await assert_unchanged(client, run, await patch_run(client, run, status=status))

    @pytest.mark.parametrize("status", STATUSES)
    async def test_empty_change_is_nothing_new(self, client: httpx.AsyncClient, status: str) -> None:
        run = await run_in(client, status)
        await assert_unchanged(client, run, await patch_run(client, run))

    async def test_body_may_be_left_out(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        await assert_unchanged(client, run, await client.patch(address(run)))

    async def test_merge_patch_is_a_media_type_of_its_own(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        headers = {"Content-Type": "application/merge-patch+json"}
        response = await client.patch(address(run), content='{"status": "running"}', headers=headers)
        assert response.json()["status"] == "running"

    async def test_unknown_run_is_not_found(self, client: httpx.AsyncClient) -> None:
        response = await client.patch(f"{RUNS}/{UNKNOWN_ID}", json={"status": "running"})
        assert (response.status_code, code(response)) == (404, "not-found")


class TestTimes:
    async def test_start_and_end_are_the_databases(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        running = (await patch_run(client, run, status="running")).json()
        assert running["created_at"] <= running["started_at"] == running["updated_at"]
        ended = (await patch_run(client, run, status="completed")).json()
        assert ended["started_at"] == running["started_at"]
        assert ended["started_at"] <= ended["completed_at"] == ended["updated_at"]

    async def test_start_and_end_may_be_given(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        await patch_run(client, run, status="running", started_at="2026-01-01T01:00:00+01:00")
        ended = (await patch_run(client, run, status="failed", completed_at=LATE)).json()
        assert (ended["started_at"], ended["completed_at"]) == (EARLY, LATE)

    async def test_run_that_never_ran_has_no_start(self, client: httpx.AsyncClient) -> None:
        run = await run_in(client, "completed")
        assert run["started_at"] is None
        assert run["completed_at"] is not None

    async def test_whole_life_in_one_change(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        change = {"status": "completed", "started_at": EARLY, "completed_at": LATE, "result": {"rows": 1}}
        ended = (await patch_run(client, run, **change)).json()
        assert {name: ended[name] for name in change} == change

    async def test_end_may_be_the_start(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        assert (
            await patch_run(client, run, status="completed", started_at=EARLY, completed_at=EARLY)
        ).status_code == 200

    @pytest.mark.parametrize("status", ["pending", "running"])
    async def test_run_that_starts_in_the_future_may_end_now(self, client: httpx.AsyncClient, status: str) -> None:
        run = await create_run(client)
        await patch_run(client, run, status=status, started_at="2999-01-01T00:00:00Z")
        ended = await patch_run(client, run, status="completed")
        assert ended.status_code == 200
        assert ended.json()["completed_at"] >= ended.json()["started_at"]

    @pytest.mark.parametrize("status", ["pending", "running"])
    async def test_end_before_the_start_is_refused(self, client: httpx.AsyncClient, status: str) -> None:
        run = await create_run(client)
        await patch_run(client, run, status=status, started_at=LATE)
        response = await patch_run(client, run, status="completed", completed_at=EARLY)
        assert pointers(response) == ["/completed_at"]
        assert (await get_run(client, run))["status"] == status

    async def test_end_before_the_start_in_one_change_is_refused(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        response = await patch_run(client, run, status="completed", started_at=LATE, completed_at=EARLY)
        assert pointers(response) == ["/completed_at"]

    @pytest.mark.parametrize("change", [{}, {"status": "running"}, {"status": "pending"}], ids=str)
    async def test_end_without_a_final_status_is_refused(
        self, client: httpx.AsyncClient, change: dict[str, str]
    ) -> None:
        run = await create_run(client)
        assert pointers(await patch_run(client, run, completed_at=LATE, **change)) == ["/completed_at"]
        assert await get_run(client, run) == run

    @pytest.mark.parametrize("status", ["pending", "running"])
    async def test_null_end_of_an_open_run_is_nothing_new(self, client: httpx.AsyncClient, status: str) -> None:
        run = await run_in(client, status)
        await assert_unchanged(client, run, await patch_run(client, run, completed_at=None))

    async def test_start_may_be_told_before_the_run_runs(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        assert (await patch_run(client, run, started_at=EARLY)).json()["status"] == "pending"
        assert (await patch_run(client, run, status="running")).json()["started_at"] == EARLY

    @pytest.mark.parametrize("status", ["pending", "running", "completed"])
    @pytest.mark.parametrize("value", [LATE, None])
    async def test_start_that_is_set_does_not_change(
        self, client: httpx.AsyncClient, status: str, value: str | None
    ) -> None:
        run = await create_run(client)
        run = (await patch_run(client, run, status=status, started_at=EARLY)).json()
        await assert_refused(client, run, await patch_run(client, run, started_at=value))

    @pytest.mark.parametrize(
        "same", [EARLY, "2026-01-01t00:00:00.000z", "2026-01-01 02:00:00+02:00", "2025-12-31T19:00:00.000000-05:00"]
    )
    async def test_same_moment_is_nothing_new(self, client: httpx.AsyncClient, same: str) -> None:
        run = await create_run(client)
        change = {"status": "completed", "started_at": EARLY, "completed_at": EARLY}
        run = (await patch_run(client, run, **change)).json()
        await assert_unchanged(client, run, await patch_run(client, run, started_at=same, completed_at=same))

    async def test_time_finer_than_a_microsecond_can_be_repeated(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        change = {"status": "completed", "completed_at": "2026-01-01T00:00:00.123456789Z"}
        run = (await patch_run(client, run, **change)).json()
        assert run["completed_at"].startswith("2026-01-01T00:00:00.12345")
        await assert_unchanged(client, run, await patch_run(client, run, **change))

    @pytest.mark.parametrize(
        "time", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "2024-02-29T23:59:59-23:59"]
    )
    async def test_far_times_are_kept(self, client: httpx.AsyncClient, time: str) -> None:
        run = await create_run(client)
        moved = (await patch_run(client, run, status="running", started_at=time)).json()
        again = await patch_run(client, run, started_at=time)
        assert again.json() == moved == await get_run(client, run)
        assert (await patch_run(client, run, status="completed")).status_code == 200

    @pytest.mark.parametrize("name", ["started_at", "completed_at"])
    @pytest.mark.parametrize(
        "time",
        [
            "2026-01-01T00:00:00",
            "2026-01-01",
            "00:00:00Z",
            "2026-01-01T00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:60Z",
            "2026-06-31T00:00:00Z",
            "2025-02-29T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59-01:00",
            "10000-01-01T00:00:00Z",
            "-2026-01-01T00:00:00Z",
            "2026-01-01T00:00:00+25:00",
            "2026-01-01T00:00:00+0100",
            "2026-01-01T00:00:00 Z",
            "2026-01-01T00:00:00Z\n",
            " 2026-01-01T00:00:00Z",
            "2026-01-01T00:00:00.Z",
            "٢٠٢٦-01-01T00:00:00Z",
            "20260101T000000Z",
            "2026-W01-1T00:00:00Z",
            "now",
            "infinity",
            "",
            1767225600,
            1767225600.5,
            True,
            [],
            {},
        ],
        ids=repr,
    )
    async def test_what_is_no_time_with_an_offset_is_refused(
        self, client: httpx.AsyncClient, name: str, time: object
    ) -> None:
        run = await create_run(client)
        assert pointers(await patch_run(client, run, status="completed", **{name: time})) == [f"/{name}"]


class TestResultAndError:
    @pytest.mark.parametrize("value", KEPT, ids=lambda value: repr(value)[:30])
    async def test_result_comes_back_exactly_and_repeats(self, client: httpx.AsyncClient, value: Any) -> None:
        run = await create_run(client)
        run = (await patch_run(client, run, status="completed", result=value)).json()
        assert json.dumps(run["result"]) == json.dumps(value)
        assert json.dumps((await get_run(client, run))["result"]) == json.dumps(value)
        await assert_unchanged(client, run, await patch_run(client, run, status="completed", result=value))

    @pytest.mark.parametrize("value", [value for value in KEPT if isinstance(value, dict)], ids=repr)
    async def test_error_comes_back_exactly(self, client: httpx.AsyncClient, value: Any) -> None:
        run = await create_run(client)
        await patch_run(client, run, status="failed", error=value)
        assert json.dumps((await get_run(client, run))["error"]) == json.dumps(value)

    @pytest.mark.parametrize("value", ["", "x", 0, False, [], [{}]], ids=repr)
    async def test_error_that_is_no_object_is_refused(self, client: httpx.AsyncClient, value: object) -> None:
        run = await create_run(client)
        assert pointers(await patch_run(client, run, status="failed", error=value)) == ["/error"]
        assert await get_run(client, run) == run

    async def test_absent_result_stays_and_null_clears_it(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        await patch_run(client, run, result={"a": 1}, error={"message": "x"})
        kept = (await patch_run(client, run, status="running")).json()
        assert (kept["result"], kept["error"]) == ({"a": 1}, {"message": "x"})
        cleared = (await patch_run(client, run, result=None, error=None)).json()
        assert (cleared["result"], cleared["error"]) == (None, None)

    @pytest.mark.parametrize(
        ("stored", "given"), [(0, False), (1, True), ("1", 1), (None, False), ({}, []), ("", None)]
    )
    async def test_value_of_another_type_is_new(self, client: httpx.AsyncClient, stored: Any, given: Any) -> None:
        run = await create_run(client)
        await patch_run(client, run, result=stored)
        changed = (await patch_run(client, run, result=given)).json()
        assert json.dumps(changed["result"]) == json.dumps(given)


class TestEndedRun:
    ENDED_AS = {  # noqa: RUF012 - never changed
        "status": "failed",
        "result": {"a": 1, "b": [True]},
        "error": {"message": "x"},
        "started_at": EARLY,
        "completed_at": LATE,
    }

    async def ended(self, client: httpx.AsyncClient, **change: Any) -> dict[str, Any]:
        run: dict[str, Any] = (await patch_run(client, await create_run(client), **self.ENDED_AS | change)).json()
        assert run["status"] == "failed"
        return run

    @pytest.mark.parametrize(
        "change",
        [
            ENDED_AS,
            {"result": {"b": [True], "a": 1}},
            {"error": {"message": "x"}, "status": "failed"},
            {"completed_at": "2026-01-02T02:00:00+02:00"},
            {"started_at": EARLY, "status": "failed"},
            {"tags": {}},
            {"tags": {"missing": None}},
            {"task_count": None},
        ],
        ids=str,
    )
    async def test_what_it_already_holds_is_nothing_new(
        self, client: httpx.AsyncClient, change: dict[str, Any]
    ) -> None:
        run = await self.ended(client)
        await assert_unchanged(client, run, await patch_run(client, run, **change))

    @pytest.mark.parametrize(
        "change",
        [
            {"status": "completed"},
            {"status": "running"},
            {"result": None},
            {"result": {"a": 1, "b": [1]}},
            {"status": "failed", "result": {}},
            {"error": None},
            {"error": {}},
            {"status": "failed", "error": {"message": "y"}},
            {"completed_at": None},
            {"completed_at": "2026-01-02T00:00:00.000001Z"},
            {"started_at": None},
            {"started_at": LATE},
            {"status": "failed", "completed_at": EARLY},
            {"tags": {"a": 1}, "status": "completed"},
            {"task_count": 1, "result": 1},
        ],
        ids=str,
    )
    async def test_anything_else_is_refused_as_a_whole(self, client: httpx.AsyncClient, change: dict[str, Any]) -> None:
        run = await self.ended(client)
        await assert_refused(client, run, await patch_run(client, run, **change))

    async def test_null_is_equal_to_a_result_that_was_never_given(self, client: httpx.AsyncClient) -> None:
        run = await run_in(client, "completed")
        await assert_unchanged(client, run, await patch_run(client, run, status="completed", result=None, error=None))
        await assert_refused(client, run, await patch_run(client, run, status="completed", result={}))

    async def test_tags_and_task_count_may_change(self, client: httpx.AsyncClient) -> None:
        run = await self.ended(client)
        changed = (await patch_run(client, run, status="failed", tags={"seen": True}, task_count=4)).json()
        assert (changed["tags"], changed["task_count"], changed["progress"]["total"]) == ({"seen": True}, 4, 4)
        assert changed["revision"] == run["revision"] + 1
        assert len(await history_of(client, run)) == 2

    async def test_start_may_be_filled_once(self, client: httpx.AsyncClient) -> None:
        run = await self.ended(client, started_at=None)
        filled = (await patch_run(client, run, started_at=EARLY)).json()
        assert (filled["started_at"], filled["revision"]) == (EARLY, run["revision"] + 1)
        await assert_refused(client, filled, await patch_run(client, run, started_at=LATE))

    async def test_start_behind_the_end_is_refused(self, client: httpx.AsyncClient) -> None:
        run = await self.ended(client, started_at=None)
        assert pointers(await patch_run(client, run, started_at="2026-01-03T00:00:00Z")) == ["/started_at"]
        assert await get_run(client, run) == run


class TestTags:
    async def test_change_is_merged_and_null_removes(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client, tags={"a": 1, "b": 2, "c": 3})
        changed = (await patch_run(client, run, tags={"b": None, "c": "3", "d": False})).json()
        assert changed["tags"] == {"a": 1, "c": "3", "d": False}

    @pytest.mark.parametrize("tags", [{}, {"a": 1}, {"b": None}], ids=str)
    async def test_same_tags_are_nothing_new(self, client: httpx.AsyncClient, tags: dict[str, Any]) -> None:
        run = await create_run(client, tags={"a": 1})
        await assert_unchanged(client, run, await patch_run(client, run, tags=tags))

    async def test_true_is_not_one(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client, tags={"a": 1})
        assert (await patch_run(client, run, tags={"a": True})).json()["tags"]["a"] is True

    @pytest.mark.parametrize(
        ("tags", "place"),
        [
            (None, "/tags"),
            ([], "/tags"),
            ("a:b", "/tags"),
            ({"a": {}}, "/tags/a"),
            ({"a": [None]}, "/tags/a"),
            ({"": 1}, "/tags"),
            ({"k" * 101: 1}, "/tags"),
            ({f"new{i}": 1 for i in range(64)}, "/tags"),
        ],
        ids=["null", "list", "text", "object tag", "list tag", "empty key", "long key", "more than 64"],
    )
    async def test_other_tags_are_refused(self, client: httpx.AsyncClient, tags: Any, place: str) -> None:
        run = await create_run(client, tags={"a": 1})
        assert pointers(await patch_run(client, run, tags=tags)) == [place]
        assert await get_run(client, run) == run

    async def test_one_may_take_the_place_of_another_at_the_limit(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client, tags={f"key{i}": i for i in range(64)})
        changed = await patch_run(client, run, tags={"key0": None, "new": 1})
        assert len(changed.json()["tags"]) == 64


class TestTaskCount:
    async def test_it_is_the_total_until_it_is_null(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        assert (await patch_run(client, run, task_count=7)).json()["progress"]["total"] == 7
        assert (await patch_run(client, run, task_count=None)).json()["progress"]["total"] == 0

    @pytest.mark.parametrize("value", ["5", True, 1.5, -1, 2**31, 2**70, [], {}], ids=repr)
    async def test_other_value_is_refused(self, client: httpx.AsyncClient, value: object) -> None:
        run = await create_run(client)
        assert pointers(await patch_run(client, run, task_count=value)) == ["/task_count"]


class TestRefusedChange:
    @pytest.mark.parametrize("status", [None, "", "done", "Running", "running ", 1, True, [], ["running"]], ids=repr)
    async def test_unknown_status_is_refused(self, client: httpx.AsyncClient, status: object) -> None:
        run = await create_run(client)
        assert pointers(await patch_run(client, run, status=status)) == ["/status"]

    @pytest.mark.parametrize(
        "member", ["inputs", "workflow_name", "created_at", "revision", "reason", "queue", "state", "", "Status", "a~b"]
    )
    async def test_unknown_member_is_refused(self, client: httpx.AsyncClient, member: str) -> None:
        run = await create_run(client)
        assert pointers(await patch_run(client, run, **{member: 1})) == ["/" + member.replace("~", "~0")]
        assert await get_run(client, run) == run

    @pytest.mark.parametrize("body", ["null", "[]", '"running"', "1", '[{"op": "replace"}]'])
    async def test_body_that_is_no_object_is_refused(self, client: httpx.AsyncClient, body: str) -> None:
        run = await create_run(client)
        assert pointers(await client.patch(address(run), content=body, headers=JSON)) == [""]

    async def test_bad_body_comes_before_an_unknown_run(self, client: httpx.AsyncClient) -> None:
        assert pointers(await client.patch(f"{RUNS}/{UNKNOWN_ID}", json={"status": "x"})) == ["/status"]


class TestIfMatch:
    async def change(self, client: httpx.AsyncClient, run: dict[str, Any], tag: str, **change: Any) -> httpx.Response:
        return await client.patch(address(run), json=change, headers={"If-Match": tag})

    @pytest.mark.parametrize("condition", ['"2"', "*", '"1", "2"', '"1","2" , "x"', ' "2" ', 'W/"1", "2"'])
    async def test_current_revision_is_changed(self, client: httpx.AsyncClient, condition: str) -> None:
        run = await run_in(client, "running")
        assert (await self.change(client, run, condition, status="completed")).status_code == 200

    @pytest.mark.parametrize("condition", ['"1"', '"3"', '"02"', '""', '"1", "3"', 'W/"2"', '"x"'])
    async def test_other_revision_is_refused_with_where_it_stands(
        self, client: httpx.AsyncClient, condition: str
    ) -> None:
        run = await run_in(client, "running")
        response = await self.change(client, run, condition, status="completed")
        assert response.status_code == 412
        assert code(response) == "precondition-failed"
        assert response.json()["current"] == run == await get_run(client, run)

    @pytest.mark.parametrize("condition", ["", "2", "'2'", '"2', '2"', "W/2", '"1" "2"', "**", '* , "2"'])
    async def test_unreadable_condition_is_refused(self, client: httpx.AsyncClient, condition: str) -> None:
        run = await run_in(client, "running")
        assert pointers(await self.change(client, run, condition, status="completed")) == ["If-Match"]

    @pytest.mark.parametrize("change", [{"status": "running"}, {"result": 1}, {}, {"completed_at": EARLY}], ids=str)
    async def test_it_comes_before_the_moves(self, client: httpx.AsyncClient, change: dict[str, Any]) -> None:
        run = await run_in(client, "completed")
        response = await self.change(client, run, '"1"', **change)
        assert (response.status_code, response.json()["current"]) == (412, run)

    async def test_unknown_run_is_not_found(self, client: httpx.AsyncClient) -> None:
        response = await client.patch(f"{RUNS}/{UNKNOWN_ID}", json={}, headers={"If-Match": "*"})
        assert response.status_code == 404

    async def test_etag_of_each_answer_can_be_used_for_the_next(self, client: httpx.AsyncClient) -> None:
        created = await client.post(RUNS, json={"workflow_name": "a", "workflow_version": "1"})
        run, tag = created.json(), created.headers["etag"]
        for change in ({"status": "running"}, {"tags": {"a": 1}}, {"tags": {"a": 1}}, {"status": "completed"}):
            response = await self.change(client, run, tag, **change)
            assert response.status_code == 200
            tag = response.headers["etag"]
        assert (await client.get(address(run))).headers["etag"] == tag
