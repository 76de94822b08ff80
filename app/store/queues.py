"""SQL of queues: their limits and their depth."""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import ARRAY, Text, any_, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from app.db.engine import Parameters, Tx
from app.domain.moves import TASK_OPEN
from app.domain.records import QueueRow
from app.models import Queue, Task
from app.models.base import is_among
from app.store.locks import Rank
from app.store.pages import Page, read_page

_QUEUE = bindparam("of_queue", type_=Text)
_QUEUES = bindparam("queues", type_=ARRAY(Text))
_COLUMNS = tuple(Queue.__table__.c)
_LIST = (
    select(*_COLUMNS).where(Queue.queue > bindparam("after", type_=Text)).order_by(Queue.queue).limit(bindparam("most"))
)


async def list_queues(tx: Tx, after: str, limit: int) -> Page[QueueRow]:
    """SELECT up to ``limit`` queues behind the name ``after``, by name."""
    return await read_page(tx, QueueRow, _LIST, {"after": after}, limit)


_GET = select(*_COLUMNS).where(Queue.queue == _QUEUE)


async def get_queue(tx: Tx, queue: str) -> QueueRow | None:
    """SELECT one queue."""
    return await tx.fetch_one(QueueRow, _GET, {"of_queue": queue})


_LOCK = select(*_COLUMNS).where(Queue.queue == _QUEUE).with_for_update().execution_options(locks=Rank.queues)


async def lock_queue(tx: Tx, queue: str) -> QueueRow | None:
    """SELECT one queue FOR UPDATE."""
    return await tx.fetch_one(QueueRow, _LOCK, {"of_queue": queue})


_INSERT = (
    insert(Queue)
    .values(queue=_QUEUE)
    .on_conflict_do_nothing()
    .returning(*_COLUMNS)
    .execution_options(locks=Rank.queues.new)
)


async def insert_queue(tx: Tx, queue: str) -> bool:
    """INSERT a queue with default limits; False if it exists."""
    return await tx.fetch_one(QueueRow, _INSERT, {"of_queue": queue}) is not None


_REVIVE = (
    insert(Queue)
    .from_select(
        ["queue"],
        select(_QUEUE).where(select(1).where(Task.queue == _QUEUE, is_among(Task.status, TASK_OPEN)).exists()),
    )
    .on_conflict_do_nothing()
    .returning(Queue.queue)
    .execution_options(locks=Rank.queues.new)
)


async def revive_queue(tx: Tx, queue: str) -> bool:
    """INSERT a queue that was deleted while a task was spawned on it; False if there is none to make."""
    return await tx.find_value(_REVIVE, {"of_queue": queue}) is not None


_SETTINGS = ("paused", "max_concurrency", "default_lease_seconds", "retention_seconds")
_UPDATE = (
    update(Queue)
    .where(Queue.queue == _QUEUE)
    .values({**{name: bindparam(f"new_{name}", type_=Queue.__table__.c[name].type) for name in _SETTINGS}})
    .values(updated_at=func.now())
    .returning(*_COLUMNS)
    .execution_options(locks=Rank.queues)
)


async def update_queue(tx: Tx, queue: str, settings: Parameters) -> None:
    """UPDATE the limits of a queue, all of them."""
    values = {f"new_{name}": settings[name] for name in _SETTINGS}
    await tx.execute(_UPDATE, {"of_queue": queue, **values})


_DELETE = delete(Queue).where(Queue.queue == _QUEUE).execution_options(locks=Rank.queues.held)


async def delete_queue(tx: Tx, queue: str) -> None:
    """DELETE a queue's row."""
    await tx.execute(_DELETE, {"of_queue": queue})


class Depth(NamedTuple):
    """How many open tasks of one status a queue has."""

    queue: str
    status: str
    amount: int
    oldest_seconds: Decimal


_COUNT_OPEN = (
    select(
        Task.queue,
        Task.status,
        func.count().label("amount"),
        func.extract("epoch", func.now() - func.min(Task.created_at)).label("oldest_seconds"),
    )
    .where(Task.queue == any_(_QUEUES), is_among(Task.status, TASK_OPEN))
    .group_by(Task.queue, Task.status)
)


async def count_open_tasks(tx: Tx, queues: Sequence[str]) -> Sequence[Depth]:
    """SELECT the open tasks of queues by status, and the age of the oldest in seconds."""
    return await tx.fetch(Depth, _COUNT_OPEN, {"queues": queues})
