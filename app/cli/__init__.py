"""The command `milepost`: thin; parse, call, print."""

import atexit
import gc
import signal

import typer

from app.cli import keys, runs, service, worker, workflows

THRESHOLDS = (100_000, 20, 50)
"""How seldom garbage is looked for: most of what a command makes are modules, which stay."""

app = typer.Typer(
    name="milepost",
    help="Tracks workflow runs and hands out their tasks over plain HTTP, on Postgres.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(service.serve)
app.command("migrate")(service.migrate)
app.command("version")(service.show_version)
app.command("openapi")(service.show_openapi)
app.command("worker")(worker.work)
app.add_typer(keys.app, name="keys")
app.add_typer(runs.app, name="runs")
app.add_typer(workflows.app, name="workflows")


def main() -> None:
    """Run the command that the arguments name."""
    gc.set_threshold(*THRESHOLDS)
    atexit.register(gc.freeze)  # what is left at the end goes with the process
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends a command, and is not one of its exit codes
    app()
