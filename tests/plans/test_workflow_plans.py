"""Definitions are found by an index, however many versions of them have been registered."""

import pytest
from sqlalchemy import Executable

from app.store import workflows
from tests.conftest import connect
from tests.plans.probe import Probe

WORKFLOWS = "workflows"
NAMES, VERSIONS = 50, 400
SEED = """
    INSERT INTO workflows (workflow_id, workflow_name, workflow_version, workflow_hash, description, document, source,
        media_type, warnings, created_by)
    SELECT gen_random_uuid(), 'w' || name, version::text, md5(name || '.' || version), '', '{}', repeat('x', 500),
        'application/yaml', '[]', 'anonymous'
    FROM generate_series(1, %s) AS version, generate_series(1, %s) AS name
"""
either_way = pytest.mark.parametrize("generic", [False, True], ids=["for_its_values", "for_all_values"])


@pytest.fixture(scope="module", autouse=True)
def seeded(seeded_url: str) -> None:
    """Fill the table with many versions of each name."""
    with connect(seeded_url) as connection:
        connection.execute(SEED, (VERSIONS, NAMES))
        connection.execute("VACUUM ANALYZE workflows")


@either_way
class TestWorkflows:
    def test_list_reads_one_version_of_each_name(self, probe: Probe, generic: bool) -> None:
        plan = probe.explain(workflows._LIST_NEWEST, {"after": "w2", "most": 11}, generic=generic)
        assert not plan.scans_whole(WORKFLOWS)
        assert plan.rows_returned() == 11
        assert plan.rows_read(WORKFLOWS) <= 2 * 11 + 1

    def test_versions_of_a_name_are_read_page_by_page(self, probe: Probe, generic: bool) -> None:
        parameters = {"name": "w7", "before": 2**63 - 1, "most": 51}
        plan = probe.explain(workflows._LIST_VERSIONS, parameters, generic=generic)
        assert plan.indexes() == {"ix_workflows_newest"}
        assert plan.rows_read(WORKFLOWS) == 51

    @pytest.mark.parametrize("statement", [workflows._GET_NEWEST, workflows._SHARE_NEWEST], ids=["get", "share"])
    def test_newest_version_is_one_row(self, probe: Probe, statement: Executable, generic: bool) -> None:
        assert probe.explain(statement, {"name": "w7"}, generic=generic).rows_read(WORKFLOWS) == 1

    @pytest.mark.parametrize(
        "statement", [workflows._GET, workflows._SHARE, workflows._LOCK], ids=["get", "share", "lock"]
    )
    def test_version_is_one_row(self, probe: Probe, statement: Executable, generic: bool) -> None:
        plan = probe.explain(statement, {"name": "w7", "version": "9"}, generic=generic)
        assert plan.rows_read(WORKFLOWS) == 1
