"""Creating many workflow runs over HTTP."""

import json
import random

import httpx
import pytest

from tests.api.json_texts import random_json
from tests.factories import JSON, RUNS, UNKNOWN_ID, count_all, create_run, create_runs, get_run, ids, pointers, run_body

BATCH = f"{RUNS}/batch"


class TestCreateWorkflowRuns:
    async def test_runs_come_back_in_the_order_they_were_sent(self, client: httpx.AsyncClient) -> None:
        names = [f"run_{i}" for i in (3, 1, 2)]
        response = await client.post(BATCH, json={"workflow_runs": [run_body(workflow_name=name) for name in names]})
        assert response.status_code == 201
        runs = response.json()["items"]
        assert [run["workflow_name"] for run in runs] == names
        assert [await get_run(client, run) for run in runs] == runs

    async def test_thousand_are_taken(self, client: httpx.AsyncClient) -> None:
        runs = await create_runs(client, *({"task_count": i} for i in range(1000)))
        assert [run["task_count"] for run in runs] == list(range(1000))
        assert len(set(ids(runs))) == await count_all(client) == 1000

    async def test_one_more_is_refused(self, client: httpx.AsyncClient) -> None:
        response = await client.post(BATCH, json={"workflow_runs": [run_body()] * 1001})
        assert pointers(response) == ["/workflow_runs"]

    @pytest.mark.parametrize(
        ("bad", "place"),
        [
            (run_body(workflow_name="A"), "/workflow_runs/1/workflow_name"),
            (run_body(x=1), "/workflow_runs/1/x"),
            ({"workflow_name": "a"}, "/workflow_runs/1/workflow_version"),
            (run_body(parent_workflow_run_id=str(UNKNOWN_ID)), "/workflow_runs/1/parent_workflow_run_id"),
            (run_body(tags={"a": [1]}), "/workflow_runs/1/tags/a"),
            (None, "/workflow_runs/1"),
            ("x", "/workflow_runs/1"),
        ],
    )
    async def test_one_bad_item_refuses_all(self, client: httpx.AsyncClient, bad: object, place: str) -> None:
        response = await client.post(BATCH, json={"workflow_runs": [run_body(), bad, run_body()]})
        assert pointers(response) == [place]
        assert await count_all(client) == 0

    @pytest.mark.parametrize(
        ("body", "place"),
        [
            ("{}", "/workflow_runs"),
            ('{"workflow_runs": null}', "/workflow_runs"),
            ('{"workflow_runs": {}}', "/workflow_runs"),
            ('{"workflow_runs": "x"}', "/workflow_runs"),
            ("[]", ""),
            ("null", ""),
        ],
    )
    async def test_other_form_is_refused(self, client: httpx.AsyncClient, body: str, place: str) -> None:
        assert pointers(await client.post(BATCH, content=body, headers=JSON)) == [place]

    async def test_items_may_share_a_parent(self, client: httpx.AsyncClient) -> None:
        parent = (await create_run(client))["workflow_run_id"]
        runs = await create_runs(client, *[{"parent_workflow_run_id": parent}] * 3)
        assert {run["parent_workflow_run_id"] for run in runs} == {parent}

    async def test_repeat_with_the_same_key_is_answered_the_same(self, client: httpx.AsyncClient) -> None:
        body = {"workflow_runs": [run_body(), run_body()]}
        first = await client.post(BATCH, json=body, headers={"Idempotency-Key": "a"})
        again = await client.post(BATCH, json=body, headers={"Idempotency-Key": "a"})
        assert (first.status_code, again.status_code) == (201, 200)
        assert again.headers["idempotency-replayed"] == "true"
        assert again.json() == first.json()
        assert await count_all(client) == 2

    async def test_any_json_comes_back_exactly(self, client: httpx.AsyncClient) -> None:
        source = random.Random(20260131)  # noqa: S311 - the same values each time
        values = [random_json(source) for _ in range(400)]
        runs = await create_runs(client, *({"inputs": value} for value in values))
        for run, value in zip(runs, values, strict=True):
            assert json.dumps(run["inputs"]) == json.dumps(value)
        kept = {
            run["workflow_run_id"]: run["inputs"]
            for run in (await client.get(RUNS, params={"limit": 200})).json()["items"]
        }
        assert all(json.dumps(kept[run["workflow_run_id"]]) == json.dumps(run["inputs"]) for run in runs[200:])
