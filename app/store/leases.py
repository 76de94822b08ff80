"""SQL of what is left of leases: past attempts, spent tokens and late reports."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, CompoundSelect, Uuid, any_, bindparam, func, select, union_all
from sqlalchemy.dialects.postgresql import insert

from app.db.engine import Parameters, Tx
from app.domain.records import AttemptRow, LateReportRow, SpentLeaseRow
from app.models import LateReport, SpentLease, TaskAttempt
from app.store.pages import Page, read_page
from app.store.recordsets import as_rows, rows_like

_TASK_ID = bindparam("of_task", type_=Uuid)
_TOKENS = bindparam("tokens", type_=ARRAY(Uuid))
_ATTEMPT = AttemptRow._fields
_attempt = rows_like(TaskAttempt, _ATTEMPT)
_INSERT_ATTEMPTS = (
    insert(TaskAttempt)
    .from_select(_ATTEMPT, select(*(_attempt.c[name] for name in _ATTEMPT)))
    .on_conflict_do_nothing(index_elements=["run_id"])
)


async def insert_attempts(tx: Tx, attempts: Sequence[AttemptRow]) -> None:
    """INSERT attempts that are over; those that are kept already stay as they are."""
    await tx.execute(_INSERT_ATTEMPTS, as_rows([attempt._asdict() for attempt in attempts]))


_LIST_ATTEMPTS = (
    select(*(TaskAttempt.__table__.c[name] for name in _ATTEMPT))
    .where(TaskAttempt.task_id == _TASK_ID, TaskAttempt.attempt > bindparam("after", type_=BigInteger))
    .order_by(TaskAttempt.attempt)
    .limit(bindparam("most"))
)


async def list_attempts(tx: Tx, task_id: UUID, after: int, limit: int) -> Page[AttemptRow]:
    """SELECT up to ``limit`` attempts of a task that are over, behind the number ``after``, oldest first."""
    return await read_page(tx, AttemptRow, _LIST_ATTEMPTS, {"of_task": task_id, "after": after}, limit)


_SPENT = ("lease_token", "task_id", "run_id", "call", "body", "answer")
_spent = rows_like(SpentLease, _SPENT)
_INSERT_SPENT = insert(SpentLease).from_select(_SPENT, select(*(_spent.c[name] for name in _SPENT)))


async def insert_spent_leases(tx: Tx, rows: Sequence[Parameters]) -> None:
    """INSERT leases that were given up, with what that was answered."""
    await tx.execute(_INSERT_SPENT, as_rows(rows))


_GET_SPENT = select(*SpentLease.__table__.c).where(SpentLease.lease_token == any_(_TOKENS))


async def get_spent_leases(tx: Tx, tokens: Sequence[UUID]) -> dict[UUID, SpentLeaseRow]:
    """SELECT leases that were given up, by token."""
    return {row.lease_token: row for row in await tx.fetch(SpentLeaseRow, _GET_SPENT, {"tokens": tokens})}


class PastLease(NamedTuple):
    """A lease of the past, and the attempt that it was of."""

    lease_token: UUID
    run_id: UUID
    task_id: UUID


_GET_RUNS_OF_TOKENS: CompoundSelect[UUID | None, UUID, UUID] = union_all(
    select(SpentLease.lease_token, SpentLease.run_id, SpentLease.task_id).where(
        SpentLease.lease_token == any_(_TOKENS)
    ),
    select(TaskAttempt.lease_token, TaskAttempt.run_id, TaskAttempt.task_id).where(
        TaskAttempt.task_id == any_(bindparam("tasks", type_=ARRAY(Uuid))), TaskAttempt.lease_token == any_(_TOKENS)
    ),
)


async def get_runs_of_tokens(tx: Tx, task_ids: Sequence[UUID], tokens: Sequence[UUID]) -> dict[UUID, PastLease]:
    """SELECT which attempts the tokens of past leases belonged to, by token."""
    found = await tx.fetch(PastLease, _GET_RUNS_OF_TOKENS, {"tokens": tokens, "tasks": task_ids})
    return {row.lease_token: row for row in found}


_COUNT_LATE = (
    select(LateReport.task_id, func.count().label("reports"))
    .where(LateReport.task_id == any_(bindparam("tasks", type_=ARRAY(Uuid))))
    .group_by(LateReport.task_id)
)


async def count_late_reports(tx: Tx, task_ids: Sequence[UUID]) -> dict[UUID, int]:
    """SELECT how many late reports each task has; those without are left out."""
    return {row.task_id: row.reports for row in await tx.execute(_COUNT_LATE, {"tasks": task_ids})}


_LATE = ("task_id", "run_id", "lease_token_suffix", "call", "body")
_late = rows_like(LateReport, _LATE)
_INSERT_LATE = insert(LateReport).from_select(_LATE, select(*(_late.c[name] for name in _LATE)))


async def insert_late_reports(tx: Tx, rows: Sequence[Parameters]) -> None:
    """INSERT reports of workers that had lost their lease."""
    await tx.execute(_INSERT_LATE, as_rows(rows))


_LIST_LATE = select(*LateReport.__table__.c).where(LateReport.task_id == _TASK_ID).order_by(LateReport.late_report_id)


async def list_late_reports(tx: Tx, task_id: UUID) -> Sequence[LateReportRow]:
    """SELECT the late reports about a task, oldest first."""
    return await tx.fetch(LateReportRow, _LIST_LATE, {"of_task": task_id})
