"""Sending calls over HTTP: connections, retries, and what an answer means."""

import asyncio
import os
import ssl
import time
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar, Self, TypeVar
from uuid import uuid4

import httpx
from pydantic import ValidationError

from milepost.client.calls import Call
from milepost.client.exceptions import (
    REFUSALS,
    MilepostError,
    RefusedError,
    Unavailable,
    UnreachableError,
    UnreadableAnswerError,
)
from milepost.client.retries import Retries

DEFAULT_URL = "http://127.0.0.1:8000"
CONNECT_SECONDS = 5.0
AWAY = frozenset({502, 503, 504})
"""Statuses of a service, or of a proxy before it, that cannot answer at the moment."""
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
LIMITS = httpx.Limits(max_connections=1000, max_keepalive_connections=100, keepalive_expiry=30)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the service is, and how patiently it is called."""

    url: str
    api_key: str | None = field(repr=False)
    timeout: float
    retry_attempts: int
    retry_seconds: float
    transport: Any = None

    def http_options(self) -> dict[str, Any]:
        """Return what both kinds of HTTP client are made with."""
        headers = {"User-Agent": f"milepost-python/{_own_version()}", "Accept": "application/json"}
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        options = {"transport": self.transport} if self.transport else {"verify": _trusted()}
        return {"base_url": self.url, "headers": headers, "limits": LIMITS, **options}

    def request_options(self, call: Call[Any]) -> dict[str, Any]:
        """Return what both kinds of HTTP client send for ``call``."""
        headers = {"X-Request-ID": str(uuid4())}
        if call.content is not None:
            headers["Content-Type"] = "application/json"
        headers |= call.headers
        return {
            "method": call.method,
            "url": call.path + (f"?{call.query}" if call.query else ""),
            "content": call.content,
            "headers": headers,
            "timeout": httpx.Timeout(
                self.timeout, connect=min(self.timeout, CONNECT_SECONDS), read=self.timeout + call.wait_seconds
            ),
        }

    def retries(self, call: Call[Any]) -> Retries:
        """Return the rule by which ``call`` is begun anew."""
        return Retries(call, self.retry_attempts, self.retry_seconds)


@cache
def _trusted() -> ssl.SSLContext:
    """Return whom to believe over TLS; it takes long to read, and is the same for all clients."""
    return httpx.create_ssl_context()


def _own_version() -> str:
    try:
        return version("milepost")
    except PackageNotFoundError:
        return "unknown"


def read_answer(call: Call[T], response: httpx.Response) -> T:
    """Return what the service answered. Raises RefusedError, UnreadableAnswerError."""
    if not response.is_success and response.status_code not in call.answers:
        raise refusal_of(response)
    try:
        return call.read(response.content)
    except ValidationError as error:
        raise UnreadableAnswerError(
            f"the answer to {call.method} {call.path} is not what Milepost answers: {error.error_count()} places differ"
        ) from error


def refusal_of(response: httpx.Response) -> RefusedError:
    """Return the exception that a refusal stands for; a proxy's own refusals too."""
    problem = _problem_of(response)
    status = response.status_code
    code = str(problem.get("code") or f"http-{status}")
    if status in AWAY:
        return Unavailable(status, code, problem, _retry_after(response))
    return REFUSALS.get(code, RefusedError)(status, code, problem)


def _problem_of(response: httpx.Response) -> dict[str, Any]:
    try:
        problem = response.json()
    except ValueError:
        problem = None
    return problem if isinstance(problem, dict) else {"detail": response.text[:200].strip()}


def _retry_after(response: httpx.Response) -> float | None:
    """Return how many seconds to wait. Source: RFC 9110, section 10.2.3."""
    text = response.headers.get("retry-after")
    if text is None:
        return None
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def unreachable(target: Target, call: Call[Any], error: httpx.HTTPError) -> UnreachableError:
    """Return the exception that an HTTP client's failure stands for."""
    why = str(error) or type(error).__name__
    return UnreachableError(
        f"{call.method} {target.url}{call.path}: {why}", maybe_done=not isinstance(error, NEVER_SENT)
    )


class Connected:
    """What both clients are made from."""

    asynchronous: ClassVar[bool]

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        timeout: float = 30.0,
        *,
        retry_attempts: int = 10,
        retry_seconds: float = 30.0,
        transport: Any = None,
    ) -> None:
        """Call the service at ``url``.

        Absent, ``url`` and ``api_key`` come from MILEPOST_URL and MILEPOST_API_KEY. ``timeout`` is how many seconds an
        answer may take beyond what a call itself asks to wait. What is safe to repeat is tried up to
        ``retry_attempts`` times and begun anew for up to ``retry_seconds``. ``transport`` is httpx's.
        """
        address = httpx.URL(url or os.environ.get("MILEPOST_URL") or DEFAULT_URL)
        if address.scheme not in ("http", "https") or not address.host:
            raise ValueError(f"{address} is not the address of a service: it begins with http:// or https://")
        self.target = Target(
            url=str(address).rstrip("/"),
            api_key=api_key or os.environ.get("MILEPOST_API_KEY", "").strip() or None,
            timeout=timeout,
            retry_attempts=retry_attempts,
            retry_seconds=retry_seconds,
            transport=transport,
        )

    @classmethod
    def at(cls, target: Target) -> Self:
        """Return a client of the same service, called as patiently."""
        return cls(**{option.name: getattr(target, option.name) for option in fields(target)})

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.target.url!r})"


class Transport(Connected):
    """Sends calls and waits for their answers; may be shared by threads."""

    asynchronous = False

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._http = httpx.Client(**self.target.http_options())

    def send(self, call: Call[T]) -> T:
        """Return the answer. Raises MilepostError."""
        request, retries = self.target.request_options(call), self.target.retries(call)
        while True:
            try:
                return read_answer(call, self._request(call, request))
            except MilepostError as error:
                pause = retries.pause_after(error)
                if pause is None:
                    raise
            time.sleep(pause)

    def _request(self, call: Call[Any], request: dict[str, Any]) -> httpx.Response:
        try:
            return self._http.request(**request)
        except httpx.HTTPError as error:
            raise unreachable(self.target, call, error) from error

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()


class AsyncTransport(Connected):
    """Sends calls and gives their answers to await; belongs to one event loop."""

    asynchronous = True

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._http = httpx.AsyncClient(**self.target.http_options())

    async def send(self, call: Call[T]) -> T:
        """Return the answer. Raises MilepostError."""
        request, retries = self.target.request_options(call), self.target.retries(call)
        while True:
            try:
                return read_answer(call, await self._request(call, request))
            except MilepostError as error:
                pause = retries.pause_after(error)
                if pause is None:
                    raise
            await asyncio.sleep(pause)

    async def _request(self, call: Call[Any], request: dict[str, Any]) -> httpx.Response:
        try:
            return await self._http.request(**request)
        except httpx.HTTPError as error:
            raise unreachable(self.target, call, error) from error

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *reason: object) -> None:
        await self.aclose()
