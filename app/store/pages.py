"""Pages of rows: as many as are asked for, or as many as come to 16 MiB of JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

from sqlalchemy import func, literal, or_, select

from app.db.engine import Parameters, Record, Tx
from app.models.base import KeptJson
from app.store.parts import Query
from app.store.sizes import BYTES_MOST, size_of

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """Rows of a list, in its order, and whether others follow them."""

    rows: Sequence[R]
    has_more: bool


@lru_cache(maxsize=256)
def _bounded(statement: Query) -> Query:
    """Return ``statement`` without the rows that come after 16 MiB of JSON; ``found`` counts these too.

    Windows without an order of their own pass rows on as they come, which is the order of ``statement``.
    """
    page = statement.subquery("page")
    payloads = [column for column in page.c if isinstance(column.type, KeptJson)]
    size = size_of(*payloads) if payloads else literal(0)
    measured = select(
        *page.c,
        func.count().over().label("found"),
        func.row_number().over().label("place"),
        func.sum(size).over(rows=(None, 0)).label("bytes"),
    ).subquery("measured")
    columns = [measured.c[name] for name in (*page.c.keys(), "found")]
    return select(*columns).where(or_(measured.c.place == 1, measured.c.bytes <= BYTES_MOST))


async def read_page(
    tx: Tx, record: type[Record], statement: Query, parameters: Parameters, limit: int, *, is_planned: bool = False
) -> Page[Record]:
    """SELECT up to ``limit`` rows of ``statement``, whose own limit is the parameter ``most``; one if there is any.

    ``is_planned``: with a plan for these very values.
    """
    execute = tx.execute_planned if is_planned else tx.execute
    rows = (await execute(_bounded(statement), {**parameters, "most": limit + 1})).all()[:limit]
    return Page([record._make(row[:-1]) for row in rows], bool(rows) and rows[0].found > len(rows))
