"""Around every request: its id, its time, and the problem when an error of ours escapes."""

import re
import time
from collections.abc import Iterable
from functools import cache
from typing import Any

import structlog
from prometheus_client import Counter, Histogram
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils import uuid7

from app.api.heads import as_get
from app.api.kernel import Kernel
from app.api.problems import answer_problem
from app.errors import InternalError
from app.metrics import REQUEST_SECONDS, REQUESTS

SLOW_SECONDS = 1.0
LONG_POLLS = frozenset({"claim_tasks", "complete_tasks", "wait_for_task", "wait_for_workflow_run"})
"""Operations that take their time because they were asked to."""
_NOSNIFF = (b"x-content-type-options", b"nosniff")
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")

log = structlog.get_logger()


class Observe:
    """Takes or makes `X-Request-ID`, returns it, measures, and logs what is slow or goes wrong."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            scope, send = as_get(scope, send)
        request_id = scope["request_id"] = take_request_id(scope["headers"])
        header = (b"x-request-id", request_id.encode())
        started = time.perf_counter()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], header, _NOSNIFF]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except ClientDisconnect:
            log.debug("client_gone", request_id=request_id, method=scope["method"], path=scope["path"])
            return
        except Exception:
            log.exception("internal_error", request_id=request_id, method=scope["method"], path=scope["path"])
            if status:
                raise
            problem = answer_problem(Request(scope), InternalError(f"the log of the service knows {request_id}"))
            await problem(scope, receive, send_with_id)
        _record(scope, status, time.perf_counter() - started)


def take_request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the id that a request brings, or a new one."""
    for name, value in headers:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(text := value.decode("latin-1")):
            return str(text)
    return str(uuid7())


@cache
def _counter(operation: str, status: int) -> Counter:
    return REQUESTS.labels(operation=operation, status=status)


@cache
def _timer(operation: str) -> Histogram:
    return REQUEST_SECONDS.labels(operation=operation)


def _record(scope: Scope, status: int, seconds: float) -> None:
    route: Any = scope.get("route")
    operation = getattr(route, "name", "none")
    _counter(operation, status).inc()
    slow = seconds > SLOW_SECONDS and operation not in LONG_POLLS
    if operation not in LONG_POLLS:
        _timer(operation).observe(seconds)
    failed = status >= 500  # noqa: PLR2004 - server errors
    if slow or failed:
        write = log.debug if failed and _is_known(scope) else log.warning
        why = {"error": scope["failure"]} if "failure" in scope else {}
        write(
            "slow_request" if slow else "request_failed",
            **why,
            method=scope["method"],
            path=scope["path"],
            status=status,
            seconds=round(seconds, 3),
            request_id=scope["request_id"],
        )


def _is_known(scope: Scope) -> bool:
    """Return whether the log says already why requests fail: the database is away."""
    kernel: Kernel | None = getattr(scope["app"].state, "kernel", None) if "app" in scope else None
    return kernel is not None and kernel.database.outage.is_under_way
