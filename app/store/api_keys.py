"""SQL of API keys."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ARRAY, LargeBinary, Text, Uuid, any_, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert

from app.db.engine import Parameters, Tx
from app.domain.records import ApiKeyRow
from app.models import ApiKey
from app.store.locks import Rank

_PUBLIC = tuple(ApiKey.__table__.c[name] for name in ApiKeyRow._fields)
_SENT_HASH = bindparam("sent_hash", type_=LargeBinary)
_INSERT = (
    insert(ApiKey)
    .values(
        api_key_id=bindparam("api_key_id", type_=Uuid),
        name=bindparam("name", type_=Text),
        secret_hash=bindparam("secret_hash", type_=LargeBinary),
        scopes=bindparam("scopes", type_=ARRAY(Text)),
    )
    .on_conflict_do_nothing()
    .returning(*_PUBLIC)
    .execution_options(locks=Rank.api_keys.new)
)


async def insert_key(
    tx: Tx, api_key_id: UUID, name: str, secret_hash: bytes, scopes: Sequence[str]
) -> ApiKeyRow | None:
    """INSERT a key; None if its name or its secret exists."""
    values: Parameters = {"api_key_id": api_key_id, "name": name, "secret_hash": secret_hash, "scopes": list(scopes)}
    return await tx.fetch_one(ApiKeyRow, _INSERT, values)


_GET_BY_HASH = select(*_PUBLIC).where(ApiKey.secret_hash == bindparam("secret_hash", type_=LargeBinary))


async def get_key(tx: Tx, secret_hash: bytes) -> ApiKeyRow | None:
    """SELECT the key with this secret, revoked or not."""
    return await tx.fetch_one(ApiKeyRow, _GET_BY_HASH, {"secret_hash": secret_hash})


_ANY = select(select(ApiKey.api_key_id).exists())


async def has_keys(tx: Tx) -> bool:
    """SELECT whether a key was ever made."""
    return await tx.fetch_value(_ANY)


_LIST = select(*_PUBLIC).order_by(ApiKey.created_at, ApiKey.api_key_id)


async def list_keys(tx: Tx) -> Sequence[ApiKeyRow]:
    """SELECT all keys, oldest first."""
    return await tx.fetch(ApiKeyRow, _LIST)


_PUT_FROM_ENVIRONMENT = (
    insert(ApiKey)
    .values(
        api_key_id=bindparam("api_key_id", type_=Uuid),
        name=bindparam("name", type_=Text),
        secret_hash=_SENT_HASH,
        scopes=bindparam("scopes", type_=ARRAY(Text)),
        is_from_environment=True,
    )
    .on_conflict_do_update(
        index_elements=[ApiKey.name],
        set_={"secret_hash": _SENT_HASH, "created_at": func.now(), "revoked_at": None},
        where=ApiKey.is_from_environment.is_(True),
    )
    .returning(ApiKey.api_key_id)
    .execution_options(locks=Rank.api_keys)
)


async def put_key_from_environment(
    tx: Tx, api_key_id: UUID, name: str, secret_hash: bytes, scopes: Sequence[str]
) -> bool:
    """INSERT the key of the environment, or give it another secret; False if the name is that of another key."""
    values: Parameters = {"api_key_id": api_key_id, "name": name, "sent_hash": secret_hash, "scopes": list(scopes)}
    return await tx.find_value(_PUT_FROM_ENVIRONMENT, values) is not None


_NAMED_BY_HASH = ApiKey.name == "environment-" + func.left(func.encode(ApiKey.secret_hash, "hex"), 8)
"""Keys that a version before this one made from the environment, maybe while this one runs."""
_others = (
    select(ApiKey.api_key_id)
    .where(ApiKey.secret_hash != _SENT_HASH, ApiKey.revoked_at.is_(None), ApiKey.is_from_environment | _NAMED_BY_HASH)
    .order_by(ApiKey.api_key_id)
    .with_for_update()
    .cte("others")
)
_REVOKE_OTHERS_FROM_ENVIRONMENT = (
    update(ApiKey)
    .where(ApiKey.api_key_id == any_(func.array(select(_others.c.api_key_id).scalar_subquery())))
    .values(revoked_at=func.now())
    .execution_options(locks=Rank.api_keys)
)


async def revoke_others_from_environment(tx: Tx, secret_hash: bytes) -> int:
    """UPDATE all keys of the environment but this one to revoked; how many were not before."""
    return await tx.change(_REVOKE_OTHERS_FROM_ENVIRONMENT, {"sent_hash": secret_hash})


_REVOKE = (
    update(ApiKey)
    .where(ApiKey.name == bindparam("of_name", type_=Text))
    .values(revoked_at=func.coalesce(ApiKey.revoked_at, func.now()))
    .returning(*_PUBLIC)
    .execution_options(locks=Rank.api_keys)
)


async def revoke_key(tx: Tx, name: str) -> ApiKeyRow | None:
    """UPDATE the key of this name to revoked; None if there is none."""
    return await tx.fetch_one(ApiKeyRow, _REVOKE, {"of_name": name})
