"""The OpenAPI document as a product: what FastAPI writes, put right for readers and generators."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.api.door import Door
from app.api.problems import PROBLEM_JSON

OPENAPI_VERSION = "3.1.0"
_DESCRIPTION = """\
Milepost tracks workflow runs and hands out their tasks over plain HTTP.

Bodies are JSON; unknown members and parameters are refused (422). Times are RFC 3339, with an offset going in and in
UTC coming out. Every refusal is `application/problem+json` with a stable `code` that is explained at its `type`.
`Idempotency-Key` makes creating requests repeatable, `If-Match` makes changes conditional, and `X-Request-ID` is
returned, logged and kept in histories. Lists and single runs answer `Accept: text/plain` with a table for a terminal.
"""


def add_openapi(app: FastAPI) -> None:
    """Make ``app`` describe itself by the tuned document."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _tune(app, _write(app))
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]


def _write(app: FastAPI) -> dict[str, Any]:
    return get_openapi(
        title="Milepost",
        version=app.version,
        openapi_version=OPENAPI_VERSION,
        summary="Workflow runs and their tasks over plain HTTP",
        description=_DESCRIPTION,
        routes=app.routes,
        tags=[
            {"name": "workflow runs", "description": "One execution of a named, versioned workflow."},
            {"name": "operations", "description": "Health, version and metrics of the service itself."},
        ],
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        servers=[{"url": "/", "description": "The service that serves this document"}],
    )


def _tune(app: FastAPI, document: dict[str, Any]) -> dict[str, Any]:
    scopes = {route.name: route.scope for route in all_routes(app)}
    for operation in _operations(document):
        scope = scopes[operation["operationId"]]
        if scope is not None:
            operation["security"] = [{"api_key": []}]
            operation["description"] += f"\n\nNeeds the scope `{scope}`."
        else:
            operation["security"] = []
        _mark_problems(operation)
        _flatten_nullable(operation)
    components = document["components"]
    components["securitySchemes"] = {
        "api_key": {"type": "http", "scheme": "bearer", "description": "Made with `milepost keys create`."}
    }
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    _drop_titles(document)
    return document


def all_routes(app: FastAPI) -> Iterator[Door]:
    """Yield every route of ``app`` that stands behind the door, with what it was declared with."""
    for route in app.routes:
        if isinstance(route, Door):
            yield route


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from path.values()


def _mark_problems(operation: dict[str, Any]) -> None:
    """Say that refusals are problem details."""
    for status, response in operation["responses"].items():
        if int(status) >= 400 and "content" in response:  # noqa: PLR2004 - refusals
            response["content"] = {PROBLEM_JSON: next(iter(response["content"].values()))}


def _flatten_nullable(operation: dict[str, Any]) -> None:
    """Take null out of parameters and bodies that may be left out: there it cannot be sent, or says nothing."""
    holders = [*operation.get("parameters", [])]
    holders += operation.get("requestBody", {}).get("content", {}).values()
    for holder in holders:
        schema = holder.get("schema", {})
        kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
        if len(kinds) == 1:
            del schema["anyOf"]
            schema.update(kinds[0])


def _drop_titles(node: Any, *, named: bool = False) -> None:
    """Take out the titles that repeat a field's name; ``named``: the keys here are names of fields."""
    if isinstance(node, dict):
        if not named and isinstance(node.get("title"), str) and "type" in node | {"type": 0} and "info" not in node:
            node.pop("title")
        for key, value in node.items():
            if key not in ("info", "example", "examples", "default"):
                _drop_titles(value, named=key in ("properties", "schemas"))
    elif isinstance(node, list):
        for item in node:
            _drop_titles(item)
