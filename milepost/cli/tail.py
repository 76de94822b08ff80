"""`milepost tail`: changes as they come, in a terminal."""

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from milepost.cli.calls import DEFAULT_URL, Url, accept, send
from milepost.cli.exits import ExitCode, leave

if TYPE_CHECKING:
    import httpx

Filter = list[str] | None
WAIT_SECONDS = 30.0
PATIENCE_SECONDS = 60.0
"""How long a service that does not answer is waited for: a restart takes less."""
PAUSE_SECONDS = 0.5
COLOURS = {
    "completed": typer.colors.GREEN,
    "failed": typer.colors.RED,
    "lost": typer.colors.RED,
    "upstream_failed": typer.colors.RED,
    "missed": typer.colors.RED,
    "late": typer.colors.YELLOW,
    "cancelled": typer.colors.YELLOW,
    "paused": typer.colors.YELLOW,
}


def tail_changes(
    kind: Annotated[
        Filter, typer.Option(help="workflow_run, task, step, event, schedule, queue ...; repeatable.")
    ] = None,
    verb: Annotated[Filter, typer.Option(help="What has happened, such as failed; repeatable.")] = None,
    status: Annotated[Filter, typer.Option(help="Status after it; repeatable.")] = None,
    run: Annotated[Filter, typer.Option(help="Id of a workflow run; repeatable.")] = None,
    name: Annotated[Filter, typer.Option(help="Workflow name; repeatable.")] = None,
    queue: Annotated[Filter, typer.Option(help="Queue; repeatable.")] = None,
    after: Annotated[int | None, typer.Option(min=0, help="Position to go on after; 0: all that is kept.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each change as one line of JSON.")] = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Print every change as it is committed, until Ctrl-C; goes on without a gap over a restart of the service."""
    given = {
        "kind": kind,
        "verb": verb,
        "status": status,
        "workflow_run_id": run,
        "workflow_name": name,
        "queue": queue,
    }
    wanted = [(key, value) for key, values in given.items() for value in values or []]
    while True:
        page = _read_more(url, wanted, after)
        for change in page["items"]:
            typer.echo(_as_json(change) if as_json else write_line(change))
        sys.stdout.flush()
        after = page["next_after"]


def _read_more(url: str, wanted: list[tuple[str, Any]], after: int | None) -> dict[str, Any]:
    """Return the next part of the feed; a service that restarts is waited for."""
    params = [*wanted, ("limit", 1000), ("wait_seconds", WAIT_SECONDS)]
    params += [("after", after)] if after is not None else []
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while True:
        answer = _try(url, params)
        if answer is not None:
            page: dict[str, Any] = answer.json()
            return page
        if after is None or time.monotonic() > give_up_at:
            leave(ExitCode.UNREACHABLE, f"{url} does not answer")
        time.sleep(PAUSE_SECONDS)


def _try(url: str, params: list[tuple[str, Any]]) -> "httpx.Response | None":
    """Return the answer, or None when the service is away for the moment; leave when it refuses."""
    import httpx  # noqa: PLC0415 - help needs no client

    try:
        response = send("GET", url, "/v1/changes", params=params)
    except httpx.TransportError:
        return None
    except httpx.InvalidURL as error:
        leave(ExitCode.UNREACHABLE, f"{url} is no address: {error}")
    return None if response.status_code == httpx.codes.SERVICE_UNAVAILABLE else accept(response)


def _as_json(change: dict[str, Any]) -> str:
    import json  # noqa: PLC0415 - it is small, and only here

    return json.dumps(change, ensure_ascii=False, separators=(",", ":"))


def write_line(change: dict[str, Any]) -> str:
    """Return a change on one line: its place, time, what it is of, what happened, and what else is known of it."""
    verb = typer.style(f"{change['verb']:<15}", fg=COLOURS.get(change["verb"]))
    about = " ".join(str(change[part]) for part in ("workflow_name", "id") if change[part])
    known = [(part, change[part]) for part in ("status", "attempt", "queue", "reason", "actor")]
    rest = " ".join(f"{part}={value}" for part, value in known if value is not None)
    line = f"{change['position']:>9}  {change['at'][11:23]}  {change['kind']:<12}  {verb}  {about}  {rest}"
    return "".join(character if character.isprintable() or character == "\x1b" else "?" for character in line)
