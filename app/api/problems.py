"""Refusals as HTTP: problem details, and their place in the OpenAPI document."""

from typing import Any
from urllib.parse import quote

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from app.api.known_names import describe_known, known_members
from app.api.messages import explain
from app.db.failures import explain_failure
from app.db.outages import describe_failure
from app.domain.json_texts import write_json
from app.domain.json_values import escape_pointer
from app.errors import ERRORS_MOST, InternalError, MethodNotAllowed, NotFound, Refusal, ValidationFailed
from milepost.schemas.problems import FieldError

PROBLEM_JSON = "application/problem+json"

log = structlog.get_logger()


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


def add_problem_handlers(app: FastAPI) -> None:
    """Make every way of failing a problem."""
    app.add_exception_handler(Refusal, _on_refusal)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    for failure in (SQLAlchemyError, OSError, TimeoutError):
        app.add_exception_handler(failure, _on_database_failure)


async def _on_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)  # noqa: S101 - what it is registered for
    return answer_problem(request, error)


async def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - what it is registered for
    body_field = getattr(request.scope.get("route"), "body_field", None)
    body_type = body_field.field_info.annotation if body_field else None
    errors = [_field_error(found, body_type, error.body) for found in error.errors()[:ERRORS_MOST]]
    return answer_problem(request, ValidationFailed(errors))


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


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
    if error.status_code == MethodNotAllowed.status:
        methods = sorted(_methods_of(request))
        refusal = MethodNotAllowed(f"this address takes {', '.join(methods)}", headers={"Allow": ", ".join(methods)})
        return answer_problem(request, refusal)
    if error.status_code == NotFound.status:
        return answer_problem(request, NotFound("there is nothing at this address; GET / lists what there is"))
    log.error("unexpected_http_exception", status=error.status_code, detail=error.detail)
    return answer_problem(request, InternalError("an error of ours"))


def _methods_of(request: Request) -> set[str]:
    """Return the methods of all routes that have this path: each route alone knows only its own.

    Where some spell it out, those of the others are left out, which would take it for a name.
    """
    scope = {**request.scope, "method": "*"}
    routes = [route for route in request.app.routes if route.matches(scope)[0] is not Match.NONE]
    spelt_out = [route for route in routes if not getattr(route, "param_convertors", None)]
    methods = {method for route in spelt_out or routes for method in getattr(route, "methods", None) or ()}
    return methods | {"HEAD"} if "GET" in methods else methods


async def _on_database_failure(request: Request, error: Exception) -> Response:
    assert isinstance(error, SQLAlchemyError | OSError | TimeoutError)  # noqa: S101 - what it is registered for
    refusal = explain_failure(error)
    if refusal is None:
        raise error
    request.scope["failure"] = describe_failure(error)
    return answer_problem(request, refusal)
