"""Firing: the slots of schedules that are due become runs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from uuid import UUID

from app.access.callers import HOUSEKEEPING, Caller
from app.db.engine import Parameters, Tx
from app.domain.json_texts import read_json
from app.domain.records import ScheduleRow, VersionRow
from app.domain.rhythms import Rhythm, rhythm_of
from app.execution.session import ExecutionStart, plan_runs
from app.moves.schedules import MISSED_MOST
from app.store import schedules as schedules_store
from app.store import workflows as workflows_store
from milepost.schemas.schedules import Overlap, SlotOutcome

RUNS_PER_ROUND = 100
"""How many runs one round starts: the others are started by the next, which may be that of another replica."""

DEALT_MOST = 100
"""How many slots that have been dealt with one round passes over, beside those it fires."""


@dataclass(slots=True)
class DueSchedule:
    """What one round does with one schedule."""

    row: ScheduleRow
    rhythm: Rhythm
    late: list[datetime]
    """Slots that it is too late for: there is no catch-up."""
    due: list[datetime]
    fired: list[datetime] = field(default_factory=list)
    missed: list[datetime] = field(default_factory=list)
    skipped: list[datetime] = field(default_factory=list)
    next_fire_at: datetime | None = None

    @property
    def slots(self) -> list[datetime]:
        """All that it is about."""
        return self.late + self.due


async def fire_schedules(tx: Tx, schedule_ids: Sequence[UUID]) -> int:
    """Start the runs of those of the schedules that are due; how many slots were dealt with, up to about 100.

    A slot fires once, however many replicas fire: each schedule is locked, and passed over by the others. With
    catch-up its slots are fired in order, without it only the newest that is due, and those before it are missed. What
    finds no room waits for the next round, or is skipped.
    """
    rows = await schedules_store.lock_due_schedules(tx, schedule_ids)
    if not rows:
        return 0
    open_runs = await schedules_store.count_open_runs(tx, [row.schedule_id for row in rows])
    room = {row.schedule_id: row.max_active_runs - open_runs.get(row.schedule_id, 0) for row in rows}
    schedules = list(_find_due(rows, room, RUNS_PER_ROUND))
    dealt = await _find_dealt(tx, schedules)
    for schedule in schedules:
        _deal(schedule, dealt.get(schedule.row.schedule_id, frozenset()), room[schedule.row.schedule_id])
    await _fire(tx, schedules)
    return sum(len(part) for schedule in schedules for part in (schedule.fired, schedule.missed, schedule.skipped))


def _find_due(rows: Sequence[ScheduleRow], room: dict[UUID, int], most: int) -> Iterator[DueSchedule]:
    """Yield what is due of each schedule, up to about ``most`` slots."""
    for row in rows:
        if most <= 0:
            return
        rhythm, due_since = rhythm_of(row), row.next_fire_at or row.now
        if row.catchup:
            amount = most if row.overlap == Overlap.skip else min(most, max(room[row.schedule_id], 0) + DEALT_MOST)
            schedule = DueSchedule(row, rhythm, [], list(islice(rhythm.due_from(due_since, row.now), amount)))
        else:
            slots = list(islice(rhythm.due_back_to(due_since, row.now), 1 + MISSED_MOST))[::-1]
            schedule = DueSchedule(row, rhythm, slots[:-1], slots[-1:])
        most -= len(schedule.late) + min(len(schedule.due), max(room[row.schedule_id], 1))
        yield schedule


async def _find_dealt(tx: Tx, schedules: Sequence[DueSchedule]) -> dict[UUID, set[datetime]]:
    """Return, by schedule, those of the slots that have been dealt with before, such as by a backfill."""
    candidates = [(schedule.row.schedule_id, slot) for schedule in schedules for slot in schedule.slots]
    dealt: dict[UUID, set[datetime]] = {}
    for slot in await schedules_store.list_dealt_slots(tx, candidates):
        dealt.setdefault(slot.schedule_id, set()).add(slot.fire_at)
    return dealt


def _deal(schedule: DueSchedule, dealt: set[datetime] | frozenset[datetime], room: int) -> None:
    """Decide what becomes of each slot of a schedule, and where the schedule goes on."""
    schedule.missed = [slot for slot in schedule.late if slot not in dealt]
    for slot in schedule.due:
        if slot in dealt:
            continue
        if len(schedule.fired) < room:
            schedule.fired.append(slot)
        elif schedule.row.overlap == Overlap.skip:
            schedule.skipped.append(slot)
        else:
            schedule.next_fire_at = slot
            return
    schedule.next_fire_at = schedule.rhythm.next_after(schedule.slots[-1] if schedule.slots else schedule.row.now)


async def _fire(tx: Tx, schedules: Sequence[DueSchedule]) -> None:
    """Start the runs, and write down what became of each slot."""
    starts = []
    for schedule in schedules:
        workflow = await _find_workflow(tx, schedule)
        if workflow is None:
            schedule.missed, schedule.fired = schedule.missed + schedule.fired, []
            continue
        starts += [
            start_of(schedule.row, workflow, schedule.rhythm.interval(slot), HOUSEKEEPING) for slot in schedule.fired
        ]
    workflow_run_ids = iter(await plan_runs(tx, starts, len(starts)) if starts else ())
    slots = [
        slot_row(schedule.row, slot, outcome, next(workflow_run_ids) if outcome is SlotOutcome.fired else None)
        for schedule in schedules
        for outcome, part in zip(SlotOutcome, (schedule.fired, schedule.missed, schedule.skipped), strict=True)
        for slot in part
    ]
    if slots:
        await schedules_store.insert_slots(tx, slots)
    await schedules_store.move_schedules(tx, [_moved_row(schedule) for schedule in schedules])


async def _find_workflow(tx: Tx, schedule: DueSchedule) -> VersionRow | None:
    """Return the definition that a schedule starts runs of; None if it has been deleted, or nothing is fired."""
    if not schedule.fired:
        return None
    return await workflows_store.share_workflow(tx, schedule.row.workflow_name, schedule.row.workflow_version)


def start_of(
    schedule: ScheduleRow, workflow: VersionRow, interval: tuple[datetime, datetime], caller: Caller
) -> ExecutionStart:
    """Return the run that a schedule is to start for the slot at the end of ``interval``."""
    return ExecutionStart(
        workflow,
        inputs=read_json(schedule.inputs),
        tags=schedule.tags,
        created_by=schedule.created_by,
        queue=schedule.queue,
        schedule_id=schedule.schedule_id,
        data_interval=interval,
        caller=caller,
    )


def slot_row(schedule: ScheduleRow, slot: datetime, outcome: SlotOutcome, workflow_run_id: UUID | None) -> Parameters:
    """Return what is stored of a slot that has been dealt with."""
    return {
        "schedule_id": schedule.schedule_id,
        "fire_at": slot,
        "outcome": outcome,
        "workflow_run_id": workflow_run_id,
    }


def _moved_row(schedule: DueSchedule) -> Parameters:
    return {
        "schedule_id": schedule.row.schedule_id,
        "next_fire_at": schedule.next_fire_at,
        "last_fire_at": _later(schedule.row.last_fire_at, schedule.fired),
    }


def _later(last_fire_at: datetime | None, fired: Sequence[datetime]) -> datetime | None:
    return max((moment for moment in (last_fire_at, *fired) if moment is not None), default=None)
