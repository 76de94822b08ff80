"""What follows a failed attempt."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.records import TaskRow
from app.domain.retries import Failure, after_failure, count_loss, pause_seconds
from milepost.schemas.reasons import Reason
from milepost.schemas.tasks import DAY_SECONDS, TaskStatus
from tests.factories import task_row

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
CHANCES = st.floats(0, 1)
ATTEMPTS = st.integers(1, 10_000)
STRATEGIES = st.fixed_dictionaries(
    {"kind": st.sampled_from(["none", "fixed", "exponential"])},
    optional={
        "base_seconds": st.none() | st.floats(0, DAY_SECONDS),
        "factor": st.none() | st.floats(1, 1000),
        "max_seconds": st.none() | st.floats(0, DAY_SECONDS),
        "jitter": st.none() | st.booleans() | st.floats(0, 1),
    },
)


def task(**changes: Any) -> TaskRow:
    """Return a stored task that runs for the first of two times."""
    return task_row(**{"max_attempts": 2, "retry_strategy": None, "cancel_requested_at": None, **changes})


class TestPause:
    @pytest.mark.parametrize("strategy", [None, {"kind": "none"}, {"kind": "none", "base_seconds": 60}])
    def test_there_is_none_without_a_kind(self, strategy: dict[str, Any] | None) -> None:
        assert pause_seconds(strategy, 3, 0) == 0

    @pytest.mark.parametrize(
        ("strategy", "pauses"),
        [
            ({"kind": "fixed"}, [60, 60, 60]),
            ({"kind": "fixed", "base_seconds": 5, "factor": 10}, [5, 5, 5]),
            ({"kind": "fixed", "base_seconds": 50, "max_seconds": 20}, [20, 20, 20]),
            ({"kind": "exponential"}, [30, 60, 120]),
            ({"kind": "exponential", "base_seconds": 1, "factor": 3}, [1, 3, 9]),
            ({"kind": "exponential", "base_seconds": 1, "factor": 3, "max_seconds": 5}, [1, 3, 5]),
            ({"kind": "exponential", "base_seconds": 7, "factor": 1}, [7, 7, 7]),
            ({"kind": "exponential", "base_seconds": None, "factor": None, "max_seconds": None}, [30, 60, 120]),
            ({"kind": "exponential", "base_seconds": 0, "factor": 1000}, [0, 0, 0]),
        ],
    )
    def test_it_grows_as_the_strategy_says(self, strategy: dict[str, Any], pauses: list[float]) -> None:
        assert [pause_seconds(strategy, attempt, 1) for attempt in (1, 2, 3)] == pauses

    @pytest.mark.parametrize(
        ("jitter", "shortest"), [(True, 0), (1, 0), (0.25, 75), (False, 100), (0, 100), (None, 100)]
    )
    def test_jitter_takes_at_most_its_share_away(self, jitter: Any, shortest: float) -> None:
        strategy = {"kind": "fixed", "base_seconds": 100, "jitter": jitter}
        assert pause_seconds(strategy, 1, 0) == 100
        assert pause_seconds(strategy, 1, 1) == shortest

    @given(strategy=STRATEGIES, attempt=ATTEMPTS, chance=CHANCES)
    def test_it_is_never_negative_nor_longer_than_allowed(
        self, strategy: dict[str, Any], attempt: int, chance: float
    ) -> None:
        most = strategy.get("max_seconds")
        assert 0 <= pause_seconds(strategy, attempt, chance) <= (DAY_SECONDS if most is None else most)

    @given(strategy=STRATEGIES, attempt=ATTEMPTS)
    def test_it_never_gets_shorter(self, strategy: dict[str, Any], attempt: int) -> None:
        assert pause_seconds(strategy, attempt, 0) <= pause_seconds(strategy, attempt + 1, 0)

    @given(strategy=STRATEGIES, attempt=ATTEMPTS, chance=CHANCES)
    def test_chance_has_no_say_without_jitter(self, strategy: dict[str, Any], attempt: int, chance: float) -> None:
        steady = {**strategy, "jitter": None}
        assert pause_seconds(steady, attempt, chance) == pause_seconds(steady, attempt, 0)


class TestAfterFailure:
    def test_zero_pause_makes_the_next_attempt_pending(self) -> None:
        sequel = after_failure(task(), Failure(), NOW, 0)
        assert (sequel.status, sequel.reason, sequel.available_at) == (TaskStatus.pending, None, NOW)

    def test_pause_makes_the_next_attempt_sleep(self) -> None:
        sequel = after_failure(task(retry_strategy={"kind": "fixed", "base_seconds": 5}), Failure(), NOW, 0)
        assert (sequel.status, sequel.available_at) == (TaskStatus.sleeping, NOW + timedelta(seconds=5))

    def test_worker_s_time_counts_instead_of_the_pause(self) -> None:
        slow = task(retry_strategy={"kind": "fixed", "base_seconds": 5})
        assert after_failure(slow, Failure(retry_at=NOW), NOW, 0).status is TaskStatus.pending
        later = NOW + timedelta(days=400)
        assert after_failure(slow, Failure(retry_at=later), NOW, 0).available_at == later

    @pytest.mark.parametrize("reason", [None, Reason.lost])
    def test_last_attempt_exhausts_the_task(self, reason: Reason | None) -> None:
        sequel = after_failure(task(attempt=2), Failure(reason=reason), NOW, 0)
        assert (sequel.status, sequel.reason) == (TaskStatus.failed, Reason.attempts_exhausted)
        assert sequel.available_at is None

    def test_lost_attempts_that_are_forgiven_do_not_count(self) -> None:
        lost = task(max_attempts=1, max_lost=2)
        for attempt in (1, 2):
            lost = count_loss(lost._replace(attempt=attempt))
            sequel = after_failure(lost, Failure(reason=Reason.lost), NOW, 0)
            assert (sequel.status, sequel.available_at) == (TaskStatus.pending, NOW)
        lost = count_loss(lost._replace(attempt=3))
        sequel = after_failure(lost, Failure(reason=Reason.lost), NOW, 0)
        assert (sequel.status, sequel.reason) == (TaskStatus.failed, Reason.attempts_exhausted)
        assert (lost.lost_count, lost.forgiven_count) == (3, 2)

    def test_what_was_lost_follows_at_once_and_does_not_lengthen_the_pause(self) -> None:
        slow = task(max_attempts=9, retry_strategy={"kind": "exponential", "base_seconds": 5}, max_lost=0)
        assert after_failure(count_loss(slow), Failure(reason=Reason.lost), NOW, 0).available_at == NOW
        sequel = after_failure(count_loss(slow)._replace(attempt=2), Failure(), NOW, 0)
        assert sequel.available_at == NOW + timedelta(seconds=5)

    @pytest.mark.parametrize("attempt", [1, 2])
    def test_failure_that_is_not_retryable_is_the_last(self, attempt: int) -> None:
        sequel = after_failure(task(attempt=attempt), Failure(retryable=False, retry_at=NOW), NOW, 0)
        assert (sequel.status, sequel.reason) == (TaskStatus.failed, Reason.not_retryable)

    @given(retryable=st.booleans(), attempt=st.integers(1, 2), reason=st.sampled_from([None, Reason.lost]))
    def test_nothing_is_retried_once_a_cancel_was_requested(
        self, retryable: bool, attempt: int, reason: Reason | None
    ) -> None:
        asked = task(attempt=attempt, cancel_requested_at=NOW)
        sequel = after_failure(asked, Failure(retryable=retryable, reason=reason), NOW, 0)
        assert (sequel.status, sequel.reason) == (TaskStatus.cancelled, Reason.cancel_requested)
