"""`milepost workflows`: definitions that a running service registers, checks, plays through and starts."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from milepost.cli.calls import DEFAULT_URL, Document, Url, call
from milepost.cli.exits import ExitCode, leave
from milepost.cli.pages import print_page
from milepost.cli.runs import watch_run

app = typer.Typer(help="Register, check, simulate and start definitions of workflows.", no_args_is_help=True)
File = Annotated[str, typer.Argument(help="Definition as YAML or JSON; - reads standard input.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON as the service answers it.")]
Name = Annotated[str, typer.Argument(help="Name of the workflow.")]
Version = Annotated[str, typer.Argument(help="Version; without it the newest.")]
ADDRESS = "/v1/workflows"


@app.command("register")
def register_workflow(file: File, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Register a definition; registering the same again changes nothing."""
    response = call("POST", url, ADDRESS, document=_read_document(file))
    if as_json:
        typer.echo(response.text)
        return
    found = response.json()
    is_new = response.status_code == 201  # noqa: PLR2004 - created
    said = "registered" if is_new else "registered before"
    typer.echo(f"{found['workflow_name']} {found['workflow_version']} {said}  {found['workflow_hash']}")
    _print_findings("warning", found["warnings"])


@app.command("validate")
def validate_workflow(file: File, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Say what is wrong with a definition, each with its place; exits 22 if it would be refused."""
    response = call("POST", url, f"{ADDRESS}/validate", document=_read_document(file))
    found = response.json()
    if as_json:
        typer.echo(response.text)
    else:
        _print_findings("error", found["errors"])
        _print_findings("warning", found["warnings"])
        typer.echo("valid" if found["valid"] else f"not valid: {len(found['errors'])} errors")
    if not found["valid"]:
        raise typer.Exit(ExitCode.REFUSED)


@app.command("simulate")
def simulate_workflow(
    file: File,
    script: Annotated[
        str, typer.Argument(help="JSON: a list of steps, or an object with steps, inputs, run, start_time.")
    ],
    url: Url = DEFAULT_URL,
) -> None:
    """Play a script through a definition, and print what each of its steps causes."""
    document = _read_document(file)
    play = _read_json(script, _read_file(script))
    body = play if isinstance(play, dict) else {"steps": play}
    text = document.content.decode(errors="replace")
    response = call("POST", url, f"{ADDRESS}/simulate", json={**body, "definition": text})
    typer.echo(json.dumps(response.json(), indent=2, ensure_ascii=False))


@app.command("start")
def start_workflow(
    name: Name,
    version: Version = "latest",
    inputs: Annotated[str, typer.Option(help="JSON, or @FILE that holds it.")] = "{}",
    tag: Annotated[list[str] | None, typer.Option(help="key=value; may be repeated.")] = None,
    queue: Annotated[str, typer.Option(help="Where its work items go.")] = "default",
    wait: Annotated[bool, typer.Option("--wait", help="Watch it until it has ended.")] = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Start a run and print its id.

    With --wait it exits 0 if the run completed, and 1 if it failed or was cancelled.
    """
    tags = dict(_split_tag(text) for text in tag or [])
    text = _read_file(inputs[1:]).decode(errors="replace") if inputs.startswith("@") else inputs
    body = {"inputs": _read_json("--inputs", text.encode(errors="replace")), "tags": tags, "queue": queue}
    run = call("POST", url, f"{_address(name, version)}/runs", json=body).json()
    typer.echo(run["workflow_run_id"])
    if wait:
        watch_run(run["workflow_run_id"], url=url)


@app.command("graph")
def show_graph(
    what: Annotated[str, typer.Argument(help="File of a definition, - or name of a registered workflow.")],
    version: Version = "latest",
    url: Url = DEFAULT_URL,
) -> None:
    """Print the steps of a definition as a Mermaid flowchart."""
    if what != "-" and not Path(what).is_file():
        typer.echo(call("GET", url, f"{_address(what, version)}/graph", as_text=True).text.rstrip("\n"))
        return
    from milepost.mermaid import write_mermaid  # noqa: PLC0415 - the other commands start faster without it
    from milepost.schemas.workflows import WorkflowGraph  # noqa: PLC0415

    found = call("POST", url, f"{ADDRESS}/validate", document=_read_document(what)).json()
    if not found["valid"]:
        _print_findings("error", found["errors"])
        raise typer.Exit(ExitCode.REFUSED)
    typer.echo(write_mermaid(WorkflowGraph.model_validate(found["graph"])).rstrip("\n"))


@app.command("list")
def list_workflows(
    limit: Annotated[int, typer.Option(help="How many, up to 200.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Where to go on.")] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """List the newest version of each workflow."""
    params = [("limit", limit), *([("cursor", cursor)] if cursor is not None else [])]
    print_page(call("GET", url, ADDRESS, params=params, as_text=not as_json), as_json=as_json)


def _address(name: str, version: str) -> str:
    return f"{ADDRESS}/{quote(name, safe='')}/{quote(version, safe='')}"


def _read_file(name: str) -> bytes:
    """Return what a file holds, or standard input; leave if it cannot be read."""
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        leave(ExitCode.USAGE, f"cannot read {name}: {error.strerror}")


def _read_document(file: str) -> Document:
    """Return a definition as it is sent: JSON where it begins like that, for its errors are told better so."""
    content = _read_file(file)
    is_json = file.endswith(".json") or content.lstrip().startswith(b"{")
    return Document(content, "application/json" if is_json else "application/yaml")


def _read_json(name: str, content: bytes) -> Any:
    try:
        value = json.loads(content)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        leave(ExitCode.USAGE, f"{name} is not JSON: {error}")
    return value


def _split_tag(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator or not key:
        leave(ExitCode.USAGE, f"--tag {text} is not key=value")
    return key, value


def _print_findings(kind: str, findings: list[dict[str, Any]]) -> None:
    for found in findings:
        typer.echo(f"{kind}  {found['code']}  {found['pointer'] or '/'}: {found['detail']}")
