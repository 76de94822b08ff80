"""`milepost keys`: API keys, straight in the database."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from app.cli.service import EXIT_CANNOT_START, open_database, read_settings
from app.schemas.operations import Scope

if TYPE_CHECKING:
    from app.db.engine import Tx
    from app.services.api_keys import KnownKey

app = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(help="Who uses it; shown as the actor in histories.")]
EXIT_REFUSED = 22

T = TypeVar("T")


@app.command("create")
def create(
    name: Name,
    scope: Annotated[list[Scope], typer.Option(help="What it may do; repeat it for more.")] = [Scope.read, Scope.write],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Make a key and print it: this is the only time it can be seen."""
    from app.services import api_keys  # noqa: PLC0415 - help and errors need no database code

    secret = _in_transaction(lambda tx: api_keys.create_key(tx, name, set(scope)))
    if secret is None:
        typer.echo(f"milepost: there is a key {name} already", err=True)
        raise typer.Exit(EXIT_REFUSED)
    scopes = sorted(set(scope))
    typer.echo(json.dumps({"name": name, "scopes": scopes, "key": secret}) if as_json else secret)
    if not as_json:
        typer.echo(f"Key {name} may {', '.join(scopes)}. It is not stored: keep it now.", err=True)


@app.command("list")
def list_all(as_json: AsJson = False) -> None:
    """List all keys, revoked ones too."""
    from app.domain.text_tables import write_table  # noqa: PLC0415 - help and errors need no database code
    from app.services import api_keys  # noqa: PLC0415

    keys = _in_transaction(api_keys.list_keys)
    if as_json:
        typer.echo(json.dumps([_as_dict(key) for key in keys]))
        return
    rows = [(key.name, ",".join(sorted(key.scopes)), key.created_at, key.revoked_at) for key in keys]
    typer.echo(write_table(("name", "scopes", "created_at", "revoked_at"), rows), nl=False)


@app.command("revoke")
def revoke(name: Name) -> None:
    """Refuse a key from now on; running services hear of it at once."""
    from app.services import api_keys  # noqa: PLC0415 - help and errors need no database code

    key = _in_transaction(lambda tx: api_keys.revoke_key(tx, name))
    if key is None:
        typer.echo(f"milepost: there is no key {name}", err=True)
        raise typer.Exit(EXIT_REFUSED)
    typer.echo(f"Key {name} is revoked.")


def _as_dict(key: "KnownKey") -> dict[str, object]:
    return {
        "name": key.name,
        "scopes": sorted(key.scopes),
        "created_at": key.created_at.isoformat(),
        "revoked_at": key.revoked_at and key.revoked_at.isoformat(),
    }


def _in_transaction(work: "Callable[[Tx], Awaitable[T]]") -> T:
    """Return the result of ``work``, committed, and tell running services of it."""
    from app.db.engine import Database  # noqa: PLC0415 - help and errors need no database code
    from app.db.failures import DATABASE_FAILURES  # noqa: PLC0415
    from app.db.wakeups import send_wakeups  # noqa: PLC0415

    class Collected:
        def __init__(self) -> None:
            self.topics: set[str] = set()

        def publish(self, topics: set[str]) -> None:
            self.topics |= topics

    async def run(url: str) -> T:
        told = Collected()
        database = Database(settings, url, told)
        try:
            async with database.transaction() as tx:
                result = await work(tx)
        finally:
            await database.close()
        await send_wakeups(settings.listen_url.get_secret_value() if settings.listen_url else url, told.topics)
        return result

    settings = read_settings()
    with open_database(settings) as url:
        try:
            return asyncio.run(run(url))
        except DATABASE_FAILURES as error:
            typer.echo(f"milepost: {str(getattr(error, 'orig', error)).strip()}", err=True)
            raise typer.Exit(EXIT_CANNOT_START) from None
