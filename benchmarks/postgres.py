"""The database server of a run: the embedded Postgres with the settings the service gives it, durability included."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from app.db.embedded import start_embedded
from app.db.migrations import upgrade


@contextmanager
def running_postgres(settings: Mapping[str, str] | None = None) -> Iterator[str]:
    """Give the address of an empty server in a temporary directory, which is gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="milepost-benchmarks-"))
    home.chmod(0o755)
    try:
        with start_embedded(home, settings=settings) as cluster:
            yield cluster.url
    finally:
        shutil.rmtree(home, ignore_errors=True)


def make_database(server_url: str, name: str) -> str:
    """Return the address of a new, migrated database."""
    with connect(server_url) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = make_url(server_url).set(database=name).render_as_string(hide_password=False)
    upgrade(url)
    return url


def connect(url: str) -> psycopg.Connection[Any]:
    """Return a connection that commits each statement."""
    return psycopg.connect(url, autocommit=True)
