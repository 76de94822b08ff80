"""`milepost exec`: a command as a workflow run."""

from socket import gethostname
from typing import Annotated, Any

import typer

from milepost.cli.calls import DEFAULT_URL, Url
from milepost.cli.exits import ExitCode, leave

Pairs = list[str] | None
CREATED_BY_MOST = 255


def execute(
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND...", help="The command and its arguments.")],
    name: Annotated[str | None, typer.Option(help="Workflow name; else made from the command's.")] = None,
    version: Annotated[str, typer.Option(help="Workflow version.")] = "1",
    queue: Annotated[str, typer.Option(help="Queue that the run is counted to.")] = "default",
    tag: Annotated[Pairs, typer.Option(metavar="KEY=VALUE", help="Tag of the run; repeatable.")] = None,
    given: Annotated[
        Pairs, typer.Option("--input", metavar="KEY=VALUE", help="Input of the run, JSON or text; repeatable.")
    ] = None,
    deadline: Annotated[
        float | None, typer.Option(min=0.001, max=315_360_000, help="Seconds after which it is ended.")
    ] = None,
    heartbeat: Annotated[
        float, typer.Option(min=1, max=86_400, help="Seconds without a heartbeat after which the run is lost.")
    ] = 60,
    monitor: Annotated[
        str | None, typer.Option(help="Monitor that waits for it: the run gets its workflow name and tags.")
    ] = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Run a command as a workflow run: its output is the run's log, its exit code this one's.

    A service that does not answer never keeps the command from running.
    """
    from milepost.cli.jobs.execution import Execution  # noqa: PLC0415 - help needs none of it
    from milepost.cli.jobs.options import (  # noqa: PLC0415
        check_names,
        check_seconds,
        clean,
        name_of,
        read_inputs,
        read_tags,
    )
    from milepost.cli.jobs.service import Service  # noqa: PLC0415
    from milepost.cli.jobs.story import Story  # noqa: PLC0415

    keeps_name = name is not None
    name = name_of(command[0]) if name is None else name
    try:
        check_names(name, version, queue, monitor)
        check_seconds(deadline=deadline, heartbeat=heartbeat)
        Service(url)
        run: dict[str, Any] = {"inputs": read_inputs(given or []), "tags": read_tags(tag or []), "queue": queue}
    except ValueError as error:
        leave(ExitCode.USAGE, str(error))
    run |= {"workflow_name": name, "workflow_version": version, "heartbeat_seconds": heartbeat, "status": "running"}
    run["created_by"] = clean(f"exec@{gethostname()}")[:CREATED_BY_MOST]
    if deadline is not None:
        run["deadline_seconds"] = deadline
    Execution(Story(url.rstrip("/"), run, monitor, keeps_name), command).run()
