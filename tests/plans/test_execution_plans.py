"""What moves an executed run reads the part of it that it is about, and nothing of the other runs."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Executable

from app.store import due_executions, executions, steps, tasks
from app.store.recordsets import as_rows
from milepost.schemas.steps import StepStatus
from tests.conftest import connect
from tests.plans.probe import Plan, Probe

STEPS = "workflow_steps"
RUNS = "workflow_runs"
TASKS = "tasks"
MOST = 50
OPEN_RUNS = 101
either_way = pytest.mark.parametrize("generic", [False, True], ids=["for_its_values", "for_all_values"])


def id_of(number: int) -> UUID:
    return UUID(int=0x01890000_0000_7000_8000_000000000000 + number)


SMALL = id_of(2950)
LARGE = id_of(3001)
"""A run with 20,000 steps in 2,000 iterations."""


@pytest.fixture(scope="module")
def execution_probe(new_database: Any) -> Iterator[Probe]:
    url: str = new_database()
    with connect(url) as connection:
        connection.execute(Path(__file__).with_name("seed_executions.sql").read_bytes())
        connection.execute("VACUUM (ANALYZE)")
    probe = Probe(url)
    yield probe
    probe.close()


def cheap(plan: Plan, most: Mapping[str, float]) -> Plan:
    """Return ``plan``, which reads no table as a whole and of these at most so many rows."""
    for table, rows in most.items():
        assert not plan.scans_whole(table)
        assert plan.rows_read(table) <= rows, table
    return plan


OF_ONE_RUN: Mapping[str, tuple[Executable, Mapping[str, Any], int]] = {
    "scope": (executions._LIST_OF_SCOPES, {"runs": [LARGE, LARGE], "paths": ["each[7]", "each[8]"]}, 20),
    "no_scope": (executions._LIST_OF_SCOPES, {"runs": [LARGE], "paths": ["other"]}, 0),
    "results": (executions._GET_RESULTS, {"of_run": LARGE, "paths": ["each[7].step1", "each[9].step2"]}, 2),
    "awaiting": (executions._LIST_AWAITING, {"of_run": SMALL, "name": "event0"}, 30),
    "page": (steps._list_steps(by_status=False), {"of_run": LARGE, "after": 0, "most": MOST}, MOST),
    "next_page": (steps._list_steps(by_status=False), {"of_run": LARGE, "after": 40_000, "most": MOST}, MOST),
}


@either_way
class TestOneRun:
    @pytest.mark.parametrize(("statement", "values", "most"), OF_ONE_RUN.values(), ids=OF_ONE_RUN)
    def test_reads_only_what_it_asks_for(
        self, execution_probe: Probe, statement: Executable, values: Mapping[str, Any], most: int, generic: bool
    ) -> None:
        cheap(execution_probe.explain(statement, values, generic=generic), {STEPS: 2 * most})

    def test_page_by_status_stays_within_the_run(self, execution_probe: Probe, generic: bool) -> None:
        values = {"of_run": SMALL, "after": 0, "most": MOST, "statuses": [StepStatus.failed.value]}
        cheap(
            execution_probe.explain(steps._list_steps(by_status=True), values, generic=generic), {STEPS: 20, TASKS: 20}
        )

    def test_change_of_steps_reads_their_rows(self, execution_probe: Probe, generic: bool) -> None:
        row = dict.fromkeys(executions._CHANGED) | {"status": "completed", "completed_at": "2026-01-01T00:00:00Z"}
        row |= {"workflow_run_id": LARGE, "attempt": 1, "facts": {}, "has_result": False}
        rows = as_rows([{**row, "path": f"each[{number}].step1"} for number in range(20)])
        cheap(execution_probe.explain(executions._UPDATE_STEPS, rows, generic=generic), {STEPS: 60})

    def test_frames_are_read_by_their_paths(self, execution_probe: Probe, generic: bool) -> None:
        values = {"runs": [LARGE, LARGE], "paths": ["each[7]", ""]}
        cheap(execution_probe.explain(executions._GET_FRAMES, values, generic=generic), {"workflow_frames": 4})

    def test_warnings_are_read_by_their_run(self, execution_probe: Probe, generic: bool) -> None:
        values = {"of_run": SMALL, "after": 0, "most": MOST}
        cheap(execution_probe.explain(steps._LIST_WARNINGS, values, generic=generic), {"workflow_warnings": 6})

    @pytest.mark.parametrize("statement", [tasks._WITHHOLD_OF_RUN, tasks._OFFER_OF_RUN], ids=["hold", "release"])
    def test_pause_reads_the_tasks_of_the_run(
        self, execution_probe: Probe, statement: Executable, generic: bool
    ) -> None:
        # The index of the run may be combined with one of open tasks, while those are so few.
        cheap(execution_probe.explain(statement, {"ids": [SMALL]}, generic=generic), {TASKS: 12 * OPEN_RUNS})


@either_way
class TestManyRuns:
    def test_locks_and_lines_read_their_runs(self, execution_probe: Probe, generic: bool) -> None:
        ids = [id_of(number) for number in range(2900, 2990, 3)]
        most = {RUNS: 4 * len(ids), "workflow_executions": 4 * len(ids)}
        for statement in (executions._LIST_PARENTS, executions._LOCK):
            cheap(execution_probe.explain(statement, {"ids": ids}, generic=generic), most)

    def test_children_are_found_by_their_parent(self, execution_probe: Probe, generic: bool) -> None:
        values = {"of_run": id_of(2954), "paths": ["kin"]}
        plan = cheap(execution_probe.explain(executions._LIST_CHILDREN, values, generic=generic), {RUNS: 5})
        assert plan.rows_returned() == 1

    def test_runs_that_await_an_event_are_found_by_its_name(self, execution_probe: Probe, generic: bool) -> None:
        values = {"of_queue": "default", "name": "event3", "of_run": None}
        plan = execution_probe.explain(executions._LIST_RUNS_AWAITING, values, generic=generic)
        assert "ix_workflow_steps_awaits" in cheap(plan, {STEPS: 30}).indexes()
        assert plan.rows_returned() == 10

    def test_due_steps_are_found_without_looking_at_the_others(self, execution_probe: Probe, generic: bool) -> None:
        plan = execution_probe.explain(due_executions._FIND_DUE, {"most": MOST}, generic=generic)
        assert "ix_workflow_steps_due" in cheap(plan, {STEPS: 60}).indexes()
        assert plan.rows_returned() == 20

    def test_deadlines_are_found_without_looking_at_the_others(self, execution_probe: Probe, generic: bool) -> None:
        plan = execution_probe.explain(due_executions._LIST_PAST_DEADLINE, {"most": MOST}, generic=generic)
        assert "ix_workflow_executions_due" in cheap(plan, {"workflow_executions": 40}).indexes()
        assert plan.rows_returned() == 10

    def test_expired_work_is_found_without_looking_at_the_others(self, execution_probe: Probe, generic: bool) -> None:
        plan = execution_probe.explain(due_executions._LIST_EXPIRED_WORK, {"most": MOST}, generic=generic)
        assert "ix_tasks_lease_due" in cheap(plan, {TASKS: 40}).indexes()
        assert plan.rows_returned() == 10

    def test_cancelled_runs_are_found_without_looking_at_the_others(
        self, execution_probe: Probe, generic: bool
    ) -> None:
        plan = execution_probe.explain(due_executions._LIST_CANCELLED, {"most": MOST}, generic=generic)
        assert not plan.scans_whole(RUNS)
        assert plan.rows_returned() == 2

    def test_work_items_are_found_by_their_tasks(self, execution_probe: Probe, generic: bool) -> None:
        ids: Sequence[UUID] = [id_of(number) for number in range(30)]
        cheap(execution_probe.explain(executions._FIND_WORK, {"ids": ids}, generic=generic), {TASKS: 60})
        cheap(execution_probe.explain(tasks._WITHHOLD_OF_HALTED, {"ids": ids}, generic=generic), {TASKS: 60})
