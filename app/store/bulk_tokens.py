"""SQL of the dry runs of bulk operations, and of their tokens."""

from sqlalchemy import BigInteger, Float, Integer, LargeBinary, any_, bindparam, delete, func, insert, select

from app.db.engine import Parameters, Tx
from app.models import BulkToken
from app.store.locks import Rank
from app.store.recordsets import seconds

_HASH = bindparam("of_token", type_=LargeBinary)
_PURPOSE = bindparam("of_purpose", type_=LargeBinary)
_INSERT = (
    insert(BulkToken)
    .values(
        token_hash=_HASH,
        purpose=_PURPOSE,
        count=bindparam("matching", type_=BigInteger),
        expires_at=func.now() + seconds(bindparam("good_seconds", type_=Float)),
    )
    .execution_options(locks=Rank.bulk_operations.new)
)


async def insert_token(tx: Tx, token_hash: bytes, purpose: bytes, count: int, good_seconds: float) -> None:
    """INSERT a token that is good for so many seconds."""
    given: Parameters = {"of_token": token_hash, "of_purpose": purpose, "matching": count, "good_seconds": good_seconds}
    await tx.execute(_INSERT, given)


_GET_COUNT = select(BulkToken.count).where(
    BulkToken.token_hash == _HASH, BulkToken.purpose == _PURPOSE, BulkToken.expires_at > func.now()
)


async def get_count(tx: Tx, token_hash: bytes, purpose: bytes) -> int | None:
    """SELECT how many matched when a token was given; None if it is not good for this, or not any more."""
    return await tx.find_value(_GET_COUNT, {"of_token": token_hash, "of_purpose": purpose})


_expired = (
    select(BulkToken.token_hash)
    .where(BulkToken.expires_at <= func.now())
    .order_by(BulkToken.expires_at)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True)
    .cte("expired")
)
_PRUNE = (
    delete(BulkToken)
    .where(BulkToken.token_hash == any_(func.array(select(_expired.c.token_hash).scalar_subquery())))
    .execution_options(locks=Rank.bulk_operations.skipped)
)


async def delete_expired_tokens(tx: Tx, most: int) -> int:
    """DELETE up to ``most`` tokens that are not good any more; how many they were."""
    return await tx.change(_PRUNE, {"most": most})
