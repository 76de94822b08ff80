"""The steps and warnings of executed runs, listed."""

from typing import Any

import httpx
import pytest

from tests.definitions import task
from tests.executing import claim_steps, fail_step, start, statuses_of, steps_of, work_off
from tests.factories import address, create_run, pointers, reported

FIELDS = {
    "path",
    "status",
    "operator_type",
    "attempt",
    "task_id",
    "result",
    "error",
    "awaits",
    "due_at",
    "started_at",
    "completed_at",
}


async def page_of(client: httpx.AsyncClient, run: dict[str, Any], part: str = "steps", **query: Any) -> dict[str, Any]:
    response = await client.get(address(run, part), params=query)
    assert response.status_code == 200, response.text
    page: dict[str, Any] = response.json()
    return page


def each(items: str = "[1, 2]", **members: Any) -> dict[str, Any]:
    body = [task("one"), task("two", "one")]
    return {"task_id": "each", "operator_type": "foreach", "items": items, "loop_body": body, **members}


class TestSteps:
    async def test_each_is_there_with_its_path_and_status(self, client: httpx.AsyncClient) -> None:
        run = await start(client, each(parallel=True), task("last", "each"))
        steps = await steps_of(client, run)
        assert {path: step["status"] for path, step in steps.items()} == {
            "each": "running",
            "last": "waiting",
            "each[0].one": "runnable",
            "each[0].two": "waiting",
            "each[1].one": "runnable",
            "each[1].two": "waiting",
        }
        assert all(step.keys() == FIELDS for step in steps.values())
        assert (steps["each"]["operator_type"], steps["each"]["task_id"]) == ("foreach", None)
        assert (steps["last"]["attempt"], steps["last"]["started_at"]) == (0, None)

    async def test_step_runs_while_a_worker_holds_it(self, client: httpx.AsyncClient) -> None:
        run = await start(client)
        held = (await claim_steps(client))["extract"]
        step = (await steps_of(client, run))["extract"]
        assert (step["status"], step["task_id"], step["attempt"]) == ("running", held["task_id"], 1)
        await reported(client, held, "release")
        assert (await statuses_of(client, run))["extract"] == "runnable"

    async def test_ended_ones_have_results_errors_and_times(self, client: httpx.AsyncClient) -> None:
        run = await start(client)
        await reported(client, (await claim_steps(client))["extract"], "complete", result={"rows": 3})
        await fail_step(client, "load")
        steps = await steps_of(client, run)
        assert (steps["extract"]["result"], steps["extract"]["error"]) == ({"rows": 3}, None)
        assert (steps["load"]["result"], steps["load"]["error"]["name"]) == (None, "Broken")
        assert steps["extract"]["started_at"] <= steps["extract"]["completed_at"] <= steps["load"]["completed_at"]

    async def test_pages_hold_each_step_once(self, client: httpx.AsyncClient) -> None:
        run = await start(client, each("[1,2,3,4,5,6,7]", parallel=True))
        seen: list[str] = []
        cursor = None
        while True:
            page = await page_of(client, run, limit=4, **({} if cursor is None else {"cursor": cursor}))
            seen += [step["path"] for step in page["items"]]
            if (cursor := page["next_cursor"]) is None:
                break
            await work_off(client)
        assert len(seen) == len(set(seen)) == 15

    async def test_filter_by_status(self, client: httpx.AsyncClient) -> None:
        run = await start(client)
        await claim_steps(client)
        assert [s["path"] for s in (await page_of(client, run, status="running"))["items"]] == ["extract"]
        assert [s["path"] for s in (await page_of(client, run, status="runnable"))["items"]] == []
        both = await page_of(client, run, status=["running", "waiting"])
        assert [s["path"] for s in both["items"]] == ["extract", "load"]

    async def test_tracked_run_has_none(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        for part in ("steps", "warnings"):
            assert await page_of(client, run, part) == {"items": [], "next_cursor": None}

    async def test_table_for_a_terminal(self, client: httpx.AsyncClient) -> None:
        run = await start(client, task("a", args=["{{nothing}}"]))
        for part, word in (("steps", "runnable"), ("warnings", "nothing")):
            response = await client.get(address(run, part), headers={"Accept": "text/plain"})
            assert response.headers["content-type"].startswith("text/plain")
            assert word in response.text

    @pytest.mark.parametrize("part", ["steps", "warnings"])
    @pytest.mark.parametrize(
        ("query", "place"),
        [({"limit": 0}, "limit"), ({"limit": 201}, "limit"), ({"cursor": "x"}, "cursor"), ({"what": 1}, "what")],
    )
    async def test_bad_query_is_refused(
        self, client: httpx.AsyncClient, part: str, query: dict[str, Any], place: str
    ) -> None:
        run = await start(client)
        assert pointers(await client.get(address(run, part), params=query)) == [place]

    async def test_unknown_status_is_refused(self, client: httpx.AsyncClient) -> None:
        response = await client.get(address(await start(client), "steps"), params={"status": "done"})
        assert response.status_code == 422

    async def test_cursor_of_another_list_is_refused(self, client: httpx.AsyncClient) -> None:
        run = await start(client)
        other = await start(client, name="other")
        cursor = (await page_of(client, run, limit=1))["next_cursor"]
        for refused in ({"cursor": cursor, "status": "waiting"},):
            assert pointers(await client.get(address(run, "steps"), params=refused)) == ["cursor"]
        assert pointers(await client.get(address(other, "steps"), params={"cursor": cursor})) == ["cursor"]


class TestWarnings:
    async def test_each_is_told_once_and_in_words(self, client: httpx.AsyncClient) -> None:
        retry = {"retry_policy": {"max_retries": 1, "delay": 0, "backoff_factor": 1.0}}
        run = await start(client, task("a", args=["{{no.thing}}", "{{no.thing}}"], **retry))
        (warning,) = (await page_of(client, run, "warnings"))["items"]
        assert {name: warning[name] for name in ("path", "code", "expression")} == {
            "path": "a",
            "code": "unresolved_template",
            "expression": "no.thing",
        }
        assert "a" in warning["detail"]
        assert "{{no.thing}}" in warning["detail"]

    async def test_pages(self, client: httpx.AsyncClient) -> None:
        run = await start(client, task("a", args=[f"{{{{x{number}}}}}" for number in range(5)]))
        first = await page_of(client, run, "warnings", limit=3)
        rest = await page_of(client, run, "warnings", limit=3, cursor=first["next_cursor"])
        assert [len(page["items"]) for page in (first, rest)] == [3, 2]
        assert rest["next_cursor"] is None
