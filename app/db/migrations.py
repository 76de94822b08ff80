"""Bringing a database to the schema that this version of the service needs."""

from functools import cache
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

import app
from alembic import command

_PACKAGE = Path(app.__file__).parent


def make_config(url: str | None = None) -> Config:
    """Return the configuration of Alembic: from the checkout, or from inside an installed package."""
    home = _PACKAGE if (_PACKAGE / "alembic.ini").exists() else _PACKAGE.parent
    config = Config(home / "alembic.ini")
    config.attributes["url"] = url
    return config


def upgrade(url: str) -> None:
    """Run the migrations that are missing; several at once wait for each other."""
    command.upgrade(make_config(url), "head")


@cache
def head_revision() -> str:
    """Return the revision that this version of the service needs."""
    head = ScriptDirectory.from_config(make_config()).get_current_head()
    return head or ""
