"""The state machine of workflow runs."""

import pytest

from app.domain.moves import FINAL, OPEN, RUN_MOVES, allowed_for_run
from milepost.schemas.workflow_runs import RunStatus


class TestRunMoves:
    def test_every_status_is_open_or_final(self) -> None:
        assert {*OPEN, *FINAL} == set(RunStatus) == set(RUN_MOVES)
        assert not set(OPEN) & set(FINAL)

    def test_open_runs_may_end_and_pending_ones_may_start(self) -> None:
        assert set(RUN_MOVES[RunStatus.pending]) == {RunStatus.running, *FINAL}
        assert set(RUN_MOVES[RunStatus.running]) == set(FINAL)

    @pytest.mark.parametrize("status", FINAL)
    def test_final_is_final(self, status: RunStatus) -> None:
        assert not RUN_MOVES[status]

    @pytest.mark.parametrize("status", list(RunStatus))
    def test_allowed_is_statuses_then_verbs(self, status: RunStatus) -> None:
        allowed = allowed_for_run(status)
        count = len(RUN_MOVES[status])
        assert set(allowed[:count]) == set(RUN_MOVES[status])
        assert not set(allowed[count:]) & set(RunStatus)
        assert len(set(allowed)) == len(allowed)

    @pytest.mark.parametrize("status", list(RunStatus))
    def test_executed_runs_have_verbs_of_their_own(self, status: RunStatus) -> None:
        tracked = allowed_for_run(status)
        going_on = {"rerun"} if status in FINAL else {"pause"}
        paused = {"rerun"} if status in FINAL else {"resume"}
        assert set(allowed_for_run(status, is_executed=True)) - set(tracked) == going_on
        assert set(allowed_for_run(status, is_executed=True, is_paused=True)) - set(tracked) == paused

    def test_only_ended_runs_are_deleted_and_only_failed_or_cancelled_ones_retried(self) -> None:
        verbs = {status: set(allowed_for_run(status)) & {"delete", "retry"} for status in RunStatus}
        assert verbs == {
            RunStatus.pending: set(),
            RunStatus.running: set(),
            RunStatus.completed: {"delete"},
            RunStatus.failed: {"delete", "retry"},
            RunStatus.cancelled: {"delete", "retry"},
        }
