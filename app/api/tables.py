"""Resources as a person reads them in a terminal."""

from collections.abc import Sequence
from typing import Any

from app.domain.error_lines import error_line
from app.domain.json_texts import JsonText, write_json
from app.domain.text_tables import write_facts, write_table
from milepost.lines import write_line
from milepost.schemas.logs import LogPage
from milepost.schemas.monitors import Monitor, MonitorPage
from milepost.schemas.queues import EventPage, QueuePage
from milepost.schemas.steps import RunWarningPage, WorkflowStepPage
from milepost.schemas.tasks import Checkpoints, Task, TaskAttempts, TaskPage
from milepost.schemas.workflow_runs import HistoryPage, WorkflowRun, WorkflowRunPage
from milepost.schemas.workflows import WorkflowPage, WorkflowVersions

_COLUMNS = ("workflow_run_id", "workflow", "status", "reason", "percent", "created_at", "started_at", "completed_at")


def run_table(page: WorkflowRunPage) -> str:
    """Return a page of runs as a table, and how to go on."""
    rows = [
        (
            run.workflow_run_id,
            run.display_name,
            _standing(run),
            run.reason,
            _percent(run),
            run.created_at,
            run.started_at,
            run.completed_at,
        )
        for run in page.items
    ]
    return write_table(_COLUMNS, rows) + _total(page) + _more(page.next_cursor)


def _standing(run: WorkflowRun) -> str:
    """Return where a run stands, and what else is to be known of that: `running (paused)`."""
    facts = ["paused"] if run.paused_at else []
    facts += ["late"] if run.late_at else []
    return f"{run.status} ({', '.join(facts)})" if facts else run.status


def _percent(run: WorkflowRun) -> str | None:
    """Return how much has ended, and how much of that has failed."""
    progress = run.progress
    if progress.percent is None:
        return None
    failed = f", {progress.failed} failed" if progress.failed else ""
    return f"{progress.percent:.0f}%{failed}"


def history_table(page: HistoryPage) -> str:
    """Return a history as a table, and how to go on."""
    columns = ("at", "verb", "from", "to", "attempt", "actor", "reason", "request_id")
    rows = [(e.at, e.verb, e.from_, e.to, e.attempt, e.actor, e.reason, e.request_id) for e in page.items]
    return write_table(columns, rows) + _more(page.next_cursor)


def run_facts(run: WorkflowRun) -> str:
    """Return one run as text, one fact a line; JSON stays JSON on its line."""
    names = ("workflow_run_id", "display_name", "status", "reason", "error", "result", "inputs", "tags", "queue")
    facts = _facts_of(run, names) | _facts_of(run, ("created_by", "parent_workflow_run_id", "attempt", "revision"))
    facts |= {} if run.paused_at is None else {"paused_at": run.paused_at}
    facts |= _facts_of(run, ("created_at", "started_at", "completed_at", "deadline_at", "heartbeat_expires_at"))
    facts |= {} if run.expected_by is None else _facts_of(run, ("expected_by", "late_at"))
    return write_facts(facts | {"status": _standing(run), "progress": _progress_line(run)})


def task_facts(task: Task) -> str:
    """Return one task as text, one fact a line; JSON stays JSON on its line."""
    names = ("task_id", "task_name", "queue", "status", "reason", "error", "result", "params", "progress")
    facts = _facts_of(task, names) | {"attempt": _attempt_line(task)}
    facts |= _facts_of(task, ("workflow_run_id", "claimed_by", "lease_expires_at", "wake_at", "wake_event"))
    return write_facts(facts | _facts_of(task, ("created_at", "first_started_at", "completed_at", "revision")))


def _attempt_line(task: Task) -> str:
    lost = f", {task.lost_count} lost" if task.lost_count else ""
    return f"{task.attempt} of {task.max_attempts}{lost}"


def task_table(page: TaskPage) -> str:
    """Return a page of tasks as a table, and how to go on."""
    names = ("task_id", "task_name", "queue", "status", "reason", "attempt", "claimed_by", "created_at")
    return _table(page, names, _total(page))


def attempt_table(attempts: TaskAttempts) -> str:
    """Return attempts as a table."""
    names = ("attempt", "run_id", "status", "reason", "claimed_by", "started_at", "ended_at", "error")
    return _table(attempts, names)


def checkpoint_table(checkpoints: Checkpoints) -> str:
    """Return checkpoints as a table, and how to go on."""
    return _table(checkpoints, ("name", "attempt", "updated_at", "state"))


def event_table(events: EventPage) -> str:
    """Return events as a table, and how to go on."""
    return _table(events, ("event_name", "workflow_run_id", "emitted_at", "payload"))


def monitor_table(page: MonitorPage) -> str:
    """Return a page of monitors as a table, and how to go on."""
    columns = ("name", "state", "workflow_name", "schedule", "next_expected_at", "late_since", "failures", "last_ok_at")
    rows = [
        (
            monitor.name,
            monitor.state,
            monitor.workflow_name,
            monitor.cron or f"{monitor.every_seconds:g}s",
            monitor.next_expected_at,
            monitor.late_since,
            monitor.consecutive_failures,
            monitor.last_ok_at,
        )
        for monitor in page.items
    ]
    return write_table(columns, rows) + _more(page.next_cursor)


def monitor_facts(monitor: Monitor) -> str:
    """Return one monitor as text, one fact a line; its tags stay JSON on their line."""
    return write_facts(_facts_of(monitor, [*Monitor.model_fields]))


def queue_table(queues: QueuePage) -> str:
    """Return queues as a table, and how to go on."""
    columns = ("queue", "paused", "pending", "running", "sleeping", "oldest", "max_concurrency", "workers")
    rows = [
        (
            queue.queue,
            queue.paused,
            queue.depth.pending,
            queue.depth.running,
            queue.depth.sleeping,
            None if queue.oldest_pending_seconds is None else f"{queue.oldest_pending_seconds:.0f}s",
            queue.max_concurrency,
            len(queue.workers),
        )
        for queue in queues.items
    ]
    return write_table(columns, rows) + _more(queues.next_cursor)


def step_table(page: WorkflowStepPage) -> str:
    """Return steps as a table, and how to go on."""
    names = ("path", "status", "operator_type", "attempt", "awaits", "due_at", "started_at", "completed_at")
    rows = [(*_facts_of(step, names).values(), error_line(step.error)) for step in page.items]
    return write_table((*names, "error"), rows) + _more(page.next_cursor)


def warning_table(page: RunWarningPage) -> str:
    """Return warnings as a table, and how to go on."""
    return _table(page, ("at", "path", "code", "expression"))


def log_lines(page: LogPage) -> str:
    """Return the lines of a log as they would stand in a file; where others follow says the header `Link`."""
    return "".join(write_line(line.at, line.level, line.text) for line in page.items)


def workflow_table(page: WorkflowPage) -> str:
    """Return workflows as a table, and how to go on."""
    return _table(page, ("workflow_name", "workflow_version", "created_at", "created_by", "description"))


def version_table(page: WorkflowVersions) -> str:
    """Return the versions of a workflow as a table, and how to go on."""
    names = ("workflow_version", "workflow_hash", "created_at", "created_by", "description")
    return write_table(names, [tuple(_facts_of(item, names).values()) for item in page.versions]) + _more(
        page.next_cursor
    )


def _table(page: Any, names: Sequence[str], total: str = "") -> str:
    rows = [tuple(_facts_of(item, names).values()) for item in page.items]
    return write_table(names, rows) + total + _more(page.next_cursor)


def _total(page: WorkflowRunPage | TaskPage) -> str:
    return "" if page.total is None else f"\n{page.total} in total\n"


def _facts_of(thing: Any, names: Sequence[str]) -> dict[str, Any]:
    """Return what ``thing`` holds under ``names``; objects and lists as JSON."""
    facts = {name: getattr(thing, name) for name in names}
    return {name: _json(fact) if isinstance(fact, dict | list | JsonText) else fact for name, fact in facts.items()}


def _progress_line(run: WorkflowRun) -> str:
    progress = run.progress
    ended = progress.completed + progress.failed + progress.cancelled
    return f"{ended} of {progress.total} ended ({_percent(run)})" if progress.total else "no tasks"


def _json(value: object) -> str:
    return write_json(value).decode()


def _more(next_cursor: str | None) -> str:
    return "" if next_cursor is None else f"\nmore: add cursor={next_cursor}\n"
