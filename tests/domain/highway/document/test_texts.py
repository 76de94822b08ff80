import json
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml
from highway_dsl import Workflow
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.highway.document.texts import DocumentUnreadable, canonical_json, definition_hash, read_json, read_yaml
from tests.domain.highway.built_workflows import EXAMPLES, build_all_operators, build_small

LETTERS = "abcdefgh"
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
SCALAR = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
JSON = st.recursive(SCALAR, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4))


def nest(depth: int) -> str:
    return "[" * depth + "]" * depth


class TestReadYaml:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("a: 1", {"a": 1}),
            ("version: 2.0", {"version": 2.0}),
            ("version: '2.0'", {"version": "2.0"}),
            ("a: yes\nb: off\nc: ~\nd:", {"a": True, "b": False, "c": None, "d": None}),
            ("a: 0x10\nb: 010\nc: 1_000\nd: -1.5e+3", {"a": 16, "b": 8, "c": 1000, "d": -1500.0}),
            ("a: 123456789012345678901234567890", {"a": 123456789012345678901234567890}),
            ("a: =\nb: <<", {"a": "=", "b": "<<"}),
            ("a: |\n  x\n  y\nb: >\n  x\n  y\n", {"a": "x\ny\n", "b": "x y\n"}),
            ("\ufeffa: größe", {"a": "größe"}),
            ('{"a": [1, {"b": null}]}', {"a": [1, {"b": None}]}),
            ("%YAML 1.1\n---\na: 1\n...\n", {"a": 1}),
            ("null", None),
            ("text", "text"),
        ],
    )
    def test_values_mean_what_they_mean_in_yaml(self, text: str, value: Any) -> None:
        assert read_yaml(text) == value

    @pytest.mark.parametrize("text", ["2025-01-01", "2025-01-01T00:00:00", "2025-01-01 00:00:00.5 +01:00", "10:30"])
    def test_times_stay_texts_as_written(self, text: str) -> None:
        assert read_yaml(f"a: {text}") == {"a": text}

    def test_scalar_keys_become_texts_as_in_json(self) -> None:
        text = "1: a\ntrue: b\nno: c\n1.5: d\n2025-01-01: e\nnull: f"
        assert list(read_yaml(text)) == ["1", "true", "false", "1.5", "2025-01-01", "null"]

    @settings(deadline=None)
    @given(JSON)
    def test_what_yaml_wrote_comes_back(self, value: Any) -> None:
        if value is not None:
            assert read_yaml(yaml.dump(value)) == value

    @pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
    def test_examples_read_as_the_package_reads_them(self, path: Path) -> None:
        text = path.read_text()
        assert read_yaml(text) == yaml.safe_load(text)

    @settings(deadline=None)
    @given(st.text() | st.text("ab:-?[]{},&*!|>#%@'\"\\ \t\n0.~<=_", max_size=30))
    def test_any_text_is_read_or_refused(self, text: str) -> None:
        with suppress(DocumentUnreadable):
            canonical_json(read_yaml(text))
        with suppress(DocumentUnreadable):
            canonical_json(read_json(text))

    def test_order_of_keys_is_kept(self) -> None:
        assert list(read_yaml("b: 1\na: 2\nc: 3")) == ["b", "a", "c"]

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", "no document"),
            ("# only words", "no document"),
            ("---\n", "no document"),
            ("a: 1\n---\nb: 2", "line 2, column 1: a second document"),
            ("---\n---\na: 1", "line 2, column 1: a second document"),
            ("a: [1", "line 2, column 1: did not find expected"),
            ("a: {b", "did not find expected"),
            ("a: 1\nb: 2\na: 3", 'line 3, column 1: the key "a" stands twice'),
            ("1: a\n'1': b", 'the key "1" stands twice'),
            ("<<: {a: 1}", "merge keys are not taken"),
            ("? # nothing\n: 1", "a key is missing"),
            ("? [a]\n: b", "a key must be a text"),
            ("? {a: b}\n: b", "a key must be a text"),
            ("a: .nan", "not a number that JSON has"),
            ("a: -.inf", "not a number that JSON has"),
            ("a: 1.0e+999", "not a number that JSON has"),
            ("a: " + "1" * 5000, "not a number that can be kept"),
            ("a: 0x" + "f" * 5000, "not a number that can be kept"),
            ("a: 0x_", "not a number that can be kept"),
            ("a: \0", "does not allow"),
            ('a: "\\0"', "line 1, column 4: the text contains the character NUL"),
            ("a: \ud800", "surrogate"),
            ('a: "\\ud800"', "line 1"),
            ("a: \x07", "does not allow"),
        ],
    )
    def test_what_is_no_json_document_is_refused(self, text: str, reason: str) -> None:
        with pytest.raises(DocumentUnreadable, match=reason.replace("(", r"\(")):
            read_yaml(text)

    @pytest.mark.parametrize(
        "text",
        [
            "a: !foo 1",
            "a: !!str 1",
            "a: ! 1",
            "!!set {a}",
            "a: !!binary aGk=",
            "a: !!timestamp 2025-01-01",
            "a: !!python/name:os.system",
            "!!python/object/apply:os.system [id]",
            "!!python/object/new:list\nlistitems: [1]",
        ],
    )
    def test_tags_are_refused(self, text: str) -> None:
        with pytest.raises(DocumentUnreadable, match="the tag"):
            read_yaml(text)


class TestDepthOfYaml:
    def test_64_levels_are_read(self) -> None:
        assert json.dumps(read_yaml(nest(64))) == nest(64)

    @pytest.mark.parametrize("text", [nest(65), "[" * 100_000, "{a: " * 100_000, "- " * 100_000, "? " * 100_000])
    def test_more_are_refused(self, text: str) -> None:
        with pytest.raises(DocumentUnreadable, match=r"deeper than 64|a key must be a text"):
            read_yaml(text)

    def test_an_alias_counts_with_what_it_stands_for(self) -> None:
        with pytest.raises(DocumentUnreadable, match="deeper than 64"):
            read_yaml(f"a: &a {nest(40)}\nb: {nest(40)[:40]}*a{nest(40)[40:]}")


class TestAliases:
    def test_aliases_become_copies(self) -> None:
        value = read_yaml("a: &a {x: [1]}\nb: *a\nc: &t text\nd: *t")
        assert value == {"a": {"x": [1]}, "b": {"x": [1]}, "c": "text", "d": "text"}
        assert value["a"] is not value["b"]
        assert value["a"]["x"] is not value["b"]["x"]

    def test_an_alias_may_be_a_key(self) -> None:
        assert read_yaml("- &k a\n- *k : 1") == ["a", {"a": 1}]
        assert read_yaml("&k a: 1\nb: *k") == {"a": 1, "b": "a"}

    @pytest.mark.parametrize("text", ["- &k [a]\n- *k : 1", "- &k {}\n- {*k : 1}"])
    def test_a_list_or_object_is_no_key(self, text: str) -> None:
        with pytest.raises(DocumentUnreadable, match="a key must be a text"):
            read_yaml(text)

    @pytest.mark.parametrize("text", ["a: *b", "a: &a [*a]", "&a {b: *a}", "a: *b\nb: &b 1"])
    def test_an_alias_needs_a_complete_anchor_before_it(self, text: str) -> None:
        with pytest.raises(DocumentUnreadable, match="has no anchor before it that is complete"):
            read_yaml(text)

    def test_a_bomb_of_lists_is_refused(self) -> None:
        pairs = zip("z" + LETTERS, LETTERS, strict=False)
        lines = [f"{name}: &{name} [{', '.join([f'*{last}'] * 9)}]" for last, name in pairs]
        with pytest.raises(DocumentUnreadable, match="the aliases stand for more than"):
            read_yaml("\n".join(["z: &z [x, x, x]", *lines]))

    @pytest.mark.parametrize("value", ["x" * 100_000, "{" + "x" * 1000 + ": 1}"])
    def test_a_bomb_of_texts_is_refused(self, value: str) -> None:
        with pytest.raises(DocumentUnreadable, match="the aliases stand for more than"):
            read_yaml(f"a: &a {value}\nb: [{', '.join(['*a'] * 1100)}]")

    def test_a_policy_may_be_shared_by_ten_thousand_steps(self) -> None:
        steps = "\n".join(f"t{number}: *p" for number in range(10_000))
        assert len(read_yaml(f"p: &p {{max_retries: 3, delay: PT5S, backoff_factor: 2.0}}\n{steps}")) == 10_001


class TestReadJson:
    def test_values_are_json(self) -> None:
        assert read_json('{"b": [1, 2.5, null, true], "a": "\\u00e4"}') == {"b": [1, 2.5, None, True], "a": "ä"}

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", "line 1, column 1"),
            ('{"a":\n tru}', "line 2, column 2"),
            ('{"a": 1} x', "line 1, column 10"),
            ("\ufeff{}", "line 1, column 1"),
            ('{"a": 1, "a": 1}', 'the name "a" stands twice'),
            ('[{"b": {"a": 1, "a": 2}}]', 'the name "a" stands twice'),
            ("[NaN]", "NaN is not JSON"),
            ("[-Infinity]", "-Infinity is not JSON"),
            ("[1e999]", "too large"),
            ("1" * 5000, "too many digits"),
            ('["\\u0000"]', '"/0" contains the character NUL'),
            ('["\\ud800"]', "surrogate"),
            (nest(65), "deeper than 64"),
            ("[" * 100_000, "deeper than 64"),
        ],
    )
    def test_what_cannot_be_kept_is_refused(self, text: str, reason: str) -> None:
        with pytest.raises(DocumentUnreadable, match=reason):
            read_json(text)

    def test_64_levels_are_read(self) -> None:
        assert json.dumps(read_json(nest(64))) == nest(64)

    def test_a_long_name_is_not_repeated_in_full(self) -> None:
        name = "x" * 10_000
        with pytest.raises(DocumentUnreadable) as raised:
            read_json(f'{{"{name}": 1, "{name}": 1}}')
        assert len(str(raised.value)) < 200


class TestCanonicalJson:
    def test_keys_are_sorted_and_nulls_left_out_of_objects_only(self) -> None:
        document = {"b": [None, {"y": None, "x": 1}], "a": {"c": None}, "ä": 2.0}
        assert canonical_json(document) == '{"a":{},"b":[null,{"x":1}],"ä":2.0}'.encode()

    def test_the_hash_is_sha256_of_it(self) -> None:
        assert definition_hash({"a": 1}) == sha256(b'{"a":1}').hexdigest()

    @pytest.mark.parametrize("workflow", [build_all_operators(), build_small()], ids=lambda workflow: workflow.name)
    def test_yaml_and_json_of_a_workflow_have_one_hash(self, workflow: Workflow) -> None:
        from_yaml, from_json = read_yaml(workflow.to_yaml()), read_json(workflow.to_json())
        assert from_yaml != from_json
        assert canonical_json(from_yaml) == canonical_json(from_json)
        assert definition_hash(from_yaml) == definition_hash(from_json)

    def test_another_value_is_another_hash(self) -> None:
        workflow = build_small()
        before = definition_hash(read_json(workflow.to_json()))
        workflow.set_variables({"a": 1})
        assert definition_hash(read_json(workflow.to_json())) != before
