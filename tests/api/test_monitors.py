"""Monitors over HTTP: put, read, deleted and pinged."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.factories import create_run, get_run, history_of

MONITORS = "/v1/monitors"
NAME = "nightly-etl"
HOUR = timedelta(hours=1)
Json = dict[str, Any]


async def put_monitor(client: httpx.AsyncClient, name: str = NAME, **changes: Any) -> Json:
    """Return a monitor of every hour that was put; what is ``...`` is left out."""
    body = {"workflow_name": "nightly_etl", "every_seconds": 3600, **changes}
    response = await client.put(f"{MONITORS}/{name}", json={k: v for k, v in body.items() if v is not ...})
    assert response.status_code in (200, 201), response.text
    monitor: Json = response.json()
    return monitor


async def get_monitor(client: httpx.AsyncClient, name: str = NAME) -> Json:
    """Return a monitor as it stands."""
    response = await client.get(f"{MONITORS}/{name}")
    assert response.status_code == 200, response.text
    monitor: Json = response.json()
    return monitor


async def ping(client: httpx.AsyncClient, name: str = NAME, **body: Any) -> Json:
    """Return the run that a ping has recorded."""
    response = await client.post(f"{MONITORS}/{name}/ping", json=body)
    assert response.status_code == 200, response.text
    run: Json = response.json()
    return run


async def log_of(client: httpx.AsyncClient, run: Json) -> list[tuple[str, str]]:
    """Return the lines of a run, each with its level."""
    response = await client.get(f"/v1/workflow-runs/{run['workflow_run_id']}/logs")
    return [(line["level"], line["text"]) for line in response.json()["items"]]


def read_time(text: str) -> datetime:
    return datetime.fromisoformat(text)


class TestPutMonitor:
    async def test_it_is_made_once_and_waits_for_its_next_slot(self, client: httpx.AsyncClient) -> None:
        body = {"workflow_name": "nightly_etl", "every_seconds": 3600}
        first = await client.put(f"{MONITORS}/{NAME}", json=body)
        again = await client.put(f"{MONITORS}/{NAME}", json=body)
        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json() == again.json() == await get_monitor(client)
        monitor = first.json()
        assert read_time(monitor["next_expected_at"]) - read_time(monitor["created_at"]) == HOUR
        nothing = dict.fromkeys(("last_run_id", "last_ok_at", "late_since", "paused_reason", "created_by", "cron"))
        expected = {"state": "waiting", "grace_seconds": 300, "consecutive_failures": 0, "tags": {}, "revision": 1}
        assert monitor.items() >= {**expected, **nothing, "paused": False, "timezone": None}.items()

    async def test_cron_goes_by_its_time_zone(self, client: httpx.AsyncClient) -> None:
        monitor = await put_monitor(client, every_seconds=..., cron="0 2 * * *", timezone="Asia/Tokyo")
        assert read_time(monitor["next_expected_at"]).astimezone(UTC).hour == 17
        assert (monitor["cron"], monitor["timezone"], monitor["every_seconds"]) == ("0 2 * * *", "Asia/Tokyo", None)

    async def test_cron_without_a_time_zone_is_in_utc(self, client: httpx.AsyncClient) -> None:
        first = await put_monitor(client, every_seconds=..., cron="0 2 * * *")
        again = await put_monitor(client, every_seconds=None, cron="0 2 * * *", timezone="UTC")
        assert (first["timezone"], again) == ("UTC", first)

    async def test_all_fields_are_replaced(self, client: httpx.AsyncClient) -> None:
        settings: Json = {"grace_seconds": 5, "max_runtime_seconds": 60, "tags": {"team": "data"}, "created_by": "ada"}
        assert (await put_monitor(client, **settings)).items() >= settings.items()
        after = await put_monitor(client)
        assert (
            after.items() >= {"grace_seconds": 300, "max_runtime_seconds": None, "tags": {}, "created_by": None}.items()
        )
        assert after["revision"] == 2

    async def test_another_grace_moves_no_slot(self, client: httpx.AsyncClient) -> None:
        before = await put_monitor(client)
        after = await put_monitor(client, grace_seconds=7)
        assert after["next_expected_at"] == before["next_expected_at"]

    async def test_another_schedule_begins_from_now(self, client: httpx.AsyncClient) -> None:
        await put_monitor(client)
        after = await put_monitor(client, every_seconds=60)
        assert read_time(after["next_expected_at"]) - read_time(after["updated_at"]) == timedelta(minutes=1)

    async def test_paused_one_expects_nothing(self, client: httpx.AsyncClient) -> None:
        await put_monitor(client)
        paused = await put_monitor(client, paused=True)
        assert (paused["state"], paused["next_expected_at"], paused["paused"]) == ("paused", None, True)
        resumed = await put_monitor(client)
        assert resumed["state"] == "waiting"
        assert read_time(resumed["next_expected_at"]) - read_time(resumed["updated_at"]) == HOUR

    async def test_twenty_at_once_make_one(self, client: httpx.AsyncClient) -> None:
        body = {"workflow_name": "nightly_etl", "every_seconds": 3600}
        answers = await asyncio.gather(*(client.put(f"{MONITORS}/m", json=body) for _ in range(20)))
        assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
        assert len({answer.text for answer in answers}) == 1

    @pytest.mark.parametrize("name", ["a", "a-b.c_d", "a_", "a.-9", "a" * 200])
    async def test_names_have_dots_and_dashes(self, client: httpx.AsyncClient, name: str) -> None:
        assert (await put_monitor(client, name))["name"] == name
        assert (await ping(client, name))["status"] == "completed"

    @pytest.mark.parametrize("name", ["A", "1a", "-a", "a__b", "a b", "a%00", "%C3%A9", "a" * 201, "a%7F", "_a"])
    async def test_other_names_are_refused_and_make_nothing(self, client: httpx.AsyncClient, name: str) -> None:
        body = {"workflow_name": "nightly_etl", "every_seconds": 3600}
        assert (await client.put(f"{MONITORS}/{name}", json=body)).status_code == 422
        assert (await client.get(MONITORS)).json()["items"] == []

    @pytest.mark.parametrize(
        ("changes", "pointer"),
        [
            ({"every_seconds": ...}, "/cron"),
            ({"cron": "0 2 * * *"}, "/every_seconds"),
            ({"every_seconds": ..., "cron": "0 2 * *"}, "/cron"),
            ({"every_seconds": ..., "cron": "0 0 30 2 *"}, "/cron"),
            ({"every_seconds": ..., "cron": "0 2 * * *", "timezone": "Mars/North"}, "/timezone"),
            ({"timezone": "UTC"}, "/timezone"),
            ({"every_seconds": 0.5}, "/every_seconds"),
            ({"every_seconds": 1e300}, "/every_seconds"),
            ({"every_seconds": "60"}, "/every_seconds"),
            ({"every_seconds": True}, "/every_seconds"),
            ({"grace_seconds": -1}, "/grace_seconds"),
            ({"grace_seconds": None}, "/grace_seconds"),
            ({"max_runtime_seconds": 0}, "/max_runtime_seconds"),
            ({"workflow_name": "a__b"}, "/workflow_name"),
            ({"workflow_name": ...}, "/workflow_name"),
            ({"tags": {"a": [1]}}, "/tags/a"),
            ({"paused": "yes"}, "/paused"),
            ({"state": "ok"}, "/state"),
        ],
    )
    async def test_wrong_bodies_name_the_place(
        self, client: httpx.AsyncClient, changes: dict[str, Any], pointer: str
    ) -> None:
        body = {"workflow_name": "nightly_etl", "every_seconds": 60, **changes}
        response = await client.put(f"{MONITORS}/m", json={k: v for k, v in body.items() if v is not ...})
        assert response.status_code == 422
        assert [error["pointer"] for error in response.json()["errors"]] == [pointer]
        assert (await client.get(f"{MONITORS}/m")).status_code == 404


class TestReadMonitors:
    async def test_list_is_by_name_page_by_page(self, client: httpx.AsyncClient) -> None:
        for name in ("c", "a", "b.x"):
            await put_monitor(client, name)
        first = (await client.get(MONITORS, params={"limit": 2})).json()
        second = (await client.get(MONITORS, params={"limit": 2, "cursor": first["next_cursor"]})).json()
        assert [item["name"] for item in first["items"] + second["items"]] == ["a", "b.x", "c"]
        assert second["next_cursor"] is None

    async def test_filters_all_hold(self, client: httpx.AsyncClient) -> None:
        await put_monitor(client, "a", paused=True)
        await put_monitor(client, "b", workflow_name="other")
        await put_monitor(client, "c")

        async def names(**query: Any) -> list[str]:
            return [item["name"] for item in (await client.get(MONITORS, params=query)).json()["items"]]

        assert await names(state=["paused", "late"]) == ["a"]
        assert await names(workflow_name="nightly_etl") == ["a", "c"]
        assert await names(workflow_name="nightly_etl", state="waiting") == ["c"]

    async def test_terminals_get_text(self, client: httpx.AsyncClient) -> None:
        await put_monitor(client, tags={"team": "data"})
        text = {"Accept": "text/plain"}
        table = (await client.get(MONITORS, headers=text)).text
        assert table.splitlines()[1].split()[:4] == [NAME, "waiting", "nightly_etl", "3600s"]
        assert '{"team":"data"}' in (await client.get(f"{MONITORS}/{NAME}", headers=text)).text

    async def test_unknown_ones_are_404(self, client: httpx.AsyncClient) -> None:
        calls = [client.get(f"{MONITORS}/no"), client.delete(f"{MONITORS}/no"), client.post(f"{MONITORS}/no/ping")]
        assert [(await call).status_code for call in calls] == [404, 404, 404]

    async def test_deleted_one_is_gone_and_its_runs_stay(self, client: httpx.AsyncClient) -> None:
        await put_monitor(client)
        run = await ping(client)
        assert (await client.delete(f"{MONITORS}/{NAME}")).status_code == 204
        assert (await client.get(f"{MONITORS}/{NAME}")).status_code == 404
        assert (await get_run(client, run))["status"] == "completed"


class TestPingMonitor:
    async def test_nothing_records_a_completed_run(self, client: httpx.AsyncClient) -> None:
        await put_monitor(client, tags={"team": "data"}, created_by="ada")
        response = await client.post(f"{MONITORS}/{NAME}/ping")
        assert response.status_code == 200
        run = response.json()
        expected = {"workflow_name": "nightly_etl", "workflow_version": "ping", "status": "completed"}
        assert run.items() >= {**expected, "tags": {"team": "data"}, "created_by": "ada", "error": None}.items()
        assert await get_run(client, run) == run
        assert [entry["verb"] for entry in await history_of(client, run)] == ["create"]

    async def test_start_creates_a_run_and_the_end_ends_it(self, client: httpx.AsyncClient) -> None:
        await put_monitor(client)
        started = await ping(client, state="started")
        assert started["status"] == "running"
        ended = await ping(client, state="completed", result={"rows": 12})
        assert (ended["workflow_run_id"], ended["status"], ended["result"]) == (
            started["workflow_run_id"],
            "completed",
            {"rows": 12},
        )
        assert (await ping(client))["workflow_run_id"] != ended["workflow_run_id"]

    async def test_it_ends_the_newest(self, client: httpx.AsyncClient) -> None:
        await put_monitor(client)
        runs = [await ping(client, state="started") for _ in range(2)]
        ended = [await ping(client, state="failed") for _ in range(2)]
        assert [run["workflow_run_id"] for run in ended] == [run["workflow_run_id"] for run in runs[::-1]]

    async def test_it_ends_a_run_that_another_made(self, client: httpx.AsyncClient) -> None:
        await put_monitor(client)
        run = await create_run(client, workflow_name="nightly_etl", status="running")
        assert (await ping(client))["workflow_run_id"] == run["workflow_run_id"]

    async def test_it_ends_only_runs_with_the_tags(self, client: httpx.AsyncClient) -> None:
        await put_monitor(client, tags={"team": "data", "shard": 1})
        others = [{}, {"team": "data"}, {"team": "data", "shard": 2}, {"team": "web", "shard": 1}]
        for tags in others:
            await create_run(client, workflow_name="nightly_etl", status="running", tags=tags)
        mine = {"team": "data", "shard": 1, "more": True}
        run = await create_run(client, workflow_name="nightly_etl", status="running", tags=mine)
        await create_run(client, workflow_name="other", status="running", tags=mine)
        assert (await ping(client))["workflow_run_id"] == run["workflow_run_id"]
        assert (await ping(client))["tags"] == {"team": "data", "shard": 1}

    async def test_pending_runs_are_left_alone(self, client: httpx.AsyncClient) -> None:
        await put_monitor(client)
        run = await create_run(client, workflow_name="nightly_etl")
        assert (await ping(client))["workflow_run_id"] != run["workflow_run_id"]

    @pytest.mark.parametrize("is_started", [False, True])
    async def test_message_of_a_failure_is_that_of_the_error(self, client: httpx.AsyncClient, is_started: bool) -> None:
        await put_monitor(client)
        if is_started:
            await ping(client, state="started")
        run = await ping(client, state="failed", message="disk full", result=[1])
        assert (run["status"], run["error"]["message"], run["result"]) == ("failed", "disk full", [1])
        assert await log_of(client, run) == []

    async def test_failure_without_a_message_has_no_error(self, client: httpx.AsyncClient) -> None:
        await put_monitor(client)
        assert (await ping(client, state="failed"))["error"] is None

    async def test_other_messages_are_lines_of_the_log(self, client: httpx.AsyncClient) -> None:
        await put_monitor(client)
        await ping(client, state="started", message="begins")
        run = await ping(client, message="ends")
        assert await log_of(client, run) == [("info", "begins"), ("info", "ends")]

    async def test_paused_monitors_record_too(self, client: httpx.AsyncClient) -> None:
        await put_monitor(client, paused=True)
        assert (await ping(client))["status"] == "completed"

    async def test_same_key_records_once(self, client: httpx.AsyncClient) -> None:
        await put_monitor(client)
        key = {"Idempotency-Key": "one"}
        answers = [await client.post(f"{MONITORS}/{NAME}/ping", headers=key, json={}) for _ in range(2)]
        assert answers[0].json() == answers[1].json()
        assert answers[1].headers["Idempotency-Replayed"] == "true"
        other = await client.post(f"{MONITORS}/{NAME}/ping", headers=key, json={"state": "failed"})
        assert other.json()["code"] == "idempotency-key-reused"

    async def test_many_ends_at_once_end_each_run_once(self, client: httpx.AsyncClient) -> None:
        await put_monitor(client)
        runs = [await ping(client, state="started") for _ in range(6)]
        ended = await asyncio.gather(*(ping(client, result=number) for number in range(6)))
        assert {UUID(run["workflow_run_id"]) for run in ended} == {UUID(run["workflow_run_id"]) for run in runs}

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({"state": "running"}, "/state"),
            ({"state": None}, "/state"),
            ({"message": ""}, "/message"),
            ({"message": 5}, "/message"),
            ({"message": "x" * 10_001}, "/message"),
            ({"message": "a\0b"}, "/message"),
            ({"error": {}}, "/error"),
        ],
    )
    async def test_wrong_bodies_name_the_place_and_record_nothing(
        self, client: httpx.AsyncClient, body: Json, pointer: str
    ) -> None:
        await put_monitor(client)
        response = await client.post(f"{MONITORS}/{NAME}/ping", json=body)
        assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, pointer)
        assert (await client.get("/v1/workflow-runs")).json()["items"] == []
