"""What a PATCH does to a workflow run."""

from datetime import datetime, timedelta
from typing import Any

from pydantic import MISSING

from app.domain.json_values import same_json
from app.domain.moves import FINAL, RUN_MOVES, allowed_for_run
from app.domain.progress import make_progress
from app.errors import MoveNotAllowed, ValidationFailed
from app.schemas.reasons import Reason
from app.schemas.workflow_runs import TAG_KEY_MAX_LENGTH, TAGS_MAX, RunStatus, WorkflowRun, WorkflowRunUpdate


def apply_update(run: WorkflowRun, change: WorkflowRunUpdate, now: datetime) -> WorkflowRun:
    """Return the run as ``change`` leaves it: ``run`` itself when the change holds nothing new.

    ``now`` is the database's time. Raises MoveNotAllowed, ValidationFailed.
    """
    now = max(now, run.updated_at)
    _check_executed(run, change)
    facts = _ended_facts(run, change) if run.status in FINAL else _open_facts(run, change, now)
    if change.tags is not MISSING:
        facts["tags"] = _merge_tags(run.tags, change.tags)
    if change.task_count is not MISSING:
        facts["task_count"] = change.task_count
    news = {name: value for name, value in facts.items() if not _is_same(getattr(run, name), value)}
    if not news:
        return run
    if "task_count" in news:
        news["progress"] = make_progress(news["task_count"], run.progress.model_dump())
    return _changed(run, news, now)


def is_executed(run: WorkflowRun) -> bool:
    """Return whether the service executes ``run``, and does not only track it."""
    return run.data_interval_start is not None


def _check_executed(run: WorkflowRun, change: WorkflowRunUpdate) -> None:
    """Raise MoveNotAllowed if ``change`` reports what only the execution of ``run`` can bring about."""
    reported = ("status", "result", "error", "started_at", "completed_at")
    given = [name for name in reported if getattr(change, name) is not MISSING]
    news = [name for name in given if not _is_same(getattr(run, name), getattr(change, name))]
    if news and is_executed(run):
        raise move_refused(run, f"the service executes this run; its {news[0]} cannot be reported")


def pause_run(run: WorkflowRun, now: datetime, *, is_paused: bool) -> WorkflowRun:
    """Return the open ``run`` paused, or going on."""
    return _changed(run, {"paused_at": now if is_paused else None}, now)


def end_run(run: WorkflowRun, status: RunStatus, ended_at: datetime) -> dict[str, Any]:
    """Return the facts that change when ``run`` ends with ``status``."""
    if status not in RUN_MOVES[run.status]:
        raise move_refused(run, f"a {run.status} run cannot become {status}")
    return {"status": status, "completed_at": ended_at, "heartbeat_expires_at": None, "paused_at": None}


def cancel_facts(run: WorkflowRun, ended_at: datetime) -> dict[str, Any]:
    """Return the facts that change when ``run`` ends because somebody asked for it."""
    return end_run(run, RunStatus.cancelled, ended_at) | {"reason": Reason.cancel_requested}


def request_cancel(run: WorkflowRun, now: datetime) -> WorkflowRun:
    """Return the open ``run`` after somebody asked to cancel it; asked again, it is the first request that counts."""
    return _changed(run, {"cancel_requested_at": run.cancel_requested_at or now}, now)


def cancel_run(run: WorkflowRun, now: datetime) -> WorkflowRun:
    """Return the open ``run`` cancelled."""
    now = max(now, run.updated_at)
    asked = {"cancel_requested_at": run.cancel_requested_at or now}
    return _changed(run, asked | cancel_facts(run, max(now, run.started_at or now)), now)


def reopen_run(run: WorkflowRun, now: datetime) -> WorkflowRun:
    """Return a failed or cancelled ``run`` opened for another attempt: its clocks start anew.

    Raises MoveNotAllowed.
    """
    if run.status not in (RunStatus.failed, RunStatus.cancelled):
        raise move_refused(run, f"a {run.status} run cannot be retried")
    facts: dict[str, Any] = {"status": RunStatus.pending, "attempt": run.attempt + 1}
    if run.started_at is not None:
        facts |= start_run(run, run.started_at, now)
    if run.deadline_at is not None:
        facts["deadline_at"] = now + (run.deadline_at - run.created_at)
    cleared = dict.fromkeys(("reason", "error", "result", "completed_at", "cancel_requested_at"))
    return _changed(run, cleared | facts, now)


def _changed(run: WorkflowRun, facts: dict[str, Any], now: datetime) -> WorkflowRun:
    return run.model_copy(update={**facts, "revision": run.revision + 1, "updated_at": max(now, run.updated_at)})


def move_refused(run: WorkflowRun, detail: str) -> MoveNotAllowed:
    """Return the refusal that tells where ``run`` stands and what it can do from there."""
    return MoveNotAllowed(detail, current=run, allowed=allowed_for_run(run.status))


def _ended_facts(run: WorkflowRun, change: WorkflowRunUpdate) -> dict[str, Any]:
    """Return the only fact that may still come to an ended run: its start, when it is not known yet."""
    for name in ("status", "result", "error", "completed_at"):
        given = getattr(change, name)
        if name == "status" and given is RunStatus.failed and run.reason is Reason.cancel_requested:
            continue  # the cancel had won over this report
        if given is not MISSING and not _is_same(getattr(run, name), given):
            raise move_refused(run, f"the run has ended as {run.status}; its {name} does not change any more")
    facts = {"started_at": _first_start(run, change)}
    _check_order(facts["started_at"], run.completed_at, pointer="/started_at")
    return facts


def _open_facts(run: WorkflowRun, change: WorkflowRunUpdate, now: datetime) -> dict[str, Any]:
    target = run.status if change.status is MISSING else change.status
    if target != run.status and target not in RUN_MOVES[run.status]:
        raise move_refused(run, f"a {run.status} run cannot become {target}")
    facts: dict[str, Any] = {
        name: getattr(change, name) for name in ("result", "error") if getattr(change, name) is not MISSING
    }
    facts["started_at"] = _first_start(run, change)
    completed_at = None if change.completed_at is MISSING else change.completed_at
    if target in FINAL:
        ended_at = completed_at or max(now, facts["started_at"] or now)
        _check_order(facts["started_at"], ended_at, pointer="/completed_at")
        if target is RunStatus.failed and run.cancel_requested_at is not None:
            return facts | cancel_facts(run, ended_at)
        return facts | end_run(run, target, ended_at)
    if completed_at is not None:
        raise ValidationFailed.at("/completed_at", "may only be given together with a final status")
    if target is RunStatus.running and run.status is RunStatus.pending:
        facts |= start_run(run, facts["started_at"], now)
    return facts


def start_run(run: WorkflowRun, started_at: datetime | None, now: datetime) -> dict[str, Any]:
    """Return the facts that change when a pending ``run`` starts, at ``started_at`` or else ``now``."""
    clock = None if run.heartbeat_seconds is None else now + timedelta(seconds=run.heartbeat_seconds)
    return {"status": RunStatus.running, "started_at": started_at or now, "heartbeat_expires_at": clock}


def _first_start(run: WorkflowRun, change: WorkflowRunUpdate) -> datetime | None:
    """Return when the run started: a start fills a null and never changes a value."""
    if change.started_at is MISSING or change.started_at == run.started_at:
        return run.started_at
    if run.started_at is not None:
        raise move_refused(run, "the run's started_at is set and does not change any more")
    return change.started_at


def _check_order(started_at: datetime | None, completed_at: datetime | None, *, pointer: str) -> None:
    if started_at and completed_at and completed_at < started_at:
        raise ValidationFailed.at(pointer, "the run would end before it started")


def _merge_tags(tags: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return ``tags`` with ``changes`` merged in; null removes. Source: RFC 7396."""
    merged = {key: value for key, value in {**tags, **changes}.items() if value is not None}
    if any(not 1 <= len(key) <= TAG_KEY_MAX_LENGTH for key in changes):
        raise ValidationFailed.at("/tags", f"has a key that is empty or longer than {TAG_KEY_MAX_LENGTH} characters")
    if len(merged) > TAGS_MAX:
        raise ValidationFailed.at("/tags", f"the run would have {len(merged)} tags; at most {TAGS_MAX} are allowed")
    return merged


def _is_same(stored: Any, given: Any) -> bool:
    if isinstance(stored, datetime) or isinstance(given, datetime):
        return bool(stored == given)
    return same_json(stored, given)
