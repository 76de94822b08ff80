"""A page of a log reads no more lines than it has to, however many there are."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from app.services.logs import LOOKS
from app.store.log_lines import _page
from tests.conftest import connect
from tests.plans.probe import Probe

RUN = UUID(int=1)
TASK = UUID(int=2)
SEED = """
    INSERT INTO workflow_runs (workflow_run_id, workflow_name, workflow_version, status, queue, tags)
    SELECT id, 'w', '1', 'pending', 'default', '{}'
    FROM (SELECT ('00000000-0000-0000-0000-' || lpad(to_hex(n), 12, '0'))::uuid AS id FROM generate_series(1, 100) AS n)
        AS runs;
    INSERT INTO queues (queue) VALUES ('default');
    INSERT INTO tasks (
        task_id, queue, task_name, headers, priority, workflow_run_id, max_attempts, status, run_id
    ) SELECT
        '00000000-0000-0000-0000-000000000002', 'default', 't', '{}', 0, '00000000-0000-0000-0000-000000000001', 1,
        'pending', '00000000-0000-0000-0000-000000000003';
    INSERT INTO log_lines (workflow_run_id, task_id, attempt, level, at, text)
    SELECT
        ('00000000-0000-0000-0000-' || lpad(to_hex(CASE WHEN n % 4 = 0 THEN 2 + n % 99 ELSE 1 END), 12, '0'))::uuid,
        CASE WHEN n % 4 = 1 THEN '00000000-0000-0000-0000-000000000002'::uuid END, 1,
        CASE WHEN n % 50000 = 1 THEN 3 ELSE 1 END,
        '2026-01-01Z'::timestamptz + n * interval '1 millisecond', 'line ' || n
    FROM generate_series(1, 200000) AS n;
"""
LINES = "log_lines"
MOST = 51
MIDDLE = datetime(2026, 1, 1, 0, 1, 40, tzinfo=UTC)
each_way = pytest.mark.parametrize("generic", [False, True], ids=["for_its_values", "for_all_values"])
each_order = pytest.mark.parametrize("newest_first", [False, True], ids=["oldest", "newest"])
each_owner = pytest.mark.parametrize(
    ("owner", "values"),
    [("workflow_run_id", {"workflow_run_id": RUN}), ("task_id", {"task_id": TASK})],
    ids=["run", "task"],
)


@pytest.fixture(scope="module")
def log_probe(new_database: Any) -> Iterator[Probe]:
    url: str = new_database()
    with connect(url) as connection:
        connection.execute(SEED.encode())
        connection.execute("VACUUM (ANALYZE)")
    probe = Probe(url)
    yield probe
    probe.close()


@each_way
@each_order
@each_owner
class TestPages:
    def test_page_reads_its_own_lines(
        self, log_probe: Probe, owner: str, values: dict[str, Any], newest_first: bool, generic: bool
    ) -> None:
        statement = _page(owner, frozenset(), newest_first=newest_first, continued=True)
        position = {"position_at": MIDDLE, "position_sequence": 100_000}
        plan = log_probe.explain(statement, {**values, **position, "most": MOST, "scanned": MOST}, generic=generic)
        assert not plan.scans_whole(LINES)
        assert plan.rows_read(LINES) <= MOST
        assert plan.indexes() == {f"ix_log_lines_{'run' if owner == 'workflow_run_id' else 'task'}"}

    def test_bounds_are_found_by_the_index(
        self, log_probe: Probe, owner: str, values: dict[str, Any], newest_first: bool, generic: bool
    ) -> None:
        statement = _page(owner, frozenset({"after"}), newest_first=newest_first, continued=False)
        plan = log_probe.explain(statement, {**values, "after": MIDDLE, "most": MOST, "scanned": MOST}, generic=generic)
        assert plan.rows_read(LINES) <= MOST

    @pytest.mark.parametrize("filters", [{"q": "nowhere"}, {"level": 3}, {"attempt": 2}], ids=["q", "level", "attempt"])
    def test_filter_looks_at_a_bounded_number(
        self,
        log_probe: Probe,
        owner: str,
        values: dict[str, Any],
        newest_first: bool,
        generic: bool,
        filters: dict[str, Any],
    ) -> None:
        statement = _page(owner, frozenset(filters), newest_first=newest_first, continued=False)
        plan = log_probe.explain(statement, {**values, **filters, "most": MOST, "scanned": max(LOOKS)}, generic=generic)
        assert not plan.scans_whole(LINES)
        assert plan.rows_read(LINES) <= max(LOOKS)
