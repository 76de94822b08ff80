"""How a statement merges reported progress into what is stored."""

from typing import NamedTuple

from sqlalchemy import JSON, Boolean, ColumnElement, and_, case, cast, column, func, literal_column
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.elements import SQLColumnExpression

from app.domain.json_texts import Storable
from app.domain.reported_progress import ReportedChange
from app.store.parts import Expression

_NOTHING: ColumnElement[object] = literal_column(
    """'{"done": null, "total": null, "unit": null, "message": null}'::jsonb""", JSONB
)
REPORT = (column("report", JSONB), column("report_clears", Boolean))
"""Columns of an item that may report progress: both are null where it does not."""


class Merged(NamedTuple):
    """What becomes of stored progress."""

    value: ColumnElement[object]
    is_new: ColumnElement[bool]
    """Whether that is another than before."""


def report_row(change: ReportedChange | None) -> dict[str, Storable]:
    """Return a change as the columns of an item."""
    return {} if change is None else {"report": change.members, "report_clears": change.clears}


def merge(stored: Expression, report: Expression, clears: SQLColumnExpression[bool]) -> Merged:
    """Return what ``stored`` becomes by a report: itself where there is none."""
    before = cast(stored, JSONB)
    kept = case((func.coalesce(clears, False), _NOTHING), else_=func.coalesce(before, _NOTHING))
    after = func.nullif(kept.op("||", return_type=JSONB())(report), _NOTHING, type_=JSONB)
    is_new = and_(clears.is_not(None), before.is_distinct_from(after))
    return Merged(case((is_new, cast(after, JSON)), else_=stored), is_new)
