"""Names that stand twice in an object."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json

from app.domain.json_names import find_repeated_name

TEXTS = st.text(alphabet='a":\\ \n,{}[]', max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def find(text: str | bytes) -> str | None:
    body = text.encode() if isinstance(text, str) else text
    return find_repeated_name(body, from_json(body))


class TestFindRepeatedName:
    @pytest.mark.parametrize(
        ("text", "pointer"),
        [
            ('{"a": 1, "a": 2}', "/a"),
            ('{"a":1,"a":1}', "/a"),
            ('{"a" :1, "b" : {}, "a"\n:2}', "/a"),
            ('{"a": 1, "\\u0061": 2}', "/a"),
            ('{"": 1, "": 2}', "/"),
            ('{"a": {"b": [0, {"c/d": 1, "c/d": 1}]}}', "/a/b/1/c~1d"),
            ('{"a": {"b": 1, "b": 1}, "a": 2}', "/a"),
            ('[{"a": ":"}, {"a": ": \\": ", "a": "::"}]', "/1/a"),
            ('{"a": "x\\": y", "a" : 2}', "/a"),
        ],
    )
    def test_first_one_is_named(self, text: str, pointer: str) -> None:
        assert find(text) == pointer

    @pytest.mark.parametrize(
        "text",
        [
            '"a"',
            "1",
            "[]",
            "{}",
            '{"a": 1, "A": 2}',
            '[{"a": 1}, {"a": 1}]',
            '{"a": {"a": {"a": []}}}',
            '{"a": "\\"a\\": 1", "b": ": ", ":": "12:30:00"}',
            '{"a" : 1, "b" : ": "}',
        ],
    )
    def test_none_is_found_where_there_is_none(self, text: str) -> None:
        assert find(text) is None

    @given(value=VALUES, blanks=st.sampled_from([(",", ":"), (", ", ": "), (",\n ", " : ")]))
    def test_it_agrees_with_reading_every_name(self, value: Any, blanks: tuple[str, str]) -> None:
        assert find(json.dumps(value, separators=blanks)) is None
        twice = f'{{"x"{blanks[1]}{json.dumps(value)}, "y"{blanks[1]}0, "x"{blanks[1]}{json.dumps(value)}}}'
        assert find(twice) == "/x"
