"""`milepost runs`: looking at workflow runs of a running service, and telling them what to do."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from milepost.cli.bulk import (
    Name,
    OneRun,
    QueueOf,
    Statuses,
    TagsOf,
    Yes,
    check_one_or_many,
    read_selection,
    read_tag,
    tell_many,
)
from milepost.cli.calls import DEFAULT_URL, Url, accept, call, send
from milepost.cli.exits import ExitCode, leave
from milepost.cli.pages import print_more, print_page
from milepost.cli.run_ids import find_run
from milepost.cli.run_views import line_of_run, list_of_runs, standing_of, tree_of_steps
from milepost.cli.terminal import cut, is_terminal, paint, read_clock, terminal_width

if TYPE_CHECKING:
    import httpx

app = typer.Typer(help="List, show, watch and steer workflow runs.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON as the service answers it.")]
RunId = Annotated[str, typer.Argument(help="Id of the workflow run, or its end as a list shows it.")]
Reason = Annotated[str | None, typer.Option(help="Kept in the history of the run.")]
View = Callable[[Sequence[Mapping[str, Any]], datetime, int], str]
EXIT_BY_STATUS = {
    "completed": ExitCode.OK,
    "failed": ExitCode.RUN_FAILED,
    "cancelled": ExitCode.RUN_FAILED,
}
WAIT_SECONDS = 30.0
LOOK_SECONDS = 1.0
"""How often a watched run is looked at for who sits at a terminal."""
PATIENCE_SECONDS = 60.0
"""How long a service that does not answer is waited for: a restart takes less."""
PAUSE_SECONDS = 0.5


@app.command("list")
def list_runs(
    name: Annotated[str | None, typer.Option(help="Workflow name.")] = None,
    status: Annotated[list[str] | None, typer.Option(help="Status; repeat it for any of several.")] = None,
    reason: Annotated[list[str] | None, typer.Option(help="Why it ended; repeat it for any of several.")] = None,
    late: Annotated[bool | None, typer.Option(help="Those that are or were late, or those that never were.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="key:value, or key=value; repeated, all must hold.")] = None,
    order: Annotated[
        str, typer.Option(help="created_at, started_at, completed_at or updated_at; - for descending.")
    ] = "-created_at",
    limit: Annotated[int, typer.Option(help="How many, up to 200.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Where to go on.")] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """List workflow runs, newest first."""
    params: list[tuple[str, Any]] = [("limit", limit), ("order", order)]
    params += [("status", value) for value in status or []] + [("tag", read_tag(value)) for value in tag or []]
    params += [(key, value) for key, value in (("workflow_name", name), ("cursor", cursor)) if value is not None]
    params += [("reason", value) for value in reason or []]
    params += [] if late is None else [("late", str(late).lower())]
    _print_list(url, "/v1/workflow-runs", params, list_of_runs, as_json=as_json)


def _print_list(url: str, path: str, params: list[tuple[str, Any]], view: View, *, as_json: bool) -> None:
    """Print a page: at a terminal as wide as that is, else as the service writes it."""
    is_drawn = is_terminal() and not as_json
    response = call("GET", url, path, params=params, as_text=not as_json and not is_drawn)
    if not is_drawn:
        print_page(response, as_json=as_json)
        return
    typer.echo(view(response.json()["items"], read_clock(), terminal_width()), nl=False)
    print_more(response)


@app.command("show")
def show_run(workflow_run_id: RunId, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Show one workflow run, its warnings, and its history."""
    path = f"/v1/workflow-runs/{find_run(url, workflow_run_id)}"
    typer.echo(call("GET", url, path, as_text=not as_json).text.rstrip("\n"))
    if as_json:
        return
    if call("GET", url, f"{path}/warnings", params=[("limit", 1)]).json()["items"]:
        typer.echo()
        print_page(call("GET", url, f"{path}/warnings", as_text=True), as_json=False, by_curl=True)
    typer.echo()
    history = call("GET", url, f"{path}/history", params=[("limit", 200)], as_text=True)
    print_page(history, as_json=False, by_curl=True)


@app.command("watch")
def watch_run(
    workflow_run_id: RunId,
    timeout_seconds: Annotated[float | None, typer.Option(min=0, help="Give up after so many seconds.")] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Wait until a workflow run has ended, also across a restart of the service.

    Exits 0 if it completed, 1 if it failed or was cancelled, 124 at the time-out.
    """
    run_id = find_run(url, workflow_run_id)
    give_up_at = math.inf if timeout_seconds is None else time.monotonic() + timeout_seconds
    is_drawn = is_terminal() and not as_json
    said: str | None = None
    while True:
        response = _wait_a_while(url, run_id, give_up_at, LOOK_SECONDS if is_drawn else WAIT_SECONDS)
        run = response.json()
        standing = standing_of(run)
        if is_drawn:
            _draw(run)
        elif not as_json and said != standing:
            typer.echo(f"{run['updated_at']}  {run['display_name']}  {standing}{_why(run)}")
            said = standing
        if run["completed_at"] is not None or time.monotonic() >= give_up_at:
            break
    if is_drawn:
        typer.echo()
    if as_json:
        typer.echo(response.text)
    raise typer.Exit(EXIT_BY_STATUS.get(run["status"], ExitCode.TIMED_OUT))


def _draw(run: dict[str, Any]) -> None:
    """Write how a run stands over what was written before."""
    line = cut(line_of_run(run, read_clock()), terminal_width() - 1)
    typer.echo(f"\r\x1b[K{line.replace(run['status'], paint(run['status']), 1)}", nl=False)


@app.command("steps")
def list_steps(
    workflow_run_id: RunId,
    status: Annotated[list[str] | None, typer.Option(help="Status; repeat it for any of several.")] = None,
    limit: Annotated[int, typer.Option(help="How many, up to 200.")] = 200,
    cursor: Annotated[str | None, typer.Option(help="Where to go on.")] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """List the steps of a run that the service executes."""
    params: list[tuple[str, Any]] = [("limit", limit), *[("status", value) for value in status or []]]
    params += [("cursor", cursor)] if cursor is not None else []
    path = f"/v1/workflow-runs/{find_run(url, workflow_run_id)}/steps"
    _print_list(url, path, params, tree_of_steps, as_json=as_json)


@app.command("pause")
def pause_run(
    workflow_run_id: OneRun = None,
    status: Statuses = None,
    name: Name = None,
    tag: TagsOf = None,
    queue: QueueOf = None,
    yes: Yes = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Let an executed run, or all that match, hand out no more work; what is being worked on is finished."""
    selection = read_selection(name, status, tag, queue)
    _tell_one_or_many(url, workflow_run_id, "pause", selection, yes=yes, as_json=as_json)


@app.command("resume")
def resume_run(
    workflow_run_id: OneRun = None,
    status: Statuses = None,
    name: Name = None,
    tag: TagsOf = None,
    queue: QueueOf = None,
    yes: Yes = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Let a paused run, or all that match, hand out their work again."""
    selection = read_selection(name, status, tag, queue)
    _tell_one_or_many(url, workflow_run_id, "resume", selection, yes=yes, as_json=as_json)


@app.command("cancel")
def cancel_run(
    workflow_run_id: OneRun = None,
    status: Statuses = None,
    name: Name = None,
    tag: TagsOf = None,
    queue: QueueOf = None,
    yes: Yes = False,
    reason: Reason = None,
    grace_seconds: Annotated[
        float | None, typer.Option(min=0, help="How long what runs of the one run may take to stop; else 30.")
    ] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Cancel a run, or all that match: what is not running at once, what runs is asked to stop."""
    selection = read_selection(name, status, tag, queue)
    if selection and grace_seconds is not None:
        leave(ExitCode.USAGE, "--grace-seconds is for one run; many have 30 seconds")
    _tell_one_or_many(
        url,
        workflow_run_id,
        "cancel",
        selection,
        yes=yes,
        as_json=as_json,
        reason=reason,
        grace_seconds=grace_seconds,
    )


@app.command("retry")
def retry_run(
    workflow_run_id: OneRun = None,
    status: Statuses = None,
    name: Name = None,
    tag: TagsOf = None,
    queue: QueueOf = None,
    yes: Yes = False,
    reason: Reason = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Open a failed or cancelled run, or all that match, again; what was completed stays."""
    selection = read_selection(name, status, tag, queue)
    _tell_one_or_many(url, workflow_run_id, "retry", selection, yes=yes, as_json=as_json, reason=reason)


@app.command("delete")
def delete_run(
    workflow_run_id: OneRun = None,
    status: Statuses = None,
    name: Name = None,
    tag: TagsOf = None,
    queue: QueueOf = None,
    yes: Yes = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Delete an ended run, or all that match, with its tasks and its history; nothing brings it back."""
    selection = read_selection(name, status, tag, queue)
    check_one_or_many(workflow_run_id, selection)
    if workflow_run_id is None:
        tell_many(url, "delete", selection, yes=yes, as_json=as_json)
    else:
        run_id = find_run(url, workflow_run_id)
        call("DELETE", url, f"/v1/workflow-runs/{run_id}")
        typer.echo(f'{{"deleted":"{run_id}"}}' if as_json else f"{run_id}  deleted")


@app.command("rerun")
def rerun_run(
    workflow_run_id: RunId,
    from_step: Annotated[str, typer.Option(help="A step of the top level: it, and what follows, is done again.")],
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Do an executed run again from one of its steps, as a new run, which is printed."""
    _tell(url, workflow_run_id, "rerun", as_json=as_json, from_step=from_step)


def _tell_one_or_many(
    url: str,
    workflow_run_id: str | None,
    verb: str,
    selection: Mapping[str, Any],
    *,
    yes: bool,
    as_json: bool,
    reason: str | None = None,
    grace_seconds: float | None = None,
) -> None:
    """Call a verb of the run that is named, or of all that match."""
    check_one_or_many(workflow_run_id, selection)
    if workflow_run_id is None:
        tell_many(url, verb, selection, yes=yes, as_json=as_json, reason=reason)
    else:
        _tell(url, workflow_run_id, verb, as_json=as_json, reason=reason, grace_seconds=grace_seconds)


def _tell(url: str, workflow_run_id: str, verb: str, *, as_json: bool, **body: object) -> None:
    """Call a verb of a run, and print the run that it is answered with."""
    given = {name: value for name, value in body.items() if value is not None}
    response = call("POST", url, f"/v1/workflow-runs/{find_run(url, workflow_run_id)}/{verb}", json=given)
    run = response.json()
    line = f"{run['workflow_run_id']}  {run['display_name']}  {standing_of(run)}"
    typer.echo(response.text if as_json else line)


def _wait_a_while(url: str, workflow_run_id: UUID, give_up_at: float, most: float) -> "httpx.Response":
    """Return the run when it has ended, or as it stands after some time; a service that restarts is waited for."""
    path = f"/v1/workflow-runs/{workflow_run_id}/wait"
    patience_ends_at = time.monotonic() + PATIENCE_SECONDS
    while True:
        began = time.monotonic()
        seconds = max(0.0, min(most, give_up_at - began))
        response = _try_to_wait(url, path, seconds)
        if response is None:
            if began > min(patience_ends_at, give_up_at):
                return call("GET", url, path, params=[("timeout_seconds", 0)])
            time.sleep(PAUSE_SECONDS)
            continue
        if response.json()["completed_at"] is None and time.monotonic() - began < seconds - PAUSE_SECONDS:
            time.sleep(PAUSE_SECONDS)  # a service that is about to stop answers early
        return response


def _try_to_wait(url: str, path: str, seconds: float) -> "httpx.Response | None":
    """Return the answer, or None when the service is away for the moment; leave when it refuses."""
    import httpx  # noqa: PLC0415 - help needs no client

    try:
        response = send("GET", url, path, params=[("timeout_seconds", seconds)])
    except httpx.TransportError:
        return None
    return None if response.status_code == httpx.codes.SERVICE_UNAVAILABLE else accept(response)


def _why(run: dict[str, Any]) -> str:
    message = (run["error"] or {}).get("message")
    parts = [part for part in (run["reason"], message) if part]
    return f"  ({': '.join(parts)})" if parts else ""
