"""Bringing a database to the schema that this version of the service needs."""

from functools import cache
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

import app
from alembic import command

PATIENCE_SECONDS = 300.0
"""How long a migration tries to get the locks it needs, each time for a moment, so that nobody else waits long."""

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


@cache
def head_revision() -> str:
    """Return the revision that this version of the service needs."""
    head = ScriptDirectory.from_config(make_config()).get_current_head()
    return head or ""
