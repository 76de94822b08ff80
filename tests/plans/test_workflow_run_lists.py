"""No list reads more than a page needs, however long the history is."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.db.engine import Database
from app.domain.moves import OPEN
from app.store.pages import _bounded
from app.store.workflow_run_lists import ORDERS, count_runs, list_runs, list_statement
from app.store.workflow_runs import get_run
from milepost.schemas.workflow_runs import RunStatus
from tests.conftest import connect
from tests.factories import UNKNOWN_ID
from tests.plans.probe import Plan, Probe

RUNS = "workflow_runs"
PAGE = 51
SOME_DAY = datetime.now(UTC) - timedelta(days=45)
DAY = {"created_after": SOME_DAY, "created_before": SOME_DAY + timedelta(days=1)}
ROWS_OF_A_DAY = 667
ALL_OPEN = 600
DIRECTIONS = ("", "-")
PLACES = pytest.mark.parametrize("continued", [False, True], ids=["first_page", "middle_page"])

EXACT: Mapping[str, Mapping[str, Any]] = {
    **{f"status_{status}": {"status": status} for status in RunStatus},
    "workflow_name_that_stopped": {"workflow_name": "legacy_export"},
    "late": {"late": True},
    "late_completed": {"late": True, "status": "completed"},
    "never_late": {"never_late": True},
    "reason": {"reason": "lost"},
    "created_by": {"created_by": "cron"},
    "created_by_somebody": {"created_by": "person_3"},
    "queue": {"queue": "default"},
    "rare_queue": {"queue": "gpu"},
    "created_after": {"created_after": SOME_DAY},
    "created_before": {"created_before": SOME_DAY},
    "created_between": DAY,
    "failed_of_a_day": {"status": "failed", **DAY},
    "failed_lately": {"status": "failed", "created_after": datetime.now(UTC) - timedelta(days=1)},
    "name_failed_of_a_day": {"workflow_name": "flow_0", "status": "failed", **DAY},
    **{f"flow_0_{status}": {"workflow_name": "flow_0", "status": status} for status in RunStatus if status in OPEN},
    "flow_0_failed": {"workflow_name": "flow_0", "status": "failed"},
    "flow_0_cancelled": {"workflow_name": "flow_0", "status": "cancelled"},
    **{f"flow_39_{status}": {"workflow_name": "flow_39", "status": status} for status in RunStatus},
}
"""Filters that an index holds in the order of creation: every row that is read is on the page."""

SEVERAL: Mapping[str, Mapping[str, Any]] = {
    "names": {"workflow_names": ["flow_1", "legacy_export"]},
    "rare_names": {"workflow_names": ["flow_39", "legacy_export"]},
    "names_and_statuses": {"workflow_names": ["flow_1", "flow_39"], "statuses": ["failed", "running"]},
    **{f"{one}_or_{other}": {"statuses": [one, other]} for one, other in combinations(sorted(RunStatus), 2)},
}
"""Filters of several values: each value is read by a scan of its own."""

SIFTED: Mapping[str, tuple[Mapping[str, Any], float]] = {
    "name": ({"workflow_name": "flow_0"}, 0.05),
    "rare_name": ({"workflow_name": "flow_39"}, 0.05),
    "name_completed": ({"workflow_name": "flow_0", "status": "completed"}, 0.25),
    "version": ({"workflow_version": "1.3.0"}, 0.05),
    "versions": ({"workflow_versions": ["1.3.0", "1.4.0"]}, 0.1),
    "tag": ({"tags": {"env": "prod"}}, 0.3),
    "tag_of_a_team": ({"tags": {"team": "team_3"}}, 0.03),
    "tag_of_a_ticket": ({"tags": {"ticket": "T-77"}}, 1),
    "two_tags": ({"tags": {"ticket": "T-77", "env": "prod"}}, 1),
    "tag_failed": ({"tags": {"env": "prod"}, "status": "failed"}, 0.25),
    "tag_running": ({"tags": {"env": "prod"}, "status": "running"}, 0.25),
    "tag_of_a_ticket_failed": ({"tags": {"ticket": "T-77"}, "status": "failed"}, 1),
    "queue_running": ({"queue": "default", "status": "running"}, 0.5),
    "name_of_a_day": ({"workflow_name": "flow_0", **DAY}, 0.1),
}
"""Filters that no index holds as they are, and which share of the rows that are read is at least on the page."""

OF_OTHER_TIMES = [f"{time}_{side}" for time in ("started", "completed", "updated") for side in ("after", "before")]


class Lists:
    """Explains pages of the seeded runs."""

    def __init__(self, probe: Probe, url: str) -> None:
        self._probe = probe
        with connect(url) as connection:
            middle = connection.execute(
                "SELECT started_at, workflow_run_id FROM workflow_runs ORDER BY created_at OFFSET 30000 LIMIT 1"
            ).fetchone()
            parent = connection.execute(
                "SELECT parent_workflow_run_id FROM workflow_runs WHERE parent_workflow_run_id IS NOT NULL LIMIT 1"
            ).fetchone()
        assert middle
        assert parent
        self._position = {"position_value": middle[0], "position_id": middle[1]}
        self.parent: UUID = parent[0]

    def explain(self, order: str, filters: Mapping[str, Any], *, continued: bool) -> Plan:
        """Return the plan of a page; one in the middle of the history if it is ``continued``."""
        statement = _bounded(list_statement(order, filters, continued=continued))
        values = {**filters, **(self._position if continued else {}), "most": PAGE}
        plan = self._probe.explain(statement, values)
        assert not plan.scans_whole(RUNS)
        return plan


@pytest.fixture(scope="session")
def lists(probe: Probe, seeded_url: str) -> Lists:
    return Lists(probe, seeded_url)


def orders(names: Sequence[str]) -> list[str]:
    return [direction + name for name in names for direction in DIRECTIONS]


class TestListRuns:
    @PLACES
    @pytest.mark.parametrize("order", orders(list(ORDERS)))
    def test_page_of_each_order_reads_its_own_rows(self, lists: Lists, order: str, continued: bool) -> None:
        assert lists.explain(order, {}, continued=continued).rows_read(RUNS) == PAGE

    @PLACES
    @pytest.mark.parametrize("order", orders(["created_at"]))
    @pytest.mark.parametrize("filters", EXACT.values(), ids=EXACT)
    def test_filter_with_an_index_reads_little_more_than_the_page(
        self, lists: Lists, filters: Mapping[str, Any], order: str, continued: bool
    ) -> None:
        plan = lists.explain(order, filters, continued=continued)
        assert plan.rows_read(RUNS) <= 6 * PAGE

    @PLACES
    @pytest.mark.parametrize("order", orders(["completed_at"]))
    @pytest.mark.parametrize("status", ["failed", "cancelled"])
    def test_unsuccessful_runs_are_found_in_the_order_of_their_ends(
        self, lists: Lists, status: str, order: str, continued: bool
    ) -> None:
        assert lists.explain(order, {"status": status}, continued=continued).rows_read(RUNS) <= PAGE

    @PLACES
    @pytest.mark.parametrize("order", orders(["created_at"]))
    def test_children_of_a_run_are_found_by_their_parent(self, lists: Lists, order: str, continued: bool) -> None:
        plan = lists.explain(order, {"parent_workflow_run_id": lists.parent}, continued=continued)
        assert plan.rows_read(RUNS) <= 2 * PAGE

    @PLACES
    @pytest.mark.parametrize("order", orders(["created_at"]))
    @pytest.mark.parametrize("filters", SEVERAL.values(), ids=SEVERAL)
    def test_each_of_several_values_costs_at_most_a_page(
        self, lists: Lists, filters: Mapping[str, Any], order: str, continued: bool
    ) -> None:
        scans = len(filters.get("workflow_names", [1])) * len(filters.get("statuses", RunStatus))
        plan = lists.explain(order, filters, continued=continued)
        assert plan.rows_read(RUNS) <= (scans + 1) * PAGE

    @PLACES
    @pytest.mark.parametrize("order", orders(["created_at"]))
    @pytest.mark.parametrize(("filters", "share"), SIFTED.values(), ids=SIFTED)
    def test_filter_without_an_index_reads_as_much_as_it_is_selective(
        self, lists: Lists, filters: Mapping[str, Any], share: float, order: str, continued: bool
    ) -> None:
        plan = lists.explain(order, filters, continued=continued)
        assert plan.rows_read(RUNS) <= 1.5 * PAGE / share

    @PLACES
    @pytest.mark.parametrize("direction", DIRECTIONS)
    @pytest.mark.parametrize("bound", OF_OTHER_TIMES)
    def test_bound_on_the_ordered_time_reads_its_own_rows(
        self, lists: Lists, bound: str, direction: str, continued: bool
    ) -> None:
        order = f"{direction}{bound.partition('_')[0]}_at"
        plan = lists.explain(order, {bound: SOME_DAY}, continued=continued)
        assert plan.rows_read(RUNS) <= PAGE + ALL_OPEN

    @PLACES
    @pytest.mark.parametrize("order", orders(["created_at"]))
    @pytest.mark.parametrize("bound", OF_OTHER_TIMES)
    def test_bound_on_another_time_still_uses_an_index(
        self, lists: Lists, bound: str, order: str, continued: bool
    ) -> None:
        lists.explain(order, {bound: SOME_DAY}, continued=continued)

    @PLACES
    @pytest.mark.parametrize("order", orders(["started_at", "completed_at", "updated_at"]))
    @pytest.mark.parametrize(
        "filters", [{"status": "pending"}, {"status": "running"}, {"statuses": ["pending", "running"]}]
    )
    def test_open_runs_are_never_searched_for_among_the_ended(
        self, lists: Lists, filters: Mapping[str, Any], order: str, continued: bool
    ) -> None:
        plan = lists.explain(order, filters, continued=continued)
        assert plan.rows_read(RUNS) <= 2 * ALL_OPEN

    async def test_lists_are_planned_for_their_values_each_time(self, database: Database) -> None:
        async with database.reading() as tx:
            for _ in range(12):
                await list_runs(tx, "-created_at", {"tags": {"env": "prod"}}, None, PAGE)
                await count_runs(tx, ("status",), {"tags": {"env": "prod"}})
                await get_run(tx, UNKNOWN_ID)
            prepared = (await tx.execute(text("SELECT statement FROM pg_prepared_statements"))).scalars()
        assert [statement for statement in prepared if "tag_texts" in statement] == []
        assert [statement for statement in prepared if "workflow_runs" in statement] != []
