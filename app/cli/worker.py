"""`milepost worker`: running a worker until it is told to stop."""

import importlib
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.database import read_settings
from app.cli.exits import ExitCode, leave

if TYPE_CHECKING:
    from app.client import Worker

Place = Annotated[
    str, typer.Argument(metavar="MODULE:WORKER", help="Where the Worker is: a module, a colon and its name in it.")
]


def work(place: Place) -> None:
    """Work the tasks of a queue until Ctrl-C or SIGTERM; what runs is finished or given back first.

    The module is looked for in the current directory, too.
    """
    settings = read_settings()
    from app.client import RefusedError  # noqa: PLC0415 - the other commands start faster without it
    from app.logs import configure_logs  # noqa: PLC0415

    worker = _find_worker(place)
    configure_logs(settings)
    try:
        worker.run()
    except RefusedError as refusal:
        leave(ExitCode.REFUSED, str(refusal))


def _find_worker(place: str) -> "Worker":
    """Return the worker at ``module:name``, or leave with the reason why there is none."""
    from app.client import Worker  # noqa: PLC0415 - the other commands start faster without it

    module_name, _, name = place.partition(":")
    if not module_name or not name:
        leave(ExitCode.USAGE, f"{place} is not MODULE:WORKER, such as jobs.billing:worker")
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - the path of modules is made of texts
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        leave(ExitCode.USAGE, f"cannot import {module_name}: {error}")
    worker = getattr(module, name, None)
    if not isinstance(worker, Worker):
        leave(ExitCode.USAGE, f"{name} in {module_name} is not a Worker")
    return worker
