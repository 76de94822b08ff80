"""The way of a request from the server to its operation and back: one look-up, the door, the plan."""

import time

import structlog
from fastapi import FastAPI
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.api.addresses import Addresses
from app.api.door import Door, Entry
from app.api.heads import as_get
from app.api.kernel import kernel_of
from app.api.observe import record, take_request_id
from app.api.problems import answer_problem, explain_failure_of, nothing_here
from app.errors import InternalError

NO_OPERATION = "none"
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
        return await found.entry.answer(request, kernel_of(request))
