"""Tasks, as those see them who want them done: spawned, found, cancelled, retried."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from pydantic_core import to_json
from uuid_utils.compat import uuid7

from app.access.callers import Caller, Visit
from app.access.idempotency import (
    IdempotencyKey,
    Reply,
    answer_alone,
    answer_once,
    answered_keys,
    has_distinct_keys,
)
from app.access.watching import watch
from app.db.batching import WHOLE_MOST, batched
from app.db.engine import Database, Tx
from app.db.wakeups import Wakeups
from app.domain.cursors import Position, read_cursor, read_offset, write_cursor, write_offset
from app.domain.json_texts import Storable, write_json
from app.domain.links import find_link, has_link, place_of_link
from app.domain.moves import TASK_FINAL
from app.domain.records import AttemptRow, TaskRow
from app.errors import MoveNotAllowed, NotFound, Refusal, ValidationFailed
from app.execution.work_reports import give_up_work, lock_runs_of_steps
from app.moves.new_tasks import TaskToSpawn, find_endless_limit, known_parents, new_task
from app.moves.runs import pin_runs, refuse_ended
from app.moves.tasks import (
    cancel_tasks,
    insert_answered_tasks,
    insert_tasks,
    read_task,
    refuse_move,
    reopen_tasks,
    task_not_found,
    task_topic,
)
from app.store import leases as leases_store
from app.store import task_lists as task_lists_store
from app.store import tasks as tasks_store
from app.store.workflow_runs import SharedRun
from milepost.schemas.problems import FieldError
from milepost.schemas.reasons import Reason
from milepost.schemas.tasks import (
    LateReport,
    RunTaskQuery,
    Spawned,
    SpawnedTasks,
    Task,
    TaskAttempt,
    TaskAttempts,
    TaskPage,
    TaskQuery,
    TaskRetry,
    TaskSpec,
    TaskStatus,
)
from milepost.schemas.wire import PageQuery

_ALONE = ("queue", "task_name", "workflow_run_id", "parent_task_id", "claimed_by", "created_after", "created_before")


@dataclass(frozen=True, slots=True)
class Spawn:
    """A request to spawn tasks, all or none; ``many`` if it was sent as a batch, and is answered as one."""

    specs: Sequence[TaskSpec]
    caller: Caller
    key: IdempotencyKey | None = None
    many: bool = False
    workflow_run_id: UUID | None = None
    """The run in the path, whose tasks they become."""
    traceparent: str | None = None

    def pointer(self, place: int) -> str:
        """Return where the spec at ``place`` stands in the body."""
        return f"/tasks/{place}" if self.many else ""


async def _spawn_tasks(tx: Tx, spawns: Sequence[Spawn]) -> Sequence[Reply | Refusal]:
    """Spawn the tasks of each request: all of its tasks or none."""
    if all(map(_is_plain, spawns)) and has_distinct_keys(tx, spawns):
        return await _spawn_at_once(tx, spawns)
    return await answer_once(tx, spawns, _spawn_new)


spawn_tasks = batched(_spawn_tasks)
"""Spawn the tasks of a request: all of them or none."""


def _is_plain(spawn: Spawn) -> bool:
    """Return whether nothing has to be looked up for a request: no run, no task and no key of one."""
    return spawn.workflow_run_id is None and not any(
        spec.idempotency_key is not None
        or spec.parent_task_id is not None
        or spec.cancellation is not None
        or has_link(spec)
        for spec in spawn.specs
    )


async def _spawn_at_once(tx: Tx, spawns: Sequence[Spawn]) -> Sequence[Reply]:
    """Spawn tasks and keep the answers of their requests' keys by one statement."""
    tx.commit_each()
    groups = [_new_tasks(spawn, [None] * len(spawn.specs), {}) for spawn in spawns]
    replies = [_reply_at_once(spawn, group) for spawn, group in zip(spawns, groups, strict=True)]
    await insert_answered_tasks(tx, [task for group in groups for task in group], answered_keys(spawns, replies))
    return replies


def _reply_at_once(spawn: Spawn, tasks: Sequence[TaskToSpawn]) -> Reply:
    """Return what a request is answered, as `Spawned` says it; plain, because there are many."""
    spawned = [
        {"task_id": task.task_id, "run_id": task.run_id, "workflow_run_id": None, "attempt": 1, "created": True}
        for task in tasks
    ]
    return Reply(to_json({"items": spawned})) if spawn.many else Reply(to_json(spawned[0]), tasks[0].task_id)


async def _spawn_new(tx: Tx, spawns: Sequence[Spawn]) -> Sequence[Reply | Refusal]:
    links = [_find_links(spawn) for spawn in spawns]
    linked = {
        workflow_run_id
        for found in links
        if not isinstance(found, Refusal)
        for workflow_run_id in found
        if workflow_run_id
    }
    runs = await pin_runs(tx, linked)
    parents = await known_parents(tx, [spec for spawn in spawns for spec in spawn.specs])
    outcomes: list[Reply | Refusal | None] = []
    tasks: list[list[TaskToSpawn]] = []
    for spawn, found in zip(spawns, links, strict=True):
        refusal = found if isinstance(found, Refusal) else await _refuse_spawn(tx, spawn, found, runs, parents)
        outcomes.append(refusal)
        if refusal is None and not isinstance(found, Refusal):
            tasks.append(_new_tasks(spawn, found, runs))
    spawned = iter(await insert_tasks(tx, [task for group in tasks for task in group]))
    groups = iter([[next(spawned) for _ in group] for group in tasks])
    accepted = iter([spawn for spawn, outcome in zip(spawns, outcomes, strict=True) if outcome is None])
    return [outcome or _reply(next(accepted), next(groups)) for outcome in outcomes]


def _find_links(spawn: Spawn) -> list[UUID | None] | Refusal:
    try:
        return [find_link(spec, spawn.workflow_run_id, spawn.pointer(place)) for place, spec in enumerate(spawn.specs)]
    except ValidationFailed as refusal:
        return refusal


async def _refuse_spawn(
    tx: Tx, spawn: Spawn, links: Sequence[UUID | None], runs: Mapping[UUID, SharedRun], parents: set[UUID]
) -> Refusal | None:
    """Return why these tasks cannot be spawned: an unknown or ended run, or an unknown parent."""
    if spawn.workflow_run_id is not None and spawn.workflow_run_id not in runs:
        return NotFound(f"there is no workflow run {spawn.workflow_run_id}")
    errors = []
    for place, (spec, workflow_run_id) in enumerate(zip(spawn.specs, links, strict=True)):
        if workflow_run_id is not None and workflow_run_id not in runs:
            where = place_of_link(spec, spawn.pointer(place))
            errors.append(FieldError(pointer=where, detail="there is no such workflow run"))
        if spec.parent_task_id is not None and spec.parent_task_id not in parents:
            where = f"{spawn.pointer(place)}/parent_task_id"
            errors.append(FieldError(pointer=where, detail="there is no such task"))
        errors += find_endless_limit(spec, spawn.pointer(place))
    if errors:
        return ValidationFailed(errors)
    ended = next((workflow_run_id for workflow_run_id in links if _is_ended(runs, workflow_run_id)), None)
    if ended is None or await _was_spawned(tx, spawn, links, runs):
        return None
    return await refuse_ended(tx, ended)


async def _was_spawned(tx: Tx, spawn: Spawn, links: Sequence[UUID | None], runs: Mapping[UUID, SharedRun]) -> bool:
    """Return whether all tasks of a request are known by their keys: a repeat, which changes nothing."""
    tasks = _new_tasks(spawn, links, runs)
    keys = {task.key for task in tasks if task.key is not None}
    return len(keys) == len(tasks) and len(await tasks_store.get_tasks_by_key(tx, list(keys))) == len(tasks)


def _new_tasks(spawn: Spawn, links: Sequence[UUID | None], runs: Mapping[UUID, SharedRun]) -> list[TaskToSpawn]:
    return [
        new_task(
            spec,
            workflow_run_id,
            "default" if workflow_run_id is None else runs[workflow_run_id].queue,
            at=spawn.pointer(place),
            traceparent=spawn.traceparent,
        )
        for place, (spec, workflow_run_id) in enumerate(zip(spawn.specs, links, strict=True))
    ]


def _is_ended(runs: Mapping[UUID, SharedRun], workflow_run_id: UUID | None) -> bool:
    return workflow_run_id is not None and runs[workflow_run_id].completed_at is not None


def _reply(spawn: Spawn, spawned: Sequence[Spawned]) -> Reply:
    if spawn.many:
        return Reply(SpawnedTasks.model_construct(items=list(spawned)).model_dump_json().encode())
    return Reply(spawned[0].model_dump_json().encode(), spawned[0].task_id, known=not spawned[0].created)


async def get_task(tx: Tx, task_id: UUID) -> Task:
    """Return one task as it stands. Raises NotFound."""
    row = await tasks_store.get_task(tx, task_id)
    if row is None:
        raise task_not_found(task_id)
    return read_task(row)


async def _fetch_tasks(tx: Tx, task_ids: Sequence[UUID]) -> Sequence[Task | Refusal]:
    """Return each task as it stands."""
    tx.is_promise = False
    tx.commit_each()
    rows = await tasks_store.get_tasks(tx, list(set(task_ids)))
    return [read_task(rows[task_id]) if task_id in rows else task_not_found(task_id) for task_id in task_ids]


fetch_task = batched(_fetch_tasks, WHOLE_MOST)
"""Return one task as it stands, read together with what others ask for. Raises NotFound."""


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


async def list_tasks(tx: Tx, query: TaskQuery) -> TaskPage:
    """Return a page of the tasks that match. Raises ValidationFailed."""
    filters = {name: getattr(query, name) for name in _ALONE if getattr(query, name) is not None}
    return await list_page(tx, query, filters | read_statuses(query.status))


def read_statuses(wanted: list[TaskStatus]) -> dict[str, Storable]:
    """Return the filter that lets tasks of the wanted statuses through."""
    statuses = sorted(set(wanted))
    if len(statuses) == 1:
        return {"status": statuses[0]}
    return {"statuses": statuses} if statuses else {}


async def list_page(tx: Tx, query: TaskQuery | RunTaskQuery, filters: dict[str, Storable]) -> TaskPage:
    """Return a page of the tasks that filters let through."""
    after = read_cursor(query.cursor, query.order, filters) if query.cursor is not None else None
    page = await task_lists_store.list_tasks(tx, query.order, filters, after, query.limit)
    tasks = [read_task(row) for row in page.rows]
    more = None
    if page.has_more:
        more = write_cursor(Position(tasks[-1].created_at, tasks[-1].task_id), query.order, filters)
    total = await task_lists_store.count_tasks(tx, filters) if query.count else None
    return TaskPage.model_construct(items=tasks, next_cursor=more, total=total)


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
    shown = {name: getattr(row, name) for name in TaskAttempt.model_fields if name in row._fields}
    shown["status"] = TaskStatus(row.status)
    shown["reason"] = None if row.reason is None else Reason(row.reason)
    return TaskAttempt.model_construct(None, **shown, result=None, late_reports=late.get(row.run_id, []))


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


async def cancel_task(tx: Tx, task_id: UUID) -> Task:
    """Cancel an open task at once; an ended one stays as it is. Raises NotFound.

    A step whose work item is cancelled has failed, and its run goes on from there.
    """
    executions, work = await lock_runs_of_steps(tx, [task_id])
    row = (await tasks_store.lock_tasks(tx, [task_id])).get(task_id)
    if row is None:
        raise task_not_found(task_id)
    if row.status not in TASK_FINAL:
        (row,) = await cancel_tasks(tx, [row], Reason.cancel_requested)
        if task_id in work:
            await give_up_work(executions, row)
    return read_task(row)


async def retry_task_once(tx: Tx, task_id: UUID, how: TaskRetry, key: IdempotencyKey | None) -> Reply:
    """Retry a task, unless a request with this key has done so before. Raises what `retry_task` does, and its own."""

    async def retry() -> Reply:
        task = await retry_task(tx, task_id, how)
        return Reply(write_json(task), task.task_id)

    return await answer_alone(tx, key, retry)


async def retry_task(tx: Tx, task_id: UUID, how: TaskRetry) -> Task:
    """Open a failed or cancelled task again, or spawn its like. Raises NotFound, MoveNotAllowed, ValidationFailed."""
    known = await get_task(tx, task_id)
    if known.step is not None:
        detail = f"the task is the work of step {known.step} of a run; retry the run"
        raise MoveNotAllowed(detail, current=known, allowed=[])
    if known.workflow_run_id is not None:
        run = (await pin_runs(tx, {known.workflow_run_id})).get(known.workflow_run_id)
        if run is not None and run.completed_at is not None:
            raise await refuse_ended(tx, known.workflow_run_id)
    row = (await tasks_store.lock_tasks(tx, [task_id])).get(task_id)
    if row is None:
        raise task_not_found(task_id)
    if row.status not in (TaskStatus.failed, TaskStatus.cancelled):
        raise refuse_move(row, f"a {row.status} task cannot be retried")
    if how.spawn_new:
        return await _spawn_like(tx, row, how.max_attempts or row.max_attempts)
    if how.max_attempts is not None and how.max_attempts <= row.attempt:
        raise ValidationFailed.at("/max_attempts", f"must be more than the {row.attempt} attempts it has had")
    (row,) = await reopen_tasks(tx, [row], how.max_attempts)
    return read_task(row)


async def _spawn_like(tx: Tx, row: TaskRow, max_attempts: int) -> Task:
    """Spawn a fresh task with the spec of ``row``: without its history, its checkpoints and its idempotency key."""
    task_id = uuid7()
    like = row._replace(task_id=task_id, run_id=uuid7(), max_attempts=max_attempts, idempotency_key=None)
    spec = {name: getattr(like, name) for name in tasks_store.GIVEN if name not in ("spec_hash", "available_at")}
    await insert_tasks(tx, [TaskToSpawn(at="", **spec)])
    return await get_task(tx, task_id)
