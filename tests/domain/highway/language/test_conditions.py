"""Conditions: what is one, and what holds."""

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.highway.language.conditions import (
    DEPTH_MOST,
    ConditionSyntaxError,
    compare,
    equals,
    evaluate,
    is_true,
    parse_condition,
)
from app.domain.highway.language.expressions import Segment
from app.domain.highway.language.templates import UNKNOWN

NUMBERS = st.integers() | st.floats(allow_nan=False)
SCALARS = st.none() | st.booleans() | NUMBERS | NUMBERS.map(str) | st.text() | st.just(UNKNOWN)
JSON = st.recursive(
    SCALARS, lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(), parts, max_size=3), max_leaves=8
)
WORDS = ["and", "or", "not", "in", "contains", "==", "!=", "<", ">=", "(", ")", "[", "]", ",", "'a'", '"', "'", "1"]
WORDS += ["-2.5", "i", "i.x[0]", "{{i}}", "'{{i}} {{i['a']}}'", "true", "null", "{{", "}}", "\\", "=", "é", "{{a b}}"]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join) | st.lists(st.sampled_from(WORDS)).map("".join)
HOSTILE = ["(", "[", "{{", "'", '"', "not ", "a or ", "(a) or ", "{{x['", "'{{x['", "'\\", "a==", "1", "a.", "[1,", " "]
EQUAL = [(1, 1.0), (1, "1"), (1, "1.0"), (0.5, ".5"), (12, " 12\n"), (1e3, "1e3"), ("a", "a"), (True, True)]
EQUAL += [(True, "true"), (True, "TRUE"), (False, "False"), (None, None), (None, UNKNOWN), (UNKNOWN, UNKNOWN)]
EQUAL += [([1, {"a": 2.0}], [1.0, {"a": 2}]), ({"a": 1, "b": 2}, {"b": 2, "a": 1}), (2**70, str(2**70))]
UNEQUAL = [(1, 2), (1, "one"), (1, ""), ("1", "1.0"), ("a", "A"), (True, 1), (False, 0), (True, "1")]
UNEQUAL += [(True, "yes"), (False, ""), (None, 0), (None, ""), (None, "null"), (None, False), (UNKNOWN, "")]
UNEQUAL += [(None, []), ([1], ["1"]), ([1], [True]), ([None], []), ([], {}), ({"a": 1}, {"a": 1, "b": 2})]
UNEQUAL += [([1, 2], [2, 1]), ([1], "[1]"), ([1], 1), (2**53 + 1, float(2**53)), (float("nan"), float("nan"))]


class Values:
    """A context of named values."""

    def __init__(self, **values: Any) -> None:
        self.values = values

    def find(self, path: Sequence[Segment]) -> tuple[Any, int] | None:
        return (self.values[path[0]], 1) if path[0] in self.values else None


CONTEXT = Values(
    i=3,
    price=0.9,
    name="Ada",
    count="12",
    yes=True,
    no=False,
    nothing=None,
    item={"total": 40, "tags": ["new", "5", 6, True], "kind": "car"},
    listed='["a", 1]',
    keyed='{"a": 1}',
    order_id="x-1",
)


class TestOperands:
    @pytest.mark.parametrize(
        "condition",
        [
            "i == 3",
            "i==3",
            "item.total == 40",
            "item['total'] == 40",
            "item.tags[0] == 'new'",
            "item.tags.length == 4",
            "{{i}} == 3",
            "{{ item.total }} > 39.5",
            "{{missing | default(5)}} == 5",
            "{{range(3)}} == [0, 1, 2]",
            "item.total == 4e1",
            "-1 < i",
            "i>-1",
            "price == .9",
            "name == 'Ada'",
            'name == "Ada"',
            r"'it\'s' == " + '"it\'s"',
            r"'a\nb' contains 'b'",
            "name == '{{name}}'",
            "'{{i}}' == '3'",
            "'{{item['kind']}}s' == 'cars'",
            "'{{name}}-{{i}}' == 'Ada-3'",
            "'{{yes}}' == 'true'",
            "'{{nothing}}' == 'null'",
            "'{{' != '}}'",
            "'{{{i}}' == '{3'",
            "['a', i] == ['a', 3]",
            "[] == []",
            "true == True and false == False and null == None",
            "order_id == 'x-1'",
        ],
    )
    def test_they_have_the_value_they_say(self, condition: str) -> None:
        assert evaluate(condition, CONTEXT)

    @pytest.mark.parametrize("text", ["'{{missing}}'", "'{{ missing }}'", "missing", "{{missing}}", "ENV.x", "i.x"])
    def test_what_has_no_value_is_null(self, text: str) -> None:
        assert evaluate(f"{text} == null", CONTEXT)
        assert not evaluate(text, CONTEXT)

    def test_text_around_an_unknown_template_stays_text(self) -> None:
        assert evaluate("'<{{missing}}>' == '<{{missing}}>'", CONTEXT)
        assert evaluate("'<{{missing}}>' != null", CONTEXT)

    def test_a_value_is_never_read_as_a_condition(self) -> None:
        values = Values(v="1 == 1) or (2", w="' or 1 == 1 or '")
        assert not evaluate("{{v}} == 5", values)
        assert not evaluate("'{{w}}' == 'x'", values)


class TestPrecedence:
    @pytest.mark.parametrize(
        ("condition", "holds"),
        [
            ("true or true and false", True),
            ("(true or true) and false", False),
            ("not false or true", True),
            ("not (false or true)", False),
            ("not i == 4", True),
            ("not not i", True),
            ("not not not i", False),
            ("not i == 3 or i == 3", True),
            ("not i == 3 and i == 3", False),
            ("1 == 2 or 2 == 2 and 3 == 3", True),
            ("(i == 3) == true", True),
            ("(i) == 3", True),
            ("not(i == 4)and(i == 3)", True),
            ("i not in [1, 2] and not i in [4]", True),
        ],
    )
    def test_or_is_weakest_then_and_then_not(self, condition: str, holds: bool) -> None:
        assert evaluate(condition, CONTEXT) is holds

    def test_words_may_begin_like_operators(self) -> None:
        values = Values(order=1, android=2, nothing=0, index=3, contains_it=4)
        assert evaluate("order == 1 and android == 2 and not nothing and index in [3] or contains_it", values)


class TestEquality:
    @pytest.mark.parametrize(
        ("left", "right"),
        EQUAL,
    )
    def test_values_of_one_meaning_are_equal(self, left: Any, right: Any) -> None:
        assert equals(left, right)
        assert equals(right, left)

    @pytest.mark.parametrize(
        ("left", "right"),
        UNEQUAL,
    )
    def test_others_are_not(self, left: Any, right: Any) -> None:
        assert not equals(left, right)
        assert not equals(right, left)

    def test_not_equal_is_its_opposite(self) -> None:
        assert evaluate("missing != 5 and nothing != '' and not missing != null", CONTEXT)

    def test_values_may_be_nested_deeply(self) -> None:
        left: list[Any] = []
        right: list[Any] = []
        for _ in range(100_000):
            left, right = [left], [right]
        assert equals(left, right)

    @given(JSON, JSON)
    def test_it_is_symmetric(self, left: Any, right: Any) -> None:
        assert equals(left, right) is equals(right, left)

    @given(JSON)
    def test_a_value_equals_itself(self, value: Any) -> None:
        assert equals(value, value)


class TestOrder:
    @pytest.mark.parametrize(
        ("left", "right", "order"),
        [
            (1, 2, -1),
            (2, 1.5, 1),
            (2, "10", -1),
            ("2", "10", -1),
            ("2", "10x", 1),
            ("b", "a", 1),
            ("a", "a", 0),
            ("1", "1.0", 0),
            (1, "1.0", 0),
            (10**400, 1.5, 1),
            ("2025-01-02", "2025-01-10", -1),
        ],
    )
    def test_numbers_and_texts_have_one(self, left: Any, right: Any, order: int) -> None:
        assert compare(left, right) == order

    @pytest.mark.parametrize(
        ("left", "right"),
        [
            (None, 1),
            (None, None),
            (UNKNOWN, 1),
            (True, False),
            (True, 1),
            (True, "true"),
            (1, "one"),
            ([1], [2]),
            ({}, {}),
            (float("nan"), 1),
        ],
    )
    def test_nothing_else_has(self, left: Any, right: Any) -> None:
        assert compare(left, right) is None
        assert compare(right, left) is None

    @pytest.mark.parametrize("condition", ["{} < 1", "{} > 1", "{} <= null", "{} >= null", "0 < {}", "{} < 'a'"])
    @pytest.mark.parametrize("name", ["missing", "nothing"])
    def test_every_order_with_null_is_false(self, condition: str, name: str) -> None:
        assert not evaluate(condition.format(name), CONTEXT)

    @pytest.mark.parametrize(
        ("condition", "holds"),
        [("i < 3", False), ("i <= 3", True), ("i > 3", False), ("i >= 3", True), ("count > 2", True), ("i < 4", True)],
    )
    def test_operators_read_it(self, condition: str, holds: bool) -> None:
        assert evaluate(condition, CONTEXT) is holds

    @given(JSON, JSON)
    def test_it_is_antisymmetric(self, left: Any, right: Any) -> None:
        order, opposite = compare(left, right), compare(right, left)
        assert (order is None) is (opposite is None)
        assert order is None or opposite is None or order == -opposite


class TestMembership:
    @pytest.mark.parametrize(
        "condition",
        [
            "'new' in item.tags",
            "5 in item.tags",
            "'6' in item.tags",
            "true in item.tags",
            "i in [1, 2, 3]",
            "null in [1, null]",
            "missing in [1, null]",
            "'total' in item",
            "1 in {{keyed}} or 'a' in keyed",
            "'a' in listed",
            "1 in listed",
            "'d' in name",
            "'' in name",
            "1 in '2115'",
            "2 in count",
            "item.tags contains 'new'",
            "name contains 'da'",
            "item contains 'kind'",
            "listed contains '1'",
        ],
    )
    def test_lists_have_elements_objects_keys_and_texts_parts(self, condition: str) -> None:
        assert evaluate(condition, CONTEXT)

    @pytest.mark.parametrize(
        "condition",
        [
            "'ne' in item.tags",
            "40 in item",
            "null in name",
            "null in item",
            "missing in 'null'",
            "i in missing",
            "i in nothing",
            "3 in 333",
            "[1] in '[1]x'",
            "[] in item",
            "'b' in listed",
            "name contains null",
            "nothing contains null",
        ],
    )
    def test_nothing_else_contains(self, condition: str) -> None:
        assert not evaluate(condition, CONTEXT)

    def test_not_in_is_the_opposite(self) -> None:
        assert evaluate("4 not in [1, 2] and 4 not  in missing and not 1 not in [1]", CONTEXT)


class TestTruth:
    @pytest.mark.parametrize("value", [None, UNKNOWN, False, 0, 0.0, "", "false", "False", "FALSE", [], {}])
    def test_nothing_and_no_are_false(self, value: Any) -> None:
        assert not is_true(value)

    @pytest.mark.parametrize("value", [True, 1, -0.5, "0", "no", " ", "null", [0], {"a": None}])
    def test_the_rest_is_true(self, value: Any) -> None:
        assert is_true(value)

    @pytest.mark.parametrize(("condition", "holds"), [("{{yes}}", True), ("no", False), ("name", True), ("0", False)])
    def test_an_operand_alone_is_a_condition(self, condition: str, holds: bool) -> None:
        assert evaluate(condition, CONTEXT) is holds


class TestSyntax:
    @pytest.mark.parametrize(
        ("text", "place", "advice"),
        [
            ("", 1, "empty"),
            (" \n", 1, "empty"),
            ("a = 1", 3, "`==`"),
            ("a === 1", 5, "`==`"),
            ("a && b", 3, "`and`"),
            ("a & b", 3, "`and`"),
            ("a || b", 3, "`or`"),
            ("!a", 1, "`not`"),
            ("a AND b", 3, "`and`"),
            ("a OR b", 3, "`or`"),
            ("a <> b", 3, "`!=`"),
            ("a => b", 3, "`>=`"),
            ("a =< b", 3, "`<=`"),
            ("a is null", 3, "`==`"),
            ("a not b", 3, "an operator"),
            ("1 < x < 5", 7, "chained"),
            ("a == b == c", 8, "chained"),
            ("a in b in c", 8, "chained"),
            ("a == not b", 6, "a value"),
            ("a ==", 5, "a value"),
            ("and a", 1, "a value"),
            ("a or", 5, "a value"),
            ("()", 2, "a value"),
            ("a b", 3, "an operator"),
            ("a)", 2, "an operator"),
            ("(a", 3, "end of the `(` at character 1"),
            ("a in [1, 2", 11, "end of the `[` at character 6"),
            ("[1 2]", 4, "end of the `[`"),
            ("'a", 1, "no end"),
            ("a == 'b\\", 6, "no end"),
            ("{{a", 1, "{{path}}"),
            ("{{a > 5}}", 1, "{{path}}"),
            ("{{}}", 1, "{{path}}"),
            ("a == {}", 6, "{{path}}"),
            ("a | default(1)", 3, "braces"),
            ("a == 1e999", 6, "too large"),
            ("5x == 1 ;", 9, "an operator"),
            ("a == \ud800", 6, "a value"),
            ("f(1)", 2, "an operator"),
            ("a + 1 == 2", 3, "an operator"),
        ],
    )
    def test_an_error_says_what_and_where(self, text: str, place: int, advice: str) -> None:
        with pytest.raises(ConditionSyntaxError) as refused:
            parse_condition(text)
        message = str(refused.value)
        assert f"at character {place}" in message
        assert advice in message
        assert message.encode()

    def test_nesting_is_limited(self) -> None:
        assert evaluate("(" * DEPTH_MOST + "1" + ")" * DEPTH_MOST, CONTEXT)
        with pytest.raises(ConditionSyntaxError, match=f"nested at most {DEPTH_MOST}"):
            parse_condition("(" * (DEPTH_MOST + 1) + "1" + ")" * (DEPTH_MOST + 1))

    def test_brackets_side_by_side_are_no_nesting(self) -> None:
        assert evaluate(" and ".join(["(1)"] * (DEPTH_MOST + 1)), CONTEXT)

    @given(st.text() | TEXTS)
    @example("'{{i['")
    @example("not " * 5000 + "i")
    def test_any_text_holds_or_not_or_is_refused(self, text: str) -> None:
        with suppress(ConditionSyntaxError):
            assert evaluate(text, CONTEXT) in {True, False}

    @pytest.mark.parametrize("unit", HOSTILE)
    def test_long_texts_take_linear_time(self, unit: str) -> None:
        began = time.process_time()
        with suppress(ConditionSyntaxError):
            evaluate(unit * (200_000 // len(unit)), CONTEXT)
        assert time.process_time() - began < 3
