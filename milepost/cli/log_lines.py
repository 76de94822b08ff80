"""`milepost logs`: reading the log of a workflow run or of a task, and following it until that has ended."""

import json
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple
from uuid import UUID

import typer

from milepost.cli.calls import DEFAULT_URL, Url, accept, call, send
from milepost.cli.exits import ExitCode, leave
from milepost.cli.run_ids import find_run
from milepost.lines import write_line

if TYPE_CHECKING:
    import httpx

PAGE = 1000
POLL_SECONDS = 1.0
PATIENCE_SECONDS = 60.0
"""How long a service that does not answer is waited for while a log is followed: a restart takes less."""
LATE_SECONDS = 60.0
"""So much older than the newest a line may be that arrives later, and is shown: workers send theirs in portions."""
COLORS: Mapping[str, str] = {"debug": "\x1b[2m", "warning": "\x1b[33m", "error": "\x1b[31m"}
PLAIN = "\x1b[0m"
UNITS: Mapping[str, int] = {"s": 1, "m": 60, "h": 3600, "d": 86400}

Id = Annotated[str, typer.Argument(metavar="ID", help="Id of a workflow run, its end, or id of a task.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on with new lines until it has ended.")]
Lines = Annotated[int | None, typer.Option("--lines", "-n", min=1, max=PAGE, help="Only the last so many.")]
Level = Annotated[str | None, typer.Option(help="At least this: debug, info, warning or error.")]
Since = Annotated[str | None, typer.Option("--since", "--after", help="A time, or how long ago: 90s, 10m, 2h, 1d.")]
Text = Annotated[str | None, typer.Option("--query", "-q", help="Only lines with this text, in either case.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
Line = dict[str, Any]


class Source(NamedTuple):
    """Where a log is read."""

    url: str
    owner: str
    """Address of the run or task."""
    filters: list[tuple[str, Any]]

    def read(self, *more: tuple[str, Any]) -> dict[str, Any]:
        """Return a page."""
        page: dict[str, Any] = call("GET", self.url, f"{self.owner}/logs", params=[*self.filters, *more]).json()
        return page


def show_logs(
    resource_id: Id,
    follow: Follow = False,
    lines: Lines = None,
    level: Level = None,
    since: Since = None,
    query: Text = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Print the log of a workflow run or of a task, oldest line first."""
    given = {"level": level, "q": query, "after": None if since is None else _read_since(since)}
    filters = [(name, value) for name, value in given.items() if value is not None]
    source = Source(url, _find(url, find_run(url, resource_id)), filters)
    seen: dict[int, datetime] = {}
    for line in _read_all(source, lines):
        _print(line, as_json=as_json)
        _note(line, seen)
    if follow:
        _follow(source, seen, as_json=as_json)


def _find(url: str, resource_id: UUID) -> str:
    """Return the address of what has this id, a run or else a task; leave when there is neither."""
    run = f"/v1/workflow-runs/{resource_id}"
    try:
        response = _try(url, run)
    except _unreachable() as error:
        leave(ExitCode.UNREACHABLE, f"{url} does not answer: {str(error) or type(error).__name__}")
    if response.status_code != 404:  # noqa: PLR2004 - not found
        accept(response)
        return run
    task = f"/v1/tasks/{resource_id}"
    call("GET", url, task)
    return task


def _try(url: str, path: str) -> "httpx.Response":
    return send("GET", url, path)


def _unreachable() -> tuple[type[Exception], ...]:
    import httpx  # noqa: PLC0415 - help needs no client

    return (httpx.HTTPError, httpx.InvalidURL)


def _read_since(text: str) -> str:
    """Return the moment that ``text`` names: a time, or how long ago it is."""
    if ago := re.fullmatch(r"(\d{1,9})([smhd])", text):
        try:
            at = datetime.now(UTC) - timedelta(seconds=int(ago[1]) * UNITS[ago[2]])
        except OverflowError:
            leave(ExitCode.USAGE, f"--since {text} is before all times")
        return at.isoformat()
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        leave(ExitCode.USAGE, f"--since {text} is neither a time nor a while, such as 10m")
    return at.astimezone(UTC).isoformat()


def _read_all(source: Source, lines: int | None) -> Iterator[Line]:
    """Yield the last ``lines``, or all of them, oldest first."""
    if lines is not None:
        yield from source.read(("tail", lines))["items"]
        return
    page = source.read(("limit", PAGE))
    yield from page["items"]
    while page["next_cursor"] is not None:
        page = source.read(("limit", PAGE), ("cursor", page["next_cursor"]))
        yield from page["items"]


def _note(line: Line, seen: dict[int, datetime]) -> None:
    """Remember that a line was shown, and forget those that are too old to come again."""
    seen[line["line_id"]] = datetime.fromisoformat(line["at"])
    if len(seen) > 10 * PAGE:
        oldest = max(seen.values()) - timedelta(seconds=2 * LATE_SECONDS)
        for line_id in [line_id for line_id, at in seen.items() if at < oldest]:
            del seen[line_id]


def _follow(source: Source, seen: dict[int, datetime], *, as_json: bool) -> None:
    """Print new lines until the run or task has ended, and those that come right after."""
    while True:
        has_ended = _wait_a_while(source)
        for line in _read_new(source, seen):
            _print(line, as_json=as_json)
            _note(line, seen)
        if has_ended:
            return


def _wait_a_while(source: Source) -> bool:
    """Return whether it has ended, after some time; a service that restarts is waited for."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    began = time.monotonic()
    while True:
        params = [("timeout_seconds", POLL_SECONDS)]
        try:
            response = send("GET", source.url, f"{source.owner}/wait", params=params)
        except _unreachable():
            if time.monotonic() > give_up_at:
                response = call("GET", source.url, f"{source.owner}/wait", params=params)
                break
        else:
            if response.status_code != 503:  # noqa: PLR2004 - it stops or starts
                break
        time.sleep(POLL_SECONDS)
    time.sleep(max(0.0, POLL_SECONDS - (time.monotonic() - began)))  # the last lines may be under way
    return accept(response).json()["completed_at"] is not None


def _read_new(source: Source, seen: dict[int, datetime]) -> list[Line]:
    """Return lines that were not shown yet, oldest first: from the newest back to a page without any."""
    new: list[Line] = []
    bound: list[tuple[str, Any]] = []
    if seen:
        bound = [("after", (max(seen.values()) - timedelta(seconds=LATE_SECONDS)).isoformat())]
        source = source._replace(filters=[pair for pair in source.filters if pair[0] != "after"])
    more: list[tuple[str, Any]] = []
    while True:
        page = source.read(("order", "-at"), ("limit", PAGE), *bound, *more)
        fresh = [line for line in page["items"] if line["line_id"] not in seen]
        new += fresh
        if page["next_cursor"] is None or (page["items"] and not fresh):
            return sorted(new, key=lambda line: (datetime.fromisoformat(line["at"]), line["line_id"]))
        more = [("cursor", page["next_cursor"])]


def _print(line: Line, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(line, ensure_ascii=False))
    else:
        typer.echo(_write(line, in_color=sys.stdout.isatty() and not os.environ.get("NO_COLOR")), nl=False)


def _write(line: Line, *, in_color: bool) -> str:
    level = line["level"]
    shown = f"{COLORS[level]}{level}{PLAIN}" if in_color and level in COLORS else level
    return write_line(datetime.fromisoformat(line["at"]), shown, line["text"])
