"""SQL of schedules and of the slots that they have dealt with."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BindParameter,
    Boolean,
    ColumnElement,
    DateTime,
    Text,
    Uuid,
    any_,
    bindparam,
    case,
    delete,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from app.db.engine import Parameters, Tx
from app.domain.cursors import Position
from app.domain.json_texts import Storable
from app.domain.moves import OPEN
from app.domain.records import ScheduleRow, SlotRow
from app.models import Schedule, ScheduleSlot, WorkflowRun
from app.models.base import constant, is_among
from app.store.advisory_locks import NAMES_OF_SCHEDULED_WORKFLOWS
from app.store.locks import Rank
from app.store.pages import Page, read_page
from app.store.parts import Query
from app.store.recordsets import as_rows, rows_like
from app.store.set_aside_rows import ids_set_aside_by
from milepost.schemas.schedules import Overlap, SlotOutcome

_TIME = DateTime(timezone=True)
_MOMENT = func.now().label("now")
_COLUMNS = tuple(_MOMENT if name == _MOMENT.name else Schedule.__table__.c[name] for name in ScheduleRow._fields)
_ID = bindparam("of_schedule", type_=Uuid)
_IDS = bindparam("ids", type_=ARRAY(Uuid))
_SETTINGS = (
    "workflow_version",
    "workflow_id",
    "cron",
    "timezone",
    "start_at",
    "end_at",
    "catchup",
    "max_active_runs",
    "overlap",
    "paused",
    "queue",
    "inputs",
    "tags",
    "created_by",
    "next_fire_at",
)
_is_open = is_among(WorkflowRun.status, OPEN)
_open_runs = (
    select(func.count())
    .select_from(WorkflowRun)
    .where(WorkflowRun.schedule_id == Schedule.schedule_id, _is_open)
    .correlate(Schedule)
    .scalar_subquery()
)


def _values(names: Sequence[str]) -> dict[str, BindParameter[Storable]]:
    return {name: bindparam(f"new_{name}", type_=Schedule.__table__.c[name].type) for name in names}


_IS_DUE = (
    Schedule.next_fire_at <= func.now(),
    Schedule.paused.is_(False),
    or_(Schedule.overlap == constant(Overlap.skip), _open_runs < Schedule.max_active_runs),
)
_SLOT_NAMES = ("schedule_id", "fire_at", "workflow_run_id", "outcome")
_slots = rows_like(ScheduleSlot, _SLOT_NAMES)
_NOW = select(func.now())


async def read_now(tx: Tx) -> datetime:
    """SELECT the database's time."""
    return await tx.fetch_value(_NOW)


_GIVEN = ("schedule_id", "workflow_name", *_SETTINGS)
_INSERT = insert(Schedule).values(_values(_GIVEN)).returning(*_COLUMNS).execution_options(locks=Rank.schedules.new)


async def insert_schedule(tx: Tx, row: Parameters) -> ScheduleRow:
    """INSERT a schedule."""
    (schedule,) = await tx.fetch(ScheduleRow, _INSERT, {f"new_{name}": row[name] for name in _GIVEN})
    return schedule


_GET = select(*_COLUMNS).where(Schedule.schedule_id == _ID)


async def get_schedule(tx: Tx, schedule_id: UUID) -> ScheduleRow | None:
    """SELECT one schedule."""
    return await tx.fetch_one(ScheduleRow, _GET, {"of_schedule": schedule_id})


_LOCK = (
    select(*_COLUMNS)
    .where(Schedule.schedule_id == any_(_IDS))
    .order_by(Schedule.schedule_id)
    .with_for_update()
    .execution_options(locks=Rank.schedules)
)


async def lock_schedules(tx: Tx, schedule_ids: Collection[UUID]) -> Sequence[ScheduleRow]:
    """SELECT schedules FOR UPDATE in the order of their ids; those that exist."""
    return await tx.fetch(ScheduleRow, _LOCK, {"ids": list(schedule_ids)})


_NAMES = bindparam("names", type_=ARRAY(Text))
_LOCK_NAMES = select(
    func.pg_advisory_xact_lock(NAMES_OF_SCHEDULED_WORKFLOWS, func.hashtext(func.unnest(_NAMES).column_valued("name")))
).execution_options(locks=Rank.scheduled_names)
_LOCK_OF_DEFINITIONS = (
    select(*_COLUMNS)
    .where(Schedule.workflow_name == any_(_NAMES), Schedule.workflow_id.is_not(None))
    .order_by(Schedule.schedule_id)
    .with_for_update()
    .execution_options(locks=Rank.schedules)
)


async def lock_schedules_of_definitions(tx: Tx, workflow_names: Collection[str]) -> dict[str, ScheduleRow]:
    """SELECT the schedules that versions of definitions brought FOR UPDATE; the newest by name.

    Who looks for the same is waited for: together they would find none, and each make one.
    """
    names = {"names": sorted(workflow_names)}
    await tx.execute(_LOCK_NAMES, names)
    return {row.workflow_name: row for row in await tx.fetch(ScheduleRow, _LOCK_OF_DEFINITIONS, names)}


_LOCK_OF_VERSION = (
    select(Schedule.schedule_id)
    .where(Schedule.workflow_id == bindparam("of_workflow", type_=Uuid))
    .order_by(Schedule.schedule_id)
    .with_for_update()
    .execution_options(locks=Rank.schedules)
)


async def lock_schedules_of_version(tx: Tx, workflow_id: UUID) -> None:
    """SELECT the schedules FOR UPDATE that are deleted with a version of a definition."""
    await tx.execute(_LOCK_OF_VERSION, {"of_workflow": workflow_id})


_FILTERS: Mapping[str, ColumnElement[bool]] = {
    "workflow_name": Schedule.workflow_name == bindparam("workflow_name", type_=Text),
    "paused": Schedule.paused == bindparam("paused", type_=Boolean),
}


@lru_cache(maxsize=8)
def _page(filters: frozenset[str], *, continued: bool) -> Query:
    statement = select(*_COLUMNS).where(*(_FILTERS[name] for name in sorted(filters)))
    if continued:
        statement = statement.where(Schedule.schedule_id < bindparam("position_id", type_=Uuid))
    return statement.order_by(Schedule.schedule_id.desc()).limit(bindparam("most"))


async def list_schedules(tx: Tx, filters: Parameters, after: Position | None, limit: int) -> Page[ScheduleRow]:
    """SELECT up to ``limit`` schedules that match, behind the position ``after``, newest first."""
    position = {} if after is None else {"position_id": after.id}
    statement = _page(frozenset(filters), continued=after is not None)
    return await read_page(tx, ScheduleRow, statement, {**filters, **position}, limit)


_UPDATE = (
    update(Schedule)
    .where(Schedule.schedule_id == _ID)
    .values(_values(_SETTINGS))
    .values(paused_reason=case((bindparam("new_paused", type_=Boolean), Schedule.paused_reason), else_=None))
    .values(updated_at=func.now(), revision=Schedule.revision + 1)
    .returning(*_COLUMNS)
    .execution_options(locks=Rank.schedules.held)
)


async def update_schedule(tx: Tx, schedule: ScheduleRow) -> ScheduleRow:
    """UPDATE all that a caller may change of a schedule, and its next slot; the schedule as it is then."""
    values = {f"new_{name}": getattr(schedule, name) for name in _SETTINGS}
    (after,) = await tx.fetch(ScheduleRow, _UPDATE, {"of_schedule": schedule.schedule_id, **values})
    return after


_DELETE = delete(Schedule).where(Schedule.schedule_id == _ID).execution_options(locks=Rank.schedules.held)


async def delete_schedule(tx: Tx, schedule_id: UUID) -> None:
    """DELETE a schedule with its slots."""
    await tx.execute(_DELETE, {"of_schedule": schedule_id})


_PAUSE = (
    update(Schedule)
    .where(Schedule.schedule_id == _ID, Schedule.paused.is_(False))
    .values(paused=True, paused_reason=bindparam("why", type_=Text))
    .values(updated_at=func.now(), revision=Schedule.revision + 1)
    .execution_options(locks=Rank.schedules)
)


async def pause_schedule(tx: Tx, schedule_id: UUID, why: str) -> None:
    """UPDATE a schedule to paused, with the reason; one that is paused stays as it is."""
    await tx.execute(_PAUSE, {"of_schedule": schedule_id, "why": why})


_FIND_DUE = (
    select(Schedule.schedule_id)
    .where(*_IS_DUE, Schedule.schedule_id.not_in(ids_set_aside_by("fire_schedules")))
    .order_by(Schedule.next_fire_at, Schedule.schedule_id)
    .limit(bindparam("most"))
    .with_for_update(of=Schedule, skip_locked=True)
    .execution_options(locks=Rank.schedules.skipped)
)
"""Those that wait for room are left out: however many they are, they do not stand in the way of the others."""


async def find_due_schedules(tx: Tx, most: int) -> Sequence[UUID]:
    """SELECT up to ``most`` schedules that may fire FOR UPDATE; the longest due first."""
    return await tx.fetch_values(_FIND_DUE, {"most": most})


_LOCK_DUE = (
    select(*_COLUMNS)
    .where(Schedule.schedule_id == any_(_IDS), *_IS_DUE)
    .order_by(Schedule.schedule_id)
    .with_for_update(of=Schedule)
    .execution_options(locks=Rank.schedules)
)


async def lock_due_schedules(tx: Tx, schedule_ids: Sequence[UUID]) -> Sequence[ScheduleRow]:
    """SELECT those of the schedules that may fire FOR UPDATE; the longest due first."""
    rows = await tx.fetch(ScheduleRow, _LOCK_DUE, {"ids": list(schedule_ids)})
    return sorted(rows, key=lambda row: (row.next_fire_at or row.now, row.schedule_id))


_COUNT_OPEN_RUNS = (
    select(WorkflowRun.schedule_id, func.count().label("amount"))
    .where(WorkflowRun.schedule_id == any_(_IDS), _is_open)
    .group_by(WorkflowRun.schedule_id)
)


async def count_open_runs(tx: Tx, schedule_ids: Sequence[UUID]) -> Mapping[UUID, int]:
    """SELECT how many runs of schedules are open; those without any are left out."""
    rows = await tx.execute(_COUNT_OPEN_RUNS, {"ids": list(schedule_ids)})
    return {row.schedule_id: row.amount for row in rows}


_fired = rows_like(Schedule, ("schedule_id", "next_fire_at", "last_fire_at"))
_MOVE = (
    update(Schedule)
    .where(Schedule.schedule_id == _fired.c.schedule_id)
    .values(next_fire_at=_fired.c.next_fire_at, last_fire_at=_fired.c.last_fire_at)
    .execution_options(locks=Rank.schedules.held)
)


async def move_schedules(tx: Tx, rows: Sequence[Parameters]) -> None:
    """UPDATE the next and the newest fired slot of schedules."""
    await tx.execute(_MOVE, as_rows(rows))


_newest_fired = (
    select(func.max(ScheduleSlot.fire_at))
    .where(ScheduleSlot.schedule_id == Schedule.schedule_id)
    .where(ScheduleSlot.outcome == constant(SlotOutcome.fired))
    .correlate(Schedule)
    .scalar_subquery()
)
_RAISE_LAST_FIRINGS = (
    update(Schedule)
    .where(Schedule.schedule_id == any_(_IDS))
    .values(last_fire_at=func.greatest(Schedule.last_fire_at, _newest_fired))
    .execution_options(locks=Rank.schedules.held)
)


async def raise_last_firings(tx: Tx, schedule_ids: Collection[UUID]) -> None:
    """UPDATE the newest fired slot of schedules whose slots have been fired out of turn."""
    await tx.execute(_RAISE_LAST_FIRINGS, {"ids": list(schedule_ids)})


_INSERT_SLOTS = insert(ScheduleSlot).from_select(_SLOT_NAMES, select(*(_slots.c[name] for name in _SLOT_NAMES)))


async def insert_slots(tx: Tx, rows: Sequence[Parameters]) -> None:
    """INSERT slots. One that is there already fails the transaction: it must not be fired twice."""
    await tx.execute(_INSERT_SLOTS, as_rows(rows))


_MISS_SLOTS = (
    insert(ScheduleSlot)
    .from_select(
        ["schedule_id", "fire_at", "outcome"],
        select(
            _ID,
            func.unnest(bindparam("firings", type_=ARRAY(_TIME))),
            constant(SlotOutcome.missed),
        ),
    )
    .on_conflict_do_nothing()
)


async def miss_slots(tx: Tx, schedule_id: UUID, firings: Sequence[datetime]) -> None:
    """INSERT slots of a schedule as missed; what is known of some stays."""
    await tx.execute(_MISS_SLOTS, {"of_schedule": schedule_id, "firings": list(firings)})


_REFIRE_SLOTS = _INSERT_SLOTS.on_conflict_do_update(
    index_elements=["schedule_id", "fire_at"],
    set_={
        "workflow_run_id": literal_column("excluded.workflow_run_id"),
        "outcome": literal_column("excluded.outcome"),
        "at": func.now(),
    },
).execution_options(locks=Rank.schedules.held)


async def refire_slots(tx: Tx, rows: Sequence[Parameters]) -> None:
    """INSERT or UPDATE slots."""
    await tx.execute(_REFIRE_SLOTS, as_rows(rows))


class DealtSlot(NamedTuple):
    """A slot that has been dealt with, and the run that it became."""

    schedule_id: UUID
    fire_at: datetime
    workflow_run_id: UUID | None


_candidates = rows_like(ScheduleSlot, ("schedule_id", "fire_at"))
_LIST_DEALT = select(ScheduleSlot.schedule_id, ScheduleSlot.fire_at, ScheduleSlot.workflow_run_id).join(
    _candidates,
    (ScheduleSlot.schedule_id == _candidates.c.schedule_id) & (ScheduleSlot.fire_at == _candidates.c.fire_at),
)


async def list_dealt_slots(tx: Tx, slots: Sequence[tuple[UUID, datetime]]) -> Sequence[DealtSlot]:
    """SELECT those of the slots, each of a schedule, that have been dealt with."""
    return await tx.fetch(
        DealtSlot,
        _LIST_DEALT,
        as_rows([{"schedule_id": schedule_id, "fire_at": fire_at} for schedule_id, fire_at in slots]),
    )


_NEWEST_SLOT = select(func.max(ScheduleSlot.fire_at)).where(ScheduleSlot.schedule_id == _ID)


async def get_newest_slot(tx: Tx, schedule_id: UUID) -> datetime | None:
    """SELECT when the newest slot of a schedule that has been dealt with was due."""
    return await tx.fetch_value(_NEWEST_SLOT, {"of_schedule": schedule_id})


_SLOT_COLUMNS = tuple(ScheduleSlot.__table__.c)
_LIST_SLOTS = (
    select(*_SLOT_COLUMNS)
    .where(ScheduleSlot.schedule_id == _ID, ScheduleSlot.fire_at < bindparam("before", type_=_TIME))
    .order_by(ScheduleSlot.fire_at.desc())
    .limit(bindparam("most"))
)


async def list_slots(tx: Tx, schedule_id: UUID, before: datetime, limit: int) -> Page[SlotRow]:
    """SELECT up to ``limit`` slots of a schedule that were due before a moment, newest first."""
    return await read_page(tx, SlotRow, _LIST_SLOTS, {"of_schedule": schedule_id, "before": before}, limit)
