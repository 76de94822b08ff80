"""SQL of idempotency keys."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from operator import attrgetter

from pydantic_core import to_json
from sqlalchemy import (
    ARRAY,
    JSON,
    Integer,
    Interval,
    LargeBinary,
    Text,
    any_,
    bindparam,
    cast,
    delete,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import insert

from app.db.engine import Tx
from app.domain.records import IdempotencyKeyRow
from app.models import AnsweredKey
from app.store.advisory_locks import KEYS_OF_REQUESTS
from app.store.locks import Rank
from app.store.recordsets import as_bytes, as_rows, rows_like

_STORED = IdempotencyKeyRow._fields
_new = rows_like(AnsweredKey, _STORED)
_LOCK = select(
    func.pg_advisory_xact_lock(
        KEYS_OF_REQUESTS, func.unnest(bindparam("hashes", type_=ARRAY(Integer))).column_valued("hash")
    )
).execution_options(locks=Rank.requests)


async def lock_keys(tx: Tx, scopes: Collection[bytes]) -> None:
    """Lock keys until the end of the transaction, in one order: requests with the same key take turns.

    By a thousand hashes: more locks would fill Postgres's table.
    """
    hashes = sorted({int.from_bytes(scope[:4]) & 1023 for scope in scopes})
    await tx.execute(_LOCK, {"hashes": hashes})


def as_key_rows(keys: Sequence[IdempotencyKeyRow]) -> list[dict[str, str | None]]:
    """Return keys as rows of a parameter, in the order of their scopes, in which everybody writes them."""
    rows = sorted(keys, key=attrgetter("scope"))
    return [{"scope": as_bytes(key.scope), "body": as_bytes(key.body), "answer": key.answer} for key in rows]


_INSERT = (
    insert(AnsweredKey)
    .from_select(_STORED, select(*(_new.c[name] for name in _STORED)))
    .execution_options(locks=Rank.answers)
)


async def insert_keys(tx: Tx, keys: Sequence[IdempotencyKeyRow]) -> None:
    """INSERT keys in the order of their scopes.

    Guarantee 5: a request under way with the same key is waited for, and then one of the two fails on the primary key.
    """
    await tx.execute(_INSERT, as_rows(as_key_rows(keys)))


_PUT = (
    insert(AnsweredKey)
    .from_select(_STORED, select(*(_new.c[name] for name in _STORED)))
    .on_conflict_do_update(
        index_elements=["scope"],
        set_={"answer": literal_column("excluded.answer"), "created_at": func.now()},
    )
    .execution_options(locks=Rank.answers)
)


async def put_keys(tx: Tx, keys: Sequence[IdempotencyKeyRow]) -> None:
    """INSERT keys that are locked, or UPDATE what they were answered, as if they were new."""
    await tx.execute(_PUT, as_rows(as_key_rows(keys)))


_wanted = func.json_array_elements_text(cast(bindparam("scopes", type_=Text), JSON)).column_valued("wanted")
_GET = select(AnsweredKey.scope, AnsweredKey.body, AnsweredKey.answer).where(
    AnsweredKey.scope == any_(func.array(select(cast(_wanted, LargeBinary)).scalar_subquery()))
)


async def get_keys(tx: Tx, scopes: Sequence[bytes]) -> dict[bytes, IdempotencyKeyRow]:
    """SELECT keys by scope."""
    found = await tx.fetch(IdempotencyKeyRow, _GET, {"scopes": to_json([as_bytes(scope) for scope in scopes]).decode()})
    return {key.scope: key for key in found}


_old = (
    select(AnsweredKey.scope)
    .where(AnsweredKey.created_at < func.now() - bindparam("age", type_=Interval))
    .order_by(AnsweredKey.created_at)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
    .cte("old")
)
_PRUNE = (
    delete(AnsweredKey)
    .where(AnsweredKey.scope == any_(func.array(select(_old.c.scope).scalar_subquery())))
    .execution_options(locks=Rank.answers.skipped)
)


async def delete_old_keys(tx: Tx, age: timedelta, most: int) -> int:
    """DELETE up to ``most`` keys older than ``age``; how many they were."""
    return await tx.change(_PRUNE, {"age": age, "most": most})
