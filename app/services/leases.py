"""What a worker does with a task that it holds: keep it, put it aside, fail it, give it back."""

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import MISSING, BaseModel
from uuid_utils.compat import uuid7

from app.db.engine import Tx
from app.domain.json_texts import JsonText, write_json
from app.domain.json_values import fingerprint
from app.domain.lease_tokens import is_of_step
from app.domain.moves import allowed_for_task
from app.domain.records import TaskRow
from app.domain.retries import Failure, after_failure, count_loss
from app.domain.task_moves import follow, past_attempt, put_to_sleep, release
from app.errors import AttemptFailed, Conflict, LeaseLost, Refusal, TaskCancelled
from app.execution.reports import Ended, fail_work, hold_steps, keep_attempts, lease_error, store_followed
from app.moves.event_waits import hold_back
from app.moves.runs import hold_runs_of_steps
from app.moves.tasks import not_found, read_task, store_ended
from app.store import claims as claims_store
from app.store import due_tasks as due_tasks_store
from app.store import leases as store
from app.store import tasks as tasks_store
from app.store.recordsets import as_bytes
from milepost.schemas.reasons import Reason
from milepost.schemas.tasks import (
    LeaseBody,
    TaskFailure,
    TaskHeartbeat,
    TaskHeartbeatAnswer,
    TaskSleep,
    TaskStatus,
)

LATE_REPORTS_MOST = 20
"""How many late reports are kept of one task."""
_EVIDENCE = frozenset({"complete", "fail", "put_checkpoint", "sleep", "await_event"})
_NO_TOKEN = UUID(int=0)

B = TypeVar("B", bound=LeaseBody)


@dataclass(frozen=True, slots=True)
class Report(Generic[B]):
    """A call about a task by a worker that names its lease."""

    task_id: UUID
    body: B
    call: str
    name: str = ""
    """Of the checkpoint, where one is written."""

    @property
    def token(self) -> UUID:
        """The lease token; one that is no token of ours is one that nobody holds."""
        try:
            return UUID(self.body.lease_token)
        except ValueError:
            return _NO_TOKEN

    def content(self) -> dict[str, Any]:
        """Return what was sent, without the token."""
        sent = self.body.model_fields_set - {"lease_token", "task_id"}
        values = {name: getattr(self.body, name) for name in sorted(sent)}
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a report: its JSON, and the revision of the task where it is one."""

    body: bytes
    revision: int | None = None


def tasks_of_steps(reports: Sequence[Report[Any]]) -> list[UUID]:
    """Return the tasks of the reports whose lease is one of a work item."""
    return [report.task_id for report in reports if is_of_step(report.token)]


async def hold_runs(tx: Tx, reports: Sequence[Report[Any]]) -> None:
    """Keep the runs of those tasks that are work items from being moved before the transaction ends.

    One task alone is in nobody's way; before several are locked it is needed, as `store/locks.py` says.
    """
    if len(reports) > 1:
        await hold_runs_of_steps(tx, tasks_of_steps(reports))


def answered(model: BaseModel) -> Answered:
    """Return ``model`` as an answer."""
    return Answered(write_json(model), getattr(model, "revision", None))


def is_held(task: TaskRow, token: UUID) -> bool:
    """Return whether ``token`` is that of the task's current lease, which has not expired."""
    is_current = task.status == TaskStatus.running and task.lease_token == token
    return is_current and task.lease_expires_at is not None and task.lease_expires_at > task.now


Settle = Callable[[Tx, Sequence[tuple[Report[B], TaskRow]]], Awaitable[Sequence[Answered | Refusal]]]


async def settle_each(tx: Tx, reports: Sequence[Report[B]], settle: Settle[B]) -> Sequence[Answered | Refusal]:
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


async def _settle_distinct(tx: Tx, reports: Sequence[Report[B]], settle: Settle[B]) -> Sequence[Answered | Refusal]:
    tasks = await tasks_store.lock_tasks(tx, [report.task_id for report in reports])
    held = [r for r in reports if r.task_id in tasks and is_held(tasks[r.task_id], r.token)]
    settled = iter(await settle(tx, [(report, tasks[report.task_id]) for report in held]) if held else [])
    holders = {report.task_id for report in held}
    others = [report for report in reports if report.task_id not in holders]
    told = iter(await turn_away(tx, others, tasks))
    return [next(settled if report.task_id in holders else told) for report in reports]


async def turn_away(
    tx: Tx, reports: Sequence[Report[Any]], tasks: Mapping[UUID, TaskRow]
) -> Sequence[Answered | Refusal]:
    """Return to those who do not hold their task the answer that they had before, or why they are refused.

    What they report is kept as evidence on the attempt that their token was of. Claims pass a locked task over: those
    who wait for one that is ready look again.
    """
    if not reports:
        return []
    tx.ready.update(task.queue for task in tasks.values() if task.ready_at is not None)
    spent = await store.get_spent_leases(tx, [report.token for report in reports])
    outcomes = [_answer_without_lease(report, tasks.get(report.task_id), spent.get(report.token)) for report in reports]
    await _keep_evidence(
        tx,
        [r for r, outcome in zip(reports, outcomes, strict=True) if isinstance(outcome, Conflict)],
        tasks,
    )
    return outcomes


def _answer_without_lease(report: Report[Any], task: TaskRow | None, spent: Any) -> Answered | Refusal:
    if task is None:
        return not_found(report.task_id)
    if spent and spent.task_id != report.task_id:
        spent = None
    if spent and spent.call == report.call:
        if spent.body == fingerprint(report.content()):
            return Answered(spent.answer.text, spent.answer.read().get("revision"))
    elif _has_completed(report, task):
        return answered(read_task(task))
    return _refuse(report, task, spent)


def _has_completed(report: Report[Any], task: TaskRow) -> bool:
    """Return whether the task was completed by this very report."""
    return (
        report.call == "complete"
        and task.status == TaskStatus.completed
        and task.lease_token == report.token
        and task.final_body == fingerprint(report.content())
    )


def _refuse(report: Report[Any], task: TaskRow, spent: Any) -> Conflict:
    where: dict[str, Any] = {"current": read_task(task), "allowed": allowed_for_task(TaskStatus(task.status))}
    if task.status == TaskStatus.cancelled:
        return TaskCancelled(f"the task was cancelled ({task.reason})", **where)
    if spent and spent.call == "fail":
        return AttemptFailed("this attempt was reported as failed with this token", **where)
    if task.lease_token == report.token and task.status == TaskStatus.running:
        return LeaseLost("the lease has expired", **where)
    return LeaseLost(f"the token is not that of the current lease; the task is {task.status}", **where)


async def _keep_evidence(tx: Tx, reports: Sequence[Report[Any]], tasks: Mapping[UUID, TaskRow]) -> None:
    """Keep what was reported too late, on the attempt whose token it carried; unknown tokens leave nothing."""
    late = [report for report in reports if report.call in _EVIDENCE]
    if not late:
        return
    ids = [report.task_id for report in late]
    owners = await store.get_runs_of_tokens(tx, ids, [report.token for report in late])
    counts = await store.count_late_reports(tx, ids)
    rows = []
    for report in late:
        run_id = _owner_of(report, tasks[report.task_id], owners.get(report.token))
        if run_id is not None and counts.get(report.task_id, 0) < LATE_REPORTS_MOST:
            rows.append(
                {
                    "task_id": report.task_id,
                    "run_id": run_id,
                    "lease_token_suffix": report.body.lease_token[-6:],
                    "call": report.call,
                    "body": report.content(),
                }
            )
    if rows:
        await store.insert_late_reports(tx, rows)


def _owner_of(report: Report[Any], task: TaskRow, owner: Any) -> UUID | None:
    if task.lease_token == report.token:
        return task.run_id
    return owner.run_id if owner and owner.task_id == report.task_id else None


async def spend(tx: Tx, spent: Sequence[tuple[Report[Any], TaskRow, BaseModel]]) -> None:
    """Remember of leases that are given up what they were answered, for repeats."""
    rows = [
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
    await store.insert_spent_leases(tx, rows)


async def move_on(tx: Tx, moved: Sequence[tuple[Report[Any], TaskRow, TaskRow]]) -> Sequence[Answered]:
    """Store tasks whose lease ends, as (report, before, after), and answer with them."""
    shown = [read_task(after) for _, _, after in moved]
    still_open = [after for _, _, after in moved if after.completed_at is None]
    if still_open:
        await tasks_store.update_tasks(tx, still_open)
    await hold_back(tx, still_open)
    await store_ended(tx, [after for _, _, after in moved if after.completed_at is not None])
    await spend(tx, [(report, before, task) for (report, before, _), task in zip(moved, shown, strict=True)])
    tx.ready.update(after.queue for after in still_open)
    return [answered(task) for task in shown]


async def sleep_each(tx: Tx, reports: Sequence[Report[TaskSleep]]) -> Sequence[Answered | Refusal]:
    """Put tasks aside until a time."""
    await hold_runs(tx, reports)
    return await settle_each(tx, reports, _sleep)


async def _sleep(tx: Tx, held: Sequence[tuple[Report[TaskSleep], TaskRow]]) -> Sequence[Answered]:
    return await move_on(tx, [(r, f, put_to_sleep(f, _wake_at(r.body, f), f.now)) for r, f in held])


def _wake_at(body: TaskSleep, task: TaskRow) -> datetime:
    return body.wake_at or task.now + timedelta(seconds=body.seconds or 0)


async def release_each(tx: Tx, reports: Sequence[Report[LeaseBody]]) -> Sequence[Answered | Refusal]:
    """Give tasks back unharmed."""
    await hold_runs(tx, reports)
    return await settle_each(tx, reports, _release)


async def _release(tx: Tx, held: Sequence[tuple[Report[LeaseBody], TaskRow]]) -> Sequence[Answered]:
    return await move_on(tx, [(report, task, release(task, task.now)) for report, task in held])


async def fail_each(tx: Tx, reports: Sequence[Report[TaskFailure]]) -> Sequence[Answered | Refusal]:
    """End attempts that went wrong; the runs whose steps they were go on as their definitions say."""
    executions, work = await hold_steps(tx, tasks_of_steps(reports))

    async def fail(tx: Tx, held: Sequence[tuple[Report[TaskFailure], TaskRow]]) -> Sequence[Answered]:
        failures = [(task, _failure_of(report.body, task), report.body.error) for report, task in held]
        plain = iter(await end_attempts(tx, [failure for failure in failures if failure[0].task_id not in work]))
        of_steps = await fail_work(executions, [failure for failure in failures if failure[0].task_id in work])
        await keep_attempts(tx, [(end, None, _error_of(end, failures)) for end in of_steps])
        followed = iter(end.after or end.before for end in of_steps)
        after = [next(followed if task.task_id in work else plain) for task, _, _ in failures]
        return await move_on(tx, [(report, task, a) for (report, task), a in zip(held, after, strict=True)])

    outcomes = await settle_each(tx, reports, fail)
    await executions.write()
    return outcomes


def _error_of(end: Ended, failures: Sequence[tuple[TaskRow, Failure, Any]]) -> Any:
    return next(error for task, _, error in failures if task.task_id == end.before.task_id)


def _failure_of(body: TaskFailure, task: TaskRow) -> Failure:
    retry_at = body.retry_at
    if body.retry_after_seconds is not None:
        retry_at = task.now + timedelta(seconds=body.retry_after_seconds)
    return Failure(body.retryable, retry_at)


async def end_attempts(tx: Tx, failures: Sequence[tuple[TaskRow, Failure, Any]]) -> Sequence[TaskRow]:
    """Keep the failed attempts of running tasks, and return how each task goes on; that is still to be stored."""
    after = []
    past = []
    for before, failure, error in failures:
        task = count_loss(before) if failure.reason is Reason.lost else before
        now = task.now
        sequel = after_failure(task, failure, now, random.random())  # noqa: S311 - chance, not a secret
        after.append(follow(task, sequel, now, error, uuid7()))
        why = sequel.reason if sequel.reason in (Reason.not_retryable, Reason.cancel_requested) else None
        is_cancelled = failure.reason is None and sequel.status is TaskStatus.cancelled
        status = TaskStatus.cancelled if is_cancelled else TaskStatus.failed
        past.append(past_attempt(task, status, failure.reason or why, now, error))
    if past:
        await store.insert_attempts(tx, past)
    return after


async def expire_leases(tx: Tx, task_ids: Sequence[UUID]) -> int:
    """End those of the attempts whose lease has expired, as lost; how many they were."""
    rows = await due_tasks_store.lock_expired_tasks(tx, task_ids)
    after = await end_attempts(tx, [(task, Failure(reason=Reason.lost), lease_error(task)) for task in rows])
    await store_followed(tx, after)
    tx.ready.update(task.queue for task in after if task.completed_at is None)
    return len(rows)


async def beat_each(tx: Tx, reports: Sequence[Report[TaskHeartbeat]]) -> Sequence[Answered | Refusal]:
    """Extend leases, from now."""
    await hold_runs(tx, reports)
    rows = await claims_store.beat_tasks(tx, _beat_rows(reports))
    has_beaten = [_beats(rows.get(report.task_id), report) for report in reports]
    late = [report for report, beats in zip(reports, has_beaten, strict=True) if not beats]
    told = iter(await turn_away(tx, late, await look_at(tx, late)))
    return [
        _beaten(rows[report.task_id]) if beats else next(told)
        for report, beats in zip(reports, has_beaten, strict=True)
    ]


def _beats(row: Any, report: Report[Any]) -> bool:
    """Return whether a lease was extended, and is the one that ``report`` names."""
    return row is not None and bool(row.lease_token == report.token)


def _beaten(row: Any) -> Answered:
    return answered(
        TaskHeartbeatAnswer.model_construct(
            lease_expires_at=row.lease_expires_at,
            cancel_requested=row.cancel_requested_at is not None,
            server_time=row.server_time,
        )
    )


async def look_at(tx: Tx, reports: Sequence[Report[Any]]) -> dict[UUID, TaskRow]:
    """Return the tasks that ``reports`` are about, not locked: others are by now, and not in the order of their ids."""
    return await tasks_store.get_tasks(tx, [report.task_id for report in reports]) if reports else {}


def _beat_rows(reports: Sequence[Report[TaskHeartbeat]]) -> list[dict[str, Any]]:
    """Return one row for each lease: of heartbeats that come together, the last word counts."""
    rows: dict[tuple[UUID, UUID], dict[str, Any]] = {}
    for report in reports:
        lease = {"task_id": report.task_id, "lease_token": report.token, "has_progress": False}
        row = rows.setdefault((report.task_id, report.token), lease)
        row["lease"] = report.body.lease_seconds
        if report.body.progress is not MISSING:
            row |= {"progress": report.body.progress, "has_progress": True}
    return list(rows.values())
