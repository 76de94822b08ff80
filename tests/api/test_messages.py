"""What a 422 says: in the words of JSON and HTTP, with what is known, and never with what was sent."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi.dependencies.models import Dependant

from app.api.messages import _MESSAGES, explain
from app.api.openapi import all_routes
from app.errors import ERRORS_MOST
from milepost.schemas.wire import Body, _read_whole_number
from tests.api.test_conventions import SAMPLE, WITH_BODY, Operation
from tests.factories import QUEUES, RUNS, TASKS, UNKNOWN_ID, pointers, run_body, task_body

RAISED_BY: dict[str, set[str]] = {
    "model": {"model_type", "model_attributes_type"},
    "model-fields": {"missing", "extra_forbidden"},
    "model-field": set(),
    "default": set(),
    "nullable": set(),
    "any": set(),
    "missing-sentinel": set(),
    "definitions": set(),
    "definition-ref": set(),
    "function-before": {"value_error"},
    "function-after": {"value_error"},
    "function-wrap": {"value_error"},
    "no-info": set(),
    "tagged-union": set(),  # never reached: its wrapper chooses
    "datetime": set(),  # never wrong: what stands before it reads the text
    "str": {"string_type", "string_unicode"},
    "int": {"int_type", "int_parsing", "int_from_float", "int_parsing_size"},
    "float": {"float_type", "float_parsing"},
    "bool": {"bool_type", "bool_parsing"},
    "uuid": {"uuid_type", "uuid_parsing"},
    "enum": {"enum"},
    "literal": {"literal_error"},
    "list": {"list_type"},
    "dict": {"dict_type"},
}
RAISED_BY_BOUND = {
    "ge": {"greater_than_equal"},
    "gt": {"greater_than"},
    "le": {"less_than_equal"},
    "lt": {"less_than"},
    "pattern": {"string_pattern_mismatch"},
    "allow_inf_nan": {"finite_number"},
}
WRONG_VALUES = [True, 1.5, -1, 1e12, "x", "", " ", "é" * 20_000, [], [1], {}, {"x": 1}, None]
OF_PYTHON = re.compile(
    r"[Ii]nput\b|dictionar|pydantic|Python|valid |cannot be accepted|\b(int|str|bool|None|NoneType)\b"
)


def schemas_of(dependant: Dependant) -> Iterator[Any]:
    for fields in (dependant.path_params, dependant.query_params, dependant.header_params, dependant.body_params):
        yield from (field._type_adapter.core_schema for field in fields)
    for dependency in dependant.dependencies:
        yield from schemas_of(dependency)


def nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield every part of what pydantic validates by."""
    if isinstance(schema, dict):
        if isinstance(schema.get("type"), str):
            yield schema
        for key, member in schema.items():
            if key not in ("metadata", "serialization", "expected", "members", "json_schema_input_schema"):
                yield from nodes(member)
    elif isinstance(schema, list | tuple):
        for member in schema:
            yield from nodes(member)


def all_nodes() -> list[dict[str, Any]]:
    return [node for route in all_routes(SAMPLE) for schema in schemas_of(route.dependant) for node in nodes(schema)]


def texts(response: httpx.Response) -> list[str]:
    return [error["detail"] for error in response.json()["errors"]] if response.status_code == 422 else []


class TestMessages:
    def test_every_kind_of_error_that_can_occur_has_a_message(self) -> None:
        kinds: set[str] = set()
        for node in all_nodes():
            kinds |= RAISED_BY[node["type"]]
            kinds |= {
                kind for bound, raised in RAISED_BY_BOUND.items() if node.get(bound) is not None for kind in raised
            }
            if node["type"] in ("list", "dict"):
                kinds |= {"too_long", "too_short"} if {"max_length", "min_length"} & node.keys() else set()
            elif node["type"] == "str":
                kinds |= {"string_too_long", "string_too_short"}
        assert kinds - _MESSAGES.keys() == set()
        assert _MESSAGES.keys() - kinds <= {"less_than", "int_from_float"}

    @pytest.mark.parametrize(
        ("kind", "context", "message"),
        [
            ("too_short", {"min_length": 1}, "must not be empty"),
            ("too_short", {"min_length": 2}, "must have at least 2 items"),
            ("less_than_equal", {"le": 60.0}, "must be at most 60"),
            ("greater_than", {"gt": 0.5}, "must be more than 0.5"),
            ("literal_error", {"expected": "'exact'"}, "must be exact"),
            ("string_pattern_mismatch", {"pattern": "^x$"}, "must match the pattern ^x$"),
            ("of_another_version", None, "cannot be accepted"),
        ],
    )
    def test_it_says_what_would_do(self, kind: str, context: dict[str, Any] | None, message: str) -> None:
        assert explain(kind, context) == message

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"workflow_name": 1}, "must be a text"),
            (
                {"workflow_name": "A"},
                "must be lower-case letters, digits and single underscores, starting with a letter",
            ),
            ({"workflow_name": ""}, "must not be empty"),
            ({"created_by": "x" * 256}, "must be at most 255 characters long"),
            ({"tags": []}, "must be an object"),
            ({"tags": {"a": []}}, "must be a text, a number or a boolean"),
            ({"tasks": {}}, "must be an array"),
            ({"tasks": [3]}, "must be an object"),
            ({"tasks": [task_body(task_name=" ")]}, "must be more than blanks"),
            ({"tasks": [task_body(retry_strategy={"kind": "x"})]}, "must be one of none, fixed, exponential"),
            ({"tasks": [task_body(available_at="2026")]}, "must be an RFC 3339 time with an offset, such as"),
            ({"task_count": -1}, "must be at least 0"),
            ({"task_count": 1.5}, "must be an integer"),
            ({"deadline_seconds": "1"}, "must be a number"),
            ({"parent_workflow_run_id": "x"}, "must be a UUID"),
        ],
        ids=str,
    )
    async def test_it_names_the_types_of_json(
        self, client: httpx.AsyncClient, change: dict[str, Any], message: str
    ) -> None:
        (said,) = texts(await client.post(RUNS, json=run_body(**change)))
        assert said.startswith(message)

    @pytest.mark.parametrize("operation", WITH_BODY, ids=str)
    async def test_no_body_is_refused_in_words_of_the_program(
        self, client: httpx.AsyncClient, operation: Operation
    ) -> None:
        schema = operation.spec["requestBody"]["content"]["application/json"]["schema"]
        name = schema.get("$ref", "").rpartition("/")[2]
        members = SAMPLE.openapi()["components"]["schemas"].get(name, {}).get("properties", {})
        bodies: list[Any] = [*WRONG_VALUES, *({member: value} for member in members for value in WRONG_VALUES)]
        for body in bodies:
            answer = await client.request(operation.method, operation.url, json=body)
            for said in texts(answer) if operation.path not in ("/v1/workflows", "/v1/workflows/validate") else []:
                assert not OF_PYTHON.search(said), (body, said)
                assert "é" not in said

    @pytest.mark.parametrize("path", [RUNS, TASKS, QUEUES, "/v1/schedules", f"{RUNS}/{UNKNOWN_ID}/wait"])
    async def test_no_parameter_is_refused_in_words_of_the_program(self, client: httpx.AsyncClient, path: str) -> None:
        parameters = SAMPLE.openapi()["paths"][path.replace(str(UNKNOWN_ID), "{workflow_run_id}")]["get"]["parameters"]
        for name in {parameter["name"] for parameter in parameters if parameter["in"] == "query"}:
            for value in ("", "x!", "-1", "1e99", "é" * 600):
                for said in texts(await client.get(path, params={name: value})):
                    assert not OF_PYTHON.search(said), (name, said)
                    assert "é" not in said

    async def test_at_most_a_hundred_places_are_named(self, client: httpx.AsyncClient) -> None:
        many = {f"nonsense_{number}": 1 for number in range(1000)}
        assert len(pointers(await client.post(RUNS, json=run_body(**many)))) == ERRORS_MOST
        assert len(pointers(await client.get(RUNS, params=many))) == ERRORS_MOST


class TestKnownNames:
    @pytest.mark.parametrize(
        ("body", "pointer", "said"),
        [
            (
                {"workflow_nam": "x"},
                "/workflow_nam",
                "did you mean workflow_name? known are: workflow_name, workflow_v",
            ),
            ({"zzz": "x"}, "/zzz", "is not known here; known are: workflow_name, workflow_version, inputs"),
            ({"tasks": [task_body(param={})]}, "/tasks/0/param", "did you mean params? known are: task_name, params"),
            (
                {"tasks": [task_body(retry_strategy={"kind": "fixed", "base": 1})]},
                "/tasks/0/retry_strategy/base",
                "known are: kind, base_seconds, factor, max_seconds, jitter",
            ),
            ({"x" * 1000: 1}, "/" + "x" * 1000, "is not known here; known are: workflow_name"),
        ],
        ids=["near", "none near", "in a list", "below", "long"],
    )
    async def test_unknown_member_is_answered_with_those_that_are_known(
        self, client: httpx.AsyncClient, body: dict[str, Any], pointer: str, said: str
    ) -> None:
        refused = await client.post(RUNS, json=run_body(**body))
        assert pointers(refused) == [pointer]
        assert said in texts(refused)[0]

    async def test_kind_of_an_action_decides_what_is_known(self, client: httpx.AsyncClient) -> None:
        steps = [{"do": "fail", "task": "a", "results": 1}]
        refused = await client.post("/v1/workflows/simulate", json={"definition": {}, "steps": steps})
        assert "/steps/0/results" in pointers(refused)
        assert "is not known here; known are: do, task, error, retryable" in texts(refused)

    async def test_call_without_members_says_so(self, client: httpx.AsyncClient) -> None:
        refused = await client.post(f"{RUNS}/{UNKNOWN_ID}/pause", json={"x": 1})
        assert texts(refused) == ["is not known here; none is known"]

    async def test_unknown_parameter_is_answered_with_those_that_are_known(self, client: httpx.AsyncClient) -> None:
        (said,) = texts(await client.get(f"{QUEUES}?limt=1"))
        assert said == "is not a parameter of this operation; did you mean limit? known are: cursor, limit"


class TestWholeNumbers:
    @pytest.mark.parametrize(("sent", "kept"), [("201.0", 201), ("2.01e2", 201), ("-0.0", 0), ("201", 201)])
    async def test_integral_number_is_an_integer(self, client: httpx.AsyncClient, sent: str, kept: int) -> None:
        body = '{"workflow_name": "a", "workflow_version": "1", "task_count": %s}' % sent  # noqa: UP031
        created = await client.post(RUNS, content=body, headers={"Content-Type": "application/json"})
        assert created.status_code == 201
        assert '"task_count":' + str(kept) + "," in created.text

    @pytest.mark.parametrize("sent", [201.5, "201", True, [201], 1e300], ids=str)
    async def test_anything_else_is_not(self, client: httpx.AsyncClient, sent: Any) -> None:
        assert pointers(await client.post(RUNS, json=run_body(task_count=sent))) == ["/task_count"]

    def test_every_integer_in_a_body_takes_one(self) -> None:
        bodies = [node for node in all_nodes() if node["type"] == "model" and issubclass(node["cls"], Body)]
        integers, readers = 0, 0
        for body in bodies:
            for node in nodes(body):
                reads = node["type"] == "function-before" and node["function"]["function"] is _read_whole_number
                readers += reads
                integers += node["type"] == "int"
        assert 0 < integers == readers
