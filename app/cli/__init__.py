"""The commands of the service; `milepost` finds them by their entry points."""

from collections.abc import Mapping

from milepost import cli

COMMANDS: Mapping[str, str] = {
    "serve": "app.cli.service:serve",
    "migrate": "app.cli.service:migrate",
    "keys": "app.cli.keys:app",
    "openapi": "app.cli.service:show_openapi",
    "demo": "app.cli.demo.command:show_demo",
}


def main() -> None:
    """Run the command that the arguments name, also where the service is not installed but a checkout."""
    cli.main(COMMANDS)
