"""Examples for the OpenAPI document: those that schemas carry, and what follows from them."""

import inspect
from collections.abc import Mapping
from typing import Any

from app.errors import PROBLEMS

Schema = dict[str, Any]
PLACEHOLDER = "..."
"""Stands where a text has no example: a test finds it."""

_BY_FORMAT = {
    "uuid": "0197c2a4-5b1e-7c3d-9f00-6a1b2c3d4e5f",
    "date-time": "2026-01-31T02:00:00Z",
}
_BY_TYPE: Mapping[str, Any] = {"string": PLACEHOLDER, "integer": 1, "number": 1.5, "boolean": False, "object": {}}


def example_of(schema: Schema, schemas: Mapping[str, Schema]) -> Any:
    """Return what a value of ``schema`` looks like; ``schemas`` are the named ones it may refer to."""
    for given in ("examples", "enum"):
        if given in schema:
            return schema[given][0]
    if "default" in schema:
        return schema["default"]
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "anyOf" in schema:
        return None if {"type": "null"} in schema["anyOf"] else example_of(schema["anyOf"][0], schemas)
    if "properties" in schema:
        return {name: example_of(schema["properties"][name], schemas) for name in schema.get("required", ())}
    if schema.get("type") == "array":
        return [example_of(schema["items"], schemas)]
    return _BY_FORMAT.get(schema.get("format", "")) or _BY_TYPE.get(schema.get("type", ""))


def problem_example(code: str, schemas: Mapping[str, Schema]) -> dict[str, Any]:
    """Return what the refusal ``code`` looks like."""
    refusal = PROBLEMS[code]
    standard: dict[str, Any] = {
        "type": f"/problems/{code}",
        "title": refusal.title,
        "status": refusal.status,
        "detail": inspect.getdoc(refusal).splitlines()[0],  # type: ignore[union-attr]
        "code": code,
    }
    example: dict[str, Any] = example_of(schemas[refusal.body.__name__], schemas)
    return example | standard
