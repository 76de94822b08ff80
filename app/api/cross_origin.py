"""Pages of other origins that may call the service from a browser: CORS, as the Fetch Standard has it."""

from collections.abc import Collection

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from app.api.way_in import WayIn

_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
_SENT = (
    "Accept, Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Prefer, "
    "traceparent, X-Request-ID"
)
_SHOWN = "ETag, Location, Link, X-Request-ID, Retry-After, Idempotency-Replayed"
_REMEMBER_SECONDS = 600
_VARY = (b"vary", b"Origin")


class SharedWayIn(WayIn):
    """Answers every request, and lets pages of certain origins read the answers, refusals too.

    An origin is compared as a whole. Of others nothing is said: their browsers keep the answers from them.
    """

    def __init__(self, app: FastAPI, origins: Collection[str]) -> None:
        super().__init__(app)
        self._origins = {origin.encode() for origin in origins}

    async def _find_answer(self, request: Request) -> Response:
        origins = [value for name, value in request.scope["headers"] if name == b"origin"]
        origin = origins[0] if len(origins) == 1 and origins[0] in self._origins else None
        if origin is not None and _is_preflight(request):
            response = _answer_preflight()
        else:
            response = await super()._find_answer(request)
        response.raw_headers.append(_VARY)
        if origin is not None:
            response.raw_headers += (
                (b"access-control-allow-origin", origin),
                (b"access-control-expose-headers", _SHOWN.encode()),
            )
        return response


def _is_preflight(request: Request) -> bool:
    return request.method == "OPTIONS" and "access-control-request-method" in request.headers


def _answer_preflight() -> Response:
    """Return what may be sent: asked for without a key, whatever is at the address."""
    headers = {
        "Access-Control-Allow-Methods": _METHODS,
        "Access-Control-Allow-Headers": _SENT,
        "Access-Control-Max-Age": str(_REMEMBER_SECONDS),
    }
    return Response(status_code=204, headers=headers)
