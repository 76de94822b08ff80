"""What a PATCH, and each verb, does to a workflow run."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from operator import is_

from pydantic import MISSING

from app.domain.json_texts import JsonValue, Storable
from app.domain.json_values import same_json
from app.domain.moves import FINAL, RUN_MOVES, allowed_for_run
from app.domain.records import RunRow
from app.domain.reported_progress import read_report
from app.domain.shown_runs import show_run
from app.errors import MoveNotAllowed, NotFound, TooManyLinks, ValidationFailed
from milepost.schemas.links import LINKS_MOST
from milepost.schemas.reasons import Reason
from milepost.schemas.workflow_runs import TAG_KEY_MAX_LENGTH, TAGS_MOST, RunStatus, WorkflowRunUpdate


def apply_update(run: RunRow, change: WorkflowRunUpdate, now: datetime) -> RunRow:
    """Return the run as ``change`` leaves it: ``run`` itself when the change holds nothing new.

    ``now`` is the database's time. Raises MoveNotAllowed, ValidationFailed.
    """
    now = max(now, run.updated_at)
    _check_executed(run, change)
    after = _update_ended(run, change) if run.status in FINAL else _update_open(run, change, now)
    if change.tags is not MISSING:
        after = after._replace(tags=_merge_tags(run.tags, change.tags))
    if change.task_count is not MISSING:
        after = after._replace(task_count=change.task_count)
    if change.reported_progress is not MISSING:
        after = after._replace(reported_progress=read_report(change.reported_progress).of(run.reported_progress))
    both = zip(run, after, strict=True)
    news = RunRow._make(stored if value is stored or _is_same(stored, value) else value for stored, value in both)
    return run if all(map(is_, news, run)) else _touch(news, now)


def is_executed(run: RunRow) -> bool:
    """Return whether the service executes ``run``, and does not only track it."""
    return run.workflow_id is not None


def allowed_for(run: RunRow) -> list[str]:
    """Return what ``run`` can do from where it stands: the statuses it may move to, then the verbs."""
    return allowed_for_run(run.status, is_executed=is_executed(run), is_paused=run.paused_at is not None)


def _check_executed(run: RunRow, change: WorkflowRunUpdate) -> None:
    """Raise MoveNotAllowed if ``change`` reports what only the execution of ``run`` can bring about."""
    if not is_executed(run):
        return
    reported = ("status", "result", "error", "started_at", "completed_at")
    given = [name for name in reported if getattr(change, name) is not MISSING]
    news = [name for name in given if not _is_same(getattr(run, name), getattr(change, name))]
    if news:
        raise move_refused(run, f"the service executes this run; its {news[0]} cannot be reported")


def pause_run(run: RunRow, now: datetime, *, is_paused: bool) -> RunRow:
    """Return the open ``run`` paused, or going on."""
    return _touch(run._replace(paused_at=now if is_paused else None), now)


def put_link(run: RunRow, name: str, link: Mapping[str, str | None], now: datetime) -> RunRow:
    """Return ``run`` with a link under ``name``: ``run`` itself when it has that already. Raises TooManyLinks."""
    links = run.links or {}
    if links.get(name) == link:
        return run
    if name not in links and len(links) >= LINKS_MOST:
        raise TooManyLinks(
            f"the run has {LINKS_MOST} links; delete one first", current=show_run(run), allowed=allowed_for(run)
        )
    return _touch(run._replace(links={**links, name: link}), now)


def delete_link(run: RunRow, name: str, now: datetime) -> RunRow:
    """Return ``run`` without the link under ``name``. Raises NotFound."""
    links = run.links or {}
    if name not in links:
        raise NotFound("the run has no link of this name")
    left = {other: link for other, link in links.items() if other != name}
    return _touch(run._replace(links=left or None), now)


def end_run(run: RunRow, status: RunStatus, ended_at: datetime, now: datetime) -> RunRow:
    """Return the open ``run`` as it has ended with ``status``. Raises MoveNotAllowed."""
    return _touch(_end(run, status, ended_at), now)


def _end(run: RunRow, status: RunStatus, ended_at: datetime) -> RunRow:
    if status not in RUN_MOVES[run.status]:
        raise move_refused(run, f"a {run.status} run cannot become {status}")
    return run._replace(status=status, completed_at=ended_at, heartbeat_expires_at=None, paused_at=None)


def _end_as_asked(run: RunRow, ended_at: datetime) -> RunRow:
    """Return ``run`` as it has ended because somebody asked for it."""
    return _end(run, RunStatus.cancelled, ended_at)._replace(reason=Reason.cancel_requested)


def request_cancel(run: RunRow, now: datetime, due_at: datetime) -> RunRow:
    """Return the open ``run`` after somebody asked to cancel it; asked again, it is the first request that counts."""
    return _touch(run._replace(cancel_requested_at=run.cancel_requested_at or now, cancel_due_at=due_at), now)


def cancel_run(run: RunRow, now: datetime) -> RunRow:
    """Return the open ``run`` cancelled."""
    now = max(now, run.updated_at)
    asked = run._replace(cancel_requested_at=run.cancel_requested_at or now)
    return _touch(_end_as_asked(asked, max(now, run.started_at or now)), now)


def reopen_run(run: RunRow, now: datetime) -> RunRow:
    """Return a failed or cancelled ``run`` opened for another attempt: its clocks start anew.

    Raises MoveNotAllowed.
    """
    if run.status not in (RunStatus.failed, RunStatus.cancelled):
        raise move_refused(run, f"a {run.status} run cannot be retried")
    opened = run._replace(status=RunStatus.pending, attempt=run.attempt + 1)
    opened = opened._replace(reason=None, error=None, result=None, completed_at=None, cancel_requested_at=None)
    if run.started_at is not None:
        opened = _start(opened, run.started_at, now)
    if run.deadline_at is not None:
        opened = opened._replace(deadline_at=now + (run.deadline_at - run.created_at))
    return _touch(opened, now)


def _touch(run: RunRow, now: datetime) -> RunRow:
    return run._replace(revision=run.revision + 1, updated_at=max(now, run.updated_at))


def move_refused(run: RunRow, detail: str) -> MoveNotAllowed:
    """Return the refusal that tells where ``run`` stands and what it can do from there."""
    return MoveNotAllowed(detail, current=show_run(run), allowed=allowed_for(run))


def _update_ended(run: RunRow, change: WorkflowRunUpdate) -> RunRow:
    """Return the ended ``run`` with the only thing that may still come to it: its start, when that is not known yet."""
    for name in ("status", "result", "error", "completed_at"):
        given = getattr(change, name)
        if name == "status" and given is RunStatus.failed and run.reason == Reason.cancel_requested:
            continue  # the cancel had won over this report
        if given is not MISSING and not _is_same(getattr(run, name), given):
            raise move_refused(run, f"the run has ended as {run.status}; its {name} does not change any more")
    started_at = _first_start(run, change)
    _check_order(started_at, run.completed_at, pointer="/started_at")
    return run._replace(started_at=started_at)


def _update_open(run: RunRow, change: WorkflowRunUpdate, now: datetime) -> RunRow:
    target = run.status if change.status is MISSING else change.status
    if target != run.status and target not in RUN_MOVES[run.status]:
        raise move_refused(run, f"a {run.status} run cannot become {target}")
    started_at = _first_start(run, change)
    after = run._replace(started_at=started_at)
    if change.result is not MISSING:
        after = after._replace(result=change.result)
    if change.error is not MISSING:
        after = after._replace(error=change.error)
    completed_at = None if change.completed_at is MISSING else change.completed_at
    if target in FINAL:
        ended_at = completed_at or max(now, started_at or now)
        _check_order(started_at, ended_at, pointer="/completed_at")
        if target is RunStatus.failed and run.cancel_requested_at is not None:
            return _end_as_asked(after, ended_at)
        return _end(after, target, ended_at)
    if completed_at is not None:
        raise ValidationFailed.at("/completed_at", "may only be given together with a final status")
    starts = target is RunStatus.running and run.status is RunStatus.pending
    return _start(after, started_at, now) if starts else after


def _start(run: RunRow, started_at: datetime | None, now: datetime) -> RunRow:
    """Return a pending ``run`` that runs, since ``started_at`` or else ``now``."""
    clock = None if run.heartbeat_seconds is None else now + timedelta(seconds=run.heartbeat_seconds)
    return run._replace(status=RunStatus.running, started_at=started_at or now, heartbeat_expires_at=clock)


def _first_start(run: RunRow, change: WorkflowRunUpdate) -> datetime | None:
    """Return when the run started: a start fills a null and never changes a value."""
    if change.started_at is MISSING or change.started_at == run.started_at:
        return run.started_at
    if run.started_at is not None:
        raise move_refused(run, "the run's started_at is set and does not change any more")
    return change.started_at


def _check_order(started_at: datetime | None, completed_at: datetime | None, *, pointer: str) -> None:
    if started_at and completed_at and completed_at < started_at:
        raise ValidationFailed.at(pointer, "the run would end before it started")


def _merge_tags(tags: Mapping[str, JsonValue], changes: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    """Return ``tags`` with ``changes`` merged in; null removes. Source: RFC 7396."""
    merged = {key: value for key, value in {**tags, **changes}.items() if value is not None}
    if any(not 1 <= len(key) <= TAG_KEY_MAX_LENGTH for key in changes):
        raise ValidationFailed.at("/tags", f"has a key that is empty or longer than {TAG_KEY_MAX_LENGTH} characters")
    if len(merged) > TAGS_MOST:
        raise ValidationFailed.at("/tags", f"the run would have {len(merged)} tags; at most {TAGS_MOST} are allowed")
    return merged


def _is_same(stored: Storable, given: Storable) -> bool:
    if isinstance(stored, datetime) or isinstance(given, datetime):
        return bool(stored == given)
    return same_json(stored, given)
