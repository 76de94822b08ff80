"""Many rows in one parameter: a JSON array that Postgres reads as a table."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import islice
from typing import TypeVar

from sqlalchemy import CTE, JSON, ColumnElement, Text, bindparam, cast, column, func, select, type_coerce
from sqlalchemy.dialects.postgresql import INTERVAL

from app.db.engine import Parameters
from app.domain.json_texts import write_json
from app.models import Base
from app.store.parts import Expression

ROWS_A_STATEMENT = 500
Row = TypeVar("Row")


def rows_like(
    model: type[Base], names: Sequence[str], *extra: Expression, parameter: str = "rows", name: str = "item"
) -> CTE:
    """Return a parameter as a table ``name`` with these columns of ``model``, and ``extra`` ones.

    JSON columns keep their text: nothing is reordered or rounded.
    """
    columns = [*(column(each, model.__table__.c[each].type) for each in names), *extra]
    array = cast(bindparam(parameter, type_=Text), JSON)
    rows = func.json_to_recordset(array).table_valued(*columns).render_derived(name="row", with_types=True)
    return select(rows).cte(name)


def as_rows(rows: Sequence[Parameters], parameter: str = "rows") -> dict[str, str]:
    """Return the parameter of a statement over ``rows_like``."""
    return {parameter: write_json(rows).decode()}


def in_portions(rows: Iterable[Row], most: int = ROWS_A_STATEMENT) -> Iterator[list[Row]]:
    """Yield ``rows`` in lists of up to ``most``: between two statements the event loop is free for others."""
    left = iter(rows)
    while portion := list(islice(left, most)):
        yield portion


def as_bytes(value: bytes | None) -> str | None:
    """Return ``value`` as the text that Postgres reads as bytea."""
    return None if value is None else f"\\x{value.hex()}"


def seconds(amount: Expression) -> ColumnElement[timedelta]:
    """Return ``amount`` seconds as an interval."""
    return type_coerce(amount * cast("1 second", INTERVAL), INTERVAL)
