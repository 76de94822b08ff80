"""Workflow runs as a person reads them in a terminal."""

from pydantic_core import to_json
from starlette.responses import PlainTextResponse

from app.domain.preconditions import entity_tag
from app.domain.text_tables import write_facts, write_table
from app.schemas.workflow_runs import HistoryPage, WorkflowRun, WorkflowRunPage

_COLUMNS = ("workflow_run_id", "workflow", "status", "reason", "percent", "created_at", "started_at", "completed_at")


def run_table(page: WorkflowRunPage) -> str:
    """Return a page of runs as a table, and how to go on."""
    rows = [
        (
            run.workflow_run_id,
            run.display_name,
            run.status,
            run.reason,
            run.progress.percent if run.progress.percent is None else f"{run.progress.percent:.0f}%",
            run.created_at,
            run.started_at,
            run.completed_at,
        )
        for run in page.items
    ]
    total = "" if page.total is None else f"\n{page.total} in total\n"
    return write_table(_COLUMNS, rows) + total + _more(page.next_cursor)


def history_table(page: HistoryPage) -> str:
    """Return a history as a table, and how to go on."""
    columns = ("at", "verb", "from", "to", "attempt", "actor", "reason", "request_id")
    rows = [(e.at, e.verb, e.from_, e.to, e.attempt, e.actor, e.reason, e.request_id) for e in page.items]
    return write_table(columns, rows) + _more(page.next_cursor)


def run_facts(run: WorkflowRun) -> PlainTextResponse:
    """Return one run as text, one fact a line; JSON stays JSON on its line."""
    facts = {name: getattr(run, name) for name in ("workflow_run_id", "display_name", "status", "reason")}
    for name in ("error", "result", "inputs", "tags"):
        facts[name] = None if getattr(run, name) is None else _json(getattr(run, name))
    for name in ("queue", "created_by", "parent_workflow_run_id", "attempt", "revision"):
        facts[name] = getattr(run, name)
    for name in ("created_at", "started_at", "completed_at", "deadline_at", "heartbeat_expires_at"):
        facts[name] = getattr(run, name)
    facts["progress"] = _progress_line(run)
    return PlainTextResponse(write_facts(facts), headers={"ETag": entity_tag(run.revision)})


def _progress_line(run: WorkflowRun) -> str:
    progress = run.progress
    ended = progress.completed + progress.failed + progress.cancelled
    return "no tasks" if not progress.total else f"{ended} of {progress.total} ended ({progress.percent:.0f}%)"


def _json(value: object) -> str:
    return to_json(value).decode()


def _more(next_cursor: str | None) -> str:
    return "" if next_cursor is None else f"\nmore: add cursor={next_cursor}\n"
