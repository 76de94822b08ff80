"""Which commands there are: those of callers, and those that an installed service adds; each is loaded when named."""

from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from importlib import import_module
from typing import Any, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from milepost.cli.exits import ExitCode, leave

ENTRY_POINTS = "milepost.commands"
"""The group of entry points by which a distribution adds commands."""
OF_CALLERS: Mapping[str, str] = {
    "runs": "milepost.cli.runs:app",
    "logs": "milepost.cli.log_lines:show_logs",
    "workflows": "milepost.cli.workflows:app",
    "monitors": "milepost.cli.monitors:app",
    "ping": "milepost.cli.monitors:ping",
    "why": "milepost.cli.why:explain",
    "worker": "milepost.cli.worker:work",
    "exec": "milepost.cli.exec:execute",
    "spool": "milepost.cli.spool:app",
    "tail": "milepost.cli.tail:tail_changes",
    "version": "milepost.cli.version:show_version",
}
OF_THE_SERVICE = ("serve", "migrate", "keys", "openapi", "demo")
"""What the distribution of the service adds; where it is not installed, these say so."""
SERVICE = "milepost-server"
CALLING, RUNNING = "Calling a service", "Running the service"
"""The headings of the help."""


class Commands(TyperGroup):
    """Commands by their names, none of which waits for what the others import."""

    given: Mapping[str, str] | None = None
    """Where the commands are that are added, if they are not looked for among what is installed."""

    @cached_property
    def added(self) -> Mapping[str, str]:
        """The places of the commands that are added to those of callers."""
        if self.given is not None:
            return self.given
        from importlib.metadata import entry_points  # noqa: PLC0415 - commands of callers start faster without it

        found = {entry.name: entry.value for entry in entry_points(group=ENTRY_POINTS)}
        return {name: found[name] for name in sorted(found, key=_place_in_help)}

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands, those of callers first."""
        del ctx
        return [*OF_CALLERS, *(name for name in self.added if name not in OF_CALLERS)]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, which ends with what is not installed."""
        self.epilog = write_epilog(self.added)
        super().format_help(ctx, formatter)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | TyperGroup | None:
        """Return a command, or None if there is none of that name."""
        del ctx
        if cmd_name in OF_CALLERS:
            return _load(cmd_name, OF_CALLERS[cmd_name], CALLING)
        return _load(cmd_name, self.added[cmd_name], RUNNING) if cmd_name in self.added else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the arguments name, or leave with what must be installed to have it."""
        if args[0] not in OF_CALLERS and args[0] not in self.added:
            if args[0] in OF_THE_SERVICE:
                leave(ExitCode.USAGE, f"`{args[0]}` is a command of the service: pip install {SERVICE}")
            self.commands = cast("Any", dict.fromkeys(self.list_commands(ctx)))  # one of them may be meant
        return super().resolve_command(ctx, args)


def make_command(added: Mapping[str, str] | None = None) -> Commands:
    """Return the command `milepost`, with those that are ``added``; else with what is installed."""
    app = typer.Typer(
        name="milepost",
        help="Tracks workflow runs and hands out their tasks over plain HTTP, on Postgres.",
        cls=Commands,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_do_nothing)
    command = cast("Commands", get_command(app))
    command.given = added
    return command


def write_epilog(added: Collection[str]) -> str | None:
    """Return what to install for the commands that are missing, if any are."""
    missing = [name for name in OF_THE_SERVICE if name not in added]
    return f"`pip install {SERVICE}` adds {', '.join(missing)}." if missing else None


def _place_in_help(name: str) -> tuple[int, str]:
    """Return what added commands are sorted by: those of the service come in their order, before any others."""
    return (OF_THE_SERVICE.index(name) if name in OF_THE_SERVICE else len(OF_THE_SERVICE), name)


def _do_nothing() -> None:
    """Leave everything to the command that is named."""


def _load(name: str, place: str, panel: str) -> TyperCommand | TyperGroup:
    """Return the command at `module:name`: a function, or a group of commands."""
    module, _, attribute = place.partition(":")
    found: typer.Typer | Callable[..., Any] = getattr(import_module(module), attribute)
    holder = typer.Typer()
    if isinstance(found, typer.Typer):
        holder.add_typer(found, name=name, rich_help_panel=panel)
    else:
        holder.command(name, rich_help_panel=panel)(found)
    return cast("TyperCommand | TyperGroup", get_group(holder).commands[name])
