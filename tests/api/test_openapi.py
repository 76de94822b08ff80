"""The OpenAPI document keeps what generators and readers need, for every operation that there is."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

import httpx
import jsonschema_rs
import pytest

from app.api.examples import PLACEHOLDER
from app.api.openapi import all_routes
from app.main import create_app
from app.settings import Settings
from milepost.schemas.wire import Answer
from tests.conftest import make_client
from tests.replicas import running_app

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "docs" / "openapi.json"
PROBLEM_JSON = "application/problem+json"
Json = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> Json:
    """Return the document as the application describes itself."""
    described: Json = create_app(Settings()).openapi()
    return described


def operations(document: Json) -> Iterator[tuple[str, Json]]:
    """Yield the method and the description of every operation."""
    for item in document["paths"].values():
        yield from item.items()


def answers(document: Json) -> Iterator[tuple[str, str, Json]]:
    """Yield the operation, status and description of every answer."""
    for _, spec in operations(document):
        for status, response in spec["responses"].items():
            yield spec["operationId"], status, response


def media(document: Json) -> Iterator[Json]:
    """Yield every body that is sent, in either direction."""
    for _, spec in operations(document):
        yield from spec.get("requestBody", {}).get("content", {}).values()
    for _, _, response in answers(document):
        yield from response.get("content", {}).values()


def parameters(document: Json) -> Iterator[Json]:
    """Yield every parameter of every operation."""
    for _, spec in operations(document):
        yield from spec.get("parameters", [])


def is_left_out(model: type[Answer], name: str) -> bool:
    """Return whether a member of an answer is not always sent."""
    return model.model_fields[name].exclude_if is not None


def nodes(node: Any) -> Iterator[Json]:
    """Yield every object of a document, examples left out."""
    if isinstance(node, dict):
        yield node
        for name, value in node.items():
            if name not in ("example", "examples"):
                yield from nodes(value)
    elif isinstance(node, list):
        for value in node:
            yield from nodes(value)


def examples(document: Json, body: Json) -> list[Any]:
    """Return the examples of one body."""
    given = [body["example"]] if "example" in body else []
    for example in body.get("examples", {}).values():
        name = example.get("$ref", "").rpartition("/")[2]
        given.append(document["components"]["examples"][name]["value"] if name else example["value"])
    return given


class TestDocumentFile:
    def test_committed_document_is_what_the_command_prints(self) -> None:
        command = [sys.executable, "-m", "app", "openapi"]
        environment = os.environ | {"MILEPOST_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nowhere"}
        printed = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
        assert printed == COMMITTED.read_text(), "run: milepost openapi > docs/openapi.json"

    def test_served_document_is_the_committed_one(self, document: Json) -> None:
        assert document == json.loads(COMMITTED.read_text())

    def test_version_is_one_that_generators_read(self, document: Json) -> None:
        assert document["openapi"] == "3.1.0"
        assert not any("itemSchema" in node for node in nodes(document))
        assert "webhooks" not in document

    async def test_docs_page_shows_the_served_document(self, client: httpx.AsyncClient) -> None:
        page = await client.get("/docs")
        assert page.status_code == 200
        assert "/openapi.json" in page.text
        assert (await client.get("/openapi.json")).status_code == 200

    async def test_document_is_written_once_and_holds_nobody_up(self, new_database: Any) -> None:
        async with running_app(new_database()) as app, make_client(app) as client:
            really_make, threads = app.openapi, []

            def make() -> dict[str, Any]:
                threads.append(current_thread())
                return really_make()

            app.openapi = make  # type: ignore[method-assign]
            answers = await asyncio.gather(*(client.get("/openapi.json") for _ in range(5)))
        assert {answer.content for answer in answers} == {answers[0].content}
        assert answers[0].json() == json.loads(COMMITTED.read_text())
        assert len(threads) == 1
        assert threads[0] is not main_thread()


class TestOperations:
    def test_every_public_route_is_described_under_the_name_of_its_function(self, document: Json) -> None:
        routes = {route.endpoint.__name__ for route in all_routes(create_app(Settings())) if route.include_in_schema}
        assert {spec["operationId"] for _, spec in operations(document)} == routes

    def test_every_operation_has_exactly_one_described_tag(self, document: Json) -> None:
        described = {tag["name"] for tag in document["tags"] if tag["description"]}
        for _, spec in operations(document):
            assert len(spec["tags"]) == 1
            assert set(spec["tags"]) <= described

    def test_summaries_are_sentences_of_people(self, document: Json) -> None:
        for _, spec in operations(document):
            assert 2 <= len(spec["summary"].split()) <= 20, spec["summary"]
            assert spec["summary"] != spec["operationId"].replace("_", " ").title()
            assert " ".join(spec["description"].split()).startswith(spec["summary"])

    def test_needed_scope_is_told(self, document: Json) -> None:
        for _, spec in operations(document):
            assert bool(spec["security"]) == ("Needs the scope" in spec["description"])

    def test_patch_takes_a_merge_patch(self, document: Json) -> None:
        bodies = [spec["requestBody"]["content"] for method, spec in operations(document) if method == "patch"]
        assert bodies
        assert all(list(body) == ["application/merge-patch+json"] for body in bodies)


class TestParameters:
    def test_every_parameter_is_described(self, document: Json) -> None:
        assert [parameter["name"] for parameter in parameters(document) if not parameter.get("description")] == []

    def test_no_parameter_can_be_null(self, document: Json) -> None:
        assert not [parameter["name"] for parameter in parameters(document) if "null" in str(parameter["schema"])]

    def test_headers_are_spelt_as_everybody_does(self, document: Json) -> None:
        headers = {parameter["name"] for parameter in parameters(document) if parameter["in"] == "header"}
        assert {"Idempotency-Key", "If-Match"} <= headers
        assert all(re.fullmatch(r"[A-Z][a-z]+(-[A-Z][a-z]+)*", name) for name in headers)


class TestSchemas:
    def test_no_title_repeats_a_name(self, document: Json) -> None:
        titled = [node for node in nodes(document["components"]["schemas"]) if isinstance(node.get("title"), str)]
        assert titled == []

    def test_whole_bounds_are_whole_numbers(self, document: Json) -> None:
        bounds = [node.get(name) for node in nodes(document) for name in ("minimum", "maximum", "exclusiveMinimum")]
        assert [bound for bound in bounds if isinstance(bound, float) and bound.is_integer()] == []

    def test_members_of_answers_are_always_there_unless_left_out_on_purpose(self, document: Json) -> None:
        left_out = {
            name for model in Answer.__subclasses__() for name in model.model_fields if is_left_out(model, name)
        }
        for name, schema in document["components"]["schemas"].items():
            if schema.get("type") == "object" and schema.get("additionalProperties") is None:
                assert set(schema["properties"]) - set(schema.get("required", ())) <= left_out, name

    def test_objects_with_free_keys_are_named_once(self, document: Json) -> None:
        free = [
            f"{name}.{member}"
            for name, schema in document["components"]["schemas"].items()
            for member, inner in schema.get("properties", {}).items()
            if any(node.get("additionalProperties") for node in nodes(inner))
        ]
        assert free == []

    def test_every_schema_is_used_and_described(self, document: Json) -> None:
        text = json.dumps(document)
        for name, schema in document["components"]["schemas"].items():
            assert f'"#/components/schemas/{name}"' in text
            assert schema.get("description"), name
        assert "HTTPValidationError" not in document["components"]["schemas"]

    def test_values_that_are_no_identifiers_have_names_for_generated_code(self, document: Json) -> None:
        order = document["components"]["schemas"]["RunOrder"]
        names = dict(zip(order["enum"], order["x-enum-varnames"], strict=True))
        assert names["-created_at"] == "CREATED_AT_DESCENDING"


class TestExamples:
    def test_every_body_has_an_example(self, document: Json) -> None:
        assert all(examples(document, body) for body in media(document))

    def test_every_example_is_valid(self, document: Json) -> None:
        for body in media(document):
            schema = {**body["schema"], "components": document["components"]}
            validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
            for example in examples(document, body):
                validator.validate(example)

    def test_no_example_has_a_gap(self, document: Json) -> None:
        for body in media(document):
            assert f'"{PLACEHOLDER}"' not in json.dumps(examples(document, body)), body["schema"]

    def test_conflicts_show_the_resource_as_it_stands(self, document: Json) -> None:
        conflict = document["paths"]["/v1/workflow-runs/{workflow_run_id}"]["patch"]["responses"]["409"]
        shown = examples(document, conflict["content"][PROBLEM_JSON])[0]
        assert shown["current"]["status"] == "completed"
        assert shown["code"] == "move-not-allowed"


class TestAnswers:
    def test_refusals_are_problems(self, document: Json) -> None:
        for operation, status, response in answers(document):
            if status.startswith("4"):
                reference = response["content"][PROBLEM_JSON]["schema"]["$ref"]
                assert reference.endswith("Problem"), (operation, status)
                assert list(response["content"]) == [PROBLEM_JSON], (operation, status)

    def test_every_operation_documents_what_can_go_wrong_at_the_door(self, document: Json) -> None:
        for _, spec in operations(document):
            expected = {"422", "503"}
            expected |= {"401", "403"} if spec["security"] else set()
            expected |= {"400", "413", "415"} if "requestBody" in spec else set()
            assert expected <= set(spec["responses"])
            assert "default" not in spec["responses"]

    def test_replay_of_a_creation_is_documented_with_the_same_schema(self, document: Json) -> None:
        keyed = [
            spec for _, spec in operations(document) if "Idempotency-Key" in json.dumps(spec.get("parameters", []))
        ]
        creating = [spec["responses"] for spec in keyed if "201" in spec["responses"]]
        assert creating
        for responses in creating:
            assert responses["200"]["content"] == responses["201"]["content"]
            assert "Idempotency-Replayed" in responses["200"]["headers"]

    def test_no_answer_is_described_by_nothing(self, document: Json) -> None:
        assert not [
            operation for operation, _, response in answers(document) if "Successful" in response["description"]
        ]


class TestHeaders:
    def test_every_answer_carries_the_id_of_its_request(self, document: Json) -> None:
        assert all("X-Request-ID" in response["headers"] for _, _, response in answers(document))

    @pytest.mark.parametrize(
        ("operation", "status", "header"),
        [
            ("create_workflow_run", "201", "Location"),
            ("create_workflow_run", "201", "ETag"),
            ("create_workflow_run", "200", "Idempotency-Replayed"),
            ("get_workflow_run", "200", "ETag"),
            ("update_workflow_run_status", "200", "ETag"),
            ("list_workflow_runs", "200", "Link"),
            ("list_workflow_runs", "401", "WWW-Authenticate"),
            ("list_workflow_runs", "503", "Retry-After"),
        ],
    )
    def test_header_is_documented(self, document: Json, operation: str, status: str, header: str) -> None:
        documented = {(name, at): response["headers"] for name, at, response in answers(document)}
        assert header in documented[operation, status]

    def test_allow_is_explained(self, document: Json) -> None:
        assert "405" in document["info"]["description"]
        assert "`Allow`" in document["info"]["description"]


class TestAddresses:
    async def test_address_that_is_spelt_out_is_no_id(self, client: httpx.AsyncClient) -> None:
        answer = await client.patch("/v1/workflow-runs/batch", json={})
        assert answer.status_code == 405
        assert answer.headers["allow"] == "POST"
