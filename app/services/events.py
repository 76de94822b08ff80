"""Events: emitted once, and looked at."""

from uuid import UUID

from app.db.engine import Tx
from app.domain.cursors import read_offset, write_offset
from app.domain.records import EventRow
from app.errors import NotFound, Unavailable, ValidationFailed
from app.execution.due_runs import tell_of_event
from app.execution.session import Executions
from app.moves.event_waits import deliver_later, wake_waiters
from app.moves.runs import pin_runs
from app.store import deliveries as deliveries_store
from app.store import events as events_store
from app.store import executions as executions_store
from app.store import queues as queues_store
from milepost.schemas.queues import EmittedEvent, Event, EventEmit, EventPage, EventQuery


def read_event(row: EventRow) -> Event:
    """Return the event that ``row`` stores."""
    return Event.model_construct(None, **{name: getattr(row, name) for name in Event.model_fields})


async def emit_event(tx: Tx, queue: str, name: str, emit: EventEmit) -> EmittedEvent:
    """Emit an event, and wake every task that awaits it; the first emit of a name wins. Raises ValidationFailed."""
    workflow_run_id = emit.workflow_run_id
    executions = Executions(tx)
    await executions.lock(await executions_store.list_runs_awaiting(tx, queue, name, workflow_run_id))
    if workflow_run_id is not None and not await pin_runs(tx, {workflow_run_id}):
        raise ValidationFailed.at("/workflow_run_id", "there is no such workflow run")
    await events_store.lock_names(tx, {(queue, name)})
    await queues_store.insert_queue(tx, queue)
    row = await events_store.insert_event(tx, queue, name, workflow_run_id, emit.payload)
    if row is not None and await wake_waiters(tx, queue, name, workflow_run_id, emit.payload):
        await deliver_later(tx, queue, name, workflow_run_id)
    await tell_of_event(executions, queue, name, workflow_run_id, emit.payload)
    await executions.write()
    event = read_event(row) if row is not None else await get_event(tx, queue, name, workflow_run_id)
    return EmittedEvent.model_construct(None, **event.__dict__, first=row is not None)


async def get_event(tx: Tx, queue: str, name: str, workflow_run_id: UUID | None) -> Event:
    """Return the event of this name that belongs to the run, or with None to the whole queue. Raises NotFound."""
    row = await events_store.get_event(tx, queue, name, workflow_run_id)
    if row is None:
        raise NotFound("no such event was emitted")
    return read_event(row)


async def delete_event(tx: Tx, queue: str, name: str, workflow_run_id: UUID | None) -> None:
    """Forget the event of this name that belongs to the run, or with None to the whole queue.

    Raises NotFound, and Unavailable while those who awaited it when it was emitted are still being told.
    """
    await events_store.lock_names(tx, {(queue, name)})
    await get_event(tx, queue, name, workflow_run_id)
    if await deliveries_store.is_on_its_way(tx, queue, name, workflow_run_id):
        raise Unavailable("the event is still being told to those who await it")
    await events_store.delete_event(tx, queue, name, workflow_run_id)


async def list_events(tx: Tx, queue: str, query: EventQuery) -> EventPage:
    """Return the events of a queue, or of one run there, oldest first. Raises ValidationFailed."""
    owner = f"{queue}/{query.workflow_run_id}"
    after = read_offset(query.cursor, owner) if query.cursor is not None else 0
    page = await events_store.list_events(tx, queue, query.workflow_run_id, after, query.limit)
    more = write_offset(page.rows[-1].event_id, owner) if page.has_more else None
    return EventPage.model_construct(items=[read_event(row) for row in page.rows], next_cursor=more)
