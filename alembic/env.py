"""Runs migrations: one transaction each, with time limits, and only one runner at a time."""

from sqlalchemy import Connection, Engine, create_engine, event, pool, text

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


def limit(connection: Connection) -> None:
    """At the beginning of each migration's transaction: fail rather than make the service wait."""
    connection.exec_driver_sql("SET LOCAL lock_timeout = '5s'")
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
        with engine.connect() as connection:
            event.listen(connection, "begin", limit)
            run(connection)


run_alone(create_engine(read_url(database_url()), poolclass=pool.NullPool, connect_args={"prepare_threshold": None}))
