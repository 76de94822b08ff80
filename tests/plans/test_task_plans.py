"""What is done with open tasks costs the same however many have ended, prepared or not."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Executable

from app.db.engine import Parameters
from app.store import (
    checkpoints,
    claims,
    due_tasks,
    events,
    leases,
    queues,
    run_ends,
    task_heartbeats,
    task_lists,
    tasks,
    workflow_runs,
)
from app.store.pages import _bounded
from app.store.recordsets import as_rows
from app.store.sizes import BYTES_MOST
from tests.conftest import connect
from tests.plans.probe import Plan, Probe

TASKS = "tasks"
MOST = 50
PAGE = 51
OPEN = 600
RUN = UUID("01890000-0000-7000-8000-000000000032")
TASKS_OF_A_RUN = 503
CANCELLED_RUNS = 5
ALL_FAILED = 4000
"""All tasks that failed or were cancelled: their index is combined with that of the run while they are so few."""
DAY = {
    "created_after": datetime.now(UTC) - timedelta(days=8),
    "created_before": datetime.now(UTC) - timedelta(days=7),
}
DUE: Mapping[str, tuple[Executable, str]] = {
    "expired": (due_tasks._FIND_EXPIRED, "ix_tasks_lease_due"),
    "due": (due_tasks._FIND_DUE, "ix_tasks_due"),
    "limited": (due_tasks._FIND_LIMITED, "ix_tasks_limit_due"),
}
either_way = pytest.mark.parametrize("generic", [False, True], ids=["for_its_values", "for_all_values"])


@pytest.fixture(scope="module")
def tasks_url(new_database: Any) -> str:
    url: str = new_database()
    with connect(url) as connection:
        connection.execute(Path(__file__).with_name("seed_tasks.sql").read_bytes())
        connection.execute("ALTER TABLE tasks SET (autovacuum_enabled = off)")
        connection.execute("VACUUM (ANALYZE)")
    return url


@pytest.fixture(scope="module")
def task_probe(tasks_url: str) -> Iterator[Probe]:
    probe = Probe(tasks_url)
    yield probe
    probe.close()


@pytest.fixture(scope="module")
def held(tasks_url: str) -> Sequence[tuple[UUID, UUID]]:
    """Return some tasks that are held, with their tokens."""
    with connect(tasks_url) as connection:
        query = "SELECT task_id, lease_token FROM tasks WHERE lease_expires_at > now() ORDER BY task_id LIMIT 100"
        return connection.execute(query).fetchall()


def cheap(plan: Plan, most: float) -> Plan:
    """Return ``plan``, which finds its tasks by an index and reads up to ``most`` of them."""
    assert not plan.scans_whole(TASKS)
    assert plan.rows_read(TASKS) <= most
    return plan


@either_way
class TestClaim:
    @pytest.mark.parametrize("names", [None, ["task_1", "task_7"]], ids=["any", "choosy"])
    def test_reads_the_ready_and_what_it_takes(self, task_probe: Probe, names: list[str] | None, generic: bool) -> None:
        claimers: list[Parameters] = [
            {"claimer": i, "first": 5 * i + 1, "last": 5 * i + 5, "worker": "w", "lease": 30} for i in range(4)
        ]
        values: dict[str, Any] = {"of_queue": "default", "most": 20, "room": BYTES_MOST, "regardless": True}
        values |= as_rows(claimers)
        if names is not None:
            values["names"] = names
        plan = task_probe.explain(claims._claim(named=names is not None), values, generic=generic)
        assert "ix_tasks_ready" in cheap(plan, 2 * OPEN).indexes()
        assert 0 < plan.rows_returned() <= 20

    def test_limits_of_the_queue_are_read_without_the_ended(self, task_probe: Probe, generic: bool) -> None:
        cheap(task_probe.explain(claims._COUNT_RUNNING, {"of_queue": "default"}, generic=generic), OPEN)
        cheap(task_probe.explain(queues._REVIVE, {"of_queue": "default"}, generic=generic), OPEN)


@either_way
class TestWorkerCalls:
    def test_completion_reads_its_own_tasks(
        self, task_probe: Probe, held: Sequence[tuple[UUID, UUID]], generic: bool
    ) -> None:
        rows: list[Parameters] = [
            {"task_id": task_id, "lease_token": token, "result": 1, "final_body": "\\x00"} for task_id, token in held
        ]
        for statement in (claims._COMPLETE, claims._COMPLETE_SHOWN):
            cheap(task_probe.explain(statement, as_rows(rows), generic=generic), 3 * len(held))

    def test_exchange_reads_its_own_tasks_and_what_it_takes(
        self, task_probe: Probe, held: Sequence[tuple[UUID, UUID]], generic: bool
    ) -> None:
        reports: list[Parameters] = [
            {"task_id": task_id, "lease_token": token, "result": 1, "final_body": "\\x00"} for task_id, token in held
        ]
        claimers: list[Parameters] = [{"claimer": 0, "first": 1, "last": 20, "worker": "w", "lease": 30}]
        values: dict[str, Any] = {"of_queue": "default", "most": 20, "room": BYTES_MOST, "regardless": False}
        values |= {"many": len(held), **as_rows(claimers), **as_rows(reports, "done")}
        cheap(task_probe.explain(claims._exchange(named=False), values, generic=generic), 2 * OPEN)

    def test_heartbeat_reads_its_own_tasks(
        self, task_probe: Probe, held: Sequence[tuple[UUID, UUID]], generic: bool
    ) -> None:
        rows: list[Parameters] = [
            {"task_id": t, "lease_token": token, "lease": 30, "has_progress": False} for t, token in held
        ]
        cheap(task_probe.explain(task_heartbeats._BEAT, as_rows(rows), generic=generic), 3 * len(held))

    def test_checkpoint_reads_its_own_task(
        self, task_probe: Probe, held: Sequence[tuple[UUID, UUID]], generic: bool
    ) -> None:
        rows: list[Parameters] = [
            {"task_id": task_id, "lease_token": token, "name": "step", "state": 1} for task_id, token in held
        ]
        cheap(task_probe.explain(checkpoints._PUT_OF_HELD, as_rows(rows), generic=generic), 3 * len(held))

    def test_locks_and_looks_read_their_own_tasks(
        self, task_probe: Probe, held: Sequence[tuple[UUID, UUID]], generic: bool
    ) -> None:
        ids = [task_id for task_id, _ in held]
        for statement in (tasks._LOCK, tasks._GET):
            cheap(task_probe.explain(statement, {"ids": ids}, generic=generic), 4 * len(ids))

    def test_past_attempts_are_found_by_task_and_by_token(
        self, task_probe: Probe, held: Sequence[tuple[UUID, UUID]], generic: bool
    ) -> None:
        ids, tokens = [task_id for task_id, _ in held], [token for _, token in held]
        plan = task_probe.explain(leases._GET_RUNS_OF_TOKENS, {"tasks": ids, "tokens": tokens}, generic=generic)
        assert not plan.scans_whole("task_attempts")
        plan = task_probe.explain(leases._LIST_ATTEMPTS, {"of_task": ids[0], "after": 0, "most": MOST}, generic=generic)
        assert not plan.scans_whole("task_attempts")

    def test_waiters_of_an_event_are_found_by_its_name(self, task_probe: Probe, generic: bool) -> None:
        values = {"of_queue": "default", "name": "event-7", "most": MOST}
        for satisfied in (False, True):
            statement = events._waiters(satisfied=satisfied, of_run=False, among=False)
            plan = task_probe.explain(statement, values, generic=generic)
            assert plan.rows_read("event_waits") <= OPEN
            assert not plan.scans_whole("tasks")

    def test_known_idempotency_keys_are_found_by_key(self, task_probe: Probe, generic: bool) -> None:
        values = {"queues": ["default"] * 50, "keys": [f"key-{5 * i}" for i in range(50)]}
        cheap(task_probe.explain(tasks._GET_BY_KEY, values, generic=generic), 100)


@either_way
class TestHousekeeping:
    @pytest.mark.parametrize(("statement", "index"), DUE.values(), ids=DUE)
    def test_overdue_tasks_are_found_without_looking_at_the_others(
        self, task_probe: Probe, statement: Executable, index: str, generic: bool
    ) -> None:
        plan = cheap(task_probe.explain(statement, {"most": MOST}, generic=generic), 3 * MOST)
        assert 0 < plan.rows_returned() <= MOST
        assert index in plan.indexes()

    def test_cancelled_runs_are_finished_without_looking_at_other_tasks(self, task_probe: Probe, generic: bool) -> None:
        plan = task_probe.explain(run_ends._FIND_CANCELLED, {"most": MOST}, generic=generic)
        cheap(plan, OPEN + CANCELLED_RUNS * TASKS_OF_A_RUN)
        assert plan.rows_returned() == 2

    def test_nothing_is_pruned_by_looking_at_what_is_kept(self, task_probe: Probe, generic: bool) -> None:
        values = {"keep": 25 * 86400.0, "most": MOST}
        cheap(task_probe.explain(tasks._PRUNE, values, generic=generic), MOST)

    def test_pruning_reads_what_it_deletes(self, task_probe: Probe, generic: bool) -> None:
        values = {"keep": 10 * 86400.0, "most": MOST}
        cheap(task_probe.explain(tasks._PRUNE, values, generic=generic), 4 * MOST)


@either_way
class TestRunsAndQueues:
    def test_progress_is_counted_from_the_tasks_of_the_run(self, task_probe: Probe, generic: bool) -> None:
        plan = task_probe.explain(workflow_runs._GET, {"workflow_run_id": RUN}, generic=generic)
        assert "ix_tasks_run" in cheap(plan, TASKS_OF_A_RUN).indexes()

    @pytest.mark.parametrize(
        ("statement", "more"),
        [
            (tasks._LOCK_OF_RUNS, {"running_too": True, "most": MOST}),
            (tasks._COUNT_OPEN, {}),
            (tasks._LOCK_TO_REOPEN, {}),
        ],
    )
    def test_tasks_of_a_run_are_found_by_it(
        self, task_probe: Probe, statement: Executable, more: dict[str, object], generic: bool
    ) -> None:
        values = {"ids": [RUN], **more}
        cheap(task_probe.explain(statement, values, generic=generic), 2 * TASKS_OF_A_RUN + ALL_FAILED)

    def test_depth_of_queues_is_counted_from_the_open_tasks(self, task_probe: Probe, generic: bool) -> None:
        plan = task_probe.explain(queues._COUNT_OPEN, {"queues": ["default", "other"]}, generic=generic)
        assert plan.rows_read(TASKS) <= 2 * OPEN
        assert not plan.scans_whole(TASKS)


FILTERS: Mapping[str, tuple[Mapping[str, Any], float]] = {
    "none": ({}, PAGE),
    "queue": ({"queue": "default"}, 2 * PAGE),
    **{f"status_{status}": ({"status": status}, 2 * PAGE) for status in ("pending", "running", "sleeping", "failed")},
    "queue_and_open_status": ({"queue": "default", "status": "running"}, OPEN + PAGE),
    "statuses": ({"statuses": ["failed", "running"]}, 4 * PAGE),
    "run": ({"workflow_run_id": RUN}, 2 * PAGE),
    "run_and_status": ({"workflow_run_id": RUN, "status": "failed"}, TASKS_OF_A_RUN + ALL_FAILED),
    "parent": ({"parent_task_id": RUN}, 1),
    "created_between": (DAY, PAGE),
    "name": ({"task_name": "task_7"}, 40 * PAGE),
    "running_of_a_worker": ({"claimed_by": "worker-7", "status": "running"}, OPEN),
}


class TestLists:
    @pytest.mark.parametrize("order", ["created_at", "-created_at"])
    @pytest.mark.parametrize(("filters", "most"), FILTERS.values(), ids=FILTERS)
    def test_page_reads_little_more_than_itself(
        self, task_probe: Probe, filters: Mapping[str, Any], most: float, order: str
    ) -> None:
        statuses = filters.get("statuses") or [filters.get("status", "completed")]
        page = task_lists._page(order, frozenset(filters), continued=False, open_only="completed" not in statuses)
        statement = _bounded(page)
        cheap(task_probe.explain(statement, {**filters, "most": PAGE}), most)
