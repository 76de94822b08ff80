"""Opaque positions in a list."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.cursors import Position, read_cursor, read_offset, write_cursor, write_offset
from app.errors import ValidationFailed

TIMES = st.none() | st.datetimes(timezones=st.just(UTC))
FILTERS: dict[str, Any] = {"status": "failed", "tags": {"a": "b"}, "created_after": datetime(2026, 1, 1, tzinfo=UTC)}
HERE = Position(datetime(2026, 1, 1, tzinfo=UTC), UUID(int=1))


class TestCursor:
    @given(TIMES, st.uuids(), st.sampled_from(["created_at", "-started_at"]))
    def test_it_leads_back_to_its_position(self, value: datetime | None, row_id: UUID, order: str) -> None:
        position = Position(value, row_id)
        assert read_cursor(write_cursor(position, order, FILTERS), order, FILTERS) == position

    @pytest.mark.parametrize(
        ("order", "filters"),
        [("-created_at", FILTERS), ("created_at", {}), ("created_at", FILTERS | {"status": "completed"})],
    )
    def test_it_belongs_to_one_order_and_its_filters(self, order: str, filters: dict[str, Any]) -> None:
        cursor = write_cursor(HERE, "created_at", FILTERS)
        with pytest.raises(ValidationFailed):
            read_cursor(cursor, order, filters)

    @given(st.text(max_size=60))
    def test_any_other_text_is_refused(self, text: str) -> None:
        with pytest.raises(ValidationFailed):
            read_cursor(text, "created_at", {})

    @given(st.integers(0, 2**63 - 1), st.uuids())
    def test_offset_leads_back_to_its_row(self, row_id: int, owner: UUID) -> None:
        assert read_offset(write_offset(row_id, owner), owner) == row_id

    @given(st.text(max_size=60))
    def test_any_other_text_is_no_offset(self, text: str) -> None:
        with pytest.raises(ValidationFailed):
            read_offset(text, UUID(int=1))

    @pytest.mark.parametrize("cursor", [write_offset(5, UUID(int=2)), write_cursor(HERE, "created_at", {})])
    def test_cursor_of_another_list_is_no_offset(self, cursor: str) -> None:
        with pytest.raises(ValidationFailed):
            read_offset(cursor, UUID(int=1))
