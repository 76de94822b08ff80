"""SQL of the hot path: handing tasks out, taking results in, extending leases."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CTE,
    BigInteger,
    Boolean,
    ColumnElement,
    DateTime,
    Float,
    Integer,
    Text,
    Uuid,
    any_,
    bindparam,
    case,
    cast,
    column,
    false,
    func,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.orm import aliased

from app.db.engine import Parameters, Tx
from app.db.statements import Rows
from app.domain.json_texts import JsonValue, Storable
from app.domain.lease_tokens import STEP_VERSION
from app.domain.records import TaskRow
from app.models import Checkpoint, Queue, Task
from app.models.base import constant
from app.store.advisory_locks import KEYS_OF_CLAIMS
from app.store.locks import Rank
from app.store.parts import Expression, Query
from app.store.recordsets import as_rows, rows_like, seconds
from app.store.sizes import BYTES_MOST, size_of
from app.store.tasks import MOMENT, TASK_COLUMNS
from milepost.schemas.tasks import TaskStatus

_RUNNING: ColumnElement[str] = constant(TaskStatus.running)


class HandedTask(NamedTuple):
    """A task that was handed out, and which of the claimers has it."""

    task_id: UUID
    run_id: UUID
    attempt: int
    lease_token: UUID
    lease_expires_at: datetime
    task_name: str
    params: JsonValue
    headers: JsonValue
    retry_strategy: JsonValue
    max_attempts: int
    workflow_run_id: UUID | None
    step: str | None
    traceparent: str | None
    wake_event: str | None
    event_payload: JsonValue
    server_time: datetime
    was_started: bool
    """Whether it may have checkpoints."""
    claimer: int
    place: int


CLAIMED = HandedTask._fields[: HandedTask._fields.index("was_started")]
"""What the first members of a task that is handed out are, as `ClaimedTask` has them."""
CLAIMED_COLUMNS = tuple(Task.__table__.c[name] for name in CLAIMED if name in Task.__table__.c)
_was_started = or_(Task.first_started_at.is_not(None), Task.attempt > 1)
_states = select(func.coalesce(func.sum(size_of(Checkpoint.state)), 0)).where(Checkpoint.task_id == Task.task_id)
_kept = case((_was_started, _states.scalar_subquery()), else_=0)
SIZE = size_of(Task.params, Task.headers, Task.event_payload) + _kept
"""How many bytes of JSON a task is to its claimer."""


def hold_leased(item: CTE, *extra: Expression) -> CTE:
    """Return the tasks whose lease ``item`` names, locked; with the moment.

    An update alone locks in the order of its plan, and not of ids as `locks.py` wants it. Who has waited for a lock is
    dated by the moment after it.
    """
    held = select(Task.task_id, Task.lease_token, *extra).where(
        Task.task_id == item.c.task_id, Task.lease_token == item.c.lease_token, Task.status == _RUNNING
    )
    locked = held.order_by(Task.task_id).with_for_update(key_share=True, of=Task).cte("locked")
    return select(locked, func.clock_timestamp(type_=DateTime(timezone=True)).label("at")).cte("held")


class QueueLimits(NamedTuple):
    """What a claim has to know of a queue."""

    queue: str
    paused: bool
    max_concurrency: int | None
    default_lease_seconds: float
    has_expired: bool
    has_due: bool

    @property
    def is_free(self) -> bool:
        """Return whether tasks may be handed out with nothing done before that."""
        return not (self.paused or self.has_expired or self.has_due) and self.max_concurrency is None


_OF_QUEUE = bindparam("of_queue", type_=Text)
_late = aliased(Task)
_due = aliased(Task)
_ANY_INDEX_BUT_ITS = constant("")
"""Added to the queue of a task: without statistics Postgres would look through all tasks of a queue for what is due.

What is due is little, for the housekeeping clears it away: the indexes of times find it whatever is known of the table.
"""
_limits = (
    select(
        Queue.queue,
        Queue.paused,
        Queue.max_concurrency,
        Queue.default_lease_seconds,
        select(1)
        .where(
            _late.lease_expires_at <= func.statement_timestamp(),
            _late.queue + _ANY_INDEX_BUT_ITS == Queue.queue,
            _late.step.is_(None),
        )
        .exists()
        .label("has_expired"),
        select(1)
        .where(_due.due_at <= func.statement_timestamp(), _due.queue + _ANY_INDEX_BUT_ITS == Queue.queue)
        .exists()
        .label("has_due"),
    )
    .where(Queue.queue == _OF_QUEUE)
    .cte("limits")
)
_IS_FREE = ~or_(_limits.c.paused, _limits.c.has_expired, _limits.c.has_due) & _limits.c.max_concurrency.is_(None)
_REGARDLESS = bindparam("regardless", type_=Boolean)
_MAY_CLAIM = select(_IS_FREE | (_REGARDLESS & ~_limits.c.paused)).scalar_subquery()
_LOCK_QUEUE = (
    select(Queue.max_concurrency)
    .where(Queue.queue == _OF_QUEUE)
    .with_for_update(key_share=True)
    .execution_options(locks=Rank.queues)
)


async def lock_places(tx: Tx, queue: str) -> int | None:
    """SELECT FOR UPDATE how many tasks the queue may run at once; None: no limit (any more)."""
    return await tx.find_value(_LOCK_QUEUE, {"of_queue": queue})


_COUNT_RUNNING = select(func.count()).where(Task.queue == _OF_QUEUE, Task.status == _RUNNING)


async def count_running(tx: Tx, queue: str) -> int:
    """SELECT how many tasks of the queue are running."""
    return await tx.fetch_value(_COUNT_RUNNING, {"of_queue": queue})


class TakenTasks(NamedTuple):
    """What a claim has taken."""

    limits: QueueLimits | None
    """None: there is no such queue."""
    tasks: Sequence[HandedTask]
    size: int
    """How many bytes of JSON they are together."""
    passed_over: int
    """How many were left because only one task of their concurrency key may run."""
    left_over: int
    """How many were left because there was no room for them."""

    @property
    def is_free(self) -> bool:
        """Return whether nothing had to be done before, or stood in the way."""
        return bool(self.limits and self.limits.is_free and not self.passed_over)


_TAKE_KEY = func.pg_try_advisory_xact_lock(
    KEYS_OF_CLAIMS, func.hashtext(Task.queue + "/" + Task.concurrency_key).op("&", return_type=Integer)(1023)
)
"""Whether no other claim of this moment takes a task of the key (or, now and then, of another with the same hash).

Two that did would wait for each other at the unique index. A thousand hashes: more locks would fill Postgres's table.
"""
_LIMITS, _MEMBERS = len(QueueLimits._fields), len(HandedTask._fields)
_random = cast(func.gen_random_uuid(), Text)
_STEP_TOKEN = cast(func.concat(func.left(_random, 14), str(STEP_VERSION), func.substr(_random, 16)), Uuid)
"""A random UUID whose version is that of the leases of work items."""
_claimer = rows_like(
    Task,
    (),
    column("claimer", Integer),
    column("first", Integer),
    column("last", Integer),
    column("worker", Text),
    column("lease", Float),
)


def _ready_tasks(may_claim: ColumnElement[bool], *, named: bool) -> CTE:
    """Return the next tasks of a queue, locked, without those whose concurrency key is taken.

    The order is the index's own, so nothing is sorted.
    """
    rival = aliased(Task)
    is_taken = select(1).where(
        rival.queue == Task.queue, rival.concurrency_key == Task.concurrency_key, rival.status == _RUNNING
    )
    was_started, size = _was_started.label("was_started"), SIZE.label("size")
    ready = (
        select(Task.task_id, Task.priority, Task.sequence, Task.concurrency_key, was_started, size)
        .where(may_claim, Task.queue == _OF_QUEUE, Task.ready_at.is_not(None))
        .where(case((Task.concurrency_key.is_(None), true()), (is_taken.exists(), false()), else_=_TAKE_KEY))
        .order_by(Task.priority.desc(), Task.sequence)
        .limit(bindparam("most"))
        .with_for_update(key_share=True, skip_locked=True)
    )
    if named:
        ready = ready.where(Task.task_name == any_(bindparam("names", type_=ARRAY(Text))))
    return ready.cte("ready")


def _in_places(ready: CTE) -> CTE:
    """Return ``ready`` tasks with their places in the line, and of those of one concurrency key their places in it.

    All of them are locked before the first has a place; ``at`` is the moment after that. ``bytes_before`` is how much
    those are that stand before a task in the line.
    """
    order = (ready.c.priority.desc(), ready.c.sequence)
    key = func.coalesce(ready.c.concurrency_key, cast(ready.c.task_id, Text))
    return select(
        ready.c.task_id,
        ready.c.was_started,
        ready.c.size,
        func.coalesce(func.sum(ready.c.size).over(order_by=order, rows=(None, -1)), 0).label("bytes_before"),
        func.clock_timestamp(type_=DateTime(timezone=True)).label("at"),
        func.row_number().over(order_by=order).label("place"),
        func.row_number().over(partition_by=key, order_by=order).label("of_key"),
    ).cte("ranked")


_DEFAULT_LEASE = select(_limits.c.default_lease_seconds).scalar_subquery()


def _begin_attempt(at: ColumnElement[datetime]) -> dict[str, Expression | None]:
    """Return what changes on a task that is claimed ``at`` a moment: the end of the attempt before is no later."""
    started_at = func.greatest(at, Task.updated_at)
    max_duration_ends = started_at + seconds(Task.max_duration_seconds)
    return {
        "status": cast(TaskStatus.running, Text),
        "reason": None,
        "claimed_by": _claimer.c.worker,
        "lease_token": case((Task.step.is_(None), func.gen_random_uuid()), else_=_STEP_TOKEN),
        "lease_expires_at": at + seconds(func.coalesce(_claimer.c.lease, _DEFAULT_LEASE)),
        "ready_at": None,
        "wake_at": None,
        "started_at": func.coalesce(Task.started_at, started_at),
        "first_started_at": func.coalesce(Task.first_started_at, started_at),
        "limit_at": case((Task.first_started_at.is_(None), max_duration_ends), else_=Task.limit_at),
        "updated_at": started_at,
        "revision": Task.revision + 1,
    }


def _hand_out(may_claim: ColumnElement[bool], *more: Expression, named: bool) -> Query:
    """Return the statement that hands the ready tasks of one queue to claimers, each of whom has a range of places.

    Guarantee 2: a task is taken by exactly one of any number of claims, for its row is locked and not ready any more
    afterwards; those being taken just now are skipped. The one that brings all to ``room`` bytes is the last.
    """
    ranked = _in_places(_ready_tasks(may_claim, named=named))
    has_room = ranked.c.bytes_before < bindparam("room", type_=BigInteger)
    passed_over = select(func.count()).select_from(ranked).where(ranked.c.of_key > 1).scalar_subquery()
    left_over = select(func.count()).select_from(ranked).where(~has_room).scalar_subquery()
    task = (
        update(Task)
        .where(Task.task_id == ranked.c.task_id, ranked.c.of_key == 1)
        .where(_REGARDLESS | (passed_over == 0))
        .where(ranked.c.place.between(_claimer.c.first, _claimer.c.last), has_room)
        .values(_begin_attempt(ranked.c.at))
        .returning(
            *CLAIMED_COLUMNS,
            ranked.c.at.label("server_time"),
            ranked.c.was_started,
            _claimer.c.claimer,
            ranked.c.place,
            ranked.c.size,
        )
        .cte("task")
    )
    return (
        select(_limits, task, passed_over.label("passed_over"), left_over.label("left_over"), *more)
        .select_from(_limits.outerjoin(task, true()))
        .order_by(task.c.place)
    )


@lru_cache(maxsize=2)
def _claim(*, named: bool) -> Query:
    return _hand_out(_MAY_CLAIM, named=named).execution_options(locks=Rank.tasks.skipped)


async def claim_tasks(
    tx: Tx,
    queue: str,
    names: Sequence[str] | None,
    most: int,
    room: int,
    claimers: Sequence[Parameters],
    *,
    regardless: bool,
) -> TakenTasks:
    """UPDATE up to ``most`` ready tasks to running, for the claimers in whose range of places they fall.

    The last is the one that brings them to ``room`` bytes. Unless it is ``regardless``, none are taken where something
    has to be done before, or again afterwards: where the queue is not free, or tasks of one concurrency key meet.
    """
    parameters: dict[str, Storable] = {"of_queue": queue, "most": most, "room": room, "regardless": regardless}
    if names is not None:
        parameters["names"] = list(names)
    return _read_taken(tx, await tx.execute(_claim(named=names is not None), parameters | as_rows(claimers)))


def _read_taken(tx: Tx, found: Rows) -> TakenTasks:
    rows = found.all()
    if not rows:
        return TakenTasks(None, (), 0, 0, 0)
    tasks = [HandedTask._make(row[_LIMITS : _LIMITS + _MEMBERS]) for row in rows if row.task_id]
    tx.has_written = tx.has_written or bool(tasks)
    size = sum(row.size for row in rows) if tasks else 0
    limits = QueueLimits._make(rows[0][:_LIMITS])
    return TakenTasks(limits, tasks, size, rows[0].passed_over, rows[0].left_over)


class CompletedTask(NamedTuple):
    """A task that was completed, by its lease."""

    task_id: UUID
    queue: str
    lease_token: UUID


_completed = rows_like(Task, ("task_id", "lease_token", "result", "final_body"), column("is_held", Boolean))
_held = hold_leased(_completed)


def _completed_by(item: CTE, at: ColumnElement[datetime]) -> dict[str, Expression | None]:
    """Return what changes on a task that is completed ``at`` a moment, as ``item`` says."""
    return {
        "status": cast(TaskStatus.completed, Text),
        "reason": None,
        "result": item.c.result,
        "error": None,
        "final_body": item.c.final_body,
        "lease_expires_at": None,
        "limit_at": None,
        "completed_at": func.greatest(at, Task.started_at),
        "updated_at": func.greatest(at, Task.updated_at),
        "revision": Task.revision + 1,
    }


_completion = (
    update(Task)
    .where(Task.task_id == _held.c.task_id, Task.lease_token == _held.c.lease_token)
    .where(_completed.c.task_id == _held.c.task_id, _completed.c.lease_token == _held.c.lease_token)
    .where(Task.status == _RUNNING, or_(_completed.c.is_held, Task.lease_expires_at > _held.c.at))
    .values(_completed_by(_completed, _held.c.at))
    .execution_options(locks=Rank.tasks)
)
_COMPLETE = _completion.returning(Task.task_id, Task.queue, Task.lease_token)


async def complete_tasks(tx: Tx, rows: Sequence[Parameters]) -> Sequence[CompletedTask]:
    """UPDATE to completed those tasks whose current lease is named and lasts, or was found to last in ``tx``."""
    return await tx.fetch(CompletedTask, _COMPLETE, as_rows(rows))


_COMPLETE_SHOWN = _completion.returning(*TASK_COLUMNS, MOMENT)


async def complete_shown_tasks(tx: Tx, rows: Sequence[Parameters]) -> Sequence[TaskRow]:
    """UPDATE as ``complete_tasks`` does, and give all that is stored of the tasks."""
    return await tx.fetch(TaskRow, _COMPLETE_SHOWN, as_rows(rows))


_done = rows_like(Task, ("task_id", "lease_token", "result", "final_body"), parameter="done", name="done")
_leased = hold_leased(_done, Task.lease_expires_at, Task.queue, Task.concurrency_key)
_are_plain = select(func.count() == bindparam("many", type_=Integer)).where(
    _leased.c.lease_expires_at > _leased.c.at, _leased.c.queue == _OF_QUEUE, _leased.c.concurrency_key.is_(None)
)
_MAY_EXCHANGE = _are_plain.scalar_subquery() & select(_IS_FREE).scalar_subquery()
_exchanged = (
    update(Task)
    .where(_MAY_EXCHANGE, Task.task_id == _leased.c.task_id, _done.c.task_id == _leased.c.task_id)
    .values(_completed_by(_done, _leased.c.at))
    .returning(Task.task_id)
    .cte("exchanged")
)


@lru_cache(maxsize=2)
def _exchange(*, named: bool) -> Query:
    """Return the statement that completes tasks, and hands others out once those are locked that are completed.

    What is handed out is locked without waiting, so it comes last: nobody can wait for that, and be waited for.
    """
    claim = _hand_out(_MAY_EXCHANGE, _MAY_EXCHANGE.label("is_done"), named=named)
    return claim.add_cte(_exchanged).execution_options(locks=Rank.tasks)


async def exchange_tasks(
    tx: Tx,
    done: Sequence[Parameters],
    queue: str,
    names: Sequence[str] | None,
    most: int,
    claimers: Sequence[Parameters],
) -> tuple[bool, TakenTasks]:
    """UPDATE tasks of a queue to completed and others to running, as ``complete_tasks`` and ``claim_tasks`` do.

    Nothing is done unless all of the leases last, nothing has to be done on the queue before, and no task frees a
    concurrency key, which a claim does not see before that is committed.
    """
    parameters: dict[str, Storable] = {"of_queue": queue, "most": most, "room": BYTES_MOST, "regardless": False}
    if names is not None:
        parameters["names"] = list(names)
    parameters |= as_rows(claimers) | as_rows(done, "done") | {"many": len(done)}
    rows = await tx.execute(_exchange(named=names is not None), parameters)
    is_done = any(row.is_done for row in rows)
    found = _read_taken(tx, rows)
    tx.has_written = tx.has_written or is_done
    return is_done, found
