"""What runs on every call and in every round of the housekeeping finds its rows by an index, prepared or not."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

import pytest
from pydantic_core import to_json
from sqlalchemy import Executable

from app.db.engine import Parameters
from app.store import idempotency_keys, late_runs, run_ends, run_heartbeats, workflow_run_history, workflow_runs
from app.store.recordsets import as_bytes, as_rows
from tests.conftest import connect
from tests.plans.probe import Probe

RUNS = "workflow_runs"
KEYS = "idempotency_keys"
HISTORY = "workflow_run_history"
MOST = 100
BY_IDS: Mapping[str, Executable] = {
    "get_many": workflow_runs._GET_MANY,
    "lock": workflow_runs._LOCK,
    "lock_keys": workflow_runs._LOCK_KEYS,
}
DUE: Mapping[str, tuple[Executable, str]] = {
    "deadline": (run_ends._FIND_PAST_DEADLINE, "ix_workflow_runs_deadline_due"),
    "late": (late_runs._FIND, "ix_workflow_runs_late_due"),
    "heartbeat": (run_ends._FIND_LOST, "ix_workflow_runs_heartbeat_due"),
}
either_way = pytest.mark.parametrize("generic", [False, True], ids=["for_its_values", "for_all_values"])


@pytest.fixture(scope="session")
def ids(seeded_url: str) -> Sequence[UUID]:
    with connect(seeded_url) as connection:
        rows = connection.execute("SELECT workflow_run_id FROM workflow_runs ORDER BY created_at DESC LIMIT 200")
        return [row[0] for row in rows]


@pytest.fixture(scope="session")
def scopes(seeded_url: str) -> list[bytes]:
    with connect(seeded_url) as connection:
        return [row[0] for row in connection.execute("SELECT scope FROM idempotency_keys LIMIT 100")]


@either_way
class TestWorkflowRuns:
    def test_get_reads_one_row(self, probe: Probe, ids: Sequence[UUID], generic: bool) -> None:
        plan = probe.explain(workflow_runs._GET, {"workflow_run_id": ids[0]}, generic=generic)
        assert plan.indexes() == {"pk_workflow_runs"}
        assert plan.rows_read(RUNS) == 1

    @pytest.mark.parametrize("statement", BY_IDS.values(), ids=BY_IDS)
    def test_batch_reads_its_own_rows(
        self, probe: Probe, ids: Sequence[UUID], statement: Executable, generic: bool
    ) -> None:
        plan = probe.explain(statement, {"ids": list(ids)}, generic=generic)
        assert not plan.scans_whole(RUNS)
        assert plan.rows_read(RUNS) <= 3 * len(ids)

    def test_heartbeats_of_a_batch_read_their_own_rows(self, probe: Probe, ids: Sequence[UUID], generic: bool) -> None:
        report: Parameters = {"report": {"done": 1}, "report_clears": False}
        rows = as_rows([{"workflow_run_id": run_id, **report} for run_id in ids])
        plan = probe.explain(run_heartbeats._BEAT, rows, generic=generic)
        assert not plan.scans_whole(RUNS)
        assert plan.rows_read(RUNS) <= 3 * len(ids)

    def test_update_of_a_batch_reads_its_own_rows(self, probe: Probe, ids: Sequence[UUID], generic: bool) -> None:
        row = dict.fromkeys(workflow_runs.CHANGED_BY_UPDATE) | {
            "status": "running",
            "attempt": 1,
            "tags": {},
            "started_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z",
            "revision": 99,
            "from_status": "pending",
            "verb": "update",
            "actor": "anonymous",
        }
        rows = as_rows([row | {"workflow_run_id": run_id} for run_id in ids])
        plan = probe.explain(workflow_runs._UPDATE, rows, generic=generic)
        assert not plan.scans_whole(RUNS)
        assert plan.rows_read(RUNS) == len(ids)

    def test_delete_reads_one_row_and_what_hangs_on_it(self, probe: Probe, ids: Sequence[UUID], generic: bool) -> None:
        plan = probe.explain(workflow_runs._DELETE, {"workflow_run_id": ids[0]}, generic=generic)
        assert plan.rows_read(RUNS) <= 1

    @pytest.mark.parametrize(("statement", "index"), DUE.values(), ids=DUE)
    def test_overdue_runs_are_found_without_looking_at_the_others(
        self, probe: Probe, seeded_url: str, statement: Executable, index: str, generic: bool
    ) -> None:
        with connect(seeded_url) as connection:
            connection.execute("VACUUM (ANALYZE) workflow_runs")  # of what the other explanations rolled back
        plan = probe.explain(statement, {"most": MOST}, generic=generic)
        found = plan.rows_returned()
        assert 0 < found < MOST
        assert index in plan.indexes()
        assert not plan.scans_whole(RUNS)
        assert plan.rows_read(RUNS) <= 3 * found


@either_way
class TestHistory:
    @pytest.mark.parametrize("after", [0, 2**62])
    def test_history_of_a_run_reads_its_own_rows(
        self, probe: Probe, ids: Sequence[UUID], after: int, generic: bool
    ) -> None:
        values = {"workflow_run_id": ids[0], "after": after, "most": 51}
        plan = probe.explain(workflow_run_history._LIST, values, generic=generic)
        assert not plan.scans_whole(HISTORY)
        assert plan.rows_read(HISTORY) <= 2


@either_way
class TestIdempotencyKeys:
    def test_stored_answers_are_found_by_scope(self, probe: Probe, scopes: list[bytes], generic: bool) -> None:
        values = {"scopes": to_json([as_bytes(scope) for scope in scopes]).decode()}
        plan = probe.explain(idempotency_keys._GET, values, generic=generic)
        assert not plan.scans_whole(KEYS)
        assert plan.rows_read(KEYS) <= 2 * len(scopes)

    @pytest.mark.parametrize(("age", "found"), [(timedelta(hours=48), 0), (timedelta(hours=20), MOST)])
    def test_old_keys_are_found_without_looking_at_the_others(
        self, probe: Probe, age: timedelta, found: int, generic: bool
    ) -> None:
        plan = probe.explain(idempotency_keys._PRUNE, {"age": age, "most": MOST}, generic=generic)
        assert not plan.scans_whole(KEYS)
        assert "ix_idempotency_keys_created" in plan.indexes()
        assert plan.rows_read(KEYS) <= 3 * found
