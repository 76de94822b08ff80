"""Schedules: made, changed, paused, backfilled, and how their slots went."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice
from uuid import UUID

from pydantic import MISSING
from pydantic_core import from_json, to_json

from app.access.callers import Caller
from app.access.idempotency import IdempotencyKey, Reply, answer_once
from app.db.batching import batched
from app.db.engine import Tx
from app.domain.cron import CronError, firings_between, parse_cron, read_timezone
from app.domain.cursors import Position, read_cursor, write_cursor
from app.domain.json_texts import JsonValue, write_json
from app.domain.preconditions import Precondition
from app.domain.records import ScheduleRow, SlotRow, VersionRow
from app.domain.rhythms import RESOLUTION, Rhythm, rhythm_of
from app.errors import MoveNotAllowed, PreconditionFailed, Refusal, ValidationFailed
from app.execution.firings import slot_row, start_of
from app.execution.session import plan_runs
from app.moves.schedules import (
    ScheduleToMake,
    change_schedule,
    find_running_interval_start,
    insert_schedule,
    read_schedules,
    schedule_not_found,
)
from app.store import schedules as schedules_store
from app.store import workflows as workflows_store
from milepost.schemas.problems import FieldError
from milepost.schemas.schedules import (
    BACKFILL_MOST,
    Backfill,
    Firing,
    FiringQuery,
    Firings,
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
_END_OF_TIME = datetime.max.replace(tzinfo=UTC)
BEGUN_AT_ONCE = 10
"""How many runs of a backfill begin with the request; the others as soon as the housekeeping finds room."""


@dataclass(frozen=True, slots=True)
class ScheduleCreation:
    """A request to make a schedule."""

    body: ScheduleCreate
    key: IdempotencyKey | None = None


async def _create_schedules(tx: Tx, creations: Sequence[ScheduleCreation]) -> Sequence[Reply | Refusal]:
    """Make the schedule of each request. Its first slot is its first of all with catch-up, else the first to come."""
    return [_addressed(outcome) for outcome in await answer_once(tx, creations, _create_new)]


create_schedule = batched(_create_schedules)
"""Make a schedule."""


def _addressed(outcome: Reply | Refusal) -> Reply | Refusal:
    """Return a reply with the id of its schedule, also where it is the one that was given before."""
    if isinstance(outcome, Refusal) or outcome.resource_id is not None:
        return outcome
    return outcome._replace(resource_id=UUID(from_json(outcome.body)["schedule_id"]))


async def _create_new(tx: Tx, creations: Sequence[ScheduleCreation]) -> Sequence[Reply | Refusal]:
    return [await _create_or_refuse(tx, creation.body) for creation in creations]


async def _create_or_refuse(tx: Tx, body: ScheduleCreate) -> Reply | Refusal:
    now = await schedules_store.read_now(tx)
    start_at = body.start_at or now
    errors = _time_errors(body.cron, body.timezone, start_at, body.end_at, is_end_given=True)
    errors += await _workflow_errors(tx, body.workflow_name, body.workflow_version)
    if errors:
        return ValidationFailed(errors)
    if body.start_at is None:
        start_at = find_running_interval_start(body.cron, body.timezone, now)
    row = await insert_schedule(tx, ScheduleToMake(**{**body.model_dump(), "start_at": start_at}), now)
    (schedule,) = await read_schedules(tx, [row])
    return Reply(write_json(schedule), schedule.schedule_id)


def _time_errors(
    cron: str, timezone: str, start_at: datetime, end_at: datetime | None, *, is_end_given: bool
) -> list[FieldError]:
    """Return what is wrong with the times at which a schedule would fire; the end is to blame if it was given."""
    errors = []
    for name, text, read in (("cron", cron, parse_cron), ("timezone", timezone, read_timezone)):
        try:
            read(text)
        except CronError as error:
            errors.append(FieldError(pointer=f"/{name}", detail=str(error)))
    if end_at is not None and end_at <= start_at:
        place, detail = ("end_at", "later than start_at") if is_end_given else ("start_at", "earlier than end_at")
        errors.append(FieldError(pointer=f"/{place}", detail=f"must be {detail}"))
    return errors


async def _workflow_errors(tx: Tx, name: str, version: str | None) -> list[FieldError]:
    """Return what is wrong with the definition that a schedule names; one that is there stays for this transaction."""
    if await workflows_store.share_workflow(tx, name, version) is not None:
        return []
    if version is None or await workflows_store.share_workflow(tx, name, None) is None:
        return [FieldError(pointer="/workflow_name", detail="there is no definition of that name; register it first")]
    return [FieldError(pointer="/workflow_version", detail="is no registered version of the definition")]


async def list_schedules(tx: Tx, query: ScheduleQuery) -> SchedulePage:
    """Return a page of the schedules that match, newest first. Raises ValidationFailed."""
    given = {"workflow_name": query.workflow_name, "paused": query.paused}
    filters = {name: value for name, value in given.items() if value is not None}
    after = read_cursor(query.cursor, _NEWEST_FIRST, filters) if query.cursor is not None else None
    page = await schedules_store.list_schedules(tx, filters, after, query.limit)
    schedules = await read_schedules(tx, page.rows)
    more = None
    if page.has_more:
        more = write_cursor(Position(None, schedules[-1].schedule_id), _NEWEST_FIRST, filters)
    return SchedulePage.model_construct(items=schedules, next_cursor=more)


async def get_schedule(tx: Tx, schedule_id: UUID) -> Schedule:
    """Return one schedule. Raises NotFound."""
    (schedule,) = await read_schedules(tx, [await _get_row(tx, schedule_id)])
    return schedule


async def _get_row(tx: Tx, schedule_id: UUID) -> ScheduleRow:
    row = await schedules_store.get_schedule(tx, schedule_id)
    if row is None:
        raise schedule_not_found(schedule_id)
    return row


async def list_next_firings(tx: Tx, schedule_id: UUID, query: FiringQuery) -> Firings:
    """Return the next slots of a schedule, paused or not. Raises NotFound."""
    row = await _get_row(tx, schedule_id)
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
    await _get_row(tx, schedule_id)
    of_this = {"schedule_id": schedule_id}
    before = _END_OF_TIME
    if query.cursor is not None:
        before = read_cursor(query.cursor, _LATEST_SLOT_FIRST, of_this).value or before
    page = await schedules_store.list_slots(tx, schedule_id, before, query.limit)
    more = None
    if page.has_more:
        more = write_cursor(Position(page.rows[-1].fire_at, schedule_id), _LATEST_SLOT_FIRST, of_this)
    return ScheduleSlotPage.model_construct(items=[_read_slot(row) for row in page.rows], next_cursor=more)


def _read_slot(row: SlotRow) -> ScheduleSlot:
    return ScheduleSlot.model_construct(
        fire_at=row.fire_at, outcome=SlotOutcome(row.outcome), workflow_run_id=row.workflow_run_id, at=row.at
    )


async def update_schedule(
    tx: Tx, schedule_id: UUID, change: ScheduleUpdate, precondition: Precondition | None = None
) -> Schedule:
    """Change a schedule. Raises NotFound, PreconditionFailed, ValidationFailed."""
    row = await _lock_schedule(tx, schedule_id, precondition)
    names = ScheduleUpdate.model_fields
    given = {name: value for name in names if (value := getattr(change, name)) is not MISSING}
    if "tags" in given:
        given["tags"] = _merge_tags(row.tags, given["tags"])
    after = row._replace(**given)
    errors = (
        _time_errors(after.cron, after.timezone, after.start_at, after.end_at, is_end_given="end_at" in given)
        if given.keys() & _TIMES
        else []
    )
    if "workflow_version" in given:
        errors += await _workflow_errors(tx, row.workflow_name, given["workflow_version"])
    if errors:
        raise ValidationFailed(errors)
    (schedule,) = await read_schedules(tx, [await change_schedule(tx, row, after)])
    return schedule


async def pause_schedule(tx: Tx, schedule_id: UUID) -> Schedule:
    """Pause a schedule; one that is paused stays as it is. Raises NotFound."""
    return await _set_paused(tx, schedule_id, is_paused=True)


async def resume_schedule(tx: Tx, schedule_id: UUID) -> Schedule:
    """Let a paused schedule go on; another one stays as it is. Raises NotFound."""
    return await _set_paused(tx, schedule_id, is_paused=False)


async def _set_paused(tx: Tx, schedule_id: UUID, *, is_paused: bool) -> Schedule:
    before = await _lock_schedule(tx, schedule_id, None)
    row = await change_schedule(tx, before, before._replace(paused=is_paused))
    (schedule,) = await read_schedules(tx, [row])
    return schedule


async def delete_schedule(tx: Tx, schedule_id: UUID, precondition: Precondition | None = None) -> None:
    """Delete a schedule with its slots; its runs stay. Raises NotFound, PreconditionFailed."""
    await _lock_schedule(tx, schedule_id, precondition)
    await schedules_store.delete_schedule(tx, schedule_id)


async def _lock_schedule(tx: Tx, schedule_id: UUID, precondition: Precondition | None) -> ScheduleRow:
    rows = await schedules_store.lock_schedules(tx, [schedule_id])
    if not rows:
        raise schedule_not_found(schedule_id)
    row = rows[0]
    if precondition and not precondition.holds_for(row.revision):
        (current,) = await read_schedules(tx, [row])
        verb = "resume" if row.paused else "pause"
        allowed = [verb, "backfill", "delete"]
        raise PreconditionFailed(f"the schedule is at revision {row.revision}", current=current, allowed=allowed)
    return row


def _merge_tags(tags: Mapping[str, JsonValue], changes: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    """Return ``tags`` with ``changes`` merged in; null removes. Source: RFC 7396. Raises ValidationFailed."""
    try:
        check_tag_keys(changes)
        merged = {key: value for key, value in {**tags, **changes}.items() if value is not None}
        check_tag_keys(merged)
    except ValueError as error:
        raise ValidationFailed.at("/tags", str(error)) from None
    return merged


@dataclass(frozen=True, slots=True)
class Backfilling:
    """A request to fire the slots of a time that have no run."""

    schedule_id: UUID
    backfill: Backfill
    caller: Caller
    key: IdempotencyKey | None = None


async def _backfill_schedules(tx: Tx, requests: Sequence[Backfilling]) -> Sequence[Reply | Refusal]:
    """Start a run for each slot of each request that has none."""
    return await answer_once(tx, requests, _backfill_new)


backfill_schedule = batched(_backfill_schedules)
"""Start a run for each slot of a time that has none."""


@dataclass(frozen=True, slots=True)
class Filling:
    """The slots that one request fills."""

    row: ScheduleRow
    workflow: VersionRow
    intervals: Sequence[tuple[datetime, datetime]]


async def _backfill_new(tx: Tx, requests: Sequence[Backfilling]) -> Sequence[Reply | Refusal]:
    rows = await schedules_store.lock_schedules(tx, {request.schedule_id for request in requests})
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
        raise schedule_not_found(request.schedule_id)
    rhythm = rhythm_of(row)
    slots = _slots_to_fill(rhythm, request.backfill, row.now)
    workflow = await workflows_store.share_workflow(tx, row.workflow_name, row.workflow_version)
    if workflow is None:
        (current,) = await read_schedules(tx, [row])
        detail = f"the definition of {row.workflow_name} that it starts has been deleted"
        raise MoveNotAllowed(detail, current=current, allowed=["delete"])
    known = await schedules_store.list_dealt_slots(tx, [(row.schedule_id, slot) for slot in slots])
    full = filled | {(slot.schedule_id, slot.fire_at) for slot in known if slot.workflow_run_id is not None}
    return Filling(row, workflow, [rhythm.interval(slot) for slot in slots if (row.schedule_id, slot) not in full])


def _slots_to_fill(rhythm: Rhythm, backfill: Backfill, now: datetime) -> list[datetime]:
    """Return the slots from the start of a backfill up to its end; those to come are left to the schedule itself.

    Raises ValidationFailed.
    """
    if backfill.end <= backfill.start:
        raise ValidationFailed.at("/end", "must be later than start")
    end = min(backfill.end, now + RESOLUTION)
    firings = firings_between(rhythm.cron, rhythm.timezone, backfill.start, end)
    slots = list(islice(firings, BACKFILL_MOST + 1))
    if len(slots) > BACKFILL_MOST:
        raise ValidationFailed.at("/end", f"lets in more than {BACKFILL_MOST} firings; ask for fewer at once")
    return slots


async def _fill(tx: Tx, requests: Sequence[Backfilling], fillings: Sequence[Filling | Refusal]) -> list[Reply]:
    """Start the runs of all requests that are not refused, and return what those are answered."""
    accepted = [(r.caller, f) for r, f in zip(requests, fillings, strict=True) if isinstance(f, Filling)]
    open_runs = dict(await schedules_store.count_open_runs(tx, [filling.row.schedule_id for _, filling in accepted]))
    workflow_run_ids: Iterator[UUID] = iter(())
    for caller, f in accepted:
        room = f.row.max_active_runs - open_runs.get(f.row.schedule_id, 0)
        open_runs[f.row.schedule_id] = open_runs.get(f.row.schedule_id, 0) + len(f.intervals)
        starts = [start_of(f.row, f.workflow, interval, caller) for interval in f.intervals]
        workflow_run_ids = chain(workflow_run_ids, await plan_runs(tx, starts, min(room, BEGUN_AT_ONCE)))
    replies, slots = [], []
    for _, filling in accepted:
        own = [next(workflow_run_ids) for _ in filling.intervals]
        filled = list(zip(filling.intervals, own, strict=True))
        slots += [
            slot_row(filling.row, end, SlotOutcome.fired, workflow_run_id) for (_, end), workflow_run_id in filled
        ]
        items = [
            {"fire_at": end, "data_interval_start": start, "data_interval_end": end, "workflow_run_id": workflow_run_id}
            for (start, end), workflow_run_id in filled
        ]
        replies.append(Reply(to_json({"items": items})))
    if slots:
        await schedules_store.refire_slots(tx, slots)
        fired = {filling.row.schedule_id for _, filling in accepted if filling.intervals}
        await schedules_store.raise_last_firings(tx, fired)
    return replies
