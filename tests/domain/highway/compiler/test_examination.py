"""Everything that is wrong with a document is told at once."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.highway.compiler.examination import examine_document


def _task(**members: Any) -> dict[str, Any]:
    return {"operator_type": "task", "function": "f", "dependencies": [], **members}


def _document(**tasks: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": "w",
        "version": "1",
        "tasks": {name: {"task_id": name, **node} for name, node in tasks.items()},
    }


def _found(document: Any) -> set[tuple[str, str]]:
    return {(finding.code, finding.pointer) for finding in examine_document(document).errors}


class TestExamineDocument:
    def test_errors_of_form_and_of_structure_are_told_together(self) -> None:
        document = _document(
            a=_task(dependencies=["nowhere"]),
            b=_task(operator_type="taks"),
            c={"operator_type": "condition", "condition": "1 <", "if_true": "gone", "dependencies": ["a"]},
        )
        assert _found(document) == {
            ("missing_dependency", "/tasks/a/dependencies/0"),
            ("unknown_operator", "/tasks/b/operator_type"),
            ("bad_condition", "/tasks/c/condition"),
            ("missing_target", "/tasks/c/if_true"),
        }

    def test_a_place_whose_form_is_wrong_is_not_told_twice(self) -> None:
        document = _document(a=_task(dependencies=[3]), j={"operator_type": "join", "join_tasks": "a"})
        assert {pointer for _, pointer in _found(document)} == {"/tasks/a/dependencies/0", "/tasks/j/join_tasks"}

    def test_errors_inside_of_loops_and_branches_are_told_too(self) -> None:
        inner = {"name": "b", "version": "1", "tasks": {"x": {"task_id": "x", **_task(dependencies=["lost"])}}}
        document = _document(
            p={"operator_type": "parallel", "branches": {"b": ["x"]}, "branch_workflows": {"b": inner}, "timeout": -1},
            loop={"operator_type": "foreach", "items": "{{a}}", "loop_body": []},
        )
        assert _found(document) == {
            ("bad_value", "/tasks/p/timeout"),
            ("missing_dependency", "/tasks/p/branch_workflows/b/tasks/x/dependencies/0"),
            ("empty_loop_body", "/tasks/loop/loop_body"),
        }

    def test_no_tasks_are_an_empty_workflow_however_that_is_written(self) -> None:
        written: list[dict[str, Any]] = [{}, {"tasks": None}, {"tasks": {}}]
        for tasks in written:
            assert _found({"name": "w", "version": "1", **tasks}) == {("empty_workflow", "/tasks")}

    def test_a_good_document_has_a_plan_and_no_errors(self) -> None:
        examined = examine_document(_document(a=_task(), b=_task(dependencies=["a"])))
        assert examined.errors == []
        assert examined.plan is not None

    @given(
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.text(max_size=8)
            | st.sampled_from(["task", "join", "foreach"]),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        [
                            "tasks",
                            "a",
                            "b",
                            "operator_type",
                            "loop_body",
                            "branches",
                            "branch_workflows",
                            "dependencies",
                        ]
                    ),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=20,
        )
    )
    @settings(max_examples=300, deadline=None)
    def test_any_json_is_examined_without_failing(self, document: Any) -> None:
        examined = examine_document({"name": "w", "version": "1", "tasks": document})
        assert (examined.plan is None) == bool(examined.errors)
