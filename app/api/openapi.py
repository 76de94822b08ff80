"""The OpenAPI document as a product: what FastAPI writes, put right for readers and generators."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.api.door import Door
from app.api.examples import Schema, example_of, problem_example
from app.api.headers import add_headers, takes_idempotency_key
from app.api.problems import PROBLEM_JSON, header_name

OPENAPI_VERSION = "3.1.0"
_DESCRIPTION = """\
Milepost tracks workflow runs and hands out their tasks over plain HTTP.

Bodies are JSON; unknown members and parameters are refused (422). Times are RFC 3339, with an offset going in and in
UTC coming out. Every refusal is `application/problem+json` with a stable `code` that is explained at its `type`.
HEAD is answered wherever GET is, with the same headers and without a body; one that would wait answers at once.
An address that does not take a method answers 405 and lists in `Allow` those that it takes.
`Idempotency-Key` makes creating requests repeatable, `If-Match` makes changes conditional, and `X-Request-ID` is
returned, logged and kept in histories. Lists and single runs answer `Accept: text/plain` with a table for a terminal.
"""
_TAGS: Mapping[str, str] = {
    "workflow runs": "Executed runs over HTTP: their steps and warnings, and what only they can do: pause, resume,"
    " be done again.",
    "workflows": "Workflows over HTTP: definitions that are registered, looked at, compared and simulated.",
    "schedules": "Schedules over HTTP: rules that create runs of registered definitions at given times.",
    "monitors": "Monitors over HTTP: when runs of a workflow should come, and what to do when they do not.",
    "tasks": "Tasks over HTTP: units of work on queues, as those see them who want them done.",
    "bulk operations": "Bulk operations over HTTP: one verb for all runs or tasks that match a filter.",
    "worker calls": "Worker calls over HTTP: what the holder of a lease says about its task.",
    "queues": "Queues over HTTP: claiming from them, their limits, and the events on them.",
    "changes": "The change feed over HTTP: every committed change in its place, in parts or as a stream.",
    "operations": "Health, version and metrics of the service over HTTP.",
}
_MERGE_PATCH = "application/merge-patch+json"
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_FASTAPI_SAYS_NOTHING = "Successful Response"


class Operation(NamedTuple):
    """One operation of the document, and the route it describes."""

    path: str
    method: str
    spec: dict[str, Any]
    route: Door


def add_openapi(app: FastAPI) -> None:
    """Make ``app`` describe itself by the tuned document."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _tune(app, _write(app))
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]


def all_routes(app: FastAPI) -> Iterator[Door]:
    """Yield every route of ``app`` that stands behind the door, with what it was declared with."""
    for route in app.routes:
        if isinstance(route, Door):
            yield route


def _write(app: FastAPI) -> dict[str, Any]:
    return get_openapi(
        title="Milepost",
        version=app.version,
        openapi_version=OPENAPI_VERSION,
        summary="Workflow runs and their tasks over plain HTTP",
        description=_DESCRIPTION,
        routes=app.routes,
        tags=[{"name": name, "description": description} for name, description in _TAGS.items()],
        contact={"name": "The maintainers of Milepost"},
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        servers=[{"url": "/", "description": "The service that serves this document"}],
    )


def _tune(app: FastAPI, document: dict[str, Any]) -> dict[str, Any]:
    document["components"]["securitySchemes"] = {
        "api_key": {"type": "http", "scheme": "bearer", "description": "Made with `milepost keys create`."}
    }
    operations = list(_operations(app, document))
    for operation in operations:
        _write_words(operation)
        _write_parameters(operation)
        _write_body(operation)
        _write_responses(operation.spec, document["components"]["schemas"])
    _drop_unreferenced(document)
    for schema in _schemas(document):
        _write_schema(schema)
    _add_examples(document, operations)
    add_headers(document, [operation.spec for operation in operations])
    return document


def _operations(app: FastAPI, document: dict[str, Any]) -> Iterator[Operation]:
    routes = {route.name: route for route in all_routes(app)}
    for path, item in document["paths"].items():
        for method, spec in item.items():
            yield Operation(path, method, spec, routes[spec["operationId"]])


def _write_words(operation: Operation) -> None:
    """Take the summary from the beginning of the docstring, and say which scope is needed."""
    spec, scope = operation.spec, operation.route.scope
    spec["summary"] = re.split(r"[;:.](?:\s|$)", " ".join(spec["description"].split()), maxsplit=1)[0]
    spec["security"] = [] if scope is None else [{"api_key": []}]
    if scope is not None:
        scopes = " or ".join(f"`{each}`" for each in (scope, *operation.route.other_scopes))
        spec["description"] += f"\n\nNeeds the scope {scopes}."


def _write_parameters(operation: Operation) -> None:
    """Spell headers as everybody does, describe each parameter once, and take out null, which cannot be sent."""
    for parameter in operation.spec.get("parameters", []):
        schema = parameter["schema"]
        _drop_null(schema)
        schema.pop("description", None)
        if parameter["in"] == "header":
            parameter["name"] = header_name(parameter["name"])
        if parameter["in"] == "path":
            parameter.setdefault("description", _describe_path_parameter(operation.path, parameter["name"]))


def _describe_path_parameter(path: str, name: str) -> str:
    """Return what a part of an address names: `/tasks/{task_id}` the id of the task."""
    plural = path.partition(f"/{{{name}}}")[0].rpartition("/")[2]
    return f"{'Id' if name.endswith('_id') else 'Name'} of the {plural.removesuffix('s').replace('-', ' ')}."


def _write_body(operation: Operation) -> None:
    """Announce a PATCH as a merge patch, and take null out of a body that may be left out: it says nothing."""
    content = operation.spec.get("requestBody", {}).get("content", {})
    for media in content.values():
        _drop_null(media["schema"])
    if operation.method == "patch":
        content[_MERGE_PATCH] = content.pop("application/json")


def _drop_null(schema: Schema) -> None:
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) == 1:
        del schema["anyOf"]
        schema.update(kinds[0])


def _write_responses(spec: dict[str, Any], schemas: dict[str, Schema]) -> None:
    """Describe every answer, that to a repeat too, in the order of the statuses."""
    responses = spec["responses"]
    for response in responses.values():
        _describe(response, schemas)
    if takes_idempotency_key(spec) and "201" in responses:
        replay = {"description": "The same request was sent before; this is what it was answered."}
        responses.setdefault("200", {**responses["201"], **replay})
    spec["responses"] = {status: responses[status] for status in sorted(responses)}


def _describe(response: dict[str, Any], schemas: dict[str, Schema]) -> None:
    """Describe an answer by what it holds, and send refusals as problem details."""
    content = response.get("content", {})
    if PROBLEM_JSON in content:
        response["content"] = {PROBLEM_JSON: {key: value for media in content.values() for key, value in media.items()}}
    for media in content.values():
        if media.pop("itemSchema", None):
            media["schema"] = {"type": "string"}
    if response["description"] == _FASTAPI_SAYS_NOTHING:
        names = [media["schema"].get("$ref", "").rpartition("/")[2] for media in content.values()]
        described = [schemas[name]["description"] for name in names if name]
        response["description"] = described[0] if described else "Done."


def _drop_unreferenced(document: dict[str, Any]) -> None:
    """Keep only the schemas that operations refer to, through others too."""
    schemas = document["components"]["schemas"]
    used: set[str] = set()
    found = _references(document["paths"])
    while found:
        used |= found
        found = _references([schemas[name] for name in found]) - used
    document["components"]["schemas"] = {name: schema for name, schema in schemas.items() if name in used}


def _references(node: Any) -> set[str]:
    """Return the names of the schemas that ``node`` refers to."""
    if isinstance(node, dict):
        here = {node["$ref"].rpartition("/")[2]} if isinstance(node.get("$ref"), str) else set()
        return here.union(*map(_references, node.values()))
    return set().union(*map(_references, node)) if isinstance(node, list) else set()


def _schemas(document: dict[str, Any]) -> Iterator[Schema]:
    """Yield every schema of the document, those inside of others too."""
    specs = [spec for item in document["paths"].values() for spec in item.values()]
    holders = [parameter for spec in specs for parameter in spec.get("parameters", [])]
    holders += [media for spec in specs for _, media in _media(spec)]
    left = [*document["components"]["schemas"].values(), *(holder["schema"] for holder in holders)]
    while left:
        schema = left.pop()
        yield schema
        left += schema.get("properties", {}).values()
        left += [part for key in ("anyOf", "oneOf", "allOf", "prefixItems") for part in schema.get(key, [])]
        inner = (schema.get(key) for key in ("items", "additionalProperties", "propertyNames"))
        left += [part for part in inner if isinstance(part, dict)]


def _write_schema(schema: Schema) -> None:
    """Take out the title, which repeats the name, write bounds as whole numbers, and complete what is half said."""
    schema.pop("title", None)
    if not all(str(text).isidentifier() for text in schema.get("enum", ())):
        schema["x-enum-varnames"] = [_variable_name(text) for text in schema["enum"]]
    if "examples" in schema and "properties" in schema:
        # FastAPI drops every null from the document, those of examples too.
        schema["examples"] = [dict.fromkeys(schema.get("required", ())) | example for example in schema["examples"]]
    for bound in _BOUNDS:
        if isinstance(value := schema.get(bound), float) and value.is_integer():
            schema[bound] = int(value)


def _variable_name(text: str) -> str:
    """Return what generated code calls one of several texts: `-created_at` is CREATED_AT_DESCENDING."""
    ascending = text.removeprefix("-")
    return re.sub(r"\W+", "_and_", ascending if text == ascending else f"{ascending}_descending").upper()


def _add_examples(document: dict[str, Any], operations: list[Operation]) -> None:
    """Give every body an example: answers first, because refusals show the resource they are about."""
    schemas = document["components"]["schemas"]
    for media_type, media in (found for operation in operations for found in _media(operation.spec)):
        if media_type != PROBLEM_JSON and "examples" not in media:
            media.setdefault("example", example_of(media["schema"], schemas))
    shared: dict[str, Any] = {}
    for operation in operations:
        for media_type, media in _media(operation.spec):
            if media_type == PROBLEM_JSON:
                _add_problem_examples(document, operation.path, media["examples"], shared)
    document["components"]["examples"] = dict(sorted(shared.items()))


def _media(spec: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what an operation takes and answers, each with its media type."""
    for message in (spec.get("requestBody", {}), *spec["responses"].values()):
        yield from message.get("content", {}).items()


def _add_problem_examples(
    document: dict[str, Any], path: str, examples: dict[str, Any], shared: dict[str, Any]
) -> None:
    """Fill in ``examples``, by code; what is not about a resource is written once, to ``shared``."""
    for code, example in examples.items():
        value = problem_example(code, document["components"]["schemas"])
        if "current" in value:
            example["value"] = value | {"current": _resource_example(document, path)}
        else:
            shared[code] = {**example, "value": value}
            examples[code] = {"$ref": f"#/components/examples/{code}"}


def _resource_example(document: dict[str, Any], path: str) -> Any:
    """Return the example of the resource that an address is, or lies below of; None where there is none."""
    while path:
        answer = document["paths"].get(path, {}).get("get", {}).get("responses", {}).get("200", {})
        if path.endswith("}") and (media := answer.get("content", {}).get("application/json")):
            return media["example"]
        path = path.rpartition("/")[0]
    return None
