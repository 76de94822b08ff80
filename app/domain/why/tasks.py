"""Why a task stands where it stands: one rule a code."""

from collections.abc import Iterator, Mapping

from app.domain.error_lines import error_line, short_error
from app.domain.why.facts import TaskView
from app.domain.why.reasons import Fix, Rule, Saying, call
from app.domain.why.texts import at, many
from milepost.schemas.tasks import TaskStatus
from milepost.schemas.why import WhyCode
from milepost.schemas.workflow_runs import RunStatus

COUNTED_MOST = 10_000
"""How many tasks before one are counted."""
_REOPENED = (RunStatus.failed, RunStatus.cancelled)


def _subject(view: TaskView, **more: object) -> dict[str, object]:
    step = {} if view.task.step is None else {"path": view.task.step}
    return {"task_id": view.task.task_id, **step, **more}


def _cancel_requested(view: TaskView) -> Iterator[Saying]:
    since = view.task.cancel_requested_at or view.task.run_cancel_requested_at
    if since is not None and view.task.completed_at is None:
        yield Saying("a cancel was requested; its worker is asked to stop", _subject(view), since)


def _run_paused(view: TaskView) -> Iterator[Saying]:
    run = view.task.workflow_run_id
    if view.is_waiting and view.task.run_paused_at is not None and view.task.step is not None:
        fix = call("POST", "workflow-runs", run, "resume")
        yield Saying("its run is paused", _subject(view, workflow_run_id=run), view.task.run_paused_at, fix=fix)


def _queue_paused(view: TaskView) -> Iterator[Saying]:
    if view.is_waiting and view.queue.paused:
        queue = view.queue.queue
        fix = call("PATCH", "queues", queue, body={"paused": False})
        text = f"the queue {queue} is paused: it hands out nothing"
        yield Saying(text, _subject(view, queue=queue), view.queue.updated_at, fix=fix)


def _queue_full(view: TaskView) -> Iterator[Saying]:
    most, running, queue = view.queue.max_concurrency, view.queue.running, view.queue.queue
    if view.is_ready and most is not None and running >= most:
        fix = call("PATCH", "queues", queue, body={"max_concurrency": running + 1})
        text = f"the queue {queue} is full: {running} of at most {most} tasks are running"
        yield Saying(text, _subject(view, queue=queue, count=running), fix=fix)


def _lease_ran_out(view: TaskView) -> Iterator[Saying]:
    task = view.task
    if task.lease_expires_at is not None and task.lease_expires_at <= task.now:
        text = f"the lease of worker {task.claimed_by} ran out; another attempt follows in a moment"
        yield Saying(text, _subject(view, worker_id=task.claimed_by), task.lease_expires_at)


def _being_worked(view: TaskView) -> Iterator[Saying]:
    task = view.task
    if task.lease_expires_at is not None and task.lease_expires_at > task.now:
        text = f"worker {task.claimed_by} works on {task.task_name}, attempt {task.attempt}"
        yield Saying(text, _subject(view, worker_id=task.claimed_by), task.started_at, task.lease_expires_at)


def _circuit_open(view: TaskView) -> Iterator[Saying]:
    task = view.task
    if view.is_waiting and task.isolated_until is not None:
        text = f"{task.task_name} has failed too often: its circuit breaker is open until {at(task.isolated_until)}"
        yield Saying(text, _subject(view), task.updated_at, task.isolated_until)


def _no_worker_seen(view: TaskView) -> Iterator[Saying]:
    queue, last = view.queue.queue, view.crew.last_seen_at
    if view.is_ready and not view.crew.living:
        seen = "nobody ever has" if last is None else f"the last who did came at {at(last)}"
        yield Saying(f"nobody claims from the queue {queue} now; {seen}", _subject(view, queue=queue), last)


def _workers_take_other_names(view: TaskView) -> Iterator[Saying]:
    queue, crew = view.queue.queue, view.crew
    if view.is_ready and crew.living and not crew.takers:
        text = f"{many(crew.living, 'worker')} on the queue {queue}, and none takes {view.task.task_name}"
        yield Saying(text, _subject(view, queue=queue, count=crew.living))


def _concurrency_key_taken(view: TaskView) -> Iterator[Saying]:
    holder = view.task.holder_task_id
    if view.is_ready and holder is not None and holder != view.task.task_id:
        text = f"task {holder} of the same concurrency key {view.task.concurrency_key} is running"
        yield Saying(text, _subject(view, queue=view.queue.queue, holder_task_id=holder))


def _waits_for_event(view: TaskView) -> Iterator[Saying]:
    queue = view.task.queue
    if view.is_waiting and view.task.wait_step is not None:
        for name in view.awaited:
            fix = call("POST", "queues", queue, "events", name)
            subject = _subject(view, queue=queue, event_name=name)
            text = f"it waits for the event {name}" + _until(view)
            yield Saying(text, subject, view.task.updated_at, view.task.wake_at, fix)


def _waits_to_retry(view: TaskView) -> Iterator[Saying]:
    task = view.task
    if _waits_for_a_time(view) and task.attempt > 1 and task.started_at is None and task.wake_at is not None:
        line = error_line(task.error)
        text = f"attempt {task.attempt - 1} failed{f' ({line})' if line else ''}; attempt {task.attempt} follows"
        error = {} if line is None else {"error": short_error(task.error)}
        yield Saying(text + f" at {at(task.wake_at)}", _subject(view, **error), task.updated_at, task.wake_at)


def _sleeps(view: TaskView) -> Iterator[Saying]:
    task = view.task
    if _waits_for_a_time(view) and task.started_at is not None and task.wake_at is not None:
        yield Saying(f"it sleeps until {at(task.wake_at)}", _subject(view), task.updated_at, task.wake_at)


def _not_due_yet(view: TaskView) -> Iterator[Saying]:
    task = view.task
    if _waits_for_a_time(view) and task.status == TaskStatus.pending and task.due_at is not None:
        yield Saying(f"it is not due before {at(task.due_at)}", _subject(view), task.created_at, task.due_at)


def _claimable(view: TaskView) -> Iterator[Saying]:
    if view.is_ready and not any(True for rule in _IN_THE_WAY for _ in rule(view)):
        text = f"it can be claimed: the next claim on {view.queue.queue} takes it"
        yield Saying(text, _subject(view, queue=view.queue.queue), view.ready_since)


def _ended(view: TaskView) -> Iterator[Saying]:
    task = view.task
    if task.completed_at is not None:
        line = error_line(task.error) if task.status != TaskStatus.completed else None
        error = {} if line is None else {"error": short_error(task.error)}
        text = f"it has ended as {task.status}{f': {line}' if line else ''}"
        yield Saying(text, _subject(view, **error), task.completed_at, fix=_reopening(view))


def _reopening(view: TaskView) -> Fix | None:
    """Return what opens a task again: a call for it alone, or for the run that it belongs to."""
    task = view.task
    if task.status not in (TaskStatus.failed, TaskStatus.cancelled):
        return None
    if task.run_status in _REOPENED:
        return call("POST", "workflow-runs", task.workflow_run_id, "retry")
    may_be_alone = task.step is None and task.run_status != RunStatus.completed
    return call("POST", "tasks", task.task_id, "retry") if may_be_alone else None


def _behind_others(view: TaskView) -> Iterator[Saying]:
    count = view.task.ready_before
    if view.is_ready and count:
        amount = f"{many(count, 'ready task')}{' or more' if count >= COUNTED_MOST else ''}"
        text = f"{amount} of the queue {view.queue.queue} {'is' if count == 1 else 'are'} before it"
        yield Saying(text, _subject(view, queue=view.queue.queue, count=count), view.ready_since)


def _waits_for_a_time(view: TaskView) -> bool:
    """Return whether it would be claimable if it were later, and nothing but the time holds it."""
    return view.is_waiting and not view.is_ready and view.task.wait_step is None and view.task.isolated_until is None


def _until(view: TaskView) -> str:
    return "" if view.task.wake_at is None else f", until {at(view.task.wake_at)}"


_IN_THE_WAY: tuple[Rule[TaskView], ...] = (
    _cancel_requested,
    _run_paused,
    _queue_paused,
    _queue_full,
    _no_worker_seen,
    _workers_take_other_names,
    _concurrency_key_taken,
    _behind_others,
)
"""What keeps a ready task from being taken by the next claim."""
TASK_RULES: Mapping[WhyCode, Rule[TaskView]] = {
    WhyCode.cancel_requested: _cancel_requested,
    WhyCode.run_paused: _run_paused,
    WhyCode.queue_paused: _queue_paused,
    WhyCode.lease_ran_out: _lease_ran_out,
    WhyCode.circuit_open: _circuit_open,
    WhyCode.no_worker_seen: _no_worker_seen,
    WhyCode.workers_take_other_names: _workers_take_other_names,
    WhyCode.queue_full: _queue_full,
    WhyCode.concurrency_key_taken: _concurrency_key_taken,
    WhyCode.waits_for_event: _waits_for_event,
    WhyCode.waits_to_retry: _waits_to_retry,
    WhyCode.sleeps: _sleeps,
    WhyCode.not_due_yet: _not_due_yet,
    WhyCode.being_worked: _being_worked,
    WhyCode.claimable: _claimable,
    WhyCode.ended: _ended,
    WhyCode.behind_others: _behind_others,
}
"""What may be said of a task; in which order it is told says `WhyCode`."""
