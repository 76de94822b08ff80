"""Calling a running service from the command line."""

import os
from typing import Annotated, Any

import httpx
import typer

Url = Annotated[str, typer.Option(envvar="MILEPOST_URL", help="Where the service is.")]
DEFAULT_URL = "http://127.0.0.1:8000"
EXIT_UNREACHABLE = 2
EXIT_REFUSED = 22


def call(
    method: str, url: str, path: str, *, params: list[tuple[str, Any]] | None = None, as_text: bool = False
) -> httpx.Response:
    """Return the answer of the service; leave with its own words when it refuses."""
    headers = {"Accept": "text/plain" if as_text else "application/json"}
    if key := os.environ.get("MILEPOST_API_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    try:
        response = httpx.request(method, url.rstrip("/") + path, params=params, headers=headers, timeout=90)
    except httpx.HTTPError as error:
        typer.echo(f"milepost: {url} does not answer: {error}", err=True)
        raise typer.Exit(EXIT_UNREACHABLE) from None
    if response.is_error:
        typer.echo(f"milepost: {_explain(response)}", err=True)
        raise typer.Exit(EXIT_REFUSED)
    return response


def _explain(response: httpx.Response) -> str:
    try:
        problem = response.json()
        return f"{problem['title']} ({problem['code']}): {problem['detail']}"
    except (ValueError, KeyError, TypeError):
        return f"status {response.status_code}: {response.text[:200]}"
