"""Refusals without the application: as bytes for the peer, as lines for the log."""

import time
from collections.abc import Callable, Iterable, Sequence

import structlog
from httptools import HttpParserError, HttpParserInvalidMethodError, HttpParserInvalidURLError
from starlette.requests import Request
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.api.problems import answer_problem
from app.errors import MalformedRequest, Refusal
from app.metrics import REFUSED_CONNECTIONS

LOG_PAUSE_SECONDS = 10.0
INSTANCE_MOST = 2048

log = structlog.get_logger()


class RefusalLog:
    """At most one line in ten seconds for each kind of refusal, and how many it stands for."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def note(self, code: str, detail: str, client: object, request_id: str = "") -> None:
        """Count a refusal, and log it unless one of its kind was logged a moment ago."""
        REFUSED_CONNECTIONS.labels(code=code).inc()
        now = self._clock()
        if now < self._next.get(code, 0):
            self._left_out[code] = self._left_out.get(code, 0) + 1
            return
        self._next[code] = now + LOG_PAUSE_SECONDS
        log.warning(
            "connection_refused",
            code=code,
            detail=detail,
            client=client,
            request_id=request_id,
            left_out=self._left_out.pop(code, 0),
        )


def explain(error: Exception) -> Refusal:
    """Return what the parser, or a callback of it, has against a request."""
    if isinstance(error.__context__, Refusal):
        return error.__context__
    if isinstance(error, HttpParserInvalidMethodError):
        return MalformedRequest("the method is none that HTTP knows")
    if isinstance(error, HttpParserInvalidURLError):
        return MalformedRequest("the address holds what no address can hold")
    said = str(error) if isinstance(error, HttpParserError) else ""
    return MalformedRequest(said or "it is not HTTP/1.1")


def render(refusal: Refusal, url: bytes, request_id: str, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return a whole answer that ends its connection; ``headers`` are those that every answer has."""
    path = url.partition(b"?")[0]
    if not path.startswith(b"/") or len(path) > INSTANCE_MOST:
        path = b""
    scope = {"type": "http", "path": "", "raw_path": path, "request_id": request_id}
    answer = answer_problem(Request(scope), refusal)
    lines: Sequence[tuple[bytes, bytes]] = (
        *headers,
        *answer.raw_headers,
        (b"x-request-id", request_id.encode()),
        (b"connection", b"close"),
    )
    head = b"".join(b"%b: %b\r\n" % line for line in lines)
    return STATUS_LINE[refusal.status] + head + b"\r\n" + bytes(answer.body)
