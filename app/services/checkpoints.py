"""Checkpoints: the stored results of steps."""

from collections.abc import Sequence
from uuid import UUID

from app.db.batching import batched
from app.db.engine import Parameters, Tx
from app.domain.cursors import read_offset, write_offset
from app.domain.records import CheckpointRow, TaskRow
from app.domain.task_moves import checkpoint_row
from app.errors import NotFound, Refusal, ValidationFailed
from app.moves.event_waits import NO_ROOM
from app.moves.leases import Answered, Report, answered, pin_runs_of_reports, settle_each, tasks_of_steps
from app.services.tasks import get_task
from app.store import checkpoints as checkpoints_store
from app.store import task_heartbeats as heartbeats_store
from milepost.schemas.tasks import Checkpoint, Checkpoints, CheckpointWrite
from milepost.schemas.wire import PageQuery


def read_checkpoint(row: CheckpointRow) -> Checkpoint:
    """Return the checkpoint that ``row`` stores."""
    shown = {name: getattr(row, name) for name in Checkpoint.model_fields}
    return Checkpoint.model_construct(None, **shown)


async def _put_checkpoints(tx: Tx, reports: Sequence[Report[CheckpointWrite]]) -> Sequence[Answered | Refusal]:
    """Store results of steps of tasks that are held, and extend their leases where that is asked."""
    if not _are_plain(reports):
        return await _put_locked(tx, reports)
    tx.commit_each()
    rows = await checkpoints_store.put_checkpoints_of_held(tx, [_row_of(report) for report in reports])
    written = {report.task_id: rows.get((report.task_id, report.name)) for report in reports}
    left = [report for report in reports if written[report.task_id] is None]
    if left:
        tx.commit_together()
    others = iter(await _put_locked(tx, left) if left else [])
    return [answered(read_checkpoint(row)) if (row := written[r.task_id]) else next(others) for r in reports]


def _are_plain(reports: Sequence[Report[CheckpointWrite]]) -> bool:
    """Return whether the checkpoints are all that is written, one of each task, and no run has to be pinned."""
    is_distinct = len({report.task_id for report in reports}) == len(reports)
    has_to_pin = len(reports) > 1 and tasks_of_steps(reports)
    return is_distinct and not has_to_pin and all(report.body.lease_seconds is None for report in reports)


def _row_of(report: Report[CheckpointWrite]) -> Parameters:
    lease: Parameters = {"task_id": report.task_id, "lease_token": report.token}
    return {**lease, "name": report.name, "state": report.body.state}


async def _put_locked(tx: Tx, reports: Sequence[Report[CheckpointWrite]]) -> Sequence[Answered | Refusal]:
    await pin_runs_of_reports(tx, reports)
    return await settle_each(tx, reports, _put)


put_checkpoint = batched(_put_checkpoints)
"""Store the result of a step of a task that is held."""


async def _put(tx: Tx, held: Sequence[tuple[Report[CheckpointWrite], TaskRow]]) -> Sequence[Answered | Refusal]:
    written = await checkpoints_store.put_checkpoints(
        tx, [checkpoint_row(task, report.name, report.body.state) for report, task in held]
    )
    longer: list[Parameters] = [
        {
            "task_id": report.task_id,
            "lease_token": report.token,
            "lease": report.body.lease_seconds,
            "has_progress": False,
        }
        for report, _ in held
        if report.body.lease_seconds is not None and (report.task_id, report.name) in written
    ]
    if longer:
        await heartbeats_store.beat_tasks(tx, longer)
    return [await _answer(tx, report, written.get((report.task_id, report.name))) for report, _ in held]


async def _answer(tx: Tx, report: Report[CheckpointWrite], row: CheckpointRow | None) -> Answered | Refusal:
    if row is not None:
        return answered(read_checkpoint(row))
    stored = await checkpoints_store.get_checkpoint(tx, report.task_id, report.name)
    if stored is not None and stored.is_outcome:
        return ValidationFailed.at("name", "is the step of an await, whose outcome does not change")
    return ValidationFailed.at("/state", NO_ROOM)


async def get_checkpoint(tx: Tx, task_id: UUID, name: str) -> Checkpoint:
    """Return one checkpoint. Raises NotFound."""
    await get_task(tx, task_id)
    row = await checkpoints_store.get_checkpoint(tx, task_id, name)
    if row is None:
        raise NotFound("the task has no checkpoint of this name")
    return read_checkpoint(row)


async def list_checkpoints(tx: Tx, task_id: UUID, query: PageQuery) -> Checkpoints:
    """Return the checkpoints of a task in the order of writing. Raises NotFound, ValidationFailed."""
    await get_task(tx, task_id)
    after = read_offset(query.cursor, task_id) if query.cursor is not None else 0
    page = await checkpoints_store.list_checkpoints(tx, task_id, after, query.limit)
    more = write_offset(page.rows[-1].position, task_id) if page.has_more else None
    return Checkpoints.model_construct(items=[read_checkpoint(row) for row in page.rows], next_cursor=more)
