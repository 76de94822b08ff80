"""Finding workflow runs over HTTP."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.factories import RUNS, UNKNOWN_ID, create_run, create_runs, get_run, ids, list_runs, patch_run, pointers

ORDERS = [sign + name for name in ("created_at", "started_at", "completed_at", "updated_at") for sign in ("", "-")]
NEVER = "9999"


async def pages(client: httpx.AsyncClient, **query: Any) -> AsyncIterator[list[dict[str, Any]]]:
    """Yield every page from the first to the last."""
    cursor = None
    while True:
        response = await client.get(RUNS, params=query | ({} if cursor is None else {"cursor": cursor}))
        assert response.status_code == 200, response.text
        page = response.json()
        yield page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            assert "link" not in response.headers
            return


async def everything(client: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    return [run async for page in pages(client, **query) for run in page]


async def some_runs(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    """Return runs of which several share each of their times, or have none."""
    runs = await create_runs(client, *[{}] * 9)
    for place, change in {
        0: {"status": "running", "started_at": "2026-01-01T00:00:00Z"},
        1: {"status": "running", "started_at": "2026-01-01T00:00:00Z"},
        2: {"status": "running", "started_at": "2025-01-01T00:00:00Z"},
        3: {"status": "completed", "completed_at": "2026-02-01T00:00:00Z"},
        4: {"status": "completed", "completed_at": "2026-02-01T00:00:00Z", "started_at": "2026-01-01T00:00:00Z"},
        5: {"status": "failed"},
    }.items():
        await patch_run(client, runs[place], **change)
    return runs


class TestOrder:
    @pytest.mark.parametrize("limit", [1, 2, 4, 9, 200])
    @pytest.mark.parametrize("order", ORDERS)
    async def test_pages_hold_every_run_once_in_order(self, client: httpx.AsyncClient, order: str, limit: int) -> None:
        runs = await some_runs(client)
        found = await everything(client, order=order, limit=limit)
        assert sorted(ids(found)) == sorted(ids(runs))
        times = [run[order.removeprefix("-")] or NEVER for run in found]
        assert times == sorted(times, reverse=order.startswith("-"))

    @pytest.mark.parametrize("order", ["started_at", "completed_at"])
    async def test_runs_without_the_time_are_last_ascending_and_first_descending(
        self, client: httpx.AsyncClient, order: str
    ) -> None:
        await some_runs(client)
        ascending = [run[order] is None for run in await everything(client, order=order, limit=2)]
        descending = [run[order] is None for run in await everything(client, order=f"-{order}", limit=2)]
        assert ascending == sorted(ascending)
        assert descending == sorted(descending, reverse=True)
        assert True in ascending
        assert False in ascending

    async def test_newest_is_first_by_default(self, client: httpx.AsyncClient) -> None:
        runs = [await create_run(client) for _ in range(3)]
        assert await list_runs(client) == ids(runs)[::-1]

    async def test_default_page_has_fifty(self, client: httpx.AsyncClient) -> None:
        await create_runs(client, *[{}] * 51)
        assert [len(page) async for page in pages(client)] == [50, 1]

    async def test_runs_created_meanwhile_do_not_shift_the_pages(self, client: httpx.AsyncClient) -> None:
        runs = [await create_run(client) for _ in range(4)]
        first = (await client.get(RUNS, params={"limit": 2})).json()
        await create_runs(client, *[{}] * 3)
        rest = await list_runs(client, limit=200, cursor=first["next_cursor"])
        assert ids(first["items"]) + rest == ids(runs)[::-1]

    @pytest.mark.parametrize(
        "order", ["foo", "", "created_at,status", "+created_at", "--created_at", "-", "CREATED_AT"]
    )
    async def test_other_order_is_refused(self, client: httpx.AsyncClient, order: str) -> None:
        assert pointers(await client.get(RUNS, params={"order": order})) == ["order"]


class TestLinks:
    async def test_link_leads_through_the_pages_with_all_filters(self, client: httpx.AsyncClient) -> None:
        tags = {"a b&c": "d:e=f/ü+#"}
        runs = await create_runs(client, *[{"tags": tags}] * 5, {})
        query: list[tuple[str, str | int | float | bool | None]] = [
            ("tag", "a b&c:d:e=f/ü+#"),
            ("status", "pending"),
            ("status", "failed"),
            ("limit", "2"),
            ("count", "exact"),
        ]
        response = await client.get(RUNS, params=query)
        found = response.json()["items"]
        while link := response.links.get("next"):
            response = await client.get(link["url"])
            assert response.json()["total"] == 5
            found += response.json()["items"]
        assert sorted(ids(found)) == sorted(ids(runs[:5]))

    async def test_link_and_cursor_lead_to_the_same_page(self, client: httpx.AsyncClient) -> None:
        await create_runs(client, *[{}] * 3)
        response = await client.get(RUNS, params={"limit": 1})
        by_link = await client.get(response.links["next"]["url"])
        assert ids(by_link.json()["items"]) == await list_runs(client, limit=1, cursor=response.json()["next_cursor"])

    @pytest.mark.parametrize("size", [0, 1, 3])
    async def test_last_page_has_no_next(self, client: httpx.AsyncClient, size: int) -> None:
        if size:
            await create_runs(client, *[{}] * size)
        response = await client.get(RUNS, params={"limit": 3})
        assert response.json()["next_cursor"] is None
        assert "link" not in response.headers


class TestCursor:
    async def cursor(self, client: httpx.AsyncClient, **query: Any) -> str:
        await create_runs(client, *[{}] * 3)
        text: str = (await client.get(RUNS, params={"limit": 1, **query})).json()["next_cursor"]
        return text

    @pytest.mark.parametrize(
        "query",
        [
            {"order": "created_at"},
            {"order": "-updated_at"},
            {"status": "pending"},
            {"workflow_name": "nightly_etl"},
            {"queue": "default"},
            {"tag": "a:b"},
            {"created_before": "2999-01-01T00:00:00Z"},
        ],
        ids=str,
    )
    async def test_cursor_of_another_list_is_refused(self, client: httpx.AsyncClient, query: dict[str, str]) -> None:
        cursor = await self.cursor(client)
        assert pointers(await client.get(RUNS, params={**query, "cursor": cursor})) == ["cursor"]

    async def test_limit_may_change_between_pages(self, client: httpx.AsyncClient) -> None:
        cursor = await self.cursor(client)
        assert len(await list_runs(client, limit=200, cursor=cursor)) == 2

    async def test_order_and_several_values_of_a_filter_do_not_change_the_list(self, client: httpx.AsyncClient) -> None:
        cursor = await self.cursor(client, status=["pending", "running"], order="-created_at")
        query = [("status", "running"), ("status", "pending"), ("cursor", cursor)]
        assert len(await list_runs(client, query)) == 2

    @pytest.mark.parametrize(
        "cursor",
        [
            "",
            " ",
            "a",
            "abc",
            "null",
            "W10",
            "bnVsbA",
            "e30",
            "WzEsMiwzXQ",
            "MTIz",
            "%00",
            "ü",
            "\U0001f9ea",
            "====",
            "a" * 501,
            "a" * 5000,
        ],
        ids=lambda cursor: cursor[:10],
    )
    async def test_garbage_is_refused(self, client: httpx.AsyncClient, cursor: str) -> None:
        assert pointers(await client.get(RUNS, params={"cursor": cursor})) == ["cursor"]

    async def test_cursor_that_was_cut_or_changed_is_refused(self, client: httpx.AsyncClient) -> None:
        cursor = await self.cursor(client)
        for changed in (cursor[:-3], cursor[3:], cursor[::-1], cursor + cursor, cursor.swapcase()):
            assert pointers(await client.get(RUNS, params={"cursor": changed})) == ["cursor"]

    async def test_cursor_outlives_its_run(self, client: httpx.AsyncClient) -> None:
        runs = await create_runs(client, *[{}] * 3)
        first = (await client.get(RUNS, params={"limit": 1})).json()
        await patch_run(client, first["items"][0], status="completed")
        assert (await client.delete(f"{RUNS}/{first['items'][0]['workflow_run_id']}")).status_code == 204
        rest = await list_runs(client, cursor=first["next_cursor"])
        assert sorted(rest + ids(first["items"])) == sorted(ids(runs))


class TestFilters:
    @pytest.mark.parametrize(
        ("given", "query"),
        [
            ({"workflow_name": "other"}, {"workflow_name": "other"}),
            ({"workflow_name": "other"}, {"workflow_name": ["other", "more"]}),
            ({"workflow_version": "2"}, {"workflow_version": "2"}),
            ({"workflow_version": "2"}, {"workflow_version": ["2", "3"]}),
            ({"created_by": "me"}, {"created_by": "me"}),
            ({"created_by": "ä b&c"}, {"created_by": "ä b&c"}),
            ({"queue": "Q"}, {"queue": "Q"}),
            ({"tags": {"env": "prod"}}, {"tag": "env:prod"}),
            ({"tags": {"env": "prod", "n": 1}}, {"tag": ["env:prod", "n:1"]}),
            ({"tags": {"env": "prod"}}, {"tag": ["env:prod", "env:prod"]}),
            ({"tags": {"env": "prod"}}, {"tag": "env:prod", "workflow_name": "nightly_etl", "status": "pending"}),
        ],
        ids=str,
    )
    async def test_only_what_matches_is_found(
        self, client: httpx.AsyncClient, given: dict[str, Any], query: dict[str, Any]
    ) -> None:
        await create_run(client)
        run = await create_run(client, **given)
        assert await list_runs(client, query) == [run["workflow_run_id"]]

    @pytest.mark.parametrize(
        "query",
        [
            {"workflow_name": "nightly"},
            {"workflow_name": "nightly_%"},
            {"workflow_name": "NIGHTLY_ETL"},
            {"created_by": "m"},
            {"created_by": "%"},
            {"queue": "other"},
            {"parent_workflow_run_id": str(UNKNOWN_ID)},
            {"tag": ["env:prod", "env:dev"]},
            {"tag": ["env:prod", "missing:1"]},
            {"status": "failed"},
            {"status": ["failed", "cancelled"]},
        ],
        ids=str,
    )
    async def test_what_does_not_match_is_not_found(self, client: httpx.AsyncClient, query: dict[str, Any]) -> None:
        await create_run(client, created_by="me", tags={"env": "prod"})
        assert await list_runs(client, query) == []

    @pytest.mark.parametrize("order", ORDERS)
    async def test_status_may_be_repeated(self, client: httpx.AsyncClient, order: str) -> None:
        runs = await some_runs(client)
        query = {"status": ["running", "failed", "running"], "order": order}
        found = await everything(client, **query, limit=2)
        assert sorted(ids(found)) == sorted(ids([*runs[:3], runs[5]]))
        times = [run[order.removeprefix("-")] or NEVER for run in found]
        assert times == sorted(times, reverse=order.startswith("-"))

    @pytest.mark.parametrize("time", ["created_at", "started_at", "completed_at", "updated_at"])
    async def test_bounds_are_exclusive_to_the_microsecond(self, client: httpx.AsyncClient, time: str) -> None:
        run = await create_run(client)
        await patch_run(client, run, status="running")
        await patch_run(client, run, status="completed")
        at = datetime.fromisoformat((await get_run(client, run))[time])
        name = time.removesuffix("_at")
        tick = timedelta(microseconds=1)
        found = {
            query: await list_runs(client, {query: bound.isoformat()})
            for query, bound in {f"{name}_after": at, f"{name}_before": at}.items()
        }
        assert found == {f"{name}_after": [], f"{name}_before": []}
        within = {f"{name}_after": (at - tick).isoformat(), f"{name}_before": (at + tick).isoformat()}
        assert await list_runs(client, within) == [run["workflow_run_id"]]

    async def test_bound_in_another_zone_is_the_same_moment(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        await patch_run(client, run, status="running", started_at="2026-01-01T00:00:00Z")
        assert await list_runs(client, started_after="2026-01-01T01:59:59+02:00") == [run["workflow_run_id"]]
        assert await list_runs(client, started_after="2025-12-31T19:00:00-05:00") == []

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ("prod", "prod"),
            ("", ""),
            ("a:b:c", "a:b:c"),
            (5, "5"),
            ("5", "5"),
            (-1, "-1"),
            (1.5, "1.5"),
            (True, "true"),
            (False, "false"),
            ("true", "true"),
            (2**80, str(2**80)),
            ("ü 🧪", "ü 🧪"),
            ('"', '"'),
        ],
        ids=repr,
    )
    async def test_tag_is_compared_by_its_text(self, client: httpx.AsyncClient, value: object, text: str) -> None:
        run = await create_run(client, tags={"k": value, "other": "x"})
        await create_run(client, tags={"k": "different"})
        assert await list_runs(client, tag=f"k:{text}") == [run["workflow_run_id"]]
        assert await list_runs(client, tag=f"k:{text}x") == []

    async def test_changed_tags_are_found_and_former_ones_are_not(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client, tags={"env": "dev", "old": "1"})
        await patch_run(client, run, tags={"env": "prod", "old": None})
        found = {tag: len(await list_runs(client, tag=tag)) for tag in ("env:dev", "env:prod", "old:1")}
        assert found == {"env:dev": 0, "env:prod": 1, "old:1": 0}

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("tag", ""),
            ("tag", "env"),
            ("status", ""),
            ("status", "done"),
            ("status", "Pending"),
            ("status", "pending,running"),
            ("parent_workflow_run_id", ""),
            ("parent_workflow_run_id", "x"),
            ("created_after", ""),
            ("created_after", "yesterday"),
            ("created_after", "2026-01-01"),
            ("created_after", "2026-01-01T00:00:00"),
            ("started_before", "2026-13-01T00:00:00Z"),
            ("updated_before", "1767225600"),
            ("completed_after", "2026-02-30T00:00:00Z"),
            ("completed_after", "9999-12-31T23:59:59-10:00"),
            ("completed_after", "0001-01-01T00:00:00+10:00"),
            ("created_by", "a\0b"),
            ("tag", "a:\0"),
            ("workflow_name", "\0"),
            ("queue", "a\0"),
            ("count", "true"),
            ("count", ""),
        ],
    )
    async def test_wrong_value_is_refused_by_name(self, client: httpx.AsyncClient, name: str, value: str) -> None:
        assert pointers(await client.get(RUNS, params={name: value})) == [name]

    @pytest.mark.parametrize(
        "name", ["created_after", "limit", "order", "queue", "created_by", "parent_workflow_run_id"]
    )
    async def test_parameter_that_is_given_twice_is_refused(self, client: httpx.AsyncClient, name: str) -> None:
        assert set(pointers(await client.get(f"{RUNS}?{name}=1&{name}=1"))) == {name}

    @pytest.mark.parametrize(
        "limit", ["0", "-1", "201", "abc", "", "1e1", "1.5", "null", "9" * 30, "\u0661", "0x10", "1;2"]
    )
    async def test_other_limit_is_refused(self, client: httpx.AsyncClient, limit: str) -> None:
        assert pointers(await client.get(RUNS, params={"limit": limit})) == ["limit"]

    @pytest.mark.parametrize("limit", [1, 200])
    async def test_limit_within_bounds_is_taken(self, client: httpx.AsyncClient, limit: int) -> None:
        assert await list_runs(client, limit=limit) == []


class TestTotal:
    async def test_total_is_left_out_unless_asked_for(self, client: httpx.AsyncClient) -> None:
        assert "total" not in (await client.get(RUNS)).json()

    @pytest.mark.parametrize(("query", "total"), [({}, 3), ({"tag": "a:1"}, 2), ({"status": "failed"}, 0)])
    async def test_total_counts_all_that_match(
        self, client: httpx.AsyncClient, query: dict[str, str], total: int
    ) -> None:
        await create_runs(client, {}, {"tags": {"a": 1}}, {"tags": {"a": 1}})
        response = await client.get(RUNS, params={**query, "count": "exact", "limit": 1})
        assert response.json()["total"] == total

    async def test_no_runs_are_zero(self, client: httpx.AsyncClient) -> None:
        response = await client.get(RUNS, params={"count": "exact"})
        assert response.json() == {"items": [], "next_cursor": None, "total": 0}


class TestTextOfAList:
    async def test_it_is_an_aligned_table(self, client: httpx.AsyncClient) -> None:
        runs = await create_runs(client, {"workflow_name": "a"}, {"workflow_name": "a_much_longer_name"})
        response = await client.get(RUNS, params={"order": "created_at"}, headers={"Accept": "text/plain"})
        assert response.headers["content-type"].startswith("text/plain")
        heading, *lines = response.text.splitlines()
        assert [line.split()[0] for line in lines] == ids(runs)
        column = heading.index("STATUS")
        assert {line[column:].split()[0] for line in lines} == {"pending"}

    async def test_it_leads_to_the_next_page(self, client: httpx.AsyncClient) -> None:
        runs = await create_runs(client, {}, {})
        response = await client.get(RUNS, params={"limit": 1}, headers={"Accept": "text/plain"})
        following = await client.get(response.links["next"]["url"], headers={"Accept": "text/plain"})
        assert {text.splitlines()[1].split()[0] for text in (response.text, following.text)} == set(ids(runs))

    async def test_empty_list_still_has_its_heading(self, client: httpx.AsyncClient) -> None:
        response = await client.get(RUNS, headers={"Accept": "text/plain"})
        assert "STATUS" in response.text
