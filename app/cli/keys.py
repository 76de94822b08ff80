"""`milepost keys`: API keys, straight in the database."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from app.cli.database import explain, open_database, read_settings
from app.settings import Settings
from milepost.cli.exits import ExitCode, leave
from milepost.schemas.operations import Scope

if TYPE_CHECKING:
    from app.access.api_keys import KnownKey
    from app.db.engine import Tx

app = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(help="Who uses it; shown as the actor in histories.")]
NAME_MAX_LENGTH = 200
ACTORS_OF_OURS = frozenset({"anonymous", "environment", "housekeeping"})

T = TypeVar("T")


@app.command("create")
def create(
    name: Name,
    scope: Annotated[list[Scope], typer.Option(help="What it may do; repeat it for more.")] = [Scope.read, Scope.write],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Make a key and print it: this is the only time it can be seen."""
    from app.access import api_keys  # noqa: PLC0415 - help and errors need no database code

    _check_name(name)
    secret = _in_transaction(lambda tx: api_keys.create_key(tx, name, set(scope)))
    if secret is None:
        leave(ExitCode.REFUSED, f"there is a key {name} already, maybe a revoked one: take another name")
    scopes = sorted(set(scope))
    typer.echo(json.dumps({"name": name, "scopes": scopes, "key": secret}) if as_json else secret)
    if not as_json:
        typer.echo(f"Key {name} may {', '.join(scopes)}. It is not stored: keep it now.", err=True)


@app.command("list")
def list_all(as_json: AsJson = False) -> None:
    """List all keys, revoked ones too."""
    from app.access import api_keys  # noqa: PLC0415
    from app.domain.text_tables import write_table  # noqa: PLC0415 - help and errors need no database code

    keys = _in_transaction(api_keys.list_keys)
    if as_json:
        typer.echo(json.dumps([_as_dict(key) for key in keys]))
        return
    rows = [(key.name, ",".join(sorted(key.scopes)), key.created_at, key.revoked_at) for key in keys]
    typer.echo(write_table(("name", "scopes", "created_at", "revoked_at"), rows), nl=False)


@app.command("revoke")
def revoke(name: Name) -> None:
    """Refuse a key from now on; running services hear of it at once."""
    from app.access import api_keys  # noqa: PLC0415 - help and errors need no database code

    key = _in_transaction(lambda tx: api_keys.revoke_key(tx, name))
    if key is None:
        leave(ExitCode.REFUSED, f"there is no key {name}; `milepost keys list` shows all")
    typer.echo(f"Key {name} is revoked.")


def _check_name(name: str) -> None:
    """Leave if ``name`` could not be told from another, or from an actor of the service, in a history."""
    if name != name.strip() or not name.isprintable() or not 1 <= len(name) <= NAME_MAX_LENGTH:
        leave(ExitCode.USAGE, f"a key's name has 1 to {NAME_MAX_LENGTH} characters and no blanks around it")
    if name in ACTORS_OF_OURS:
        leave(ExitCode.USAGE, f"the name {name} is the service's own in histories: take another")


def _as_dict(key: "KnownKey") -> dict[str, object]:
    return {
        "name": key.name,
        "scopes": sorted(key.scopes),
        "created_at": key.created_at.isoformat(),
        "revoked_at": key.revoked_at and key.revoked_at.isoformat(),
    }


def _in_transaction(work: "Callable[[Tx], Awaitable[T]]") -> T:
    """Return the result of ``work``, committed, and tell running services of it."""
    from app.db.failures import DATABASE_FAILURES  # noqa: PLC0415 - help and errors need no database code

    settings = read_settings()
    with open_database(settings) as url:
        try:
            return asyncio.run(_commit(work, settings, url))
        except DATABASE_FAILURES as error:
            leave(ExitCode.CANNOT_START, explain(error))


async def _commit(work: "Callable[[Tx], Awaitable[T]]", settings: Settings, url: str) -> T:
    import psycopg  # noqa: PLC0415 - help and errors need no database code

    from app.db.engine import Database  # noqa: PLC0415
    from app.db.wakeups import send_wakeups  # noqa: PLC0415

    news = _News()
    database = Database(settings, url, news)
    try:
        async with database.transaction() as tx:
            result = await work(tx)
    finally:
        await database.close()
    with suppress(psycopg.Error, OSError):  # it is committed: running services look for themselves in seconds
        await send_wakeups(settings.listen_url.get_secret_value() if settings.listen_url else url, news.topics)
    return result


class _News:
    """What there is to tell running services once it is committed."""

    def __init__(self) -> None:
        self.topics: set[str] = set()

    def publish(self, topics: set[str], ready: Mapping[str, int] | None = None) -> None:
        """Keep ``topics``; commands make no tasks ready."""
        del ready
        self.topics |= topics
