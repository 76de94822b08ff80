"""The way of a request from the server to its operation and back: one look-up, the door, the plan."""

import time

import structlog
from fastapi import FastAPI
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.api.addresses import Addresses
from app.api.door import Door, Entry
from app.api.heads import as_get, asks_for_head
from app.api.observe import record, take_request_id
from app.api.problems import answer_problem, explain_failure_of, nothing_here
from app.errors import InternalError

NO_OPERATION = "none"
ANSWER_AT_ONCE = "milepost.answer"
"""An extension of our server: `write` writes a whole answer, and says whether it did."""
_NOSNIFF = (b"x-content-type-options", b"nosniff")

log = structlog.get_logger()


class WayIn:
    """Answers every request, whatever comes of it, with its `X-Request-ID`, and measures it."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._addresses = Addresses([Entry(route) for route in app.routes if isinstance(route, Door)])

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = time.perf_counter()
        if scope["method"] == "HEAD":
            scope, send = as_get(scope, send)
        scope["app"] = self._app
        request_id = scope["request_id"] = take_request_id(scope["headers"])
        request = Request(scope, receive)
        try:
            response = await self._find_answer(request)
        except ClientDisconnect:
            log.debug("client_gone", request_id=request_id, method=scope["method"], path=scope["path"])
            return
        response.raw_headers += ((b"x-request-id", request_id.encode()), _NOSNIFF)
        if not _answer_at_once(scope, response):
            await response(scope, receive, send)
        record(scope, scope.get("operation", NO_OPERATION), response.status_code, time.perf_counter() - started)

    async def _find_answer(self, request: Request) -> Response:
        try:
            return await self._enter(request)
        except ClientDisconnect:
            raise
        except Exception as failure:
            if refusal := explain_failure_of(request, failure):
                return answer_problem(request, refusal)
            scope = request.scope
            log.exception("internal_error", request_id=scope["request_id"], method=scope["method"], path=scope["path"])
            return answer_problem(request, InternalError(f"the log of the service knows {scope['request_id']}"))

    async def _enter(self, request: Request) -> Response:
        scope = request.scope
        address = scope["path"].removeprefix(scope.get("root_path", ""))
        found = self._addresses.find(scope["method"], address)
        if found.entry is None:
            raise nothing_here(found.methods)
        scope["path_params"] = found.names
        scope["operation"] = found.entry.door.name
        kernel = scope["kernel"] = self._app.state.kernel
        return await found.entry.answer(request, kernel)


def _answer_at_once(scope: Scope, response: Response) -> bool:
    """Return whether the server has taken the answer as a whole; not one that is streamed, nor one without its body."""
    extension = scope.get("extensions", {}).get(ANSWER_AT_ONCE)
    if extension is None or type(response).__call__ is not Response.__call__ or asks_for_head(scope):
        return False
    is_written: bool = extension["write"](response.status_code, response.raw_headers, response.body)
    return is_written
