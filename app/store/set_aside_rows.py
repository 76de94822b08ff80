"""SQL of the rows that the housekeeping leaves out for a while."""

from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Float,
    Select,
    Text,
    Uuid,
    and_,
    bindparam,
    cast,
    delete,
    func,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import INTERVAL, insert

from app.db.engine import Tx
from app.models import SetAsideRow
from app.models.base import constant
from app.store.locks import Rank
from app.store.recordsets import seconds

LAST_PAUSE_SECONDS = 600.0
_DOUBLINGS_MOST = 10
_CHORE = bindparam("chore", type_=Text)
_KEY = bindparam("row_key", type_=Text)


def _pause(failures: ColumnElement[int]) -> ColumnElement[timedelta]:
    """Return the time until the next try: a second, and twice as long after each failure, up to ten minutes."""
    growth = func.power(2.0, func.least(failures, _DOUBLINGS_MOST) - 1)
    return seconds(cast(func.least(growth, LAST_PAUSE_SECONDS), Float))


def ids_set_aside_by(chore: str) -> Select[UUID]:
    """Return the ids of the rows that a chore leaves out, for its statement that finds what is due."""
    return select(cast(SetAsideRow.row_key, Uuid)).where(SetAsideRow.chore == constant(chore))


def keys_set_aside_by(chore: str) -> Select[str]:
    """Return the keys of the rows that a chore leaves out, where they are no ids."""
    return select(SetAsideRow.row_key).where(SetAsideRow.chore == constant(chore))


_insert = insert(SetAsideRow).values(
    chore=_CHORE,
    row_key=_KEY,
    error=bindparam("error", type_=Text),
    retry_at=func.now() + cast("1 second", INTERVAL),
)
_failures = SetAsideRow.failures + 1
_SET_ASIDE = (
    _insert.on_conflict_do_update(
        index_elements=["chore", "row_key"],
        set_={
            "failures": _failures,
            "error": _insert.excluded.error,
            "retry_at": func.now() + _pause(_failures),
        },
    )
    .returning(SetAsideRow.failures)
    .execution_options(locks=Rank.set_aside_rows)
)


async def set_aside(tx: Tx, chore: str, key: str, error: str) -> int:
    """INSERT a row that has failed, or UPDATE it when it was set aside before; how often it has failed by now."""
    return await tx.fetch_value(_SET_ASIDE, {"chore": chore, "row_key": key, "error": error})


_IS_IT = and_(SetAsideRow.chore == _CHORE, SetAsideRow.row_key == _KEY)
_FORGET = delete(SetAsideRow).where(_IS_IT).execution_options(locks=Rank.set_aside_rows)


async def forget(tx: Tx, chore: str, key: str) -> None:
    """DELETE a row: it has been done, or ended."""
    await tx.execute(_FORGET, {"chore": chore, "row_key": key})


class DueRow(NamedTuple):
    """A row that was left out, and is to be tried again."""

    chore: str
    row_key: str


_due = (
    select(SetAsideRow.chore, SetAsideRow.row_key)
    .where(SetAsideRow.retry_at <= func.now())
    .order_by(SetAsideRow.retry_at)
    .limit(1)
    .with_for_update(skip_locked=True)
)
_TAKE_DUE = (
    update(SetAsideRow)
    .where(tuple_(SetAsideRow.chore, SetAsideRow.row_key).in_(_due))
    .values(retry_at=func.now() + _pause(SetAsideRow.failures + 1))
    .returning(SetAsideRow.chore, SetAsideRow.row_key)
    .execution_options(locks=Rank.set_aside_rows.skipped)
)


async def take_due(tx: Tx) -> DueRow | None:
    """UPDATE a row that is to be tried again, so that nobody else tries it at the same time."""
    return await tx.fetch_one(DueRow, _TAKE_DUE)


_COUNT = select(SetAsideRow.chore, func.count().label("amount")).group_by(SetAsideRow.chore)


async def count_by_chore(tx: Tx) -> Mapping[str, int]:
    """SELECT how many rows each chore leaves out; chores that leave none out are not named."""
    return {row.chore: row.amount for row in await tx.execute(_COUNT)}


_LIST_KEYS = select(SetAsideRow.row_key).where(SetAsideRow.chore == _CHORE)


async def list_keys(tx: Tx, chore: str) -> set[str]:
    """SELECT the keys of all rows that a chore leaves out."""
    return {*await tx.fetch_values(_LIST_KEYS, {"chore": chore})}
