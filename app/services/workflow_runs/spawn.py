"""Spawning tasks that belong to workflow runs."""

from uuid import UUID

from app.access.callers import Caller
from app.access.idempotency import IdempotencyKey, Reply
from app.db.batching import Batching
from app.services.tasks import Spawn, spawn_tasks
from milepost.schemas.tasks import TaskSpec


async def spawn_task(
    batching: Batching,
    workflow_run_id: UUID,
    spec: TaskSpec,
    caller: Caller,
    key: IdempotencyKey | None,
    traceparent: str | None,
) -> Reply:
    """Spawn a task of a run. Raises NotFound, and what `spawn_tasks` does."""
    spawn = Spawn([spec], caller, key, workflow_run_id=workflow_run_id, traceparent=traceparent)
    return await spawn_tasks(batching, spawn)
