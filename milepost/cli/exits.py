"""How a command ends: one clear line and an exit code that a script can read."""

from collections.abc import Mapping
from enum import IntEnum
from typing import NoReturn

import typer


class ExitCode(IntEnum):
    """What a command ends with; 7, 22 and 124 mean what they mean for curl and timeout, 128 and more a signal."""

    OK = 0
    RUN_FAILED = 1
    USAGE = 2
    CANNOT_START = 3
    UNREACHABLE = 7
    REFUSED = 22
    TIMED_OUT = 124
    INTERRUPTED = 130
    TERMINATED = 143


MEANINGS: Mapping[ExitCode, str] = {
    ExitCode.OK: "It is done; `serve` was asked to stop; the watched run completed.",
    ExitCode.RUN_FAILED: "`runs watch`, `workflows start --wait`: the run failed or was cancelled.",
    ExitCode.USAGE: "The command line is wrong: an unknown command, option or value; `exec` has run nothing.",
    ExitCode.CANNOT_START: "A setting is wrong, the port is taken, or the database or the spool cannot be used.",
    ExitCode.UNREACHABLE: "`runs`, `workflows`, `monitors`, `ping`, `why`, `logs`, `spool flush`: the service does not"
    " answer.",
    ExitCode.REFUSED: "The service refused the request or the definition, or the key exists already or is not known.",
    ExitCode.TIMED_OUT: "`runs watch`: the run had not ended within `--timeout-seconds`.",
    ExitCode.INTERRUPTED: "`worker`: Ctrl-C a second time; what ran was given back, if that took less than a second.",
    ExitCode.TERMINATED: "`worker`: the same, by a second SIGTERM.",
}


def leave(code: ExitCode, message: str) -> NoReturn:
    """End the command with ``message`` on standard error, on one line."""
    typer.echo(f"milepost: {' '.join(message.split())}", err=True)
    raise typer.Exit(code)
