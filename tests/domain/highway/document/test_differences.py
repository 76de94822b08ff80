"""Differences between two versions of a definition."""

from typing import Any

import pytest

from app.domain.highway.document.differences import compare_documents
from tests.definitions import task, workflow

Json = dict[str, Any]


def compared(before: Json, after: Json) -> Json:
    return compare_documents(before, after).model_dump(by_alias=True)


def changes(before: Json, after: Json, step: str = "a") -> list[tuple[str, Any, Any]]:
    """Return what is different in a step."""
    (found,) = compared(before, after)["changed"]
    assert found["step"] == step
    return [(change["pointer"], change["before"], change["after"]) for change in found["changes"]]


def fork(**tasks: Json) -> Json:
    branch = {"name": "b", "tasks": tasks}
    return {
        "task_id": "a",
        "operator_type": "parallel",
        "branches": {"left": list(tasks)},
        "branch_workflows": {"left": branch},
    }


def loop(*body: Json) -> Json:
    return {"task_id": "a", "operator_type": "foreach", "items": "[1]", "loop_body": list(body)}


class TestCompareDocuments:
    def test_same_documents_do_not_differ(self) -> None:
        same = compared(workflow(), workflow())
        assert (same["added"], same["removed"], same["changed"], same["workflow"]) == ([], [], [], [])

    def test_version_and_nulls_do_not_differ(self) -> None:
        same = compared(workflow(task("a")), workflow(task("a", result_key=None), version="2", description=None))
        assert (same["changed"], same["workflow"]) == ([], [])
        assert (same["from"], same["to"]) == ("1.0.0", "2")

    def test_steps_that_one_has_alone_are_told(self) -> None:
        found = compared(workflow(task("a"), task("b")), workflow(task("b"), task("c")))
        assert (found["added"], found["removed"], found["changed"]) == (["c"], ["a"], [])

    def test_innermost_members_are_told(self) -> None:
        before = workflow(task("a", kwargs={"x/y": {"n": 1, "m": 2}}))
        after = workflow(task("a", kwargs={"x/y": {"n": 1, "m": 3}}, timeout=5))
        assert changes(before, after) == [("/kwargs/x~1y/m", 2, 3), ("/timeout", None, 5)]

    def test_lists_are_told_as_a_whole(self) -> None:
        assert changes(workflow(task("a", args=[1, 2])), workflow(task("a", args=[1, 3]))) == [
            ("/args", [1, 2], [1, 3])
        ]

    @pytest.mark.parametrize(("one", "other"), [(1, True), (0, False), (1, "1"), ([], {}), ("", [])])
    def test_values_of_other_types_differ(self, one: Any, other: Any) -> None:
        assert changes(workflow(task("a", args=[one])), workflow(task("a", args=[other]))) == [
            ("/args", [one], [other])
        ]

    def test_members_of_the_workflow_are_told(self) -> None:
        found = compared(workflow(variables={"x": 1}), workflow(variables={"x": 2}))
        assert found["workflow"] == [{"pointer": "/variables/x", "before": 1, "after": 2}]

    def test_steps_of_branches_have_their_paths(self) -> None:
        before, after = workflow(fork(x=task("x"), y=task("y"))), workflow(fork(x=task("x", args=[1]), z=task("z")))
        found = compared(before, after)
        assert (found["added"], found["removed"]) == (["a.left.z"], ["a.left.y"])
        assert [change["step"] for change in found["changed"]] == ["a", "a.left.x"]

    def test_what_a_branch_says_itself_belongs_to_its_step(self) -> None:
        after = fork(x=task("x"))
        after["branch_workflows"]["left"]["description"] = "new"
        assert changes(workflow(fork(x=task("x"))), workflow(after)) == [
            ("/branch_workflows/left/description", None, "new")
        ]

    def test_steps_of_loops_are_found_wherever_they_stand(self) -> None:
        before, after = workflow(loop(task("x"), task("y"))), workflow(loop(task("y"), task("x", args=[1])))
        assert changes(before, after, "a[].x") == [("/args", None, [1])]

    def test_copies_of_a_loop_s_body_are_not_steps(self) -> None:
        before = workflow(loop(task("x")), task("x"))
        assert compared(before, workflow(loop(task("x"))))["removed"] == []

    def test_loop_in_a_branch_in_a_loop_has_its_path(self) -> None:
        inner = {**loop(task("x")), "task_id": "each"}
        before, after = ({**fork(each=each), "task_id": "fork"} for each in (inner, {**inner, "loop_body": []}))
        assert compared(workflow(loop(before)), workflow(loop(after)))["removed"] == ["a[].fork.left.each[].x"]
