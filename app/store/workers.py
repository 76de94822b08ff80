"""SQL of workers: who was seen on which queue, for what, and who has signed off."""

from collections.abc import Sequence

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    DateTime,
    Float,
    Text,
    any_,
    bindparam,
    column,
    delete,
    func,
    literal_column,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased

from app.db.engine import Parameters, Tx
from app.domain.records import WorkerRow
from app.domain.why.facts import Crew
from app.models import QueueWorker, Task
from app.models.base import constant
from app.store.locks import Rank
from app.store.recordsets import as_rows, rows_like, seconds
from milepost.schemas.tasks import TaskStatus

LIVING_SECONDS = 60
"""How long a worker counts as seen after its last claim has begun: no claim waits for longer."""
NEWEST_MOST = 1000
"""How many workers of a queue are looked at, those first that were seen last."""
_SLACK_SECONDS = 3
"""Until a sighting is stored; whoever claims again and again is not lost in between."""
_NOW = func.clock_timestamp(type_=DateTime(timezone=True))
_QUEUES = bindparam("queues", type_=ARRAY(Text))


def is_living(worker: type[QueueWorker]) -> ColumnElement[bool]:
    """Return the condition that a worker waits in a claim, holds a lease or has claimed lately; and stays."""
    holds = select(1).where(
        Task.claimed_by == worker.worker_id,
        Task.queue == worker.queue,
        Task.status == constant(TaskStatus.running),
        Task.lease_expires_at > _NOW,
    )
    came_lately = worker.seen_at > _NOW - literal_column(f"interval '{LIVING_SECONDS + _SLACK_SECONDS} seconds'")
    stays = or_(worker.signed_off_at.is_(None), worker.signed_off_at < worker.seen_at)
    return stays & or_(came_lately, holds.exists())


_LIST_LIVING = (
    select(*QueueWorker.__table__.c)
    .where(QueueWorker.queue == any_(_QUEUES), is_living(QueueWorker))
    .order_by(QueueWorker.queue, QueueWorker.seen_at.desc(), QueueWorker.worker_id)
    .limit(NEWEST_MOST)
)


async def list_living_workers(tx: Tx, queues: Sequence[str]) -> Sequence[WorkerRow]:
    """SELECT the workers that are living on queues, those first that claimed last."""
    return await tx.fetch(WorkerRow, _LIST_LIVING, {"queues": list(queues)})


_place = rows_like(Task, ("queue", "task_name"), name="place")
_newest = (
    select(*QueueWorker.__table__.c)
    .where(QueueWorker.queue == _place.c.queue)
    .order_by(QueueWorker.seen_at.desc())
    .limit(NEWEST_MOST)
    .correlate(_place)
    .subquery("newest")
)
_worker = aliased(QueueWorker, _newest)
_takes = or_(_worker.task_names.is_(None), _place.c.task_name == any_(_worker.task_names))
_crew = (
    select(
        func.count().filter(is_living(_worker)).label("living"),
        func.count().filter(is_living(_worker), _takes).label("takers"),
        func.max(_worker.seen_at).label("last_seen_at"),
    )
    .correlate(_place)
    .lateral("crew")
)
_COUNT_CREWS = select(_place.c.queue, _place.c.task_name, _crew.c.living, _crew.c.takers, _crew.c.last_seen_at)


async def count_crews(tx: Tx, places: Sequence[tuple[str, str]]) -> Sequence[Crew]:
    """SELECT who works on queues for tasks of some names, as (queue, task name)."""
    rows: list[Parameters] = [{"queue": queue, "task_name": name} for queue, name in places]
    return await tx.fetch(Crew, _COUNT_CREWS, as_rows(rows))


_seen = rows_like(QueueWorker, ("queue", "worker_id", "task_names"), column("age", Float), name="seen")
_insert_seen = insert(QueueWorker).from_select(
    ["queue", "worker_id", "task_names", "seen_at"],
    select(_seen.c.queue, _seen.c.worker_id, _seen.c.task_names, _NOW - seconds(_seen.c.age)).order_by(
        _seen.c.queue, _seen.c.worker_id
    ),
)
_newer = _insert_seen.excluded
_SEE = _insert_seen.on_conflict_do_update(
    index_elements=["queue", "worker_id"],
    set_={"seen_at": _newer.seen_at, "task_names": _newer.task_names},
    where=_newer.seen_at > QueueWorker.seen_at,
).execution_options(locks=Rank.workers)


async def see_workers(tx: Tx, rows: Sequence[Parameters]) -> None:
    """INSERT or UPDATE that workers have claimed: `queue`, `worker_id`, `task_names`, and `age` in seconds."""
    await tx.execute(_SEE, as_rows(rows))


_SIGN_OFF = (
    insert(QueueWorker)
    .values(
        queue=bindparam("of_queue", type_=Text),
        worker_id=bindparam("worker", type_=Text),
        seen_at=_NOW,
        signed_off_at=_NOW,
    )
    .on_conflict_do_update(index_elements=["queue", "worker_id"], set_={"signed_off_at": _NOW})
    .execution_options(locks=Rank.workers)
)


async def sign_off_worker(tx: Tx, queue: str, worker_id: str) -> None:
    """INSERT or UPDATE that a worker has said that it stops; what it claimed before and is stored later counts less."""
    await tx.execute(_SIGN_OFF, {"of_queue": queue, "worker": worker_id})


_long_gone = (
    select(QueueWorker.queue, QueueWorker.worker_id)
    .where(QueueWorker.seen_at < func.now() - literal_column("interval '1 day'"), ~is_living(QueueWorker))
    .with_for_update(skip_locked=True)
)
_FORGET = (
    delete(QueueWorker)
    .where(tuple_(QueueWorker.queue, QueueWorker.worker_id).in_(_long_gone))
    .execution_options(locks=Rank.workers.skipped)
)


async def forget_workers(tx: Tx) -> int:
    """DELETE workers that have not been seen for a day, and hold nothing."""
    return await tx.change(_FORGET)
