"""What clients can do with tasks: spawn, look, cancel, retry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from app.access.callers import Caller, Visit
from app.access.idempotency import IdempotencyKey, Reply, answer_once
from app.access.watching import watch
from app.db.engine import Database, Tx
from app.db.wakeups import Wakeups
from app.domain.cursors import read_offset, write_offset
from app.domain.json_values import fingerprint
from app.domain.links import find_link, place_of_link
from app.domain.moments import END_OF_TIME, later
from app.domain.records import AttemptRow
from app.errors import NotFound, Refusal, ValidationFailed
from app.moves import runs as stored_runs
from app.moves.tasks import insert_tasks, not_found, read_task, task_topic
from app.store import leases as leases_store
from app.store import tasks as store
from app.store.recordsets import as_bytes
from milepost.schemas.problems import FieldError
from milepost.schemas.reasons import Reason
from milepost.schemas.tasks import (
    LateReport,
    Spawned,
    SpawnedTasks,
    Task,
    TaskAttempt,
    TaskAttempts,
    TaskSpec,
    TaskStatus,
)
from milepost.schemas.wire import PageQuery


@dataclass(frozen=True, slots=True)
class Spawn:
    """A request to spawn tasks, all or none; ``many`` if it was sent as a batch, and is answered as one."""

    specs: Sequence[TaskSpec]
    caller: Caller
    key: IdempotencyKey | None = None
    many: bool = False
    path_run_id: UUID | None = None
    """The run in the path, whose tasks they become."""
    traceparent: str | None = None

    def pointer(self, place: int) -> str:
        """Return where the spec at ``place`` stands in the body."""
        return f"/tasks/{place}" if self.many else ""


async def spawn_each(tx: Tx, spawns: Sequence[Spawn]) -> Sequence[Reply | Refusal]:
    """Spawn the tasks of each request: all of its tasks or none."""
    return await answer_once(tx, spawns, _spawn_each)


async def _spawn_each(tx: Tx, spawns: Sequence[Spawn]) -> Sequence[Reply | Refusal]:
    links = [_find_links(spawn) for spawn in spawns]
    linked = {run_id for found in links if not isinstance(found, Refusal) for run_id in found if run_id}
    runs = await stored_runs.hold_runs(tx, linked)
    parents = await known_parents(tx, [spec for spawn in spawns for spec in spawn.specs])
    outcomes: list[Reply | Refusal | None] = []
    rows: list[list[dict[str, Any]]] = []
    for spawn, found in zip(spawns, links, strict=True):
        refusal = found if isinstance(found, Refusal) else await _refuse_spawn(tx, spawn, found, runs, parents)
        outcomes.append(refusal)
        if refusal is None and not isinstance(found, Refusal):
            rows.append(_new_rows(spawn, found, runs))
    spawned = iter(await insert_tasks(tx, [row for group in rows for row in group]))
    groups = iter([[next(spawned) for _ in group] for group in rows])
    accepted = iter([spawn for spawn, outcome in zip(spawns, outcomes, strict=True) if outcome is None])
    return [outcome or _reply(next(accepted), next(groups)) for outcome in outcomes]


def _find_links(spawn: Spawn) -> list[UUID | None] | Refusal:
    try:
        return [find_link(spec, spawn.path_run_id, spawn.pointer(place)) for place, spec in enumerate(spawn.specs)]
    except ValidationFailed as refusal:
        return refusal


async def known_parents(tx: Tx, specs: Sequence[TaskSpec]) -> set[UUID]:
    """Return those of the tasks named as parents that exist."""
    wanted = {spec.parent_task_id for spec in specs if spec.parent_task_id}
    return set(await store.get_tasks(tx, list(wanted))) if wanted else set()


async def _refuse_spawn(
    tx: Tx, spawn: Spawn, links: Sequence[UUID | None], runs: Mapping[UUID, Any], parents: set[UUID]
) -> Refusal | None:
    """Return why these tasks cannot be spawned: an unknown or ended run, or an unknown parent."""
    if spawn.path_run_id is not None and spawn.path_run_id not in runs:
        return NotFound(f"there is no workflow run {spawn.path_run_id}")
    errors = []
    for place, (spec, run_id) in enumerate(zip(spawn.specs, links, strict=True)):
        if run_id is not None and run_id not in runs:
            where = place_of_link(spec, spawn.pointer(place))
            errors.append(FieldError(pointer=where, detail="there is no such workflow run"))
        if spec.parent_task_id is not None and spec.parent_task_id not in parents:
            where = f"{spawn.pointer(place)}/parent_task_id"
            errors.append(FieldError(pointer=where, detail="there is no such task"))
        errors += find_endless_limit(spec, spawn.pointer(place))
    if errors:
        return ValidationFailed(errors)
    ended = next((run_id for run_id in links if _is_ended(runs, run_id)), None)
    if ended is None or await _was_spawned(tx, spawn, links, runs):
        return None
    return await stored_runs.refuse_ended(tx, ended)


def find_endless_limit(spec: TaskSpec, at: str) -> list[FieldError]:
    """Return what is wrong with the limits of the task that ``at`` specifies: one that no calendar reaches."""
    limit = spec.cancellation and spec.cancellation.max_delay
    if not limit or spec.available_at is None or later(spec.available_at, limit) < END_OF_TIME:
        return []
    return [FieldError(pointer=f"{at}/cancellation/max_delay", detail="ends, after available_at, later than 9999")]


async def _was_spawned(tx: Tx, spawn: Spawn, links: Sequence[UUID | None], runs: Mapping[UUID, Any]) -> bool:
    """Return whether all tasks of a request are known by their keys: a repeat, which changes nothing."""
    rows = _new_rows(spawn, links, runs)
    keys = {(row["queue"], row["idempotency_key"]) for row in rows if row["idempotency_key"] is not None}
    return len(keys) == len(rows) and len(await store.get_tasks_by_key(tx, list(keys))) == len(rows)


def _new_rows(spawn: Spawn, links: Sequence[UUID | None], runs: Mapping[UUID, Any]) -> list[dict[str, Any]]:
    return [
        new_row(
            spec,
            run_id,
            "default" if run_id is None else runs[run_id].queue,
            at=spawn.pointer(place),
            traceparent=spawn.traceparent,
        )
        for place, (spec, run_id) in enumerate(zip(spawn.specs, links, strict=True))
    ]


def _is_ended(runs: Mapping[UUID, Any], run_id: UUID | None) -> bool:
    return run_id is not None and runs[run_id].completed_at is not None


def new_row(spec: TaskSpec, run_id: UUID | None, queue: str, *, at: str, traceparent: str | None) -> dict[str, Any]:
    """Return the row of a task that is about to be spawned, linked to the run ``run_id``.

    It goes to ``queue`` unless the spec names another; ``at`` is where the spec stands in the request.
    """
    limits = spec.cancellation
    hashed = spec.idempotency_key is not None
    return {
        "task_id": uuid7(),
        "run_id": uuid7(),
        "at": at,
        "queue": spec.queue or queue,
        "task_name": spec.task_name,
        "params": spec.params,
        "headers": spec.headers,
        "priority": spec.priority,
        "workflow_run_id": run_id,
        "parent_task_id": spec.parent_task_id,
        "step": None,
        "traceparent": traceparent,
        "max_attempts": spec.max_attempts,
        "max_lost": spec.max_lost,
        "retry_strategy": spec.retry_strategy and spec.retry_strategy.model_dump(mode="json", exclude_unset=True),
        "max_delay_seconds": limits and limits.max_delay,
        "max_duration_seconds": limits and limits.max_duration,
        "idempotency_key": spec.idempotency_key,
        "spec_hash": as_bytes(fingerprint(_canonical(spec, run_id))) if hashed else None,
        "concurrency_key": spec.concurrency_key,
        "available_at": spec.available_at,
        "delay_seconds": spec.delay_seconds,
    }


def _canonical(spec: TaskSpec, run_id: UUID | None) -> dict[str, Any]:
    return {**spec.model_dump(mode="json", exclude_unset=True), "workflow_run_id": run_id and str(run_id)}


def _reply(spawn: Spawn, spawned: Sequence[Spawned]) -> Reply:
    if spawn.many:
        return Reply(SpawnedTasks.model_construct(items=list(spawned)).model_dump_json().encode())
    return Reply(spawned[0].model_dump_json().encode(), spawned[0].task_id, known=not spawned[0].created)


async def get_task(tx: Tx, task_id: UUID) -> Task:
    """Return one task as it stands. Raises NotFound."""
    row = await store.get_task(tx, task_id)
    if row is None:
        raise not_found(task_id)
    return read_task(row)


async def wait_until_ended(
    database: Database, wakeups: Wakeups, task_id: UUID, timeout_seconds: float, visit: Visit
) -> Task:
    """Return the task once it has ended, or as it stands after ``timeout_seconds``.

    Raises NotFound, Unauthenticated.
    """

    async def look(tx: Tx) -> Task:
        return await get_task(tx, task_id)

    topic = task_topic(task_id)
    return await watch(database, wakeups, topic, look, lambda task: task.completed_at, timeout_seconds, visit)


async def list_attempts(tx: Tx, task_id: UUID, query: PageQuery) -> TaskAttempts:
    """Return the attempts of a task, oldest first, with what came too late. Raises NotFound, ValidationFailed."""
    task = await get_task(tx, task_id)
    after = read_offset(query.cursor, task_id) if query.cursor is not None else 0
    page = await leases_store.list_attempts(tx, task_id, after, query.limit)
    late = await _list_late_reports(tx, task_id)
    items = [_read_attempt(row, late) for row in page.rows]
    last = items[-1].attempt if items else after
    is_left = page.has_more or last < task.attempt
    if is_left and not page.has_more and len(items) < query.limit:
        items.append(_newest_attempt(task, late))
        is_left = False
    return TaskAttempts.model_construct(items=items, next_cursor=write_offset(last, task_id) if is_left else None)


async def _list_late_reports(tx: Tx, task_id: UUID) -> dict[UUID, list[LateReport]]:
    """Return what came too late of a task, by the attempt that it was of."""
    late: dict[UUID, list[LateReport]] = {}
    for report in await leases_store.list_late_reports(tx, task_id):
        shown = {name: getattr(report, name) for name in LateReport.model_fields}
        late.setdefault(report.run_id, []).append(LateReport.model_construct(None, **shown))
    return late


def _read_attempt(row: AttemptRow, late: Mapping[UUID, list[LateReport]]) -> TaskAttempt:
    return TaskAttempt.model_construct(
        run_id=row.run_id,
        attempt=row.attempt,
        status=TaskStatus(row.status),
        reason=None if row.reason is None else Reason(row.reason),
        claimed_by=row.claimed_by,
        started_at=row.started_at,
        ended_at=row.ended_at,
        result=None,
        error=row.error,
        late_reports=late.get(row.run_id, []),
    )


def _newest_attempt(task: Task, late: Mapping[UUID, list[LateReport]]) -> TaskAttempt:
    """Return the attempt that stands in the task itself: open, completed or cancelled, and so without an error."""
    return TaskAttempt.model_construct(
        run_id=task.run_id,
        attempt=task.attempt,
        status=task.status,
        reason=task.reason,
        claimed_by=task.claimed_by,
        started_at=task.started_at,
        ended_at=task.completed_at,
        result=task.result,
        error=None,
        late_reports=late.get(task.run_id, []),
    )
