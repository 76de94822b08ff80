"""SQL that finds and counts workflow runs: one statement for each shape of filters, built once, planned each time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    DateTime,
    TableValuedAlias,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    cast,
    func,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import JSONB, array

from app.db.engine import Parameters, Tx
from app.domain.cursors import Position
from app.domain.moves import FINAL
from app.domain.records import RunRow
from app.models import WorkflowRun
from app.models.base import constant
from app.store.pages import Page, read_page
from app.store.parts import Expression, Query
from app.store.workflow_runs import RUN_COLUMNS, with_status
from milepost.schemas.workflow_runs import RunStatus

_NEVER: ColumnElement[datetime] = literal_column("'infinity'::timestamptz")
_ID: ColumnElement[UUID] = WorkflowRun.workflow_run_id.expression
_EVERY_STATUS: ColumnElement[Sequence[str]] = cast(array([*map(constant, RunStatus)]), ARRAY(Text))
ORDERS: Mapping[str, ColumnElement[datetime]] = {
    "created_at": WorkflowRun.created_at.expression,
    "started_at": func.coalesce(WorkflowRun.started_at, _NEVER),
    "completed_at": func.coalesce(WorkflowRun.completed_at, _NEVER),
    "updated_at": WorkflowRun.updated_at.expression,
}
"""What each order sorts by: a row without the time stands where the end of time would."""
_TIMES = ("created", "started", "completed", "updated")


def _after(time: str) -> ColumnElement[bool]:
    """Return the bound as the index of the order has it; a row without the time does not lie behind anything."""
    stored = WorkflowRun.__table__.c[f"{time}_at"]
    behind = ORDERS[stored.name] > bindparam(f"{time}_after", type_=DateTime(timezone=True))
    return and_(behind, stored.is_not(None)) if stored.nullable else behind


def _before(time: str) -> ColumnElement[bool]:
    return ORDERS[f"{time}_at"] < bindparam(f"{time}_before", type_=DateTime(timezone=True))


FILTERS: Mapping[str, ColumnElement[bool]] = {
    "workflow_names": WorkflowRun.workflow_name == any_(bindparam("workflow_names", type_=ARRAY(Text))),
    "workflow_versions": WorkflowRun.workflow_version == any_(bindparam("workflow_versions", type_=ARRAY(Text))),
    "statuses": WorkflowRun.status == any_(bindparam("statuses", type_=ARRAY(Text))),
    "workflow_name": WorkflowRun.workflow_name == bindparam("workflow_name", type_=Text),
    "workflow_version": WorkflowRun.workflow_version == bindparam("workflow_version", type_=Text),
    "status": WorkflowRun.status == bindparam("status", type_=Text),
    "reason": WorkflowRun.reason == bindparam("reason", type_=Text),
    "reasons": WorkflowRun.reason == any_(bindparam("reasons", type_=ARRAY(Text))),
    "late": WorkflowRun.late_at.is_not(None),
    "never_late": WorkflowRun.late_at.is_(None),
    "created_by": WorkflowRun.created_by == bindparam("created_by", type_=Text),
    "created_bys": WorkflowRun.created_by == any_(bindparam("created_bys", type_=ARRAY(Text))),
    "queue": WorkflowRun.queue == bindparam("queue", type_=Text),
    "queues": WorkflowRun.queue == any_(bindparam("queues", type_=ARRAY(Text))),
    "parent_workflow_run_id": WorkflowRun.parent_workflow_run_id == bindparam("parent_workflow_run_id", type_=Uuid),
    "parent_workflow_run_ids": WorkflowRun.parent_workflow_run_id
    == any_(bindparam("parent_workflow_run_ids", type_=ARRAY(Uuid))),
    "tags": WorkflowRun.tag_texts.contains(bindparam("tags", type_=JSONB)),
    **{f"{time}_after": _after(time) for time in _TIMES},
    **{f"{time}_before": _before(time) for time in _TIMES},
}
"""What each filter asks for."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What makes two lists the same statement: everything but the values."""

    order: str
    filters: frozenset[str]
    continued: bool
    only_open: bool = False
    """Whether only runs that have not ended are wanted."""


@lru_cache(maxsize=128)
def _page(shape: Shape) -> Query:
    """Return the statement of a page.

    In the order of creation each wanted status of each wanted name is read by its own index scan and the results are
    merged, so that a page costs a page also when one of them is rare; one scan for all would read the whole table for
    it. The other orders have no index that begins with the status. There open runs are sorted: they are few and stand
    together at one end of the order, which the planner does not know.
    """
    name = shape.order.removeprefix("-")
    if name == "created_at" and (lines := _lines(shape.filters)):
        return _read(_merged(shape, lines), shape)
    if name != "created_at" and shape.only_open:
        return _read(_sorted_open(shape, ORDERS[name]), shape)
    return _ordered(_filtered(select(*RUN_COLUMNS), shape.filters), shape, ORDERS[name], _ID)


def _merged(shape: Shape, lines: Mapping[str, TableValuedAlias]) -> Query:
    """Return the ids of a page in the order of creation, merged from a scan for each combination of values."""
    position = ORDERS["created_at"]
    wanted = (WorkflowRun.__table__.c[name] == line.c[0] for name, line in lines.items())
    branch = _filtered(select(_ID, position).where(*wanted), shape.filters - {"statuses", "workflow_names"})
    run = _ordered(branch, shape, position, _ID).lateral("run")
    ids = select(run.c.workflow_run_id).select_from(*lines.values(), run)
    return _sorted(ids, shape.order, run.c.created_at, run.c.workflow_run_id)


def _sorted_open(shape: Shape, position: ColumnElement[datetime]) -> Query:
    """Return the ids of a page of open runs: all that match are read before they are sorted."""
    run = _filtered(select(_ID, position.label("position")), shape.filters).cte("run").prefix_with("MATERIALIZED")
    return _ordered(select(run.c.workflow_run_id), shape, run.c.position, run.c.workflow_run_id)


def _read(ids: Query, shape: Shape) -> Query:
    page = ids.subquery("page")
    statement = select(*RUN_COLUMNS).join_from(page, WorkflowRun, page.c.workflow_run_id == _ID)
    return _sorted(statement, shape.order, ORDERS[shape.order.removeprefix("-")], _ID)


def _lines(filters: frozenset[str]) -> dict[str, TableValuedAlias]:
    """Return, by column, the values of which each is read on its own: the index of names has the status in between."""
    lines = {}
    if "workflow_names" in filters:
        lines["workflow_name"] = _each_of(bindparam("workflow_names", type_=ARRAY(Text)), "wanted_name")
    if "statuses" in filters:
        lines["status"] = _each_of(bindparam("statuses", type_=ARRAY(Text)), "wanted_status")
    elif "status" not in filters and filters & {"workflow_name", "workflow_names"}:
        lines["status"] = _each_of(_EVERY_STATUS, "wanted_status")
    return lines


def _each_of(values: ColumnElement[Sequence[str]], name: str) -> TableValuedAlias:
    return func.unnest(values).table_valued("value").render_derived(name=name)


def _filtered(statement: Query, filters: frozenset[str]) -> Query:
    return statement.where(*(FILTERS[name] for name in sorted(filters)))


def _ordered(statement: Query, shape: Shape, position: ColumnElement[datetime], row_id: ColumnElement[UUID]) -> Query:
    if shape.continued:
        here = tuple_(position, row_id)
        value = func.coalesce(bindparam("position_value", type_=DateTime(timezone=True)), _NEVER)
        last = tuple_(value, bindparam("position_id", type_=Uuid))
        statement = statement.where(here < last if shape.order.startswith("-") else here > last)
    return _sorted(statement, shape.order, position, row_id)


def _sorted(statement: Query, order: str, position: Expression, row_id: Expression) -> Query:
    keys = (position.desc(), row_id.desc()) if order.startswith("-") else (position, row_id)
    return statement.order_by(*keys).limit(bindparam("most"))


def list_statement(order: str, filters: Parameters, *, continued: bool) -> Query:
    """Return the statement that reads a page of this order and these filters."""
    several = filters.get("statuses")
    statuses = several if isinstance(several, list) else [filters[name] for name in ("status",) if name in filters]
    only_open = bool(statuses) and not set(statuses) & set(FINAL)
    return _page(Shape(order, frozenset(filters), continued, only_open))


async def list_runs(tx: Tx, order: str, filters: Parameters, after: Position | None, limit: int) -> Page[RunRow]:
    """SELECT up to ``limit`` runs that match, in ``order``, behind the position ``after``."""
    position: Parameters = {} if after is None else {"position_value": after.value, "position_id": after.id}
    statement = list_statement(order, filters, continued=after is not None)
    page = await read_page(tx, RunRow, statement, {**filters, **position}, limit, is_planned=True)
    return Page([with_status(run) for run in page.rows], page.has_more)


class Counted(NamedTuple):
    """How many runs have the same values in some columns."""

    values: Mapping[str, str]
    amount: int


@lru_cache(maxsize=64)
def _count(groups: tuple[str, ...], filters: frozenset[str]) -> Query:
    columns = [WorkflowRun.__table__.c[name] for name in groups]
    counted = select(*columns, func.count().label("amount")).select_from(WorkflowRun)
    return _filtered(counted, filters).group_by(*columns).order_by(*columns)


async def count_runs(tx: Tx, groups: tuple[str, ...], filters: Parameters) -> Sequence[Counted]:
    """SELECT how many runs match, for each combination of ``groups`` that occurs; one row when there are none."""
    rows = await tx.execute_planned(_count(groups, frozenset(filters)), filters)
    return [Counted(dict(zip(groups, row[:-1], strict=True)), row[-1]) for row in rows]
