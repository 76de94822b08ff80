"""The change feed: every committed change once, in one order that agrees with each resource."""

import asyncio
from collections import defaultdict
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.access.feed import forget_old_changes
from app.db.engine import Database
from tests.factories import (
    RUNS,
    UNKNOWN_ID,
    address,
    claim_task,
    code,
    create_run,
    emit_event,
    expire_lease,
    get_run,
    patch_run,
    pointers,
    report,
    reported,
    spawn_task,
    start_task,
    task_address,
)
from tests.replicas import replica
from tests.waiting import PROMPT_SECONDS, eventually

CHANGES = "/v1/changes"


async def changes(client: httpx.AsyncClient, after: int = 0, **query: Any) -> list[dict[str, Any]]:
    """Return all changes behind a position, read in small parts."""
    found: list[dict[str, Any]] = []
    while True:
        response = await client.get(CHANGES, params={"after": after, "limit": 7, **query})
        assert response.status_code == 200, response.text
        page = response.json()
        found += page["items"]
        if after == page["next_after"]:
            return found
        after = page["next_after"]


async def newest(client: httpx.AsyncClient) -> int:
    position: int = (await client.get(CHANGES)).json()["newest"]
    return position


def verbs(found: list[dict[str, Any]], kind: str, identity: str | None = None) -> list[str]:
    return [c["verb"] for c in found if c["kind"] == kind and identity in (None, c["id"])]


def check(found: list[dict[str, Any]]) -> None:
    """Fail unless positions are consecutive, and each resource has each of its revisions once and in order."""
    assert [c["position"] for c in found] == list(range(1, len(found) + 1))
    revisions: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for change in found:
        if change["revision"] is not None and change["verb"] != "deleted" and change["kind"] != "schedule":
            revisions[change["kind"], change["id"]].append(change["revision"])
    for resource, seen in revisions.items():
        assert seen == list(range(1, len(seen) + 1)), resource


class TestRuns:
    async def test_each_move_is_told_with_what_it_has_become(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client, tags={"a": 1})
        await patch_run(client, run, status="running")
        await patch_run(client, run, tags={"b": 2})
        await patch_run(client, run, status="running")
        await patch_run(client, run, status="failed", error={"message": "no"})
        await client.post(address(run, "retry"))
        await patch_run(client, run, status="completed")
        await client.delete(address(run))
        found = await changes(client, kind="workflow_run")
        told = [(c["verb"], c["status"], c["attempt"], c["revision"]) for c in found]
        assert told == [
            ("created", "pending", 1, 1),
            ("started", "running", 1, 2),
            ("updated", "running", 1, 3),
            ("failed", "failed", 1, 4),
            ("retried", "running", 2, 5),
            ("completed", "completed", 2, 6),
            ("deleted", "completed", 2, 6),
        ]
        assert {(c["id"], c["workflow_run_id"], c["workflow_name"]) for c in found} == {
            (run["workflow_run_id"], run["workflow_run_id"], run["workflow_name"])
        }

    async def test_who_moved_it_is_named_as_in_the_history(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        await patch_run(client, run, status="running")
        assert [c["actor"] for c in await changes(client, kind="workflow_run")] == ["anonymous", "anonymous"]

    async def test_what_changes_nothing_is_not_told(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client, heartbeat_seconds=60)
        await patch_run(client, run, status="running")
        before = await newest(client)
        await patch_run(client, run, status="running")
        await client.post(address(run, "heartbeat"))
        await patch_run(client, run, status="completed", completed_at="2020-01-01T00:00:00Z")
        assert await changes(client, before) == []

    async def test_it_is_told_before_its_tasks_and_ends_after_them(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client, tasks=[{"task_name": "a"}, {"task_name": "b"}])
        await client.post(address(run, "cancel"), json={"grace_seconds": 0})
        found = await eventually(lambda: _ended(client))
        told = [(c["kind"], c["verb"]) for c in found if c["kind"] != "queue"]
        assert told[0] == ("workflow_run", "created")
        assert told[1:3] == [("task", "created")] * 2
        assert told[-1] == ("workflow_run", "cancelled")
        assert told.count(("task", "cancelled")) == 2
        assert {c["workflow_name"] for c in found if c["kind"] == "task"} == {run["workflow_name"]}
        check(found)


async def _ended(client: httpx.AsyncClient) -> list[dict[str, Any]] | None:
    found = await changes(client)
    return found if "cancelled" in verbs(found, "workflow_run") else None


class TestTasks:
    async def test_life_of_a_task(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client, max_attempts=3)
        await reported(client, held, "sleep", seconds=0.2)
        held = await claim_task(client, wait_seconds=PROMPT_SECONDS)
        await reported(client, held, "release")
        held = await claim_task(client)
        await reported(client, held, "fail", error={"message": "no"})
        held = await claim_task(client)
        await reported(client, held, "await-event", step_name="s", event_name="paid")
        await emit_event(client, "paid")
        held = await claim_task(client)
        await report(client, held, "complete", result=1)
        found = await changes(client)
        assert verbs(found, "task") == [
            "created",
            "claimed",
            "slept",
            "woken",
            "claimed",
            "released",
            "claimed",
            "failed",
            "claimed",
            "slept",
            "woken",
            "claimed",
            "completed",
        ]
        claimed = [c for c in found if c["verb"] == "claimed"]
        assert {c["actor"] for c in claimed} == {"w1"} or all(c["actor"] for c in claimed)
        assert verbs(found, "event") == ["emitted"]
        check(found)

    async def test_lost_lease_is_told_once(self, client: httpx.AsyncClient, database: Database) -> None:
        held = await start_task(client)
        async with database.transaction() as tx:
            await expire_lease(tx, held)
        await eventually(lambda: _has(client, "lost"))
        found = await changes(client, kind="task")
        assert verbs(found, "task") == ["created", "claimed", "lost"]
        assert found[-1]["status"] == "pending"

    async def test_ended_task_that_is_opened_again_was_retried(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        await reported(client, held, "fail", error={"message": "no"})
        await client.post(task_address(held, "retry"))
        await client.post(task_address(held, "cancel"))
        found = await changes(client, kind="task")
        assert verbs(found, "task") == ["created", "claimed", "failed", "retried", "cancelled"]
        check([c | {"position": i} for i, c in enumerate(found, 1)])


async def _has(client: httpx.AsyncClient, verb: str) -> bool:
    return bool(await changes(client, verb=verb))


class TestHeartbeats:
    async def test_only_progress_that_is_new_is_told(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        before = await newest(client)
        for progress in ({}, {"progress": {"done": 1}}, {"progress": {"done": 1}}, {"progress": {"done": 2}}):
            await reported(client, held, "heartbeat", **progress)
        told = await changes(client, before)
        assert [(c["verb"], c["status"], c["revision"]) for c in told] == [("updated", "running", n) for n in (3, 4)]


class TestQueues:
    async def test_first_use_limits_pause_and_end(self, client: httpx.AsyncClient) -> None:
        await spawn_task(client, queue="mail")
        await client.patch("/v1/queues/mail", json={"paused": True})
        await client.patch("/v1/queues/mail", json={"paused": True})
        await client.patch("/v1/queues/mail", json={"paused": False})
        await client.patch("/v1/queues/mail", json={"max_concurrency": 3})
        found = await changes(client, kind="queue", queue="mail")
        assert [(c["id"], c["verb"]) for c in found] == [
            ("mail", "created"),
            ("mail", "paused"),
            ("mail", "resumed"),
            ("mail", "updated"),
        ]


class TestLogs:
    async def test_each_call_is_told_once(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        lines = {"lines": [{"text": "one"}, {"text": "two"}]}
        calls = [client.post(address(run, "logs"), json=lines) for _ in range(20)]
        assert {response.status_code for response in await asyncio.gather(*calls)} == {201}
        told = await changes(client, kind="log")
        assert [(c["verb"], c["id"], c["attempt"]) for c in told] == [("appended", run["workflow_run_id"], 1)] * 20

    async def test_lines_of_a_task_are_told_as_its_own(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client, tasks=[{"task_name": "a"}])
        task = await claim_task(client)
        await client.post(task_address(task, "logs"), json={"lines": [{"text": "one"}]})
        (told,) = await changes(client, kind="log")
        assert (told["id"], told["workflow_run_id"]) == (task["task_id"], run["workflow_run_id"])
        assert (told["queue"], told["workflow_name"]) == ("default", run["workflow_name"])


class TestReading:
    async def test_without_a_position_nothing_is_older_than_now(self, client: httpx.AsyncClient) -> None:
        await create_run(client)
        page = (await client.get(CHANGES)).json()
        assert page["items"] == []
        assert page["next_after"] == page["newest"] == 1

    async def test_what_was_committed_is_there_at_once(self, client: httpx.AsyncClient) -> None:
        for number in range(1, 6):
            await create_run(client)
            assert (await client.get(CHANGES, params={"after": 0})).json()["newest"] == number

    async def test_parts_follow_each_other(self, client: httpx.AsyncClient) -> None:
        for _ in range(10):
            await create_run(client)
        first = (await client.get(CHANGES, params={"after": 0, "limit": 4})).json()
        rest = (await client.get(CHANGES, params={"after": first["next_after"]})).json()
        assert [c["position"] for c in first["items"] + rest["items"]] == list(range(1, 11))

    async def test_filters_are_alternatives_and_must_all_hold(self, client: httpx.AsyncClient) -> None:
        one = await create_run(client, workflow_name="one", queue="a")
        await create_run(client, workflow_name="two", queue="b")
        await patch_run(client, one, status="running")
        by_name = await changes(client, workflow_name=["one", "three"])
        assert [c["verb"] for c in by_name] == ["created", "started"]
        assert [c["queue"] for c in await changes(client, verb="created", queue="b")] == ["b"]
        assert len(await changes(client, workflow_run_id=one["workflow_run_id"].upper())) == 2
        assert await changes(client, status="failed") == []

    async def test_filter_that_nothing_matches_goes_on_to_the_newest(self, client: httpx.AsyncClient) -> None:
        for _ in range(3):
            await create_run(client)
        page = (await client.get(CHANGES, params={"after": 0, "kind": "monitor"})).json()
        assert (page["items"], page["next_after"], page["newest"]) == ([], 3, 3)

    @pytest.mark.parametrize(
        ("query", "place"),
        [
            ("after=-1", "after"),
            ("after=x", "after"),
            ("after=2", "after"),
            ("after=9999999999999999999999", "after"),
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("wait_seconds=61", "wait_seconds"),
            ("kind=job", "kind"),
            ("verb=claim", "verb"),
            ("workflow_run_id=1", "workflow_run_id"),
            ("since=1", "since"),
        ],
    )
    async def test_unusable_parameter_is_named(self, client: httpx.AsyncClient, query: str, place: str) -> None:
        await create_run(client)
        response = await client.get(f"{CHANGES}?{query}")
        assert (response.status_code, pointers(response)) == (422, [place])

    async def test_forgotten_position_is_gone_and_says_what_is_kept(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        for _ in range(5):
            await create_run(client)
        assert await newest(client) == 5
        async with database.transaction() as tx:
            await tx.execute(text("UPDATE changes SET at = at - interval '1 hour' WHERE last_position <= 3"))
            assert await forget_old_changes(tx, 60, 100) == 3
        response = await client.get(CHANGES, params={"after": 2})
        assert (response.status_code, code(response), response.json()["oldest"]) == (410, "changes-forgotten", 4)
        for after in (0, 3):
            kept = (await client.get(CHANGES, params={"after": after})).json()["items"]
            assert [c["position"] for c in kept] == [4, 5]

    async def test_numbering_goes_on_when_all_is_forgotten(self, client: httpx.AsyncClient, database: Database) -> None:
        await create_run(client)
        assert await newest(client) == 1
        async with database.transaction() as tx:
            await tx.execute(text("UPDATE changes SET at = at - interval '1 hour'"))
            await forget_old_changes(tx, 60, 100)
        await create_run(client)
        assert [c["position"] for c in (await client.get(f"{CHANGES}?after=0")).json()["items"]] == [2]


class TestWaiting:
    async def test_change_of_another_replica_ends_the_wait(self, client: httpx.AsyncClient, database_url: str) -> None:
        async with replica(database_url) as other:
            waiting = asyncio.create_task(client.get(CHANGES, params={"wait_seconds": 60}))
            await eventually(lambda: _follows(client))
            run = await create_run(other)
            async with asyncio.timeout(PROMPT_SECONDS):
                page = (await waiting).json()
        assert [c["id"] for c in page["items"]] == [run["workflow_run_id"]]

    async def test_what_a_filter_leaves_out_does_not_end_it(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        waiting = asyncio.create_task(client.get(CHANGES, params={"wait_seconds": 60, "verb": "completed"}))
        await eventually(lambda: _follows(client))
        await patch_run(client, run, status="running")
        await get_run(client, run)
        await patch_run(client, run, status="completed")
        async with asyncio.timeout(PROMPT_SECONDS):
            page = (await waiting).json()
        assert [c["verb"] for c in page["items"]] == ["completed"]

    async def test_time_out_is_an_empty_part(self, client: httpx.AsyncClient) -> None:
        page = (await client.get(CHANGES, params={"wait_seconds": 0.05})).json()
        assert page == {"items": [], "next_after": 0, "newest": 0}

    async def test_unknown_run_has_no_changes(self, client: httpx.AsyncClient) -> None:
        await create_run(client)
        assert await changes(client, workflow_run_id=UNKNOWN_ID) == []
        assert (await client.get(RUNS)).status_code == 200


async def _follows(client: httpx.AsyncClient) -> bool:
    transport: Any = client._transport
    feed = transport.app.app.state.kernel.feed
    return feed._last is not None
