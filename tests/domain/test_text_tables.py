"""Tables that a person reads in a terminal."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from app.domain.text_tables import write_cell, write_facts, write_table


class TestWriteTable:
    def test_columns_are_aligned_two_blanks_apart(self) -> None:
        assert write_table(("id", "name"), [(1, "a"), (1000, None)]) == "ID    NAME\n1     a\n1000  -\n"

    @given(st.lists(st.tuples(st.text(), st.text() | st.none() | st.integers()), max_size=5))
    def test_each_row_is_one_line(self, rows: list[tuple[str, object]]) -> None:
        assert write_table(("one", "other"), rows).count("\n") == len(rows) + 1

    @given(st.text())
    def test_cell_has_nothing_that_moves_the_cursor(self, text: str) -> None:
        assert write_cell(text).isprintable()

    def test_times_are_utc_to_the_second(self) -> None:
        assert write_cell(datetime(2026, 1, 31, 9, 30, 0, 999, tzinfo=UTC)) == "2026-01-31T09:30:00Z"

    def test_facts_are_one_a_line(self) -> None:
        assert write_facts({"a": 1, "long": None}) == "a     1\nlong  -\n"
