"""Documents written as YAML."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.domain.highway.document.texts import read_yaml, write_yaml

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20) | st.sampled_from(
    ["", " ", "10:30", "1.0", "yes", "null", "~", "<<", "=", "2025-01-15", "0x1f", "1e5", "- a", "a: b", "#", "\ufeff"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=20)


class TestWriteYaml:
    @given(document=st.dictionaries(TEXTS, VALUES))
    def test_what_was_written_is_read_again(self, document: dict[str, Any]) -> None:
        again = read_yaml(write_yaml(document))
        assert repr(again) == repr(document)

    def test_equal_parts_are_written_in_full(self) -> None:
        part = {"a": [1]}
        assert write_yaml({"x": part, "y": part}) == "x:\n  a:\n  - 1\ny:\n  a:\n  - 1\n"
