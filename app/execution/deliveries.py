"""Events on their way: tasks and runs that could not be told when an event was emitted are told now."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from app.db.engine import Tx
from app.db.failures import may_be_of_one
from app.domain.highway.engine.actions import EmitEvent
from app.domain.records import DeliveryRow
from app.execution.giving_up import give_up_run, give_up_task
from app.execution.session import Executions
from app.moves.event_waits import WOKEN_MOST, wake_left
from app.store import deliveries as deliveries_store
from app.store import events as events_store
from app.store import executions as executions_store
from app.store import set_aside_rows as set_aside_store

_CHORE = "deliver_events"


class Delivery(NamedTuple):
    """One run that is to be told of an event; or, without a run, the tasks that await it."""

    delivery_id: int
    workflow_run_id: UUID | None

    def __str__(self) -> str:
        """Return it as a key: `12/0198...`, or `12/`."""
        return f"{self.delivery_id}/{self.workflow_run_id or ''}"


def read_delivery(key: str) -> Delivery:
    """Return the delivery of a key."""
    delivery_id, _, workflow_run_id = key.partition("/")
    return Delivery(int(delivery_id), UUID(workflow_run_id) if workflow_run_id else None)


async def find_deliveries(tx: Tx, most: int) -> Sequence[Delivery]:
    """Return who is to be told of up to ``most`` events."""
    rows = await deliveries_store.lock_deliveries(tx, most)
    if not rows:
        return []
    left_out = await set_aside_store.list_keys(tx, _CHORE)
    found = [
        Delivery(row.delivery_id, workflow_run_id)
        for row in rows
        for workflow_run_id in (None, *await _list_awaiting(tx, row))
    ]
    return [delivery for delivery in found if str(delivery) not in left_out]


async def deliver_events(tx: Tx, deliveries: Sequence[Delivery]) -> int:
    """Wake tasks and tell runs of events that may have been emitted; how many were told, or a round if some are left.

    Once the names are locked, who had begun to await or to emit one of them has committed.
    """
    rows = await deliveries_store.lock_some_deliveries(tx, sorted({delivery.delivery_id for delivery in deliveries}))
    executions = Executions(tx)
    await executions.lock({delivery.workflow_run_id for delivery in deliveries if delivery.workflow_run_id})
    await events_store.lock_names(tx, {(row.queue, row.event_name) for row in rows})
    are_done = [await _deliver(executions, row, set(deliveries)) for row in rows]
    await executions.write()
    if done := [row.delivery_id for row, is_done in zip(rows, are_done, strict=True) if is_done]:
        await deliveries_store.delete_deliveries(tx, done)
    return len(deliveries) if all(are_done) else WOKEN_MOST


async def _list_awaiting(tx: Tx, row: DeliveryRow) -> Sequence[UUID]:
    return await executions_store.list_runs_awaiting(tx, row.queue, row.event_name, row.workflow_run_id)


async def _deliver(executions: Executions, row: DeliveryRow, deliveries: set[Delivery]) -> bool:
    """Tell those of an event who are to be told; whether that is everybody who awaits it."""
    tx, name = executions.tx, row.event_name
    awaiting = await _list_awaiting(tx, row)
    are_left = False
    if Delivery(row.delivery_id, None) in deliveries:
        event = await events_store.get_event(tx, row.queue, name, row.workflow_run_id)
        if event is not None:
            are_left = await wake_left(tx, row.queue, name, row.workflow_run_id, event.payload)
    told = sorted(
        workflow_run_id for workflow_run_id in awaiting if Delivery(row.delivery_id, workflow_run_id) in deliveries
    )
    for workflow_run_id in told:
        if workflow_run_id in executions.runs and await executions.runs[workflow_run_id].hears(tx, name):
            await executions.act(workflow_run_id, EmitEvent(name))
    return (
        not are_left
        and {Delivery(row.delivery_id, workflow_run_id) for workflow_run_id in (None, *awaiting)} <= deliveries
    )


async def give_up_delivery(tx: Tx, delivery: Delivery, why: str) -> None:
    """End a run that cannot be told of an event, or the tasks that cannot be woken by it."""
    if delivery.workflow_run_id is not None:
        await give_up_run(tx, delivery.workflow_run_id, why)
        return
    for row in await deliveries_store.lock_some_deliveries(tx, [delivery.delivery_id]):
        of_event = (row.queue, row.event_name, row.workflow_run_id)
        event = await events_store.get_event(tx, *of_event)
        if event is None:
            continue
        for task_id in await events_store.list_satisfied_waiters(tx, *of_event, WOKEN_MOST):
            try:
                async with tx.savepoint():
                    await wake_left(tx, *of_event, event.payload, only=task_id)
            except Exception as failure:
                if not may_be_of_one(failure):
                    raise
                await give_up_task(tx, task_id, why)
