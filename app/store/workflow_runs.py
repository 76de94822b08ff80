"""SQL of workflow runs."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CTE,
    ColumnElement,
    Float,
    Label,
    Select,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    case,
    cast,
    column,
    delete,
    func,
    insert,
    null,
    or_,
    select,
    update,
)

from app.db.engine import Parameters, Tx
from app.domain.moves import FINAL
from app.domain.records import IdempotencyKeyRow, RunChange, RunRow
from app.domain.tags import tag_texts
from app.models import AnsweredKey, Task, WorkflowRun, WorkflowRunHistory
from app.models.base import ReadJson, constant, is_among
from app.store.idempotency_keys import as_key_rows
from app.store.locks import Rank
from app.store.parts import Expression, Query
from app.store.recordsets import as_rows, rows_like, seconds
from milepost.schemas.tasks import TaskStatus
from milepost.schemas.workflow_runs import HistoryVerb, RunStatus


def _count_tasks() -> Label[Mapping[str, int]]:
    """Return the linked tasks of a run counted by status, as a JSON object: read from one index, never stored."""
    task = Task.__table__.c
    counts = [(status.value, func.count().filter(task.status == constant(status))) for status in TaskStatus]
    pairs: list[ColumnElement[str] | ColumnElement[int]] = []
    for name, count in counts:
        pairs += (constant(name), count)
    counted = select(func.json_build_object(*pairs, type_=ReadJson)).where(
        task.workflow_run_id == WorkflowRun.__table__.c.workflow_run_id
    )
    return counted.correlate(WorkflowRun.__table__).scalar_subquery().label("task_counts")


_COMPUTED = {column.name: column for column in (_count_tasks(), func.now().label("now"))}
RUN_COLUMNS = tuple(_COMPUTED[name] if name in _COMPUTED else WorkflowRun.__table__.c[name] for name in RunRow._fields)
"""What a run is read with, in the order of its row."""
CHANGED_BY_UPDATE = (
    "status",
    "reason",
    "result",
    "error",
    "tags",
    "tag_texts",
    "links",
    "reported_progress",
    "task_count",
    "attempt",
    "cancel_requested_at",
    "paused_at",
    "deadline_at",
    "heartbeat_expires_at",
    "started_at",
    "completed_at",
    "updated_at",
    "revision",
)
_WHO = (column("actor", Text), column("request_id", Text))
_IDS = bindparam("ids", type_=ARRAY(Uuid))
_HAS_ONE_OF_IDS = WorkflowRun.workflow_run_id == any_(_IDS)


def as_column(value: str) -> ColumnElement[str]:
    """Return ``value`` as a text of a statement."""
    return cast(value, Text)


def history_of(run: CTE, source: CTE, **values: Expression) -> CTE:
    """Return the insertion of one history row for each row of ``run``, joined with ``source``.

    An update that leaves the status as it is makes none.

    ``values`` are at, verb, from_status, actor, reason and request_id.
    """
    names = ["workflow_run_id", "to_status", "attempt", *values]
    rows = (
        select(run.c.workflow_run_id, run.c.status, run.c.attempt, *values.values())
        .join(source, source.c.workflow_run_id == run.c.workflow_run_id)
        .where(or_(values["from_status"].is_distinct_from(run.c.status), values["verb"] != HistoryVerb.update))
        .order_by(run.c.workflow_run_id)
    )
    return insert(WorkflowRunHistory).from_select(names, rows).cte("history")


class NewRun(NamedTuple):
    """A run that was inserted: its id, and what the database has decided."""

    workflow_run_id: UUID
    created_at: datetime
    deadline_at: datetime | None
    late_at: datetime | None
    heartbeat_expires_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None


_GIVEN_AT_CREATION = (
    "workflow_run_id",
    "workflow_name",
    "workflow_version",
    "workflow_hash",
    "queue",
    "inputs",
    "tags",
    "tag_texts",
    "created_by",
    "absurd_run_id",
    "parent_workflow_run_id",
    "task_count",
    "heartbeat_seconds",
)


_DECIDED = NewRun._fields[1:]
_RECORDED = ("status", "result", "error", "expected_by", "started_at", "completed_at")
"""What may be known of a run when it is created; where it is absent, nothing is."""


def _insertions(given: CTE, **values: Expression) -> tuple[CTE, CTE]:
    """Return the insertion of ``given`` runs with ``values``, and that of the first entries of their histories."""
    values = {"deadline_at": func.now() + seconds(given.c.deadline_seconds), **values}
    names = [*_GIVEN_AT_CREATION, *values]
    rows = select(*(given.c[name] for name in _GIVEN_AT_CREATION), *values.values())
    known = (WorkflowRun.workflow_run_id, WorkflowRun.status, WorkflowRun.attempt)
    decided = (WorkflowRun.__table__.c[name] for name in _DECIDED)
    run = insert(WorkflowRun).from_select(names, rows).returning(*known, *decided).cte("run")
    history = history_of(
        run,
        given,
        at=func.now(),
        verb=as_column(HistoryVerb.create),
        from_status=cast(null(), Text),
        actor=given.c.actor,
        reason=cast(null(), Text),
        request_id=given.c.request_id,
    )
    return run, history


def _recorded(given: CTE) -> dict[str, Expression]:
    """Return what a new run is stored with that may have started or ended already."""
    status = func.coalesce(given.c.status, as_column(RunStatus.pending))
    is_running = status == as_column(RunStatus.running)
    ended_at = func.coalesce(given.c.completed_at, func.greatest(func.now(), given.c.started_at))
    has_ended = is_among(status, FINAL)
    is_late = and_(given.c.expected_by <= func.now(), or_(~has_ended, ended_at > given.c.expected_by))
    return {
        "status": status,
        "result": given.c.result,
        "error": given.c.error,
        "expected_by": given.c.expected_by,
        "late_at": case((is_late, func.now())),
        "heartbeat_expires_at": case((is_running, func.now() + seconds(given.c.heartbeat_seconds))),
        "started_at": case((is_running, func.coalesce(given.c.started_at, func.now())), else_=given.c.started_at),
        "completed_at": case((has_ended, ended_at)),
    }


def _insert_runs() -> Query:
    given = rows_like(WorkflowRun, [*_GIVEN_AT_CREATION, *_RECORDED], column("deadline_seconds", Float), *_WHO)
    run, history = _insertions(given, **_recorded(given))
    columns = (run.c[name] for name in NewRun._fields)
    return select(*columns).add_cte(history).execution_options(locks=Rank.runs.new)


_INSERT = _insert_runs()


async def insert_runs(tx: Tx, rows: Sequence[Parameters]) -> dict[UUID, NewRun]:
    """INSERT runs and the first entries of their histories; by id.

    A run may be recorded with what has come of it: then its history begins where it stands.
    """
    return {row.workflow_run_id: row for row in await tx.fetch(NewRun, _INSERT, as_rows(rows))}


_NOW_AS_JSON = func.to_char(func.timezone("UTC", func.now()), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"', type_=Text)


def _insert_answered_runs() -> Select[str]:
    given = rows_like(WorkflowRun, _GIVEN_AT_CREATION, column("deadline_seconds", Float), *_WHO)
    run, history = _insertions(given, status=as_column(RunStatus.pending))
    fields = IdempotencyKeyRow._fields
    key = rows_like(AnsweredKey, fields, parameter="keys", name="key")
    answer = func.replace(key.c.answer, bindparam("place_of_now", type_=Text), _NOW_AS_JSON)
    answered = insert(AnsweredKey).from_select(fields, select(key.c.scope, key.c.body, answer)).cte("answered")
    return (
        select(_NOW_AS_JSON).select_from(run).limit(1).add_cte(history, answered).execution_options(locks=Rank.answers)
    )


_INSERT_ANSWERED = _insert_answered_runs()


async def insert_answered_runs(
    tx: Tx, rows: Sequence[Parameters], keys: Sequence[IdempotencyKeyRow], place_of_now: str
) -> str:
    """INSERT runs, the first entries of their histories, and the keys that they were sent with.

    ``place_of_now`` stands in the answers of the keys where the time of creation belongs, which is returned: as JSON,
    UTC, to the microsecond. Guarantee 5: a request under way with the same key is waited for, and then one of the two
    fails on the primary key.
    """
    parameters = {**as_rows(rows), **as_rows(as_key_rows(keys), "keys"), "place_of_now": place_of_now}
    return await tx.fetch_value(_INSERT_ANSWERED, parameters)


_BEGUN = (
    "workflow_run_id",
    "workflow_id",
    "rerun_of_workflow_run_id",
    "schedule_id",
    "data_interval_start",
    "data_interval_end",
    "deadline_at",
)


def _begin_runs() -> Query:
    """Return the statement that makes new runs running ones that the service executes."""
    item = rows_like(WorkflowRun, _BEGUN, *_WHO)
    run = (
        update(WorkflowRun)
        .where(WorkflowRun.workflow_run_id == item.c.workflow_run_id)
        .values({name: item.c[name] for name in _BEGUN[1:]})
        .values(status=as_column(RunStatus.running), started_at=func.now(), revision=WorkflowRun.revision + 1)
        .returning(WorkflowRun.workflow_run_id, WorkflowRun.status, WorkflowRun.attempt)
        .cte("run")
    )
    history = history_of(
        run,
        item,
        at=func.now(),
        verb=as_column(HistoryVerb.execute),
        from_status=as_column(RunStatus.pending),
        actor=item.c.actor,
        reason=cast(null(), Text),
        request_id=item.c.request_id,
    )
    return select(run.c.workflow_run_id).add_cte(history)


_BEGIN = _begin_runs().execution_options(locks=Rank.runs.held)


async def begin_runs(tx: Tx, rows: Sequence[Parameters]) -> None:
    """UPDATE runs that were inserted just now to running, as the service executes them."""
    await tx.execute(_BEGIN, as_rows(rows))


_WHAT = (column("from_status", Text), column("verb", Text), column("why", Text))


_CHANGED = ("workflow_run_id", *CHANGED_BY_UPDATE, "cancel_due_at")


def _changes(item: CTE, *conditions: ColumnElement[bool]) -> Query:
    """Return the update of runs to what ``item`` says, and the insertion of their histories."""
    ended = item.c.completed_at.is_not(None)
    cancel_due_at = case((ended, None), else_=func.least(item.c.cancel_due_at, WorkflowRun.cancel_due_at))
    run = (
        update(WorkflowRun)
        .where(WorkflowRun.workflow_run_id == item.c.workflow_run_id, *conditions)
        .values({name: item.c[name] for name in CHANGED_BY_UPDATE} | {"cancel_due_at": cancel_due_at})
        .returning(WorkflowRun.workflow_run_id, WorkflowRun.status, WorkflowRun.attempt)
        .cte("run")
    )
    history = history_of(
        run,
        item,
        at=item.c.updated_at,
        verb=item.c.verb,
        from_status=item.c.from_status,
        actor=item.c.actor,
        reason=func.coalesce(item.c.why, item.c.reason),
        request_id=item.c.request_id,
    )
    return select(run.c.workflow_run_id).add_cte(history)


_change = rows_like(WorkflowRun, _CHANGED, *_WHAT, *_WHO)
_UPDATE = _changes(_change, WorkflowRun.revision < _change.c.revision).execution_options(locks=Rank.runs.held)


async def update_runs(tx: Tx, changes: Sequence[RunChange]) -> None:
    """UPDATE locked runs, each once, and INSERT the history of those whose status changes."""
    await tx.execute(_UPDATE, as_rows([_changed_row(change) for change in changes]))


def _changed_row(change: RunChange) -> Parameters:
    run = change.after
    kept = ("workflow_run_id", "cancel_due_at", *CHANGED_BY_UPDATE)
    row = {name: getattr(run, name) for name in kept if name != "tag_texts"}
    history = {name: getattr(change, name) for name in ("from_status", "verb", "why", "actor", "request_id")}
    return row | history | {"tag_texts": tag_texts(run.tags)}


_change_of_read = rows_like(
    WorkflowRun, _CHANGED, *_WHAT, *_WHO, column("seen_heartbeat", WorkflowRun.__table__.c.heartbeat_expires_at.type)
)
_unmoved = (
    select(WorkflowRun.workflow_run_id)
    .where(
        WorkflowRun.workflow_run_id == _change_of_read.c.workflow_run_id,
        WorkflowRun.revision == _change_of_read.c.revision - 1,
        WorkflowRun.heartbeat_expires_at.is_not_distinct_from(_change_of_read.c.seen_heartbeat),
    )
    .order_by(WorkflowRun.workflow_run_id)
    .with_for_update(key_share=True, of=WorkflowRun)
    .cte("unmoved")
)
_UPDATE_READ = _changes(_change_of_read, WorkflowRun.workflow_run_id == _unmoved.c.workflow_run_id).execution_options(
    locks=Rank.runs
)


async def update_read_runs(tx: Tx, changes: Sequence[tuple[RunRow, RunChange]]) -> set[UUID]:
    """UPDATE those of the runs, each as it was read and how it changes, that still are so; which ones they are.

    They are locked in the order of their ids. A heartbeat makes no revision, but must not be taken back.
    """
    rows = [{**_changed_row(change), "seen_heartbeat": before.heartbeat_expires_at} for before, change in changes]
    return {*await tx.fetch_values(_UPDATE_READ, as_rows(rows))}


_GET = select(*RUN_COLUMNS).where(WorkflowRun.workflow_run_id == bindparam("workflow_run_id", type_=Uuid))


async def get_run(tx: Tx, workflow_run_id: UUID) -> RunRow | None:
    """SELECT one run."""
    run = await tx.fetch_one(RunRow, _GET, {"workflow_run_id": workflow_run_id})
    return None if run is None else with_status(run)


def with_status(run: RunRow) -> RunRow:
    """Return a run as it was read with its status as one: it is read as a text."""
    return run._replace(status=RunStatus(run.status))


_GET_MANY = select(*RUN_COLUMNS).where(_HAS_ONE_OF_IDS)


async def get_runs(tx: Tx, ids: Sequence[UUID]) -> Sequence[RunRow]:
    """SELECT those of the runs that exist."""
    return await read_runs(tx, _GET_MANY, {"ids": ids})


async def read_runs(tx: Tx, statement: Query, parameters: Parameters) -> list[RunRow]:
    """SELECT runs by a statement over ``RUN_COLUMNS``."""
    return [with_status(run) for run in await tx.fetch(RunRow, statement, parameters)]


_LOCK = (
    select(*RUN_COLUMNS)
    .where(_HAS_ONE_OF_IDS)
    .order_by(WorkflowRun.workflow_run_id)
    .with_for_update(key_share=True)
    .execution_options(locks=Rank.runs)
)


async def lock_runs(tx: Tx, ids: Sequence[UUID]) -> Sequence[RunRow]:
    """SELECT runs FOR UPDATE in the order of their ids, so that two batches never wait for each other."""
    return await read_runs(tx, _LOCK, {"ids": ids})


_LOCK_ROWS = (
    select(WorkflowRun.workflow_run_id)
    .where(_HAS_ONE_OF_IDS)
    .order_by(WorkflowRun.workflow_run_id)
    .with_for_update(key_share=True)
    .execution_options(locks=Rank.runs)
)


async def lock_run_rows(tx: Tx, ids: Sequence[UUID]) -> None:
    """SELECT runs FOR UPDATE as ``lock_runs`` does, and read nothing of them."""
    await tx.execute(_LOCK_ROWS, {"ids": ids})


class SharedRun(NamedTuple):
    """A run that nobody ends or deletes before the transaction ends."""

    workflow_run_id: UUID
    queue: str
    completed_at: datetime | None


_SHARE = (
    select(WorkflowRun.workflow_run_id, WorkflowRun.queue, WorkflowRun.completed_at)
    .where(_HAS_ONE_OF_IDS)
    .order_by(WorkflowRun.workflow_run_id)
    .with_for_update(read=True)
    .execution_options(locks=Rank.runs)
)


async def share_runs(tx: Tx, ids: Sequence[UUID]) -> Sequence[SharedRun]:
    """SELECT runs FOR SHARE: until the end of the transaction nobody ends or deletes them."""
    return await tx.fetch(SharedRun, _SHARE, {"ids": ids})


_LOCK_KEYS = (
    select(WorkflowRun.workflow_run_id)
    .where(_HAS_ONE_OF_IDS)
    .order_by(WorkflowRun.workflow_run_id)
    .with_for_update(read=True, key_share=True)
    .execution_options(locks=Rank.runs)
)


async def lock_run_keys(tx: Tx, ids: Sequence[UUID]) -> set[UUID]:
    """SELECT which of ``ids`` exist, and keep them from being deleted."""
    return {*await tx.fetch_values(_LOCK_KEYS, {"ids": ids})}


_DELETE = (
    delete(WorkflowRun)
    .where(
        WorkflowRun.workflow_run_id == bindparam("workflow_run_id", type_=Uuid),
        is_among(WorkflowRun.status, FINAL),
    )
    .execution_options(locks=Rank.runs.held)
)


async def delete_run(tx: Tx, workflow_run_id: UUID) -> bool:
    """DELETE one run if it has ended, with all that hangs on it."""
    return await tx.change(_DELETE, {"workflow_run_id": workflow_run_id}) > 0
