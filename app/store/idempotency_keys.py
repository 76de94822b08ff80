"""SQL of idempotency keys."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    ARRAY,
    Interval,
    LargeBinary,
    Row,
    any_,
    bindparam,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from app.db.engine import Tx
from app.models import IdempotencyKey
from app.store.recordsets import as_bytes, as_rows, rows_like

_SCOPES = bindparam("scopes", type_=ARRAY(LargeBinary))

_new = rows_like(IdempotencyKey, ("scope", "body"))
_CLAIM = (
    insert(IdempotencyKey)
    .from_select(["scope", "body"], select(_new).order_by(_new.c.scope))
    .on_conflict_do_nothing()
    .returning(IdempotencyKey.scope)
)
_answered = rows_like(IdempotencyKey, ("scope", "answer"))
_ANSWER = update(IdempotencyKey).where(IdempotencyKey.scope == _answered.c.scope).values(answer=_answered.c.answer)
_GET = select(IdempotencyKey.scope, IdempotencyKey.body, IdempotencyKey.answer).where(
    IdempotencyKey.scope == any_(_SCOPES)
)
_RELEASE = delete(IdempotencyKey).where(IdempotencyKey.scope == any_(_SCOPES))
_old = (
    select(IdempotencyKey.scope)
    .where(IdempotencyKey.created_at < func.now() - bindparam("age", type_=Interval))
    .order_by(IdempotencyKey.created_at)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
    .cte("old")
)
_PRUNE = delete(IdempotencyKey).where(IdempotencyKey.scope == any_(func.array(select(_old.c.scope).scalar_subquery())))


async def insert_keys(tx: Tx, scopes: Sequence[bytes], bodies: Sequence[bytes]) -> set[bytes]:
    """INSERT keys that are new, in the order of their scopes; waits for a request under way with the same key."""
    rows = [{"scope": as_bytes(scope), "body": as_bytes(body)} for scope, body in zip(scopes, bodies, strict=True)]
    return set((await tx.execute(_CLAIM, as_rows(rows))).scalars())


async def update_answers(tx: Tx, scopes: Sequence[bytes], answers: Sequence[str]) -> None:
    """UPDATE keys with the answers their requests got."""
    rows = [{"scope": as_bytes(scope), "answer": answer} for scope, answer in zip(scopes, answers, strict=True)]
    await tx.execute(_ANSWER, as_rows(rows))


async def get_keys(tx: Tx, scopes: Sequence[bytes]) -> dict[bytes, Row[Any]]:
    """SELECT keys by scope."""
    return {row.scope: row for row in await tx.execute(_GET, {"scopes": scopes})}


async def delete_keys(tx: Tx, scopes: Sequence[bytes]) -> None:
    """DELETE keys whose requests were refused."""
    await tx.execute(_RELEASE, {"scopes": scopes})


async def delete_old_keys(tx: Tx, age: timedelta, most: int) -> int:
    """DELETE up to ``most`` keys older than ``age``; how many they were."""
    return (await tx.execute(_PRUNE, {"age": age, "most": most})).rowcount
