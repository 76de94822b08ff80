"""`milepost serve`, `milepost migrate` and `milepost openapi`."""

import json
from typing import Annotated

import typer

from app.cli.database import migrate_database, open_database, read_settings

Host = Annotated[str | None, typer.Option(help="Address to listen on, instead of MILEPOST_HOST.")]
Port = Annotated[int | None, typer.Option(help="Port to listen on, instead of MILEPOST_PORT; 0 takes a free one.")]


def serve(host: Host = None, port: Port = None) -> None:
    """Serve the API until Ctrl-C or SIGTERM; requests under way are answered first.

    Without MILEPOST_DATABASE_URL an embedded Postgres is started, migrated, and stopped with its last user.
    """
    settings = read_settings(host=host, port=port)
    from app.cli import server  # noqa: PLC0415 - the other commands start faster without it

    with server.listen(settings.host, settings.port) as listener:
        settings.port = listener.getsockname()[1]
        server.tell_children(settings)
        server.run_server(settings, listener)


def migrate() -> None:
    """Bring the database to the schema that this version needs; safe to run again, and from several places."""
    settings = read_settings()
    from app.db.migrations import head_revision  # noqa: PLC0415 - the other commands start faster without it

    with open_database(settings) as url:
        if settings.database_url:
            migrate_database(url)
        typer.echo(f"The schema is at {head_revision()}.")


def show_openapi() -> None:
    """Print the OpenAPI document, as it is served at /openapi.json; needs no database."""
    from app.main import create_app  # noqa: PLC0415 - the other commands start faster without it

    typer.echo(json.dumps(create_app(read_settings()).openapi(), indent=2, ensure_ascii=False))
