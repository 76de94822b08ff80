"""SQL of monitors, and of the runs that they look at."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    BindParameter,
    ColumnElement,
    Text,
    Uuid,
    any_,
    bindparam,
    cast,
    delete,
    func,
    literal_column,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert

from app.db.engine import Parameters, Tx
from app.domain.json_texts import Storable
from app.domain.monitors import WatchedRun
from app.domain.records import MonitorRow
from app.domain.tags import tag_texts
from app.models import Monitor, WorkflowRun
from app.models.base import constant
from app.store.locks import Rank
from app.store.pages import Page, read_page
from app.store.parts import Query
from app.store.recordsets import as_rows, rows_like
from app.store.set_aside_rows import keys_set_aside_by
from milepost.schemas.monitors import MonitorState
from milepost.schemas.workflow_runs import RunStatus

RUNS_MOST = 100
"""How many new runs of each status are read at once."""
_MOMENT = func.now().label("now")
_COLUMNS = tuple(_MOMENT if name == _MOMENT.name else Monitor.__table__.c[name] for name in MonitorRow._fields)
_NAME = bindparam("of_monitor", type_=Text)
_NAMES = bindparam("names", type_=ARRAY(Text))
_GIVEN = (
    "workflow_name",
    "cron",
    "timezone",
    "every_seconds",
    "grace_seconds",
    "max_runtime_seconds",
    "tags",
    "tag_texts",
    "paused",
    "created_by",
)
_SEEN = (
    "state",
    "last_run_id",
    "last_ok_at",
    "next_expected_at",
    "late_since",
    "consecutive_failures",
    "seen_from",
    "followed",
    "look_at",
)
_KEPT = (*_GIVEN, *_SEEN, "since_at")


def _values(names: Sequence[str]) -> dict[str, BindParameter[Storable]]:
    return {name: bindparam(f"new_{name}", type_=Monitor.__table__.c[name].type) for name in names}


def _parameters(monitor: MonitorRow) -> dict[str, Storable]:
    values = {**monitor._asdict(), "tag_texts": tag_texts(monitor.tags)}
    return {"of_monitor": monitor.name, **{f"new_{name}": values[name] for name in _KEPT}}


_INSERT = (
    insert(Monitor)
    .values(name=_NAME, **_values(_KEPT))
    .on_conflict_do_nothing()
    .returning(*_COLUMNS)
    .execution_options(locks=Rank.monitors.new)
)


async def insert_monitor(tx: Tx, monitor: MonitorRow) -> MonitorRow | None:
    """INSERT a monitor; None if there is one of its name."""
    return await tx.fetch_one(MonitorRow, _INSERT, _parameters(monitor))


_GET = select(*_COLUMNS).where(Monitor.name == _NAME)


async def get_monitor(tx: Tx, name: str) -> MonitorRow | None:
    """SELECT one monitor."""
    return await tx.fetch_one(MonitorRow, _GET, {"of_monitor": name})


_LOCK = _GET.with_for_update().execution_options(locks=Rank.monitors)


async def lock_monitor(tx: Tx, name: str) -> MonitorRow | None:
    """SELECT one monitor FOR UPDATE."""
    return await tx.fetch_one(MonitorRow, _LOCK, {"of_monitor": name})


_FILTERS: Mapping[str, ColumnElement[bool]] = {
    "workflow_name": Monitor.workflow_name == bindparam("workflow_name", type_=Text),
    "states": Monitor.state == any_(bindparam("states", type_=ARRAY(Text))),
}


@lru_cache(maxsize=4)
def _page(filters: frozenset[str]) -> Query:
    conditions = (_FILTERS[name] for name in sorted(filters))
    after = Monitor.name > bindparam("after", type_=Text)
    return select(*_COLUMNS).where(*conditions, after).order_by(Monitor.name).limit(bindparam("most"))


async def list_monitors(tx: Tx, filters: Parameters, after: str, limit: int) -> Page[MonitorRow]:
    """SELECT up to ``limit`` monitors that match, behind the name ``after``, by name."""
    return await read_page(tx, MonitorRow, _page(frozenset(filters)), {**filters, "after": after}, limit)


_UPDATE = (
    update(Monitor)
    .where(Monitor.name == _NAME)
    .values(_values(_KEPT))
    .values(paused_reason=None, updated_at=func.now(), revision=Monitor.revision + 1)
    .returning(*_COLUMNS)
    .execution_options(locks=Rank.monitors.held)
)


async def update_monitor(tx: Tx, monitor: MonitorRow) -> MonitorRow:
    """UPDATE all that a caller may change of a monitor, and how it stands then; the monitor as it is then."""
    (after,) = await tx.fetch(MonitorRow, _UPDATE, _parameters(monitor))
    return after


_DELETE = delete(Monitor).where(Monitor.name == _NAME).execution_options(locks=Rank.monitors)


async def delete_monitor(tx: Tx, name: str) -> bool:
    """DELETE a monitor; whether there was one."""
    return bool(await tx.change(_DELETE, {"of_monitor": name}))


_PAUSE = (
    update(Monitor)
    .where(Monitor.name == _NAME, Monitor.paused.is_(False))
    .values(paused=True, paused_reason=bindparam("why", type_=Text), state=constant(MonitorState.paused))
    .values(next_expected_at=None, late_since=None, look_at=None)
    .values(updated_at=func.now(), revision=Monitor.revision + 1)
    .execution_options(locks=Rank.monitors)
)


async def pause_monitor(tx: Tx, name: str, why: str) -> None:
    """UPDATE a monitor to paused, with the reason; one that is paused stays as it is."""
    await tx.execute(_PAUSE, {"of_monitor": name, "why": why})


_RUN = tuple(WorkflowRun.__table__.c[name] for name in WatchedRun._fields)
_status = func.unnest(literal_column(f"ARRAY[{', '.join(map(repr, map(str, RunStatus)))}]::text[]"))
_statuses = _status.table_valued("status", name="of_status").render_derived()
_is_tagged = or_(Monitor.tag_texts.is_(None), WorkflowRun.tag_texts.contains(Monitor.tag_texts))
_new = (
    select(*_RUN)
    .where(WorkflowRun.workflow_name == Monitor.workflow_name, WorkflowRun.status == _statuses.c.status)
    .where(WorkflowRun.created_at >= Monitor.seen_from, _is_tagged)
    .where(~Monitor.followed.has_key(cast(WorkflowRun.workflow_run_id, Text)))
    .order_by(WorkflowRun.created_at, WorkflowRun.workflow_run_id)
    .correlate(Monitor, _statuses)
)
"""Runs that are to be looked at, those of each status by an index scan of its own."""
_first_new = _new.limit(1).lateral("first_new")
_has_new = (
    select(_first_new.c.workflow_run_id).select_from(_statuses.join(_first_new, true())).limit(1).scalar_subquery()
)
_entries = func.jsonb_each(Monitor.followed).table_valued("key", "value", name="entry")
_key = cast(_entries.c.key, Uuid)
_revision = cast(cast(_entries.c.value, JSONB)[0].as_string(), BigInteger)
_has_changed = (
    select(_entries.c.key)
    .select_from(_entries.outerjoin(WorkflowRun, WorkflowRun.workflow_run_id == _key))
    .where(WorkflowRun.revision.is_distinct_from(_revision))
    .limit(1)
    .correlate(Monitor)
    .scalar_subquery()
)
_IS_DUE = or_(Monitor.look_at <= func.now(), _has_new.is_not(None), _has_changed.is_not(None))
_FIND_DUE = (
    select(Monitor.name)
    .where(Monitor.paused.is_(False), Monitor.name.not_in(keys_set_aside_by("watch_monitors")), _IS_DUE)
    .order_by(Monitor.look_at.nulls_last(), Monitor.name)
    .limit(bindparam("most"))
    .with_for_update(of=Monitor, skip_locked=True)
    .execution_options(locks=Rank.monitors.skipped)
)


async def find_due_monitors(tx: Tx, most: int) -> Sequence[str]:
    """SELECT up to ``most`` monitors FOR UPDATE of whose runs there is news, or whose time has come."""
    return await tx.fetch_values(_FIND_DUE, {"most": most})


_LOCK_WATCHING = (
    select(*_COLUMNS)
    .where(Monitor.name == any_(_NAMES), Monitor.paused.is_(False))
    .order_by(Monitor.name)
    .with_for_update()
    .execution_options(locks=Rank.monitors)
)


async def lock_watching_monitors(tx: Tx, names: Sequence[str]) -> Sequence[MonitorRow]:
    """SELECT those of the monitors FOR UPDATE that are not paused, in the order of their names."""
    return await tx.fetch(MonitorRow, _LOCK_WATCHING, {"names": list(names)})


class RunOfMonitor(NamedTuple):
    """A run, and the monitor that looks at it."""

    name: str
    run: WatchedRun


_new_runs = _new.limit(bindparam("most")).lateral("new_run")
_LIST_NEW = (
    select(Monitor.name, *(_new_runs.c[name] for name in WatchedRun._fields))
    .select_from(Monitor)
    .join(_statuses, true())
    .join(_new_runs, true())
    .where(Monitor.name == any_(_NAMES))
)


async def list_new_runs(tx: Tx, names: Sequence[str]) -> list[RunOfMonitor]:
    """SELECT the runs that monitors have not seen, of each status the first that were created."""
    return _read(await tx.execute(_LIST_NEW, {"names": list(names), "most": RUNS_MOST}))


_LIST_FOLLOWED = (
    select(Monitor.name, *_RUN)
    .select_from(Monitor)
    .join(_entries, true())
    .join(WorkflowRun, WorkflowRun.workflow_run_id == _key)
    .where(Monitor.name == any_(_NAMES))
)


async def list_followed_runs(tx: Tx, names: Sequence[str]) -> list[RunOfMonitor]:
    """SELECT the runs that monitors follow, as far as they exist."""
    return _read(await tx.execute(_LIST_FOLLOWED, {"names": list(names)}))


def _read(rows: Iterable[Any]) -> list[RunOfMonitor]:
    return [RunOfMonitor(row[0], WatchedRun(*row[1:])._replace(status=RunStatus(row.status))) for row in rows]


_seen = rows_like(Monitor, ("name", *_SEEN))
_NOTE = (
    update(Monitor)
    .where(Monitor.name == _seen.c.name)
    .values({name: _seen.c[name] for name in _SEEN})
    .execution_options(locks=Rank.monitors.held)
)


async def note_monitors(tx: Tx, monitors: Sequence[MonitorRow]) -> None:
    """UPDATE how monitors stand."""
    await tx.execute(_NOTE, as_rows([{name: getattr(row, name) for name in ("name", *_SEEN)} for row in monitors]))


_FIND_RUNNING = (
    select(WorkflowRun.workflow_run_id)
    .where(WorkflowRun.workflow_name == bindparam("workflow_name", type_=Text))
    .where(WorkflowRun.status == constant(RunStatus.running), WorkflowRun.workflow_id.is_(None))
    .where(func.coalesce(WorkflowRun.tag_texts, cast(constant("{}"), JSONB)).contains(bindparam("tags", type_=JSONB)))
    .order_by(WorkflowRun.created_at.desc(), WorkflowRun.workflow_run_id.desc())
    .limit(1)
)


async def find_newest_running(tx: Tx, monitor: MonitorRow) -> UUID | None:
    """SELECT the newest run that is running and that a caller can end, of the name and tags of a monitor."""
    return await tx.find_value(_FIND_RUNNING, _watched_by(monitor))


def _watched_by(monitor: MonitorRow) -> dict[str, Storable]:
    return {"workflow_name": monitor.workflow_name, "tags": tag_texts(monitor.tags) or {}}


_TRY_LOCK_NEWEST = _FIND_RUNNING.with_for_update(skip_locked=True).execution_options(locks=Rank.runs.skipped)


async def try_lock_newest_running(tx: Tx, monitor: MonitorRow) -> UUID | None:
    """SELECT such a run FOR UPDATE that nobody else has locked."""
    return await tx.find_value(_TRY_LOCK_NEWEST, _watched_by(monitor))


_LOCK_RUNNING = (
    select(WorkflowRun.workflow_run_id)
    .where(WorkflowRun.workflow_run_id == bindparam("of_run", type_=Uuid))
    .where(WorkflowRun.status == constant(RunStatus.running))
    .with_for_update()
    .execution_options(locks=Rank.runs)
)


async def lock_running(tx: Tx, workflow_run_id: UUID) -> bool:
    """SELECT a run FOR UPDATE that is (still) running; whether it is."""
    return await tx.find_value(_LOCK_RUNNING, {"of_run": workflow_run_id}) is not None
