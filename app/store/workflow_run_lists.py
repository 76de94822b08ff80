"""SQL that finds and counts workflow runs: one statement for each shape of filters, built once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    DateTime,
    Row,
    Select,
    Text,
    Uuid,
    any_,
    bindparam,
    func,
    literal_column,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.db.engine import Tx
from app.domain.cursors import Position
from app.models import WorkflowRun
from app.store.workflow_runs import RUN_COLUMNS

_NEVER: ColumnElement[datetime] = literal_column("'infinity'::timestamptz")

ORDERS: Mapping[str, ColumnElement[Any]] = {
    "created_at": WorkflowRun.created_at.expression,
    "started_at": func.coalesce(WorkflowRun.started_at, _NEVER),
    "completed_at": func.coalesce(WorkflowRun.completed_at, _NEVER),
    "updated_at": WorkflowRun.updated_at.expression,
}
"""What each order sorts by: a row without the time stands where the end of time would."""

_TIMES = ("created", "started", "completed", "updated")
FILTERS: Mapping[str, ColumnElement[bool]] = {
    "workflow_names": WorkflowRun.workflow_name == any_(bindparam("workflow_names", type_=ARRAY(Text))),
    "workflow_versions": WorkflowRun.workflow_version == any_(bindparam("workflow_versions", type_=ARRAY(Text))),
    "statuses": WorkflowRun.status == any_(bindparam("statuses", type_=ARRAY(Text))),
    "workflow_name": WorkflowRun.workflow_name == bindparam("workflow_name", type_=Text),
    "workflow_version": WorkflowRun.workflow_version == bindparam("workflow_version", type_=Text),
    "status": WorkflowRun.status == bindparam("status", type_=Text),
    "created_by": WorkflowRun.created_by == bindparam("created_by", type_=Text),
    "queue": WorkflowRun.queue == bindparam("queue", type_=Text),
    "parent_workflow_run_id": WorkflowRun.parent_workflow_run_id == bindparam("parent_workflow_run_id", type_=Uuid),
    "tags": WorkflowRun.tag_texts.contains(bindparam("tags", type_=JSONB)),
    **{
        f"{time}_after": getattr(WorkflowRun, f"{time}_at") > bindparam(f"{time}_after", type_=DateTime(timezone=True))
        for time in _TIMES
    },
    **{
        f"{time}_before": getattr(WorkflowRun, f"{time}_at")
        < bindparam(f"{time}_before", type_=DateTime(timezone=True))
        for time in _TIMES
    },
}
"""What each filter asks for."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What makes two lists the same statement: everything but the values."""

    order: str
    filters: frozenset[str]
    continued: bool


@lru_cache(maxsize=1024)
def _page(shape: Shape) -> Select[Any]:
    """Return the statement of a page.

    With several statuses each is read by its own index scan and the results are merged, so that a page costs a page
    also when one of them is rare; one scan for all would read the whole table for it.
    """
    name = shape.order.removeprefix("-")
    if "statuses" not in shape.filters:
        return _ordered(_filtered(select(*RUN_COLUMNS), shape.filters), shape, ORDERS[name], WorkflowRun)
    wanted = func.unnest(bindparam("statuses", type_=ARRAY(Text))).table_valued("status").render_derived(name="wanted")
    branch = select(*RUN_COLUMNS, ORDERS[name].label("position")).where(WorkflowRun.status == wanted.c.status)
    branch = _ordered(_filtered(branch, shape.filters - {"statuses"}), shape, ORDERS[name], WorkflowRun)
    run = branch.lateral("run")
    columns = [run.c[column.name] for column in RUN_COLUMNS]
    merged = select(*columns).select_from(wanted.join(run, true()))
    return _sorted(merged, shape.order, run.c.position, run.c.workflow_run_id)


def _filtered(statement: Select[Any], filters: frozenset[str]) -> Select[Any]:
    return statement.where(*(FILTERS[name] for name in sorted(filters)))


def _ordered(statement: Select[Any], shape: Shape, position: ColumnElement[Any], run: type[WorkflowRun]) -> Select[Any]:
    if shape.continued:
        here = tuple_(position, run.workflow_run_id)
        value = func.coalesce(bindparam("position_value", type_=DateTime(timezone=True)), _NEVER)
        last = tuple_(value, bindparam("position_id", type_=Uuid))
        statement = statement.where(here < last if shape.order.startswith("-") else here > last)
    return _sorted(statement, shape.order, position, run.workflow_run_id)


def _sorted(statement: Select[Any], order: str, position: Any, row_id: Any) -> Select[Any]:
    keys = (position.desc(), row_id.desc()) if order.startswith("-") else (position, row_id)
    return statement.order_by(*keys).limit(bindparam("most"))


@lru_cache(maxsize=256)
def _count(groups: tuple[str, ...], filters: frozenset[str]) -> Select[Any]:
    columns = [WorkflowRun.__table__.c[name] for name in groups]
    return _filtered(select(*columns, func.count().label("amount")), filters).group_by(*columns).order_by(*columns)


def list_statement(order: str, filters: Mapping[str, Any], *, continued: bool) -> Select[Any]:
    """Return the statement that reads a page of this order and these filters."""
    return _page(Shape(order, frozenset(filters), continued))


async def list_runs(
    tx: Tx, order: str, filters: Mapping[str, Any], after: Position | None, most: int
) -> Sequence[Row[Any]]:
    """SELECT up to ``most`` runs that match, in ``order``, behind the position ``after``."""
    position = {} if after is None else {"position_value": after.value, "position_id": after.id}
    statement = list_statement(order, filters, continued=after is not None)
    return (await tx.execute(statement, {**filters, **position, "most": most})).all()


async def count_runs(tx: Tx, groups: tuple[str, ...], filters: Mapping[str, Any]) -> Sequence[Row[Any]]:
    """SELECT how many runs match, for each combination of ``groups`` that occurs; one row when there are none."""
    return (await tx.execute(_count(groups, frozenset(filters)), dict(filters))).all()
