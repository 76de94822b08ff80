"""Schedules: made by callers or brought by definitions, changed, paused, and how their slots went."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from itertools import islice
from typing import Any
from uuid import UUID

from pydantic import MISSING
from pydantic_core import from_json
from uuid_utils.compat import uuid7

from app.access.idempotency import IdempotencyKey, Reply, answer_once
from app.db.engine import Tx
from app.domain.cron import CronError, parse_cron, previous_firing, read_timezone
from app.domain.cursors import Position, read_cursor, write_cursor
from app.domain.json_texts import Json, write_json
from app.domain.json_values import same_json
from app.domain.preconditions import Precondition
from app.domain.records import ScheduleRow, VersionRow, WorkflowRow
from app.errors import PreconditionFailed, Refusal, ValidationFailed
from app.services.schedule_firings import MISSED_MOST
from app.services.stored_schedules import Rhythm, not_found, read_schedules, rhythm_of
from app.store import schedules as store
from app.store import workflows as workflows_store
from milepost.schemas.problems import FieldError
from milepost.schemas.schedules import (
    RUNS_MOST,
    Firing,
    FiringQuery,
    Firings,
    Overlap,
    Schedule,
    ScheduleCreate,
    SchedulePage,
    ScheduleQuery,
    ScheduleSlot,
    ScheduleSlotPage,
    ScheduleUpdate,
    SlotOutcome,
)
from milepost.schemas.wire import PageQuery
from milepost.schemas.workflow_runs import check_tag_keys

_NEWEST_FIRST = "-schedule_id"
_LATEST_SLOT_FIRST = "-fire_at"
_TIMES = frozenset({"cron", "timezone", "start_at", "end_at"})
_JSON = frozenset({"inputs", "tags"})
_END_OF_TIME = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Creation:
    """A request to make a schedule."""

    body: ScheduleCreate
    key: IdempotencyKey | None = None


async def create_each(tx: Tx, creations: Sequence[Creation]) -> Sequence[Reply | Refusal]:
    """Make the schedule of each request. Its first slot is its first of all with catch-up, else the first to come."""
    return [_addressed(outcome) for outcome in await answer_once(tx, creations, _create_each)]


def _addressed(outcome: Reply | Refusal) -> Reply | Refusal:
    """Return a reply with the id of its schedule, also where it is the one that was given before."""
    if isinstance(outcome, Refusal) or outcome.resource_id is not None:
        return outcome
    return replace(outcome, resource_id=UUID(from_json(outcome.body)["schedule_id"]))


async def _create_each(tx: Tx, creations: Sequence[Creation]) -> Sequence[Reply | Refusal]:
    return [await _create_or_refuse(tx, creation.body) for creation in creations]


async def _create_or_refuse(tx: Tx, body: ScheduleCreate) -> Reply | Refusal:
    now = await store.read_now(tx)
    settings = {**body.model_dump(), "start_at": body.start_at or now, "workflow_id": None}
    errors = _time_errors(settings, {}) + await _workflow_errors(tx, body.workflow_name, body.workflow_version)
    if errors:
        return ValidationFailed(errors)
    if body.start_at is None:
        settings["start_at"] = _running_interval_start(body.cron, body.timezone, now)
    row = await _insert(tx, settings, now)
    (schedule,) = await read_schedules(tx, [row])
    return Reply(write_json(schedule), schedule.schedule_id)


def _running_interval_start(cron: str, timezone: str, now: datetime) -> datetime:
    """Return where the interval began that is under way: without a start of its own a schedule fires at its end."""
    return previous_firing(parse_cron(cron), timezone, now) or now


async def _insert(tx: Tx, settings: Mapping[str, Any], now: datetime) -> ScheduleRow:
    rhythm = Rhythm(parse_cron(settings["cron"]), settings["timezone"], settings["start_at"], settings["end_at"])
    next_fire_at = rhythm.first() if settings["catchup"] else rhythm.next_after(now)
    return await store.insert_schedule(tx, {**settings, "schedule_id": uuid7(), "next_fire_at": next_fire_at})


def _time_errors(given: Mapping[str, Any], known: Mapping[str, Any]) -> list[FieldError]:
    """Return what is wrong with the times at which a schedule would fire, with what is given and known of it."""
    settings = {**known, **given}
    errors = []
    for name, read in (("cron", parse_cron), ("timezone", read_timezone)):
        try:
            read(settings[name])
        except CronError as error:
            errors.append(FieldError(pointer=f"/{name}", detail=str(error)))
    if settings["end_at"] is not None and settings["end_at"] <= settings["start_at"]:
        place, detail = ("end_at", "later than start_at") if "end_at" in given else ("start_at", "earlier than end_at")
        errors.append(FieldError(pointer=f"/{place}", detail=f"must be {detail}"))
    return errors


async def _workflow_errors(tx: Tx, name: str, version: str | None) -> list[FieldError]:
    """Return what is wrong with the definition that a schedule names; one that is there stays for this transaction."""
    if await workflows_store.share_workflow(tx, name, version) is not None:
        return []
    if version is None or await workflows_store.share_workflow(tx, name, None) is None:
        return [FieldError(pointer="/workflow_name", detail="there is no definition of that name; register it first")]
    return [FieldError(pointer="/workflow_version", detail="is no registered version of the definition")]


# Reading


async def list_schedules(tx: Tx, query: ScheduleQuery) -> SchedulePage:
    """Return a page of the schedules that match, newest first. Raises ValidationFailed."""
    given = {"workflow_name": query.workflow_name, "paused": query.paused}
    filters = {name: value for name, value in given.items() if value is not None}
    after = read_cursor(query.cursor, _NEWEST_FIRST, filters) if query.cursor is not None else None
    page = await store.list_schedules(tx, filters, after, query.limit)
    schedules = await read_schedules(tx, page.rows)
    more = None
    if page.has_more:
        more = write_cursor(Position(None, schedules[-1].schedule_id), _NEWEST_FIRST, filters)
    return SchedulePage.model_construct(items=schedules, next_cursor=more)


async def get_schedule(tx: Tx, schedule_id: UUID) -> Schedule:
    """Return one schedule. Raises NotFound."""
    (schedule,) = await read_schedules(tx, [await _get(tx, schedule_id)])
    return schedule


async def _get(tx: Tx, schedule_id: UUID) -> ScheduleRow:
    row = await store.get_schedule(tx, schedule_id)
    if row is None:
        raise not_found(schedule_id)
    return row


async def list_next_firings(tx: Tx, schedule_id: UUID, query: FiringQuery) -> Firings:
    """Return the next slots of a schedule, paused or not. Raises NotFound."""
    row = await _get(tx, schedule_id)
    rhythm = rhythm_of(row)
    slots = islice(rhythm.slots_after(query.after or row.now), query.count)
    intervals = [rhythm.interval(slot) for slot in slots]
    return Firings.model_construct(
        items=[
            Firing.model_construct(fire_at=end, data_interval_start=start, data_interval_end=end)
            for start, end in intervals
        ]
    )


async def list_schedule_slots(tx: Tx, schedule_id: UUID, query: PageQuery) -> ScheduleSlotPage:
    """Return a page of the slots that have been dealt with, newest first. Raises NotFound, ValidationFailed."""
    await _get(tx, schedule_id)
    of_this = {"schedule_id": schedule_id}
    before = _END_OF_TIME
    if query.cursor is not None:
        before = read_cursor(query.cursor, _LATEST_SLOT_FIRST, of_this).value or before
    page = await store.list_slots(tx, schedule_id, before, query.limit)
    more = None
    if page.has_more:
        more = write_cursor(Position(page.rows[-1].fire_at, schedule_id), _LATEST_SLOT_FIRST, of_this)
    return ScheduleSlotPage.model_construct(items=[_read_slot(row) for row in page.rows], next_cursor=more)


def _read_slot(row: Any) -> ScheduleSlot:
    return ScheduleSlot.model_construct(
        fire_at=row.fire_at, outcome=SlotOutcome(row.outcome), workflow_run_id=row.workflow_run_id, at=row.at
    )


# Changing


async def update_schedule(
    tx: Tx, schedule_id: UUID, change: ScheduleUpdate, precondition: Precondition | None = None
) -> Schedule:
    """Change a schedule. Raises NotFound, PreconditionFailed, ValidationFailed."""
    row = await _lock(tx, schedule_id, precondition)
    names = ScheduleUpdate.model_fields
    given = {name: value for name in names if (value := getattr(change, name)) is not MISSING}
    if "tags" in given:
        given["tags"] = _merge_tags(row.tags, given["tags"])
    errors = _time_errors(given, row._asdict()) if given.keys() & _TIMES else []
    if "workflow_version" in given:
        errors += await _workflow_errors(tx, row.workflow_name, given["workflow_version"])
    if errors:
        raise ValidationFailed(errors)
    (schedule,) = await read_schedules(tx, [await _change(tx, row, given)])
    return schedule


async def pause_schedule(tx: Tx, schedule_id: UUID, *, paused: bool) -> Schedule:
    """Pause a schedule or let it go on; one that is so already stays as it is. Raises NotFound."""
    row = await _change(tx, await _lock(tx, schedule_id, None), {"paused": paused})
    (schedule,) = await read_schedules(tx, [row])
    return schedule


async def delete_schedule(tx: Tx, schedule_id: UUID, precondition: Precondition | None = None) -> None:
    """Delete a schedule with its slots; its runs stay. Raises NotFound, PreconditionFailed."""
    await _lock(tx, schedule_id, precondition)
    await store.delete_schedule(tx, schedule_id)


async def _lock(tx: Tx, schedule_id: UUID, precondition: Precondition | None) -> ScheduleRow:
    rows = await store.lock_schedules(tx, [schedule_id])
    if not rows:
        raise not_found(schedule_id)
    row = rows[0]
    if precondition and not precondition.holds_for(row.revision):
        (current,) = await read_schedules(tx, [row])
        verb = "resume" if row.paused else "pause"
        allowed = [verb, "backfill", "delete"]
        raise PreconditionFailed(f"the schedule is at revision {row.revision}", current=current, allowed=allowed)
    return row


def _merge_tags(tags: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``tags`` with ``changes`` merged in; null removes. Source: RFC 7396. Raises ValidationFailed."""
    try:
        check_tag_keys(changes)
        merged = {key: value for key, value in {**tags, **changes}.items() if value is not None}
        check_tag_keys(merged)
    except ValueError as error:
        raise ValidationFailed.at("/tags", str(error)) from None
    return merged


async def _change(tx: Tx, row: ScheduleRow, given: Mapping[str, Any]) -> ScheduleRow:
    """Set what is given of a locked schedule, and where it goes on; what it says already changes nothing."""
    changed = {name for name, value in given.items() if not _is_same(name, getattr(row, name), value)}
    if not changed:
        return row
    after = row._replace(**given)
    next_fire_at = await _find_next(tx, row, after, changed)
    return await store.update_schedule(tx, after._replace(next_fire_at=next_fire_at))


def _is_same(name: str, stored: Any, given: Any) -> bool:
    return same_json(stored, given) if name in _JSON else bool(stored == given)


async def _find_next(tx: Tx, before: ScheduleRow, after: ScheduleRow, changed: set[str]) -> datetime | None:
    """Return the slot with which a schedule goes on that has been changed.

    In another rhythm, or after a pause without catch-up, it is the first to come; those that are due are missed.
    """
    rhythm = rhythm_of(after)
    is_resumed = before.paused and not after.paused
    if changed & {"cron", "timezone"} or (is_resumed and not after.catchup):
        if before.next_fire_at is not None:
            due = rhythm_of(before).due_back_to(before.next_fire_at, before.now)
            await store.miss_slots(tx, before.schedule_id, list(islice(due, MISSED_MOST)))
        return rhythm.next_after(before.now)
    if "start_at" in changed:
        return rhythm.first() if after.catchup else rhythm.next_after(before.now)
    if "end_at" not in changed:
        return before.next_fire_at
    if before.next_fire_at is not None:
        return None if after.end_at is not None and before.next_fire_at > after.end_at else before.next_fire_at
    newest = await store.get_newest_slot(tx, before.schedule_id) if after.catchup else before.now
    return rhythm.first() if newest is None else rhythm.next_after(newest)


# Those of definitions


async def keep_schedule_of_definition(tx: Tx, workflow: VersionRow | WorkflowRow, document: Mapping[str, Json]) -> None:
    """Make the schedule that a definition brings, given its row and its document.

    Where an older version brought one, that is moved to this version: the version, rhythm, catch-up and most open runs
    are as this one says, queue, inputs, tags and end stay as callers have set them, a schedule that is paused stays
    paused, and without a start of its own the start stays too. A version without a schedule leaves an older one's as
    it is: to stop that, pause it or delete it.
    """
    if not document.get("schedule"):
        return
    before = (await store.lock_schedules_of_definitions(tx, [workflow.workflow_name])).get(workflow.workflow_name)
    now = await store.read_now(tx) if before is None else before.now
    start_at = _read_start(document.get("start_date"))
    settings: dict[str, Any] = {
        "workflow_version": workflow.workflow_version,
        "workflow_id": workflow.workflow_id,
        "cron": document["schedule"],
        "timezone": "UTC",
        "start_at": start_at
        or (before.start_at if before is not None else _running_interval_start(document["schedule"], "UTC", now)),
        "catchup": bool(document.get("catchup")),
        "max_active_runs": min(document.get("max_active_runs") or 1, RUNS_MOST),
        "paused": bool(document.get("is_paused")) or (before is not None and before.paused),
    }
    if before is not None:
        await _change(tx, before, settings)
        return
    defaults: dict[str, Any] = {"end_at": None, "overlap": Overlap.wait, "queue": "default", "inputs": {}, "tags": {}}
    by_its_definition = {"workflow_name": workflow.workflow_name, "created_by": workflow.created_by}
    await _insert(tx, {**defaults, **settings, **by_its_definition}, now)


def _read_start(value: Any) -> datetime | None:
    """Return the start that a document gives; without an offset it is UTC."""
    if value is None:
        return None
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    moment: datetime = value if value.tzinfo else value.replace(tzinfo=UTC)
    return moment.astimezone(UTC)
