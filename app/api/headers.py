"""Headers in the OpenAPI document: which answers carry which, and what they mean."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.api.problems import PROBLEM_JSON

IDEMPOTENCY_KEY = "Idempotency-Key"
_TEXT = {"type": "string"}
_HEADERS: Mapping[str, dict[str, Any]] = {
    "X-Request-ID": {
        "description": "The request's id as it was sent, or one made here; the log and histories know it.",
        "required": True,
        "schema": _TEXT,
        "example": "0197c2a4-6d00-7a10-8000-1f2e3d4c5b6a",
    },
    "ETag": {
        "description": "The revision of the resource; send it as `If-Match` to change only what you have seen.",
        "required": True,
        "schema": _TEXT,
        "example": '"3"',
    },
    "Location": {
        "description": "The address of what was created.",
        "schema": {"type": "string", "format": "uri-reference"},
        "example": "/v1/workflow-runs/0197c2a4-5b1e-7c3d-9f00-6a1b2c3d4e5f",
    },
    "Link": {
        "description": "The address of the next page, as RFC 8288 writes it; absent on the last.",
        "schema": _TEXT,
        "example": '</v1/workflow-runs?status=failed&cursor=WyIyMDI2Il0>; rel="next"',
    },
    "Idempotency-Replayed": {
        "description": "`true`: this is the answer that the first request with this key got.",
        "schema": {"type": "string", "enum": ["true"]},
        "example": "true",
    },
    "Retry-After": {
        "description": "After how many seconds it makes sense to send the request again.",
        "schema": {"type": "integer", "minimum": 0},
        "example": 1,
    },
    "WWW-Authenticate": {
        "description": "How to authenticate: `Bearer`.",
        "required": True,
        "schema": _TEXT,
        "example": "Bearer",
    },
}


def takes_idempotency_key(spec: Mapping[str, Any]) -> bool:
    """Return whether an operation can be repeated safely with a key."""
    return any(parameter["name"] == IDEMPOTENCY_KEY for parameter in spec.get("parameters", []))


def add_headers(document: dict[str, Any], specs: Sequence[dict[str, Any]]) -> None:
    """Document which headers each answer carries; what they mean is written once."""
    used: set[str] = set()
    for spec in specs:
        for status, response in spec["responses"].items():
            names = set(_headers_of(document, spec, status))
            response["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in _HEADERS if name in names}
            used |= names
    document["components"]["headers"] = {name: header for name, header in _HEADERS.items() if name in used}


def _headers_of(document: dict[str, Any], spec: dict[str, Any], status: str) -> Iterator[str]:
    """Yield the names of the headers of one answer, as they follow from its status and from what it holds."""
    response = spec["responses"][status]
    members = _members(document, response)
    success = status.startswith("2")
    yield "X-Request-ID"
    if success and "revision" in members:
        yield "ETag"
    if success and "next_cursor" in members:
        yield "Link"
    replay = status == "200" and takes_idempotency_key(spec)
    if (status == "201" or (replay and "201" in spec["responses"])) and "items" not in members:
        yield "Location"
    if replay:
        yield "Idempotency-Replayed"
    if status in ("429", "503") and PROBLEM_JSON in response.get("content", {}):
        yield "Retry-After"
    if status == "401":
        yield "WWW-Authenticate"


def _members(document: dict[str, Any], response: dict[str, Any]) -> set[str]:
    """Return the names of the members that an answer always has."""
    names: set[str] = set()
    for media in response.get("content", {}).values():
        reference = media["schema"].get("$ref", "").rpartition("/")[2]
        names.update(document["components"]["schemas"].get(reference, {}).get("required", ()))
    return names
