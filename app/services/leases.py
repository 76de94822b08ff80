"""What a worker does with a task that it holds: keep it, put it aside, complete it, fail it, give it back."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from pydantic import MISSING

from app.db.batching import batched
from app.db.engine import Parameters, Tx
from app.domain.json_texts import JsonValue, Storable, write_json
from app.domain.records import TaskRow
from app.domain.reported_progress import ReportedChange, read_report
from app.domain.retries import Failure
from app.domain.task_moves import put_to_sleep, release, suspend
from app.errors import Refusal, ValidationFailed
from app.execution.completions import are_plain, complete_each
from app.execution.work_reports import Ended, fail_work, keep_attempts, lock_runs_of_steps
from app.moves.attempts import end_attempts
from app.moves.event_waits import NO_ROOM, look, outcome_row
from app.moves.leases import (
    Answered,
    Report,
    answer_without_lease,
    answered,
    look_at,
    move_on,
    pin_runs_of_reports,
    settle_each,
    spend,
    tasks_of_steps,
)
from app.store import checkpoints as checkpoints_store
from app.store import events as events_store
from app.store import task_heartbeats as heartbeats_store
from app.store import tasks as tasks_store
from app.store.reported_progress import report_row
from milepost.schemas.tasks import (
    AwaitOutcome,
    EventAwait,
    EventAwaited,
    LeaseBody,
    TaskCompletion,
    TaskFailure,
    TaskHeartbeat,
    TaskHeartbeatAnswer,
    TaskSleep,
)


async def _heartbeat_tasks(tx: Tx, reports: Sequence[Report[TaskHeartbeat]]) -> Sequence[Answered | Refusal]:
    """Extend leases, from now."""
    if len(reports) == 1 or not tasks_of_steps(reports):
        tx.commit_each()
    await pin_runs_of_reports(tx, reports)
    rows = await heartbeats_store.beat_tasks(tx, _beat_rows(reports))
    has_beaten = [_beats(rows.get(report.task_id), report) for report in reports]
    late = [report for report, beats in zip(reports, has_beaten, strict=True) if not beats]
    told = iter(await answer_without_lease(tx, late, await look_at(tx, late)))
    return [
        _beaten(rows[report.task_id]) if beats else next(told)
        for report, beats in zip(reports, has_beaten, strict=True)
    ]


heartbeat_task = batched(_heartbeat_tasks)
"""Extend a lease, from now."""


def _beats(row: heartbeats_store.KeptLease | None, report: Report[TaskHeartbeat]) -> bool:
    """Return whether a lease was extended, and is the one that ``report`` names."""
    return row is not None and row.lease_token == report.token


def _beaten(row: heartbeats_store.KeptLease) -> Answered:
    return answered(
        TaskHeartbeatAnswer.model_construct(
            lease_expires_at=row.lease_expires_at,
            cancel_requested=row.cancel_requested_at is not None,
            server_time=row.server_time,
        )
    )


def _beat_rows(reports: Sequence[Report[TaskHeartbeat]]) -> list[Parameters]:
    """Return one row for each lease: of heartbeats that come together, the last word counts."""
    rows: dict[tuple[UUID, UUID], dict[str, Storable]] = {}
    changes: dict[tuple[UUID, UUID], ReportedChange] = {}
    for report in reports:
        lease: dict[str, Storable] = {"task_id": report.task_id, "lease_token": report.token, "has_progress": False}
        row = rows.setdefault((report.task_id, report.token), lease)
        row["lease"] = report.body.lease_seconds
        if report.body.progress is not MISSING:
            row |= {"progress": report.body.progress, "has_progress": True}
        if report.body.reported_progress is not MISSING:
            told = read_report(report.body.reported_progress)
            key = (report.task_id, report.token)
            changes[key] = changes[key].then(told) if key in changes else told
            row |= report_row(changes[key])
    return [*rows.values()]


async def _sleep_tasks(tx: Tx, reports: Sequence[Report[TaskSleep]]) -> Sequence[Answered | Refusal]:
    """Put tasks aside until a time."""
    await pin_runs_of_reports(tx, reports)
    return await settle_each(tx, reports, _sleep)


sleep_task = batched(_sleep_tasks)
"""Put a task aside until a time."""


async def _sleep(tx: Tx, held: Sequence[tuple[Report[TaskSleep], TaskRow]]) -> Sequence[Answered]:
    return await move_on(tx, [(r, f, put_to_sleep(f, _wake_at(r.body, f), f.now)) for r, f in held])


def _wake_at(body: TaskSleep, task: TaskRow) -> datetime:
    return body.wake_at or task.now + timedelta(seconds=body.seconds or 0)


TIMED_OUT_SIZE = 100
"""Bytes that the outcome of an await which timed out has at most: there is always room for them when it ends."""


async def _await_events(tx: Tx, reports: Sequence[Report[EventAwait]]) -> Sequence[Answered | Refusal]:
    """Give each what it awaits, or put it aside until that is emitted or the time is over."""
    await pin_runs_of_reports(tx, reports)
    queues = await tasks_store.get_tasks(tx, [report.task_id for report in reports])
    known = [(queues[report.task_id].queue, report.body) for report in reports if report.task_id in queues]
    await events_store.lock_names(tx, {(queue, name) for queue, body in known for name in _names(body)})
    return await settle_each(tx, reports, _await)


await_event = batched(_await_events)
"""Get what a task awaits, or put it aside until that is emitted or the time is over."""


def _names(body: EventAwait) -> list[str]:
    return list(dict.fromkeys(body.any_of or body.all_of or [body.event_name or ""]))


async def _await(tx: Tx, held: Sequence[tuple[Report[EventAwait], TaskRow]]) -> Sequence[Answered | Refusal]:
    return [await _await_one(tx, report, task) for report, task in held]


async def _await_one(tx: Tx, report: Report[EventAwait], task: TaskRow) -> Answered | Refusal:
    body = report.body
    known = await checkpoints_store.get_checkpoint(tx, report.task_id, body.step_name)
    if known is not None:
        if not known.is_outcome:
            return ValidationFailed.at("/step_name", "is the name of a checkpoint of this task")
        return Answered(write_json(known.state))
    names = _names(body)
    outcome = await look(tx, task, names, all_of=body.all_of is not None)
    if outcome is None and body.timeout_seconds == 0:
        outcome = EventAwaited.model_construct(outcome=AwaitOutcome.timed_out)
    if isinstance(outcome, Refusal):
        return outcome
    if outcome is not None:
        written = await checkpoints_store.put_checkpoints(tx, [outcome_row(task, body.step_name, outcome)])
        return answered(outcome) if written else ValidationFailed.at("/step_name", NO_ROOM)
    if not await checkpoints_store.has_room(tx, report.task_id, body.step_name, TIMED_OUT_SIZE):
        return ValidationFailed.at("/step_name", NO_ROOM)
    return await _suspend(tx, report, task, names)


async def _suspend(tx: Tx, report: Report[EventAwait], task: TaskRow, names: list[str]) -> Answered:
    body = report.body
    seconds = body.timeout_seconds
    until = None if seconds is None else task.now + timedelta(seconds=seconds)
    all_of = names if body.all_of is not None else None
    await tasks_store.update_tasks(tx, [suspend(task, body.step_name, names, all_of, until, task.now)])
    about: dict[str, Storable] = {"task_id": task.task_id, "queue": task.queue, "workflow_run_id": task.workflow_run_id}
    await events_store.insert_waits(tx, [{**about, "event_name": name} for name in names])
    tx.ready[task.queue] += 1
    outcome = EventAwaited.model_construct(outcome=AwaitOutcome.suspended)
    await spend(tx, [(report, task, outcome)])
    return answered(outcome)


async def _complete_tasks(tx: Tx, reports: Sequence[Report[TaskCompletion]]) -> Sequence[Answered | Refusal]:
    """Complete tasks and answer with each as it stands then."""
    if are_plain(reports):
        tx.commit_each()
    return await complete_each(tx, reports, is_shown=True)


complete_task = batched(_complete_tasks)
"""Complete a task, and return it as it stands then."""


async def _fail_tasks(tx: Tx, reports: Sequence[Report[TaskFailure]]) -> Sequence[Answered | Refusal]:
    """End attempts that went wrong; the runs whose steps they were go on as their definitions say."""
    executions, work = await lock_runs_of_steps(tx, tasks_of_steps(reports))

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


fail_task = batched(_fail_tasks)
"""End an attempt that went wrong, and return how the task goes on."""


def _error_of(end: Ended, failures: Sequence[tuple[TaskRow, Failure, JsonValue]]) -> JsonValue:
    return next(error for task, _, error in failures if task.task_id == end.before.task_id)


def _failure_of(body: TaskFailure, task: TaskRow) -> Failure:
    retry_at = body.retry_at
    if body.retry_after_seconds is not None:
        retry_at = task.now + timedelta(seconds=body.retry_after_seconds)
    return Failure(body.retryable, retry_at)


async def _release_tasks(tx: Tx, reports: Sequence[Report[LeaseBody]]) -> Sequence[Answered | Refusal]:
    """Give tasks back unharmed."""
    await pin_runs_of_reports(tx, reports)
    return await settle_each(tx, reports, _release)


release_task = batched(_release_tasks)
"""Give a task back unharmed."""


async def _release(tx: Tx, held: Sequence[tuple[Report[LeaseBody], TaskRow]]) -> Sequence[Answered]:
    return await move_on(tx, [(report, task, release(task, task.now)) for report, task in held])
