"""SQL of the change feed. The changes themselves are written by triggers: see docs/inside/changes.md."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import BigInteger, Float, Integer, bindparam, delete, func, select, update

from app.db.engine import Tx
from app.domain.changes import ChangeRow
from app.models import ChangeFeed, NumberedChanges
from app.store.locks import Rank
from app.store.recordsets import seconds

_MOST = bindparam("most", type_=Integer)
ROWS_NUMBERED_MOST = 1000
"""Rows of changes that get their positions in one transaction."""
_NUMBER = select(func.number_changes(_MOST, type_=BigInteger))


async def number_changes(tx: Tx, most: int) -> int | None:
    """SELECT a function that gives positions to up to ``most`` rows of committed changes.

    The newest position; None where there was nothing without one. Whoever calls it at the same time waits.
    """
    return await tx.find_value(_NUMBER, {"most": most})


class Reach(NamedTuple):
    """How far the change feed reaches."""

    newest: int
    oldest: int


_REACH = select(ChangeFeed.newest, ChangeFeed.oldest)


async def get_reach(tx: Tx) -> Reach:
    """SELECT the newest position that was given, and the oldest that is kept."""
    return Reach._make((await tx.execute(_REACH)).one())


_COLUMNS = tuple(NumberedChanges.__table__.c[name] for name in ChangeRow._fields)
_LIST = (
    select(*_COLUMNS)
    .where(NumberedChanges.last_position > bindparam("after", type_=BigInteger))
    .order_by(NumberedChanges.last_position)
    .limit(_MOST)
)


async def list_changes(tx: Tx, after: int, most: int) -> Sequence[ChangeRow]:
    """SELECT up to ``most`` rows of changes with those that follow the position ``after``."""
    return await tx.fetch(ChangeRow, _LIST, {"after": after, "most": most})


_first = (
    select(NumberedChanges.last_position, NumberedChanges.at).order_by(NumberedChanges.last_position).limit(_MOST)
).cte("first")
_is_kept = _first.c.at >= func.statement_timestamp() - seconds(bindparam("keep", type_=Float))
_first_kept = select(func.min(_first.c.last_position)).where(_is_kept).scalar_subquery()
_last_old = (
    select(func.max(_first.c.last_position))
    .where(_first.c.last_position < func.coalesce(_first_kept, 2**63 - 1))
    .scalar_subquery()
)
_LOCK = (
    select(ChangeFeed.newest).order_by(ChangeFeed.is_only).with_for_update().execution_options(locks=Rank.change_feed)
)


async def lock_feed(tx: Tx) -> None:
    """SELECT FOR UPDATE the row of the feed: nobody gives positions or forgets changes before the transaction ends."""
    await tx.execute(_LOCK)


_FORGET = (
    delete(NumberedChanges)
    .where(NumberedChanges.last_position <= _last_old)
    .returning(NumberedChanges.last_position)
    .execution_options(locks=Rank.change_feed.held)
)


async def forget_changes(tx: Tx, keep_seconds: float, most: int) -> Sequence[int]:
    """DELETE up to ``most`` rows of the oldest changes that are older than ``keep_seconds``; their last positions."""
    return await tx.fetch_values(_FORGET, {"keep": keep_seconds, "most": most})


_MOVE_OLDEST = (
    update(ChangeFeed)
    .values(oldest=bindparam("first_kept", type_=BigInteger))
    .execution_options(locks=Rank.change_feed.held)
)


async def move_oldest(tx: Tx, oldest: int) -> None:
    """UPDATE the first position that is kept."""
    await tx.execute(_MOVE_OLDEST, {"first_kept": oldest})
