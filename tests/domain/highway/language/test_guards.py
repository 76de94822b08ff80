"""Guards: what has to hold before and after a step."""

import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.highway.language.expressions import Segment
from app.domain.highway.language.guards import CHECKS, PATTERN_LENGTH_MOST, compile_pattern, failed_guard

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(), parts, max_size=3),
    max_leaves=6,
)
TYPE_NAMES = ["string", "str", "text", "integer", "int", "number", "float", "boolean", "bool", "list", "array"]
TYPE_NAMES += ["object", "dict", "map", "null", "none"]


class Values:
    """A context of named values."""

    def __init__(self, **values: Any) -> None:
        self.values = values

    def find(self, path: Sequence[Segment]) -> tuple[Any, int] | None:
        return (self.values[path[0]], 1) if path[0] in self.values else None


CONTEXT = Values(
    email="ada@example.org",
    price=10,
    text_price="10.0",
    paid=True,
    nothing=None,
    result={"price": 99.5, "tags": ["a"]},
    currency="EUR",
    other="EUR",
)


def holds(variable: str, check: str, value: Any = None) -> bool:
    """Return whether one guard holds."""
    return failed_guard([{"variable": variable, "check": check, "value": value, "message": "no"}], CONTEXT) is None


class TestFailedGuard:
    def test_guards_that_hold_have_no_message(self) -> None:
        guards: list[dict[str, Any]] = [
            {"variable": "{{price}}", "check": "exists"},
            {"variable": "{{paid}}", "check": "equals", "value": True},
        ]
        assert failed_guard(guards, CONTEXT) is None
        assert failed_guard([], CONTEXT) is None

    def test_the_first_that_does_not_hold_speaks(self) -> None:
        guards: list[dict[str, Any]] = [
            {"variable": "{{price}}", "check": "exists", "message": "no price"},
            {"variable": "{{price}}", "check": "equals", "value": 11, "message": "bad price"},
            {"variable": "{{missing}}", "check": "exists", "message": "missing"},
        ]
        assert failed_guard(guards, CONTEXT) == "bad price"

    @pytest.mark.parametrize("message", [{}, {"message": ""}, {"message": None}])
    def test_a_message_is_made_where_there_is_none(self, message: dict[str, Any]) -> None:
        made = failed_guard([{"variable": "{{missing}}", "check": "not_null", **message}], CONTEXT)
        assert made == "The guard `not_null` of {{missing}} does not hold"

    def test_an_unknown_check_never_holds(self) -> None:
        assert not holds("price", "is_nice")

    @given(st.sampled_from(sorted(CHECKS)), JSON, JSON)
    def test_any_value_holds_or_not(self, check: str, value: Any, expected: Any) -> None:
        failed_guard([{"variable": "{{v}}", "check": check, "value": expected}], Values(v=value))


class TestVariable:
    @pytest.mark.parametrize(
        "variable", ["{{result.price}}", "{{ result.price }}", " {{result.price}}", "result.price"]
    )
    def test_it_is_a_template_or_a_path(self, variable: str) -> None:
        assert holds(variable, "equals", 99.5)

    def test_it_may_be_a_text_with_templates(self) -> None:
        assert holds("{{currency}} {{price}}", "equals", "EUR 10")
        assert not holds("{{currency}} {{missing}}", "exists")

    def test_the_value_may_hold_templates(self) -> None:
        assert holds("currency", "equals", "{{other}}")
        assert holds("price", "in_range", ["{{price}}", "{{result.price}}"])


class TestExists:
    def test_null_exists_but_is_null(self) -> None:
        assert holds("nothing", "exists")
        assert not holds("nothing", "not_null")

    def test_a_path_that_leads_nowhere_does_not(self) -> None:
        assert not holds("result.missing", "exists")
        assert not holds("result.missing", "not_null")

    def test_any_other_value_does(self) -> None:
        assert holds("paid", "exists")
        assert holds("paid", "not_null")


class TestEquals:
    @pytest.mark.parametrize(
        ("variable", "value"),
        [("price", 10.0), ("price", "10"), ("text_price", 10), ("paid", "true"), ("missing", None), ("nothing", None)],
    )
    def test_it_is_typed_as_in_conditions(self, variable: str, value: Any) -> None:
        assert holds(variable, "equals", value)
        assert not holds(variable, "not_equals", value)

    @pytest.mark.parametrize(("variable", "value"), [("price", 11), ("paid", 1), ("missing", ""), ("nothing", 0)])
    def test_its_opposite_is_too(self, variable: str, value: Any) -> None:
        assert holds(variable, "not_equals", value)
        assert not holds(variable, "equals", value)


class TestInRange:
    @pytest.mark.parametrize("bounds", [[10, 10], [1, 100], ["1", "10.5"], [9.5, 10]])
    @pytest.mark.parametrize("variable", ["price", "text_price"])
    def test_its_bounds_belong_to_it(self, variable: str, bounds: list[Any]) -> None:
        assert holds(variable, "in_range", bounds)

    @pytest.mark.parametrize("bounds", [[11, 20], [1, 9.99], [20, 1], [1], [1, 2, 3], [None, 20], None, "1-20", {}])
    def test_nothing_else_is_in_it(self, bounds: Any) -> None:
        assert not holds("price", "in_range", bounds)

    @pytest.mark.parametrize("variable", ["missing", "nothing", "paid", "result"])
    def test_what_has_no_order_is_in_none(self, variable: str) -> None:
        assert not holds(variable, "in_range", [0, 100])


class TestMatchesRegex:
    @pytest.mark.parametrize(
        ("variable", "pattern"),
        [
            ("email", "^[^@]+@[^@]+$"),
            ("email", "example"),
            ("price", r"^\d{2}$"),
            ("paid", "^true$"),
            ("result.tags", r'^\["a"\]$'),
            ("email", r"^[^@]{1,255}@[^.]{1,255}\.[a-z]{2,63}$"),
        ],
    )
    def test_the_pattern_is_searched_in_the_text_of_a_value(self, variable: str, pattern: str) -> None:
        assert holds(variable, "matches_regex", pattern)

    @pytest.mark.parametrize("variable", ["missing", "nothing"])
    def test_null_matches_nothing(self, variable: str) -> None:
        assert not holds(variable, "matches_regex", ".*")

    @pytest.mark.parametrize("pattern", ["(", "[", "a{2}{3}(", "*", "(?P<a", "\\", None, 5, ["a"], "(?<n>", "(" * 900])
    def test_a_broken_pattern_matches_nothing(self, pattern: Any) -> None:
        assert not holds("email", "matches_regex", pattern)

    @pytest.mark.parametrize("pattern", [r"(a+)+$", r"(a|aa)+$", r"(.*a){20}$", r"((?1)?a)+$"])
    def test_a_pattern_that_takes_too_long_does_not_hold(self, pattern: str) -> None:
        began = time.process_time()
        values = Values(v="a" * 10_000 + "b")
        assert failed_guard([{"variable": "v", "check": "matches_regex", "value": pattern}], values) is not None
        assert time.process_time() - began < 2

    @pytest.mark.parametrize(
        "pattern",
        [
            "a{99999999}",
            "(a{1000}){1000}",
            "(?:(?:a|b){100}){1000}",
            "a{9999}{9999}",
            "{99999999}",
            "(?x)(a{99})#{3}\n{999}",
            "a" * (PATTERN_LENGTH_MOST + 1),
        ],
    )
    def test_a_pattern_that_would_take_much_memory_is_none(self, pattern: str) -> None:
        assert compile_pattern(pattern) is None

    @pytest.mark.parametrize(
        "pattern", ["([0-9a-f]{64},){10}", "(a{1,1000}){1,1000}", r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}"]
    )
    def test_repetitions_of_a_usual_size_are_allowed(self, pattern: str) -> None:
        assert compile_pattern(pattern) is not None


class TestTypeCheck:
    @pytest.mark.parametrize(
        ("value", "names"),
        [
            ("a", {"string", "str", "text"}),
            (1, {"integer", "int", "number", "float"}),
            (1.5, {"number", "float"}),
            (True, {"boolean", "bool"}),
            ([], {"list", "array"}),
            ({}, {"object", "dict", "map"}),
            (None, {"null", "none"}),
        ],
    )
    def test_each_value_has_its_types_only(self, value: Any, names: set[str]) -> None:
        context = Values(v=value)
        held = {
            name
            for name in TYPE_NAMES
            if failed_guard([{"variable": "v", "check": "type_check", "value": name}], context) is None
        }
        assert held == names

    @pytest.mark.parametrize("name", ["unheard", "", None, 5, ["string"]])
    def test_what_is_no_type_is_of_nothing(self, name: Any) -> None:
        assert not holds("email", "type_check", name)

    def test_what_has_no_value_has_no_type(self) -> None:
        assert not holds("missing", "type_check", "null")


class TestInSet:
    def test_members_are_typed_as_in_conditions(self) -> None:
        assert holds("currency", "in_set", ["USD", "EUR"])
        assert holds("price", "in_set", ["10"])
        assert not holds("paid", "in_set", [1])
        assert not holds("currency", "in_set", [])
        assert not holds("missing", "in_set", ["EUR"])

    @pytest.mark.parametrize("members", [None, "EUR", {"EUR": 1}])
    def test_only_a_list_is_a_set(self, members: Any) -> None:
        assert not holds("currency", "in_set", members)
