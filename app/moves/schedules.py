"""Schedules that are made and changed, and how they are shown."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from itertools import islice
from typing import NamedTuple
from uuid import UUID

from uuid_utils.compat import uuid7

from app.db.engine import Tx
from app.domain.cron import parse_cron, previous_firing
from app.domain.json_texts import Json, JsonValue, Storable
from app.domain.json_values import same_json
from app.domain.records import ScheduleRow, VersionRow, WorkflowRow
from app.domain.rhythms import Rhythm, rhythm_of
from app.errors import NotFound
from app.store import schedules as schedules_store
from milepost.schemas.schedules import RUNS_MOST, Overlap, Schedule

MISSED_MOST = 1000
"""How many missed slots are recorded at once: the newest."""

_JSON = frozenset({"inputs", "tags"})


def schedule_not_found(schedule_id: UUID) -> NotFound:
    """Return the refusal for a schedule that does not exist."""
    return NotFound(f"there is no schedule {schedule_id}")


async def read_schedules(tx: Tx, rows: Sequence[ScheduleRow]) -> list[Schedule]:
    """Return the schedules that rows store, with their open runs counted."""
    open_runs = await schedules_store.count_open_runs(tx, [row.schedule_id for row in rows]) if rows else {}
    return [_read_schedule(row, open_runs.get(row.schedule_id, 0)) for row in rows]


_SHOWN = [name for name in Schedule.model_fields if name in ScheduleRow._fields]


def _read_schedule(row: ScheduleRow, active_runs: int) -> Schedule:
    shown = {name: getattr(row, name) for name in _SHOWN}
    shown["overlap"] = Overlap(row.overlap)
    shown["next_fire_at"] = None if row.paused else row.next_fire_at
    return Schedule.model_construct(None, **shown, active_runs=active_runs)


def find_running_interval_start(cron: str, timezone: str, now: datetime) -> datetime:
    """Return where the interval began that is under way: without a start of its own a schedule fires at its end."""
    return previous_firing(parse_cron(cron), timezone, now) or now


class ScheduleToMake(NamedTuple):
    """A schedule that is about to be made; what the members mean is said at the columns of the model."""

    workflow_name: str
    workflow_version: str | None
    cron: str
    timezone: str
    start_at: datetime
    inputs: JsonValue
    tags: Mapping[str, JsonValue]
    end_at: datetime | None = None
    catchup: bool = False
    max_active_runs: int = 1
    overlap: Overlap = Overlap.wait
    paused: bool = False
    queue: str = "default"
    created_by: str | None = None
    workflow_id: UUID | None = None
    """Of the version that brings it."""


async def insert_schedule(tx: Tx, schedule: ScheduleToMake, now: datetime) -> ScheduleRow:
    """Store a new schedule. Its first slot is its first of all with catch-up, else the first to come."""
    rhythm = Rhythm(parse_cron(schedule.cron), schedule.timezone, schedule.start_at, schedule.end_at)
    next_fire_at = rhythm.first() if schedule.catchup else rhythm.next_after(now)
    row = {**schedule._asdict(), "schedule_id": uuid7(), "next_fire_at": next_fire_at}
    return await schedules_store.insert_schedule(tx, row)


async def change_schedule(tx: Tx, before: ScheduleRow, after: ScheduleRow) -> ScheduleRow:
    """Store a locked schedule as it is to be, and where it goes on; one that is so already stays as it is."""
    columns = zip(ScheduleRow._fields, before, after, strict=True)
    changed = {name for name, stored, given in columns if given is not stored and not _is_same(name, stored, given)}
    if not changed:
        return before
    next_fire_at = await _find_next(tx, before, after, changed)
    return await schedules_store.update_schedule(tx, after._replace(next_fire_at=next_fire_at))


def _is_same(name: str, stored: Storable, given: Storable) -> bool:
    return same_json(stored, given) if name in _JSON else stored == given


async def _find_next(tx: Tx, before: ScheduleRow, after: ScheduleRow, changed: set[str]) -> datetime | None:
    """Return the slot with which a schedule goes on that has been changed.

    In another rhythm, or after a pause without catch-up, it is the first to come; those that are due are missed.
    """
    rhythm = rhythm_of(after)
    is_resumed = before.paused and not after.paused
    if changed & {"cron", "timezone"} or (is_resumed and not after.catchup):
        if before.next_fire_at is not None:
            due = rhythm_of(before).due_back_to(before.next_fire_at, before.now)
            await schedules_store.miss_slots(tx, before.schedule_id, list(islice(due, MISSED_MOST)))
        return rhythm.next_after(before.now)
    if "start_at" in changed:
        return rhythm.first() if after.catchup else rhythm.next_after(before.now)
    if "end_at" not in changed:
        return before.next_fire_at
    if before.next_fire_at is not None:
        return None if after.end_at is not None and before.next_fire_at > after.end_at else before.next_fire_at
    newest = await schedules_store.get_newest_slot(tx, before.schedule_id) if after.catchup else before.now
    return rhythm.first() if newest is None else rhythm.next_after(newest)


async def keep_schedule_of_definition(tx: Tx, workflow: VersionRow | WorkflowRow, document: Mapping[str, Json]) -> None:
    """Make the schedule that a definition brings, given its row and its document.

    Where an older version brought one, that is moved to this version: the version, rhythm, catch-up and most open runs
    are as this one says, queue, inputs, tags and end stay as callers have set them, a schedule that is paused stays
    paused, and without a start of its own the start stays too. A version without a schedule leaves an older one's as
    it is: to stop that, pause it or delete it.
    """
    if not document.get("schedule"):
        return
    name = workflow.workflow_name
    before = (await schedules_store.lock_schedules_of_definitions(tx, [name])).get(name)
    start_at = _read_start(document.get("start_date"))
    catchup, is_paused = bool(document.get("catchup")), bool(document.get("is_paused"))
    max_active_runs = min(document.get("max_active_runs") or 1, RUNS_MOST)
    if before is not None:
        after = before._replace(
            workflow_version=workflow.workflow_version,
            workflow_id=workflow.workflow_id,
            cron=document["schedule"],
            timezone="UTC",
            start_at=start_at or before.start_at,
            catchup=catchup,
            max_active_runs=max_active_runs,
            paused=is_paused or before.paused,
        )
        await change_schedule(tx, before, after)
        return
    now = await schedules_store.read_now(tx)
    schedule = ScheduleToMake(
        workflow_name=name,
        workflow_version=workflow.workflow_version,
        cron=document["schedule"],
        timezone="UTC",
        start_at=start_at or find_running_interval_start(document["schedule"], "UTC", now),
        inputs={},
        tags={},
        catchup=catchup,
        max_active_runs=max_active_runs,
        paused=is_paused,
        created_by=workflow.created_by,
        workflow_id=workflow.workflow_id,
    )
    await insert_schedule(tx, schedule, now)


def _read_start(value: Json) -> datetime | None:
    """Return the start that a document gives; without an offset it is UTC."""
    if value is None:
        return None
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    moment: datetime = value if value.tzinfo else value.replace(tzinfo=UTC)
    return moment.astimezone(UTC)
