"""`milepost monitors` and `milepost ping`: when runs should come, and telling that one has."""

from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import quote

import typer

from milepost.cli.calls import DEFAULT_URL, Url, call
from milepost.cli.pages import print_page

app = typer.Typer(help="List monitors: when runs should come, and how that goes.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON as the service answers it.")]
ADDRESS = "/v1/monitors"


class PingWord(StrEnum):
    """What has happened to a run, as it is said in a script."""

    start = "start"
    ok = "ok"
    fail = "fail"


_STATES = {PingWord.start: "started", PingWord.ok: "completed", PingWord.fail: "failed"}


@app.command("list")
def list_monitors(
    name: Annotated[str | None, typer.Option(help="Workflow name.")] = None,
    state: Annotated[list[str] | None, typer.Option(help="State; repeat it for any of several.")] = None,
    limit: Annotated[int, typer.Option(help="How many, up to 200.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Where to go on.")] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """List monitors by name, and how they stand."""
    params: list[tuple[str, Any]] = [("limit", limit), *(("state", value) for value in state or [])]
    params += [(key, value) for key, value in (("workflow_name", name), ("cursor", cursor)) if value is not None]
    print_page(call("GET", url, ADDRESS, params=params, as_text=not as_json), as_json=as_json)


def ping(
    name: Annotated[str, typer.Argument(help="Name of the monitor.")],
    state: Annotated[PingWord, typer.Argument(help="What has happened to a run.")] = PingWord.ok,
    message: Annotated[
        str | None, typer.Option(help="Of a failure the error's message, else a line of the log.")
    ] = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Tell a monitor that a run has started, completed or failed, and print the id of the run."""
    body = {"state": _STATES[state], "message": message}
    run = call("POST", url, f"{ADDRESS}/{quote(name, safe='')}/ping", json=body).json()
    typer.echo(run["workflow_run_id"])
