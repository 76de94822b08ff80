"""Tasks that await events: what they see, and how they wake."""

from collections.abc import Sequence
from uuid import UUID

from pydantic import MISSING

from app.db.engine import Parameters, Tx
from app.domain.json_texts import JsonText, JsonValue, write_json
from app.domain.records import TaskRow
from app.domain.task_moves import checkpoint_row, wake
from app.errors import ValidationFailed
from app.store import checkpoints as checkpoints_store
from app.store import deliveries as deliveries_store
from app.store import due_tasks as due_tasks_store
from app.store import events as events_store
from app.store import tasks as tasks_store
from app.store.sizes import BYTES_MOST
from milepost.schemas.tasks import AwaitOutcome, EventAwaited

_MIB_MOST = BYTES_MOST // 1024**2
NO_ROOM = (
    f"the task would have more than {checkpoints_store.NAMES_MOST} checkpoints,"
    f" or more than {_MIB_MOST} MiB of their states"
)

WOKEN_MOST = 500
"""How many tasks one transaction wakes; the others are woken by the housekeeping."""

TOO_MUCH = ValidationFailed.at("/all_of", f"the payloads of these events are more than {_MIB_MOST} MiB together")


async def wake_waiters(tx: Tx, queue: str, name: str, workflow_run_id: UUID | None, payload: JsonValue) -> bool:
    """Wake the tasks that await an event which is emitted just now; whether some are left for another time.

    Each keeps the payload, so one transaction takes only as many as are ``WOKEN_MOST``, or ``BYTES_MOST`` together.
    Who awaits another event as well is locked first: who emits that one at this moment is not seen before.
    """
    waiters = await events_store.list_waiters(tx, queue, name, workflow_run_id, WOKEN_MOST + 1)
    return await _wake(tx, waiters, queue, name, workflow_run_id, payload)


async def wake_left(
    tx: Tx, queue: str, name: str, workflow_run_id: UUID | None, payload: JsonValue, *, only: UUID | None = None
) -> bool:
    """Wake the tasks, or ``only`` one, that still await an event which was emitted; whether some are left again."""
    waiters = await events_store.list_satisfied_waiters(
        tx, queue, name, workflow_run_id, WOKEN_MOST + 1, [only] if only else None
    )
    return await _wake(tx, waiters, queue, name, workflow_run_id, payload)


async def _wake(
    tx: Tx, waiters: Sequence[UUID], queue: str, name: str, workflow_run_id: UUID | None, payload: JsonValue
) -> bool:
    if not waiters:
        return False
    rows = await tasks_store.lock_tasks(tx, waiters[:WOKEN_MOST])
    still = await events_store.list_satisfied_waiters(tx, queue, name, workflow_run_id, WOKEN_MOST, list(rows))
    received = EventAwaited.model_construct(outcome=AwaitOutcome.received, event_name=name, payload=payload)
    woken: list[tuple[TaskRow, EventAwaited | ValidationFailed]] = []
    room, size = BYTES_MOST, _size_of(received)
    for task in map(rows.__getitem__, still):
        if room <= 0:
            break
        names = task.wait_all
        outcome = received if names is None else await look(tx, task, names, all_of=True)
        if outcome is not None:
            woken.append((task, outcome))
            room -= size if outcome is received else _size_of(outcome)
    await wake_all(tx, woken)
    return len(waiters) > WOKEN_MOST or room <= 0


def _size_of(outcome: EventAwaited | ValidationFailed) -> int:
    return len(write_json(outcome)) if isinstance(outcome, EventAwaited) else 0


async def deliver_later(tx: Tx, queue: str, name: str, workflow_run_id: UUID | None) -> None:
    """Leave it to the housekeeping to tell the others who await an event: those of its run, or all of the queue."""
    delivery: Parameters = {"queue": queue, "event_name": name, "workflow_run_id": workflow_run_id}
    await deliveries_store.insert_deliveries(tx, [delivery])


async def wake_all(tx: Tx, woken: Sequence[tuple[TaskRow, EventAwaited | ValidationFailed]]) -> None:
    """Write the outcome of the awaits of sleeping tasks, and let the tasks be claimed.

    A task that has no room for its outcome wakes without: it awaits again, and is told why that cannot be.
    """
    if not woken:
        return
    ids = [task.task_id for task, _ in woken]
    rows = [
        outcome_row(task, task.wait_step, outcome)
        for task, outcome in woken
        if isinstance(outcome, EventAwaited) and task.wait_step is not None
    ]
    kept = await checkpoints_store.put_checkpoints(tx, rows) if rows else {}
    await events_store.delete_waits(tx, ids)
    ready = [_woken(task, outcome, is_kept=(task.task_id, task.wait_step) in kept) for task, outcome in woken]
    await tasks_store.update_tasks(tx, ready)
    await withhold_work(tx, ready)
    tx.ready.update(task.queue for task, _ in woken)


async def withhold_work(tx: Tx, ready: Sequence[TaskRow]) -> None:
    """Keep those of the tasks from being claimed that are work items of runs which are paused, or to be cancelled."""
    if work := [task.task_id for task in ready if task.step is not None and task.ready_at is not None]:
        await tasks_store.withhold_tasks_of_halted_runs(tx, work)


def _woken(task: TaskRow, outcome: EventAwaited | ValidationFailed, *, is_kept: bool) -> TaskRow:
    if not is_kept or isinstance(outcome, ValidationFailed):
        return wake(task, task.now)
    return wake(task, task.now, outcome.event_name, _payload_of(outcome))


def _payload_of(outcome: EventAwaited) -> JsonValue:
    return None if outcome.payload is MISSING else outcome.payload


def outcome_row(task: TaskRow, step: str, outcome: EventAwaited) -> Parameters:
    """Return the checkpoint that remembers what came of awaiting."""
    return checkpoint_row(task, step, JsonText(write_json(outcome)), is_outcome=True)


async def look(tx: Tx, task: TaskRow, names: Sequence[str], *, all_of: bool) -> EventAwaited | ValidationFailed | None:
    """Return what a task receives under these names: the first that was emitted, or all of them; None if not yet.

    All of them together may be too much.
    """
    queue, workflow_run_id = task.queue, task.workflow_run_id
    emitted = await events_store.see_names(tx, queue, names, workflow_run_id)
    wanted = names if all_of else [name for name in names if name in emitted][:1]
    if not wanted or any(name not in emitted for name in wanted):
        return None
    if all_of and await events_store.measure_events(tx, queue, wanted, workflow_run_id) > BYTES_MOST:
        return TOO_MUCH
    seen = await events_store.see_events(tx, queue, wanted, workflow_run_id)
    if all_of:
        payload = {name: seen[name].payload for name in names}
        return EventAwaited.model_construct(outcome=AwaitOutcome.received, payload=payload)
    return EventAwaited.model_construct(
        outcome=AwaitOutcome.received, event_name=wanted[0], payload=seen[wanted[0]].payload
    )


async def wake_due_tasks(tx: Tx, task_ids: Sequence[UUID]) -> int:
    """Let those of the tasks be claimed whose time has come, or whose await has timed out; how many they were."""
    rows = await due_tasks_store.lock_due_tasks(tx, task_ids)
    timed_out = EventAwaited.model_construct(outcome=AwaitOutcome.timed_out)
    await wake_all(tx, [(task, timed_out) for task in rows if task.wait_step is not None])
    due = [wake(task, task.now) for task in rows if task.wait_step is None]
    if due:
        await tasks_store.update_tasks(tx, due)
        await withhold_work(tx, due)
    tx.ready.update(task.queue for task in due)
    return len(rows)
