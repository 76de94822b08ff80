"""Why a workflow run stands where it stands: one rule a code; its open tasks add their own reasons."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from app.domain.error_lines import error_line, short_error
from app.domain.highway.engine.operators.table import OPERATORS
from app.domain.highway.language.storable_values import ACTIVITY_EVENT
from app.domain.why.facts import RunView, StepFacts, TaskView
from app.domain.why.reasons import Fix, Reason, Rule, Saying, call, find_reasons
from app.domain.why.tasks import TASK_RULES
from app.domain.why.texts import at, many
from milepost.schemas.steps import StepStatus
from milepost.schemas.why import WhyCode
from milepost.schemas.workflow_runs import RunStatus

_NEAR_PART, _NEAR_MOST = 0.1, timedelta(seconds=60)
"""A time is near when less than this part of it is left, and no more than that."""
_OF_THE_RUN = frozenset({WhyCode.run_paused, WhyCode.cancel_requested})
"""What is told once for a run, and not again for each of its tasks."""


def reasons_of_run(view: RunView) -> Sequence[Reason]:
    """Return what the rules say of a run and of its open tasks; what is open has always something."""
    own = [*find_reasons(RUN_RULES, view)]
    said = {reason.code for reason in own} & _OF_THE_RUN
    of_tasks = [reason for task in view.tasks for reason in _reasons_of_task(task) if reason.code not in said]
    return [*own, *of_tasks] or [*_fallback(view)]


def _reasons_of_task(view: TaskView) -> Iterator[Reason]:
    """Yield the reasons of a task of a run, each with what it is that waits."""
    name = view.task.step or view.task.task_name
    for reason in find_reasons(TASK_RULES, view):
        yield replace(reason, saying=replace(reason.saying, text=f"{name}: {reason.saying.text}"))


def _fallback(view: RunView) -> Iterator[Reason]:
    """Yield what holds of an open run of which nothing in particular is known."""
    if view.is_executed:
        text = "the service is about to go on with it"
        yield Reason(WhyCode.waits_for_steps, Saying(text, _subject(view), view.run.started_at))
    else:
        text = "its owner works on it, and says when it has ended"
        yield Reason(WhyCode.being_worked, Saying(text, _subject(view), view.run.started_at))


def _subject(view: RunView, **more: object) -> dict[str, object]:
    return {"workflow_run_id": view.run.workflow_run_id, **more}


def _retry(view: RunView) -> Fix | None:
    is_closed = view.run.status in (RunStatus.failed, RunStatus.cancelled)
    return call("POST", "workflow-runs", view.run.workflow_run_id, "retry") if is_closed else None


def _step_failed(view: RunView) -> Iterator[Saying]:
    for step in view.failed:
        if step.status == StepStatus.failed and step.cause is None:
            line = error_line(step.error)
            error = {} if line is None else {"error": short_error(step.error)}
            text = f"the step {step.path} failed{f': {line}' if line else ''}"
            yield Saying(text, _subject(view, path=step.path, **error), step.completed_at, fix=_retry(view))


def _upstream_failed(view: RunView) -> Iterator[Saying]:
    for step in view.failed:
        if step.status == StepStatus.upstream_failed:
            text = f"the step {step.path} did not begin, for what it depends on has failed"
            yield Saying(text, _subject(view, path=step.path), step.completed_at)


def _ended(view: RunView) -> Iterator[Saying]:
    run = view.run
    if not view.is_open:
        line = error_line(run.error) if run.status != RunStatus.completed else None
        error = {} if line is None else {"error": short_error(run.error)}
        told = ", ".join(part for part in (run.reason, line) if part)
        text = f"the run has ended as {run.status}{f': {told}' if told else ''}"
        yield Saying(text, _subject(view, **error), run.completed_at, fix=_retry(view))


def _cancel_requested(view: RunView) -> Iterator[Saying]:
    run = view.run
    if view.is_open and run.cancel_requested_at is not None:
        until = "" if run.cancel_due_at is None else f"; it is over at {at(run.cancel_due_at)} at the latest"
        text = f"a cancel was requested, and what runs is asked to stop{until}"
        yield Saying(text, _subject(view), run.cancel_requested_at, run.cancel_due_at)


def _run_paused(view: RunView) -> Iterator[Saying]:
    if view.is_open and view.run.paused_at is not None:
        fix = call("POST", "workflow-runs", view.run.workflow_run_id, "resume")
        yield Saying("the run is paused: it hands out no work", _subject(view), view.run.paused_at, fix=fix)


def _nobody_started_it(view: RunView) -> Iterator[Saying]:
    run = view.run
    if run.status == RunStatus.pending and not view.is_executed:
        fix = call("PATCH", "workflow-runs", run.workflow_run_id, body={"status": "running"})
        text = "nobody has started the run: it is tracked, and its owner says when it runs"
        yield Saying(text, _subject(view), run.created_at, fix=fix)


def _held_by_schedule(view: RunView) -> Iterator[Saying]:
    run, most = view.run, view.run.max_active_runs
    if run.status == RunStatus.pending and view.is_executed:
        text = "the schedule lets the run begin in a moment"
        fix = None
        if most is not None and view.active_runs >= most:
            text = f"the schedule runs at most {most} at a time, and {many(view.active_runs, 'run')} are running"
            fix = call("PATCH", "schedules", run.schedule_id, body={"max_active_runs": view.active_runs + 1})
        subject = _subject(view, schedule_id=run.schedule_id, count=view.active_runs)
        yield Saying(text, subject, run.created_at, fix=fix)


def _late(view: RunView) -> Iterator[Saying]:
    run = view.run
    if view.is_open and run.late_at is not None:
        expected = "" if run.expected_by is None else f": it was expected by {at(run.expected_by)}"
        yield Saying(f"the run is late{expected}", _subject(view), run.late_at)


def _heartbeat_due(view: RunView) -> Iterator[Saying]:
    run = view.run
    if run.heartbeat_expires_at is None or run.heartbeat_seconds is None:
        return
    whole = timedelta(seconds=run.heartbeat_seconds)
    if _is_near(run.heartbeat_expires_at, whole, run.now):
        fix = call("POST", "workflow-runs", run.workflow_run_id, "heartbeat")
        text = f"the run is lost at {at(run.heartbeat_expires_at)} unless it sends a heartbeat"
        yield Saying(text, _subject(view), run.heartbeat_expires_at - whole, run.heartbeat_expires_at, fix)


def _deadline_near(view: RunView) -> Iterator[Saying]:
    run = view.run
    for ends, began in ((run.deadline_at, run.created_at), (run.execution_deadline_at, run.started_at)):
        if view.is_open and ends is not None and began is not None and _is_near(ends, ends - began, run.now):
            yield Saying(f"the run fails at {at(ends)}, for that is its deadline", _subject(view), began, ends)


def _is_near(ends: datetime, whole: timedelta, now: datetime) -> bool:
    return ends - now < min(whole * _NEAR_PART, _NEAR_MOST)


def _circuit_open(view: RunView) -> Iterator[Saying]:
    for step in _without_task(view):
        if step.is_isolated and step.due_at is not None:
            text = f"the step {step.path} waits: the circuit breaker of its function is open until {at(step.due_at)}"
            yield Saying(text, _subject(view, path=step.path), step.started_at, step.due_at)


def _waits_for_event(view: RunView) -> Iterator[Saying]:
    queue = view.run.queue
    for step in view.steps:
        name = step.awaits
        if name is not None and not name.startswith(ACTIVITY_EVENT):
            until = "" if step.due_at is None else f", until {at(step.due_at)}"
            fix = call("POST", "queues", queue, "events", name)
            subject = _subject(view, path=step.path, queue=queue, event_name=name)
            text = f"the step {step.path} waits for the event {name}{until}"
            yield Saying(text, subject, step.started_at, step.due_at, fix)


def _sleeps(view: RunView) -> Iterator[Saying]:
    for step in view.steps:
        operator = OPERATORS.get(step.operator_type)
        if operator is not None and operator.is_over_when_due and step.due_at is not None:
            text = f"the step {step.path} sleeps until {at(step.due_at)}"
            yield Saying(text, _subject(view, path=step.path), step.started_at, step.due_at)


def _waits_for_child(view: RunView) -> Iterator[Saying]:
    for child in view.children:
        text = f"the step {child.path} waits for the run {child.workflow_run_id} of {child.workflow_name}"
        subject = {"path": child.path, "workflow_run_id": child.workflow_run_id}
        yield Saying(f"{text}, which is {child.status}", subject, child.created_at)


def _waits_for_steps(view: RunView) -> Iterator[Saying]:
    if view.is_open and view.waiting:
        names = ", ".join(view.waiting[:3]) + (", ..." if len(view.waiting) > len(view.waiting[:3]) else "")
        verb = "waits" if len(view.waiting) == 1 else "wait"
        text = f"{many(len(view.waiting), 'step')} ({names}) {verb} for others to end"
        subject = _subject(view, path=view.waiting[0], count=len(view.waiting))
        yield Saying(text, subject, view.run.started_at)


def _being_worked(view: RunView) -> Iterator[Saying]:
    run = view.run
    if run.status == RunStatus.running and not view.is_executed and not view.open_tasks:
        yield Saying("its owner works on it, and says when it has ended", _subject(view), run.started_at)


def _without_task(view: RunView) -> Iterator[StepFacts]:
    """Yield steps that no open task speaks for."""
    open_tasks = {task.task.task_id for task in view.tasks}
    return (step for step in view.steps if step.task_id not in open_tasks)


RUN_RULES: Mapping[WhyCode, Rule[RunView]] = {
    WhyCode.step_failed: _step_failed,
    WhyCode.cancel_requested: _cancel_requested,
    WhyCode.run_paused: _run_paused,
    WhyCode.nobody_started_it: _nobody_started_it,
    WhyCode.held_by_schedule: _held_by_schedule,
    WhyCode.late: _late,
    WhyCode.heartbeat_due: _heartbeat_due,
    WhyCode.deadline_near: _deadline_near,
    WhyCode.circuit_open: _circuit_open,
    WhyCode.waits_for_event: _waits_for_event,
    WhyCode.sleeps: _sleeps,
    WhyCode.waits_for_child: _waits_for_child,
    WhyCode.being_worked: _being_worked,
    WhyCode.ended: _ended,
    WhyCode.upstream_failed: _upstream_failed,
    WhyCode.waits_for_steps: _waits_for_steps,
}
"""What may be said of a run, beside what is said of its tasks; in which order it is told says `WhyCode`."""
