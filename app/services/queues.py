"""Queues: their limits, what lies on them, and who works on them."""

from collections.abc import Mapping, Sequence

from pydantic import MISSING

from app.access.sightings import Sightings, record_sightings
from app.db.engine import Tx
from app.domain.cursors import read_name, write_name
from app.domain.records import QueueRow
from app.errors import MoveNotAllowed, NotFound
from app.store import events as events_store
from app.store import queues as queues_store
from app.store import workers as workers_store
from milepost.schemas.queues import Queue, QueueDepth, QueuePage, QueueSettings, QueueUpdate, SeenWorker
from milepost.schemas.tasks import TaskStatus
from milepost.schemas.wire import PageQuery

_SETTINGS = ("paused", "max_concurrency", "default_lease_seconds", "retention_seconds")
_SHOWN = ("worker_id", "seen_at", "task_names")


def not_found(queue: str) -> NotFound:
    """Return the refusal for a queue that does not exist."""
    return NotFound(f"there is no queue {queue}; it is made by its first task, or by PUT")


async def list_queues(tx: Tx, sightings: Sightings, query: PageQuery) -> QueuePage:
    """Return the queues by name. Raises ValidationFailed."""
    await record_sightings(tx, sightings)
    after = read_name(query.cursor) if query.cursor is not None else ""
    page = await queues_store.list_queues(tx, after, query.limit)
    more = write_name(page.rows[-1].queue) if page.has_more else None
    return QueuePage.model_construct(items=await _read_queues(tx, page.rows), next_cursor=more)


async def show_queue(tx: Tx, sightings: Sightings, queue: str) -> Queue:
    """Return one queue, with all workers that this process has seen. Raises NotFound."""
    await record_sightings(tx, sightings)
    return await get_queue(tx, queue)


async def get_queue(tx: Tx, queue: str) -> Queue:
    """Return one queue. Raises NotFound."""
    row = await queues_store.get_queue(tx, queue)
    if row is None:
        raise not_found(queue)
    return (await _read_queues(tx, [row]))[0]


async def _read_queues(tx: Tx, rows: Sequence[QueueRow]) -> list[Queue]:
    names = [row.queue for row in rows]
    depths: dict[str, dict[str, queues_store.Depth]] = {name: {} for name in names}
    for row in await queues_store.count_open_tasks(tx, names):
        depths[row.queue][row.status] = row
    workers: dict[str, list[SeenWorker]] = {name: [] for name in names}
    for seen in await workers_store.list_living_workers(tx, names):
        workers[seen.queue].append(SeenWorker.model_construct(**{name: getattr(seen, name) for name in _SHOWN}))
    return [_read_queue(row, depths[row.queue], workers[row.queue]) for row in rows]


def _read_queue(row: QueueRow, depth: Mapping[str, queues_store.Depth], workers: list[SeenWorker]) -> Queue:
    amounts = {status: depth[status].amount if status in depth else 0 for status in QueueDepth.model_fields}
    oldest = depth.get(TaskStatus.pending)
    return Queue.model_construct(
        None,
        queue=row.queue,
        created_at=row.created_at,
        updated_at=row.updated_at,
        depth=QueueDepth.model_construct(None, **amounts),
        oldest_pending_seconds=None if oldest is None else max(0.0, float(oldest.oldest_seconds)),
        workers=workers,
        **{name: getattr(row, name) for name in _SETTINGS},
    )


async def put_queue(tx: Tx, queue: str, settings: QueueSettings) -> tuple[Queue, bool]:
    """Give a queue these limits, making it if need be; and whether it was made."""
    is_new = await queues_store.insert_queue(tx, queue)
    await queues_store.update_queue(tx, queue, settings.model_dump())
    _wake_claimers(tx, queue)
    return await get_queue(tx, queue), is_new


async def update_queue(tx: Tx, queue: str, change: QueueUpdate) -> Queue:
    """Change limits of a queue. Raises NotFound."""
    row = await queues_store.lock_queue(tx, queue)
    if row is None:
        raise not_found(queue)
    given = {name: getattr(change, name) for name in _SETTINGS}
    settings = {name: getattr(row, name) if value is MISSING else value for name, value in given.items()}
    await queues_store.update_queue(tx, queue, settings)
    _wake_claimers(tx, queue)
    return await get_queue(tx, queue)


def _wake_claimers(tx: Tx, queue: str) -> None:
    """Let those who wait look again: the queue may hand out more than before."""
    tx.ready[queue] += 1000


async def delete_queue(tx: Tx, queue: str) -> None:
    """Delete a queue without open tasks, with its events. Raises NotFound, MoveNotAllowed."""
    if await queues_store.lock_queue(tx, queue) is None:
        raise not_found(queue)
    current = await get_queue(tx, queue)
    open_tasks = sum(current.depth.model_dump().values())
    if open_tasks:
        raise MoveNotAllowed(f"the queue has {open_tasks} open tasks", current=current, allowed=["pause"])
    await events_store.delete_events(tx, queue)
    await queues_store.delete_queue(tx, queue)


async def sign_off_worker(tx: Tx, sightings: Sightings, queue: str, worker_id: str) -> None:
    """Count a worker as gone, wherever it was seen, until it claims again; its leases stay."""
    sightings.forget(queue, worker_id)
    await workers_store.sign_off_worker(tx, queue, worker_id)
