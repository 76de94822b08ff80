"""What monitors look for is found by the index of names, however many runs there are."""

from typing import Any

import pytest

from app.store import monitors
from tests.conftest import connect
from tests.plans.probe import Probe

RUNS = "workflow_runs"
SEED = """
    INSERT INTO monitors (name, workflow_name, every_seconds, grace_seconds, tags, paused, state, since_at, seen_from,
        look_at)
    SELECT 'm' || lpad(place::text, 3, '0'), workflow_name, 3600, 300, '{}', false, 'waiting', newest, newest, NULL
    FROM (
        SELECT workflow_name, max(created_at) + interval '1 us' AS newest, row_number() OVER () AS place
        FROM (SELECT DISTINCT workflow_name FROM workflow_runs ORDER BY 1 LIMIT 10) AS name
        JOIN workflow_runs USING (workflow_name) GROUP BY workflow_name
    ) AS found
"""
NEWEST = "SELECT array_agg(workflow_run_id) FROM (SELECT workflow_run_id FROM workflow_runs LIMIT 100) AS run"
FOLLOW = """
    UPDATE monitors SET followed = (
        SELECT jsonb_object_agg(workflow_run_id, jsonb_build_array(revision, 1, false, true, NULL))
        FROM workflow_runs WHERE workflow_run_id = ANY(%s)
    )
"""
either_way = pytest.mark.parametrize("generic", [False, True], ids=["for_its_values", "for_all_values"])


@pytest.fixture(scope="module", autouse=True)
def seeded(seeded_url: str) -> Any:
    """Make monitors of ten names that have seen all runs, and follow a hundred."""
    with connect(seeded_url) as connection:
        connection.execute(SEED)
        (followed,) = connection.execute(NEWEST).fetchone() or ([],)
        connection.execute(FOLLOW, (followed,))
        connection.execute("VACUUM ANALYZE monitors")
    yield
    with connect(seeded_url) as connection:
        connection.execute("DELETE FROM monitors")


@either_way
class TestMonitors:
    def test_round_that_finds_nothing_reads_only_what_is_followed(self, probe: Probe, generic: bool) -> None:
        plan = probe.explain(monitors._FIND_DUE, {"most": 100}, generic=generic)
        assert not plan.scans_whole(RUNS)
        assert "ix_workflow_runs_by_name" in plan.indexes()
        assert plan.rows_returned() == 0
        assert plan.rows_read(RUNS) <= 10 * 100 + 10

    def test_new_runs_are_read_up_to_their_number(self, probe: Probe, generic: bool) -> None:
        plan = probe.explain(monitors._LIST_NEW, {"names": ["m001"], "most": 100}, generic=generic)
        assert not plan.scans_whole(RUNS)
        assert plan.rows_read(RUNS) == 0

    def test_followed_runs_are_read_by_their_ids(self, probe: Probe, generic: bool) -> None:
        plan = probe.explain(monitors._LIST_FOLLOWED, {"names": ["m001"]}, generic=generic)
        assert "pk_workflow_runs" in plan.indexes()
        assert plan.rows_read(RUNS) == 100

    def test_newest_running_is_found_without_history(self, probe: Probe, generic: bool) -> None:
        given = {"workflow_name": "no_such_name", "tags": {}}
        plan = probe.explain(monitors._FIND_RUNNING, given, generic=generic)
        assert not plan.scans_whole(RUNS)
        assert plan.rows_read(RUNS) == 0
