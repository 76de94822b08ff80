"""Creating workflow runs, alone or many together, with their first tasks."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from secrets import token_hex
from typing import NamedTuple
from uuid import UUID

from pydantic_core import to_json
from uuid_utils.compat import uuid7

from app.access.callers import Caller
from app.access.idempotency import IdempotencyKey, Reply, answer_once, answered_keys, has_distinct_keys
from app.db.batching import batched
from app.db.engine import Parameters, Tx
from app.domain.json_texts import JsonValue, Storable
from app.domain.links import find_link, place_of_link
from app.domain.progress import make_progress
from app.domain.recorded_runs import RECORDED, find_contradictions, recorded
from app.domain.tags import tag_texts
from app.errors import Refusal, ValidationFailed
from app.moves.new_runs import RunToCreate
from app.moves.new_tasks import find_endless_limit, known_parents, new_task
from app.moves.tasks import insert_tasks
from app.store import workflow_runs as runs_store
from milepost.schemas.problems import FieldError
from milepost.schemas.tasks import TaskSpec
from milepost.schemas.workflow_runs import RunStatus, WorkflowRun, WorkflowRunCreate

_FRESH: Mapping[str, Storable] = dict.fromkeys(WorkflowRun.model_fields) | {
    "status": RunStatus.pending.value,
    "attempt": 1,
    "revision": 1,
    "links": {},
}
"""A new run, as far as all new runs are the same."""
_PLACE_OF_NOW = token_hex(16)
"""Stands for the time of creation until that is known; no caller knows it."""


class Creation(NamedTuple):
    """A request to create runs; ``many`` if it was sent as a batch, and is answered as one."""

    bodies: Sequence[WorkflowRunCreate]
    caller: Caller
    key: IdempotencyKey | None = None
    many: bool = False
    traceparent: str | None = None

    def pointer(self, place: int) -> str:
        """Return where the run at ``place`` stands in the body."""
        return f"/workflow_runs/{place}" if self.many else ""


_SHOWN = RunToCreate._fields[: RunToCreate._fields.index("tag_texts")]
"""What is answered as it was given: the first members of a run."""


async def _create_runs(tx: Tx, creations: Sequence[Creation]) -> Sequence[Reply | Refusal]:
    """Create the runs of each request: all of its runs or none."""
    if all(map(_is_plain, creations)) and has_distinct_keys(tx, creations):
        return await _create_at_once(tx, creations)
    return await answer_once(tx, creations, create_new_runs)


create_runs = batched(_create_runs)
"""Create the runs of a request: all of them or none."""


def _is_plain(creation: Creation) -> bool:
    """Return whether nothing has to be looked up, and nothing but the time is known by the database alone."""
    return not any(
        body.tasks
        or body.parent_workflow_run_id
        or body.deadline_seconds is not None
        or not RECORDED.isdisjoint(body.model_fields_set)
        for body in creation.bodies
    )


async def _create_at_once(tx: Tx, creations: Sequence[Creation]) -> Sequence[Reply]:
    """Create runs and keep the answers of their keys by one statement.

    An answer says when the run was created, which only the database knows: a place is kept for it.
    """
    tx.commit_each()
    groups = [[_new_run(body, creation.caller) for body in creation.bodies] for creation in creations]
    replies = [
        _reply([_created_run(run, _PLACE_OF_NOW) for run in group], group[0].workflow_run_id, many=creation.many)
        for creation, group in zip(creations, groups, strict=True)
    ]
    keys = answered_keys(creations, replies)
    rows = [run._asdict() for group in groups for run in group]
    now = await runs_store.insert_answered_runs(tx, rows, keys, _PLACE_OF_NOW)
    place, written = _PLACE_OF_NOW.encode(), now.encode()
    return [reply._replace(body=reply.body.replace(place, written)) for reply in replies]


async def create_new_runs(tx: Tx, creations: Sequence[Creation]) -> Sequence[Reply | Refusal]:
    """Create the runs of each request, whatever their keys are: all of its runs or none."""
    refusals = await _refuse_wrong(tx, creations)
    accepted = [creation for creation, refusal in zip(creations, refusals, strict=True) if refusal is None]
    runs = [[_new_run(body, creation.caller) for body in creation.bodies] for creation in accepted]
    records = {
        run.workflow_run_id: recorded(body)
        for creation, group in zip(accepted, runs, strict=True)
        for body, run in zip(creation.bodies, group, strict=True)
    }
    rows = [run._asdict() | records[run.workflow_run_id] for group in runs for run in group]
    stored = await runs_store.insert_runs(tx, rows) if rows else {}
    spawned = await _spawn_tasks(tx, accepted, runs)
    shown = {
        run.workflow_run_id: _stored_run(run, records[run.workflow_run_id], stored[run.workflow_run_id], spawned)
        for group in runs
        for run in group
    }
    replies = iter(
        _reply([shown[run.workflow_run_id] for run in group], group[0].workflow_run_id, many=creation.many)
        for creation, group in zip(accepted, runs, strict=True)
    )
    return [refusal or next(replies) for refusal in refusals]


async def _refuse_wrong(tx: Tx, creations: Sequence[Creation]) -> Sequence[Refusal | None]:
    """Return the refusal of each request that contradicts itself or names a parent that does not exist.

    The parents of the others are kept existing.
    """
    bodies = [body for creation in creations for body in creation.bodies]
    parents = {body.parent_workflow_run_id for body in bodies if body.parent_workflow_run_id}
    specs = [spec for body in bodies for spec in body.tasks]
    known = await runs_store.lock_run_keys(tx, sorted(parents)) if parents else set()
    known_tasks = await known_parents(tx, specs) if specs else set()
    return [_refuse(creation, parents - known, known_tasks) for creation in creations]


def _refuse(creation: Creation, unknown: set[UUID], known_tasks: set[UUID]) -> Refusal | None:
    errors = []
    for place, body in enumerate(creation.bodies):
        at = creation.pointer(place)
        errors += find_contradictions(body, at)
        if body.parent_workflow_run_id in unknown:
            errors.append(FieldError(pointer=f"{at}/parent_workflow_run_id", detail="there is no such workflow run"))
        for number, spec in enumerate(body.tasks):
            errors += _task_errors(spec, f"{at}/tasks/{number}", known_tasks)
    return ValidationFailed(errors) if errors else None


def _task_errors(spec: TaskSpec, at: str, known_tasks: set[UUID]) -> list[FieldError]:
    """Return what is wrong with a task of a run that does not exist yet: it cannot be linked to another one."""
    errors = []
    try:
        link = find_link(spec, None, at)
    except ValidationFailed as refusal:
        errors += refusal.errors
    else:
        if link is not None:
            detail = "belongs to the run that is being created, and cannot name another"
            errors.append(FieldError(pointer=place_of_link(spec, at), detail=detail))
    if spec.parent_task_id is not None and spec.parent_task_id not in known_tasks:
        errors.append(FieldError(pointer=f"{at}/parent_task_id", detail="there is no such task"))
    return errors + find_endless_limit(spec, at)


def _new_run(body: WorkflowRunCreate, caller: Caller) -> RunToCreate:
    return RunToCreate(
        workflow_run_id=uuid7(),
        workflow_name=body.workflow_name,
        workflow_version=body.workflow_version,
        workflow_hash=body.workflow_hash,
        queue=body.queue,
        inputs=body.inputs,
        tags=body.tags,
        created_by=body.created_by,
        absurd_run_id=body.absurd_run_id,
        parent_workflow_run_id=body.parent_workflow_run_id,
        task_count=body.task_count,
        heartbeat_seconds=body.heartbeat_seconds,
        tag_texts=tag_texts(body.tags),
        deadline_seconds=body.deadline_seconds,
        actor=caller.name,
        request_id=caller.request_id,
    )


async def _spawn_tasks(
    tx: Tx, creations: Sequence[Creation], runs: Sequence[Sequence[RunToCreate]]
) -> Mapping[UUID, int]:
    """Spawn the tasks of new runs; how many each got."""
    new = [
        new_task(
            spec,
            run.workflow_run_id,
            run.queue,
            at=f"{creation.pointer(place)}/tasks/{number}",
            traceparent=creation.traceparent,
        )
        for creation, group in zip(creations, runs, strict=True)
        for place, (body, run) in enumerate(zip(creation.bodies, group, strict=True))
        for number, spec in enumerate(body.tasks)
    ]
    counts: dict[UUID, int] = {}
    for spawned in await insert_tasks(tx, new):
        if spawned.created and spawned.workflow_run_id:
            counts[spawned.workflow_run_id] = counts.get(spawned.workflow_run_id, 0) + 1
    return counts


def _stored_run(
    new: RunToCreate, record: Parameters, stored: runs_store.NewRun, spawned: Mapping[UUID, int]
) -> Parameters:
    shown = _created_run(new, stored.created_at, spawned.get(new.workflow_run_id, 0))
    return {**shown, **record, **stored._asdict()}


def _created_run(new: RunToCreate, created_at: datetime | str, pending: int = 0) -> Parameters:
    """Return what `WorkflowRun` says of a new run; plain, because there are many of them and each is written once."""
    run: dict[str, Storable] = {**_FRESH, **dict(zip(_SHOWN, new, strict=False))}
    run["display_name"] = f"{new.workflow_name}__{new.workflow_version}"
    run["created_at"] = run["updated_at"] = created_at
    run["progress"] = _fresh_progress(new.task_count, pending)
    return run


@lru_cache(maxsize=1024)
def _fresh_progress(task_count: int | None, pending: int) -> Mapping[str, JsonValue]:
    return make_progress(task_count, {"pending": pending}).model_dump()


def _reply(runs: Sequence[Parameters], workflow_run_id: UUID, *, many: bool) -> Reply:
    if many:
        return Reply(to_json({"items": runs}))
    return Reply(to_json(runs[0]), workflow_run_id)
