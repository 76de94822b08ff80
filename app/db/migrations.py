"""Bringing a database to the schema that this version of the service needs."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

import app
from app.db.embedded import Cluster, start_embedded
from app.db.failures import DATABASE_FAILURES
from app.db.outages import is_away

if TYPE_CHECKING:
    from alembic.config import Config

PATIENCE_SECONDS = 300.0
"""How long a migration tries to get the locks it needs, each time for a moment, so that nobody else waits long."""
STARTS_MOST = 5
"""How often an embedded Postgres is started that is killed while its schema is brought up to date."""

_PACKAGE = Path(app.__file__).parent


class UnknownSchemaError(Exception):
    """The schema of the database is none that this version knows."""


def make_config(url: str | None = None, *, patience_seconds: float = PATIENCE_SECONDS) -> "Config":
    """Return the configuration of Alembic."""
    from alembic.config import Config  # noqa: PLC0415 - a service whose schema is up to date starts without Alembic

    config = Config(_home() / "alembic.ini")
    config.attributes |= {"url": url, "patience_seconds": patience_seconds}
    return config


def upgrade(url: str, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
    """Run the migrations that are missing; several at once wait for each other.

    Raises UnknownSchemaError, TimeoutError, and what a database fails with.
    """
    from alembic.util import CommandError  # noqa: PLC0415

    from alembic import command  # noqa: PLC0415 - see above

    try:
        command.upgrade(make_config(url, patience_seconds=patience_seconds), "head")
    except CommandError as error:
        raise UnknownSchemaError(f"the database is not one that this version knows: {error}") from error


def start_upgraded(data_dir: Path | None) -> Cluster:
    """Return a use of the embedded Postgres, which has the schema of this version and is kept running.

    A server that is killed meanwhile is started again. Raises EmbeddedPostgresError, and what ``upgrade`` raises.
    """
    cluster = start_embedded(data_dir)
    try:
        _upgrade_embedded(cluster)
    except BaseException:
        cluster.close()
        raise
    cluster.keep_running()
    return cluster


def _upgrade_embedded(cluster: Cluster) -> None:
    for starts_left in reversed(range(STARTS_MOST)):
        try:
            if not _is_current(cluster.url):
                upgrade(cluster.url)
        except DATABASE_FAILURES as failure:
            if not starts_left or not is_away(failure):
                raise
            cluster.ensure_running()
        else:
            return


def _is_current(url: str) -> bool:
    """Return whether there is surely nothing to do."""
    try:
        with psycopg.connect(url) as connection:
            return connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(head_revision(),)]
    except psycopg.Error:
        return False


@cache
def head_revision() -> str:
    """Return the revision that this version of the service needs: the files of the migrations are named in order."""
    return max(file.name for file in (_home() / "alembic" / "versions").glob("*.py")).partition("_")[0]


def _home() -> Path:
    """Return where Alembic's files are: in the checkout, or inside an installed package."""
    return _PACKAGE if (_PACKAGE / "alembic.ini").exists() else _PACKAGE.parent
