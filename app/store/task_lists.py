"""SQL that finds tasks: one statement for each shape of filters, built once."""

from collections.abc import Mapping
from functools import lru_cache

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    DateTime,
    Select,
    Text,
    Uuid,
    any_,
    bindparam,
    func,
    select,
    tuple_,
)

from app.db.engine import Parameters, Tx
from app.domain.cursors import Position
from app.domain.records import TaskRow
from app.models import Task
from app.models.base import constant
from app.store.pages import Page, read_page
from app.store.parts import Expression, Query
from app.store.tasks import MOMENT, TASK_COLUMNS
from milepost.schemas.tasks import TaskStatus

FILTERS: Mapping[str, ColumnElement[bool]] = {
    "queue": Task.queue == bindparam("queue", type_=Text),
    "queues": Task.queue == any_(bindparam("queues", type_=ARRAY(Text))),
    "status": Task.status == bindparam("status", type_=Text),
    "task_name": Task.task_name == bindparam("task_name", type_=Text),
    "task_names": Task.task_name == any_(bindparam("task_names", type_=ARRAY(Text))),
    "workflow_run_id": Task.workflow_run_id == bindparam("workflow_run_id", type_=Uuid),
    "workflow_run_ids": Task.workflow_run_id == any_(bindparam("workflow_run_ids", type_=ARRAY(Uuid))),
    "parent_task_id": Task.parent_task_id == bindparam("parent_task_id", type_=Uuid),
    "parent_task_ids": Task.parent_task_id == any_(bindparam("parent_task_ids", type_=ARRAY(Uuid))),
    "claimed_by": Task.claimed_by == bindparam("claimed_by", type_=Text),
    "claimed_bys": Task.claimed_by == any_(bindparam("claimed_bys", type_=ARRAY(Text))),
    "created_after": Task.created_at > bindparam("created_after", type_=DateTime(timezone=True)),
    "created_before": Task.created_at < bindparam("created_before", type_=DateTime(timezone=True)),
}
"""What each filter asks for, but several statuses, which a page reads one by one."""
_NOT_COMPLETED: ColumnElement[bool] = Task.status != constant(TaskStatus.completed)


@lru_cache(maxsize=128)
def _page(order: str, filters: frozenset[str], *, continued: bool, open_only: bool) -> Query:
    """Return the statement of a page; several statuses are read one by one and merged, so that a rare one is cheap."""
    several = "statuses" in filters
    statement = select(*TASK_COLUMNS, MOMENT).where(*(FILTERS[name] for name in sorted(filters - {"statuses"})))
    if open_only:
        statement = statement.where(_NOT_COMPLETED)
    if continued:
        here = tuple_(Task.created_at, Task.task_id)
        last = tuple_(bindparam("position_value", type_=DateTime(timezone=True)), bindparam("position_id", type_=Uuid))
        statement = statement.where(here < last if order.startswith("-") else here > last)
    if not several:
        return _sorted(statement, order, Task.created_at, Task.task_id)
    wanted = func.unnest(bindparam("statuses", type_=ARRAY(Text))).table_valued("value").render_derived(name="wanted")
    branch = _sorted(statement.where(Task.status == wanted.c.value), order, Task.created_at, Task.task_id)
    task = branch.lateral("task")
    merged = select(*task.c).select_from(wanted, task)
    return _sorted(merged, order, task.c.created_at, task.c.task_id)


def _sorted(statement: Query, order: str, created_at: Expression, task_id: Expression) -> Query:
    keys = (created_at.desc(), task_id.desc()) if order.startswith("-") else (created_at, task_id)
    return statement.order_by(*keys).limit(bindparam("most"))


async def list_tasks(tx: Tx, order: str, filters: Parameters, after: Position | None, limit: int) -> Page[TaskRow]:
    """SELECT up to ``limit`` tasks that match, in ``order``, behind the position ``after``."""
    position: Parameters = {} if after is None else {"position_value": after.value, "position_id": after.id}
    statement = _page(order, frozenset(filters), continued=after is not None, open_only=_leaves_completed_out(filters))
    return await read_page(tx, TaskRow, statement, {**filters, **position}, limit)


def _leaves_completed_out(filters: Parameters) -> bool:
    several = filters.get("statuses")
    return TaskStatus.completed not in (
        several if isinstance(several, list) else [filters.get("status", TaskStatus.completed)]
    )


@lru_cache(maxsize=64)
def _count(filters: frozenset[str], *, open_only: bool) -> Select[int]:
    conditions = conditions_of(filters)
    if open_only:
        conditions.append(_NOT_COMPLETED)
    return select(func.count()).select_from(Task).where(*conditions)


def conditions_of(filters: frozenset[str]) -> list[ColumnElement[bool]]:
    """Return what all tasks that match have in common, for a statement that reads them all."""
    conditions = [FILTERS[name] for name in sorted(filters - {"statuses"})]
    if "statuses" in filters:
        conditions.append(Task.status == any_(bindparam("statuses", type_=ARRAY(Text))))
    return conditions


async def count_tasks(tx: Tx, filters: Parameters) -> int:
    """SELECT how many tasks match."""
    statement = _count(frozenset(filters), open_only=_leaves_completed_out(filters))
    return await tx.fetch_value(statement, filters)
