"""Schedules over HTTP: making, reading, changing, pausing and deleting them, and their slots."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from app.db.engine import Database
from app.moves.schedules import keep_schedule_of_definition
from app.store import workflows as workflows_store
from tests.factories import RUNS, UNKNOWN_ID, code, pointers
from tests.waiting import eventually

SCHEDULES = "/v1/schedules"
NEW_YEAR = "2025-01-01T00:00:00Z"
FAR = "2999-01-01T00:00:00Z"
Json = dict[str, Any]


def document(**changes: Any) -> Json:
    task = {"task_id": "extract", "operator_type": "task", "function": "etl.extract"}
    return {"name": "nightly_etl", "version": "1.0.0", "tasks": {"extract": task}, **changes}


async def register(client: httpx.AsyncClient, **changes: Any) -> None:
    """Register a version of the definition that the schedules here are of."""
    response = await client.post("/v1/workflows", json=document(**changes))
    assert response.status_code == 201, response.text


def schedule_body(**changes: Any) -> Json:
    return {"workflow_name": "nightly_etl", "cron": "0 2 * * *", **changes}


async def create_schedule(client: httpx.AsyncClient, **changes: Any) -> Json:
    response = await client.post(SCHEDULES, json=schedule_body(**changes))
    assert response.status_code == 201, response.text
    schedule: Json = response.json()
    return schedule


def address(schedule: Json, *parts: str) -> str:
    return "/".join([SCHEDULES, schedule["schedule_id"], *parts])


async def get_schedule(client: httpx.AsyncClient, schedule: Json) -> Json:
    response = await client.get(address(schedule))
    assert response.status_code == 200, response.text
    current: Json = response.json()
    return current


async def update_schedule(client: httpx.AsyncClient, schedule: Json, **changes: Any) -> Json:
    response = await client.patch(address(schedule), json=changes)
    assert response.status_code == 200, response.text
    current: Json = response.json()
    return current


async def next_of(client: httpx.AsyncClient, schedule: Json, **query: Any) -> list[Json]:
    response = await client.get(address(schedule, "next"), params=query)
    assert response.status_code == 200, response.text
    items: list[Json] = response.json()["items"]
    return items


async def slots_of(client: httpx.AsyncClient, schedule: Json) -> list[Json]:
    response = await client.get(address(schedule, "slots"), params={"limit": 200})
    assert response.status_code == 200, response.text
    items: list[Json] = response.json()["items"]
    return items


async def backfill(client: httpx.AsyncClient, schedule: Json, start: str, end: str) -> list[Json]:
    response = await client.post(address(schedule, "backfill"), json={"start": start, "end": end})
    assert response.status_code == 201, response.text
    items: list[Json] = response.json()["items"]
    return items


async def scheduled_runs(client: httpx.AsyncClient, schedule: Json) -> list[Json]:
    """Return the runs of a schedule, oldest first."""
    response = await client.get(RUNS, params={"limit": 200, "order": "created_at"})
    runs = [run for run in response.json()["items"] if run["schedule_id"] == schedule["schedule_id"]]
    return sorted(runs, key=lambda run: str(run["data_interval_end"]))


@pytest.fixture
async def definition(client: httpx.AsyncClient) -> None:
    await register(client)


@pytest.mark.usefixtures("definition")
class TestCreate:
    async def test_defaults(self, client: httpx.AsyncClient) -> None:
        response = await client.post(SCHEDULES, json=schedule_body())
        assert response.status_code == 201
        schedule = response.json()
        expected: Json = {
            "workflow_version": None,
            "workflow_id": None,
            "timezone": "UTC",
            "end_at": None,
            "catchup": False,
            "max_active_runs": 1,
            "overlap": "wait",
            "paused": False,
            "queue": "default",
            "inputs": {},
            "tags": {},
            "created_by": None,
            "last_fire_at": None,
            "active_runs": 0,
            "revision": 1,
        }
        assert {name: schedule[name] for name in expected} == expected
        start, created, following = (
            datetime.fromisoformat(schedule[name]) for name in ("start_at", "created_at", "next_fire_at")
        )
        assert start < created <= following
        assert following - start == timedelta(days=1)
        assert (start.hour, start.minute) == (2, 0)
        assert response.headers["location"] == address(schedule)
        assert response.headers["etag"] == '"1"'
        assert await get_schedule(client, schedule) == schedule

    async def test_all_that_is_given_is_kept(self, client: httpx.AsyncClient) -> None:
        given = {
            "workflow_version": "1.0.0",
            "timezone": "Europe/Berlin",
            "start_at": NEW_YEAR,
            "end_at": FAR,
            "catchup": True,
            "max_active_runs": 7,
            "overlap": "skip",
            "paused": True,
            "queue": "nightly",
            "inputs": [1, {"a": None}],
            "tags": {"team": "data", "n": 1},
            "created_by": "ada",
        }
        schedule = await create_schedule(client, **given)
        assert {name: schedule[name] for name in given} == given

    @pytest.mark.parametrize(
        ("changes", "place"),
        [
            ({"cron": "0 2 * *"}, "/cron"),
            ({"cron": "61 * * * *"}, "/cron"),
            ({"cron": "0 0 30 2 *"}, "/cron"),
            ({"cron": ""}, "/cron"),
            ({"cron": None}, "/cron"),
            ({"timezone": "Mars/Base"}, "/timezone"),
            ({"timezone": None}, "/timezone"),
            ({"workflow_name": "unknown"}, "/workflow_name"),
            ({"workflow_version": "2.0.0"}, "/workflow_version"),
            ({"start_at": "2025-01-01T00:00:00"}, "/start_at"),
            ({"start_at": NEW_YEAR, "end_at": NEW_YEAR}, "/end_at"),
            ({"end_at": NEW_YEAR}, "/end_at"),
            ({"max_active_runs": 0}, "/max_active_runs"),
            ({"overlap": "both"}, "/overlap"),
            ({"catchup": "yes"}, "/catchup"),
            ({"paused": None}, "/paused"),
            ({"queue": "9"}, "/queue"),
            ({"tags": {"a": []}}, "/tags/a"),
            ({"inputs": "\0"}, "/inputs"),
            ({"schedule": "0 2 * * *"}, "/schedule"),
        ],
        ids=str,
    )
    async def test_bad_value_is_refused_at_its_place(
        self, client: httpx.AsyncClient, changes: Json, place: str
    ) -> None:
        assert pointers(await client.post(SCHEDULES, json=schedule_body(**changes))) == [place]
        assert (await client.get(SCHEDULES)).json()["items"] == []

    async def test_everything_that_is_wrong_is_told_at_once(self, client: httpx.AsyncClient) -> None:
        body = schedule_body(cron="x", timezone="x", workflow_name="unknown")
        assert pointers(await client.post(SCHEDULES, json=body)) == ["/cron", "/timezone", "/workflow_name"]

    async def test_repeat_with_its_key_is_answered_the_same(self, client: httpx.AsyncClient) -> None:
        headers = {"Idempotency-Key": "a"}
        answers = await asyncio.gather(
            *(client.post(SCHEDULES, json=schedule_body(), headers=headers) for _ in range(6))
        )
        assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201]
        assert len({answer.content for answer in answers}) == 1
        assert {answer.headers["location"] for answer in answers} == {address(answers[0].json())}
        assert len((await client.get(SCHEDULES)).json()["items"]) == 1
        other = await client.post(SCHEDULES, json=schedule_body(paused=True), headers=headers)
        assert code(other) == "idempotency-key-reused"

    async def test_first_slot_has_its_whole_interval_after_the_start(self, client: httpx.AsyncClient) -> None:
        schedule = await create_schedule(client, start_at="2998-01-01T00:00:00Z")
        assert schedule["next_fire_at"] == "2998-01-02T02:00:00Z"

    async def test_there_is_no_slot_after_the_end(self, client: httpx.AsyncClient) -> None:
        times = {"start_at": "2998-01-01T00:00:00Z", "end_at": "2998-01-02T01:00:00Z"}
        assert (await create_schedule(client, **times))["next_fire_at"] is None


@pytest.mark.usefixtures("definition")
class TestRead:
    async def test_unknown_schedule_is_not_found(self, client: httpx.AsyncClient) -> None:
        for method, path in [
            ("GET", ""),
            ("PATCH", ""),
            ("DELETE", ""),
            ("POST", "/pause"),
            ("POST", "/resume"),
            ("GET", "/next"),
            ("GET", "/slots"),
        ]:
            body: Json | None = {} if method == "PATCH" else None
            response = await client.request(method, f"{SCHEDULES}/{UNKNOWN_ID}{path}", json=body)
            assert (response.status_code, code(response)) == (404, "not-found")
        body = {"start": NEW_YEAR, "end": FAR}
        assert (await client.post(f"{SCHEDULES}/{UNKNOWN_ID}/backfill", json=body)).status_code == 404

    async def test_list_is_newest_first_and_goes_on_at_its_cursor(self, client: httpx.AsyncClient) -> None:
        made = [(await create_schedule(client))["schedule_id"] for _ in range(5)]
        found: list[str] = []
        cursor: str | None = None
        while cursor is not None or not found:
            response = await client.get(SCHEDULES, params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
            found += [item["schedule_id"] for item in response.json()["items"]]
            cursor = response.json()["next_cursor"]
            assert ("link" in response.headers) == (cursor is not None)
        assert found == sorted(made, reverse=True)

    async def test_list_is_filtered(self, client: httpx.AsyncClient) -> None:
        await register(client, name="other")
        one = await create_schedule(client, paused=True)
        two = await create_schedule(client, workflow_name="other")
        for query, expected in [
            ({"workflow_name": "nightly_etl"}, [one]),
            ({"paused": "false"}, [two]),
            ({"paused": "true", "workflow_name": "other"}, []),
        ]:
            items = (await client.get(SCHEDULES, params=query)).json()["items"]
            assert [item["schedule_id"] for item in items] == [item["schedule_id"] for item in expected]

    async def test_cursor_of_other_filters_is_refused(self, client: httpx.AsyncClient) -> None:
        await create_schedule(client)
        await create_schedule(client)
        cursor = (await client.get(SCHEDULES, params={"limit": 1})).json()["next_cursor"]
        assert pointers(await client.get(SCHEDULES, params={"paused": "true", "cursor": cursor})) == ["cursor"]

    async def test_terminal_gets_text(self, client: httpx.AsyncClient) -> None:
        schedule = await create_schedule(client, inputs={"a": True})
        await backfill(client, schedule, NEW_YEAR, "2025-01-02T00:00:00Z")
        for path, word in [("", "CRON"), (f"/{schedule['schedule_id']}", '{"a":true}')]:
            response = await client.get(SCHEDULES + path, headers={"Accept": "text/plain"})
            assert response.headers["content-type"].startswith("text/plain")
            assert word in response.text
        slots = await client.get(address(schedule, "slots"), headers={"Accept": "text/plain"})
        assert "2025-01-01T02:00:00Z  fired" in slots.text


@pytest.mark.usefixtures("definition")
class TestNext:
    async def test_deployed_on_15_january_it_goes_on_on_the_16th(self, client: httpx.AsyncClient) -> None:
        schedule = await create_schedule(client, start_at=NEW_YEAR)
        items = await next_of(client, schedule, count=2, after="2025-01-15T03:00:00Z")
        assert items == [
            {
                "fire_at": f"2025-01-{day}T02:00:00Z",
                "data_interval_start": f"2025-01-{day - 1}T02:00:00Z",
                "data_interval_end": f"2025-01-{day}T02:00:00Z",
            }
            for day in (16, 17)
        ]

    async def test_first_interval_begins_after_the_start(self, client: httpx.AsyncClient) -> None:
        schedule = await create_schedule(client, start_at=NEW_YEAR)
        (first,) = await next_of(client, schedule, count=1, after="2020-01-01T00:00:00Z")
        assert (first["data_interval_start"], first["fire_at"]) == ("2025-01-01T02:00:00Z", "2025-01-02T02:00:00Z")

    async def test_paused_schedule_tells_them_too(self, client: httpx.AsyncClient) -> None:
        schedule = await create_schedule(client, paused=True)
        assert schedule["next_fire_at"] is None
        assert len(await next_of(client, schedule)) == 5

    async def test_there_are_none_after_the_end(self, client: httpx.AsyncClient) -> None:
        schedule = await create_schedule(client, start_at=NEW_YEAR, end_at="2025-01-04T02:00:00Z")
        items = await next_of(client, schedule, count=100, after=NEW_YEAR)
        assert [item["fire_at"][:10] for item in items] == ["2025-01-02", "2025-01-03", "2025-01-04"]
        assert await next_of(client, schedule) == []

    async def test_fields_are_local_times(self, client: httpx.AsyncClient) -> None:
        schedule = await create_schedule(client, cron="30 2 * * *", timezone="Europe/Berlin", start_at=NEW_YEAR)
        spring = await next_of(client, schedule, count=3, after="2025-03-28T12:00:00Z")
        assert [item["fire_at"] for item in spring] == [
            "2025-03-29T01:30:00Z",
            "2025-03-30T01:00:00Z",
            "2025-03-31T00:30:00Z",
        ]
        autumn = await next_of(client, schedule, count=3, after="2025-10-24T12:00:00Z")
        assert [item["fire_at"] for item in autumn] == [
            "2025-10-25T00:30:00Z",
            "2025-10-26T00:30:00Z",
            "2025-10-27T01:30:00Z",
        ]

    @pytest.mark.parametrize("count", ["0", "101", "x"])
    async def test_bad_count_is_refused(self, client: httpx.AsyncClient, count: str) -> None:
        schedule = await create_schedule(client)
        assert pointers(await client.get(address(schedule, "next"), params={"count": count})) == ["count"]


@pytest.mark.usefixtures("definition")
class TestUpdate:
    async def test_what_is_absent_stays(self, client: httpx.AsyncClient) -> None:
        schedule = await create_schedule(client, end_at=FAR, tags={"a": 1, "b": 2}, created_by="ada")
        changed = await update_schedule(client, schedule, queue="q", end_at=None, tags={"a": None, "c": 3}, inputs=None)
        told = {"queue": "q", "end_at": None, "tags": {"b": 2, "c": 3}, "inputs": None, "revision": 2}
        assert {**changed, "updated_at": 0} == {**schedule, **told, "updated_at": 0}

    async def test_what_it_says_already_changes_nothing(self, client: httpx.AsyncClient) -> None:
        schedule = await create_schedule(client, tags={"a": 1})
        same = {name: schedule[name] for name in ("cron", "start_at", "overlap", "inputs", "tags", "workflow_version")}
        assert await update_schedule(client, schedule, **same) == schedule

    @pytest.mark.parametrize(
        ("change", "place"),
        [
            ({"cron": "x"}, "/cron"),
            ({"timezone": "x"}, "/timezone"),
            ({"cron": None}, "/cron"),
            ({"workflow_version": "9"}, "/workflow_version"),
            ({"workflow_name": "nightly_etl"}, "/workflow_name"),
            ({"end_at": "2024-01-01T00:00:00Z"}, "/end_at"),
            ({"start_at": FAR}, "/start_at"),
            ({"max_active_runs": 0}, "/max_active_runs"),
            ({"tags": {"": 1}}, "/tags"),
        ],
        ids=str,
    )
    async def test_bad_change_is_refused(self, client: httpx.AsyncClient, change: Json, place: str) -> None:
        schedule = await create_schedule(client, start_at=NEW_YEAR, end_at="2998-01-01T00:00:00Z")
        assert pointers(await client.patch(address(schedule), json=change)) == [place]
        assert await get_schedule(client, schedule) == schedule

    async def test_it_goes_on_in_the_new_rhythm(self, client: httpx.AsyncClient) -> None:
        schedule = await create_schedule(client, start_at=NEW_YEAR)
        changed = await update_schedule(client, schedule, cron="30 4 * * *", timezone="Asia/Kolkata")
        assert changed["next_fire_at"] == (await next_of(client, schedule, count=1))[0]["fire_at"]
        assert changed["next_fire_at"].endswith("T23:00:00Z")

    async def test_end_takes_its_slots_and_gives_them_back(self, client: httpx.AsyncClient) -> None:
        schedule = await create_schedule(client, start_at=NEW_YEAR)
        ended = await update_schedule(client, schedule, end_at="2025-02-01T00:00:00Z")
        assert ended["next_fire_at"] is None
        reopened = await update_schedule(client, schedule, end_at=None)
        assert reopened["next_fire_at"] == schedule["next_fire_at"]

    async def test_revision_is_a_precondition(self, client: httpx.AsyncClient) -> None:
        schedule = await create_schedule(client)
        stale = {"If-Match": '"9"'}
        for response in (
            await client.patch(address(schedule), json={"queue": "q"}, headers=stale),
            await client.delete(address(schedule), headers=stale),
        ):
            assert (response.status_code, code(response)) == (412, "precondition-failed")
            assert response.json()["current"] == schedule
        response = await client.patch(address(schedule), json={"queue": "q"}, headers={"If-Match": '"1"'})
        assert (response.status_code, response.headers["etag"]) == (200, '"2"')


@pytest.mark.usefixtures("definition")
class TestPause:
    async def test_paused_schedule_has_no_next_slot_until_it_is_resumed(self, client: httpx.AsyncClient) -> None:
        schedule = await create_schedule(client)
        paused = (await client.post(address(schedule, "pause"))).json()
        assert (paused["paused"], paused["next_fire_at"], paused["revision"]) == (True, None, 2)
        resumed = (await client.post(address(schedule, "resume"))).json()
        assert (resumed["paused"], resumed["revision"]) == (False, 3)
        assert resumed["next_fire_at"] == schedule["next_fire_at"]

    async def test_saying_it_again_changes_nothing(self, client: httpx.AsyncClient) -> None:
        schedule = await create_schedule(client)
        assert (await client.post(address(schedule, "resume"))).json() == schedule
        paused = (await client.post(address(schedule, "pause"))).json()
        again = await client.post(address(schedule, "pause"))
        assert (again.json(), again.headers["etag"]) == (paused, '"2"')


@pytest.mark.usefixtures("definition")
class TestDelete:
    async def test_schedule_is_gone_and_its_runs_stay(self, client: httpx.AsyncClient) -> None:
        schedule = await create_schedule(client)
        (item,) = await backfill(client, schedule, NEW_YEAR, "2025-01-02T00:00:00Z")
        assert (await client.delete(address(schedule))).status_code == 204
        assert (await client.get(address(schedule))).status_code == 404
        run = (await client.get(f"{RUNS}/{item['workflow_run_id']}")).json()
        assert run["schedule_id"] == schedule["schedule_id"]


@pytest.mark.usefixtures("definition")
class TestBackfill:
    async def test_each_firing_gets_a_run(self, client: httpx.AsyncClient) -> None:
        schedule = await create_schedule(
            client, queue="q", inputs={"a": 1}, tags={"team": "data"}, created_by="ada", paused=True
        )
        items = await backfill(client, schedule, "2025-01-05T02:00:00Z", "2025-01-08T02:00:00Z")
        assert [item["fire_at"] for item in items] == [f"2025-01-0{day}T02:00:00Z" for day in (5, 6, 7)]
        runs = await scheduled_runs(client, schedule)
        assert [run["workflow_run_id"] for run in runs] == [item["workflow_run_id"] for item in items]
        for item, run in zip(items, runs, strict=True):
            assert item["data_interval_end"] == item["fire_at"] == run["data_interval_end"]
            assert item["data_interval_start"] == run["data_interval_start"]
            assert (run["queue"], run["inputs"], run["tags"]) == ("q", {"a": 1}, {"team": "data"})
            assert run["created_by"] == "ada"
        assert [run["status"] for run in runs] == ["running", "pending", "pending"]
        now = await get_schedule(client, schedule)
        assert (now["active_runs"], now["last_fire_at"], now["revision"]) == (3, items[-1]["fire_at"], 1)

    async def test_firing_that_has_a_run_gets_no_other(self, client: httpx.AsyncClient) -> None:
        schedule = await create_schedule(client)
        first = await backfill(client, schedule, "2025-01-05T00:00:00Z", "2025-01-07T00:00:00Z")
        more = await backfill(client, schedule, "2025-01-04T00:00:00Z", "2025-01-08T00:00:00Z")
        assert [item["fire_at"][:10] for item in more] == ["2025-01-04", "2025-01-07"]
        assert await backfill(client, schedule, "2025-01-04T00:00:00Z", "2025-01-08T00:00:00Z") == []
        slots = await slots_of(client, schedule)
        assert [slot["fire_at"][8:10] for slot in slots] == ["07", "06", "05", "04"]
        assert {slot["outcome"] for slot in slots} == {"fired"}
        assert slots[2]["workflow_run_id"] == first[0]["workflow_run_id"]

    async def test_repeat_with_its_key_is_answered_the_same(self, client: httpx.AsyncClient) -> None:
        schedule = await create_schedule(client)
        body, headers = {"start": NEW_YEAR, "end": "2025-01-03T00:00:00Z"}, {"Idempotency-Key": "a"}
        first, again = [await client.post(address(schedule, "backfill"), json=body, headers=headers) for _ in range(2)]
        assert (first.status_code, again.status_code) == (201, 200)
        assert again.headers["idempotency-replayed"] == "true"
        assert first.json() == again.json()
        assert len(first.json()["items"]) == 2

    async def test_firing_whose_run_was_deleted_gets_a_new_one(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        schedule = await create_schedule(client)
        (first,) = await backfill(client, schedule, NEW_YEAR, "2025-01-02T00:00:00Z")
        async with database.transaction() as tx:
            await tx.execute(text("DELETE FROM workflow_runs"))
        (again,) = await backfill(client, schedule, NEW_YEAR, "2025-01-02T00:00:00Z")
        assert first["workflow_run_id"] != again["workflow_run_id"]

    async def test_firings_to_come_are_left_to_the_schedule(self, client: httpx.AsyncClient) -> None:
        schedule = await create_schedule(client, cron="0 0 1 1 *")
        items = await backfill(client, schedule, "2024-12-01T00:00:00Z", "2998-01-01T00:00:00Z")
        assert [item["fire_at"] for item in items][:2] == ["2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"]
        assert len(items) < 100

    async def test_more_than_a_thousand_are_refused(self, client: httpx.AsyncClient) -> None:
        schedule = await create_schedule(client, cron="* * * * *")
        body = {"start": NEW_YEAR, "end": "2025-01-01T16:41:00Z"}
        response = await client.post(address(schedule, "backfill"), json=body)
        assert pointers(response) == ["/end"]
        assert "1000" in response.json()["detail"]
        assert await slots_of(client, schedule) == []

    @pytest.mark.parametrize(
        ("body", "place"),
        [({"start": NEW_YEAR, "end": NEW_YEAR}, "/end"), ({"start": NEW_YEAR}, "/end"), ({"end": FAR}, "/start")],
    )
    async def test_bad_times_are_refused(self, client: httpx.AsyncClient, body: Json, place: str) -> None:
        schedule = await create_schedule(client)
        assert pointers(await client.post(address(schedule, "backfill"), json=body)) == [place]

    async def test_slots_go_on_at_their_cursor(self, client: httpx.AsyncClient) -> None:
        schedule = await create_schedule(client)
        await backfill(client, schedule, "2025-01-01T00:00:00Z", "2025-01-06T00:00:00Z")
        page = (await client.get(address(schedule, "slots"), params={"limit": 3})).json()
        cursor = page["next_cursor"]
        rest = (await client.get(address(schedule, "slots"), params={"limit": 3, "cursor": cursor})).json()
        days = [slot["fire_at"][8:10] for slot in page["items"] + rest["items"]]
        assert (days, rest["next_cursor"]) == (["05", "04", "03", "02", "01"], None)


class TestScheduleOfADefinition:
    async def keep(self, database: Database, version: str, **changes: Any) -> None:
        """Do what a registration does with the schedule of its document."""
        async with database.transaction() as tx:
            workflow = await workflows_store.get_workflow(tx, "nightly_etl", version)
            assert workflow is not None
            await keep_schedule_of_definition(tx, workflow, document(version=version, **changes))

    async def schedules(self, client: httpx.AsyncClient) -> list[Json]:
        items: list[Json] = (await client.get(SCHEDULES)).json()["items"]
        return items

    async def test_document_without_a_schedule_brings_none(self, client: httpx.AsyncClient, database: Database) -> None:
        await register(client)
        await self.keep(database, "1.0.0", schedule=None)
        assert await self.schedules(client) == []

    async def test_document_without_a_start_fires_at_its_next_time(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        await register(client)
        await self.keep(database, "1.0.0", schedule="0 2 * * *")
        (schedule,) = await self.schedules(client)
        wait = datetime.fromisoformat(schedule["next_fire_at"]) - datetime.fromisoformat(schedule["created_at"])
        assert timedelta() <= wait <= timedelta(days=1)

    async def test_schedule_is_as_the_document_says(self, client: httpx.AsyncClient, database: Database) -> None:
        await register(client)
        start = "2025-01-01T00:00:00"
        await self.keep(
            database, "1.0.0", schedule="0 2 * * *", start_date=start, max_active_runs=3, is_paused=True, catchup=True
        )
        (schedule,) = await self.schedules(client)
        assert UUID(schedule["workflow_id"]).version == 7
        assert (schedule["workflow_version"], schedule["cron"], schedule["timezone"]) == ("1.0.0", "0 2 * * *", "UTC")
        assert (schedule["start_at"], schedule["max_active_runs"]) == (f"{start}Z", 3)
        assert (schedule["paused"], schedule["catchup"], schedule["inputs"]) == (True, True, {})

    async def test_newer_version_takes_it_over(self, client: httpx.AsyncClient, database: Database) -> None:
        await register(client)
        await self.keep(database, "1.0.0", schedule="0 2 * * *")
        (before,) = await self.schedules(client)
        await update_schedule(client, before, queue="q")
        await register(client, version="2.0.0")
        await self.keep(database, "2.0.0", schedule="0 3 * * *", max_active_runs=2)
        (after,) = await self.schedules(client)
        assert after["schedule_id"] == before["schedule_id"]
        assert (after["workflow_version"], after["cron"], after["max_active_runs"]) == ("2.0.0", "0 3 * * *", 2)
        assert (after["queue"], after["start_at"]) == ("q", before["start_at"])
        assert after["next_fire_at"].endswith("T03:00:00Z")

    async def test_newer_version_without_one_leaves_it(self, client: httpx.AsyncClient, database: Database) -> None:
        await register(client)
        await self.keep(database, "1.0.0", schedule="0 2 * * *")
        before = await self.schedules(client)
        await register(client, version="2.0.0")
        await self.keep(database, "2.0.0")
        assert await self.schedules(client) == before

    async def test_pause_outlives_a_newer_version(self, client: httpx.AsyncClient, database: Database) -> None:
        await register(client)
        await self.keep(database, "1.0.0", schedule="0 2 * * *")
        (before,) = await self.schedules(client)
        await client.post(address(before, "pause"))
        await register(client, version="2.0.0")
        await self.keep(database, "2.0.0", schedule="0 2 * * *")
        (after,) = await self.schedules(client)
        assert after["paused"]

    async def test_registrations_at_once_make_one(self, client: httpx.AsyncClient, database: Database) -> None:
        for version in ("1", "2", "3", "4"):
            await register(client, version=version)
        await asyncio.gather(*(self.keep(database, version, schedule="0 2 * * *") for version in ("1", "2", "3", "4")))

        async def one() -> bool:
            return len(await self.schedules(client)) == 1

        await eventually(one)
