"""`milepost worker`: running a worker until it is told to stop."""

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

import typer

from milepost.cli.calls import DEFAULT_URL, Url
from milepost.cli.exits import ExitCode, leave

if TYPE_CHECKING:
    from milepost.client import Worker

Place = Annotated[
    str | None, typer.Argument(metavar="[MODULE:WORKER]", help="A Worker of your own: a module, a colon and its name.")
]
Functions = Annotated[
    list[str] | None,
    typer.Option(
        "--functions", metavar="MODULE", help="Work the tasks that are named after functions of a module; repeatable."
    ),
]
Queue = Annotated[str | None, typer.Option(help="Queue to work, with --functions; else `default`.")]
Concurrency = Annotated[int | None, typer.Option(min=1, help="Tasks at once, with --functions; else 10.")]

Capture = Annotated[
    bool,
    typer.Option("--capture/--no-capture", help="Whether what tasks print and log goes to their logs in the service."),
]


def work(
    place: Place = None,
    functions: Functions = None,
    queue: Queue = None,
    concurrency: Concurrency = None,
    capture: Capture = True,
    url: Url = DEFAULT_URL,
) -> None:
    """Work the tasks of a queue until Ctrl-C or SIGTERM; what runs is finished or given back first.

    With `--functions etl` a task named `etl.extract` calls that function with the arguments of its step, and no other
    task is taken. Modules are looked for in the current directory, too.
    """
    from milepost.cli.logs import configure_logs  # noqa: PLC0415 - help needs no client
    from milepost.client import RefusedError  # noqa: PLC0415

    configure_logs()
    if (place is None) == (not functions):
        leave(ExitCode.USAGE, "name either MODULE:WORKER or --functions MODULE")
    if place is not None:
        if queue is not None or concurrency is not None:
            leave(ExitCode.USAGE, "--queue and --concurrency go with --functions; a Worker has its own")
        worker = _find_worker(place)
    else:
        worker = _make_worker(functions or [], {"queue": queue, "concurrency": concurrency}, url)
    worker.capture_output = worker.capture_output and capture
    try:
        worker.run()
    except RefusedError as refusal:
        leave(ExitCode.REFUSED, str(refusal))


def _find_worker(place: str) -> "Worker":
    """Return the worker at ``module:name``, or leave with the reason why there is none."""
    from milepost.client import Worker  # noqa: PLC0415 - help needs no client

    module_name, _, name = place.partition(":")
    if not module_name or not name:
        leave(ExitCode.USAGE, f"{place} is not MODULE:WORKER, such as jobs.billing:worker")
    worker = getattr(_import_module(module_name), name, None)
    if not isinstance(worker, Worker):
        leave(ExitCode.USAGE, f"{name} in {module_name} is not a Worker")
    return worker


def _make_worker(modules: Sequence[str], options: dict[str, str | int | None], url: str) -> "Worker":
    """Return a worker for the functions of ``modules``, or leave with the reason why there is none."""
    from milepost.client import Client, Worker  # noqa: PLC0415 - help needs no client
    from milepost.client.worker import TASK_NAMES_MOST  # noqa: PLC0415

    try:
        given = {name: value for name, value in options.items() if value is not None}
        worker = Worker(Client(url), **given)  # type: ignore[arg-type]
        for module in dict.fromkeys(modules):
            worker.functions(_import_module(module))
    except (ValueError, AttributeError) as error:
        leave(ExitCode.USAGE, str(error))
    if len(worker.handlers) > TASK_NAMES_MOST:
        leave(ExitCode.USAGE, f"a worker has at most {TASK_NAMES_MOST} functions, and these are {len(worker.handlers)}")
    return worker


def _import_module(name: str) -> ModuleType:
    """Return a module that may stand in the current directory, or leave with the reason why it cannot be imported."""
    if not all(part.isidentifier() for part in name.split(".")):
        leave(ExitCode.USAGE, f"{name or 'nothing'} is not the name of a module, such as etl or jobs.etl")
    here = Path.cwd()
    if str(here) not in sys.path[:1]:
        sys.path.insert(0, str(here))
    try:
        return importlib.import_module(name)
    except Exception as error:  # noqa: BLE001 - whatever a module raises, the command cannot go on
        leave(ExitCode.USAGE, f"cannot import {name}: {_describe(error)}")


def _describe(error: Exception) -> str:
    """Return what went wrong while a module was imported, and where."""
    if isinstance(error, ImportError | SyntaxError):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({os.path.relpath(place.filename)}, line {place.lineno})"
