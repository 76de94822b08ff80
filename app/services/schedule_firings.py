"""Firing: the slots of schedules become runs, when they are due or when they are asked for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import Any
from uuid import UUID

from pydantic_core import to_json

from app.access.callers import HOUSEKEEPING, Caller
from app.access.idempotency import IdempotencyKey, Reply, answer_once
from app.db.engine import Tx
from app.domain.cron import firings_between
from app.domain.json_texts import read_json
from app.domain.records import ScheduleRow, VersionRow
from app.errors import MoveNotAllowed, Refusal, ValidationFailed
from app.execution.session import Start, plan_runs
from app.services.stored_schedules import Rhythm, not_found, read_schedules, rhythm_of
from app.store import schedules as store
from app.store import workflows as workflows_store
from milepost.schemas.schedules import BACKFILL_MOST, Backfill, Overlap, SlotOutcome

MISSED_MOST = 1000
"""How many missed slots are recorded at once: the newest."""
RUNS_PER_ROUND = 100
"""How many runs one round starts: the others are started by the next, which may be that of another replica."""
BEGUN_AT_ONCE = 10
"""How many runs of a backfill begin with the request; the others as soon as the housekeeping finds room."""
DEALT_MOST = 100
"""How many slots that have been dealt with one round passes over, beside those it fires."""
_RESOLUTION = timedelta(microseconds=1)


# What is due


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
    rows = await store.lock_due_schedules(tx, schedule_ids)
    if not rows:
        return 0
    open_runs = await store.count_open_runs(tx, [row.schedule_id for row in rows])
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
    candidates = [{"schedule_id": turn.row.schedule_id, "fire_at": slot} for turn in turns for slot in turn.slots]
    dealt: dict[UUID, set[datetime]] = {}
    for slot in await store.list_dealt_slots(tx, candidates):
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
        starts += [_start_of(turn.row, workflow, turn.rhythm.interval(slot), HOUSEKEEPING) for slot in turn.fired]
    run_ids = iter(await plan_runs(tx, starts, len(starts)) if starts else ())
    slots = [
        _slot_row(turn.row, slot, outcome, next(run_ids) if outcome is SlotOutcome.fired else None)
        for turn in turns
        for outcome, part in zip(SlotOutcome, (turn.fired, turn.missed, turn.skipped), strict=True)
        for slot in part
    ]
    if slots:
        await store.insert_slots(tx, slots)
    await store.move_schedules(tx, [_moved_row(turn) for turn in turns])


async def _find_workflow(tx: Tx, turn: Turn) -> VersionRow | None:
    """Return the definition that a turn starts runs of; None if it has been deleted, or nothing is fired."""
    if not turn.fired:
        return None
    return await workflows_store.share_workflow(tx, turn.row.workflow_name, turn.row.workflow_version)


def _start_of(
    schedule: ScheduleRow, workflow: VersionRow, interval: tuple[datetime, datetime], caller: Caller
) -> Start:
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


def _slot_row(schedule: ScheduleRow, slot: datetime, outcome: SlotOutcome, run_id: UUID | None) -> dict[str, Any]:
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


# What is asked for


@dataclass(frozen=True, slots=True)
class Backfilling:
    """A request to fire the slots of a time that have no run."""

    schedule_id: UUID
    backfill: Backfill
    caller: Caller
    key: IdempotencyKey | None = None


async def backfill_each(tx: Tx, requests: Sequence[Backfilling]) -> Sequence[Reply | Refusal]:
    """Start a run for each slot of each request that has none."""
    return await answer_once(tx, requests, _backfill_each)


@dataclass(frozen=True, slots=True)
class Filling:
    """The slots that one request fills."""

    row: ScheduleRow
    workflow: VersionRow
    intervals: Sequence[tuple[datetime, datetime]]


async def _backfill_each(tx: Tx, requests: Sequence[Backfilling]) -> Sequence[Reply | Refusal]:
    rows = await store.lock_schedules(tx, {request.schedule_id for request in requests})
    schedules = {row.schedule_id: row for row in rows}
    filled: set[tuple[UUID, datetime]] = set()
    fillings: list[Filling | Refusal] = []
    for request in requests:
        try:
            filling = await _find_slots(tx, schedules.get(request.schedule_id), request, filled)
        except Refusal as refusal:
            fillings.append(refusal)
            continue
        filled |= {(request.schedule_id, end) for _, end in filling.intervals}
        fillings.append(filling)
    replies = iter(await _fill(tx, requests, fillings))
    return [filling if isinstance(filling, Refusal) else next(replies) for filling in fillings]


async def _find_slots(
    tx: Tx, row: ScheduleRow | None, request: Backfilling, filled: set[tuple[UUID, datetime]]
) -> Filling:
    """Return what a request fills, beside what is ``filled`` for others. Raises Refusal."""
    if row is None:
        raise not_found(request.schedule_id)
    rhythm = rhythm_of(row)
    slots = _slots_to_fill(rhythm, request.backfill, row.now)
    workflow = await workflows_store.share_workflow(tx, row.workflow_name, row.workflow_version)
    if workflow is None:
        (current,) = await read_schedules(tx, [row])
        detail = f"the definition of {row.workflow_name} that it starts has been deleted"
        raise MoveNotAllowed(detail, current=current, allowed=["delete"])
    candidates = [{"schedule_id": row.schedule_id, "fire_at": slot} for slot in slots]
    known = await store.list_dealt_slots(tx, candidates)
    full = filled | {(slot.schedule_id, slot.fire_at) for slot in known if slot.workflow_run_id is not None}
    return Filling(row, workflow, [rhythm.interval(slot) for slot in slots if (row.schedule_id, slot) not in full])


def _slots_to_fill(rhythm: Rhythm, backfill: Backfill, now: datetime) -> list[datetime]:
    """Return the slots from the start of a backfill up to its end; those to come are left to the schedule itself.

    Raises ValidationFailed.
    """
    if backfill.end <= backfill.start:
        raise ValidationFailed.at("/end", "must be later than start")
    end = min(backfill.end, now + _RESOLUTION)
    firings = firings_between(rhythm.cron, rhythm.timezone, backfill.start, end)
    slots = list(islice(firings, BACKFILL_MOST + 1))
    if len(slots) > BACKFILL_MOST:
        raise ValidationFailed.at("/end", f"lets in more than {BACKFILL_MOST} firings; ask for fewer at once")
    return slots


async def _fill(tx: Tx, requests: Sequence[Backfilling], fillings: Sequence[Filling | Refusal]) -> list[Reply]:
    """Start the runs of all requests that are not refused, and return what those are answered."""
    accepted = [(r.caller, f) for r, f in zip(requests, fillings, strict=True) if isinstance(f, Filling)]
    open_runs = dict(await store.count_open_runs(tx, [filling.row.schedule_id for _, filling in accepted]))
    run_ids: Iterator[UUID] = iter(())
    for caller, f in accepted:
        room = f.row.max_active_runs - open_runs.get(f.row.schedule_id, 0)
        open_runs[f.row.schedule_id] = open_runs.get(f.row.schedule_id, 0) + len(f.intervals)
        starts = [_start_of(f.row, f.workflow, interval, caller) for interval in f.intervals]
        run_ids = chain(run_ids, await plan_runs(tx, starts, min(room, BEGUN_AT_ONCE)))
    replies, slots = [], []
    for _, filling in accepted:
        own = [next(run_ids) for _ in filling.intervals]
        filled = list(zip(filling.intervals, own, strict=True))
        slots += [_slot_row(filling.row, end, SlotOutcome.fired, run_id) for (_, end), run_id in filled]
        items = [
            {"fire_at": end, "data_interval_start": start, "data_interval_end": end, "workflow_run_id": run_id}
            for (start, end), run_id in filled
        ]
        replies.append(Reply(to_json({"items": items})))
    if slots:
        await store.refire_slots(tx, slots)
        await store.raise_last_firings(tx, {slot["schedule_id"] for slot in slots})
    return replies
