"""Tasks that are completed, many at once, with the runs whose steps they are."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias
from uuid import UUID

from app.db.engine import Parameters, Tx
from app.domain.json_texts import JsonValue
from app.domain.json_values import fingerprint
from app.domain.lease_tokens import is_of_step
from app.domain.records import TaskRow
from app.errors import Refusal, ValidationFailed
from app.execution.run_memory import MEMORY_MOST
from app.execution.session import Executions
from app.execution.work_reports import complete_work, keep_attempts, lock_runs_of_steps
from app.moves.leases import (
    Answered,
    Report,
    answer_without_lease,
    answered_task,
    is_held,
    look_at,
    move_on,
    tasks_of_steps,
)
from app.moves.tasks import task_topic
from app.store import claims as claims_store
from app.store import tasks as tasks_store
from app.store.recordsets import as_bytes
from milepost.schemas.tasks import CompletedItem, TaskCompletion

Completion: TypeAlias = TaskCompletion | CompletedItem
"""What a worker says of a task that is done."""
_FULL = ValidationFailed.at("/memory", f"the memory of the run would have more than {MEMORY_MOST} bytes")
_NO_STEP = ValidationFailed.at("/memory", "the task is no step of an executed run, which has no memory")


def are_plain(reports: Sequence[Report[Completion]]) -> bool:
    """Return whether none of the reports is about a step of an executed run, or brings what only those take."""
    return not any(is_of_step(report.token) or _memory_of(report) for report in reports)


async def complete_each(
    tx: Tx, reports: Sequence[Report[Completion]], *, is_shown: bool = False
) -> Sequence[Answered | Refusal]:
    """Complete the tasks of those who hold them, and tell the others why theirs are not.

    The runs whose steps they were go on as their definitions say. Tasks that are not shown are answered with nothing.
    """
    if not reports:
        return []
    executions, work = await lock_runs_of_steps(tx, tasks_of_steps(reports))
    places: dict[tuple[UUID, UUID], int] = {}
    for place, report in enumerate(reports):
        places.setdefault((report.task_id, report.token), place)
    first = {key: reports[place] for key, place in places.items()}
    settled, held = await _complete_steps(tx, executions, first, work) if work else ({}, set())
    settled |= await _refuse_memory(tx, {key: r for key, r in first.items() if _memory_of(r) and key[0] not in work})
    plain = [completed_row(report, is_held=key in held) for key, report in first.items() if key not in settled]
    done = await _complete_plain(tx, plain, is_shown=is_shown) if plain else {}
    await executions.write()
    answers = {places[key]: answer for key, answer in settled.items() if answer is not None}
    answers |= {place: done[key] for key, place in places.items() if key in done}
    left = [place for place in range(len(reports)) if place not in answers]
    if left:
        tx.commit_together()
    others = [reports[place] for place in left]
    answers |= zip(left, await answer_without_lease(tx, others, await look_at(tx, others)), strict=True)
    return [answers[place] for place in range(len(reports))]


async def _complete_plain(
    tx: Tx, rows: Sequence[Parameters], *, is_shown: bool
) -> dict[tuple[UUID, UUID | None], Answered]:
    """Complete tasks by their leases, and return what is answered of each."""
    done: Sequence[claims_store.CompletedTask | TaskRow]
    if is_shown:
        done = await claims_store.complete_shown_tasks(tx, rows)
    else:
        done = await claims_store.complete_tasks(tx, rows)
    tx.topics |= {task_topic(row.task_id) for row in done}
    tx.ready.update(row.queue for row in done)
    return {
        (row.task_id, row.lease_token): answered_task(row) if isinstance(row, TaskRow) else Answered(b"")
        for row in done
    }


async def _complete_steps(
    tx: Tx, executions: Executions, reports: Mapping[tuple[UUID, UUID], Report[Completion]], work: Mapping[UUID, UUID]
) -> tuple[dict[tuple[UUID, UUID], Answered | Refusal | None], set[tuple[UUID, UUID]]]:
    """Tell the runs that work items of their steps are done.

    Return those that are not completed: what is answered if the result does not meet a postcondition, which makes it a
    failed attempt; None if the step was dropped because of another report, and its task is cancelled; why it is refused
    that brings more memory than the run can take. And return all whose leases were found to last: of the others of them
    the step is completed, and so is the task, also if its lease runs out before that is written.
    """
    rows = await tasks_store.lock_tasks(tx, [task_id for task_id, _ in reports if task_id in work])
    held = [
        (report, task)
        for (task_id, token), report in reports.items()
        if task_id in work and task_id in rows and is_held(task := rows[task_id], token)
    ]
    refused = {
        (r.task_id, r.token): _FULL for r, task in held if not executions.takes_memory(task.place[0], _memory_of(r))
    }
    held = [(report, task) for report, task in held if (report.task_id, report.token) not in refused]
    done = [(task, report.body.result, _memory_of(report)) for report, task in held]
    ended = await complete_work(executions, done)
    dropped = [(r.task_id, r.token) for (r, _), end in zip(held, ended, strict=True) if end is None]
    bad = [(report, end) for (report, _), end in zip(held, ended, strict=True) if end is not None and end.after]
    await keep_attempts(tx, [(end, None, end.after and end.after.error) for _, end in bad])
    answers = await move_on(tx, [(report, end.before, end.after) for report, end in bad if end.after is not None])
    told = {(report.task_id, report.token): answer for (report, _), answer in zip(bad, answers, strict=True)}
    return dict.fromkeys(dropped) | told | refused, {(report.task_id, report.token) for report, _ in held}


async def _refuse_memory(
    tx: Tx, reports: Mapping[tuple[UUID, UUID], Report[Completion]]
) -> dict[tuple[UUID, UUID], Answered | Refusal | None]:
    known = await look_at(tx, list(reports.values()))
    return {key: _NO_STEP for key in reports if key[0] in known}


def _memory_of(report: Report[Completion]) -> Mapping[str, JsonValue]:
    return (report.body.memory or {}) if isinstance(report.body, TaskCompletion) else {}


def completed_row(report: Report[Completion], *, is_held: bool) -> Parameters:
    """Return what is stored of a report; ``is_held`` if its lease was found to last before."""
    return {
        "is_held": is_held,
        "task_id": report.task_id,
        "lease_token": report.token,
        "result": report.body.result,
        "final_body": as_bytes(fingerprint(report.content())),
    }
