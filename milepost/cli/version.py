"""`milepost version`."""

import platform
from importlib.metadata import version

import typer


def show_version() -> None:
    """Print the version."""
    typer.echo(f"milepost {version('milepost')}, Python {platform.python_version()}")
