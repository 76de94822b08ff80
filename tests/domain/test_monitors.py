"""How monitors stand follows from their slots, the runs that came since, and the time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as some

from app.domain.monitors import FOLLOWED_MOST, OVERLAP, SETTLE, WatchedRun, begin_watch, slot_after, watch
from app.domain.records import MonitorRow
from milepost.schemas.monitors import MonitorState
from milepost.schemas.workflow_runs import RunStatus

START = datetime(2026, 1, 31, tzinfo=UTC)
EVERY = 100.0


def at(seconds: float) -> datetime:
    """Return the moment so many seconds after the monitor was made."""
    return START + timedelta(seconds=seconds)


def new_monitor(**changes: Any) -> MonitorRow:
    """Return a monitor of every hundred seconds with ten seconds of grace, as it is made."""
    settings: dict[str, Any] = {
        "name": "m",
        "workflow_name": "w",
        "every_seconds": EVERY,
        "grace_seconds": 10.0,
        "tags": {},
    }
    nothing: dict[str, Any] = dict.fromkeys(MonitorRow._fields) | {"paused": False, "now": START}
    return begin_watch(MonitorRow(**nothing | settings | changes), changes.get("now", START))


@dataclass(frozen=True)
class Life:
    """What becomes of a run: when it is created, and when it ends and how."""

    created: float
    ended: float | None = None
    status: RunStatus = RunStatus.completed
    number: int = 0

    def seen_at(self, seconds: float) -> WatchedRun:
        """Return it as it stands so many seconds after the start."""
        has_ended = self.ended is not None and self.ended <= seconds
        status = self.status if has_ended else RunStatus.running
        ended = at(self.ended) if self.ended is not None and has_ended else None
        created = at(self.created)
        return WatchedRun(UUID(int=self.number), status, 1, 1 + has_ended, created, created, ended, ended or created)


def look(monitor: MonitorRow, lives: Sequence[Life], *moments: float) -> list[MonitorRow]:
    """Return all steps of a monitor that is looked at at some moments, each ending with how it is kept."""
    steps = [monitor]
    for moment in moments:
        runs = [
            life.seen_at(moment)
            for life in lives
            if life.created <= moment
            and (at(life.created) >= steps[-1].seen_from or str(UUID(int=life.number)) in steps[-1].followed)
        ]
        steps += watch(steps[-1]._replace(now=at(moment)), runs, at(moment))
    return steps


def verbs(steps: Sequence[MonitorRow]) -> list[str]:
    """Return what is told of the steps, as the triggers of the table do."""
    told = []
    for before, after in pairwise(steps):
        was_off = before.late_since is not None or before.consecutive_failures > 0
        if after.late_since is not None and before.late_since is None:
            told.append("late")
        elif after.consecutive_failures > 0 and before.consecutive_failures == 0:
            told.append("failed")
        elif was_off and after.late_since is None and not after.consecutive_failures:
            told.append("recovered")
    return told


FAILED, CANCELLED = RunStatus.failed, RunStatus.cancelled
STORIES: dict[str, tuple[list[Life], list[float], str, list[str]]] = {
    "nothing_yet": ([], [50], "waiting", []),
    "nothing_in_the_grace": ([], [109], "waiting", []),
    "nothing_came": ([], [111], "late", ["late"]),
    "nothing_came_for_long": ([], [111, 250, 1000], "late", ["late"]),
    "nothing_came_and_nobody_looked": ([], [1000], "late", ["late"]),
    "it_runs": ([Life(90)], [95], "running", []),
    "it_runs_over_its_grace": ([Life(90)], [150], "running", []),
    "it_came_early": ([Life(1, 2)], [150], "ok", []),
    "it_came_in_the_grace": ([Life(109, 112)], [120], "ok", []),
    "it_came_at_the_end_of_the_grace": ([Life(110)], [120], "late", ["late"]),
    "early_meets_only_one": ([Life(1, 2)], [211], "late", ["late"]),
    "two_of_one_slot_meet_only_one": ([Life(1, 2), Life(50, 51)], [211], "late", ["late"]),
    "late_holds_until_it_completes": ([Life(120)], [150], "late", ["late"]),
    "late_holds_while_one_is_cancelled": ([Life(120, 130, CANCELLED)], [150], "late", ["late"]),
    "late_and_then_completed": ([Life(120, 130)], [150], "ok", ["late", "recovered"]),
    "late_again": ([Life(120, 130)], [350], "late", ["late", "recovered", "late"]),
    "completed_after_two_missed": ([Life(230, 240)], [260], "ok", ["late", "recovered"]),
    "failed": ([Life(50, 60, FAILED)], [70], "failing", ["failed"]),
    "failed_twice_is_told_once": ([Life(50, 60, FAILED), Life(150, 160, FAILED)], [170], "failing", ["failed"]),
    "failing_holds_while_it_runs": ([Life(50, 60, FAILED), Life(70)], [75], "failing", ["failed"]),
    "failing_and_missed": ([Life(50, 60, FAILED)], [250], "failing", ["failed", "late"]),
    "late_and_then_failed": ([Life(120, 130, FAILED)], [150], "failing", ["late", "failed"]),
    "failed_and_completed": ([Life(50, 60, FAILED), Life(70, 80)], [90], "ok", ["failed", "recovered"]),
    "all_of_it": (
        [Life(120, 130, FAILED), Life(140, 150), Life(160, 170, FAILED)],
        [180],
        "failing",
        ["late", "failed", "recovered", "failed"],
    ),
    "cancelled_meets_its_slot": ([Life(50, 60, CANCELLED)], [150], "waiting", []),
    "an_older_one_completes": ([Life(10, 80), Life(20, 30, FAILED)], [90], "ok", ["failed", "recovered"]),
}


class TestWatch:
    @pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
    def test_state_and_what_is_told_follow_from_runs_and_time(
        self, story: tuple[list[Life], list[float], str, list[str]]
    ) -> None:
        lives, moments, state, told = story
        numbered = [Life(life.created, life.ended, life.status, number) for number, life in enumerate(lives)]
        steps = look(new_monitor(), numbered, *moments)
        assert (steps[-1].state, verbs(steps)) == (state, told)

    def test_run_counts_from_creation_of_the_monitor(self) -> None:
        assert slot_after(new_monitor(), at(-500)) == at(100)

    def test_next_expected_is_the_first_that_no_run_has_met(self) -> None:
        monitor = new_monitor()
        assert monitor.next_expected_at == at(100)
        assert look(monitor, [Life(1, 2)], 3)[-1].next_expected_at == at(200)
        assert look(monitor, [], 111)[-1].next_expected_at == at(200)

    def test_late_since_is_the_first_slot_that_was_missed(self) -> None:
        assert look(new_monitor(), [], 111, 950)[-1].late_since == at(100)

    def test_failures_are_counted_until_one_completes(self) -> None:
        lives = [Life(10 * number, 10 * number + 5, FAILED, number) for number in range(1, 4)]
        assert look(new_monitor(), lives, 18, 28, 38)[-1].consecutive_failures == 3
        assert look(new_monitor(), [*lives, Life(40, 45, number=9)], 50)[-1].consecutive_failures == 0

    def test_too_long_a_run_is_one_failure_even_if_it_fails_then(self) -> None:
        steps = look(new_monitor(max_runtime_seconds=20.0), [Life(50, 90, FAILED)], 60, 71, 80, 95)
        assert verbs(steps) == ["failed"]
        assert steps[-1].consecutive_failures == 1

    def test_too_long_a_run_that_completes_recovers(self) -> None:
        steps = look(new_monitor(max_runtime_seconds=20.0), [Life(50, 90)], 60, 71, 95)
        assert verbs(steps) == ["failed", "recovered"]

    def test_too_long_a_run_that_is_cancelled_stays_a_failure(self) -> None:
        steps = look(new_monitor(max_runtime_seconds=20.0), [Life(50, 90, CANCELLED)], 60, 71, 95)
        assert (verbs(steps), steps[-1].state) == (["failed"], "failing")

    def test_it_is_looked_at_when_a_run_becomes_too_long(self) -> None:
        assert look(new_monitor(max_runtime_seconds=20.0), [Life(50)], 60)[-1].look_at == at(70)

    def test_it_is_looked_at_when_the_grace_is_over(self) -> None:
        assert look(new_monitor(), [], 60)[-1].look_at == at(110) + SETTLE

    def test_retried_run_that_completes_recovers(self) -> None:
        monitor = look(new_monitor(), [Life(50, 60, FAILED)], 65)[-1]
        again = Life(50, 80).seen_at(85)._replace(attempt=2, revision=5)
        (after,) = watch(monitor._replace(now=at(85)), [again], at(85))
        assert after.state == "ok"

    def test_second_attempt_that_fails_is_one_more_failure(self) -> None:
        monitor = look(new_monitor(), [Life(50, 60, FAILED)], 65)[-1]
        again = Life(50, 80, FAILED).seen_at(85)._replace(attempt=2, revision=5)
        assert watch(monitor._replace(now=at(85)), [again], at(85))[-1].consecutive_failures == 2

    def test_second_attempt_may_take_as_long_as_the_first(self) -> None:
        monitor = look(new_monitor(max_runtime_seconds=20.0), [Life(50, 60, FAILED)], 65)[-1]
        again = Life(50).seen_at(75)._replace(attempt=2, revision=5, updated_at=at(74))
        (after,) = watch(monitor._replace(now=at(75)), [again], at(75))
        assert (after.consecutive_failures, after.look_at) == (1, at(94))

    def test_end_that_is_told_with_a_wrong_clock_is_taken_as_of_now(self) -> None:
        run = Life(50, 60).seen_at(65)._replace(completed_at=at(1_000_000))
        (after,) = watch(new_monitor(now=START)._replace(now=at(65)), [run], at(65))
        assert (after.last_ok_at, after.next_expected_at) == (at(65), at(200))

    def test_run_recorded_after_it_was_over_counts_from_when_it_was_recorded(self) -> None:
        run = Life(50, 50).seen_at(65)._replace(started_at=at(-900), completed_at=at(-800))
        (after,) = watch(new_monitor()._replace(now=at(65)), [run], at(65))
        assert (after.state, after.last_ok_at) == ("ok", at(50))

    def test_ended_runs_are_forgotten_after_a_while(self) -> None:
        monitor = look(new_monitor(), [Life(10, 20)], 21)[-1]
        assert monitor.followed
        assert not look(monitor, [Life(10, 20)], 25 + OVERLAP.total_seconds())[-1].followed

    def test_no_more_runs_are_followed_than_there_may_be(self) -> None:
        lives = [Life(number / 100, number=number) for number in range(FOLLOWED_MOST + 50)]
        after = look(new_monitor(), lives, 10)[-1]
        assert len(after.followed) == FOLLOWED_MOST
        assert after.seen_from > at(0.49)

    def test_cron_slots_are_local_times(self) -> None:
        monitor = new_monitor(every_seconds=None, cron="0 2 * * *", timezone="Europe/Berlin")
        assert monitor.next_expected_at == datetime(2026, 1, 31, 1, tzinfo=UTC)


times = some.integers(1, 2000).map(lambda number: number / 2)
lives = some.lists(
    some.builds(
        lambda created, took, status: Life(created, None if took is None else created + took, status),
        times,
        some.none() | some.integers(0, 400).map(lambda number: number / 4 + 0.1),
        some.sampled_from([RunStatus.completed, FAILED, CANCELLED]),
    ),
    max_size=12,
    unique_by=(lambda life: life.created, lambda life: life.ended or life.created),
).map(lambda found: [Life(life.created, life.ended, life.status, number) for number, life in enumerate(found)])


class TestAnyLives:
    @given(lives, some.lists(times, max_size=8))
    def test_it_does_not_matter_when_it_is_looked_at(self, lives: list[Life], moments: list[float]) -> None:
        once, often = look(new_monitor(), lives, 1500), look(new_monitor(), lives, *sorted(moments), 1500)
        assert verbs(once) == verbs(often)
        keep = ("state", "late_since", "consecutive_failures", "next_expected_at", "last_run_id", "last_ok_at")
        assert [getattr(once[-1], name) for name in keep] == [getattr(often[-1], name) for name in keep]

    @given(lives, some.integers(0, 50))
    def test_it_is_late_since_the_first_slot_that_no_run_belongs_to(self, lives: list[Life], grace: int) -> None:
        """As the contract says it: each run belongs to the first slot whose grace was not over at its creation."""
        lives = [Life(life.created, number=life.number) for life in lives]
        met = {next(n for n in range(1, 99) if EVERY * n + grace > life.created) for life in lives}
        missed = [n for n in range(1, 99) if n not in met and EVERY * n + grace <= 1500 - 1]
        last = look(new_monitor(grace_seconds=float(grace)), lives, 1500)[-1]
        assert last.late_since == (at(EVERY * missed[0]) if missed else None)
        open_slots = (n for n in range(1, 99) if n not in met and EVERY * n + grace > 1500 - 1)
        assert last.next_expected_at == at(EVERY * next(open_slots))

    @given(lives, some.lists(times, max_size=8))
    def test_what_is_told_takes_turns(self, lives: list[Life], moments: list[float]) -> None:
        """Late and failed are told once each until it has recovered, and it recovers only from one of them."""
        off: set[str] = set()
        for verb in verbs(look(new_monitor(), lives, *sorted(moments), 1500)):
            assert (verb not in off) if verb != "recovered" else off
            off = set() if verb == "recovered" else off | {verb}


def test_start_at_the_end_of_time_is_never_too_long_ago() -> None:
    run = Life(5).seen_at(6)._replace(started_at=datetime.max.replace(tzinfo=UTC))
    (kept,) = watch(new_monitor(max_runtime_seconds=60.0, now=START)._replace(now=at(6)), [run], at(6))
    assert (kept.state, kept.consecutive_failures) == (MonitorState.running, 0)
