"""One verb for all workflow runs that match: counted, shown and asked about before it is done."""

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from milepost.cli.calls import call
from milepost.cli.exits import ExitCode, leave

BULK_OPERATIONS = "/v1/bulk-operations"
OneRun = Annotated[
    str | None, typer.Argument(help="Id of the workflow run, or its end as a list shows it; else filters.")
]
Name = Annotated[str | None, typer.Option(help="Of all runs that match: workflow name.")]
Statuses = Annotated[list[str] | None, typer.Option(help="Their status; repeat it for any of several.")]
TagsOf = Annotated[list[str] | None, typer.Option(help="key:value, or key=value; repeated, all must hold.")]
QueueOf = Annotated[str | None, typer.Option(help="Their queue.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it to all that match without being asked.")]
LOOK_SECONDS = 0.2


def read_tag(text: str) -> str:
    """Return a tag as the service takes it; ``env=prod`` is ``env:prod``."""
    key, separator, value = text.partition("=")
    return f"{key}:{value}" if separator and ":" not in key else text


def read_selection(
    name: str | None, status: Sequence[str] | None, tag: Sequence[str] | None, queue: str | None
) -> dict[str, Any]:
    """Return the filter that options ask for; empty where none is given."""
    given = {"workflow_name": name, "status": status, "tag": [read_tag(each) for each in tag or []], "queue": queue}
    return {name: value for name, value in given.items() if value}


def check_one_or_many(workflow_run_id: str | None, selection: Mapping[str, Any]) -> None:
    """Leave unless there is either an id or a filter."""
    if workflow_run_id is not None and selection:
        leave(ExitCode.USAGE, "give the id of a run, or filters for many, not both")
    if workflow_run_id is None and not selection:
        leave(ExitCode.USAGE, "give the id of a run, or filters for many: --status, --name, --tag, --queue")


def tell_many(
    url: str, verb: str, selection: Mapping[str, Any], *, yes: bool, as_json: bool, reason: str | None = None
) -> None:
    """Do a verb to all runs that match, once whoever sits there agrees, and print how it went."""
    body = {"resource": "workflow_runs", "verb": verb, "filter": dict(selection), "reason": reason}
    found = call("POST", url, BULK_OPERATIONS, json=body).json()
    _show(found, to_errors=as_json)
    if found["count"] == 0:
        return
    _ask(verb, found["count"], yes=yes)
    begun = call("POST", url, BULK_OPERATIONS, json={**body, "dry_run": False, "token": found["token"]}).json()
    path = f"{BULK_OPERATIONS}/{begun['bulk_operation_id']}"
    while (response := call("GET", url, path)).json()["status"] == "running":
        time.sleep(LOOK_SECONDS)
    over = response.json()
    line = f"{over['status']}: {over['done'] - over['refused']} of {over['total']} done, {over['refused']} refused"
    typer.echo(response.text if as_json else f"{over['bulk_operation_id']}  {verb} {line}")


def _show(found: Mapping[str, Any], *, to_errors: bool) -> None:
    """Print how many match, and the newest of them."""
    sample, count = found["sample"], found["count"]
    lines = [f"{count} {'run matches' if count == 1 else 'runs match'}", *(f"  {each}" for each in sample)]
    if count > len(sample):
        lines.append(f"  and {count - len(sample)} more")
    typer.echo("\n".join(lines), err=to_errors)


def _ask(verb: str, count: int, *, yes: bool) -> None:
    """Go on when it is wanted; leave otherwise, and where nobody sits who could say so."""
    if yes:
        return
    if not sys.stdin.isatty():
        leave(ExitCode.USAGE, f"nothing was done: this is no terminal; add --yes to {verb} all of them")
    if not typer.confirm(f"{verb} {'this run' if count == 1 else f'these {count} runs'}?", err=True):
        leave(ExitCode.USAGE, "nothing was done")
