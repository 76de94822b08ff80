"""Why tasks, runs and schedules stand where they stand: facts read, rules asked, reasons told."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.access.sightings import Sightings, record_sightings
from app.db.engine import Tx
from app.domain.why.facts import Crew, ExplainedRun, QueueFacts, RunView, StepFacts, TaskFacts, TaskView
from app.domain.why.reasons import Reason, find_reasons, told
from app.domain.why.runs import reasons_of_run
from app.domain.why.schedules import SCHEDULE_RULES, ScheduleView
from app.domain.why.tasks import COUNTED_MOST, TASK_RULES
from app.moves.runs import run_not_found
from app.moves.schedules import schedule_not_found
from app.moves.tasks import task_not_found
from app.store import planned_runs as planned_store
from app.store import schedules as schedules_store
from app.store import why as store
from app.store import workers as workers_store
from milepost.schemas.steps import StepStatus
from milepost.schemas.why import Explanation, WhyFix, WhyReason, WhySubject

LOOKED_AT_MOST = 100
"""How many open tasks, steps and children of a run are looked at."""
COUNTED_OF_MANY = 1000
"""How many ready tasks before each of them are counted."""


async def explain_task(tx: Tx, sightings: Sightings, task_id: UUID) -> Explanation:
    """Return why a task stands where it stands. Raises NotFound."""
    await record_sightings(tx, sightings)
    views = await _view_tasks(tx, [task_id], COUNTED_MOST)
    if not views:
        raise task_not_found(task_id)
    task = views[0].task
    since = task.completed_at or (task.started_at if task.lease_expires_at else None) or task.updated_at
    return _explain(f"The task {task.task_name}", task.status, since, [*find_reasons(TASK_RULES, views[0])])


async def explain_run(tx: Tx, sightings: Sightings, workflow_run_id: UUID) -> Explanation:
    """Return why a run stands where it stands, with the reasons of its open tasks. Raises NotFound."""
    await record_sightings(tx, sightings)
    run = await store.get_run(tx, workflow_run_id)
    if run is None:
        raise run_not_found(workflow_run_id)
    view = await _view_run(tx, run)
    since = run.completed_at or run.started_at or run.created_at
    left_out = max(0, view.open_tasks - len(view.tasks))
    return _explain("The run", run.status, since, reasons_of_run(view), left_out)


async def explain_schedule(tx: Tx, schedule_id: UUID) -> Explanation:
    """Return why a schedule fires or does not. Raises NotFound."""
    schedule = await schedules_store.get_schedule(tx, schedule_id)
    if schedule is None:
        raise schedule_not_found(schedule_id)
    open_runs = await schedules_store.count_open_runs(tx, [schedule_id])
    view = ScheduleView(schedule, open_runs.get(schedule_id, 0))
    return _explain("The schedule", view.status, schedule.updated_at, [*find_reasons(SCHEDULE_RULES, view)])


async def _view_tasks(tx: Tx, task_ids: Sequence[UUID], count_most: int) -> Sequence[TaskView]:
    """Return what is known of tasks, and of who and what is around them."""
    tasks = await store.get_tasks(tx, task_ids, count_most) if task_ids else []
    if not tasks:
        return []
    queues = await store.get_queues(tx, sorted({task.queue for task in tasks}))
    places = sorted({(task.queue, task.task_name) for task in tasks})
    crews = {(crew.queue, crew.task_name): crew for crew in await workers_store.count_crews(tx, places)}
    awaited = await _find_awaited(tx, tasks)
    return [
        TaskView(
            task,
            queues.get(task.queue) or QueueFacts(task.queue, False, task.created_at, None, 0),
            crews.get((task.queue, task.task_name)) or Crew(task.queue, task.task_name, 0, 0, None),
            awaited.get(task.task_id, ()),
        )
        for task in tasks
    ]


async def _find_awaited(tx: Tx, tasks: Sequence[TaskFacts]) -> dict[UUID, list[str]]:
    waiting = [task.task_id for task in tasks if task.wait_step is not None]
    found: dict[UUID, list[str]] = {}
    for row in await store.list_awaited_names(tx, waiting, COUNTED_OF_MANY) if waiting else ():
        found.setdefault(row.task_id, []).append(row.event_name)
    return found


async def _view_run(tx: Tx, run: ExplainedRun) -> RunView:
    """Return what is known of a run: what is open in it, or why it has failed."""
    run_id, is_executed = run.workflow_run_id, run.workflow_id is not None
    steps = await store.list_open_steps(tx, run_id, LOOKED_AT_MOST) if is_executed else []
    failed = await _find_failed(tx, run_id, steps) if is_executed else []
    if run.completed_at is not None:
        return RunView(run, failed=failed)
    running = await planned_store.count_running_runs(tx, [run.schedule_id]) if run.schedule_id else {}
    return RunView(
        run,
        tasks=await _view_tasks(tx, await store.list_open_tasks(tx, run_id, LOOKED_AT_MOST), COUNTED_OF_MANY),
        open_tasks=await store.count_open_tasks(tx, run_id, COUNTED_MOST),
        steps=steps,
        failed=failed,
        waiting=await store.list_waiting_steps(tx, run_id, LOOKED_AT_MOST) if is_executed else (),
        children=await store.list_open_children(tx, run_id, LOOKED_AT_MOST) if is_executed else (),
        active_runs=sum(running.values()),
    )


async def _find_failed(tx: Tx, workflow_run_id: UUID, open_steps: Sequence[StepFacts]) -> Sequence[StepFacts]:
    """Return the steps that have failed, as far as they are seen from the top level or from where work goes on.

    A step that failed because of others names the one that was the first.
    """
    scopes = sorted({"", *(step.scope for step in open_steps)})
    found = await store.list_failed_steps(tx, workflow_run_id, scopes, LOOKED_AT_MOST)
    known = {step.path for step in found if step.cause is None}
    causes = {step.cause for step in (*found, *open_steps) if step.cause is not None} - known
    roots = await store.get_steps(tx, workflow_run_id, sorted(causes)) if causes else []
    return [*(step for step in roots if step.status == StepStatus.failed), *found]


def _explain(what: str, status: str, since: datetime, reasons: Sequence[Reason], left_out: int = 0) -> Explanation:
    shown, more = told(reasons, left_out)
    first = shown[0].saying.text if shown else "nothing is known"
    others = len(shown) + more - 1
    also = f" ({others} more)" if others > 0 else ""
    return Explanation.model_construct(
        status=status,
        since=since,
        summary=f"{what} is {status}: {first}{also}.",
        reasons=[_show(reason) for reason in shown],
        more=more,
    )


def _show(reason: Reason) -> WhyReason:
    saying, fix = reason.saying, reason.saying.fix
    subject = {name: value for name, value in saying.subject.items() if value is not None}
    return WhyReason.model_construct(
        None,
        code=reason.code,
        text=saying.text,
        since=saying.since,
        until=saying.until,
        subject=WhySubject.model_validate(subject),
        fix=None if fix is None else WhyFix(method=fix.method, path=fix.path, body=dict(fix.body)),
    )
