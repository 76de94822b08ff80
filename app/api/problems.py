"""Refusals as HTTP: problem details, and their place in the OpenAPI document."""

from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import quote

from fastapi._compat import ModelField
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import Response

from app.api.known_names import describe_known, known_members
from app.api.messages import explain
from app.db.failures import explain_failure
from app.db.outages import describe_failure
from app.domain.json_texts import write_json
from app.domain.json_values import escape_pointer
from app.errors import ERRORS_MOST, MethodNotAllowed, NotFound, Refusal
from milepost.schemas.problems import FieldError

PROBLEM_JSON = "application/problem+json"


def problems(*refusals: type[Refusal]) -> dict[int | str, dict[str, Any]]:
    """Return the responses of ``refusals`` for a route's documentation, those of one status together."""
    responses: dict[int | str, dict[str, Any]] = {}
    for refusal in refusals:
        text = f"`{refusal.code}`: {refusal.title}."
        examples = {refusal.code: {"summary": refusal.title}}
        if before := responses.get(refusal.status):
            text = f"{before['description']} {text}"
            examples = before["content"][PROBLEM_JSON]["examples"] | examples
        content = {PROBLEM_JSON: {"examples": examples}}
        responses[refusal.status] = {"model": refusal.body, "description": text, "content": content}
    return responses


def answer_problem(request: Request, refusal: Refusal) -> Response:
    """Return ``refusal`` as problem details."""
    problem = refusal.body.model_construct(
        type=f"/problems/{refusal.code}",
        title=refusal.title,
        status=refusal.status,
        detail=refusal.detail,
        instance=_instance(request),
        code=refusal.code,
        request_id=request.scope.get("request_id", ""),
        **refusal.members(),
    )
    return Response(write_json(problem), refusal.status, refusal.headers, PROBLEM_JSON)


def _instance(request: Request) -> str:
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    return quote(raw.partition(b"?")[0], safe="/%:@!$&'()*+,;=~-._")


def explain_failure_of(request: Request, failure: Exception) -> Refusal | None:
    """Return what is answered to a request that failed; None where the error is ours."""
    if isinstance(failure, Refusal):
        return failure
    if isinstance(failure, SQLAlchemyError | OSError) and (refusal := explain_failure(failure)):
        request.scope["failure"] = describe_failure(failure)
        return refusal
    return None


def explain_invalid(errors: Sequence[dict[str, Any]], field: ModelField | None, body: Any) -> list[FieldError]:
    """Return the places that pydantic found in the parameters and the body of a request."""
    body_type = field.field_info.annotation if field else None
    return [_field_error(found, body_type, body) for found in errors[:ERRORS_MOST]]


def _field_error(found: dict[str, Any], body_type: Any, body: Any) -> FieldError:
    """Return the place that pydantic found, without what was sent."""
    where, *path = found["loc"]
    detail = explain(found["type"], found.get("ctx"))
    if where == "body":
        pointer = "".join(f"/{escape_pointer(part)}" for part in path)
    else:
        pointer = str(path[0] if path else where).lower() if where != "header" else header_name(str(path[0]))
    if where == "body" and found["type"] == "extra_forbidden":
        known = known_members(body_type, body, path[:-1])
        detail += "" if known is None else f"; {describe_known(str(path[-1]), known)}"
    return FieldError(pointer=pointer, detail=detail)


def header_name(name: str) -> str:
    """Return the usual spelling of a header's name: `if-match` is `If-Match`."""
    return "-".join(word.capitalize() for word in name.replace("_", "-").split("-"))


def nothing_here(methods: Collection[str]) -> Refusal:
    """Return why an address is not served: it takes other ``methods``, or there is nothing."""
    if not methods:
        return NotFound("there is nothing at this address; GET / lists what there is")
    taken = ", ".join(sorted({*methods, "HEAD"} if "GET" in methods else methods))
    return MethodNotAllowed(f"this address takes {taken}", headers={"Allow": taken})
