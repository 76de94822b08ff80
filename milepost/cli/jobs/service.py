"""Calling the service by the standard library alone: a job does not wait until a larger client is loaded."""

import json
import os
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 10.0
REDIRECTION, REFUSAL, BROKEN = 300, 400, 500
LATER = frozenset({401, 403, 408, 429})
"""Refusals that another key, or another moment, ends."""


class Away(Exception):
    """The service does not answer, or cannot at the moment."""

    def __init__(self, message: str, *, may_have_arrived: bool) -> None:
        super().__init__(message)
        self.may_have_arrived = may_have_arrived


class Refused(Exception):
    """The service does not take what it was sent."""

    def __init__(self, status: int, code: str | None, message: str) -> None:
        """``code`` is the refusal's own; None where what answers is no Milepost."""
        super().__init__(message)
        self.status = status
        self.code = code

    @property
    def may_pass(self) -> bool:
        """Whether the same may be taken later."""
        return self.code is None or self.status in LATER


class Service:
    """A service at an address, and a connection to it; belongs to one thread at a time."""

    def __init__(self, url: str, *, has_key: bool = True) -> None:
        """Without a key where that of the environment is another service's. Raises ValueError for no address."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url} is not the address of a service: it begins with http:// or https://")
        self.url = url.rstrip("/")
        self._prefix = parts.path.rstrip("/")
        kind = HTTPConnection if parts.scheme == "http" else HTTPSConnection
        self._connection = kind(parts.hostname, parts.port, timeout=CONNECT_SECONDS)
        self._headers = {"Accept": "application/json", "User-Agent": "milepost-exec"}
        if has_key and (key := os.environ.get("MILEPOST_API_KEY", "").strip()):
            self._headers["Authorization"] = f"Bearer {key}"

    def call(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, seconds: float = ANSWER_SECONDS
    ) -> Any:
        """Return the answer. Every call may be sent twice. Raises Away, Refused."""
        is_used = self._connection.sock is not None
        try:
            if not is_used:
                self._connection.connect()
        except (OSError, ValueError) as error:
            raise self._away(error, may_have_arrived=False) from error
        try:
            return self._ask(method, path, body, key, seconds)
        except (OSError, HTTPException, ValueError) as error:
            self._connection.close()
            if not is_used:
                raise self._away(error, may_have_arrived=True) from error
        return self.call(method, path, body, key=key, seconds=seconds)  # an idle connection may have been closed

    def _away(self, error: Exception, *, may_have_arrived: bool) -> Away:
        why = str(error) or type(error).__name__
        return Away(f"{self.url} does not answer: {why}", may_have_arrived=may_have_arrived)

    def _ask(self, method: str, path: str, body: Any, key: str | None, seconds: float) -> Any:
        headers = self._headers | ({"Idempotency-Key": key} if key else {})
        content = None if body is None else json.dumps(body).encode()
        if content is not None:
            headers["Content-Type"] = "application/json"
        self._connection.sock.settimeout(seconds)
        self._connection.request(method, self._prefix + path, content, headers)
        with self._connection.getresponse() as response:
            return self._read(response)

    def _read(self, response: HTTPResponse) -> Any:
        content = response.read()
        if response.status >= BROKEN:
            raise Away(f"{self.url} cannot answer: status {response.status}", may_have_arrived=True)
        if response.status >= REDIRECTION:
            code, why = _explain(content)
            raise Refused(response.status, code, f"{self.url} refuses it: {why or f'status {response.status}'}")
        try:
            return json.loads(content)
        except ValueError:
            raise Refused(response.status, None, f"{self.url} does not answer as Milepost does") from None

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _explain(content: bytes) -> tuple[str | None, str]:
    """Return the code of a refusal, and what it says; nothing of what is none of Milepost."""
    try:
        problem = json.loads(content)
        places = [f"{error['pointer']} {error['detail']}" for error in problem.get("errors", [])]
        said = "; ".join(places) or problem["detail"]
        return str(problem["code"]), f"{problem['title']} ({problem['code']}): {said}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return None, ""
