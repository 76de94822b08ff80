"""`milepost why`: what a run, a task or a schedule waits for, and what would change it."""

from http import HTTPStatus
from typing import Annotated

import typer

from milepost.cli.calls import DEFAULT_URL, Url, call
from milepost.cli.exits import ExitCode, leave
from milepost.cli.run_ids import find_run

PLACES = ("workflow-runs", "tasks", "schedules")
"""Where the thing may be, in the order in which it is looked for."""


def explain(
    thing: Annotated[
        str, typer.Argument(metavar="ID", help="Id of a workflow run, its end, or id of a task or a schedule.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON as the service answers it.")] = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Say why a run, a task or a schedule stands where it stands, and which call would change it."""
    thing_id = find_run(url, thing)
    for place in PLACES:
        response = call("GET", url, f"/v1/{place}/{thing_id}/why", as_text=not as_json, may_be_missing=True)
        if response.status_code != HTTPStatus.NOT_FOUND:
            typer.echo(response.text.rstrip("\n"))
            return
    leave(ExitCode.REFUSED, f"no run, task or schedule has the id {thing_id}")
