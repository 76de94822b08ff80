"""SQL that looks at the database itself."""

from sqlalchemy import Text, func, select, text

from app.db.engine import Tx

_SERVER = select(func.current_setting("server_version", type_=Text))


async def get_server_version(tx: Tx) -> str:
    """SELECT the version of Postgres."""
    return await tx.fetch_value(_SERVER)


_HAS_REVISION = select(func.to_regclass("alembic_version").is_not(None))
_REVISION = text("SELECT version_num FROM alembic_version")


async def get_schema_revision(tx: Tx) -> str | None:
    """SELECT the last migration that ran; None in an empty database."""
    if not await tx.fetch_value(_HAS_REVISION):
        return None
    revision: str | None = (await tx.execute(_REVISION)).scalar_one_or_none()
    return revision
