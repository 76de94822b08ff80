"""`milepost runs`: looking at workflow runs of a running service, and telling them what to do."""

import math
import time
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from milepost.cli.calls import DEFAULT_URL, Url, accept, call, send
from milepost.cli.exits import ExitCode
from milepost.cli.pages import print_page

if TYPE_CHECKING:
    import httpx

app = typer.Typer(help="List, show, watch and steer workflow runs.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON as the service answers it.")]
RunId = Annotated[UUID, typer.Argument(help="Id of the workflow run.")]
Reason = Annotated[str | None, typer.Option(help="Kept in the history of the run.")]
EXIT_BY_STATUS = {
    "completed": ExitCode.OK,
    "failed": ExitCode.RUN_FAILED,
    "cancelled": ExitCode.RUN_FAILED,
}
WAIT_SECONDS = 30.0
PATIENCE_SECONDS = 60.0
"""How long a service that does not answer is waited for: a restart takes less."""
PAUSE_SECONDS = 0.5


@app.command("list")
def list_runs(
    name: Annotated[str | None, typer.Option(help="Workflow name.")] = None,
    status: Annotated[list[str] | None, typer.Option(help="Status; repeat it for any of several.")] = None,
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
    params += [("status", value) for value in status or []] + [("tag", _read_tag(value)) for value in tag or []]
    params += [(key, value) for key, value in (("workflow_name", name), ("cursor", cursor)) if value is not None]
    print_page(call("GET", url, "/v1/workflow-runs", params=params, as_text=not as_json), as_json=as_json)


def _read_tag(text: str) -> str:
    """Return a tag as the service takes it; ``env=prod`` is ``env:prod``."""
    key, separator, value = text.partition("=")
    return f"{key}:{value}" if separator and ":" not in key else text


@app.command("show")
def show_run(workflow_run_id: RunId, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Show one workflow run, and its history."""
    path = f"/v1/workflow-runs/{workflow_run_id}"
    typer.echo(call("GET", url, path, as_text=not as_json).text.rstrip("\n"))
    if not as_json:
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
    give_up_at = math.inf if timeout_seconds is None else time.monotonic() + timeout_seconds
    said: str | None = None
    while True:
        response = _wait_a_while(url, workflow_run_id, give_up_at)
        run = response.json()
        if not as_json and said != run["status"]:
            typer.echo(f"{run['updated_at']}  {run['display_name']}  {run['status']}{_why(run)}")
            said = run["status"]
        if run["completed_at"] is not None or time.monotonic() >= give_up_at:
            break
    if as_json:
        typer.echo(response.text)
    raise typer.Exit(EXIT_BY_STATUS.get(run["status"], ExitCode.TIMED_OUT))


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
    path = f"/v1/workflow-runs/{workflow_run_id}/steps"
    print_page(call("GET", url, path, params=params, as_text=not as_json), as_json=as_json)


@app.command("pause")
def pause_run(workflow_run_id: RunId, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Let an executed run hand out no more work; what is being worked on is finished."""
    _tell(url, workflow_run_id, "pause", as_json=as_json)


@app.command("resume")
def resume_run(workflow_run_id: RunId, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Let a paused run hand out its work again."""
    _tell(url, workflow_run_id, "resume", as_json=as_json)


@app.command("cancel")
def cancel_run(
    workflow_run_id: RunId,
    reason: Reason = None,
    grace_seconds: Annotated[
        float | None, typer.Option(min=0, help="How long what runs may take to stop; else 30.")
    ] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Cancel a run: what is not running at once, what runs is asked to stop."""
    _tell(url, workflow_run_id, "cancel", as_json=as_json, reason=reason, grace_seconds=grace_seconds)


@app.command("retry")
def retry_run(workflow_run_id: RunId, reason: Reason = None, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Open a failed or cancelled run again; what was completed stays."""
    _tell(url, workflow_run_id, "retry", as_json=as_json, reason=reason)


@app.command("rerun")
def rerun_run(
    workflow_run_id: RunId,
    from_step: Annotated[str, typer.Option(help="A step of the top level: it, and what follows, is done again.")],
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Do an executed run again from one of its steps, as a new run, which is printed."""
    _tell(url, workflow_run_id, "rerun", as_json=as_json, from_step=from_step)


def _tell(url: str, workflow_run_id: UUID, verb: str, *, as_json: bool, **body: object) -> None:
    """Call a verb of a run, and print the run that it is answered with."""
    given = {name: value for name, value in body.items() if value is not None}
    response = call("POST", url, f"/v1/workflow-runs/{workflow_run_id}/{verb}", json=given)
    run = response.json()
    asked = "  (asked to stop)" if run["cancel_requested_at"] and run["completed_at"] is None else ""
    line = f"{run['workflow_run_id']}  {run['display_name']}  {run['status']}{asked}"
    typer.echo(response.text if as_json else line)


def _wait_a_while(url: str, workflow_run_id: UUID, give_up_at: float) -> "httpx.Response":
    """Return the run when it has ended, or as it stands after some time; a service that restarts is waited for."""
    path = f"/v1/workflow-runs/{workflow_run_id}/wait"
    patience_ends_at = time.monotonic() + PATIENCE_SECONDS
    while True:
        began = time.monotonic()
        seconds = max(0.0, min(WAIT_SECONDS, give_up_at - began))
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
