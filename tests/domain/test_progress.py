"""How far a workflow run is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.progress import COUNTED, ENDED, make_progress


class TestMakeProgress:
    @given(st.dictionaries(st.sampled_from(COUNTED), st.integers(0, 1000)))
    def test_without_a_declared_count_the_linked_tasks_are_the_total(self, counts: dict[str, int]) -> None:
        progress = make_progress(None, counts)
        assert progress.total == sum(counts.values())
        if progress.percent is not None:
            assert 0 <= progress.percent <= 100
            assert (progress.percent == 100) == all(not n for status, n in counts.items() if status not in ENDED)

    @pytest.mark.parametrize(
        ("declared", "counts", "total", "percent"),
        [
            (None, {}, 0, None),
            (0, {}, 0, None),
            (4, {}, 4, 0),
            (4, {"completed": 1, "failed": 1, "cancelled": 1, "running": 1}, 4, 75),
            (None, {"completed": 1, "sleeping": 1}, 2, 50),
            (10, {"completed": 1, "pending": 1}, 10, 10),
            (None, {"cancelled": 3}, 3, 100),
        ],
    )
    def test_percent_is_ended_of_total(
        self, declared: int | None, counts: dict[str, int], total: int, percent: float | None
    ) -> None:
        progress = make_progress(declared, counts)
        assert (progress.total, progress.percent) == (total, percent)
