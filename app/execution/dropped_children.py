"""Runs whose step was ended before them: they are cancelled in a transaction of its own, which locks them in order."""

from collections.abc import Sequence
from uuid import UUID

from app.db.engine import Tx
from app.domain.highway.engine.actions import Cancel
from app.execution.session import Executions
from app.store import dropped_children as store

CHILDREN_A_ROUND = 500
"""How many runs are cancelled in one transaction."""


async def cancel_dropped_children(tx: Tx, workflow_run_ids: Sequence[UUID]) -> int:
    """Cancel runs that were started by steps of these runs which have ended; how many they were."""
    executions = Executions(tx)
    seen = await store.list_dropped_children(tx, workflow_run_ids, CHILDREN_A_ROUND)
    await executions.lock([*workflow_run_ids, *seen])
    still = set(await store.list_dropped_children(tx, workflow_run_ids, CHILDREN_A_ROUND)).intersection(seen)
    for child in sorted(still):
        await executions.act(child, Cancel())
    await executions.write()
    await store.clear_children_dropped(tx, [run for run in workflow_run_ids if run in executions.runs])
    return len(still)


async def cancel_children_of(executions: Executions, workflow_run_id: UUID) -> None:
    """Cancel what an ended run has left open below it, all of which is locked with it."""
    for child in await executions.list_children(workflow_run_id):
        await executions.act(child, Cancel())
