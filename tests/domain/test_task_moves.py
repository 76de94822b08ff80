"""How a task moves outside the hot path."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from app.domain.moves import (
    TASK_FINAL,
    TASK_MOVES,
    TASK_OPEN,
    TASK_VERBS,
    TASK_WAITING,
    UnknownMoveError,
    allowed_for_task,
)
from app.domain.records import TaskRow
from app.domain.retries import Sequel
from app.domain.task_moves import end, follow, past_attempt, put_to_sleep, release, reopen, suspend, wake
from milepost.schemas.reasons import Reason
from milepost.schemas.tasks import TaskStatus
from tests.factories import task_row

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
BEFORE, LATER = NOW - timedelta(minutes=1), NOW + timedelta(minutes=1)
FIRST, NEXT, TOKEN = (UUID(int=n) for n in (1, 2, 3))
ERROR = {"name": "Broken", "message": "it broke"}


def running(**changes: Any) -> TaskRow:
    """Return a stored task that runs."""
    return task_row(
        **{
            "task_id": FIRST,
            "run_id": FIRST,
            "status": TaskStatus.running,
            "max_attempts": 2,
            "claimed_by": "w",
            "lease_token": TOKEN,
            "lease_expires_at": LATER,
            "first_started_at": BEFORE,
            "started_at": BEFORE,
            "updated_at": BEFORE,
            "revision": 2,
            **changes,
        }
    )


def sleeping(**changes: Any) -> TaskRow:
    """Return a task that awaits an event, as it is stored."""
    return suspend(running(), "s", ["paid"], None, LATER, NOW)._replace(**changes)


MOVED: dict[str, TaskRow] = {
    "completed": end(running(), TaskStatus.completed, None, NOW),
    "cancelled": end(running(), TaskStatus.cancelled, Reason.cancel_requested, NOW),
    "cancelled while asleep": end(sleeping(), TaskStatus.cancelled, Reason.run_ended, NOW),
    "failed": follow(running(), Sequel(TaskStatus.failed, Reason.attempts_exhausted), NOW, ERROR, NEXT),
    "retried": follow(running(), Sequel(TaskStatus.pending, None, NOW), NOW, ERROR, NEXT),
    "retried later": follow(running(), Sequel(TaskStatus.sleeping, None, LATER), NOW, ERROR, NEXT),
    "put to sleep": put_to_sleep(running(), LATER, NOW),
    "put to sleep until now": put_to_sleep(running(), NOW, NOW),
    "suspended": sleeping(),
    "suspended for ever": suspend(running(), "s", ["a", "b"], ["a", "b"], None, NOW),
    "woken": wake(sleeping(), NOW, "paid", 1),
    "released": release(running(), NOW),
    "reopened": reopen(end(running(), TaskStatus.failed, None, NOW, ERROR), 3, NEXT, NOW),
}


class TestEveryMove:
    @pytest.mark.parametrize("name", MOVED)
    def test_revision_grows_and_time_goes_on(self, name: str) -> None:
        assert MOVED[name].revision > running().revision
        assert MOVED[name].updated_at == NOW

    @pytest.mark.parametrize("name", MOVED)
    def test_lease_ends_unless_it_runs(self, name: str) -> None:
        task = MOVED[name]
        assert (task.status == TaskStatus.running) == (task.lease_expires_at is not None)

    @pytest.mark.parametrize("name", MOVED)
    def test_times_of_the_end_stand_with_the_end(self, name: str) -> None:
        task = MOVED[name]
        assert (task.status in TASK_FINAL) == (task.completed_at is not None)
        assert (task.status == TaskStatus.cancelled) == (task.cancelled_at is not None)
        assert task.status in TASK_OPEN or task.limit_at is None

    @pytest.mark.parametrize("name", MOVED)
    def test_only_waiting_tasks_are_ready_or_due(self, name: str) -> None:
        task = MOVED[name]
        if task.status not in (TaskStatus.pending, TaskStatus.sleeping):
            assert (task.ready_at, task.due_at, task.wake_at) == (None, None, None)
        assert task.ready_at is None or task.due_at is None

    def test_clock_that_goes_back_does_not_end_before_the_start(self) -> None:
        task = end(running(started_at=LATER, updated_at=LATER), TaskStatus.failed, None, NOW)
        assert task.completed_at == task.updated_at == LATER


class TestFollow:
    def test_failed_task_keeps_the_attempt_that_failed_it(self) -> None:
        task = MOVED["failed"]
        assert (task.attempt, task.run_id, task.error) == (1, FIRST, ERROR)
        assert task.reason is Reason.attempts_exhausted

    @pytest.mark.parametrize("name", ["retried", "retried later"])
    def test_next_attempt_starts_as_new(self, name: str) -> None:
        task = MOVED[name]
        assert (task.attempt, task.run_id, task.error, task.reason) == (2, NEXT, ERROR, None)
        assert (task.claimed_by, task.lease_token, task.started_at) == (None, None, None)
        assert task.first_started_at == BEFORE

    def test_error_is_that_of_the_failure(self) -> None:
        sequel = Sequel(TaskStatus.failed, Reason.attempts_exhausted)
        assert follow(running(error=ERROR), sequel, NOW, None, NEXT).error is None

    def test_delayed_attempt_waits_for_its_time(self) -> None:
        task = MOVED["retried later"]
        assert (task.ready_at, task.due_at, task.wake_at) == (None, LATER, LATER)


class TestPutAside:
    def test_attempt_stays(self) -> None:
        for name in ("put to sleep", "suspended", "released", "woken"):
            assert (MOVED[name].attempt, MOVED[name].run_id) == (1, FIRST)

    def test_time_that_has_come_is_ready(self) -> None:
        assert MOVED["put to sleep until now"].ready_at == NOW

    def test_single_event_is_named(self) -> None:
        assert (sleeping().wake_event, sleeping().wait_step, sleeping().wait_all) == ("paid", "s", None)
        assert MOVED["suspended for ever"].wait_all == ["a", "b"]
        assert MOVED["suspended for ever"].due_at is None

    def test_event_that_came_is_handed_on(self) -> None:
        task = MOVED["woken"]
        assert (task.wake_event, task.event_payload, task.ready_at) == ("paid", 1, NOW)
        assert (task.wait_step, task.wait_all, task.due_at) == (None, None, None)

    def test_released_task_is_ready_and_nobody_s(self) -> None:
        task = MOVED["released"]
        assert (task.status, task.ready_at, task.claimed_by) == (TaskStatus.pending, NOW, None)


class TestReopen:
    def test_everything_starts_anew(self) -> None:
        task = MOVED["reopened"]
        assert (task.status, task.attempt, task.run_id, task.max_attempts) == ("pending", 2, NEXT, 3)
        cleared = ("error", "reason", "completed_at", "cancelled_at", "first_started_at", "started_at", "limit_at")
        assert [getattr(task, name) for name in cleared] == [None] * len(cleared)

    def test_it_must_be_started_in_time_again(self) -> None:
        ended = end(running(max_delay_seconds=60.0), TaskStatus.failed, None, NOW, ERROR)
        assert reopen(ended, 2, NEXT, NOW).limit_at == LATER


class TestPastAttempt:
    def test_it_is_the_newest_of_the_task(self) -> None:
        past = past_attempt(running(), TaskStatus.failed, Reason.lost, NOW, ERROR)
        assert past._asdict() == {
            "run_id": FIRST,
            "task_id": FIRST,
            "attempt": 1,
            "status": TaskStatus.failed,
            "reason": Reason.lost,
            "claimed_by": "w",
            "lease_token": TOKEN,
            "started_at": BEFORE,
            "ended_at": NOW,
            "error": ERROR,
        }


def put_in(status: TaskStatus, then: TaskStatus) -> TaskRow:
    """Return a task in ``status`` after it was moved on to ``then``, in the way that leads there."""
    task = running(status=status)
    if then in TASK_FINAL:
        return end(task, then, None, NOW)
    if then is TaskStatus.sleeping:
        return put_to_sleep(task, LATER, NOW)
    return release(task, NOW)


ALL_MOVES = [(before, after) for before in TaskStatus for after in TaskStatus if after is not TaskStatus.running]
"""But for claims, which are made by SQL alone."""


class TestUnknownMoves:
    @pytest.mark.parametrize(("before", "after"), [move for move in ALL_MOVES if move[1] not in TASK_MOVES[move[0]]])
    def test_each_is_refused_where_it_is_made(self, before: TaskStatus, after: TaskStatus) -> None:
        with pytest.raises(UnknownMoveError, match=f"{before} task cannot become {after}"):
            put_in(before, after)

    @pytest.mark.parametrize(("before", "after"), [move for move in ALL_MOVES if move[1] in TASK_MOVES[move[0]]])
    def test_each_that_is_known_is_made(self, before: TaskStatus, after: TaskStatus) -> None:
        assert put_in(before, after).status is after

    @pytest.mark.parametrize("status", [status for status in TaskStatus if status is not TaskStatus.running])
    def test_only_an_attempt_that_runs_is_followed_by_another_or_put_aside(self, status: TaskStatus) -> None:
        for sequel in (Sequel(TaskStatus.pending, None, NOW), Sequel(TaskStatus.sleeping, None, LATER)):
            with pytest.raises(UnknownMoveError):
                follow(running(status=status), sequel, NOW, ERROR, NEXT)
        with pytest.raises(UnknownMoveError):
            suspend(running(status=status), "s", ["paid"], None, LATER, NOW)

    @pytest.mark.parametrize("status", TASK_WAITING)
    def test_attempt_of_a_step_is_also_followed_while_nobody_has_it(self, status: TaskStatus) -> None:
        item = follow(running(status=status, step="a"), Sequel(TaskStatus.sleeping, None, LATER), NOW, ERROR, NEXT)
        assert (item.status, item.attempt) == (TaskStatus.sleeping, 2)

    @pytest.mark.parametrize("status", TASK_FINAL)
    def test_attempt_of_a_step_that_has_ended_is_not_followed(self, status: TaskStatus) -> None:
        with pytest.raises(UnknownMoveError):
            follow(running(status=status, step="a"), Sequel(TaskStatus.pending, None, NOW), NOW, ERROR, NEXT)

    @pytest.mark.parametrize("status", [status for status in TaskStatus if status not in TASK_WAITING])
    def test_only_what_waits_is_woken(self, status: TaskStatus) -> None:
        with pytest.raises(UnknownMoveError):
            wake(running(status=status), NOW)

    @pytest.mark.parametrize("status", [*TASK_OPEN, TaskStatus.completed])
    def test_only_what_may_be_retried_is_opened_again(self, status: TaskStatus) -> None:
        with pytest.raises(UnknownMoveError):
            reopen(running(status=status), 3, NEXT, NOW)


class TestMovesOfTasks:
    def test_every_status_has_its_moves_and_verbs(self) -> None:
        assert set(TASK_MOVES) == set(TASK_VERBS) == set(TaskStatus)

    @pytest.mark.parametrize("status", TASK_FINAL)
    def test_final_status_leads_nowhere_by_itself(self, status: TaskStatus) -> None:
        assert TASK_MOVES[status] == ()

    @pytest.mark.parametrize("status", TASK_OPEN)
    def test_open_task_can_be_cancelled(self, status: TaskStatus) -> None:
        assert "cancel" in allowed_for_task(status)
        assert TaskStatus.cancelled in allowed_for_task(status)

    @pytest.mark.parametrize("status", TaskStatus)
    def test_only_what_failed_or_was_cancelled_can_be_retried(self, status: TaskStatus) -> None:
        assert ("retry" in allowed_for_task(status)) == (status in (TaskStatus.failed, TaskStatus.cancelled))
