"""Registering definitions over HTTP, and asking what would refuse them."""

import asyncio
import json
from collections import Counter
from typing import Any

import httpx
import pytest

from tests.definitions import LINEAR_YAML, WORKFLOWS, YAML, address, register, task, workflow
from tests.factories import JSON, code, pointers

MIB = 1_048_576
VALIDATE = f"{WORKFLOWS}/validate"
BROKEN = workflow(task("a", "nowhere"), task("b", on_failure_task_id="gone"))
"""A definition whose form is right and whose structure is not."""
NOT_YAML: dict[str, bytes] = {
    "unfinished list": b"name: [1",
    "tab": b"name:\n\t- a",
    "two documents": b"name: a\n---\nname: b\n",
    "key twice": b"name: a\nname: b\n",
    "tag": b"name: !!python/object:os.system a",
    "unknown alias": b"name: *a",
    "invalid UTF-8": b"name: \xff",
    "NUL": b"name: a\x00",
    "blank": b" \n",
    "aliases without end": b"a: &a [x, x, x, x, x, x, x, x, x]\n"
    + b"".join(b"%c: &%c [%s]\n" % (n + 1, n + 1, b", ".join([b"*%c" % n] * 9)) for n in range(97, 107)),
}


async def post_yaml(client: httpx.AsyncClient, text: str | bytes, path: str = WORKFLOWS) -> httpx.Response:
    return await client.post(path, content=text, headers=YAML)


class TestRegisterWorkflow:
    @pytest.mark.parametrize("media_type", ["application/yaml", "application/x-yaml", "Text/YAML; charset=utf-8"])
    async def test_yaml_is_registered(self, client: httpx.AsyncClient, media_type: str) -> None:
        response = await client.post(WORKFLOWS, content=LINEAR_YAML, headers={"Content-Type": media_type})
        assert response.status_code == 201
        assert response.headers["location"] == f"{WORKFLOWS}/linear/1.0.0"
        registered = response.json()
        assert (registered["workflow_name"], registered["workflow_version"]) == ("linear", "1.0.0")
        assert (registered["created_by"], registered["warnings"]) == ("anonymous", [])

    async def test_json_is_registered(self, client: httpx.AsyncClient) -> None:
        response = await client.post(WORKFLOWS, json=workflow(description="Loads"))
        assert response.status_code == 201
        assert response.json()["description"] == "Loads"

    async def test_same_content_again_is_known(self, client: httpx.AsyncClient) -> None:
        first = await register(client)
        response = await client.post(WORKFLOWS, json=workflow(description=None))
        assert (response.status_code, response.json()) == (200, first)
        assert response.headers["location"] == address(first)
        assert "idempotency-replayed" not in response.headers

    async def test_yaml_and_json_of_one_workflow_have_one_hash(self, client: httpx.AsyncClient) -> None:
        first = await post_yaml(client, LINEAR_YAML)
        document = (await client.get(address(first.json()))).json()["document"]
        response = await client.post(WORKFLOWS, content=json.dumps(document, indent=3, sort_keys=True), headers=JSON)
        assert (response.status_code, response.json()) == (200, first.json())

    async def test_other_content_is_refused_with_what_is_registered(self, client: httpx.AsyncClient) -> None:
        first = await register(client)
        response = await client.post(WORKFLOWS, json=workflow(description="other"))
        assert (response.status_code, code(response)) == (409, "workflow-exists")
        assert response.json()["current"] == first

    async def test_document_without_a_version_has_the_builder_s(self, client: httpx.AsyncClient) -> None:
        document = workflow()
        del document["version"]
        assert (await client.post(WORKFLOWS, json=document)).json()["workflow_version"] == "2.0.0"

    async def test_everything_that_is_wrong_is_told_at_once(self, client: httpx.AsyncClient) -> None:
        response = await client.post(WORKFLOWS, json=BROKEN)
        assert pointers(response) == ["/tasks/b/on_failure_task_id", "/tasks/a/dependencies/0"]
        assert [error["code"] for error in response.json()["errors"]] == ["missing_callback", "missing_dependency"]
        assert (await client.get(WORKFLOWS)).json()["items"] == []

    async def test_form_and_structure_are_told_together(self, client: httpx.AsyncClient) -> None:
        response = await client.post(WORKFLOWS, json={**BROKEN, "name": "No", "surprise": 1})
        assert {"/name", "/surprise", "/tasks/a/dependencies/0"} <= set(pointers(response))

    @pytest.mark.parametrize("document", [None, [], "text", 1, {}, {"tasks": None}, {"name": "a", "tasks": {"a": 1}}])
    async def test_what_is_no_workflow_is_refused(self, client: httpx.AsyncClient, document: Any) -> None:
        response = await client.post(WORKFLOWS, content=json.dumps(document), headers=JSON)
        assert (response.status_code, code(response)) == (422, "validation-failed")

    @pytest.mark.parametrize("version", ["latest", "diff"])
    async def test_version_that_addresses_use_is_refused(self, client: httpx.AsyncClient, version: str) -> None:
        response = await client.post(WORKFLOWS, json=workflow(version=version))
        assert pointers(response) == ["/version"]
        assert response.json()["errors"][0]["code"] == "bad_name"

    async def test_version_without_quotes_that_is_a_number_is_refused(self, client: httpx.AsyncClient) -> None:
        assert pointers(await post_yaml(client, LINEAR_YAML.replace("1.0.0", "2.0"))) == ["/version"]

    async def test_warnings_are_kept(self, client: httpx.AsyncClient) -> None:
        registered = await register(client, task("a", on_failure_task_id="a"))
        (warning,) = registered["warnings"]
        assert (warning["code"], warning["pointer"]) == ("self_callback", "/tasks/a/on_failure_task_id")
        assert warning["detail"]

    @pytest.mark.parametrize("name", ["validate", "simulate", "runs"])
    async def test_workflow_may_be_called_as_an_operation_is(self, client: httpx.AsyncClient, name: str) -> None:
        registered = await register(client, name=name)
        assert (await client.get(f"{WORKFLOWS}/{name}")).json()["latest"] == "1.0.0"
        assert (await client.get(address(registered))).json()["workflow_name"] == name


class TestBodies:
    @pytest.mark.parametrize("path", [WORKFLOWS, VALIDATE])
    @pytest.mark.parametrize("text", NOT_YAML.values(), ids=NOT_YAML)
    async def test_what_is_not_yaml_is_refused(self, client: httpx.AsyncClient, path: str, text: bytes) -> None:
        response = await post_yaml(client, text, path)
        assert (response.status_code, code(response)) == (400, "not-yaml")

    async def test_place_where_reading_stopped_is_told(self, client: httpx.AsyncClient) -> None:
        assert "line 2" in (await post_yaml(client, "name: a\ntasks: ]")).json()["detail"]

    @pytest.mark.parametrize("path", [WORKFLOWS, VALIDATE])
    async def test_name_that_stands_twice_in_json_is_refused(self, client: httpx.AsyncClient, path: str) -> None:
        response = await client.post(path, content='{"tasks": {"a": {}, "a": {}}}', headers=JSON)
        assert pointers(response) == ["/tasks/a"]
        assert "twice" in response.json()["detail"]

    @pytest.mark.parametrize("path", [WORKFLOWS, VALIDATE])
    @pytest.mark.parametrize("media_type", ["text/plain", "application/merge-patch+json", "application/x-yml", "yaml"])
    async def test_other_type_is_refused(self, client: httpx.AsyncClient, path: str, media_type: str) -> None:
        response = await client.post(path, content=LINEAR_YAML, headers={"Content-Type": media_type})
        assert (response.status_code, code(response)) == (415, "unsupported-media-type")
        assert "application/yaml" in response.json()["detail"]

    @pytest.mark.parametrize("path", [WORKFLOWS, VALIDATE])
    async def test_too_large_is_refused(self, client: httpx.AsyncClient, path: str) -> None:
        response = await post_yaml(client, LINEAR_YAML + "#" * MIB, path)
        assert (response.status_code, code(response)) == (413, "payload-too-large")

    @pytest.mark.parametrize("path", [WORKFLOWS, VALIDATE])
    async def test_missing_body_is_refused(self, client: httpx.AsyncClient, path: str) -> None:
        assert pointers(await client.post(path)) == [""]

    async def test_yaml_is_taken_by_no_other_operation(self, client: httpx.AsyncClient) -> None:
        assert (await post_yaml(client, "definition: {}", f"{WORKFLOWS}/simulate")).status_code == 415

    async def test_largest_document_is_read_beside_the_loop(self, client: httpx.AsyncClient) -> None:
        steps = [task(f"step_{n}", *[f"step_{n - 1}"] * (n > 0)) for n in range(7000)]
        text = json.dumps(workflow(*steps))
        assert 0.7 * MIB < len(text) < MIB
        registering = asyncio.create_task(post_yaml(client, text))
        turns = 0
        while not registering.done():
            assert (await client.get(WORKFLOWS)).status_code == 200
            turns += 1
        assert (await registering).status_code == 201
        assert turns > 10


class TestIdempotencyKey:
    async def test_repeat_is_answered_the_same(self, client: httpx.AsyncClient) -> None:
        headers = {**YAML, "Idempotency-Key": "k"}
        first, again = [await client.post(WORKFLOWS, content=LINEAR_YAML, headers=headers) for _ in range(2)]
        assert (first.status_code, again.status_code) == (201, 200)
        assert again.headers["idempotency-replayed"] == "true"
        assert (again.content, again.headers["location"]) == (first.content, first.headers["location"])

    async def test_yaml_and_json_of_one_document_are_the_same_body(self, client: httpx.AsyncClient) -> None:
        first = await client.post(WORKFLOWS, content="name: a\ntasks: {}", headers={**YAML, "Idempotency-Key": "k"})
        assert first.status_code == 422
        first = await client.post(WORKFLOWS, json=workflow(), headers={"Idempotency-Key": "k"})
        text = json.dumps(workflow())
        again = await client.post(WORKFLOWS, content=text, headers={**YAML, "Idempotency-Key": "k"})
        assert (first.status_code, again.status_code) == (201, 200)
        assert again.headers["idempotency-replayed"] == "true"

    async def test_key_with_another_document_is_refused(self, client: httpx.AsyncClient) -> None:
        await client.post(WORKFLOWS, json=workflow(), headers={"Idempotency-Key": "k"})
        response = await client.post(WORKFLOWS, json=workflow(version="2"), headers={"Idempotency-Key": "k"})
        assert (response.status_code, code(response)) == (422, "idempotency-key-reused")


class TestRaces:
    async def test_of_twenty_at_once_with_the_same_content_one_registers(self, client: httpx.AsyncClient) -> None:
        answers = await asyncio.gather(*(client.post(WORKFLOWS, json=workflow()) for _ in range(20)))
        assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 19}
        assert len({answer.content for answer in answers}) == 1

    async def test_of_twenty_at_once_with_other_content_one_registers(self, client: httpx.AsyncClient) -> None:
        documents = [workflow(description=str(n)) for n in range(20)]
        answers = await asyncio.gather(*(client.post(WORKFLOWS, json=document) for document in documents))
        assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 19}


class TestValidateWorkflow:
    async def validate(self, client: httpx.AsyncClient, document: Any) -> dict[str, Any]:
        response = await client.post(VALIDATE, content=json.dumps(document), headers=JSON)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    async def test_good_document_is_valid_and_shown(self, client: httpx.AsyncClient) -> None:
        found = await self.validate(client, workflow())
        assert (found["valid"], found["errors"], found["warnings"]) == (True, [], [])
        assert [node["id"] for node in found["graph"]["nodes"]] == ["extract", "load"]
        assert found["graph"]["edges"] == [{"from": "extract", "to": "load", "kind": "dependency", "label": None}]
        registered = await register(client)
        assert found["workflow_hash"] == registered["workflow_hash"]
        assert (found["workflow_name"], found["workflow_version"]) == ("linear", "1.0.0")

    async def test_nothing_is_stored(self, client: httpx.AsyncClient) -> None:
        await self.validate(client, workflow())
        assert (await client.get(WORKFLOWS)).json()["items"] == []

    async def test_wrong_document_is_answered_all_the_same(self, client: httpx.AsyncClient) -> None:
        found = await self.validate(client, BROKEN)
        assert (found["valid"], found["graph"]) == (False, None)
        assert {(error["code"], error["pointer"]) for error in found["errors"]} == {
            ("missing_dependency", "/tasks/a/dependencies/0"),
            ("missing_callback", "/tasks/b/on_failure_task_id"),
        }

    async def test_errors_are_those_of_a_registration(self, client: httpx.AsyncClient) -> None:
        refused = (await client.post(WORKFLOWS, json=BROKEN)).json()["errors"]
        assert (await self.validate(client, BROKEN))["errors"] == refused

    @pytest.mark.parametrize("document", [None, [], "text", 1, {"name": 1, "version": 2.0}])
    async def test_any_value_is_looked_at(self, client: httpx.AsyncClient, document: Any) -> None:
        found = await self.validate(client, document)
        assert not found["valid"]
        assert found["workflow_name"] is None

    async def test_yaml_is_taken(self, client: httpx.AsyncClient) -> None:
        assert (await post_yaml(client, LINEAR_YAML, VALIDATE)).json()["valid"]


class TestSchedule:
    async def test_schedule_of_a_definition_is_made_with_it(self, client: httpx.AsyncClient) -> None:
        await register(client, schedule="0 2 * * *", is_paused=True)
        (schedule,) = (await client.get("/v1/schedules")).json()["items"]
        assert (schedule["workflow_name"], schedule["cron"], schedule["paused"]) == ("linear", "0 2 * * *", True)

    async def test_same_content_again_makes_no_other(self, client: httpx.AsyncClient) -> None:
        await register(client, schedule="0 2 * * *")
        await client.post(WORKFLOWS, json=workflow(schedule="0 2 * * *"))
        assert len((await client.get("/v1/schedules")).json()["items"]) == 1

    async def test_it_goes_with_its_definition(self, client: httpx.AsyncClient) -> None:
        registered = await register(client, schedule="0 2 * * *")
        assert (await client.delete(address(registered))).status_code == 204
        assert (await client.get("/v1/schedules")).json()["items"] == []
