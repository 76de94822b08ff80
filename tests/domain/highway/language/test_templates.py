"""Templates: how they are read, and what they become."""

import json
import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.highway.language.expressions import Segment, has_template, paths_in, whole_template
from app.domain.highway.language.templates import (
    RANGE_LENGTH_MOST,
    RESOLVED_LENGTH_MOST,
    UNKNOWN,
    Resolved,
    as_text,
    look_up,
    resolve,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda parts: st.lists(parts, max_size=4) | st.dictionaries(st.text(), parts, max_size=4),
    max_leaves=12,
)
FRAGMENTS = st.lists(
    st.sampled_from(["{{", "}}", "{", "}", "[", "]", "'", '"', "\\", "(", ")", ",", ".", "|", " ", "-1", "0", "range"])
    | st.sampled_from(["default(", "order", "length", ":", "true", "null", "1e9", "\n", "é", "{{order.lines[0].sku}}"])
).map("".join)

# What could make a reader go over the same text again and again.
HOSTILE = ["{{", "{ {{", "{{x|default(", "{{x|default('", '{{x|default("', "{{x|default([", '{{x|default(["', "{{a['"]
HOSTILE += ['{{a["\\', "{{range(", "\"{{a['", '{{x|default({"', "{{a.", "{{   ", "{{order}} ", "{{x|default([[["]


class Values:
    """A context of named values."""

    def __init__(self, **values: Any) -> None:
        self.values = values

    def find(self, path: Sequence[Segment]) -> tuple[Any, int] | None:
        return (self.values[path[0]], 1) if path[0] in self.values else None


CONTEXT = Values(
    order={"id": 7, "lines": [{"sku": "a"}, {"sku": "b", "the key": 1}], "10": "ten", "{{id}}": 1},
    box={"length": 30, "width": 20},
    name="Ada",
    count=3,
    price=1.5,
    paid=True,
    nothing=None,
    empty=[],
    text_of_list='[1, {"a": [2, 3]}]',
    text_of_object=' {"id": 8, "length": 2}',
    text_of_number="12",
    quoting="{{name}}",
    digits="4",
)


class TestWholeText:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("{{order.id}}", 7),
            ("{{ order.id }}", 7),
            ("{{\n order.id \t}}", 7),
            ("{{price}}", 1.5),
            ("{{paid}}", True),
            ("{{nothing}}", None),
            ("{{empty}}", []),
            ("{{name}}", "Ada"),
            ("{{order.lines}}", [{"sku": "a"}, {"sku": "b", "the key": 1}]),
        ],
    )
    def test_it_keeps_the_native_value(self, text: str, value: Any) -> None:
        assert resolve(text, CONTEXT) == Resolved(value)

    @pytest.mark.parametrize("text", [" {{count}}", "{{count}} ", "{{count}}\n"])
    def test_blanks_around_it_make_it_text(self, text: str) -> None:
        assert resolve(text, CONTEXT).value == text.replace("{{count}}", "3")


class TestEmbedding:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("{{name}}-{{count}}", "Ada-3"),
            ("<{{order.lines}}>", '<[{"sku": "a"}, {"sku": "b", "the key": 1}]>'),
            ("<{{paid}}{{nothing}}{{price}}{{empty}}>", "<truenull1.5[]>"),
            ('{"id":{{order.id}}}', '{"id":7}'),
            ("{{{count}}}", "{3}"),
            ("{{{{count}}}}", "{{3}}"),
            ("{{count}}}}", "3}}"),
        ],
    )
    def test_values_become_text(self, text: str, value: str) -> None:
        assert resolve(text, CONTEXT) == Resolved(value)

    def test_characters_are_escaped_as_in_json(self) -> None:
        assert resolve("<{{o}}>", Values(o={"é": ["ü"]})).value == '<{"\\u00e9": ["\\u00fc"]}>'
        assert resolve("<{{o}}>", Values(o="é")).value == "<é>"

    def test_values_are_not_resolved_again(self) -> None:
        assert resolve("{{quoting}}", CONTEXT) == Resolved("{{name}}")
        assert resolve("<{{quoting}}>", CONTEXT) == Resolved("<{{name}}>")
        assert resolve("{{{{a}}name}}", Values(a="{", name="Ada")).value == "{{{name}}"

    @given(JSON)
    def test_text_of_a_value_is_its_json(self, value: Any) -> None:
        assert as_text(value) == (value if isinstance(value, str) else json.dumps(value))


class TestUnknown:
    @pytest.mark.parametrize(
        "text",
        [
            "missing",
            "order.missing",
            "order.lines[2]",
            "order.lines[-3]",
            "order.lines[0].sku.x",
            "order.lines.first",
            "order[10]",
            "count.length",
            "nothing.length",
            "nothing.x",
            "paid[0]",
            "name.first",
            "name[0]",
            "text_of_number[0]",
            "a b",
            "count + 1",
            "count | upper",
            "count |",
            "missing | default()",
            "missing | default(1, 2)",
            "missing | default([1,)",
            "missing | default(1e999)",
            "missing | default({1: 2})",
            "'text'",
            "-x",
            "order.",
            "order..id",
            "order.lines[",
            "order.lines[x]",
            "order.lines[99999999999]",
            'order["id]',
            "f({count})",
            "",
            "range()",
            "range(1, 2, 3)",
            "range(name)",
            "range(paid)",
            "range(price)",
            "range(missing)",
            "range(3).length",
        ],
    )
    def test_it_stays_as_written_and_is_listed(self, text: str) -> None:
        assert resolve("{{" + text + "}}", CONTEXT) == Resolved("{{" + text + "}}", (text,))
        assert resolve("<{{ " + text + " }}>", CONTEXT) == Resolved("<{{ " + text + " }}>", (text,))

    def test_each_is_listed_once_in_order(self) -> None:
        value = {"a": ["{{b}}", "{{ c }} {{name}} {{b}}"], "d": "{{c}}"}
        assert resolve(value, CONTEXT) == Resolved({"a": ["{{b}}", "{{ c }} Ada {{b}}"], "d": "{{c}}"}, ("b", "c"))

    @pytest.mark.parametrize("text", ["{{", "{{name", "name}}", "{{name}", "{name}", "{ {name}}", "{{ {{", "{", ""])
    def test_unclosed_braces_are_plain_text(self, text: str) -> None:
        assert resolve(text, CONTEXT) == Resolved(text)

    def test_braces_left_open_do_not_hide_the_next_expression(self) -> None:
        assert resolve("{{ open {{name}}", CONTEXT) == Resolved("{{ open Ada")


class TestPaths:
    @pytest.mark.parametrize(
        ("path", "value"),
        [
            ("order.lines[0].sku", "a"),
            ("order.lines.0.sku", "a"),
            ("order.lines[-1]['the key']", 1),
            ('order["lines"][ 1 ][ "the key" ]', 1),
            ("order.lines.-1.sku", "b"),
            ("order.10", "ten"),
            ("order['10']", "ten"),
            ("order['{{id}}']", 1),
            ("text_of_list[1].a[0]", 2),
            ("text_of_list.1.a.length", 2),
            ("text_of_object.id", 8),
        ],
    )
    def test_they_step_through_objects_lists_and_json(self, path: str, value: Any) -> None:
        assert look_up(path, CONTEXT) == value
        assert resolve("{{" + path + "}}", CONTEXT) == Resolved(value)

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            ("order.lines.length", 2),
            ("order.length", 4),
            ("name.length", 3),
            ("text_of_number.length", 2),
            ("text_of_list.length", 2),
            ("empty.length", 0),
            ("box.length", 30),
            ("box['length']", 30),
            ("text_of_object.length", 2),
        ],
    )
    def test_length_is_that_of_a_list_object_or_text_unless_a_key_is_called_so(self, path: str, value: int) -> None:
        assert look_up(path, CONTEXT) == value

    @pytest.mark.parametrize("text", ["[", "[1", "{'a': 1}", "[NaN, 1]", "[1e999]", "[" * 100_000, '["\\ud800"]'])
    def test_text_that_is_no_json_to_keep_has_no_parts(self, text: str) -> None:
        assert look_up("t[0]", Values(t=text)) is UNKNOWN

    def test_the_context_says_how_much_of_a_path_it_knows(self) -> None:
        class Results:
            def find(self, path: Sequence[Segment]) -> tuple[Any, int] | None:
                return ({"x": [5]}, 2) if path[:2] == ("fetch", "output") else None

        assert look_up("fetch.output.x[0]", Results()) == 5
        assert look_up("fetch.output", Results()) == {"x": [5]}
        assert look_up("fetch.x", Results()) is UNKNOWN

    def test_keys_may_hold_escaped_quotes(self) -> None:
        assert look_up(r"o['it\'s']", Values(o={"it's": 1})) == 1
        assert look_up(r"o['a\\b']", Values(o={"a\\b": 1})) == 1
        assert look_up(r"o['\d']", Values(o={"\\d": 1})) == 1

    @pytest.mark.parametrize("expression", ["", " ", "name}}", "name}}{{name", "}}{{", "{name}", "{{name}}"])
    def test_only_an_expression_is_looked_up(self, expression: str) -> None:
        assert look_up(expression, CONTEXT) is UNKNOWN


class TestRange:
    @pytest.mark.parametrize(
        ("expression", "value"),
        [
            ("range(3)", [0, 1, 2]),
            ("range( 1 , count )", [1, 2]),
            ("range(order.lines.length)", [0, 1]),
            ("range(-2, 1)", [-2, -1, 0]),
            ("range(digits)", [0, 1, 2, 3]),
            ("range(0)", []),
            ("range(5, 2)", []),
        ],
    )
    def test_it_counts(self, expression: str, value: list[int]) -> None:
        assert look_up(expression, CONTEXT) == value

    def test_its_length_is_limited(self) -> None:
        assert len(look_up(f"range({RANGE_LENGTH_MOST})", CONTEXT)) == RANGE_LENGTH_MOST
        assert look_up(f"range(1, {RANGE_LENGTH_MOST + 2})", CONTEXT) is UNKNOWN
        assert look_up("range(n)", Values(n=10**30)) is UNKNOWN
        assert look_up("range(n)", Values(n=-(10**30))) == []

    def test_a_value_may_be_called_so(self) -> None:
        assert look_up("range", Values(range=4)) == 4


class TestDefault:
    @pytest.mark.parametrize(
        ("expression", "value"),
        [
            ("missing | default('x')", "x"),
            ('missing|default("}}")', "}}"),
            ("missing | default( 5 )", 5),
            ("missing | default(-1.5e2)", -150.0),
            ("missing | default(true)", True),
            ("missing | default(null)", None),
            ("missing | default(None)", None),
            ("missing | default([])", []),
            ("missing | default({})", {}),
            ('missing | default({"a": {"b": [1, \'c\']}})', {"a": {"b": [1, "c"]}}),
            ("missing | default(count)", 3),
            ("missing | default(order.lines[0].sku)", "a"),
            ("missing | default(absent) | default(1)", 1),
            ("range(missing) | default([])", []),
            ("name | default('x')", "Ada"),
            ("nothing | default('x')", None),
            ("empty | default([1])", []),
        ],
    )
    def test_it_stands_for_a_path_that_does_not_exist(self, expression: str, value: Any) -> None:
        assert look_up(expression, CONTEXT) == value
        assert resolve("{{" + expression + "}}", CONTEXT) == Resolved(value)

    def test_it_may_be_missing_itself(self) -> None:
        assert look_up("missing | default(absent)", CONTEXT) is UNKNOWN

    def test_a_change_to_one_does_not_reach_the_next(self) -> None:
        look_up("missing | default([])", CONTEXT).append(1)
        assert look_up("missing | default([])", CONTEXT) == []


class TestResolve:
    def test_keys_stay(self) -> None:
        assert resolve({"{{name}}": {"{{name}}": "{{name}}"}}, CONTEXT).value == {"{{name}}": {"{{name}}": "Ada"}}

    def test_the_template_is_not_changed(self) -> None:
        template = {"a": ["{{name}}"]}
        resolve(template, CONTEXT)
        assert template == {"a": ["{{name}}"]}

    @given(JSON, JSON)
    def test_any_value_resolves(self, template: Any, value: Any) -> None:
        resolve(template, Values(order=value))

    @given(FRAGMENTS)
    @example("{{order|default({'a':{{order}}})}}")
    def test_any_text_resolves_and_keeps_what_it_does_not_know(self, text: str) -> None:
        resolved = resolve(text, Values())
        if not resolved.unresolved and "default" not in text and "range" not in text:
            assert resolved.value == text
        assert bool(resolved.unresolved) <= has_template(text)

    @given(JSON.filter(lambda value: "{{" not in as_text(value)))
    def test_a_value_without_braces_stays(self, value: Any) -> None:
        assert resolve(value, CONTEXT) == Resolved(value)

    @given(JSON)
    def test_a_whole_text_gives_any_value_back(self, value: Any) -> None:
        assert resolve("{{v}}", Values(v=value)) == Resolved(value)

    @given(st.text(), st.text(alphabet=st.characters(exclude_characters="{}")))
    def test_text_around_an_expression_stays(self, value: str, around: str) -> None:
        assert resolve(f"<{around}{{{{v}}}}{around}", Values(v=value)).value == f"<{around}{value}{around}"

    @pytest.mark.parametrize("unit", HOSTILE)
    @pytest.mark.parametrize("end", ["", "}}"])
    def test_many_braces_take_linear_time(self, unit: str, end: str) -> None:
        text = unit * (200_000 // len(unit)) + end
        began = time.process_time()
        resolve(text, CONTEXT)
        assert time.process_time() - began < 3

    def test_what_becomes_too_large_stays_as_written(self) -> None:
        half = Values(v="x" * (RESOLVED_LENGTH_MOST // 2))
        resolved = resolve(["{{v}}", "<{{v}}>", "{{v}}"], half)
        assert [len(part) for part in resolved.value] == [len(half.values["v"]), len(half.values["v"]) + 2, 5]
        assert resolved.unresolved == ("v",)


class TestLookingAtTemplates:
    @pytest.mark.parametrize("text", ["{{a}}", "x {{a}}", "{{}}", "{{ a b }}"])
    def test_braces_that_close_are_a_template(self, text: str) -> None:
        assert has_template(text)

    @pytest.mark.parametrize("text", ["", "a", "{a}", "{{a", "a}}", "{ {a} }"])
    def test_other_braces_are_none(self, text: str) -> None:
        assert not has_template(text)

    @pytest.mark.parametrize(
        ("text", "inner"),
        [
            ("{{a}}", "a"),
            ("{{ a.b }}", "a.b"),
            (" {{ a }}\n", "a"),
            ("{{a|default('}}')}}", "a|default('}}')"),
            ("{{a}}{{b}}", None),
            ("{{a}}.", None),
            ("a", None),
            ("", None),
        ],
    )
    def test_a_whole_template_is_recognised(self, text: str, inner: str | None) -> None:
        assert whole_template(text) == inner

    def test_paths_are_found_at_any_depth(self) -> None:
        value = {"a": ["{{b.c[0]}} and {{ d['e f'] | default(g) }}", 5, None], "{{h}}": {"i": "{{range(1, j.length)}}"}}
        assert list(paths_in(value)) == [("b", "c", 0), ("d", "e f"), ("j", "length")]

    def test_text_that_is_no_expression_has_no_path(self) -> None:
        assert list(paths_in(["{{ a b }}", "{{", "a"])) == []
