"""Runs migrations: one transaction each, with time limits, and only one runner at a time."""

import time

from sqlalchemy import Connection, Engine, create_engine, event, pool, text
from sqlalchemy.exc import OperationalError

from alembic import context
from app.db.engine import read_url
from app.db.migrations import PATIENCE_SECONDS
from app.models import Base
from app.settings import Settings

LOCK = 0x6D696C65706F7374  # "milepost"
LOCK_TIMEOUT = "300ms"
"""How long a lock is waited for: whoever comes after waits as long, writers too."""
PAUSE_SECONDS = 1.0
"""How long the others have their way before the next try."""
LOCK_NOT_AVAILABLE = "55P03"


def database_url() -> str:
    given = context.config.attributes.get("url")
    if given:
        return str(given)
    configured = Settings().database_url
    if configured is None:
        raise SystemExit("set MILEPOST_DATABASE_URL; an embedded database is migrated by `milepost serve` itself")
    return configured.get_secret_value()


def limit(connection: Connection) -> None:
    """At the beginning of each migration's transaction: fail rather than make the service wait."""
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
    connection.exec_driver_sql("SET LOCAL statement_timeout = '10min'")


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        transaction_per_migration=True,
        compare_type=True,
        compare_server_default=True,
        autogenerate_plugins=["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname"],
    )
    with context.begin_transaction():
        context.run_migrations()


def run_alone(engine: Engine) -> None:
    """Run what is missing while no other runner does; its lock lasts as long as a transaction of its own."""
    with engine.begin() as guard:
        guard.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        guard.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        run_in_short_tries(engine, float(context.config.attributes.get("patience_seconds", PATIENCE_SECONDS)))


def run_in_short_tries(engine: Engine, patience_seconds: float) -> None:
    """Run what is missing; where another transaction holds a lock, let go of all and try again. Raises TimeoutError."""
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            with engine.connect() as connection:
                event.listen(connection, "begin", limit)
                run(connection)
        except OperationalError as failure:
            if getattr(failure.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"other transactions held a lock that the migration needs for {patience_seconds:.0f} s; "
                    "see pg_stat_activity for the oldest xact_start, then run it again"
                ) from failure
            time.sleep(PAUSE_SECONDS)
        else:
            return


run_alone(create_engine(read_url(database_url()), poolclass=pool.NullPool, connect_args={"prepare_threshold": None}))
