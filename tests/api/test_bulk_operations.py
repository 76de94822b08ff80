"""Bulk operations: one verb for all runs or tasks that match, counted before, and each done once."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.access import api_keys
from app.api.kernel import Kernel
from app.db.engine import Database
from app.store.locks import Rank
from milepost.schemas.operations import Scope
from tests.definitions import task
from tests.executing import start
from tests.factories import (
    UNKNOWN_ID,
    address,
    code,
    create_run,
    create_runs,
    get_run,
    get_task,
    history_of,
    ids,
    pointers,
    run_in,
    spawn_task,
    spawn_tasks,
    task_in,
)
from tests.replicas import replica
from tests.waiting import eventually

BULK = "/v1/bulk-operations"
EVERY_STATUS = ["pending", "running", "completed", "failed", "cancelled"]


def body(verb: str = "cancel", filter: Any = None, **more: Any) -> dict[str, Any]:  # noqa: A002 - the API's name
    return {"resource": "workflow_runs", "verb": verb, "filter": filter or {"status": "pending"}, **more}


async def send(client: httpx.AsyncClient, *arguments: Any, **more: Any) -> httpx.Response:
    return await client.post(BULK, json=body(*arguments, **more))


async def dry_run(client: httpx.AsyncClient, *arguments: Any, **more: Any) -> dict[str, Any]:
    response = await send(client, *arguments, **more)
    assert response.status_code == 200, response.text
    answered: dict[str, Any] = response.json()
    return answered


async def begin(client: httpx.AsyncClient, *arguments: Any, **more: Any) -> dict[str, Any]:
    response = await send(client, *arguments, dry_run=False, **more)
    assert response.status_code == 202, response.text
    operation: dict[str, Any] = response.json()
    assert response.headers["Location"] == f"{BULK}/{operation['bulk_operation_id']}"
    return operation


async def ended(client: httpx.AsyncClient, operation: Mapping[str, Any]) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        found: dict[str, Any] = (await client.get(f"{BULK}/{operation['bulk_operation_id']}")).json()
        return found if found["status"] != "running" else None

    return await eventually(look)


async def do(client: httpx.AsyncClient, *arguments: Any, **more: Any) -> dict[str, Any]:
    token = (await dry_run(client, *arguments, **more))["token"]
    return await ended(client, await begin(client, *arguments, token=token, **more))


async def outcomes_of(client: httpx.AsyncClient, operation: Mapping[str, Any]) -> dict[str, tuple[int, str | None]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        params = {"limit": 200} | ({"cursor": cursor} if cursor else {})
        page = (await client.get(f"{BULK}/{operation['bulk_operation_id']}/outcomes", params=params)).json()
        found += page["items"]
        if (cursor := page["next_cursor"]) is None:
            break
    assert len({item["id"] for item in found}) == len(found)
    return {item["id"]: (item["status"], item["code"]) for item in found}


class TestDryRun:
    async def test_it_is_the_default_and_changes_nothing(self, client: httpx.AsyncClient) -> None:
        runs = await create_runs(client, *[{}] * 3)
        answered = await dry_run(client)
        assert answered["count"] == 3
        assert sorted(answered["sample"]) == sorted(ids(runs))
        assert answered["token"]
        assert {(await get_run(client, run))["revision"] for run in runs} == {1}
        assert (await client.get(BULK)).json()["items"] == []

    async def test_sample_holds_twenty_of_them(self, client: httpx.AsyncClient) -> None:
        runs = await create_runs(client, *[{}] * 25)
        answered = await dry_run(client)
        assert answered["count"] == 25
        assert len(answered["sample"]) == 20
        assert set(answered["sample"]) <= set(ids(runs))

    async def test_of_tasks_counts_tasks(self, client: httpx.AsyncClient) -> None:
        spawned = await spawn_tasks(client, {"queue": "a"}, {"queue": "a"}, {"queue": "b"})
        answered = await dry_run(client, "cancel", {"queue": ["a"]}, resource="tasks")
        assert answered["count"] == 2
        assert sorted(answered["sample"]) == sorted(item["task_id"] for item in spawned[:2])


class TestFilter:
    @pytest.mark.parametrize(
        "nothing",
        [
            {},
            None,
            {"status": []},
            {"status": None},
            {"queue": None, "tag": []},
            {"late": []},
        ],
    )
    async def test_without_a_condition_is_refused(self, client: httpx.AsyncClient, nothing: Any) -> None:
        await create_run(client)
        sent = {**body(), "filter": nothing}
        for more in ({}, {"dry_run": False, "expect_count": 1}):
            response = await client.post(BULK, json=sent | more)
            assert (response.status_code, pointers(response)) == (422, ["/filter"])

    @pytest.mark.parametrize(
        ("wanted", "place"),
        [
            ({"statuss": "failed"}, "/filter/statuss"),
            ({"status": "failed", "limit": 3}, "/filter/limit"),
            ({"status": "nope"}, "/filter/status"),
            ({"status": ["failed", "nope"]}, "/filter/status/1"),
            ({"status": [None]}, "/filter/status/0"),
            ({"status": [["failed"]]}, "/filter/status/0"),
            ({"status": {"eq": "failed"}}, "/filter/status"),
            ({"queue": "a b"}, "/filter/queue"),
            ({"queue": 5}, "/filter/queue"),
            ({"workflow_name": ""}, "/filter/workflow_name"),
            ({"tag": "env"}, "/filter/tag"),
            ({"tag": 1}, "/filter/tag"),
            ({"late": "perhaps"}, "/filter/late"),
            ({"late": [True, False]}, "/filter/late"),
            ({"late": [0]}, "/filter/late/0"),
            ({"late": "1"}, "/filter/late"),
            ({"created_after": "2026-01-31"}, "/filter/created_after"),
            ({"created_after": ["2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z"]}, "/filter/created_after"),
            ({"parent_workflow_run_id": "x"}, "/filter/parent_workflow_run_id"),
            ({"task_name": "x"}, "/filter/task_name"),
            ("status=failed", "/filter"),
            (["failed"], "/filter"),
            (7, "/filter"),
        ],
    )
    async def test_what_the_list_does_not_know_is_refused(
        self, client: httpx.AsyncClient, wanted: Any, place: str
    ) -> None:
        response = await client.post(BULK, json={**body(), "filter": wanted})
        assert (response.status_code, pointers(response)) == (422, [place])

    async def test_unknown_name_is_told_what_was_meant(self, client: httpx.AsyncClient) -> None:
        response = await client.post(BULK, json={**body(), "filter": {"workflow_nam": "x"}})
        assert "did you mean workflow_name?" in response.json()["errors"][0]["detail"]

    async def test_tasks_have_filters_of_their_own(self, client: httpx.AsyncClient) -> None:
        response = await send(client, "cancel", {"workflow_name": "x"}, resource="tasks")
        assert (response.status_code, pointers(response)) == (422, ["/filter/workflow_name"])
        response = await send(client, "cancel", {"status": "sleeping"})
        assert (response.status_code, pointers(response)) == (422, ["/filter/status"])

    async def test_body_without_a_filter_is_refused(self, client: httpx.AsyncClient) -> None:
        response = await client.post(BULK, json={"resource": "workflow_runs", "verb": "cancel"})
        assert (response.status_code, pointers(response)) == (422, ["/filter"])

    async def test_each_run_filter_is_a_value_or_a_list(self, client: httpx.AsyncClient) -> None:
        parents = await create_runs(client, {"workflow_name": "parent"}, {"workflow_name": "parent"})
        changes = [
            {
                "workflow_name": f"w{number}",
                "workflow_version": f"v{number}",
                "created_by": f"c{number}",
                "queue": f"q{number}",
                "tags": {"env": f"e{number}"},
                "parent_workflow_run_id": parent["workflow_run_id"],
            }
            for number, parent in enumerate(parents)
        ]
        one, two = await create_runs(client, *changes)
        for name in ("workflow_name", "workflow_version", "created_by", "queue", "parent_workflow_run_id"):
            alone = await dry_run(client, "cancel", {name: one[name]})
            assert alone["sample"] == [one["workflow_run_id"]], name
            both = await dry_run(client, "cancel", {name: [one[name], two[name], one[name]]})
            assert sorted(both["sample"]) == sorted(ids([one, two])), name
        assert (await dry_run(client, "cancel", {"tag": "env:e0"}))["sample"] == [one["workflow_run_id"]]
        assert (await dry_run(client, "cancel", {"tag": ["env:e0", "env:e1"]}))["count"] == 0
        assert (await dry_run(client, "cancel", {"late": "false"}))["count"] == 4
        assert (await dry_run(client, "cancel", {"late": [True]}))["count"] == 0
        assert (await dry_run(client, "cancel", {"created_after": "2020-01-01T00:00:00Z"}))["count"] == 4
        assert (await dry_run(client, "cancel", {"created_before": ["2020-01-01T00:00:00Z"]}))["count"] == 0
        assert (await dry_run(client, "cancel", {"queue": ["q0", "q1"], "workflow_name": "w1"}))["count"] == 1

    async def test_each_task_filter_is_a_value_or_a_list(self, client: httpx.AsyncClient) -> None:
        runs = await create_runs(client, {}, {})
        parents = [await spawn_task(client, queue="parents"), await spawn_task(client, queue="parents")]
        changes = [
            {
                "queue": f"q{number}",
                "task_name": f"t{number}",
                "workflow_run_id": runs[number]["workflow_run_id"],
                "parent_task_id": parents[number]["task_id"],
            }
            for number in range(2)
        ]
        spawned = await spawn_tasks(client, *changes)
        wanted = [item["task_id"] for item in spawned]
        for name in changes[0]:
            alone = await dry_run(client, "cancel", {name: changes[0][name]}, resource="tasks")
            assert alone["sample"] == wanted[:1], name
            both = await dry_run(client, "cancel", {name: [change[name] for change in changes]}, resource="tasks")
            assert sorted(both["sample"]) == sorted(wanted), name
        some = await dry_run(client, "cancel", {"status": ["pending", "failed"], "queue": "q0"}, resource="tasks")
        assert some["sample"] == wanted[:1]
        assert (await dry_run(client, "cancel", {"claimed_by": ["a", "b"]}, resource="tasks"))["count"] == 0


class TestRequest:
    @pytest.mark.parametrize("verb", ["delete", "pause", "resume"])
    async def test_tasks_take_cancel_and_retry_only(self, client: httpx.AsyncClient, verb: str) -> None:
        response = await send(client, verb, {"status": "failed"}, resource="tasks")
        assert (response.status_code, pointers(response)) == (422, ["/verb"])

    @pytest.mark.parametrize(
        ("change", "place"),
        [
            ({"verb": "complete"}, "/verb"),
            ({"resource": "schedules"}, "/resource"),
            ({"dry_run": "false"}, "/dry_run"),
            ({"dry_run": None}, "/dry_run"),
            ({"expect_count": -1}, "/expect_count"),
            ({"expect_count": "1"}, "/expect_count"),
            ({"reason": ""}, "/reason"),
            ({"token": 1}, "/token"),
            ({"limit": 1}, "/limit"),
        ],
    )
    async def test_what_cannot_be_meant_is_refused(
        self, client: httpx.AsyncClient, change: dict[str, Any], place: str
    ) -> None:
        response = await client.post(BULK, json=body() | change)
        assert (response.status_code, pointers(response)) == (422, [place])

    async def test_neither_token_nor_count_is_refused(self, client: httpx.AsyncClient) -> None:
        await create_run(client)
        response = await send(client, dry_run=False)
        assert (response.status_code, pointers(response)) == (422, ["/token"])

    async def test_key_begins_it_once(self, client: httpx.AsyncClient) -> None:
        await create_runs(client, {}, {})
        sent = body(dry_run=False, expect_count=2)
        first = await client.post(BULK, json=sent, headers={"Idempotency-Key": "k"})
        await ended(client, first.json())
        again = await client.post(BULK, json=sent, headers={"Idempotency-Key": "k"})
        assert (first.status_code, again.status_code) == (202, 200)
        assert again.headers["Idempotency-Replayed"] == "true"
        assert again.headers["Location"] == first.headers["Location"]
        assert again.json() == first.json()
        assert len((await client.get(BULK)).json()["items"]) == 1

    async def test_scope_write_is_needed_also_to_ask(self, client: httpx.AsyncClient, kernel: Kernel) -> None:
        async with kernel.database.transaction() as tx:
            reading = await api_keys.create_key(tx, "reader", [Scope.read])
            writing = await api_keys.create_key(tx, "writer", [Scope.write])
        kernel.doorkeeper.forget()
        reader, writer = ({"Authorization": f"Bearer {key}"} for key in (reading, writing))
        assert (await client.post(BULK, json=body(), headers=reader)).status_code == 403
        assert (await client.post(BULK, json=body(), headers=writer)).status_code == 200


class TestTokens:
    async def test_it_is_good_for_the_same_however_it_is_written(self, client: httpx.AsyncClient) -> None:
        await create_run(client)
        token = (await dry_run(client, "cancel", {"status": "pending", "queue": "default"}))["token"]
        operation = await begin(
            client, "cancel", {"queue": ["default"], "status": ["pending", "pending"], "tag": []}, token=token
        )
        assert operation["total"] == 1

    @pytest.mark.parametrize(
        "other",
        [
            {"verb": "delete"},
            {"filter": {"status": ["pending", "running"]}},
            {"filter": {"status": "pending", "queue": "default"}},
            {"resource": "tasks"},
            {"token": "x"},
            {"token": ""},
            {"token": "x" * 10_000},
        ],
    )
    async def test_it_is_good_for_nothing_else(self, client: httpx.AsyncClient, other: dict[str, Any]) -> None:
        run = await create_run(client)
        token = (await dry_run(client))["token"]
        response = await client.post(BULK, json=body(dry_run=False, token=token) | other)
        assert (response.status_code, code(response), pointers(response)) == (422, "token-invalid", ["/token"])
        assert (await get_run(client, run))["status"] == "pending"
        assert (await client.get(BULK)).json()["items"] == []

    async def test_count_that_differs_is_told(self, client: httpx.AsyncClient) -> None:
        await create_run(client)
        token = (await dry_run(client))["token"]
        await create_run(client)
        for expectation in ({"token": token}, {"expect_count": 1}, {"token": token, "expect_count": 2}):
            response = await send(client, dry_run=False, **expectation)
            assert (response.status_code, code(response), response.json()["count"]) == (409, "count-differs", 2)
        assert (await client.get(BULK)).json()["items"] == []
        assert (await dry_run(client))["count"] == 2

    async def test_expired_one_is_refused_and_forgotten(self, client: httpx.AsyncClient, database: Database) -> None:
        await create_run(client)
        token = (await dry_run(client))["token"]
        async with database.transaction() as tx:
            await tx.execute(text("UPDATE bulk_tokens SET expires_at = now()"))
        response = await send(client, dry_run=False, token=token)
        assert (response.status_code, code(response)) == (422, "token-invalid")

    async def test_setting_says_how_long_it_lasts(self, client: httpx.AsyncClient, database_url: str) -> None:
        await create_run(client)
        async with replica(database_url, bulk_token_seconds=0.05) as brief:
            token = (await dry_run(brief))["token"]

            async def refused() -> bool:
                response = await send(client, dry_run=False, token=token)
                return code(response) == "token-invalid" if not response.is_success else False

            await eventually(refused)

    async def test_another_replica_takes_it(self, client: httpx.AsyncClient, database_url: str) -> None:
        run = await create_run(client)
        async with replica(database_url) as other:
            token = (await dry_run(client))["token"]
            await ended(client, await begin(other, token=token))
        assert (await get_run(client, run))["status"] == "cancelled"


class TestVerbs:
    async def test_cancel_is_that_of_each_run_with_reason_and_caller(self, client: httpx.AsyncClient) -> None:
        open_run, ended_run = await create_run(client), await run_in(client, "completed")
        linked = await spawn_task(client, workflow_run_id=open_run["workflow_run_id"])
        sent = body("cancel", {"status": EVERY_STATUS}, reason="wrong inputs", dry_run=False, expect_count=2)
        response = await client.post(BULK, json=sent, headers={"X-Request-ID": "bulk-1"})
        operation = await ended(client, response.json())
        assert {name: operation[name] for name in ("status", "total", "done", "refused", "reason", "created_by")} == {
            "status": "completed",
            "total": 2,
            "done": 2,
            "refused": 1,
            "reason": "wrong inputs",
            "created_by": "anonymous",
        }
        assert operation["completed_at"]
        assert await outcomes_of(client, operation) == {
            open_run["workflow_run_id"]: (200, None),
            ended_run["workflow_run_id"]: (409, "move-not-allowed"),
        }
        assert (await get_run(client, open_run))["status"] == "cancelled"
        assert (await get_run(client, ended_run))["status"] == "completed"
        assert (await get_task(client, linked))["status"] == "cancelled"
        entry = (await history_of(client, open_run))[-1]
        assert (entry["verb"], entry["reason"], entry["actor"], entry["request_id"]) == (
            "cancel",
            "wrong inputs",
            "anonymous",
            "bulk-1",
        )

    async def test_retry_opens_failed_runs_once(self, client: httpx.AsyncClient) -> None:
        runs = [await run_in(client, "failed") for _ in range(3)]
        operation = await do(client, "retry", {"status": "failed"}, reason="upstream is back")
        assert set((await outcomes_of(client, operation)).values()) == {(200, None)}
        for run in runs:
            assert (await get_run(client, run))["attempt"] == 2
            assert [entry["reason"] for entry in await history_of(client, run) if entry["verb"] == "retry"] == [
                "upstream is back"
            ]

    async def test_delete_takes_ended_runs_alone(self, client: httpx.AsyncClient) -> None:
        over, still_open = await run_in(client, "failed"), await create_run(client)
        operation = await do(client, "delete", {"status": EVERY_STATUS})
        assert (await client.get(address(over))).status_code == 404
        assert (await outcomes_of(client, operation))[still_open["workflow_run_id"]] == (409, "move-not-allowed")

    async def test_pause_and_resume_are_those_of_executed_runs(self, client: httpx.AsyncClient) -> None:
        executed, tracked = await start(client, task("a")), await create_run(client)
        wanted = {"status": ["pending", "running"]}
        for verb, is_paused in (("pause", True), ("resume", False)):
            operation = await do(client, verb, wanted, reason=f"{verb} all")
            assert await outcomes_of(client, operation) == {
                executed["workflow_run_id"]: (200, None),
                tracked["workflow_run_id"]: (409, "move-not-allowed"),
            }
            assert ((await get_run(client, executed))["paused_at"] is not None) is is_paused
            entry = (await history_of(client, executed))[-1]
            assert (entry["verb"], entry["reason"], entry["actor"]) == (verb, f"{verb} all", "anonymous")

    async def test_tasks_are_cancelled_and_retried(self, client: httpx.AsyncClient) -> None:
        spawned = await spawn_tasks(client, {}, {})
        completed = await task_in(client, "completed", queue="other")
        operation = await do(client, "cancel", {"status": ["pending", "completed"]}, resource="tasks")
        assert set((await outcomes_of(client, operation)).values()) == {(200, None)}
        assert {(await get_task(client, item))["status"] for item in spawned} == {"cancelled"}
        operation = await do(client, "retry", {"status": ["cancelled", "completed"]}, resource="tasks")
        assert {(await get_task(client, item))["status"] for item in spawned} == {"pending"}
        assert (await outcomes_of(client, operation))[completed["task_id"]] == (409, "move-not-allowed")

    async def test_what_is_gone_meanwhile_is_not_found(self, client: httpx.AsyncClient, database: Database) -> None:
        runs = [await run_in(client, "failed") for _ in range(2)]
        hold = text("SELECT 1 FROM workflow_runs WHERE workflow_run_id = :id FOR UPDATE")
        async with database.transaction() as tx:  # the first is in use, so that nobody comes to the second
            await tx.execute(hold.execution_options(locks=Rank.runs), {"id": runs[0]["workflow_run_id"]})
            operation = await begin(client, "retry", {"status": "failed"}, expect_count=2)
            assert (await client.delete(address(runs[1]))).status_code == 204
        assert await outcomes_of(client, await ended(client, operation)) == {
            runs[0]["workflow_run_id"]: (200, None),
            runs[1]["workflow_run_id"]: (404, "not-found"),
        }


class TestMatching:
    async def test_it_is_about_what_matched_at_the_start(self, client: httpx.AsyncClient) -> None:
        before = await create_runs(client, *[{}] * 3)
        operation = await begin(client, expect_count=3)
        after = await create_run(client)
        assert set(await outcomes_of(client, await ended(client, operation))) == set(ids(before))
        assert (await get_run(client, after))["status"] == "pending"

    async def test_nothing_is_over_at_once(self, client: httpx.AsyncClient) -> None:
        operation = await begin(client, expect_count=0)
        assert (operation["status"], operation["total"], operation["done"]) == ("completed", 0, 0)
        assert operation["completed_at"]

    async def test_filter_comes_back_as_it_was_given(self, client: httpx.AsyncClient) -> None:
        operation = await begin(client, "cancel", {"status": "pending", "tag": ["a:b"]}, expect_count=0)
        assert operation["filter"] == {"status": "pending", "tag": ["a:b"]}


class TestReading:
    async def test_lists_have_pages(self, client: httpx.AsyncClient) -> None:
        await create_runs(client, *[{}] * 3)
        made = [await ended(client, await begin(client, expect_count=count)) for count in (3, 0, 0)]
        seen: list[dict[str, Any]] = []
        where: str | None = f"{BULK}?limit=1"
        while where:
            page = await client.get(where)
            seen += page.json()["items"]
            where = page.links["next"]["url"] if "next" in page.links else None
        assert seen == made[::-1]
        first = await client.get(f"{BULK}/{made[0]['bulk_operation_id']}/outcomes?limit=2")
        rest = await client.get(first.links["next"]["url"])
        assert (len(first.json()["items"]), len(rest.json()["items"])) == (2, 1)

    async def test_terminals_get_tables(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        operation = await ended(client, await begin(client, expect_count=1))
        text_only = {"Accept": "text/plain"}
        listed = (await client.get(BULK, headers=text_only)).text.splitlines()
        assert listed[0].split()[:4] == ["BULK_OPERATION_ID", "RESOURCE", "VERB", "STATUS"]
        assert operation["bulk_operation_id"] in listed[1]
        outcomes = await client.get(f"{BULK}/{operation['bulk_operation_id']}/outcomes", headers=text_only)
        assert outcomes.text.splitlines()[1].split() == [run["workflow_run_id"], "200", "-"]

    @pytest.mark.parametrize("what", ["", "/outcomes"])
    async def test_unknown_one_is_not_found(self, client: httpx.AsyncClient, what: str) -> None:
        assert (await client.get(f"{BULK}/{UNKNOWN_ID}{what}")).status_code == 404
        assert (await client.post(f"{BULK}/{UNKNOWN_ID}/cancel")).status_code == 404


class TestCancel:
    async def test_it_goes_no_further(self, client: httpx.AsyncClient) -> None:
        runs = await create_runs(client, *[{}] * 300)
        operation = await begin(client, expect_count=300)
        response = await client.post(f"{BULK}/{operation['bulk_operation_id']}/cancel")
        assert (response.status_code, response.json()["status"]) == (200, "cancelled")
        done = response.json()["done"]
        assert done < 300
        outcomes = await outcomes_of(client, operation)
        assert len(outcomes) == done
        later = await client.post(f"{BULK}/{operation['bulk_operation_id']}/cancel")
        assert later.json() == response.json()
        pending = (await client.get("/v1/workflow-runs?status=pending&count=exact")).json()["total"]
        assert pending == len(runs) - done

    async def test_one_that_is_over_stays(self, client: httpx.AsyncClient) -> None:
        await create_run(client)
        operation = await ended(client, await begin(client, expect_count=1))
        response = await client.post(f"{BULK}/{operation['bulk_operation_id']}/cancel")
        assert (response.status_code, response.json()) == (200, operation)
