"""Many rows in one parameter: a JSON array that Postgres reads as a table."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import CTE, JSON, ColumnClause, ColumnElement, Text, bindparam, cast, column, func, select
from sqlalchemy.dialects.postgresql import INTERVAL
from sqlalchemy.orm import SQLORMExpression

from app.domain.json_texts import write_json
from app.models import Base

ROWS_A_STATEMENT = 500
Row = TypeVar("Row")


def rows_like(model: type[Base], names: Sequence[str], *extra: ColumnClause[Any]) -> CTE:
    """Return the parameter `rows` as a table with these columns of ``model``, and ``extra`` ones.

    JSON columns keep their text: nothing is reordered or rounded.
    """
    columns = [*(column(name, model.__table__.c[name].type) for name in names), *extra]
    array = cast(bindparam("rows", type_=Text), JSON)
    rows = func.json_to_recordset(array).table_valued(*columns).render_derived(name="row", with_types=True)
    return select(rows).cte("item")


def as_rows(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the parameter of a statement over ``rows_like``."""
    return {"rows": write_json(rows).decode()}


def in_portions(rows: Iterable[Row], most: int = ROWS_A_STATEMENT) -> Iterator[list[Row]]:
    """Yield ``rows`` in lists of up to ``most``: between two statements the event loop is free for others."""
    left = iter(rows)
    while portion := list(islice(left, most)):
        yield portion


def as_bytes(value: bytes | None) -> str | None:
    """Return ``value`` as the text that Postgres reads as bytea."""
    return None if value is None else f"\\x{value.hex()}"


def seconds(amount: SQLORMExpression[Any] | ColumnElement[Any]) -> ColumnElement[Any]:
    """Return ``amount`` seconds as an interval."""
    return amount * cast("1 second", INTERVAL)
