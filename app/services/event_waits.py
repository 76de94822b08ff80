"""Tasks that await events: what they see, and how they wake."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from pydantic import MISSING

from app.db.engine import Tx
from app.domain.task_moves import Facts, checkpoint_row, wake
from app.schemas.tasks import AwaitOutcome, EventAwaited
from app.services.tasks import facts_of
from app.store import checkpoints as checkpoints_store
from app.store import events as store
from app.store import tasks as tasks_store


async def wake_waiters(tx: Tx, queue: str, name: str, run_id: UUID | None, payload: Any) -> None:
    """Wake the tasks that await an event which was emitted just now."""
    waiters = await store.list_waiters(tx, queue, name, run_id)
    if not waiters:
        return
    rows = await tasks_store.lock_tasks(tx, waiters)
    still = await store.list_waiters(tx, queue, name, run_id)  # another emit may have woken some until they were locked
    waiting = [facts_of(rows[task_id]) for task_id in still if task_id in rows]
    received = EventAwaited.model_construct(outcome=AwaitOutcome.received, event_name=name, payload=payload)
    woken = []
    for facts in waiting:
        names = facts["wait_all"]
        outcome = received if names is None else await look(tx, facts, names, all_of=True)
        if outcome is not None:
            woken.append((facts, outcome))
    await wake_all(tx, woken)


async def wake_all(tx: Tx, woken: Sequence[tuple[Facts, EventAwaited]]) -> None:
    """Write the outcome of the awaits of sleeping tasks, and let the tasks be claimed."""
    if not woken:
        return
    ids = [facts["task_id"] for facts, _ in woken]
    await checkpoints_store.put_checkpoints(tx, [outcome_row(f, f["wait_step"], outcome) for f, outcome in woken])
    await store.delete_waits(tx, ids)
    ready = [wake(facts, facts["now"], outcome.event_name, _payload_of(outcome)) for facts, outcome in woken]
    await tasks_store.update_tasks(tx, ready)
    await hold_back(tx, ready)
    tx.ready.update(facts["queue"] for facts, _ in woken)


async def hold_back(tx: Tx, ready: Sequence[Facts]) -> None:
    """Keep those of the tasks from being claimed that are work items of runs which are paused, or to be cancelled."""
    if work := [task["task_id"] for task in ready if task["step"] is not None and task["ready_at"] is not None]:
        await tasks_store.hold_tasks_of_held_runs(tx, work)


def _payload_of(outcome: EventAwaited) -> Any:
    return None if outcome.payload is MISSING else outcome.payload


def outcome_row(facts: Facts, step: str, outcome: EventAwaited) -> dict[str, Any]:
    """Return the checkpoint that remembers what came of awaiting."""
    return checkpoint_row(facts, step, outcome.model_dump(mode="json"), is_outcome=True)


async def look(tx: Tx, facts: Facts, names: Sequence[str], *, all_of: bool) -> EventAwaited | None:
    """Return what a task receives under these names: the first that was emitted, or all of them; None if not yet."""
    seen = await store.see_events(tx, facts["queue"], names, facts["workflow_run_id"])
    if all_of:
        if any(name not in seen for name in names):
            return None
        return EventAwaited.model_construct(
            outcome=AwaitOutcome.received, payload={name: seen[name].payload for name in names}
        )
    first = next((name for name in names if name in seen), None)
    if first is None:
        return None
    return EventAwaited.model_construct(outcome=AwaitOutcome.received, event_name=first, payload=seen[first].payload)
