"""`If-Match`: which revisions it lets through."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.preconditions import entity_tag, read_if_match
from app.errors import ValidationFailed


class TestReadIfMatch:
    @given(st.integers(min_value=1, max_value=2**63), st.integers(min_value=1, max_value=2**63))
    def test_tag_holds_for_its_own_revision_only(self, revision: int, other: int) -> None:
        precondition = read_if_match(entity_tag(revision))
        assert precondition is not None
        assert precondition.holds_for(other) == (revision == other)

    def test_absent_asks_for_nothing(self) -> None:
        assert read_if_match(None) is None

    @pytest.mark.parametrize(("text", "holds"), [("*", True), ('"1", "2"', True), ('W/"2"', False), ('"02"', False)])
    def test_form_decides(self, text: str, holds: bool) -> None:
        precondition = read_if_match(text)
        assert precondition is not None
        assert precondition.holds_for(2) is holds

    @given(st.text(max_size=20))
    def test_anything_is_read_or_refused(self, text: str) -> None:
        with suppress(ValidationFailed):
            assert read_if_match(text) is not None
