"""SQL of bulk operations: what each is about, and how it went."""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Float,
    Integer,
    SmallInteger,
    Text,
    Uuid,
    any_,
    bindparam,
    case,
    cast,
    delete,
    func,
    insert,
    select,
    true,
    update,
)
from sqlalchemy.sql.dml import Insert

from app.db.engine import Parameters, Tx
from app.domain.cursors import Position
from app.domain.json_texts import JsonText
from app.models import BulkOperation, BulkOutcome, SetAsideRow, Task, WorkflowRun
from app.models.base import constant
from app.store.locks import Rank
from app.store.pages import Page, read_page
from app.store.parts import Query
from app.store.recordsets import seconds
from app.store.task_lists import conditions_of
from app.store.workflow_run_lists import FILTERS
from milepost.schemas.bulk_operations import BulkResource, BulkStatus

CHORE = "work_bulk_operations"
"""The chore that does one item after the other."""
_ID = bindparam("of_operation", type_=Uuid)
_RUNNING = BulkOperation.status == constant(BulkStatus.running)


class BulkOperationRow(NamedTuple):
    """A bulk operation as it is stored; what the columns mean is said at the model."""

    bulk_operation_id: UUID
    resource: str
    verb: str
    filter: JsonText
    reason: str | None
    status: str
    total: int
    done: int
    refused: int
    created_by: str
    created_at: datetime
    completed_at: datetime | None


_COLUMNS = [BulkOperation.__table__.c[name] for name in BulkOperationRow._fields]
_GIVEN = ("bulk_operation_id", "resource", "verb", "filter", "reason", "total", "created_by", "request_id")
_is_empty = bindparam("new_total", type_=BigInteger) == 0
_INSERT = (
    insert(BulkOperation)
    .values({name: bindparam(f"new_{name}", type_=BulkOperation.__table__.c[name].type) for name in _GIVEN})
    .values(
        status=case((_is_empty, BulkStatus.completed.value), else_=BulkStatus.running.value),
        completed_at=case((_is_empty, func.now())),
    )
    .returning(*_COLUMNS)
    .execution_options(locks=Rank.bulk_operations.new)
)


async def insert_operation(tx: Tx, row: Parameters) -> BulkOperationRow:
    """INSERT a bulk operation; one that is about nothing is completed."""
    (operation,) = await tx.fetch(BulkOperationRow, _INSERT, {f"new_{name}": row[name] for name in _GIVEN})
    return operation


_IDS: Mapping[BulkResource, ColumnElement[UUID]] = {
    BulkResource.workflow_runs: WorkflowRun.workflow_run_id.expression,
    BulkResource.tasks: Task.task_id.expression,
}


@lru_cache(maxsize=64)
def _insert_matching(resource: BulkResource, filters: frozenset[str]) -> Insert:
    """Return the statement that keeps what matches, the oldest first."""
    is_of_runs = resource is BulkResource.workflow_runs
    conditions = [FILTERS[name] for name in sorted(filters)] if is_of_runs else conditions_of(filters)
    matching = select(_ID, _IDS[resource]).where(*conditions).order_by(_IDS[resource])
    return (
        insert(BulkOutcome)
        .from_select(["bulk_operation_id", "resource_id"], matching)
        .execution_options(locks=Rank.bulk_operations.new)
    )


async def insert_matching(tx: Tx, bulk_operation_id: UUID, resource: BulkResource, filters: Parameters) -> int:
    """INSERT what matches now as that which a bulk operation is about; how many they are."""
    statement = _insert_matching(resource, frozenset(filters))
    return (await tx.execute_planned(statement, {**filters, "of_operation": bulk_operation_id})).rowcount


_GET = select(*_COLUMNS).where(BulkOperation.bulk_operation_id == _ID)


async def get_operation(tx: Tx, bulk_operation_id: UUID) -> BulkOperationRow | None:
    """SELECT one bulk operation."""
    return await tx.fetch_one(BulkOperationRow, _GET, {"of_operation": bulk_operation_id})


@lru_cache(maxsize=2)
def _page(*, continued: bool) -> Query:
    statement = select(*_COLUMNS)
    if continued:
        statement = statement.where(BulkOperation.bulk_operation_id < bindparam("position_id", type_=Uuid))
    return statement.order_by(BulkOperation.bulk_operation_id.desc()).limit(bindparam("most"))


async def list_operations(tx: Tx, after: Position | None, limit: int) -> Page[BulkOperationRow]:
    """SELECT up to ``limit`` bulk operations behind the position ``after``, newest first."""
    position = {} if after is None else {"position_id": after.id}
    return await read_page(tx, BulkOperationRow, _page(continued=after is not None), position, limit)


class BulkOutcomeRow(NamedTuple):
    """How it went with one item."""

    sequence: int
    resource_id: UUID
    status: int
    code: str | None


_LIST_OUTCOMES = (
    select(*(BulkOutcome.__table__.c[name] for name in BulkOutcomeRow._fields))
    .where(
        BulkOutcome.bulk_operation_id == _ID,
        BulkOutcome.is_open.is_(False),
        BulkOutcome.sequence > bindparam("after", type_=BigInteger),
    )
    .order_by(BulkOutcome.sequence)
    .limit(bindparam("most"))
)


async def list_outcomes(tx: Tx, bulk_operation_id: UUID, after: int, limit: int) -> Page[BulkOutcomeRow]:
    """SELECT up to ``limit`` outcomes behind the one with the sequence ``after``, in their order."""
    return await read_page(
        tx, BulkOutcomeRow, _LIST_OUTCOMES, {"of_operation": bulk_operation_id, "after": after}, limit
    )


_LOCK = (
    select(*_COLUMNS)
    .where(BulkOperation.bulk_operation_id == _ID)
    .with_for_update()
    .execution_options(locks=Rank.bulk_operations)
)


async def lock_operation(tx: Tx, bulk_operation_id: UUID) -> BulkOperationRow | None:
    """SELECT FOR UPDATE one bulk operation: whoever works on it has come to the end of an item."""
    return await tx.fetch_one(BulkOperationRow, _LOCK, {"of_operation": bulk_operation_id})


_CANCEL = (
    update(BulkOperation)
    .where(BulkOperation.bulk_operation_id == _ID, _RUNNING)
    .values(status=BulkStatus.cancelled.value, completed_at=func.now())
    .returning(*_COLUMNS)
    .execution_options(locks=Rank.bulk_operations.held)
)


async def cancel_operation(tx: Tx, bulk_operation_id: UUID) -> BulkOperationRow:
    """UPDATE a locked bulk operation that is running: it goes no further."""
    (operation,) = await tx.fetch(BulkOperationRow, _CANCEL, {"of_operation": bulk_operation_id})
    return operation


_set_aside = select(SetAsideRow.row_key).where(SetAsideRow.chore == constant(CHORE))
_MOST = bindparam("most", type_=Integer)
_item = (
    select(BulkOutcome.sequence)
    .where(
        BulkOutcome.bulk_operation_id == BulkOperation.bulk_operation_id,
        BulkOutcome.is_open.is_(True),
        cast(BulkOutcome.sequence, Text).not_in(_set_aside),
    )
    .order_by(BulkOutcome.sequence)
    .limit(_MOST)
    .lateral("item")
)
_FIND = (
    select(_item.c.sequence)
    .select_from(BulkOperation)
    .join(_item, true())
    .where(_RUNNING)
    .order_by(BulkOperation.worked_at, _item.c.sequence)
    .limit(_MOST)
    .with_for_update(of=BulkOperation, skip_locked=True)
    .execution_options(locks=Rank.bulk_operations.skipped)
)


async def find_items(tx: Tx, most: int) -> list[int]:
    """SELECT up to ``most`` items of running bulk operations on which nobody works; first who waits longest."""
    return await tx.fetch_values(_FIND, {"most": most})


class BulkItem(NamedTuple):
    """What is to be done to one run or task, and for whom."""

    bulk_operation_id: UUID
    resource_id: UUID
    resource: str
    verb: str
    reason: str | None
    created_by: str
    request_id: str | None


_SEQUENCE = bindparam("of_sequence", type_=BigInteger)
_LOCK_ITEM = (
    select(
        BulkOperation.bulk_operation_id,
        BulkOutcome.resource_id,
        *(BulkOperation.__table__.c[name] for name in BulkItem._fields[2:]),
    )
    .join(BulkOutcome, BulkOutcome.bulk_operation_id == BulkOperation.bulk_operation_id)
    .where(BulkOutcome.sequence == _SEQUENCE, BulkOutcome.is_open.is_(True), _RUNNING)
    .with_for_update(of=[BulkOperation, BulkOutcome], skip_locked=True)
    .execution_options(locks=Rank.bulk_operations.skipped)
)


async def lock_item(tx: Tx, sequence: int) -> BulkItem | None:
    """SELECT FOR UPDATE an item with its bulk operation; None if it has its outcome, or somebody works on that."""
    return await tx.fetch_one(BulkItem, _LOCK_ITEM, {"of_sequence": sequence})


_STATUS = bindparam("outcome_status", type_=SmallInteger)
_noted = (
    update(BulkOutcome)
    .where(BulkOutcome.sequence == _SEQUENCE)
    .values(is_open=False, status=_STATUS, code=bindparam("outcome_code", type_=Text))
    .returning(BulkOutcome.bulk_operation_id)
    .cte("noted")
)
_is_last = BulkOperation.done + 1 == BulkOperation.total
_SET_OUTCOME = (
    update(BulkOperation)
    .where(BulkOperation.bulk_operation_id == _noted.c.bulk_operation_id)
    .values(
        done=BulkOperation.done + 1,
        refused=BulkOperation.refused + cast(bindparam("is_refused", type_=Boolean), Integer),
        worked_at=func.clock_timestamp(),
        status=case((_is_last, BulkStatus.completed.value), else_=BulkOperation.status),
        completed_at=case((_is_last, func.clock_timestamp())),
    )
    .execution_options(locks=Rank.bulk_operations.held)
)


async def set_outcome(tx: Tx, sequence: int, status: int, code: str | None) -> None:
    """UPDATE a locked item with its outcome, and its bulk operation, which the last one completes."""
    outcome = {"outcome_status": status, "outcome_code": code, "is_refused": code is not None}
    await tx.execute(_SET_OUTCOME, {"of_sequence": sequence, **outcome})


_old = (
    select(BulkOperation.bulk_operation_id)
    .where(BulkOperation.completed_at < func.now() - seconds(bindparam("keep_seconds", type_=Float)))
    .order_by(BulkOperation.completed_at)
    .limit(1)
    .with_for_update(skip_locked=True)
    .cte("old")
)
_old_outcomes = (
    select(BulkOutcome.sequence)
    .join(_old, _old.c.bulk_operation_id == BulkOutcome.bulk_operation_id)
    .limit(bindparam("most", type_=Integer))
)
_PRUNE_OUTCOMES = (
    delete(BulkOutcome)
    .where(BulkOutcome.sequence == any_(func.array(_old_outcomes.scalar_subquery())))
    .execution_options(locks=Rank.bulk_operations.skipped)
)
_is_about_something = select(1).where(BulkOutcome.bulk_operation_id == _old.c.bulk_operation_id).exists()
_PRUNE = (
    delete(BulkOperation)
    .where(
        BulkOperation.bulk_operation_id
        == any_(func.array(select(_old.c.bulk_operation_id).where(~_is_about_something).scalar_subquery()))
    )
    .execution_options(locks=Rank.bulk_operations.skipped)
)


async def delete_old_operations(tx: Tx, keep_seconds: float, most: int) -> int:
    """DELETE up to ``most`` outcomes of the oldest bulk operation that is not kept, and it with the last; how many."""
    parameters = {"keep_seconds": keep_seconds}
    done = await tx.change(_PRUNE_OUTCOMES, {**parameters, "most": most})
    return done + await tx.change(_PRUNE, parameters)
