"""Firing: the slots of schedules that are due become runs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from app.access.callers import HOUSEKEEPING, Caller
from app.db.engine import Tx
from app.domain.json_texts import read_json
from app.domain.records import ScheduleRow, VersionRow
from app.domain.rhythms import Rhythm, rhythm_of
from app.execution.session import Start, plan_runs
from app.moves.schedules import MISSED_MOST
from app.store import schedules as schedules_store
from app.store import workflows as workflows_store
from milepost.schemas.schedules import Overlap, SlotOutcome

RUNS_PER_ROUND = 100
"""How many runs one round starts: the others are started by the next, which may be that of another replica."""

DEALT_MOST = 100
"""How many slots that have been dealt with one round passes over, beside those it fires."""


@dataclass(slots=True)
class Turn:
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
    turns = list(_take_turns(rows, room, RUNS_PER_ROUND))
    dealt = await _find_dealt(tx, turns)
    for turn in turns:
        _deal(turn, dealt.get(turn.row.schedule_id, frozenset()), room[turn.row.schedule_id])
    await _fire(tx, turns)
    return sum(len(part) for turn in turns for part in (turn.fired, turn.missed, turn.skipped))


def _take_turns(rows: Sequence[ScheduleRow], room: dict[UUID, int], most: int) -> Iterator[Turn]:
    """Yield what is due of each schedule, up to about ``most`` slots."""
    for row in rows:
        if most <= 0:
            return
        rhythm, due_since = rhythm_of(row), row.next_fire_at or row.now
        if row.catchup:
            amount = most if row.overlap == Overlap.skip else min(most, max(room[row.schedule_id], 0) + DEALT_MOST)
            turn = Turn(row, rhythm, [], list(islice(rhythm.due_from(due_since, row.now), amount)))
        else:
            slots = list(islice(rhythm.due_back_to(due_since, row.now), 1 + MISSED_MOST))[::-1]
            turn = Turn(row, rhythm, slots[:-1], slots[-1:])
        most -= len(turn.late) + min(len(turn.due), max(room[row.schedule_id], 1))
        yield turn


async def _find_dealt(tx: Tx, turns: Sequence[Turn]) -> dict[UUID, set[datetime]]:
    """Return, by schedule, those of the slots that have been dealt with before, such as by a backfill."""
    candidates = [(turn.row.schedule_id, slot) for turn in turns for slot in turn.slots]
    dealt: dict[UUID, set[datetime]] = {}
    for slot in await schedules_store.list_dealt_slots(tx, candidates):
        dealt.setdefault(slot.schedule_id, set()).add(slot.fire_at)
    return dealt


def _deal(turn: Turn, dealt: set[datetime] | frozenset[datetime], room: int) -> None:
    """Decide what becomes of each slot of a turn, and where the schedule goes on."""
    turn.missed = [slot for slot in turn.late if slot not in dealt]
    for slot in turn.due:
        if slot in dealt:
            continue
        if len(turn.fired) < room:
            turn.fired.append(slot)
        elif turn.row.overlap == Overlap.skip:
            turn.skipped.append(slot)
        else:
            turn.next_fire_at = slot
            return
    turn.next_fire_at = turn.rhythm.next_after(turn.slots[-1] if turn.slots else turn.row.now)


async def _fire(tx: Tx, turns: Sequence[Turn]) -> None:
    """Start the runs, and write down what became of each slot."""
    starts = []
    for turn in turns:
        workflow = await _find_workflow(tx, turn)
        if workflow is None:
            turn.missed, turn.fired = turn.missed + turn.fired, []
            continue
        starts += [start_of(turn.row, workflow, turn.rhythm.interval(slot), HOUSEKEEPING) for slot in turn.fired]
    run_ids = iter(await plan_runs(tx, starts, len(starts)) if starts else ())
    slots = [
        slot_row(turn.row, slot, outcome, next(run_ids) if outcome is SlotOutcome.fired else None)
        for turn in turns
        for outcome, part in zip(SlotOutcome, (turn.fired, turn.missed, turn.skipped), strict=True)
        for slot in part
    ]
    if slots:
        await schedules_store.insert_slots(tx, slots)
    await schedules_store.move_schedules(tx, [_moved_row(turn) for turn in turns])


async def _find_workflow(tx: Tx, turn: Turn) -> VersionRow | None:
    """Return the definition that a turn starts runs of; None if it has been deleted, or nothing is fired."""
    if not turn.fired:
        return None
    return await workflows_store.share_workflow(tx, turn.row.workflow_name, turn.row.workflow_version)


def start_of(schedule: ScheduleRow, workflow: VersionRow, interval: tuple[datetime, datetime], caller: Caller) -> Start:
    """Return the run that a schedule is to start for the slot at the end of ``interval``."""
    return Start(
        workflow,
        inputs=read_json(schedule.inputs),
        tags=schedule.tags,
        created_by=schedule.created_by,
        queue=schedule.queue,
        schedule_id=schedule.schedule_id,
        data_interval=interval,
        caller=caller,
    )


def slot_row(schedule: ScheduleRow, slot: datetime, outcome: SlotOutcome, run_id: UUID | None) -> dict[str, Any]:
    """Return what is stored of a slot that has been dealt with."""
    return {
        "schedule_id": schedule.schedule_id,
        "fire_at": slot,
        "outcome": outcome,
        "workflow_run_id": run_id,
    }


def _moved_row(turn: Turn) -> dict[str, Any]:
    return {
        "schedule_id": turn.row.schedule_id,
        "next_fire_at": turn.next_fire_at,
        "last_fire_at": _later(turn.row.last_fire_at, turn.fired),
    }


def _later(last_fire_at: datetime | None, fired: Sequence[datetime]) -> datetime | None:
    return max((moment for moment in (last_fire_at, *fired) if moment is not None), default=None)
