"""SQL of events and of who awaits them."""

from collections.abc import Collection, Sequence
from functools import lru_cache
from uuid import UUID
from zlib import crc32

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Integer,
    Select,
    Text,
    Uuid,
    any_,
    bindparam,
    case,
    delete,
    func,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import JSON, insert

from app.db.engine import Parameters, Tx
from app.domain.json_texts import JsonValue, Storable
from app.domain.records import EventRow
from app.models import Event, EventWait, Task
from app.store.advisory_locks import GROUPS_OF_EVENT_NAMES
from app.store.locks import Rank
from app.store.pages import Page, read_page
from app.store.recordsets import as_rows, rows_like
from app.store.sizes import size_of

_QUEUE = bindparam("of_queue", type_=Text)
_RUN = bindparam("of_run", type_=Uuid)
_NAMES = bindparam("names", type_=ARRAY(Text))
_PUBLIC = tuple(Event.__table__.c[name] for name in EventRow._fields)
LOCKED_MOST = 100
"""How many names are locked one by one; more would fill Postgres's table of locks: their groups are locked instead."""
_GROUPS = 1024
_OF_QUEUE = Event.queue == _QUEUE
_VISIBLE = or_(Event.workflow_run_id.is_(None), Event.workflow_run_id == _RUN)
_wanted = func.unnest(Task.wait_all).column_valued("wanted")
_is_emitted = (
    select(1)
    .where(Event.queue == EventWait.queue, Event.event_name == _wanted)
    .where(or_(Event.workflow_run_id.is_(None), Event.workflow_run_id == EventWait.workflow_run_id))
    .correlate_except(Event)
    .exists()
)
_LACKS_NONE = ~select(_wanted).where(~_is_emitted).correlate(EventWait).exists()
_LIST_WAITERS = (
    select(EventWait.task_id)
    .where(EventWait.queue == _QUEUE, EventWait.event_name == bindparam("name", type_=Text))
    .limit(bindparam("most", type_=Integer))
)
_LIST_SATISFIED = _LIST_WAITERS.join(Task, Task.task_id == EventWait.task_id).where(
    or_(Task.wait_all.is_(None), _LACKS_NONE)
)
_OF_WAITING_RUN = EventWait.workflow_run_id == _RUN
_AMONG = EventWait.task_id == any_(bindparam("ids", type_=ARRAY(Uuid)))


@lru_cache(maxsize=8)
def _waiters(*, satisfied: bool, of_run: bool, among: bool) -> Select[UUID]:
    statement = _LIST_SATISFIED if satisfied else _LIST_WAITERS
    statement = statement.where(_OF_WAITING_RUN) if of_run else statement
    return statement.where(_AMONG) if among else statement


_NUMBERS = bindparam("numbers", type_=ARRAY(Integer))
_LOCK_GROUPS = select(
    func.pg_advisory_xact_lock(GROUPS_OF_EVENT_NAMES, func.unnest(_NUMBERS).column_valued("number"))
).execution_options(locks=Rank.event_names)
_SHARE_GROUPS = select(
    func.count(func.pg_advisory_xact_lock_shared(GROUPS_OF_EVENT_NAMES, func.unnest(_NUMBERS).column_valued("number")))
).scalar_subquery()
_LOCK_NAMES = (
    select(
        func.pg_advisory_xact_lock(
            func.hashtextextended(func.unnest(bindparam("locks", type_=ARRAY(Text))).column_valued("name"), 0)
        )
    )
    .where(_SHARE_GROUPS >= 0)
    .execution_options(locks=Rank.event_names)
)


async def lock_names(tx: Tx, names: Collection[tuple[str, str]]) -> None:
    """Lock event names, each with its queue, until the end of the transaction: who awaits and who emits take turns.

    All at once and in one order. Without it an await and an emit at the same moment would
    not see each other. Who locks many names locks their groups, and everybody else shares the groups of his.
    """
    keys = sorted({f"{queue}/{name}" for queue, name in names})
    numbers = sorted({_group_of(key) for key in keys})
    if len(keys) > LOCKED_MOST:
        await tx.execute(_LOCK_GROUPS, {"numbers": numbers})
    elif keys:
        await tx.execute(_LOCK_NAMES, {"locks": keys, "numbers": numbers})


def _group_of(key: str) -> int:
    return crc32(key.encode()) % _GROUPS


_TRY_NAME = func.hashtextextended(bindparam("lock", type_=Text), 0)
_TRY_GROUP = func.pg_try_advisory_xact_lock_shared(GROUPS_OF_EVENT_NAMES, bindparam("number", type_=Integer))
_TRY_LOCK = select(case((_TRY_GROUP, func.pg_try_advisory_xact_lock(_TRY_NAME)), else_=False)).execution_options(
    locks=Rank.event_names.skipped
)
_TRY_SHARE = select(
    case((_TRY_GROUP, func.pg_try_advisory_xact_lock_shared(_TRY_NAME)), else_=False)
).execution_options(locks=Rank.event_names.skipped)


async def try_lock_name(tx: Tx, queue: str, name: str, *, is_shared: bool) -> bool:
    """Lock an event name until the end of the transaction if nobody stands in the way; whether that was so.

    For those who hold tasks by then, and must not wait: with others who lock the same names in another order they
    would wait for each other.
    """
    statement = _TRY_SHARE if is_shared else _TRY_LOCK
    key = f"{queue}/{name}"
    return await tx.fetch_value(statement, {"lock": key, "number": _group_of(key)})


_EMIT = (
    insert(Event)
    .values(
        queue=_QUEUE,
        event_name=bindparam("name", type_=Text),
        workflow_run_id=_RUN,
        payload=bindparam("content", type_=JSON(none_as_null=True)),
    )
    .on_conflict_do_nothing()
    .returning(*_PUBLIC)
    .execution_options(locks=Rank.events.new)
)


async def insert_event(
    tx: Tx, queue: str, name: str, workflow_run_id: UUID | None, payload: JsonValue
) -> EventRow | None:
    """INSERT an event; None if it was emitted before."""
    parameters: Parameters = {"of_queue": queue, "name": name, "of_run": workflow_run_id, "content": payload}
    return await tx.fetch_one(EventRow, _EMIT, parameters)


_GET = select(*_PUBLIC).where(
    _OF_QUEUE,
    Event.event_name == bindparam("name", type_=Text),
    Event.workflow_run_id.is_not_distinct_from(_RUN),
)


async def get_event(tx: Tx, queue: str, name: str, workflow_run_id: UUID | None) -> EventRow | None:
    """SELECT the event of this name that belongs to the run, or with None to the whole queue."""
    return await tx.fetch_one(EventRow, _GET, {"of_queue": queue, "name": name, "of_run": workflow_run_id})


_SEE = (
    select(*_PUBLIC)
    .where(_OF_QUEUE, Event.event_name == any_(_NAMES), _VISIBLE)
    .order_by(Event.workflow_run_id.asc().nulls_last())
)


async def see_events(tx: Tx, queue: str, names: Sequence[str], workflow_run_id: UUID | None) -> dict[str, EventRow]:
    """SELECT what a task of the run sees under each name: its run's own event first, else the queue's."""
    seen: dict[str, EventRow] = {}
    for row in await tx.fetch(EventRow, _SEE, {"of_queue": queue, "names": list(names), "of_run": workflow_run_id}):
        seen.setdefault(row.event_name, row)
    return seen


_SEE_NAMES = select(Event.event_name).where(_OF_QUEUE, Event.event_name == any_(_NAMES), _VISIBLE)


async def see_names(tx: Tx, queue: str, names: Sequence[str], workflow_run_id: UUID | None) -> set[str]:
    """SELECT those of the names under which a task of the run sees an event."""
    return {*await tx.fetch_values(_SEE_NAMES, {"of_queue": queue, "names": list(names), "of_run": workflow_run_id})}


_MEASURE = select(func.coalesce(func.sum(size_of(Event.payload)), 0)).where(
    _OF_QUEUE, Event.event_name == any_(_NAMES), _VISIBLE
)


async def measure_events(tx: Tx, queue: str, names: Sequence[str], workflow_run_id: UUID | None) -> int:
    """SELECT how many bytes the payloads are that a task of the run sees under the names."""
    return int(await tx.fetch_value(_MEASURE, {"of_queue": queue, "names": list(names), "of_run": workflow_run_id}))


_AFTER = Event.event_id > bindparam("after", type_=BigInteger)
_LIST = select(*_PUBLIC).where(_OF_QUEUE, _AFTER).order_by(Event.event_id).limit(bindparam("most"))
_LIST_OF_RUN = (
    select(*_PUBLIC)
    .where(_OF_QUEUE, Event.workflow_run_id == _RUN, _AFTER)
    .order_by(Event.event_id)
    .limit(bindparam("most"))
)


async def list_events(tx: Tx, queue: str, workflow_run_id: UUID | None, after: int, limit: int) -> Page[EventRow]:
    """SELECT up to ``limit`` events of a queue, or of one run there, behind ``after``, oldest first."""
    parameters: Parameters = {"of_queue": queue, "after": after}
    if workflow_run_id is None:
        return await read_page(tx, EventRow, _LIST, parameters, limit)
    return await read_page(tx, EventRow, _LIST_OF_RUN, {**parameters, "of_run": workflow_run_id}, limit)


_wait = rows_like(EventWait, ("task_id", "event_name", "queue", "workflow_run_id"))
_INSERT_WAITS = insert(EventWait).from_select(list(_wait.c.keys()), select(*_wait.c)).on_conflict_do_nothing()


async def insert_waits(tx: Tx, rows: Sequence[Parameters]) -> None:
    """INSERT that tasks await events."""
    await tx.execute(_INSERT_WAITS, as_rows(rows))


async def list_waiters(tx: Tx, queue: str, name: str, workflow_run_id: UUID | None, most: int) -> Sequence[UUID]:
    """SELECT up to ``most`` tasks that await an event: those of its run, or with None all of the queue."""
    statement = _waiters(satisfied=False, of_run=workflow_run_id is not None, among=False)
    return await tx.fetch_values(statement, _of_event(queue, name, workflow_run_id, most))


def _of_event(queue: str, name: str, workflow_run_id: UUID | None, most: int) -> dict[str, Storable]:
    parameters: dict[str, Storable] = {"of_queue": queue, "name": name, "most": most}
    return parameters if workflow_run_id is None else parameters | {"of_run": workflow_run_id}


async def list_satisfied_waiters(
    tx: Tx, queue: str, name: str, workflow_run_id: UUID | None, most: int, among: Sequence[UUID] | None = None
) -> Sequence[UUID]:
    """SELECT those of the waiters of an event, all or ``among`` some, who await nothing that is not emitted yet."""
    parameters = _of_event(queue, name, workflow_run_id, most)
    if among is not None:
        parameters["ids"] = list(among)
    statement = _waiters(satisfied=True, of_run=workflow_run_id is not None, among=among is not None)
    return await tx.fetch_values(statement, parameters)


_IDS_OF_RUNS = bindparam("ids", type_=ARRAY(Uuid))
_DELETE_WAITS_OF_RUNS = (
    delete(EventWait)
    .where(EventWait.task_id.in_(select(Task.task_id).where(Task.workflow_run_id == any_(_IDS_OF_RUNS))))
    .execution_options(locks=Rank.tasks.held)
)


async def delete_waits_of_runs(tx: Tx, workflow_run_ids: Sequence[UUID]) -> None:
    """DELETE what tasks of runs await."""
    await tx.execute(_DELETE_WAITS_OF_RUNS, {"ids": list(workflow_run_ids)})


_DELETE_WAITS = delete(EventWait).where(_AMONG).execution_options(locks=Rank.tasks.held)


async def delete_waits(tx: Tx, task_ids: Sequence[UUID]) -> None:
    """DELETE that tasks await events."""
    await tx.execute(_DELETE_WAITS, {"ids": task_ids})


_DELETE_OF_QUEUE = delete(Event).where(_OF_QUEUE).execution_options(locks=Rank.queues.held)


async def delete_events(tx: Tx, queue: str) -> None:
    """DELETE all events of a queue."""
    await tx.execute(_DELETE_OF_QUEUE, {"of_queue": queue})


_DELETE = (
    delete(Event)
    .where(
        _OF_QUEUE,
        Event.event_name == bindparam("name", type_=Text),
        Event.workflow_run_id.is_not_distinct_from(_RUN),
    )
    .execution_options(locks=Rank.events)
)


async def delete_event(tx: Tx, queue: str, name: str, workflow_run_id: UUID | None) -> None:
    """DELETE the event of this name that belongs to the run, or with None to the whole queue."""
    await tx.execute(_DELETE, {"of_queue": queue, "name": name, "of_run": workflow_run_id})
