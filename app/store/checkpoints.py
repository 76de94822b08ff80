"""SQL of checkpoints."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Integer,
    Text,
    Uuid,
    any_,
    bindparam,
    column,
    false,
    func,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.sql.dml import ReturningInsert
from sqlalchemy.sql.selectable import LateralFromClause

from app.db.engine import Parameters, Tx
from app.domain.json_texts import JsonValue
from app.domain.records import CheckpointRow
from app.models import Checkpoint, Task
from app.models.base import constant
from app.store.locks import Rank
from app.store.pages import Page, read_page
from app.store.recordsets import as_rows, rows_like
from app.store.sizes import BYTES_MOST, size_of
from milepost.schemas.tasks import TaskStatus

NAMES_MOST = 10_000
"""How many checkpoints a task has at most; their states are `BYTES_MOST` together."""
_COLUMNS = tuple(Checkpoint.__table__.c)


def _others_of(task_id: ColumnElement[UUID], name: ColumnElement[str]) -> LateralFromClause:
    """Return how many checkpoints a task has under other names, and how many bytes their states are."""
    totals = select(func.count().label("names"), func.coalesce(func.sum(size_of(Checkpoint.state)), 0).label("bytes"))
    return totals.where(Checkpoint.task_id == task_id, Checkpoint.name != name).lateral("others")


def _overwriting(insertion: Insert) -> ReturningInsert[CheckpointRow]:
    """Return the insertion of checkpoints that overwrites those of the same names, but no outcome of an await."""
    changed = {name: insertion.excluded[name] for name in ("state", "attempt", "run_id")}
    return insertion.on_conflict_do_update(
        index_elements=["task_id", "name"],
        set_={**changed, "updated_at": func.now()},
        where=~Checkpoint.is_outcome,
    ).returning(*_COLUMNS)


_OF_TASK = Checkpoint.task_id == bindparam("of_task", type_=Uuid)
_WRITTEN = ("task_id", "name", "state", "is_outcome", "attempt", "run_id")
_item = rows_like(Checkpoint, _WRITTEN)
_others = _others_of(_item.c.task_id, _item.c.name)
_insert = insert(Checkpoint).from_select(
    _WRITTEN,
    select(*(_item.c[name] for name in _WRITTEN))
    .join_from(_item, _others, true())
    .where(_others.c.names < NAMES_MOST, _others.c.bytes + size_of(_item.c.state) <= BYTES_MOST)
    .order_by(_item.c.task_id, _item.c.name),
)
_PUT = _overwriting(_insert).execution_options(locks=Rank.tasks.held)


async def put_checkpoints(tx: Tx, rows: Sequence[Parameters]) -> dict[tuple[UUID, str], CheckpointRow]:
    """INSERT or overwrite checkpoints of locked tasks, by (task, name).

    Left out are those that would overwrite the outcome of an await, and those for which the task has no room.
    """
    return {(row.task_id, row.name): row for row in await tx.fetch(CheckpointRow, _PUT, as_rows(rows))}


ROOM_SHARE = 2
"""A checkpoint that is put at once sees none that others put at this moment: it takes only this part of the room."""
_sent = rows_like(Checkpoint, ("task_id", "name", "state"), column("lease_token", Uuid))
_held = (
    select(Task.task_id, Task.lease_expires_at, Task.attempt, Task.run_id)
    .where(Task.task_id == _sent.c.task_id, Task.lease_token == _sent.c.lease_token)
    .where(Task.status == constant(TaskStatus.running))
    .order_by(Task.task_id)
    .with_for_update(key_share=True, of=Task)
    .cte("held")
)
_others_of_sent = _others_of(_sent.c.task_id, _sent.c.name)
_insert_of_held = insert(Checkpoint).from_select(
    _WRITTEN,
    select(_sent.c.task_id, _sent.c.name, _sent.c.state, false(), _held.c.attempt, _held.c.run_id)
    .join_from(_sent, _held, _held.c.task_id == _sent.c.task_id)
    .join(_others_of_sent, true())
    .where(_held.c.lease_expires_at > func.clock_timestamp())
    .where(_others_of_sent.c.names < NAMES_MOST // ROOM_SHARE)
    .where(_others_of_sent.c.bytes + size_of(_sent.c.state) <= BYTES_MOST // ROOM_SHARE)
    .order_by(_sent.c.task_id),
)
_PUT_OF_HELD = _overwriting(_insert_of_held).execution_options(locks=Rank.tasks)


async def put_checkpoints_of_held(tx: Tx, rows: Sequence[Parameters]) -> dict[tuple[UUID, str], CheckpointRow]:
    """INSERT or overwrite checkpoints, one of a task, of those whose current lease is named and lasts, as (task, name).

    Left out are those that ``put_checkpoints`` leaves out, and those for which the task may have no room.
    """
    return {(row.task_id, row.name): row for row in await tx.fetch(CheckpointRow, _PUT_OF_HELD, as_rows(rows))}


_GET = select(*_COLUMNS).where(_OF_TASK, Checkpoint.name == bindparam("of_name", type_=Text))


async def get_checkpoint(tx: Tx, task_id: UUID, name: str) -> CheckpointRow | None:
    """SELECT one checkpoint."""
    return await tx.fetch_one(CheckpointRow, _GET, {"of_task": task_id, "of_name": name})


_named = _others_of(bindparam("of_task", type_=Uuid), bindparam("of_name", type_=Text))
_HAS_ROOM = select(
    (_named.c.names < NAMES_MOST) & (_named.c.bytes + bindparam("size", type_=Integer) <= BYTES_MOST)
).select_from(_named)


async def has_room(tx: Tx, task_id: UUID, name: str, size: int) -> bool:
    """SELECT whether a checkpoint of ``size`` bytes has room beside the others of its task."""
    return await tx.fetch_value(_HAS_ROOM, {"of_task": task_id, "of_name": name, "size": size})


_LIST = (
    select(*_COLUMNS)
    .where(_OF_TASK, Checkpoint.position > bindparam("after", type_=BigInteger))
    .order_by(Checkpoint.position)
    .limit(bindparam("most"))
)


async def list_checkpoints(tx: Tx, task_id: UUID, after: int, limit: int) -> Page[CheckpointRow]:
    """SELECT up to ``limit`` checkpoints behind the position ``after``, in order of writing."""
    return await read_page(tx, CheckpointRow, _LIST, {"of_task": task_id, "after": after}, limit)


_LIST_STATES = (
    select(Checkpoint.task_id, Checkpoint.name, Checkpoint.state)
    .where(Checkpoint.task_id == any_(bindparam("tasks", type_=ARRAY(Uuid))))
    .order_by(Checkpoint.position)
)


async def list_states(tx: Tx, task_ids: Sequence[UUID]) -> dict[UUID, dict[str, JsonValue]]:
    """SELECT the states of all checkpoints of tasks: name -> state, by task."""
    states: dict[UUID, dict[str, JsonValue]] = {}
    for row in await tx.execute(_LIST_STATES, {"tasks": task_ids}):
        states.setdefault(row.task_id, {})[row.name] = row.state
    return states
