"""SQL that looks at the database itself."""

from sqlalchemy import func, select, text

from app.db.engine import Tx

_SERVER = select(func.current_setting("server_version"))
_HAS_REVISION = select(func.to_regclass("alembic_version").is_not(None))
_REVISION = text("SELECT version_num FROM alembic_version")


async def get_server_version(tx: Tx) -> str:
    """SELECT the version of Postgres."""
    return str((await tx.execute(_SERVER)).scalar_one())


async def get_schema_revision(tx: Tx) -> str | None:
    """SELECT the last migration that ran; None in an empty database."""
    if not (await tx.execute(_HAS_REVISION)).scalar_one():
        return None
    revision: str | None = (await tx.execute(_REVISION)).scalar_one_or_none()
    return revision
