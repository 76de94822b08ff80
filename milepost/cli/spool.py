"""`milepost spool`: what `milepost exec` could not tell a service that was away."""

import typer

from milepost.cli.calls import DEFAULT_URL, Url
from milepost.cli.exits import ExitCode, leave

app = typer.Typer(no_args_is_help=True, help="What `exec` could not tell yet.")


@app.callback()
def _do_nothing() -> None:
    """Leave everything to the command that is named."""


@app.command("flush")
def flush_spool(url: Url = DEFAULT_URL) -> None:
    """Send what `exec` could not, once, each to the service that it was meant for; the API key goes to --url alone."""
    from milepost.cli.jobs.spool import REFUSED, Spool  # noqa: PLC0415 - help needs none of it

    spool = Spool()
    try:
        flushed = spool.flush(url, waits=True)
    except OSError as error:
        leave(ExitCode.CANNOT_START, f"{spool.directory} cannot be used: {error}")
    typer.echo(f"{flushed.sent} sent, {flushed.away} kept")
    if flushed.away:
        leave(ExitCode.UNREACHABLE, flushed.last_complaint)
    if flushed.refused:
        place = f"{spool.directory}/*{REFUSED}"
        leave(ExitCode.REFUSED, f"{flushed.refused} set aside as {place}: {flushed.last_complaint}")
