"""SQL of claims that are repeated: what was handed out before, and is still held."""

from collections.abc import Sequence

from sqlalchemy import Integer, column, func, select, true

from app.db.engine import Parameters, Tx
from app.models import Task
from app.models.base import constant
from app.store.claims import CLAIMED_COLUMNS, SIZE, HandedTask
from app.store.recordsets import as_rows, rows_like
from milepost.schemas.tasks import TaskStatus

_lease = rows_like(Task, ("task_id", "lease_token"), column("claimer", Integer), column("place", Integer))
_GET_CLAIMED = (
    select(
        *CLAIMED_COLUMNS,
        func.clock_timestamp().label("server_time"),
        true().label("was_started"),
        _lease.c.claimer,
        _lease.c.place,
    )
    .where(Task.task_id == _lease.c.task_id, Task.lease_token == _lease.c.lease_token)
    .where(Task.status == constant(TaskStatus.running), Task.lease_expires_at > func.clock_timestamp())
    .order_by(_lease.c.claimer, _lease.c.place)
)


async def get_claimed(tx: Tx, leases: Sequence[Parameters]) -> Sequence[HandedTask]:
    """SELECT what ``claim_tasks`` gave, of those leases that last."""
    return await tx.fetch(HandedTask, _GET_CLAIMED, as_rows(leases))


_SIZES_OF_CLAIMED = (
    select(_lease.c.claimer, func.sum(SIZE).label("size"))
    .where(Task.task_id == _lease.c.task_id, Task.lease_token == _lease.c.lease_token)
    .group_by(_lease.c.claimer)
)


async def measure_claimed(tx: Tx, leases: Sequence[Parameters]) -> dict[int, int]:
    """SELECT how many bytes of JSON ``get_claimed`` would give of ``leases``, by claimer."""
    return {row.claimer: int(row.size) for row in await tx.execute(_SIZES_OF_CLAIMED, as_rows(leases))}
