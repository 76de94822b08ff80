"""Reasons in their order, and how many are told; without a database."""

from datetime import timedelta
from itertools import combinations
from typing import Any
from uuid import UUID

import pytest

from app.domain.why.facts import Crew, ExplainedRun, QueueFacts, RunView, StepFacts, TaskFacts, TaskView
from app.domain.why.reasons import Reason, Saying, call, find_reasons, in_order, told
from app.domain.why.runs import RUN_RULES, reasons_of_run
from app.domain.why.schedules import SCHEDULE_RULES
from app.domain.why.tasks import TASK_RULES
from milepost.schemas.why import WHY_MEANINGS, WhyCode
from tests.factories import UNKNOWN_ID, run_row, task_row

NOW = task_row().now
SOON, AGO = NOW + timedelta(seconds=5), NOW - timedelta(seconds=5)


def task_facts(**changes: Any) -> TaskFacts:
    row = task_row(**{name: value for name, value in changes.items() if name in task_row()._fields})._asdict()
    given = {"ready_before": 0, **row, **changes}
    return TaskFacts._make(given.get(name) for name in TaskFacts._fields)


def view(
    *, paused: bool = False, most: int | None = None, running: int = 0, living: int = 1, takers: int = 1, **task: Any
) -> TaskView:
    """Return what is known of a ready task that nothing is in the way of, with these changes."""
    awaited = task.pop("awaited", ())
    queue = QueueFacts("default", paused, NOW, most, running)
    return TaskView(task_facts(**task), queue, Crew("default", "t", living, takers, None), awaited)


def run_view(tasks: Any = (), **changes: Any) -> RunView:
    of_view = {name: changes.pop(name) for name in ("steps", "failed", "waiting", "open_tasks") if name in changes}
    given = {**run_row()._asdict(), **changes}
    return RunView(ExplainedRun._make(given.get(name) for name in ExplainedRun._fields), tasks, **of_view)


def step_facts(path: str, status: str, **changes: Any) -> StepFacts:
    given = {"path": path, "status": status, "scope": "", "operator_type": "task", "is_isolated": False, **changes}
    return StepFacts._make(given.get(name) for name in StepFacts._fields)


def codes_of(found: TaskView) -> list[str]:
    return [str(reason.code) for reason in in_order([*find_reasons(TASK_RULES, found)])]


def codes_of_run(found: RunView) -> list[str]:
    return [str(reason.code) for reason in in_order(reasons_of_run(found))]


BLOCKED: dict[str, dict[str, Any]] = {
    "cancel_requested": {"cancel_requested_at": AGO},
    "queue_paused": {"paused": True},
    "no_worker_seen": {"living": 0, "takers": 0},
    "queue_full": {"most": 2, "running": 2},
    "concurrency_key_taken": {"concurrency_key": "k", "holder_task_id": UUID(int=UNKNOWN_ID.int + 1)},
    "behind_others": {"ready_before": 3},
}
WAITING: dict[str, dict[str, Any]] = {
    "not_due_yet": {"ready_at": None, "due_at": SOON},
    "sleeps": {"status": "sleeping", "ready_at": None, "due_at": SOON, "wake_at": SOON, "started_at": AGO},
    "waits_to_retry": {"status": "sleeping", "ready_at": None, "due_at": SOON, "wake_at": SOON, "attempt": 2},
    "circuit_open": {"status": "sleeping", "ready_at": None, "wake_at": AGO, "attempt": 2, "isolated_until": SOON},
    "waits_for_event": {"status": "sleeping", "ready_at": None, "wait_step": "s", "awaited": ["a"]},
    "being_worked": {"status": "running", "ready_at": None, "lease_expires_at": SOON, "claimed_by": "w"},
    "lease_ran_out": {"status": "running", "ready_at": None, "lease_expires_at": AGO, "claimed_by": "w"},
    "ended": {"status": "completed", "ready_at": None, "completed_at": AGO},
}


class TestOfTasks:
    def test_nothing_in_its_way(self) -> None:
        assert codes_of(view()) == ["claimable"]

    @pytest.mark.parametrize("code", BLOCKED)
    def test_one_thing_in_the_way_of_a_ready_task(self, code: str) -> None:
        assert codes_of(view(**BLOCKED[code])) == [code]

    @pytest.mark.parametrize(("one", "other"), [*combinations(BLOCKED, 2)])
    def test_of_two_the_more_decisive_is_first(self, one: str, other: str) -> None:
        assert codes_of(view(**BLOCKED[one], **BLOCKED[other])) == [one, other]

    @pytest.mark.parametrize("code", WAITING)
    def test_what_is_not_ready_has_one_reason(self, code: str) -> None:
        crowd: dict[str, Any] = {"living": 0, "takers": 0, "most": 1, "running": 1}
        assert codes_of(view(**crowd, **WAITING[code])) == [code]

    def test_what_has_just_come_due_is_ready(self) -> None:
        assert codes_of(view(ready_at=None, due_at=AGO)) == ["claimable"]

    def test_workers_that_take_others_are_told_where_there_are_some(self) -> None:
        assert codes_of(view(living=2, takers=0)) == ["workers_take_other_names"]
        assert codes_of(view(living=0, takers=0)) == ["no_worker_seen"]

    def test_waiting_task_minds_a_paused_queue_and_a_running_one_does_not(self) -> None:
        assert codes_of(view(paused=True, **WAITING["sleeps"])) == ["queue_paused", "sleeps"]
        assert codes_of(view(paused=True, **WAITING["being_worked"])) == ["being_worked"]


class TestOfRuns:
    def test_run_that_nothing_is_known_of_has_a_reason(self) -> None:
        for status, executed in (
            ("running", None),
            ("running", UNKNOWN_ID),
            ("pending", UNKNOWN_ID),
            ("pending", None),
        ):
            assert reasons_of_run(run_view(status=status, workflow_id=executed, started_at=AGO))

    def test_pause_of_a_run_is_told_once(self) -> None:
        tasks = [view(run_paused_at=AGO, step=path, workflow_run_id=UNKNOWN_ID, ready_at=None) for path in "ab"]
        run = run_view(tasks, status="running", workflow_id=UNKNOWN_ID, paused_at=AGO)
        assert codes_of_run(run) == ["run_paused"]

    def test_root_cause_comes_before_the_end_and_those_that_followed_after_it(self) -> None:
        failed = [
            step_facts("each", "failed", cause="each[1].charge"),
            step_facts("after", "upstream_failed"),
            step_facts("each[1].charge", "failed", error={"name": "E", "message": "m"}),
        ]
        run = run_view(status="failed", completed_at=AGO, workflow_id=UNKNOWN_ID, failed=failed)
        reasons = in_order(reasons_of_run(run))
        assert [reason.code for reason in reasons] == ["step_failed", "ended", "upstream_failed"]
        assert reasons[0].saying.subject["path"] == "each[1].charge"

    @pytest.mark.parametrize(("whole", "left", "is_near"), [(3600, 59, True), (3600, 61, False), (100, 11, False)])
    def test_time_is_near_in_its_last_tenth_but_never_before_a_minute(
        self, whole: float, left: float, is_near: bool
    ) -> None:
        ends = NOW + timedelta(seconds=left)
        run = run_view(status="running", started_at=AGO, heartbeat_seconds=whole, heartbeat_expires_at=ends)
        assert ("heartbeat_due" in codes_of_run(run)) is is_near


class TestTold:
    def test_every_code_is_of_something_and_has_a_meaning(self) -> None:
        assert {*TASK_RULES, *RUN_RULES, *SCHEDULE_RULES} == {*WhyCode} == {*WHY_MEANINGS}

    def test_least_decisive_is_that_others_are_before(self) -> None:
        assert [*WhyCode][-1] is WhyCode.behind_others

    def test_twenty_are_told_and_the_others_counted(self) -> None:
        reasons = [Reason(WhyCode.behind_others, Saying("b", {}))] + [Reason(WhyCode.sleeps, Saying("s", {}))] * 25
        shown, more = told(reasons, 100)
        assert ({reason.code for reason in shown}, len(shown), more) == ({WhyCode.sleeps}, 20, 106)

    def test_paths_of_calls_are_encoded(self) -> None:
        assert call("POST", "queues", "a.b", "events", "x/y ?ü%").path == "/v1/queues/a.b/events/x%2Fy%20%3F%C3%BC%25"
