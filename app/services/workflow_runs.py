"""What can be done with workflow runs."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from app.db.engine import Database, Tx
from app.db.wakeups import Wakeups
from app.domain.moves import FINAL, allowed_for
from app.domain.preconditions import Precondition
from app.domain.progress import make_progress
from app.domain.run_changes import apply_update, move_refused
from app.domain.tags import tag_texts
from app.errors import HeartbeatNotDeclared, NotFound, PreconditionFailed, Refusal, ValidationFailed
from app.schemas.problems import FieldError
from app.schemas.workflow_runs import (
    Reason,
    RunHeartbeat,
    RunStatus,
    WorkflowRun,
    WorkflowRunCreate,
    WorkflowRuns,
    WorkflowRunUpdate,
)
from app.services.callers import Caller
from app.services.idempotency import IdempotencyKey, Reply, answer_once
from app.store import workflow_runs as store


@dataclass(frozen=True, slots=True)
class Creation:
    """A request to create runs; ``many`` if it was sent as a batch, and is answered as one."""

    bodies: Sequence[WorkflowRunCreate]
    caller: Caller
    key: IdempotencyKey | None = None
    many: bool = False


@dataclass(frozen=True, slots=True)
class Update:
    """A request to change a run."""

    workflow_run_id: UUID
    change: WorkflowRunUpdate
    caller: Caller
    precondition: Precondition | None = None


def topic_of(workflow_run_id: UUID) -> str:
    """Return the topic on which the end of a run is told."""
    return f"run:{workflow_run_id}"


def not_found(workflow_run_id: UUID) -> NotFound:
    """Return the refusal for a run that does not exist."""
    return NotFound(f"there is no workflow run {workflow_run_id}")


def read_run(row: Any) -> WorkflowRun:
    """Return the run that ``row`` stores."""
    facts = {**row._mapping}  # noqa: SLF001 - SQLAlchemy's public name for it
    facts.pop("now", None)
    facts["status"] = RunStatus(row.status)
    facts["reason"] = row.reason and Reason(row.reason)
    return WorkflowRun.model_construct(
        **facts,
        display_name=f"{row.workflow_name}__{row.workflow_version}",
        progress=make_progress(row.task_count, {}),
    )


async def create_each(tx: Tx, creations: Sequence[Creation]) -> Sequence[Reply | Refusal]:
    """Create the runs of each request: all of its runs or none."""
    return await answer_once(tx, creations, _create_each)


async def create_batch(tx: Tx, creation: Creation) -> Reply:
    """Create the runs of one request, all or none. Raises ValidationFailed, IdempotencyKeyReused."""
    outcome = (await create_each(tx, [creation]))[0]
    if isinstance(outcome, Refusal):
        raise outcome
    return outcome


async def _create_each(tx: Tx, creations: Sequence[Creation]) -> Sequence[Reply | Refusal]:
    refusals = await _unknown_parents(tx, creations)
    accepted = [creation for creation, refusal in zip(creations, refusals, strict=True) if refusal is None]
    rows = [[_new_row(body, creation.caller) for body in creation.bodies] for creation in accepted]
    flat = [row for group in rows for row in group]
    stored = await store.insert_runs(tx, flat) if flat else {}
    replies = iter(
        _reply([_created_run(row, stored[row["workflow_run_id"]]) for row in group], many=creation.many)
        for creation, group in zip(accepted, rows, strict=True)
    )
    return [refusal or next(replies) for refusal in refusals]


async def _unknown_parents(tx: Tx, creations: Sequence[Creation]) -> Sequence[Refusal | None]:
    """Return the refusal of each request that names a parent that does not exist; the others are kept existing."""
    bodies = [body for creation in creations for body in creation.bodies]
    parents = {body.parent_workflow_run_id for body in bodies if body.parent_workflow_run_id}
    known = await store.lock_run_keys(tx, sorted(parents)) if parents else set()
    unknown = parents - known
    return [_refuse_parents(creation, unknown) for creation in creations]


def _refuse_parents(creation: Creation, unknown: set[UUID]) -> Refusal | None:
    errors = [
        FieldError(
            pointer=f"/workflow_runs/{place}/parent_workflow_run_id" if creation.many else "/parent_workflow_run_id",
            detail="there is no such workflow run",
        )
        for place, body in enumerate(creation.bodies)
        if body.parent_workflow_run_id in unknown
    ]
    return ValidationFailed(errors) if errors else None


def _new_row(body: WorkflowRunCreate, caller: Caller) -> dict[str, Any]:
    return {
        "workflow_run_id": uuid7(),
        "workflow_name": body.workflow_name,
        "workflow_version": body.workflow_version,
        "workflow_hash": body.workflow_hash,
        "queue": body.queue,
        "inputs": body.inputs,
        "tags": body.tags,
        "tag_texts": tag_texts(body.tags),
        "created_by": body.created_by,
        "absurd_run_id": body.absurd_run_id,
        "parent_workflow_run_id": body.parent_workflow_run_id,
        "task_count": body.task_count,
        "heartbeat_seconds": body.heartbeat_seconds,
        "deadline_seconds": body.deadline_seconds,
        "actor": caller.name,
        "request_id": caller.request_id,
    }


def _created_run(row: Mapping[str, Any], stored: Any) -> WorkflowRun:
    return WorkflowRun.model_construct(
        **row,
        display_name=f"{row['workflow_name']}__{row['workflow_version']}",
        status=RunStatus.pending,
        reason=None,
        result=None,
        error=None,
        attempt=1,
        revision=1,
        cancel_requested_at=None,
        deadline_at=stored.deadline_at,
        heartbeat_expires_at=None,
        created_at=stored.created_at,
        started_at=None,
        completed_at=None,
        updated_at=stored.created_at,
        progress=make_progress(row["task_count"], {}),
    )


def _reply(runs: Sequence[WorkflowRun], *, many: bool) -> Reply:
    if many:
        return Reply(WorkflowRuns.model_construct(items=list(runs)).model_dump_json(by_alias=True).encode())
    return Reply(runs[0].model_dump_json(by_alias=True).encode(), runs[0].workflow_run_id)


async def update_each(tx: Tx, updates: Sequence[Update]) -> Sequence[WorkflowRun | Refusal]:
    """Apply each change to its run, in the order they came, and return how it stands then."""
    rows = await store.lock_runs(tx, list({update.workflow_run_id for update in updates}))
    runs = {row.workflow_run_id: read_run(row) for row in rows}
    unwritten: dict[UUID, dict[str, Any]] = {}
    outcomes: list[WorkflowRun | Refusal] = []
    for update in updates:
        before = runs.get(update.workflow_run_id)
        try:
            after = _apply(before, update, rows[0].now if rows else None)
        except Refusal as refusal:
            outcomes.append(refusal)
            continue
        outcomes.append(after)
        if after is not before:
            if after.workflow_run_id in unwritten:
                await store.update_runs(tx, list(unwritten.values()))
                unwritten.clear()
            unwritten[after.workflow_run_id] = _changed_row(before, after, update.caller)
            runs[after.workflow_run_id] = after
    if unwritten:
        await store.update_runs(tx, list(unwritten.values()))
    tx.topics |= {topic_of(run.workflow_run_id) for run in runs.values() if run.status in FINAL}
    return outcomes


def _apply(run: WorkflowRun | None, update: Update, now: datetime | None) -> WorkflowRun:
    if run is None or now is None:
        raise not_found(update.workflow_run_id)
    check_precondition(run, update.precondition)
    return apply_update(run, update.change, now)


def check_precondition(run: WorkflowRun, precondition: Precondition | None) -> None:
    """Raise PreconditionFailed if the caller has seen another revision of ``run`` than it has now."""
    if precondition and not precondition.holds_for(run.revision):
        raise PreconditionFailed(f"the run is at revision {run.revision}", current=run, allowed=allowed_for(run.status))


def _changed_row(before: WorkflowRun | None, after: WorkflowRun, caller: Caller) -> dict[str, Any]:
    names = ("workflow_run_id", *store.CHANGED_BY_UPDATE)
    row = {name: getattr(after, name) for name in names if name != "tag_texts"}
    return row | {
        "tag_texts": tag_texts(after.tags),
        "from_status": before and before.status,
        "actor": caller.name,
        "request_id": caller.request_id,
    }


async def get_run(tx: Tx, workflow_run_id: UUID) -> WorkflowRun:
    """Return one run as it stands. Raises NotFound."""
    row = await store.get_run(tx, workflow_run_id)
    if row is None:
        raise not_found(workflow_run_id)
    return read_run(row)


async def beat_each(tx: Tx, workflow_run_ids: Sequence[UUID]) -> Sequence[RunHeartbeat | Refusal]:
    """Set the clocks of running runs back, and return where each run stands."""
    ids = list(set(workflow_run_ids))
    runs = {row.workflow_run_id: read_run(row) for row in await store.beat_runs(tx, ids)}
    if len(runs) < len(ids):
        others = await store.get_runs(tx, [run_id for run_id in ids if run_id not in runs])
        runs |= {row.workflow_run_id: read_run(row) for row in others}
    return [_heartbeat_of(runs.get(run_id), run_id) for run_id in workflow_run_ids]


def _heartbeat_of(run: WorkflowRun | None, workflow_run_id: UUID) -> RunHeartbeat | Refusal:
    if run is None:
        return not_found(workflow_run_id)
    if run.heartbeat_seconds is None:
        return HeartbeatNotDeclared(
            "the run was created without heartbeat_seconds", current=run, allowed=allowed_for(run.status)
        )
    return RunHeartbeat.model_construct(
        status=run.status,
        cancel_requested=run.cancel_requested_at is not None,
        heartbeat_expires_at=run.heartbeat_expires_at,
    )


async def delete_run(tx: Tx, workflow_run_id: UUID, precondition: Precondition | None) -> None:
    """Delete an ended run with all that hangs on it. Raises NotFound, PreconditionFailed, MoveNotAllowed."""
    locked = await store.lock_runs(tx, [workflow_run_id])
    if not locked:
        raise not_found(workflow_run_id)
    run = read_run(locked[0])
    check_precondition(run, precondition)
    if run.status not in FINAL:
        raise move_refused(run, f"a {run.status} run cannot be deleted; it has to end first")
    await store.delete_run(tx, workflow_run_id)


async def wait_until_ended(
    database: Database, wakeups: Wakeups, workflow_run_id: UUID, timeout_seconds: float
) -> WorkflowRun:
    """Return the run once it has ended, or as it stands after ``timeout_seconds``. Raises NotFound."""
    clock = asyncio.get_running_loop().time
    give_up_at = clock() + timeout_seconds
    with wakeups.waiting(topic_of(workflow_run_id)) as waiter:
        while True:
            async with database.reading() as tx:
                run = await get_run(tx, workflow_run_id)
            left = give_up_at - clock()
            if run.status in FINAL or left <= 0 or wakeups.draining:
                return run
            await waiter.wait(left)


async def end_overdue_runs(tx: Tx, most: int) -> int:
    """Fail up to ``most`` runs past their deadline, and as many without a heartbeat; how many they were."""
    ended = [*await store.end_runs_past_deadline(tx, most), *await store.end_lost_runs(tx, most)]
    tx.topics |= {topic_of(workflow_run_id) for workflow_run_id in ended}
    return len(ended)
