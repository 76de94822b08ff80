"""JSON values: when two are the same, and which ones cannot be stored."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.json_values import DEPTH_MOST, escape_pointer, find_unstorable, fingerprint, same_json

CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(CHARACTERS)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(CHARACTERS), inner, max_size=4)
)


def reversed_keys(value: Any) -> Any:
    match value:
        case dict():
            return {key: reversed_keys(value[key]) for key in reversed(value)}
        case list():
            return [reversed_keys(item) for item in value]
        case _:
            return value


def nested(depth: int) -> Any:
    value: Any = 0
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


class TestSameJson:
    @given(VALUES)
    def test_order_of_keys_and_the_way_through_text_do_not_matter(self, value: Any) -> None:
        other = json.loads(json.dumps(reversed_keys(value)))
        assert same_json(value, other)
        assert fingerprint(value) == fingerprint(other)

    @given(VALUES, VALUES)
    def test_same_fingerprint_means_equal_in_python_too(self, one: Any, other: Any) -> None:
        if fingerprint(one) == fingerprint(other):
            assert one == other

    @pytest.mark.parametrize(
        ("one", "other"), [(1, 1.0), (0, -0.0), (100, 1e2), ({"a": 1, "b": 2}, {"b": 2.0, "a": 1})]
    )
    def test_equal_numbers_are_the_same(self, one: Any, other: Any) -> None:
        assert same_json(one, other)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (1, True),
            (0, False),
            (0, None),
            ("", None),
            ("1", 1),
            ([], {}),
            ([1, 2], [2, 1]),
            ({}, {"a": None}),
            ([0], [[0]]),
        ],
    )
    def test_other_types_and_orders_differ(self, one: Any, other: Any) -> None:
        assert not same_json(one, other)


class TestFindUnstorable:
    @given(VALUES)
    def test_ordinary_values_can_be_stored(self, value: Any) -> None:
        assert find_unstorable(value) is None

    def test_nesting_ends_at_the_limit(self) -> None:
        assert find_unstorable(nested(DEPTH_MOST)) is None
        assert find_unstorable(nested(DEPTH_MOST + 1)) is not None

    @pytest.mark.parametrize(
        "bad", ["\0", "a\0", "\ud800", "x\udfff", float("inf"), float("-inf"), float("nan")], ids=repr
    )
    @pytest.mark.parametrize(
        ("around", "place"),
        [(lambda x: x, ""), (lambda x: [0, x], "/1"), (lambda x: {"a/b": {"~": [x]}}, "/a~1b/~0/0")],
        ids=["alone", "in a list", "deep"],
    )
    def test_bad_part_is_pointed_at(self, bad: Any, around: Any, place: str) -> None:
        found = find_unstorable(around(bad))
        assert found is not None
        assert found[0] == place

    @pytest.mark.parametrize("key", ["\0", "a\ud800"], ids=repr)
    def test_bad_key_is_pointed_at_by_its_object(self, key: str) -> None:
        found = find_unstorable({"a": {key: {"b": 1}}})
        assert found is not None
        assert found[0] == "/a"


@pytest.mark.parametrize(
    ("part", "token"), [("a", "a"), ("a/b", "a~1b"), ("~", "~0"), ("~1", "~01"), ("", ""), (3, "3")]
)
def test_pointer_escapes_as_rfc_6901_says(part: str | int, token: str) -> None:
    assert escape_pointer(part) == token
