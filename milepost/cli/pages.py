"""Printing a page of a list, and the command that prints the next one."""

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    import httpx

PROGRAM = "milepost"
_CURSOR = "--cursor"


def print_page(response: "httpx.Response", *, as_json: bool, by_curl: bool = False) -> None:
    """Print a page as it came; below a table stands the command that goes on, with all that this one was given."""
    text = response.text.rstrip("\n")
    following = response.links.get("next")
    if following is not None and not as_json:
        address = response.url.join(following["url"])
        cursor = address.params["cursor"]
        command = _write_curl(str(address)) if by_curl else _write_own_command(cursor)
        text = f"{text.removesuffix(f'more: add cursor={cursor}')}more: {command}"
    typer.echo(text)


def print_more(response: "httpx.Response") -> None:
    """Print the command that goes on, with all that this one was given, if there is more."""
    if (following := response.links.get("next")) is not None:
        typer.echo(f"\nmore: {_write_own_command(response.url.join(following['url']).params['cursor'])}")


def _write_own_command(cursor: str) -> str:
    """Return this command with another cursor, quoted for a shell."""
    given = sys.argv[1:]
    kept = [
        word
        for word, before in zip(given, ["", *given], strict=False)
        if _CURSOR not in (word, before) and not word.startswith(f"{_CURSOR}=")
    ]
    return shlex.join([_name_of_program(), *kept, _CURSOR, cursor])


def _name_of_program() -> str:
    """Return what the shell finds this program by: its name, or its path where it is not on the PATH."""
    program, found = Path(sys.argv[0]), shutil.which(PROGRAM)
    if program.name != PROGRAM or (found and program.exists() and program.samefile(found)):
        return PROGRAM
    return sys.argv[0]


def _write_curl(address: str) -> str:
    key = ' -H "Authorization: Bearer $MILEPOST_API_KEY"' if os.environ.get("MILEPOST_API_KEY") else ""
    return f"curl -H 'Accept: text/plain'{key} {shlex.quote(address)}"
