"""Bringing a database to the schema that this version of the service needs."""

from functools import cache
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

import app
from alembic import command
from app.db.embedded import Cluster, start_embedded
from app.db.failures import DATABASE_FAILURES
from app.db.outages import is_away

PATIENCE_SECONDS = 300.0
"""How long a migration tries to get the locks it needs, each time for a moment, so that nobody else waits long."""

STARTS_MOST = 5
"""How often an embedded Postgres is started that is killed while its schema is brought up to date."""

_PACKAGE = Path(app.__file__).parent


def make_config(url: str | None = None, *, patience_seconds: float = PATIENCE_SECONDS) -> Config:
    """Return the configuration of Alembic: from the checkout, or from inside an installed package."""
    home = _PACKAGE if (_PACKAGE / "alembic.ini").exists() else _PACKAGE.parent
    config = Config(home / "alembic.ini")
    config.attributes |= {"url": url, "patience_seconds": patience_seconds}
    return config


def upgrade(url: str, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
    """Run the migrations that are missing; several at once wait for each other. Raises TimeoutError."""
    command.upgrade(make_config(url, patience_seconds=patience_seconds), "head")


def start_upgraded(data_dir: Path | None) -> Cluster:
    """Return a use of the embedded Postgres, which has the schema of this version and is kept running.

    A server that is killed meanwhile is started again. Raises EmbeddedPostgresError, alembic's CommandError, and what
    a database fails with.
    """
    cluster = start_embedded(data_dir)
    try:
        for starts_left in reversed(range(STARTS_MOST)):
            try:
                upgrade(cluster.url)
            except DATABASE_FAILURES as failure:
                if not starts_left or not is_away(failure):
                    raise
                cluster.ensure_running()
            else:
                break
    except BaseException:
        cluster.close()
        raise
    cluster.keep_running()
    return cluster


@cache
def head_revision() -> str:
    """Return the revision that this version of the service needs."""
    head = ScriptDirectory.from_config(make_config()).get_current_head()
    return head or ""
