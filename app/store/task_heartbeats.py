"""SQL of the heartbeats of tasks: leases extended, and what their workers report of progress."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Boolean, ColumnElement, Float, Text, and_, case, cast, column, func, or_, update

from app.db.engine import Parameters, Tx
from app.models import Queue, Task
from app.models.base import constant
from app.store.claims import hold_leased
from app.store.locks import Rank
from app.store.recordsets import as_rows, rows_like, seconds
from app.store.reported_progress import REPORT, merge
from milepost.schemas.tasks import TaskStatus

_RUNNING: ColumnElement[str] = constant(TaskStatus.running)


class KeptLease(NamedTuple):
    """A lease that was extended."""

    task_id: UUID
    lease_expires_at: datetime
    cancel_requested_at: datetime | None
    lease_token: UUID
    run_id: UUID
    attempt: int
    server_time: datetime


_beat = rows_like(
    Task,
    ("task_id", "lease_token", "progress"),
    column("lease", Float),
    column("has_progress", Boolean),
    *REPORT,
)
_beating = hold_leased(_beat)
_merged = merge(Task.reported_progress, _beat.c.report, _beat.c.report_clears)
_is_other = cast(_beat.c.progress, Text).is_distinct_from(cast(Task.progress, Text))
_is_news = or_(_merged.is_new, and_(_beat.c.has_progress, _is_other))
_BEAT = (
    update(Task)
    .where(Task.task_id == _beating.c.task_id, Task.lease_token == _beating.c.lease_token, Task.queue == Queue.queue)
    .where(_beat.c.task_id == _beating.c.task_id, _beat.c.lease_token == _beating.c.lease_token)
    .where(Task.status == _RUNNING, Task.lease_expires_at > _beating.c.at)
    .values(
        lease_expires_at=_beating.c.at + seconds(func.coalesce(_beat.c.lease, Queue.default_lease_seconds)),
        progress=case((_beat.c.has_progress, _beat.c.progress), else_=Task.progress),
        reported_progress=_merged.value,
        revision=case((_is_news, Task.revision + 1), else_=Task.revision),
        updated_at=case((_is_news, func.greatest(_beating.c.at, Task.updated_at)), else_=Task.updated_at),
    )
    .returning(
        Task.task_id,
        Task.lease_expires_at,
        Task.cancel_requested_at,
        Task.lease_token,
        Task.run_id,
        Task.attempt,
        _beating.c.at.label("server_time"),
    )
    .execution_options(locks=Rank.tasks)
)


async def beat_tasks(tx: Tx, rows: Sequence[Parameters]) -> dict[UUID, KeptLease]:
    """UPDATE the leases of those tasks whose current lease is named, and what they report; by task.

    Only progress that is new makes a revision.
    """
    return {row.task_id: row for row in await tx.fetch(KeptLease, _BEAT, as_rows(rows))}
