"""Runs migrations: one transaction each, with time limits, and only one runner at a time."""

from sqlalchemy import Connection, create_engine, pool, text

from alembic import context
from app.db.engine import read_url
from app.models import Base
from app.settings import Settings

LOCK = 0x6D696C65706F7374  # "milepost"


def database_url() -> str:
    given = context.config.attributes.get("url")
    if given:
        return str(given)
    configured = Settings().database_url
    if configured is None:
        raise SystemExit("set MILEPOST_DATABASE_URL; an embedded database is migrated by `milepost serve` itself")
    return configured.get_secret_value()


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        transaction_per_migration=True,
        compare_type=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        connection.execute(text("SET LOCAL lock_timeout = '5s'"))
        connection.execute(text("SET LOCAL statement_timeout = '10min'"))
        context.run_migrations()


with create_engine(read_url(database_url()), poolclass=pool.NullPool).connect() as connection:
    run(connection)
