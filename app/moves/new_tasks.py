"""Tasks that are about to be spawned."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from uuid_utils.compat import uuid7

from app.db.engine import Tx
from app.domain.json_texts import JsonValue
from app.domain.json_values import fingerprint
from app.domain.moments import END_OF_TIME, later
from app.store import tasks as tasks_store
from app.store.recordsets import as_bytes
from milepost.schemas.problems import FieldError
from milepost.schemas.tasks import LOST_MOST, TaskSpec


class TaskToSpawn(NamedTuple):
    """A task that is about to be spawned; what the members mean is said at the columns of the model."""

    task_id: UUID
    run_id: UUID
    at: str
    """Where its spec stands in the request."""
    queue: str
    task_name: str
    params: JsonValue
    headers: JsonValue
    priority: int = 0
    workflow_run_id: UUID | None = None
    parent_task_id: UUID | None = None
    step: str | None = None
    traceparent: str | None = None
    max_attempts: int = 1
    max_lost: int = LOST_MOST
    retry_strategy: Mapping[str, JsonValue] | None = None
    max_delay_seconds: float | None = None
    max_duration_seconds: float | None = None
    idempotency_key: str | None = None
    spec_hash: str | None = None
    concurrency_key: str | None = None
    available_at: datetime | None = None
    delay_seconds: float | None = None

    @property
    def key(self) -> tuple[str, str] | None:
        """Its idempotency key, which is its queue's; None if it has none."""
        return None if self.idempotency_key is None else (self.queue, self.idempotency_key)


async def known_parents(tx: Tx, specs: Sequence[TaskSpec]) -> set[UUID]:
    """Return those of the tasks named as parents that exist."""
    wanted = {spec.parent_task_id for spec in specs if spec.parent_task_id}
    return set(await tasks_store.get_tasks(tx, list(wanted))) if wanted else set()


def find_endless_limit(spec: TaskSpec, at: str) -> list[FieldError]:
    """Return what is wrong with the limits of the task that ``at`` specifies: one that no calendar reaches."""
    limit = spec.cancellation and spec.cancellation.max_delay
    if not limit or spec.available_at is None or later(spec.available_at, limit) < END_OF_TIME:
        return []
    return [FieldError(pointer=f"{at}/cancellation/max_delay", detail="ends, after available_at, later than 9999")]


def new_task(
    spec: TaskSpec, workflow_run_id: UUID | None, queue: str, *, at: str, traceparent: str | None
) -> TaskToSpawn:
    """Return the task that a spec asks for, linked to a run.

    It goes to ``queue`` unless the spec names another; ``at`` is where the spec stands in the request.
    """
    limits, strategy = spec.cancellation, spec.retry_strategy
    is_hashed = spec.idempotency_key is not None
    return TaskToSpawn(
        task_id=uuid7(),
        run_id=uuid7(),
        at=at,
        queue=spec.queue or queue,
        task_name=spec.task_name,
        params=spec.params,
        headers=spec.headers,
        priority=spec.priority,
        workflow_run_id=workflow_run_id,
        parent_task_id=spec.parent_task_id,
        traceparent=traceparent,
        max_attempts=spec.max_attempts,
        max_lost=spec.max_lost,
        retry_strategy=None if strategy is None else strategy.model_dump(mode="json", exclude_unset=True),
        max_delay_seconds=None if limits is None else limits.max_delay,
        max_duration_seconds=None if limits is None else limits.max_duration,
        idempotency_key=spec.idempotency_key,
        spec_hash=as_bytes(fingerprint(_canonical(spec, workflow_run_id))) if is_hashed else None,
        concurrency_key=spec.concurrency_key,
        available_at=spec.available_at,
        delay_seconds=spec.delay_seconds,
    )


def _canonical(spec: TaskSpec, workflow_run_id: UUID | None) -> Mapping[str, JsonValue]:
    return {
        **spec.model_dump(mode="json", exclude_unset=True),
        "workflow_run_id": workflow_run_id and str(workflow_run_id),
    }
