"""Leases: who holds a task, and what is answered to reports of those who hold theirs or have lost it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel

from app.db.engine import Parameters, Tx
from app.domain.json_texts import JsonText, JsonValue, read_json, write_json
from app.domain.json_values import fingerprint
from app.domain.lease_tokens import is_of_step
from app.domain.moves import allowed_for_task
from app.domain.records import SpentLeaseRow, TaskRow
from app.errors import AttemptFailed, Conflict, LeaseLost, Refusal, TaskCancelled
from app.moves.event_waits import withhold_work
from app.moves.runs import pin_runs_of_steps
from app.moves.tasks import read_task, show_task, store_ended, task_not_found
from app.store import leases as leases_store
from app.store import tasks as tasks_store
from app.store.recordsets import as_bytes
from milepost.schemas.tasks import LeaseBody, TaskStatus

LATE_REPORTS_MOST = 20
"""How many late reports are kept of one task."""

_EVIDENCE = frozenset({"complete", "fail", "put_checkpoint", "sleep", "await_event"})
_NO_TOKEN = UUID(int=0)
Sent_co = TypeVar("Sent_co", bound=LeaseBody, covariant=True)
Body = TypeVar("Body", bound=LeaseBody)


def _read_token(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        return _NO_TOKEN


@dataclass(frozen=True, slots=True)
class Report(Generic[Sent_co]):
    """A call about a task by a worker that names its lease."""

    task_id: UUID
    body: Sent_co
    call: str
    name: str = ""
    """Of the checkpoint, where one is written."""
    token: UUID = field(init=False)
    """The lease token; one that is no token of ours is one that nobody holds."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "token", _read_token(self.body.lease_token))

    def content(self) -> dict[str, JsonValue]:
        """Return what was sent, without the token."""
        sent = self.body.model_fields_set - {"lease_token", "task_id"}
        values = {name: getattr(self.body, name) for name in sorted(sent)}
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a report: its JSON, and the revision of the task where it is one."""

    body: bytes
    revision: int | None = None


def tasks_of_steps(reports: Sequence[Report[LeaseBody]]) -> list[UUID]:
    """Return the tasks of the reports whose lease is one of a work item."""
    return [report.task_id for report in reports if is_of_step(report.token)]


async def pin_runs_of_reports(tx: Tx, reports: Sequence[Report[LeaseBody]]) -> None:
    """Keep the runs of those tasks that are work items from being moved before the transaction ends.

    One task alone is in nobody's way; before several are locked it is needed, as `store/locks.py` says.
    """
    if len(reports) > 1:
        await pin_runs_of_steps(tx, tasks_of_steps(reports))


def answered(model: BaseModel) -> Answered:
    """Return ``model`` as an answer."""
    return Answered(write_json(model), getattr(model, "revision", None))


def answered_task(task: TaskRow) -> Answered:
    """Return a task as an answer."""
    return Answered(write_json(show_task(task)), task.revision)


def is_held(task: TaskRow, token: UUID) -> bool:
    """Return whether ``token`` is that of the task's current lease, which has not expired."""
    is_current = task.status == TaskStatus.running and task.lease_token == token
    return is_current and task.lease_expires_at is not None and task.lease_expires_at > task.now


Settle = Callable[[Tx, Sequence[tuple[Report[Body], TaskRow]]], Awaitable[Sequence[Answered | Refusal]]]


async def settle_each(tx: Tx, reports: Sequence[Report[Body]], settle: Settle[Body]) -> Sequence[Answered | Refusal]:
    """Let ``settle`` do what the reports of those ask who hold their task, and tell the others why they do not.

    Reports about one task are taken one after the other, so that a repeat finds what its first has done.
    """
    outcomes: dict[int, Answered | Refusal] = {}
    left = list(range(len(reports)))
    while left:
        seen: set[UUID] = set()
        now = [i for i in left if reports[i].task_id not in seen and not seen.add(reports[i].task_id)]  # type: ignore[func-returns-value]
        outcomes |= dict(zip(now, await _settle_distinct(tx, [reports[i] for i in now], settle), strict=True))
        left = [i for i in left if i not in outcomes]
    return [outcomes[i] for i in range(len(reports))]


async def _settle_distinct(
    tx: Tx, reports: Sequence[Report[Body]], settle: Settle[Body]
) -> Sequence[Answered | Refusal]:
    tasks = await tasks_store.lock_tasks(tx, [report.task_id for report in reports])
    held = [r for r in reports if r.task_id in tasks and is_held(tasks[r.task_id], r.token)]
    settled = iter(await settle(tx, [(report, tasks[report.task_id]) for report in held]) if held else [])
    holders = {report.task_id for report in held}
    others = [report for report in reports if report.task_id not in holders]
    told = iter(await answer_without_lease(tx, others, tasks))
    return [next(settled if report.task_id in holders else told) for report in reports]


async def answer_without_lease(
    tx: Tx, reports: Sequence[Report[LeaseBody]], tasks: Mapping[UUID, TaskRow]
) -> Sequence[Answered | Refusal]:
    """Return to those who do not hold their task the answer that they had before, or why they are refused.

    What they report is kept as evidence on the attempt that their token was of. Claims pass a locked task over: those
    who wait for one that is ready look again.
    """
    if not reports:
        return []
    tx.ready.update(task.queue for task in tasks.values() if task.ready_at is not None)
    spent = await leases_store.get_spent_leases(tx, [report.token for report in reports])
    outcomes = [_find_answer(report, tasks.get(report.task_id), spent.get(report.token)) for report in reports]
    await _keep_evidence(
        tx,
        [r for r, outcome in zip(reports, outcomes, strict=True) if isinstance(outcome, Conflict)],
        tasks,
    )
    return outcomes


def _find_answer(report: Report[LeaseBody], task: TaskRow | None, spent: SpentLeaseRow | None) -> Answered | Refusal:
    if task is None:
        return task_not_found(report.task_id)
    if spent and spent.task_id != report.task_id:
        spent = None
    if spent and spent.call == report.call:
        if spent.body == fingerprint(report.content()):
            return Answered(write_json(spent.answer), read_json(spent.answer).get("revision"))
    elif _has_completed(report, task):
        return answered_task(task)
    return _refuse(report, task, spent)


def _has_completed(report: Report[LeaseBody], task: TaskRow) -> bool:
    """Return whether the task was completed by this very report."""
    return (
        report.call == "complete"
        and task.status == TaskStatus.completed
        and task.lease_token == report.token
        and task.final_body == fingerprint(report.content())
    )


def _refuse(report: Report[LeaseBody], task: TaskRow, spent: SpentLeaseRow | None) -> Conflict:
    current, allowed = read_task(task), allowed_for_task(TaskStatus(task.status))
    if task.status == TaskStatus.cancelled:
        return TaskCancelled(f"the task was cancelled ({task.reason})", current=current, allowed=allowed)
    if spent and spent.call == "fail":
        return AttemptFailed("this attempt was reported as failed with this token", current=current, allowed=allowed)
    if task.lease_token == report.token and task.status == TaskStatus.running:
        return LeaseLost("the lease has expired", current=current, allowed=allowed)
    detail = f"the token is not that of the current lease; the task is {task.status}"
    return LeaseLost(detail, current=current, allowed=allowed)


async def _keep_evidence(tx: Tx, reports: Sequence[Report[LeaseBody]], tasks: Mapping[UUID, TaskRow]) -> None:
    """Keep what was reported too late, on the attempt whose token it carried; unknown tokens leave nothing."""
    late = [report for report in reports if report.call in _EVIDENCE]
    if not late:
        return
    ids = [report.task_id for report in late]
    owners = await leases_store.get_runs_of_tokens(tx, ids, [report.token for report in late])
    counts = await leases_store.count_late_reports(tx, ids)
    rows: list[Parameters] = []
    for report in late:
        attempt_id = _owner_of(report, tasks[report.task_id], owners.get(report.token))
        if attempt_id is not None and counts.get(report.task_id, 0) < LATE_REPORTS_MOST:
            rows.append(
                {
                    "task_id": report.task_id,
                    "run_id": attempt_id,
                    "lease_token_suffix": report.body.lease_token[-6:],
                    "call": report.call,
                    "body": report.content(),
                }
            )
    if rows:
        await leases_store.insert_late_reports(tx, rows)


def _owner_of(report: Report[LeaseBody], task: TaskRow, owner: leases_store.PastLease | None) -> UUID | None:
    if task.lease_token == report.token:
        return task.run_id
    return owner.run_id if owner and owner.task_id == report.task_id else None


async def spend(tx: Tx, spent: Sequence[tuple[Report[LeaseBody], TaskRow, BaseModel]]) -> None:
    """Remember of leases that are given up what they were answered, for repeats."""
    rows: list[Parameters] = [
        {
            "lease_token": report.token,
            "task_id": report.task_id,
            "run_id": task.run_id,
            "call": report.call,
            "body": as_bytes(fingerprint(report.content())),
            "answer": JsonText(write_json(answer)),
        }
        for report, task, answer in spent
    ]
    await leases_store.insert_spent_leases(tx, rows)


async def move_on(tx: Tx, moved: Sequence[tuple[Report[LeaseBody], TaskRow, TaskRow]]) -> Sequence[Answered]:
    """Store tasks whose lease ends, as (report, before, after), and answer with them."""
    shown = [read_task(after) for _, _, after in moved]
    still_open = [after for _, _, after in moved if after.completed_at is None]
    if still_open:
        await tasks_store.update_tasks(tx, still_open)
    await withhold_work(tx, still_open)
    await store_ended(tx, [after for _, _, after in moved if after.completed_at is not None])
    await spend(tx, [(report, before, task) for (report, before, _), task in zip(moved, shown, strict=True)])
    tx.ready.update(after.queue for after in still_open)
    return [answered(task) for task in shown]


async def look_at(tx: Tx, reports: Sequence[Report[LeaseBody]]) -> dict[UUID, TaskRow]:
    """Return the tasks that ``reports`` are about, not locked: others are by now, and not in the order of their ids."""
    return await tasks_store.get_tasks(tx, [report.task_id for report in reports]) if reports else {}
