"""Reports of progress that are merged."""

from functools import reduce
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.domain.reported_progress import NOTHING, ReportedChange, read_report
from milepost.schemas.progress import ProgressReport

REPORTS = st.lists(
    st.none()
    | st.fixed_dictionaries(
        {},
        optional={
            "done": st.none() | st.integers(0, 3),
            "total": st.none() | st.floats(0, 3),
            "unit": st.none() | st.sampled_from(["rows", ""]),
            "message": st.none() | st.just("orders"),
        },
    ),
    min_size=1,
    max_size=5,
)


def change(report: dict[str, Any] | None) -> ReportedChange:
    return read_report(None if report is None else ProgressReport.model_validate(report))


class TestReportedChange:
    @given(REPORTS, st.none() | st.just({**NOTHING, "done": 1, "unit": "rows"}))
    def test_reports_that_come_together_are_as_those_that_come_one_by_one(
        self, reports: list[dict[str, Any] | None], stored: dict[str, Any] | None
    ) -> None:
        changes = [change(report) for report in reports]
        one_by_one: Any = stored
        for each in changes:
            one_by_one = each.of(one_by_one)
        assert reduce(ReportedChange.then, changes).of(stored) == one_by_one

    @given(REPORTS)
    def test_what_is_left_is_never_empty(self, reports: list[dict[str, Any] | None]) -> None:
        stored: Any = None
        for report in reports:
            stored = change(report).of(stored)
            assert stored is None or any(value is not None for value in stored.values())
