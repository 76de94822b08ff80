"""Calling a running service from the command line."""

import os
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from milepost.cli.exits import ExitCode, leave

if TYPE_CHECKING:
    import httpx

Url = Annotated[str, typer.Option(envvar="MILEPOST_URL", help="Where the service is.")]
DEFAULT_URL = "http://127.0.0.1:8000"
TIMEOUT_SECONDS = 90.0


class Document(NamedTuple):
    """A text that is sent as it is."""

    content: bytes
    media_type: str


def call(
    method: str,
    url: str,
    path: str,
    *,
    params: list[tuple[str, Any]] | None = None,
    json: Any = None,
    document: Document | None = None,
    as_text: bool = False,
    may_be_missing: bool = False,
) -> "httpx.Response":
    """Return the answer of the service; leave with its own words when it refuses.

    What ``may_be_missing`` is also answered with 404.
    """
    import httpx  # noqa: PLC0415 - help needs no client

    try:
        response = send(method, url, path, params=params, json=json, document=document, as_text=as_text)
        return response if may_be_missing and response.status_code == httpx.codes.NOT_FOUND else accept(response)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        leave(ExitCode.UNREACHABLE, f"{url} does not answer: {str(error) or type(error).__name__}")


def accept(response: "httpx.Response") -> "httpx.Response":
    """Return ``response``; leave with its own words when it is a refusal."""
    if not response.is_success:
        leave(ExitCode.REFUSED, _explain(response))
    return response


def send(
    method: str,
    url: str,
    path: str,
    *,
    params: list[tuple[str, Any]] | None = None,
    json: Any = None,
    document: Document | None = None,
    as_text: bool = False,
) -> "httpx.Response":
    """Return the answer of the service, whatever it is. Raises httpx.HTTPError, httpx.InvalidURL."""
    import httpx  # noqa: PLC0415 - help needs no client

    headers = {"Accept": "text/plain" if as_text else "application/json"}
    if key := os.environ.get("MILEPOST_API_KEY", "").strip():
        headers["Authorization"] = f"Bearer {key}"
    if document is not None:
        headers["Content-Type"] = document.media_type
    return httpx.request(
        method,
        url.rstrip("/") + path,
        params=params,
        json=json,
        content=document and document.content,
        headers=headers,
        timeout=TIMEOUT_SECONDS,
    )


def _explain(response: "httpx.Response") -> str:
    try:
        problem = response.json()
        return f"{problem['title']} ({problem['code']}): {problem['detail']}"
    except (ValueError, KeyError, TypeError):
        return f"status {response.status_code}: {response.text[:200]}"
