from copy import deepcopy
from pathlib import Path
from time import process_time
from typing import Any

import pytest
from highway_dsl import Workflow, workflow_dsl
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.highway.compiler.examination import examine_document
from app.domain.highway.document.checks import _BRANCH, _WORKFLOW, FINDINGS_MOST, check_form, named_in_bodies
from app.domain.highway.document.checks_of_expressions import TYPES, check_cron
from app.domain.highway.document.operators.table import FORMS
from app.domain.highway.document.texts import read_json, read_yaml
from app.domain.highway.language import guards
from app.domain.highway.language.rules import JoinMode, TriggerRule
from tests.domain.highway.built_workflows import (
    EXAMPLES,
    Document,
    build_all_operators,
    build_small,
    define,
    define_step,
    found_in,
)

SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10)
JSON = st.recursive(SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner))
VALID = [read_json(build_all_operators().to_json()), *(read_yaml(path.read_text()) for path in EXAMPLES)]
ODD: st.SearchStrategy[Any] = st.sampled_from(
    ["", " ", "task", "while", "a.b", "{{x}}", "PT", 0, -1, 2.0, True, None, [], {}]
)


def detail_of(document: Any) -> str:
    [finding] = check_form(document)
    return finding.detail


class TestRightDocuments:
    @pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
    def test_examples_have_no_findings(self, path: Path) -> None:
        assert check_form(read_yaml(path.read_text())) == []

    @pytest.mark.parametrize("workflow", [build_all_operators(), build_small()], ids=lambda workflow: workflow.name)
    def test_exports_have_no_findings(self, workflow: Workflow) -> None:
        assert check_form(read_yaml(workflow.to_yaml())) == []
        assert check_form(read_json(workflow.to_json())) == []

    def test_the_least_definition_has_no_findings(self) -> None:
        assert check_form({"name": "n", "tasks": {}}) == []
        assert check_form(define(a={})) == []

    def test_null_members_are_absent(self) -> None:
        document = define(a=dict.fromkeys(FORMS["task"].members) | {"operator_type": "task", "function": "f"})
        document["tasks"]["a"]["task_id"] = "a"
        assert check_form({**dict.fromkeys(_WORKFLOW), "later": None, **document}) == []

    def test_ten_thousand_steps_are_checked_in_two_seconds(self) -> None:
        guards_step = read_yaml(next(path for path in EXAMPLES if "guards" in path.stem).read_text())["tasks"]["book"]
        document = define(**{f"t{number}": {**guards_step, "task_id": f"t{number}"} for number in range(10_000)})
        begun = process_time()
        assert check_form(document) == []
        assert process_time() - begun < 2


class TestVocabulary:
    def test_operators_are_those_of_the_package(self) -> None:
        assert FORMS.keys() == {o.value for o in workflow_dsl.OperatorType} - {"try_catch"}

    @pytest.mark.parametrize("operator", FORMS)
    def test_members_of_a_step_are_those_of_the_package(self, operator: str) -> None:
        models = workflow_dsl.BaseOperator.__subclasses__()
        [fields] = [m.model_fields for m in models if m.model_fields["operator_type"].default.value == operator]
        required = {name for name, field in fields.items() if field.is_required()}
        assert FORMS[operator].members.keys() == fields.keys()
        assert FORMS[operator].required.keys() == required - {"task_id", "if_true", "if_false"}

    def test_members_of_a_workflow_are_those_of_the_package(self) -> None:
        assert _WORKFLOW.keys() == _BRANCH.keys() == workflow_dsl.Workflow.model_fields.keys()

    def test_modes_and_rules_are_those_of_the_package(self) -> None:
        assert {mode.value for mode in JoinMode} == {mode.value for mode in workflow_dsl.JoinMode}
        assert {rule.value for rule in TriggerRule} == {rule.value for rule in workflow_dsl.TriggerRule}

    def test_types_are_those_that_guards_know(self) -> None:
        assert set(TYPES) == guards._TYPES.keys()


WRONG_MEMBERS: list[tuple[str, str, list[Any]]] = [
    ("name", "bad_name", ["", "A", "1a", "a__b", "a-b", "a\n", "a" * 201, 1, [], None]),
    ("version", "bad_name", ["", "1__0", "1 0", "1\n", "1" * 101, 2.0, 2, True, []]),
    ("tasks", "bad_value", [[], "x", 1]),
    ("schedule", "bad_cron", ["", "x", "@daily", "0 0 * *", "0 0 0 * * *", 5]),
    ("schedule", "bad_cron", ["60 * * * *", "0 0 30 2 *", "0 0 31 4,6 *", "*/0 * * * *"]),
    ("start_date", "bad_value", ["x", "2025-13-01", 2025, [], "0001-01-01T00:00+23:00"]),
    ("tags", "bad_value", ["x", {}, 1]),
    ("variables", "bad_value", [[], "x", 1]),
    ("max_active_runs", "bad_value", [0, -1, 1.0, "1", True, 2**31]),
    ("deadline_seconds", "bad_value", [0, -1, 0.5, "60", True, 10**30]),
    ("deadline_action", "bad_value", ["", "kill", 1]),
    ("catchup", "bad_value", ["yes", 0, 1]),
    ("is_paused", "bad_value", ["yes", 0, 1]),
    ("description", "bad_value", [1, []]),
    ("start_task", "bad_value", [1, []]),
    ("unknown", "bad_value", [1, ""]),
    ("default_retry_policy", "bad_value", [1, [], "x"]),
]


class TestWorkflowMembers:
    @pytest.mark.parametrize("document", [None, [], "text", 1, True])
    def test_the_root_is_an_object(self, document: Any) -> None:
        assert found_in(document) == [("bad_value", "")]

    def test_nesting_has_an_end(self) -> None:
        document: Any = []
        for _ in range(5000):
            document = [document]
        assert found_in({"name": "n", "tasks": {}, "variables": {"a": document}}) == [("bad_value", "")]

    @pytest.mark.parametrize(
        ("member", "code", "value"),
        [(member, code, value) for member, code, values in WRONG_MEMBERS for value in values],
    )
    def test_wrong_values_are_found_at_their_place(self, member: str, code: str, value: Any) -> None:
        assert found_in({**define(a={}), member: value}) == [(code, f"/{member}")]

    @pytest.mark.parametrize("value", ["2025-01-01", "2025-01-01T02:00:00", "2025-01-01 02:00:00.5+01:00"])
    def test_a_start_date_may_be_without_offset_and_time(self, value: str) -> None:
        assert check_form({**define(a={}), "start_date": value}) == []

    @pytest.mark.parametrize("value", ["*/5 * * * *", "0 2 * * MON-FRI", "0 0 29 2 *", "0 0 L * *"])
    def test_five_fields_are_a_schedule(self, value: str) -> None:
        assert list(check_cron(value, "")) == []

    def test_items_of_tags_are_texts(self) -> None:
        assert found_in({**define(a={}), "tags": ["a", 1, None]}) == [
            ("bad_value", "/tags/1"),
            ("bad_value", "/tags/2"),
        ]

    def test_the_name_is_required_and_the_version_is_not(self) -> None:
        assert found_in({}) == [("bad_name", "/name")]

    def test_a_version_that_is_a_number_is_to_be_quoted(self) -> None:
        assert "quote it" in detail_of({**define(a={}), "version": 2.0})


class TestMessages:
    def test_an_unknown_name_is_answered_with_the_nearest(self) -> None:
        assert detail_of(define(a={"dependecies": []})) == "is not known here; dependencies is the nearest known name"
        assert detail_of(define(a={"zzz": 1})) == "is not known here"
        assert detail_of(define(a={"x" * 10_000: 1})) == "is not known here"

    def test_names_are_escaped_in_pointers(self) -> None:
        assert found_in(define(**{"a/b~c": {"d/e": 1}})) == [("bad_value", "/tasks/a~1b~0c/d~1e")]

    @pytest.mark.parametrize("value", ["x" * 10_000, ["x"] * 10_000, {"x" * 10_000: 1}, 10**5000], ids=type)
    def test_a_huge_value_is_not_repeated(self, value: Any) -> None:
        document = {**define(a={"trigger_rule": value}), "schedule": value, "deadline_seconds": value}
        assert len(check_form(document)) == 3
        assert all(len(finding.detail) < 300 for finding in check_form(document))

    def test_all_are_found_in_the_order_of_the_document(self) -> None:
        document = {**define(b={"args": 1, "kwargs": 1}, a={"args": 1}), "tags": 1}
        assert [pointer for _, pointer in found_in(document)] == [
            "/tags",
            "/tasks/b/args",
            "/tasks/b/kwargs",
            "/tasks/a/args",
        ]

    def test_there_is_an_end_of_findings(self) -> None:
        assert len(check_form(define(**{f"t{number}": {"x": 1} for number in range(5000)}))) == FINDINGS_MOST


class TestNamesOfSteps:
    @pytest.mark.parametrize("name", ["", " ", "a.b", "a[0]", "a]", "a#2", "a" * 201])
    def test_a_step_id_is_part_of_paths(self, name: str) -> None:
        assert found_in(define(**{name: {}})) == [("bad_name", f"/tasks/{name}")]

    @pytest.mark.parametrize("name", ["a" * 200, "a b", "größe", "A-1", "__a"])
    def test_other_ids_are_taken(self, name: str) -> None:
        assert check_form(define(**{name: {}})) == []

    @pytest.mark.parametrize("task_id", ["b", 1, None, []])
    def test_the_id_in_a_step_is_its_key(self, task_id: Any) -> None:
        assert found_in(define(a={"task_id": task_id})) == [("bad_value", "/tasks/a/task_id")]

    @pytest.mark.parametrize("name", ["", "a.b", "a[0]"])
    def test_a_branch_name_is_part_of_paths(self, name: str) -> None:
        assert found_in(define_step("parallel", branches={name: []})) == [("bad_name", f"/tasks/s/branches/{name}")]
        document = define_step("parallel", branch_workflows={name: define(a={})})
        assert found_in(document) == [("bad_name", f"/tasks/s/branch_workflows/{name}")]

    @pytest.mark.parametrize("value", [None, [], "x", 1, True])
    def test_a_step_is_an_object(self, value: Any) -> None:
        assert found_in({"name": "n", "tasks": {"a": value}}) == [("bad_value", "/tasks/a")]


def loop(name: str, *body: Any) -> Document:
    return {"task_id": name, "operator_type": "foreach", "items": "x", "loop_body": list(body)}


WORK: Document = {"task_id": "work", "operator_type": "task", "function": "f"}
WRONG: Document = {"task_id": "work", "operator_type": "task"}


class TestLoops:
    def test_a_copy_beside_the_loop_is_not_looked_at(self) -> None:
        document = define(each=loop("each", WRONG), work=WRONG)
        assert found_in(document) == [("missing_function", "/tasks/each/loop_body/0/function")]

    def test_copies_of_nested_bodies_are_not_looked_at_either(self) -> None:
        inner = loop("inner", WRONG)
        document = define(each=loop("each", inner, WRONG), inner=inner, work=WRONG)
        assert found_in(document) == [("missing_function", "/tasks/each/loop_body/0/loop_body/0/function")]

    @pytest.mark.parametrize("copy", [None, [], {**WORK, "dependencies": 3}, {"task_id": "other"}, {"loop_body": 1}])
    def test_the_form_of_a_copy_does_not_count(self, copy: Any) -> None:
        document = define(each=loop("each", WRONG))
        document["tasks"]["work"] = copy
        assert found_in(document) == [("missing_function", "/tasks/each/loop_body/0/function")]
        document = define(each=loop("each", WORK))
        document["tasks"]["work"] = copy
        assert examine_document(document).errors == []

    def test_a_right_copy_of_a_wrong_step_is_right(self) -> None:
        document = define(each=loop("each", WRONG), work=WORK)
        assert found_in(document) == [("missing_function", "/tasks/each/loop_body/0/function")]

    def test_an_activity_in_a_body_is_an_activity(self) -> None:
        body = {**WORK, "operator_type": "activity"}
        assert check_form(define(each=loop("each", body))) == []
        assert found_in(define(each=loop("each", {**body, "operator_type": "wait"})))[0] == (
            "bad_duration",
            "/tasks/each/loop_body/0/wait_for",
        )

    @pytest.mark.parametrize("task_id", [None, "", "a.b", 1, []])
    def test_a_step_in_a_body_needs_an_id(self, task_id: Any) -> None:
        document = define(each=loop("each", {**WORK, "task_id": task_id}))
        assert found_in(document) == [("bad_name", "/tasks/each/loop_body/0/task_id")]

    def test_an_id_stands_once_in_a_body(self) -> None:
        places = [f"/tasks/each/loop_body/{index}/task_id" for index in (0, 1)]
        assert found_in(define(each=loop("each", WORK, WORK))) == [("bad_name", place) for place in places]

    def test_two_loops_may_use_the_same_ids(self) -> None:
        assert check_form(define(one=loop("one", WORK), two=loop("two", WORK), work=WORK)) == []

    def test_a_loop_does_not_contain_itself(self) -> None:
        assert found_in(define(each=loop("each", {**WORK, "task_id": "each"}))) == [("bad_name", "/tasks/each")]
        document = define(a=loop("a", {**WORK, "task_id": "b"}), b=loop("b", {**WORK, "task_id": "a"}))
        assert found_in(document) == [("bad_name", "/tasks/a"), ("bad_name", "/tasks/b")]

    def test_ids_in_bodies_are_found_however_deep(self) -> None:
        steps = [loop("a", loop("b", WORK), {"task_id": 1}, 2), WORK, None, {"loop_body": [WORK]}]
        assert named_in_bodies(steps) == {"b", "work"}


class TestBranches:
    def test_steps_of_branches_are_checked(self) -> None:
        branch = {**define(a={"args": 1}, each=loop("each", {"task_id": "b"})), "tags": 1}
        place = "/tasks/s/branch_workflows/left"
        assert found_in(define_step("parallel", branches={"left": ["a"]}, branch_workflows={"left": branch})) == [
            ("bad_value", f"{place}/tags"),
            ("bad_value", f"{place}/tasks/a/args"),
            ("unknown_operator", f"{place}/tasks/each/loop_body/0/operator_type"),
        ]

    def test_a_branch_has_tasks_and_any_text_as_name(self) -> None:
        assert check_form(define_step("parallel", branch_workflows={"a": {"name": "Any__Name", "tasks": {}}})) == []
        assert found_in(define_step("parallel", branch_workflows={"a": {"name": 1, "version": 2.0}})) == [
            ("bad_value", "/tasks/s/branch_workflows/a/tasks"),
            ("bad_value", "/tasks/s/branch_workflows/a/name"),
            ("bad_value", "/tasks/s/branch_workflows/a/version"),
        ]

    def test_a_workflow_of_a_choice_has_a_condition(self) -> None:
        branches = {"a": {"condition": "x", "tasks": ["b"]}, "b": {"condition": "x"}, "d": {"tasks": 1}}
        workflows = {"a": define(b={}), "c": define(b={}), "d": define(b={})}
        assert found_in(define_step("multi_choice", branches=branches, branch_workflows=workflows)) == [
            ("bad_condition", "/tasks/s/branches/d/condition"),
            ("bad_value", "/tasks/s/branches/d/tasks"),
            ("bad_value", "/tasks/s/branch_workflows/c"),
        ]


def places_in(value: Any) -> list[tuple[Any, Any]]:
    """Return every container in a value with each of its keys or indexes."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, member in members for place in ((value, key), *places_in(member))]


class TestAnyInput:
    @given(JSON)
    @settings(deadline=None)
    def test_any_json_is_answered(self, value: Any) -> None:
        check_form(value)
        check_form({"name": "n", "tasks": value})
        check_form({"name": "n", "tasks": {"a": value}})

    @given(st.sampled_from(list(FORMS)), st.data())
    @settings(deadline=None)
    def test_any_members_of_a_step_are_answered(self, operator: str, data: st.DataObject) -> None:
        names = sorted(FORMS[operator].members.keys() - {"operator_type"})
        members = data.draw(st.dictionaries(st.sampled_from(names), JSON | ODD))
        check_form({"name": "n", "tasks": {"a": {"operator_type": operator, **members}}})

    @given(st.sampled_from(VALID), st.data())
    @settings(deadline=None, max_examples=200)
    def test_any_change_of_a_definition_is_answered(self, definition: Document, data: st.DataObject) -> None:
        document = deepcopy(definition)
        for _ in range(data.draw(st.integers(1, 5))):
            container, key = data.draw(st.sampled_from(places_in(document)))
            if data.draw(st.booleans()):
                del container[key]
            else:
                container[key] = data.draw(JSON | ODD)
            if not places_in(document):
                break
        findings = check_form(document)
        assert findings == check_form(deepcopy(document))
        assert all(len(finding.detail) < 1000 for finding in findings)
