"""The command `milepost`: thin; parse, call, print."""

import atexit
import gc
import signal
from collections.abc import Mapping

from milepost.cli.commands import make_command

THRESHOLDS = (100_000, 20, 50)
"""How seldom garbage is looked for: most of what a command makes are modules, which stay."""


def main(others: Mapping[str, str] | None = None) -> None:
    """Run the command that the arguments name; ``others`` are the commands that are added to those of callers."""
    gc.set_threshold(*THRESHOLDS)
    atexit.register(gc.freeze)  # what is left at the end goes with the process
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends a command, and is not one of its exit codes
    make_command(others)()
