"""`milepost runs`: looking at workflow runs of a running service."""

from typing import Annotated, Any
from uuid import UUID

import typer

from app.cli.calls import DEFAULT_URL, Url, call

app = typer.Typer(help="List, show and watch workflow runs.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON as the service answers it.")]
RunId = Annotated[UUID, typer.Argument(help="Id of the workflow run.")]
EXIT_BY_STATUS = {"completed": 0, "failed": 1, "cancelled": 1}
EXIT_TIME_OUT = 124
WAIT_SECONDS = 30.0


@app.command("list")
def list_runs(
    name: Annotated[str | None, typer.Option(help="Workflow name.")] = None,
    status: Annotated[list[str] | None, typer.Option(help="Status; repeat it for any of several.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="key:value; repeated, all must hold.")] = None,
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
    params += [("status", value) for value in status or []] + [("tag", value) for value in tag or []]
    params += [(key, value) for key, value in (("workflow_name", name), ("cursor", cursor)) if value is not None]
    typer.echo(call("GET", url, "/v1/workflow-runs", params=params, as_text=not as_json).text.rstrip("\n"))


@app.command("show")
def show_run(workflow_run_id: RunId, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Show one workflow run, and its history."""
    path = f"/v1/workflow-runs/{workflow_run_id}"
    typer.echo(call("GET", url, path, as_text=not as_json).text.rstrip("\n"))
    if not as_json:
        typer.echo("\n" + call("GET", url, f"{path}/history", as_text=True).text.rstrip("\n"))


@app.command("watch")
def watch_run(
    workflow_run_id: RunId,
    timeout_seconds: Annotated[float | None, typer.Option(help="Give up after so many seconds.")] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Wait until a workflow run has ended.

    Exits 0 if it completed, 1 if it failed or was cancelled, 124 at the time-out.
    """
    left = timeout_seconds
    said: str | None = None
    while True:
        seconds = WAIT_SECONDS if left is None else min(WAIT_SECONDS, left)
        response = call("GET", url, f"/v1/workflow-runs/{workflow_run_id}/wait", params=[("timeout_seconds", seconds)])
        run = response.json()
        left = None if left is None else left - seconds
        if not as_json and said != run["status"]:
            typer.echo(f"{run['updated_at']}  {run['display_name']}  {run['status']}{_why(run)}")
            said = run["status"]
        if run["completed_at"] is not None or (left is not None and left <= 0):
            break
    if as_json:
        typer.echo(response.text)
    raise typer.Exit(EXIT_BY_STATUS.get(run["status"], EXIT_TIME_OUT))


def _why(run: dict[str, Any]) -> str:
    message = (run["error"] or {}).get("message")
    parts = [part for part in (run["reason"], message) if part]
    return f"  ({': '.join(parts)})" if parts else ""
