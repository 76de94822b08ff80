"""The types that every body and parameter is built from."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from milepost.schemas.wire import QueueName, Time, WorkflowName, WorkflowVersion

NAMES = {
    "workflow_name": (TypeAdapter(WorkflowName), r"[a-z][a-z0-9_]*", 200, False),
    "workflow_version": (TypeAdapter(WorkflowVersion), r"[a-zA-Z0-9._-]+", 100, False),
    "queue": (TypeAdapter(QueueName), r"[A-Za-z_][A-Za-z0-9_.-]*", 100, True),
}
"""How each name is written in the contract, and whether it may hold the separator of display names."""


@pytest.mark.parametrize("kind", NAMES)
class TestNames:
    @given(st.text("aZ09_.- é\n", max_size=8) | st.from_regex(r"[a-zA-Z0-9._-]+"))
    def test_exactly_what_the_contract_says_is_taken(self, kind: str, name: str) -> None:
        adapter, pattern, longest, separator = NAMES[kind]
        fits = bool(re.fullmatch(pattern, name)) and len(name) <= longest and (separator or "__" not in name)
        try:
            adapter.validate_python(name)
        except ValidationError:
            assert not fits
        else:
            assert fits

    def test_length_has_a_limit(self, kind: str) -> None:
        adapter, _, longest, _ = NAMES[kind]
        adapter.validate_python("a" * longest)
        with pytest.raises(ValidationError):
            adapter.validate_python("a" * (longest + 1))


class TestTime:
    times = TypeAdapter(Time)

    @given(st.datetimes(timezones=st.timezones()))
    def test_any_moment_with_an_offset_is_read_in_utc(self, moment: datetime) -> None:
        try:
            expected = moment.astimezone(UTC)
        except OverflowError:
            return
        seconds = moment.utcoffset()
        if seconds is not None and seconds.total_seconds() % 60 == 0:
            read = self.times.validate_python(moment.isoformat())
            assert (read, read.tzinfo) == (expected, UTC)

    @given(st.datetimes() | st.dates())
    def test_time_without_an_offset_is_refused(self, moment: datetime) -> None:
        with pytest.raises(ValidationError):
            self.times.validate_python(moment.isoformat())

    @given(st.text(st.characters(exclude_categories=["Nd"])) | st.integers() | st.floats() | st.booleans() | st.none())
    def test_anything_else_is_refused(self, value: object) -> None:
        with pytest.raises(ValidationError):
            self.times.validate_python(value)
