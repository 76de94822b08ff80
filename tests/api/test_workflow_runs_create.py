"""Creating a workflow run over HTTP."""

import json
from typing import Any

import httpx
import pytest

from tests.api.json_texts import KEPT
from tests.factories import (
    JSON,
    RUNS,
    UNKNOWN_ID,
    address,
    count_all,
    create_run,
    get_run,
    list_runs,
    pointers,
    run_body,
)

WRONG: dict[str, list[Any]] = {
    "task_count": ["5", True, 1.5, -1, 2**31, 2**80, []],
    "deadline_seconds": ["5", True, 0, -1, 1e300, []],
    "heartbeat_seconds": ["5", True, 0, 0.5, -1, 86_401, 1e300, []],
    "created_by": ["", 5, True, [], {}],
    "workflow_hash": ["", 5],
    "absurd_run_id": ["", 5],
    "parent_workflow_run_id": ["", "x", 5, True, [], "0" * 33],
}


async def post(client: httpx.AsyncClient, **changes: Any) -> httpx.Response:
    return await client.post(RUNS, json=run_body(**changes))


class TestCreateWorkflowRun:
    async def test_new_run_is_pending_and_says_where_it_is(self, client: httpx.AsyncClient) -> None:
        response = await client.post(RUNS, json=run_body())
        assert response.status_code == 201
        run = response.json()
        assert response.headers["location"] == address(run)
        assert response.headers["etag"] == '"1"'
        assert (run["status"], run["attempt"], run["revision"]) == ("pending", 1, 1)
        assert (await client.get(response.headers["location"])).json() == run

    async def test_what_is_left_out_has_its_default(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        assert (run["inputs"], run["tags"], run["queue"]) == ({}, {}, "default")
        nothing = {name for name, value in run.items() if value is None}
        assert nothing >= {"workflow_hash", "result", "error", "created_by", "absurd_run_id", "task_count", "reason"}
        assert nothing >= {"parent_workflow_run_id", "deadline_at", "heartbeat_expires_at", "cancel_requested_at"}
        assert nothing >= {"started_at", "completed_at"}

    async def test_everything_given_comes_back(self, client: httpx.AsyncClient) -> None:
        parent = await create_run(client)
        given = {
            "workflow_name": "a",
            "workflow_version": "v1.0-rc_2",
            "inputs": {"day": 1},
            "created_by": "cron@db1",
            "tags": {"env": "prod", "retries": 3, "ratio": 0.5, "dry": False},
            "workflow_hash": "sha256:00",
            "absurd_run_id": "not a uuid / at all",
            "queue": "_Night.ly-1",
            "parent_workflow_run_id": parent["workflow_run_id"],
            "task_count": 0,
            "heartbeat_seconds": 30,
        }
        run = await create_run(client, **given)
        assert {name: run[name] for name in given} == given
        assert run["display_name"] == "a__v1.0-rc_2"

    @pytest.mark.parametrize("value", KEPT, ids=lambda value: repr(value)[:30])
    async def test_inputs_come_back_exactly(self, client: httpx.AsyncClient, value: Any) -> None:
        run = await create_run(client, inputs=value)
        assert json.dumps(run["inputs"]) == json.dumps(value)
        assert json.dumps((await get_run(client, run))["inputs"]) == json.dumps(value)

    @pytest.mark.parametrize(
        "tags",
        [
            {"a": "", "b": 0, "c": False, "d": 1.5, "e": 2**80},
            {"env:prod": "with colon", "ümläut \U0001f9ea": "x", " ": " "},
            {f"key{i}": i for i in range(64)},
            {"k" * 100: "v" * 5000},
            {"z": 1, "a": 2},
        ],
        ids=["scalars", "odd keys", "64 tags", "key of 100", "order"],
    )
    async def test_tags_come_back_exactly(self, client: httpx.AsyncClient, tags: dict[str, Any]) -> None:
        run = await create_run(client, tags=tags)
        assert json.dumps((await get_run(client, run))["tags"]) == json.dumps(tags)

    @pytest.mark.parametrize("key", [None, "k"])
    @pytest.mark.parametrize("changes", [{}, {"deadline_seconds": 60}, {"tasks": [{"task_name": "load"}]}])
    async def test_answer_is_what_is_stored(
        self, client: httpx.AsyncClient, key: str | None, changes: dict[str, Any]
    ) -> None:
        headers = {"Idempotency-Key": key} if key else {}
        answer = await client.post(RUNS, json=run_body(**changes), headers=headers)
        assert answer.status_code == 201
        run = await get_run(client, answer.json())
        assert answer.json() == run
        if key:
            again = await client.post(RUNS, json=run_body(**changes), headers=headers)
            assert (again.status_code, again.content) == (200, answer.content)

    async def test_deadline_counts_from_creation(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client, deadline_seconds=86_400)
        assert run["deadline_at"][11:] == run["created_at"][11:]
        assert run["deadline_at"] > run["created_at"]
        assert await get_run(client, run) == run

    async def test_heartbeat_clock_does_not_tick_before_the_start(self, client: httpx.AsyncClient) -> None:
        assert (await create_run(client, heartbeat_seconds=1))["heartbeat_expires_at"] is None

    async def test_null_is_like_absent_where_a_field_may_be_null(self, client: httpx.AsyncClient) -> None:
        optional = (
            "created_by",
            "workflow_hash",
            "absurd_run_id",
            "parent_workflow_run_id",
            "task_count",
            "deadline_seconds",
            "heartbeat_seconds",
        )
        run = await create_run(client, **dict.fromkeys(optional))
        assert all(run[name] is None for name in optional if name in run)


class TestRefusedWorkflowRun:
    @pytest.mark.parametrize("name", ["a", "a1", "a_b_c", "a_", "z9_9", "x" * 200])
    async def test_name_of_the_contract_is_taken(self, client: httpx.AsyncClient, name: str) -> None:
        assert (await post(client, workflow_name=name)).status_code == 201

    @pytest.mark.parametrize(
        "name",
        [
            "",
            " ",
            "A",
            "aB",
            "1a",
            "_a",
            "a__b",
            "a__",
            "a-b",
            "a.b",
            "a b",
            " a",
            "a ",
            "a\n",
            "a\r\n",
            "ä",
            "aä",
            "а",  # noqa: RUF001 - Cyrillic on purpose
            "a\U0001f9ea",
            "a\u0661",
            "x" * 201,
            None,
            1,
            True,
            ["a"],
            {"a": 1},
        ],
        ids=repr,
    )
    async def test_other_name_is_refused(self, client: httpx.AsyncClient, name: Any) -> None:
        assert pointers(await post(client, workflow_name=name)) == ["/workflow_name"]

    @pytest.mark.parametrize("version", ["1", "_", "-", ".", "A", "1.0.0-rc.1_x", "_a_", "9" * 100])
    async def test_version_of_the_contract_is_taken(self, client: httpx.AsyncClient, version: str) -> None:
        assert (await post(client, workflow_version=version)).status_code == 201

    @pytest.mark.parametrize(
        "version",
        ["", " ", "1 0", "1+b", "v/1", "1__0", "__", "a__", "1\n", "é", "9" * 101, None, 1, 1.0, True, []],
        ids=repr,
    )
    async def test_other_version_is_refused(self, client: httpx.AsyncClient, version: Any) -> None:
        assert pointers(await post(client, workflow_version=version)) == ["/workflow_version"]

    @pytest.mark.parametrize("queue", ["a", "_", "Q", "a.b-c_d", "a__b", "q" * 100])
    async def test_queue_of_the_contract_is_taken(self, client: httpx.AsyncClient, queue: str) -> None:
        assert (await post(client, queue=queue)).status_code == 201

    @pytest.mark.parametrize(
        "queue", ["", " ", "1a", "-a", ".a", "a b", "a/b", "q\n", "ä", "q" * 101, None, 1], ids=repr
    )
    async def test_other_queue_is_refused(self, client: httpx.AsyncClient, queue: Any) -> None:
        assert pointers(await post(client, queue=queue)) == ["/queue"]

    @pytest.mark.parametrize(
        ("tags", "place"),
        [
            (None, "/tags"),
            ([], "/tags"),
            ("env:prod", "/tags"),
            ({"a": None}, "/tags/a"),
            ({"a": {}}, "/tags/a"),
            ({"a": [1]}, "/tags/a"),
            ({"a/b~c": [1]}, "/tags/a~1b~0c"),
            ({"k" * 101: 1}, "/tags"),
            ({f"key{i}": i for i in range(65)}, "/tags"),
        ],
        ids=["null", "list", "text", "null tag", "object tag", "list tag", "odd key", "long key", "65"],
    )
    async def test_tags_must_be_few_short_scalars(self, client: httpx.AsyncClient, tags: Any, place: str) -> None:
        assert pointers(await post(client, tags=tags)) == [place]

    @pytest.mark.parametrize(
        ("field", "value"),
        [(field, value) for field, values in WRONG.items() for value in values],
        ids=repr,
    )
    async def test_wrong_value_is_refused_at_its_place(
        self, client: httpx.AsyncClient, field: str, value: object
    ) -> None:
        assert pointers(await post(client, **{field: value})) == [f"/{field}"]

    @pytest.mark.parametrize("value", [1, 86_400, 1.5])
    async def test_heartbeat_seconds_within_bounds_are_taken(self, client: httpx.AsyncClient, value: float) -> None:
        assert (await create_run(client, heartbeat_seconds=value))["heartbeat_seconds"] == value

    async def test_unknown_parent_is_refused(self, client: httpx.AsyncClient) -> None:
        assert pointers(await post(client, parent_workflow_run_id=str(UNKNOWN_ID))) == ["/parent_workflow_run_id"]

    @pytest.mark.parametrize(
        "unknown",
        [
            "late_at",
            "reason",
            "Inputs",
            "workflow_run_id",
            "created_at",
            "workflow-name",
            "",
            "a/b",
            "heartbeatSeconds",
        ],
    )
    async def test_unknown_member_is_refused_at_its_place(self, client: httpx.AsyncClient, unknown: str) -> None:
        assert pointers(await post(client, **{unknown: 1})) == ["/" + unknown.replace("/", "~1")]

    async def test_every_wrong_place_is_named(self, client: httpx.AsyncClient) -> None:
        response = await client.post(RUNS, json={"workflow_name": "A", "tags": None, "x": 1})
        assert sorted(pointers(response)) == ["/tags", "/workflow_name", "/workflow_version", "/x"]

    @pytest.mark.parametrize("body", ["null", "[]", '"x"', "0", "true", "1.5", "[{}]"])
    async def test_body_that_is_no_object_is_refused(self, client: httpx.AsyncClient, body: str) -> None:
        assert pointers(await client.post(RUNS, content=body, headers=JSON)) == [""]

    @pytest.mark.parametrize("headers", [{}, JSON, {"Content-Type": "application/x-www-form-urlencoded"}])
    async def test_no_body_is_refused(self, client: httpx.AsyncClient, headers: dict[str, str]) -> None:
        assert pointers(await client.post(RUNS, headers=headers)) == [""]

    async def test_what_was_sent_is_not_echoed(self, client: httpx.AsyncClient) -> None:
        secret = "hunter2"
        bad = {"workflow_name": secret.upper(), "created_by": {secret: secret}, "parent_workflow_run_id": secret}
        response = await client.post(RUNS, json=run_body(**bad, task_count=secret, tags=[secret], queue=f"/{secret}"))
        assert response.status_code == 422
        assert secret not in response.text.lower()

    async def test_nothing_is_written(self, client: httpx.AsyncClient) -> None:
        await post(client, workflow_name="A")
        await post(client, parent_workflow_run_id=str(UNKNOWN_ID))
        assert await count_all(client) == 0

    async def test_parent_may_be_an_ended_run_and_is_found_by_its_children(self, client: httpx.AsyncClient) -> None:
        parent = await create_run(client)
        child = await create_run(client, parent_workflow_run_id=parent["workflow_run_id"].upper())
        assert child["parent_workflow_run_id"] == parent["workflow_run_id"]
        assert await list_runs(client, parent_workflow_run_id=parent["workflow_run_id"]) == [child["workflow_run_id"]]
