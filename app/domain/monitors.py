"""How monitors stand: a pure rule, from their slots, the runs that came since, and the time."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple
from uuid import UUID

from app.domain.cron import next_firing, parse_cron
from app.domain.json_texts import Json
from app.domain.moves import OPEN
from app.domain.records import MonitorRow
from milepost.schemas.monitors import MonitorState
from milepost.schemas.workflow_runs import RunStatus

SETTLE = timedelta(milliseconds=250)
"""How long after a grace is over it is decided: a run that was created in time may be committed later."""
OVERLAP = timedelta(seconds=60)
"""Runs are looked for again that were created up to this long ago, for the same reason."""
REFRESH = timedelta(seconds=60)
"""How often a monitor with tags is looked at: so many runs of its name without them are read again and again."""
FOLLOWED_MOST = 500
"""How many runs are followed, the newest: the ends of others are not noticed."""
REOPENABLE_MOST = 20
"""How many failed and cancelled runs are followed, the newest: they may be retried."""
_RESOLUTION = timedelta(microseconds=1)
_LAST = datetime.max.replace(tzinfo=UTC)


class WatchedRun(NamedTuple):
    """What a monitor looks at of a run; what the members mean is said at the columns of its model."""

    workflow_run_id: UUID
    status: RunStatus
    attempt: int
    revision: int
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    updated_at: datetime


class _Seen(NamedTuple):
    """What was seen of a run, as it is kept; the revision comes first."""

    revision: int
    attempt: int
    has_failed: bool
    """This attempt counts as a failure."""
    has_completed: bool
    reopened_at: datetime | None
    """When its second or a later attempt was seen first: the time that it runs counts from there."""


class _Event(NamedTuple):
    """Something that happened to a run."""

    at: datetime
    is_end: bool
    run: WatchedRun
    verb: str


def state_of(monitor: MonitorRow, *, is_running: bool = False) -> MonitorState:
    """Return how a monitor stands, given whether a run of it is running."""
    if monitor.paused:
        return MonitorState.paused
    if monitor.consecutive_failures:
        return MonitorState.failing
    if monitor.late_since is not None:
        return MonitorState.late
    if is_running:
        return MonitorState.running
    has_completed = monitor.last_ok_at is not None and monitor.last_ok_at >= monitor.since_at
    return MonitorState.ok if has_completed else MonitorState.waiting


def slot_after(monitor: MonitorRow, moment: datetime) -> datetime | None:
    """Return the first slot of a monitor after ``moment``; None if there is none in the next fifty years."""
    moment = max(moment, monitor.since_at)
    if monitor.every_seconds is None:
        return next_firing(parse_cron(monitor.cron or ""), monitor.timezone or "UTC", moment)
    every = timedelta(seconds=monitor.every_seconds)
    return monitor.since_at + ((moment - monitor.since_at) // every + 1) * every


def begin_watch(monitor: MonitorRow, now: datetime) -> MonitorRow:
    """Return a monitor that waits for its next slot from ``now`` on, as one does that is new or resumed."""
    begun = monitor._replace(since_at=now, seen_from=now, followed={}, late_since=None, consecutive_failures=0)
    expected = None if monitor.paused else slot_after(begun, now)
    return begun._replace(next_expected_at=expected, look_at=expected and now, state=state_of(begun))


def watch(monitor: MonitorRow, runs: Sequence[WatchedRun], known_until: datetime) -> list[MonitorRow]:
    """Return how a monitor stands after what happened, step by step: each but perhaps the last is one to tell of.

    ``runs`` are those it follows and new ones, of which all are known that were created up to ``known_until``.
    """
    seen = {run.workflow_run_id: _look(run, monitor.followed.get(str(run.workflow_run_id))) for run in runs}
    events = sorted(event for run in runs for event in _events_of(monitor, run, seen[run.workflow_run_id]))
    rows = [monitor]
    for event in events:
        rows.append(_miss(rows[-1], min(event.at, known_until) if event.is_end else event.at))
        rows.append(_TAKE[event.verb](rows[-1], event))
    rows.append(_miss(rows[-1], known_until - SETTLE))
    told = [after for before, after in pairwise(rows) if _standing(before) != _standing(after)]
    return [row._replace(state=state_of(row)) for row in told[:-1]] + [_keep(rows[-1], runs, seen, known_until)]


def _standing(monitor: MonitorRow) -> tuple[bool, bool]:
    return monitor.late_since is not None, monitor.consecutive_failures > 0


def _look(run: WatchedRun, kept: Json) -> _Seen | None:
    """Return what was seen of a run before, of the attempt that it has now; None of one that is new."""
    if kept is None:
        return None
    revision, attempt, has_failed, has_completed, reopened_at = kept
    if attempt != run.attempt:
        return _Seen(run.revision, run.attempt, has_failed=False, has_completed=False, reopened_at=run.updated_at)
    moment = None if reopened_at is None else datetime.fromisoformat(reopened_at)
    return _Seen(revision, attempt, has_failed, has_completed, moment)


def _events_of(monitor: MonitorRow, run: WatchedRun, seen: _Seen | None) -> Iterator[_Event]:
    """Yield what happened to a run that was not seen before."""
    if seen is None:
        yield _Event(run.created_at, False, run, "created")
    if run.status is RunStatus.completed and not (seen and seen.has_completed):
        yield _Event(_ended_at(monitor, run), True, run, "completed")
    if seen and seen.has_failed:
        return
    if run.status is RunStatus.failed:
        yield _Event(_ended_at(monitor, run), True, run, "failed")
    elif (due_at := _too_long_at(monitor, run, seen)) is not None and due_at <= monitor.now:
        yield _Event(max(due_at, run.created_at), True, run, "failed")


def _ended_at(monitor: MonitorRow, run: WatchedRun) -> datetime:
    """Return when a run has ended, which its caller may have told with a clock that is wrong."""
    return max(run.created_at, min(run.completed_at or monitor.now, monitor.now))


def _too_long_at(monitor: MonitorRow, run: WatchedRun, seen: _Seen | None) -> datetime | None:
    """Return from when on a run runs too long; None if it does not run, or may for ever."""
    if monitor.max_runtime_seconds is None or run.status is not RunStatus.running or run.started_at is None:
        return None
    reopened_at = seen.reopened_at if seen else None
    began, most = max(run.started_at, reopened_at or run.started_at), timedelta(seconds=monitor.max_runtime_seconds)
    return began + most if began <= _LAST - most else None  # its caller may have told any time


def _miss(monitor: MonitorRow, moment: datetime) -> MonitorRow:
    """Return a monitor that has given up the slots whose grace is over at ``moment``."""
    expected, grace = monitor.next_expected_at, timedelta(seconds=monitor.grace_seconds)
    if expected is None or expected + grace > moment:
        return monitor
    return monitor._replace(
        late_since=monitor.late_since or expected, next_expected_at=slot_after(monitor, moment - grace)
    )


def _meet(monitor: MonitorRow, event: _Event) -> MonitorRow:
    """Return a monitor that has a new run, which meets the first slot whose grace was not over."""
    slot = slot_after(monitor, event.run.created_at - timedelta(seconds=monitor.grace_seconds))
    expected = monitor.next_expected_at
    if slot is not None and slot == expected:
        expected = slot_after(monitor, slot)
    return monitor._replace(last_run_id=event.run.workflow_run_id, next_expected_at=expected)


def _recover(monitor: MonitorRow, event: _Event) -> MonitorRow:
    last_ok_at = max(event.at, monitor.last_ok_at or event.at)
    return monitor._replace(last_ok_at=last_ok_at, late_since=None, consecutive_failures=0)


def _fail(monitor: MonitorRow, event: _Event) -> MonitorRow:
    del event
    return monitor._replace(consecutive_failures=monitor.consecutive_failures + 1)


_TAKE = {"created": _meet, "completed": _recover, "failed": _fail}


def _keep(
    monitor: MonitorRow, runs: Sequence[WatchedRun], seen: Mapping[UUID, _Seen | None], known_until: datetime
) -> MonitorRow:
    """Return a monitor as it is kept until it is looked at again."""
    seen_from = max(monitor.seen_from, known_until - OVERLAP)
    followed, dropped = _choose_followed(runs, seen_from)
    after = {run.workflow_run_id: _note(monitor, run, seen[run.workflow_run_id]) for run in followed}
    kept = monitor._replace(
        state=state_of(monitor, is_running=any(run.status is RunStatus.running for run in followed)),
        seen_from=max([seen_from, *(run.created_at + _RESOLUTION for run in dropped)]),
        followed={str(run_id): _write(note) for run_id, note in after.items()},
    )
    return kept._replace(look_at=_look_at(kept, followed, after))


def _choose_followed(
    runs: Sequence[WatchedRun], seen_from: datetime
) -> tuple[Sequence[WatchedRun], Sequence[WatchedRun]]:
    """Return the runs that are followed from now on, and those for which there is no room."""
    newest = sorted(runs, key=lambda run: (run.created_at, run.workflow_run_id), reverse=True)
    reopenable = [run for run in newest if run.status in (RunStatus.failed, RunStatus.cancelled)][:REOPENABLE_MOST]
    kept = [run for run in newest if run.status in OPEN or run.created_at >= seen_from or run in reopenable]
    return kept[:FOLLOWED_MOST], kept[FOLLOWED_MOST:]


def _note(monitor: MonitorRow, run: WatchedRun, seen: _Seen | None) -> _Seen:
    """Return what is to be known of a run when it is looked at again."""
    due_at = _too_long_at(monitor, run, seen)
    has_failed = bool(seen and seen.has_failed) or run.status is RunStatus.failed
    return _Seen(
        run.revision,
        run.attempt,
        has_failed or (due_at is not None and due_at <= monitor.now),
        run.status is RunStatus.completed,
        seen.reopened_at if seen else None,
    )


def _write(seen: _Seen) -> list[Json]:
    return [*seen[:-1], None if seen.reopened_at is None else seen.reopened_at.isoformat()]


def _look_at(monitor: MonitorRow, runs: Sequence[WatchedRun], seen: Mapping[UUID, _Seen]) -> datetime | None:
    """Return when a monitor has to be looked at although no run has changed."""
    moments = [
        due_at
        for run in runs
        if not seen[run.workflow_run_id].has_failed
        and (due_at := _too_long_at(monitor, run, seen[run.workflow_run_id])) is not None
    ]
    if monitor.next_expected_at is not None:
        moments.append(monitor.next_expected_at + timedelta(seconds=monitor.grace_seconds) + SETTLE)
    if monitor.tags:
        moments.append(monitor.now + REFRESH)
    return min(moments, default=None)
