"""SQL of the logs of workflow runs and tasks."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CTE,
    BigInteger,
    ColumnElement,
    DateTime,
    Integer,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    case,
    cast,
    column,
    func,
    insert,
    or_,
    select,
    true,
    tuple_,
)

from app.db.engine import Parameters, Tx
from app.domain.cursors import LinePosition
from app.domain.records import LogLineRow
from app.models import LogLine, Task, WorkflowRun
from app.store.locks import Rank
from app.store.parts import Expression, Query
from app.store.recordsets import as_rows, rows_like
from app.store.sizes import BYTES_MOST

_GIVEN = ("level", "is_truncated", "at", "text", "fields", "call")
_INSERTED = ("workflow_run_id", "task_id", "attempt", *_GIVEN)
_IDS = bindparam("ids", type_=ARRAY(Uuid))


def _given_by(item: CTE) -> tuple[Expression, ...]:
    """Return what is stored of each line as it was given; one without a time has that of the append."""
    given = {name: item.c[name] for name in _GIVEN} | {"at": func.coalesce(item.c.at, func.now())}
    return tuple(given[name] for name in _GIVEN)


def _append_to_tasks() -> Query:
    """Return the insertion of lines of tasks, which are kept from being deleted meanwhile."""
    item = rows_like(LogLine, ("task_id", *_GIVEN), column("place", BigInteger))
    owner = (
        select(Task.task_id, Task.workflow_run_id, Task.attempt)
        .where(Task.task_id == any_(_IDS))
        .order_by(Task.task_id)
        .with_for_update(read=True, key_share=True)
        .cte("owner")
    )
    values = (owner.c.workflow_run_id, owner.c.task_id, owner.c.attempt)
    given = _given_by(item)
    lines = select(*values, *given).join_from(item, owner, owner.c.task_id == item.c.task_id).order_by(item.c.place)
    inserted = insert(LogLine).from_select(_INSERTED, lines).cte("inserted")
    return select(owner.c.task_id).add_cte(inserted).execution_options(locks=Rank.tasks)


_APPEND_TO_TASKS = _append_to_tasks()


async def insert_lines_of_tasks(tx: Tx, ids: Sequence[UUID], rows: Sequence[Parameters]) -> set[UUID]:
    """INSERT lines of those of the tasks that exist, in the order of their places; which ones they are.

    They are numbered in that order: Postgres sorts before it takes the next number.
    """
    return {*await tx.fetch_values(_APPEND_TO_TASKS, {"ids": ids, **as_rows(rows)})}


def _append_to_runs() -> Query:
    """Return the insertion of lines of runs, which are kept from being deleted meanwhile."""
    item = rows_like(LogLine, ("workflow_run_id", *_GIVEN), column("place", BigInteger))
    owner = (
        select(WorkflowRun.workflow_run_id, WorkflowRun.attempt)
        .where(WorkflowRun.workflow_run_id == any_(_IDS))
        .order_by(WorkflowRun.workflow_run_id)
        .with_for_update(read=True, key_share=True)
        .cte("owner")
    )
    names = ("workflow_run_id", "attempt", *_GIVEN)
    given = _given_by(item)
    is_of = owner.c.workflow_run_id == item.c.workflow_run_id
    lines = select(owner.c.workflow_run_id, owner.c.attempt, *given).join_from(item, owner, is_of)
    inserted = insert(LogLine).from_select(names, lines.order_by(item.c.place)).cte("inserted")
    return select(owner.c.workflow_run_id).add_cte(inserted).execution_options(locks=Rank.runs)


_APPEND_TO_RUNS = _append_to_runs()


async def insert_lines_of_runs(tx: Tx, ids: Sequence[UUID], rows: Sequence[Parameters]) -> set[UUID]:
    """INSERT lines of those of the runs that exist, in the order of their places; which ones they are."""
    return {*await tx.fetch_values(_APPEND_TO_RUNS, {"ids": ids, **as_rows(rows)})}


_MOMENT = DateTime(timezone=True)
_OWNERS: Mapping[str, ColumnElement[bool]] = {
    "workflow_run_id": LogLine.workflow_run_id == bindparam("workflow_run_id", type_=Uuid),
    "task_id": LogLine.task_id == bindparam("task_id", type_=Uuid),
}
_BOUNDS: Mapping[str, ColumnElement[bool]] = {
    "after": LogLine.at > bindparam("after", type_=_MOMENT),
    "before": LogLine.at < bindparam("before", type_=_MOMENT),
}
"""What the index of an owner finds by itself."""


class SeenLine(NamedTuple):
    """A line that was looked at."""

    line: LogLineRow
    matches: bool
    is_last: bool
    """There are no lines behind it, whether they match or not."""


@lru_cache(maxsize=64)
def _page(owner: str, filters: frozenset[str], *, newest_first: bool, continued: bool) -> Query:
    """Return the statement that looks at ``scanned`` lines and gives those that match, and the last it has seen.

    Windows without an order of their own pass rows on as they come, which is the order of the log.
    """
    here = tuple_(LogLine.at, LogLine.sequence)
    conditions = [_OWNERS[owner], *(_BOUNDS[name] for name in sorted(filters & _BOUNDS.keys()))]
    if continued:
        last = tuple_(bindparam("position_at", type_=_MOMENT), bindparam("position_sequence", type_=BigInteger))
        conditions.append(here < last if newest_first else here > last)
    order = (LogLine.at.desc(), LogLine.sequence.desc()) if newest_first else (LogLine.at, LogLine.sequence)
    columns = (LogLine.__table__.c[name] for name in LogLineRow._fields)
    seen = select(*columns).where(*conditions).order_by(*order).limit(bindparam("scanned", type_=Integer)).subquery()
    place = func.row_number().over().label("place")
    size = func.octet_length(seen.c.text) + func.coalesce(func.octet_length(cast(seen.c.fields, Text)), 0)
    measured = select(
        *seen.c, place, func.count().over().label("found"), func.sum(size).over(rows=(None, 0)).label("bytes")
    ).subquery("measured")
    matching = {
        "level": measured.c.level >= bindparam("level", type_=Integer),
        "attempt": measured.c.attempt == bindparam("attempt", type_=Integer),
        "q": func.strpos(func.lower(measured.c.text), func.lower(bindparam("q", type_=Text))) > 0,
    }
    matches = and_(true(), *(matching[name] for name in sorted(filters & matching.keys())))
    bounded = (
        select(*measured.c, matches.label("matches"), func.count().over().label("kept"))
        .where(or_(measured.c.place == 1, measured.c.bytes <= BYTES_MOST))
        .subquery("bounded")
    )
    number = func.sum(case((bounded.c.matches, 1), else_=0)).over(rows=(None, 0)).label("number")
    numbered = select(*bounded.c, number).subquery("numbered")
    is_last = and_(numbered.c.place == numbered.c.found, numbered.c.found < bindparam("scanned", type_=Integer))
    shown = [numbered.c[name] for name in LogLineRow._fields]
    wanted = and_(numbered.c.matches, numbered.c.number <= bindparam("most", type_=Integer))
    return select(*shown, numbered.c.matches, is_last.label("is_last")).where(
        or_(wanted, numbered.c.place == numbered.c.kept)
    )


async def list_lines(
    tx: Tx,
    owner: str,
    parameters: Parameters,
    after: LinePosition | None,
    most: int,
    scanned: int,
    *,
    newest_first: bool,
) -> Sequence[SeenLine]:
    """SELECT up to ``most`` matching lines behind ``after``, and the last line that was looked at.

    With filters that no index serves ``scanned`` are looked at, and no more than 16 MiB of them.
    """
    names = frozenset(parameters) - {owner}
    statement = _page(owner, names, newest_first=newest_first, continued=after is not None)
    position: Parameters = {} if after is None else {"position_at": after.at, "position_sequence": after.sequence}
    rows = await tx.execute(
        statement, {**parameters, **position, "most": most, "scanned": scanned if names - _BOUNDS.keys() else most}
    )
    return [SeenLine(LogLineRow._make(row[:-2]), row.matches, row.is_last) for row in rows]
