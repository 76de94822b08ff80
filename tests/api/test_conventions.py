"""What holds for every operation: problems, request ids, media types, limits, unknown names."""

import re
from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from urllib.parse import unquote
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from app.api.door import Door
from app.main import create_app
from app.settings import Settings
from tests.api.json_texts import NOT_JSON, REFUSED
from tests.factories import JSON, RUNS, UNKNOWN_ID, address, code, count_all, create_run, pointers, run_body, run_in

MIB = 1_048_576
SAMPLE = create_app(Settings(database_url="postgresql://nowhere/none"))
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Operation(NamedTuple):
    method: str
    path: str
    spec: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def url(self) -> str:
        """Where it is, with an id in every place that takes one."""
        return re.sub(r"\{\w+\}", str(UNKNOWN_ID), self.path)


def operations() -> list[Operation]:
    paths = SAMPLE.openapi()["paths"]
    return [Operation(method.upper(), path, spec) for path, all_of in paths.items() for method, spec in all_of.items()]


OPERATIONS = operations()
WITH_BODY = [op for op in OPERATIONS if "application/json" in op.spec.get("requestBody", {}).get("content", {})]
CREATING = [
    op for op in OPERATIONS if any(p["name"].lower() == "idempotency-key" for p in op.spec.get("parameters", []))
]
every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=str)
every_body = pytest.mark.parametrize("operation", WITH_BODY, ids=str)


class TestProblems:
    async def test_it_is_a_problem_of_rfc_9457(self, client: httpx.AsyncClient) -> None:
        response = await client.get(f"{RUNS}/{UNKNOWN_ID}", headers={"X-Request-ID": "me"})
        assert response.headers["content-type"] == "application/problem+json"
        problem = response.json()
        assert {**problem, "title": "", "detail": ""} == {
            "type": "/problems/not-found",
            "title": "",
            "status": 404,
            "detail": "",
            "instance": f"{RUNS}/{UNKNOWN_ID}",
            "code": "not-found",
            "request_id": "me",
        }
        assert problem["title"]
        assert problem["detail"]

    async def test_every_type_is_a_page(self, client: httpx.AsyncClient) -> None:
        run = await run_in(client, "completed")
        refusals = [
            await client.get("/nowhere"),
            await client.put(RUNS),
            await client.post(RUNS, json={}),
            await client.post(RUNS, content="{", headers=JSON),
            await client.post(RUNS, content="{}"),
            await client.post(RUNS, content=b" " * (MIB + 1), headers=JSON),
            await client.patch(address(run), json={"status": "running"}),
            await client.patch(address(run), json={}, headers={"If-Match": '"9"'}),
            await client.post(address(run, "heartbeat")),
        ]
        assert sorted({refusal.status_code for refusal in refusals}) == [400, 404, 405, 409, 412, 413, 415, 422]
        for refusal in refusals:
            page = await client.get(refusal.json()["type"])
            assert page.status_code == 200, code(refusal)
            assert code(refusal) in page.text

    @pytest.mark.parametrize(
        "path",
        ["/nowhere", "/v1", "/v1/", f"{RUNS}/", f"{RUNS}/{UNKNOWN_ID}/nothing", "/v2/workflow-runs", "/problems/x"],
    )
    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_unknown_address_is_not_found(self, client: httpx.AsyncClient, path: str, method: str) -> None:
        response = await client.request(method, path)
        if response.status_code != 405:
            assert (response.status_code, code(response)) == (404, "not-found")

    @pytest.mark.parametrize("path", sorted({op.path for op in OPERATIONS}))
    async def test_other_method_is_refused_with_those_allowed(self, client: httpx.AsyncClient, path: str) -> None:
        here = [op for op in OPERATIONS if op.path == path]
        declared = {op.method for op in here}
        shadows = {op.method for op in OPERATIONS if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", op.path), path)}
        for method in {*METHODS, "OPTIONS", "TRACE", "PURGE"} - (shadows - declared):
            response = await client.request(method, here[0].url)
            if response.status_code == 405:
                assert method not in declared
                assert code(response) == "method-not-allowed"
                allowed = set(response.headers["allow"].split(", "))
                assert declared <= allowed
                assert method not in allowed
            else:
                assert method in METHODS

    async def test_places_are_json_pointers(self, client: httpx.AsyncClient) -> None:
        response = await client.post(RUNS, json=run_body(tags={"a/b~c": []}, **{"x/y": 1}))
        assert sorted(pointers(response)) == ["/tags/a~1b~0c", "/x~1y"]


class TestRequestIds:
    @pytest.mark.parametrize("given", ["a", "0" * 128, "abc/DEF:1.2-3_4+5=", "{}<>\"'\\"])
    async def test_it_is_taken_and_returned(self, client: httpx.AsyncClient, given: str) -> None:
        response = await client.get("/livez", headers={"X-Request-ID": given})
        assert response.headers["x-request-id"] == given

    @pytest.mark.parametrize("given", [None, "", " ", "a b", "a\tb", "0" * 129, b"\xff", "é".encode()], ids=repr)
    async def test_it_is_made_where_it_is_missing_or_odd(self, client: httpx.AsyncClient, given: Any) -> None:
        headers = {} if given is None else {"X-Request-ID": given}
        made = (await client.get("/livez", headers=headers)).headers["x-request-id"]
        assert UUID(made).version == 7

    async def test_each_request_has_its_own(self, client: httpx.AsyncClient) -> None:
        made = {(await client.get("/livez")).headers["x-request-id"] for _ in range(20)}
        assert len(made) == 20

    @pytest.mark.parametrize(
        ("method", "path"), [("GET", "/nowhere"), ("PUT", RUNS), ("POST", RUNS), ("GET", f"{RUNS}/x"), ("GET", RUNS)]
    )
    async def test_every_answer_has_one(self, client: httpx.AsyncClient, method: str, path: str) -> None:
        response = await client.request(method, path, headers={"X-Request-ID": "me"})
        assert response.headers.get_list("x-request-id") == ["me"]
        assert response.is_success or response.json()["request_id"] == "me"


class TestUnknownNames:
    @every_operation
    async def test_unknown_parameter_is_refused_by_name(self, client: httpx.AsyncClient, operation: Operation) -> None:
        response = await client.request(operation.method, f"{operation.url}?nonsense=1")
        assert pointers(response) == ["nonsense"]

    @pytest.mark.parametrize("query", ["Limit=1", "limit%20=1", "limit[]=1", "=1", "%00=1", "%ff=1", "a=1&a=2", "x"])
    async def test_misspelt_parameter_is_refused(self, client: httpx.AsyncClient, query: str) -> None:
        assert (await client.get(f"{RUNS}?{query}")).status_code == 422

    @every_body
    async def test_unknown_member_is_refused_at_its_place(
        self, client: httpx.AsyncClient, operation: Operation
    ) -> None:
        response = await client.request(operation.method, operation.url, json={"nonsense": 1})
        if operation.path == "/v1/workflows/validate":
            assert "/nonsense" in [error["pointer"] for error in response.json()["errors"]]
        else:
            assert "/nonsense" in pointers(response)

    async def test_body_of_a_get_is_ignored(self, client: httpx.AsyncClient) -> None:
        response = await client.request("GET", RUNS, json={"limit": 0})
        assert response.status_code == 200


class TestMediaTypes:
    @every_body
    @pytest.mark.parametrize(
        "media_type",
        [
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "text/plain",
            "text/json",
            "application/xml",
            "application/problem+json",
            "application/jsonp",
            "application/json-patch+json",
            "json",
            "*/*",
            "",
            None,
        ],
    )
    async def test_other_type_is_refused(
        self, client: httpx.AsyncClient, operation: Operation, media_type: str | None
    ) -> None:
        headers = {} if media_type is None else {"Content-Type": media_type}
        response = await client.request(operation.method, operation.url, content="{}", headers=headers)
        assert response.status_code == 415
        assert code(response) == "unsupported-media-type"

    @pytest.mark.parametrize(
        "media_type",
        [
            "application/json",
            "APPLICATION/JSON",
            "application/json; charset=utf-8",
            'application/json;charset="UTF-8"',
            " application/json ;x=y",
            "application/merge-patch+json",
        ],
    )
    async def test_json_is_taken(self, client: httpx.AsyncClient, media_type: str) -> None:
        content = '{"workflow_name": "a", "workflow_version": "1"}'
        response = await client.post(RUNS, content=content, headers={"Content-Type": media_type})
        assert response.status_code == 201


class TestJson:
    @every_body
    @pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
    async def test_what_is_not_json_is_refused(
        self, client: httpx.AsyncClient, operation: Operation, body: bytes
    ) -> None:
        response = await client.request(operation.method, operation.url, content=body, headers=JSON)
        assert response.status_code == 400
        assert code(response) == "not-json"

    @pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
    async def test_json_that_cannot_be_kept_is_refused(self, client: httpx.AsyncClient, text: str) -> None:
        run = await create_run(client)
        create = f'{{"workflow_name": "a", "workflow_version": "1", "inputs": {text}}}'
        created = await client.post(RUNS, content=create, headers=JSON)
        batch = await client.post(f"{RUNS}/batch", content=f'{{"workflow_runs": [{create}]}}', headers=JSON)
        patched = await client.patch(address(run), content=f'{{"result": {text}}}', headers=JSON)
        tagged = await client.patch(address(run), content=f'{{"error": {{"a": {text}}}}}', headers=JSON)
        for response in (created, batch, patched, tagged):
            assert len(pointers(response)) == 1
        assert await count_all(client) == 1

    @pytest.mark.parametrize("text", ["[" * 60 + "]" * 60, '{"a":' * 60 + "0" + "}" * 60, "[" + "[]," * 500 + "[]]"])
    async def test_nesting_that_is_not_deep_is_kept(self, client: httpx.AsyncClient, text: str) -> None:
        create = f'{{"workflow_name": "a", "workflow_version": "1", "inputs": {text}}}'
        assert (await client.post(RUNS, content=create, headers=JSON)).status_code == 201

    @pytest.mark.parametrize(
        "text", ['"[[[[[[[[{{{{"', '"\\\\u0000"', '"1e999"', '"NaN"', "1e308", "123e45", '"\\ud83e\\uddea"']
    )
    async def test_what_only_looks_like_it_is_kept(self, client: httpx.AsyncClient, text: str) -> None:
        create = f'{{"workflow_name": "a", "workflow_version": "1", "inputs": {text}}}'
        assert (await client.post(RUNS, content=create, headers=JSON)).status_code == 201

    @pytest.mark.parametrize("member", ["workflow_name", "created_by", "workflow_hash", "absurd_run_id", "queue"])
    async def test_nul_in_a_text_is_refused_at_its_place(self, client: httpx.AsyncClient, member: str) -> None:
        assert pointers(await client.post(RUNS, json=run_body(**{member: "a\0"}))) == [f"/{member}"]


class TestNamesThatStandTwice:
    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ('{"workflow_name": "a", "workflow_version": "1", "workflow_name": "b"}', "/workflow_name"),
            ('{"workflow_name": "a", "workflow_version": "1", "inputs": {"a": [{"b": 1, "b": 1}]}}', "/inputs/a/0/b"),
            ('{"workflow_name": "a", "workflow_version": "1", "tags": {"x": "1", "\\u0078": "2"}}', "/tags/x"),
            ('{"workflow_name": "a", "workflow_version": "1", "tags": {"x/y": 1, "x/y": 1}}', "/tags/x~1y"),
        ],
    )
    async def test_they_are_refused_at_their_place(self, client: httpx.AsyncClient, body: str, pointer: str) -> None:
        refused = await client.post(RUNS, content=body, headers=JSON)
        assert pointers(refused) == [pointer]
        assert await count_all(client) == 0

    @every_body
    async def test_no_operation_takes_one(self, client: httpx.AsyncClient, operation: Operation) -> None:
        body = '{"nonsense": {"a": 1, "a": 1}}'
        refused = await client.request(operation.method, operation.url, content=body, headers=JSON)
        assert pointers(refused) == ["/nonsense/a"]

    async def test_large_body_is_looked_through_too(self, client: httpx.AsyncClient) -> None:
        inputs = f'"{"x" * 100_000}", "inputs": 1'
        body = f'{{"workflow_name": "a", "workflow_version": "1", "inputs": {inputs}}}'
        assert pointers(await client.post(RUNS, content=body, headers=JSON)) == ["/inputs"]


class TestEncodings:
    @pytest.mark.parametrize("bad", ["%FF", "a%ED%A0%80", "%C3%28", "%C0%80", "%F8%88%80%80%80"])
    async def test_what_is_not_utf_8_is_refused_by_its_name(self, client: httpx.AsyncClient, bad: str) -> None:
        assert pointers(await client.get(f"{RUNS}/{bad}")) == ["workflow_run_id"]
        assert pointers(await client.get(f"/v1/queues/{bad}/events/e")) == ["queue"]
        assert pointers(await client.post(f"/v1/queues/q/events/{bad}", json={})) == ["event_name"]
        assert pointers(await client.get(f"{RUNS}?status=failed&created_by={bad}")) == ["created_by"]
        assert pointers(await client.get(f"{RUNS}?tag=a:b&tag=a:{bad}")) == ["tag"]
        assert (await client.get(f"/nowhere/{bad}")).status_code == 404

    async def test_what_is_utf_8_is_kept(self, client: httpx.AsyncClient) -> None:
        for name in ("%C3%A9", "%EF%BF%BD", "%F0%9F%A7%AA"):
            emitted = await client.post(f"/v1/queues/q/events/{name}", json={})
            assert emitted.status_code == 201
            found = await client.get(f"/v1/queues/q/events/{name}")
            assert found.json()["event_name"] == emitted.json()["event_name"] == unquote(name)
            assert (await client.get(f"{RUNS}?created_by={name}")).status_code == 200

    @pytest.mark.parametrize("header", ["Idempotency-Key", "traceparent"])
    @pytest.mark.parametrize("value", [b"\xff", "é".encode(), b"a\tb"], ids=repr)
    async def test_header_that_is_kept_is_ascii(self, client: httpx.AsyncClient, header: str, value: bytes) -> None:
        refused = await client.post(RUNS, json=run_body(), headers={header.encode(): value})
        assert [place.lower() for place in pointers(refused)] == [header.lower()]
        assert refused.json()["errors"][0]["detail"] == "must be printable ASCII characters"


class TestSize:
    def body(self, size: int) -> bytes:
        empty = b'{"workflow_name": "a", "workflow_version": "1", "inputs": "%s"}'
        return empty % (b"x" * (size - len(empty) + 2))

    async def chunks(self, body: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    async def test_one_mebibyte_is_taken(self, client: httpx.AsyncClient) -> None:
        body = self.body(MIB)
        assert len(body) == MIB
        assert (await client.post(RUNS, content=body, headers=JSON)).status_code == 201
        assert (await client.post(RUNS, content=self.chunks(body), headers=JSON)).status_code == 201

    @every_body
    async def test_one_byte_more_is_refused(self, client: httpx.AsyncClient, operation: Operation) -> None:
        body = self.body(MIB + 1)
        for content in (body, self.chunks(body)):
            response = await client.request(operation.method, operation.url, content=content, headers=JSON)
            assert response.status_code == 413
            assert code(response) == "payload-too-large"

    async def test_announced_length_is_enough_to_refuse(self, client: httpx.AsyncClient) -> None:
        headers = {**JSON, "Content-Length": str(MIB + 1)}
        response = await client.post(RUNS, content=self.chunks(b"{}"), headers=headers)
        assert response.status_code == 413


class TestIdempotencyKey:
    async def create(self, client: httpx.AsyncClient, key: str, **changes: Any) -> httpx.Response:
        return await client.post(RUNS, json=run_body(**changes), headers={"Idempotency-Key": key})

    async def test_repeat_is_answered_the_same(self, client: httpx.AsyncClient) -> None:
        first, again = await self.create(client, "a"), await self.create(client, "a")
        assert (first.status_code, again.status_code) == (201, 200)
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
        assert again.content == first.content
        assert {again.headers[name] == first.headers[name] for name in ("etag", "location")} == {True}
        assert await count_all(client) == 1

    async def test_repeat_is_answered_the_same_after_the_run_moved_on(self, client: httpx.AsyncClient) -> None:
        first = await self.create(client, "a")
        await client.patch(address(first.json()), json={"status": "completed"})
        assert (await self.create(client, "a")).content == first.content
        await client.delete(address(first.json()))
        assert (await self.create(client, "a")).content == first.content
        assert await count_all(client) == 0

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ('{"a": 1, "b": 2}', '{ "b": 2, "a": 1 }'),
            ('{"a": 1.0}', '{"a": 1}'),
            ('{"a": 1e2}', '{"a": 100}'),
            ('"\\u00e4"', '"ä"'),
            ('"\\/"', '"/"'),
        ],
    )
    async def test_equal_json_is_the_same_body(self, client: httpx.AsyncClient, one: str, other: str) -> None:
        body = '{"workflow_name": "a", "workflow_version": "1", "inputs": %s}'
        headers = {**JSON, "Idempotency-Key": "a"}
        assert (await client.post(RUNS, content=body % one, headers=headers)).status_code == 201
        assert (await client.post(RUNS, content=body % other, headers=headers)).status_code == 200

    @pytest.mark.parametrize(
        "inputs", [{"a": True}, {"a": "1"}, {"a": [1]}, {"a": 1, "b": None}, {"A": 1}, None, {}], ids=str
    )
    async def test_other_body_is_refused(self, client: httpx.AsyncClient, inputs: object) -> None:
        await self.create(client, "a", inputs={"a": 1})
        response = await self.create(client, "a", inputs=inputs)
        assert pointers(response) == ["Idempotency-Key"]
        assert code(response) == "idempotency-key-reused"
        assert await count_all(client) == 1

    async def test_member_left_out_is_another_body_than_its_default(self, client: httpx.AsyncClient) -> None:
        await self.create(client, "a")
        assert (await self.create(client, "a", queue="default")).status_code == 422

    async def test_other_address_is_another_request(self, client: httpx.AsyncClient) -> None:
        await self.create(client, "a")
        body = {"workflow_runs": [run_body()]}
        response = await client.post(f"{RUNS}/batch", json=body, headers={"Idempotency-Key": "a"})
        assert response.status_code == 201

    @pytest.mark.parametrize("refused", [{"workflow_name": "A"}, {"parent_workflow_run_id": str(UNKNOWN_ID)}], ids=str)
    async def test_refused_request_does_not_use_it_up(self, client: httpx.AsyncClient, refused: dict[str, str]) -> None:
        assert (await self.create(client, "a", **refused)).status_code == 422
        assert (await self.create(client, "a")).status_code == 201

    @pytest.mark.parametrize("key", ["a", "x" * 255, "a b", '"quoted"', "~!@#$%^&*()_+{}|:<>?,./"])
    async def test_any_text_of_255_characters_is_taken(self, client: httpx.AsyncClient, key: str) -> None:
        assert (await self.create(client, key)).status_code == 201
        assert (await self.create(client, key)).status_code == 200

    @pytest.mark.parametrize("key", ["", "x" * 256, "x" * 5000], ids=len)
    @pytest.mark.parametrize("operation", CREATING, ids=str)
    async def test_other_length_is_refused(self, client: httpx.AsyncClient, operation: Operation, key: str) -> None:
        body = run_body() if operation.path == RUNS else {"workflow_runs": [run_body()]}
        response = await client.request(operation.method, operation.url, json=body, headers={"Idempotency-Key": key})
        assert "Idempotency-Key" in pointers(response)

    def test_every_creating_operation_takes_it(self) -> None:
        creating = {op.path for op in OPERATIONS if op.method == "POST" and "201" in op.spec["responses"]}
        creating.discard("/v1/queues/{queue}/events/{event_name}")  # its name makes an event once already
        others = {op.spec["operationId"] for op in CREATING if op.path not in creating}
        assert creating <= {op.path for op in CREATING}
        assert others == {
            "claim_tasks",
            "complete_tasks",
            "create_bulk_operation",
            "ping_monitor",
            "retry_task",
            "retry_workflow_run",
        }
        assert {RUNS, f"{RUNS}/batch"} <= creating


class TestDocument:
    def test_every_operation_is_named_like_its_function(self) -> None:
        names = {(op.method, op.path): op.spec["operationId"] for op in OPERATIONS}
        expected = {
            ("POST", RUNS): "create_workflow_run",
            ("POST", f"{RUNS}/batch"): "create_workflow_runs",
            ("GET", RUNS): "list_workflow_runs",
            ("GET", f"{RUNS}/counts"): "count_workflow_runs",
            ("GET", f"{RUNS}/{{workflow_run_id}}"): "get_workflow_run",
            ("PATCH", f"{RUNS}/{{workflow_run_id}}"): "update_workflow_run_status",
            ("DELETE", f"{RUNS}/{{workflow_run_id}}"): "delete_workflow_run",
            ("POST", f"{RUNS}/{{workflow_run_id}}/heartbeat"): "heartbeat_workflow_run",
            ("GET", f"{RUNS}/{{workflow_run_id}}/history"): "list_workflow_run_history",
            ("GET", f"{RUNS}/{{workflow_run_id}}/wait"): "wait_for_workflow_run",
        }
        assert expected.items() <= names.items()
        assert len(set(names.values())) == len(names)

    def test_every_route_stands_behind_the_door(self, app: FastAPI) -> None:
        assert not [route for route in app.routes if not isinstance(route, Door)]
