"""Counting workflow runs over HTTP."""

from typing import Any

import httpx
import pytest

from tests.factories import RUNS, STATUSES, create_run, pointers, run_in

COUNTS = f"{RUNS}/counts"


async def counts(client: httpx.AsyncClient, **query: Any) -> list[tuple[Any, ...]]:
    response = await client.get(COUNTS, params=query)
    assert response.status_code == 200, response.text
    return sorted(tuple(count.values()) for count in response.json()["counts"])


class TestCountWorkflowRuns:
    async def test_runs_are_counted_by_status(self, client: httpx.AsyncClient) -> None:
        for status in (*STATUSES, "failed", "failed"):
            await run_in(client, status)
        expected = {"cancelled": 1, "completed": 1, "failed": 3, "pending": 1, "running": 1}
        assert await counts(client) == await counts(client, by="status") == sorted(expected.items())

    async def test_runs_are_counted_by_name_and_status(self, client: httpx.AsyncClient) -> None:
        await run_in(client, "failed", workflow_name="a")
        await run_in(client, "failed", workflow_name="b")
        await run_in(client, "pending", workflow_name="b")
        response = await client.get(COUNTS, params={"by": "workflow_name,status"})
        assert sorted(response.json()["counts"], key=str) == [
            {"workflow_name": "a", "status": "failed", "count": 1},
            {"workflow_name": "b", "status": "failed", "count": 1},
            {"workflow_name": "b", "status": "pending", "count": 1},
        ]

    async def test_no_runs_have_no_counts(self, client: httpx.AsyncClient) -> None:
        assert await counts(client) == []

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ({"tag": "env:prod"}, 1),
            ({"workflow_name": "a"}, 1),
            ({"workflow_name": ["a", "nightly_etl"]}, 2),
            ({"status": "pending"}, 2),
            ({"queue": "q"}, 1),
            ({"created_by": "me"}, 1),
            ({"created_after": "2020-01-01T00:00:00Z"}, 2),
        ],
        ids=str,
    )
    async def test_filters_are_those_of_the_list(
        self, client: httpx.AsyncClient, query: dict[str, Any], found: int
    ) -> None:
        await create_run(client)
        await create_run(client, workflow_name="a", tags={"env": "prod"}, queue="q", created_by="me")
        assert await counts(client, **query) == [("pending", found)]
        assert await counts(client, **query | {"created_before": "2020-01-01T00:00:00Z"}) == []

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("by", "name"),
            ("by", ""),
            ("by", "status,workflow_name"),
            ("limit", "1"),
            ("order", "created_at"),
            ("cursor", "x"),
            ("count", "exact"),
            ("status", "x"),
            ("tag", "x"),
        ],
    )
    async def test_other_parameter_is_refused(self, client: httpx.AsyncClient, name: str, value: str) -> None:
        assert pointers(await client.get(COUNTS, params={name: value})) == [name]
