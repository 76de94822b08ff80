"""What a PATCH does to a workflow run, whatever is sent in whatever order."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from app.domain.moves import FINAL, RUN_MOVES
from app.domain.records import RunRow
from app.domain.run_changes import apply_update
from app.errors import Refusal
from milepost.schemas.workflow_runs import RunStatus, WorkflowRunUpdate
from tests.factories import run_row

DAY = datetime(2026, 1, 1, tzinfo=UTC)
TIMES = st.none() | st.integers(-3, 3).map(lambda days: (DAY + timedelta(days=days)).isoformat())
VALUES = st.sampled_from([None, 0, False, "", {}, {"a": 1}, [1]])
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from([status.value for status in RunStatus]),
        "result": VALUES,
        "error": st.none() | st.just({}) | st.just({"message": "x"}),
        "started_at": TIMES,
        "completed_at": TIMES,
        "task_count": st.none() | st.integers(0, 3),
        "tags": st.dictionaries(st.sampled_from("abc"), st.none() | st.integers(0, 2), max_size=3),
    },
)


def new_run() -> RunRow:
    return run_row(workflow_run_id=UUID(int=1), heartbeat_seconds=60.0, created_at=DAY, updated_at=DAY)


def story(changes: list[dict[str, Any]]) -> list[tuple[RunRow, dict[str, Any], RunRow | Refusal]]:
    """Return each change with the run before and after it, or its refusal."""
    run, now, told = new_run(), DAY, []
    for change in changes:
        now += timedelta(minutes=1)
        try:
            after: RunRow | Refusal = apply_update(run, WorkflowRunUpdate.model_validate(change), now)
        except Refusal as refusal:
            after = refusal
        told.append((run, change, after))
        run = run if isinstance(after, Refusal) else after
    return told


STORIES = st.lists(CHANGES, min_size=1, max_size=12).map(story)


class TestApplyUpdate:
    @given(STORIES)
    def test_status_moves_only_where_it_may(self, told: list[Any]) -> None:
        for before, _, after in told:
            if isinstance(after, RunRow) and after.status != before.status:
                assert after.status in RUN_MOVES[before.status]

    @given(STORIES)
    def test_what_an_ended_run_holds_stays(self, told: list[Any]) -> None:
        for before, _, after in told:
            if isinstance(after, RunRow) and before.status in FINAL:
                assert (after.status, after.completed_at) == (before.status, before.completed_at)
                assert (repr(after.result), repr(after.error)) == (repr(before.result), repr(before.error))
                assert before.started_at in (None, after.started_at)

    @given(STORIES)
    def test_revision_grows_by_one_exactly_when_something_is_new(self, told: list[Any]) -> None:
        for before, _, after in told:
            if isinstance(after, RunRow):
                assert after.revision == before.revision + (after is not before)
                assert after.updated_at >= before.updated_at

    @given(STORIES)
    def test_same_change_again_is_nothing_new(self, told: list[Any]) -> None:
        for _, change, after in told:
            asks_for_no_time = None in (change.get("started_at", ""), change.get("completed_at", ""))
            if isinstance(after, RunRow) and not asks_for_no_time:
                again = apply_update(after, WorkflowRunUpdate.model_validate(change), DAY + timedelta(days=1))
                assert again is after

    @given(STORIES)
    def test_times_always_fit_the_status(self, told: list[Any]) -> None:
        for _, _, after in told:
            if isinstance(after, RunRow):
                assert (after.completed_at is not None) == (after.status in FINAL)
                assert after.status is not RunStatus.running or after.started_at is not None
                assert (after.heartbeat_expires_at is not None) == (after.status is RunStatus.running)
                if after.started_at and after.completed_at:
                    assert after.started_at <= after.completed_at
