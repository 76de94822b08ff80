"""Whether the service can do its work, and what it runs on."""

import platform
from collections.abc import Sequence
from importlib.metadata import version

from prometheus_client import REGISTRY, generate_latest

from app.db.engine import Database
from app.db.failures import DATABASE_FAILURES
from app.db.migrations import head_revision
from app.store import operations as operations_store
from milepost.schemas.operations import Health, Version

OK = "ok"


def service_version() -> str:
    """Return the version of this distribution."""
    return version("milepost")


def check_liveness() -> Health:
    """Return that the process can answer at all."""
    return Health(status=OK, checks={})


async def check_readiness(
    database: Database, overdue_chores: Sequence[str], *, draining: bool, verbose: bool = False
) -> Health:
    """Return what works and what does not, check by check; ``verbose``: whether a write gets through, too."""
    checks = {
        "database": OK,
        "migrations": OK,
        "housekeeping": f"no successful round lately: {', '.join(overdue_chores)}" if overdue_chores else OK,
        "draining": "the process is about to stop" if draining else OK,
    }
    try:
        async with database.reading() as tx:
            revision = await operations_store.get_schema_revision(tx)
        if revision != head_revision():
            checks["migrations"] = f"the schema is at {revision}, this version needs {head_revision()}"
    except DATABASE_FAILURES:
        checks |= {"database": "does not answer", "migrations": "not known"}
    if verbose:
        checks["write"] = await _check_write(database)
    return Health(status=OK if set(checks.values()) == {OK} else "unavailable", checks=checks)


async def _check_write(database: Database) -> str:
    if await database.try_to_write():
        return OK
    since = f"since {database.wrote_at:%Y-%m-%dT%H:%M:%SZ}" if database.wrote_at else "since the start"
    return f"no write got through {since}"


async def get_version(database: Database) -> Version:
    """Return the versions of what runs here; null for what the database would have to tell and cannot."""
    postgres = revision = None
    try:
        async with database.reading() as tx:
            postgres, revision = (
                await operations_store.get_server_version(tx),
                await operations_store.get_schema_revision(tx),
            )
    except DATABASE_FAILURES:
        pass
    return Version(
        version=service_version(), python=platform.python_version(), postgres=postgres, schema_revision=revision
    )


def write_metrics() -> bytes:
    """Return the metrics of this process in the text format of Prometheus."""
    return generate_latest(REGISTRY)
