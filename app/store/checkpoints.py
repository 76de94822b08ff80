"""SQL of checkpoints."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Row, Text, Uuid, any_, bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from app.db.engine import Tx
from app.models import Checkpoint
from app.store.recordsets import as_rows, rows_like

_COLUMNS = tuple(Checkpoint.__table__.c)
_WRITTEN = ("task_id", "name", "state", "is_outcome", "attempt", "run_id")
_item = rows_like(Checkpoint, _WRITTEN)
_insert = insert(Checkpoint).from_select(
    _WRITTEN, select(*(_item.c[name] for name in _WRITTEN)).order_by(_item.c.task_id, _item.c.name)
)
_PUT = _insert.on_conflict_do_update(
    index_elements=["task_id", "name"],
    set_={
        "state": _insert.excluded.state,
        "attempt": _insert.excluded.attempt,
        "run_id": _insert.excluded.run_id,
        "updated_at": func.now(),
    },
    where=~Checkpoint.is_outcome,
).returning(*_COLUMNS)
_OF_TASK = Checkpoint.task_id == bindparam("of_task", type_=Uuid)
_GET = select(*_COLUMNS).where(_OF_TASK, Checkpoint.name == bindparam("of_name", type_=Text))
_LIST = (
    select(*_COLUMNS)
    .where(_OF_TASK, Checkpoint.position > bindparam("after", type_=BigInteger))
    .order_by(Checkpoint.position)
    .limit(bindparam("most"))
)
_LIST_STATES = (
    select(Checkpoint.task_id, Checkpoint.name, Checkpoint.state)
    .where(Checkpoint.task_id == any_(bindparam("tasks", type_=ARRAY(Uuid))))
    .order_by(Checkpoint.position)
)


async def put_checkpoints(tx: Tx, rows: Sequence[dict[str, Any]]) -> dict[tuple[UUID, str], Row[Any]]:
    """INSERT or overwrite checkpoints, by (task, name); the outcome of an await is not overwritten, and left out."""
    return {(row.task_id, row.name): row for row in await tx.execute(_PUT, as_rows(rows))}


async def get_checkpoint(tx: Tx, task_id: UUID, name: str) -> Row[Any] | None:
    """SELECT one checkpoint."""
    return (await tx.execute(_GET, {"of_task": task_id, "of_name": name})).one_or_none()


async def list_checkpoints(tx: Tx, task_id: UUID, after: int, most: int) -> Sequence[Row[Any]]:
    """SELECT up to ``most`` checkpoints behind the position ``after``, in order of writing."""
    return (await tx.execute(_LIST, {"of_task": task_id, "after": after, "most": most})).all()


async def list_states(tx: Tx, task_ids: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
    """SELECT the states of all checkpoints of tasks: name -> state, by task."""
    states: dict[UUID, dict[str, Any]] = {}
    for row in await tx.execute(_LIST_STATES, {"tasks": task_ids}):
        states.setdefault(row.task_id, {})[row.name] = row.state
    return states
