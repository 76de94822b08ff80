"""What is found about the structure of a definition."""

import pytest

from app.domain.highway.compiler.compilation import compile_document
from tests.definitions import task, workflow
from tests.domain.highway.scripts import (
    Step,
    compiled,
    errors_of,
    foreach,
    fork,
    multi_choice,
    parallel,
    step,
    warnings_of,
    while_,
)


class TestMissing:
    @pytest.mark.parametrize(
        ("wrong", "code", "member"),
        [
            (task("t", "nope"), "missing_dependency", "dependencies/0"),
            (step("condition", "t", condition="true", if_true="nope"), "missing_target", "if_true"),
            (step("condition", "t", condition="true", if_false="nope"), "missing_target", "if_false"),
            (step("switch", "t", switch_on="x", cases={"a/b": "nope"}), "missing_target", "cases/a~1b"),
            (step("switch", "t", switch_on="x", default="nope"), "missing_target", "default"),
            (step("join", "t", join_tasks=["a", "nope"]), "missing_join_task", "join_tasks/1"),
            (task("t", on_failure_task_id="nope"), "missing_callback", "on_failure_task_id"),
            (task("t", on_success_task_id="nope"), "missing_callback", "on_success_task_id"),
            (step("parallel", "t", branches={"x": ["nope"]}), "missing_target", "branches/x/0"),
            (task("t", "t"), "self_dependency", "dependencies/0"),
            (step("join", "t", join_tasks=["t"]), "self_dependency", "join_tasks/0"),
            (step("join", "t", join_tasks=[]), "empty_join", "join_tasks"),
            (foreach("t", body=[]), "empty_loop_body", "loop_body"),
            (while_("t", body=[], condition="true"), "empty_loop_body", "loop_body"),
        ],
    )
    def test_error(self, wrong: Step, code: str, member: str) -> None:
        assert errors_of(task("a"), wrong) == [(code, f"/tasks/t/{member}")]

    def test_place_inside_of_a_branch(self) -> None:
        p = parallel("p", branches={"x": [task("t", "nope")]})
        assert errors_of(p) == [("missing_dependency", "/tasks/p/branch_workflows/x/tasks/t/dependencies/0")]

    def test_place_inside_of_a_body(self) -> None:
        loop = foreach("l", body=[task("s"), task("t", "nope")])
        assert errors_of(loop) == [("missing_dependency", "/tasks/l/loop_body/1/dependencies/0")]

    @pytest.mark.parametrize("tasks", [{}, None])
    def test_workflow_without_tasks(self, tasks: object) -> None:
        found = compile_document({"name": "w", "tasks": tasks}).errors
        assert [(error.code, error.pointer) for error in found] == [("empty_workflow", "/tasks")]

    def test_dependencies_of_handlers_have_to_exist(self) -> None:
        assert errors_of(task("a", on_failure_task_id="h"), task("h", "nope")) == [
            ("missing_dependency", "/tasks/h/dependencies/0")
        ]

    def test_handler_further_in_is_none(self) -> None:
        steps = (parallel("p", branches={"x": [task("h")]}), task("a", on_failure_task_id="h"))
        assert errors_of(*steps) == [("missing_callback", "/tasks/a/on_failure_task_id")]

    def test_target_in_another_scope_is_none(self) -> None:
        steps = (parallel("p", branches={"x": [task("t")]}), step("condition", "c", condition="true", if_true="t"))
        assert errors_of(*steps) == [("missing_target", "/tasks/c/if_true")]


class TestCycles:
    @pytest.mark.parametrize(
        "steps",
        [
            (task("a", "b"), task("b", "a")),
            (task("a", "c"), task("b", "a"), task("c", "b")),
            (task("a", "j"), step("join", "j", join_tasks=["a"])),
            (step("condition", "c", "t", condition="true", if_true="s"), task("s"), task("t", "s")),
            (parallel("p", branches={"x": [task("a", "b")]}), task("b", "p")),
            (parallel("p", branches={"x": [task("a", "b")], "y": [task("b", "a")]}),),
            (task("a", "b", on_failure_task_id="h"), task("h"), task("b", "h")),
        ],
    )
    def test_steps_that_wait_for_each_other(self, steps: tuple[Step, ...]) -> None:
        assert [code for code, _ in errors_of(*steps)] == ["cycle"]

    def test_cycle_in_a_body(self) -> None:
        found = errors_of(foreach("l", body=[task("a", "b"), task("b", "a")]))
        assert [code for code, _ in found] == ["cycle"]
        assert found[0][1].startswith("/tasks/l/loop_body/")

    def test_dependency_on_the_own_container_is_none(self) -> None:
        assert errors_of(parallel("p", branches={"x": [task("a", "p")]}), foreach("l", body=[task("b", "l")])) == []

    def test_router_written_after_its_targets_is_none(self) -> None:
        assert errors_of(task("x"), step("switch", "s", "x", switch_on="x", cases={"x": "x"})) == []


class TestWarnings:
    def test_dependency_into_a_branch(self) -> None:
        p = parallel("p", branches={"x": [task("a")], "y": [task("b", "a")]})
        assert warnings_of(p, task("t", "p", "a")) == [
            ("dependency_into_branch", "/tasks/p/branch_workflows/y/tasks/b/dependencies/0"),
            ("dependency_into_branch", "/tasks/t/dependencies/1"),
        ]

    def test_own_handler(self) -> None:
        assert warnings_of(task("t", on_failure_task_id="t")) == [("self_callback", "/tasks/t/on_failure_task_id")]

    def test_dependency_that_a_join_ignores(self) -> None:
        join = step("join", "j", "a", "b", join_tasks=["a", "b"])
        assert warnings_of(task("a"), task("b"), join) == [("join_dependency_ignored", "/tasks/j/dependencies")]

    def test_handler_with_dependencies(self) -> None:
        assert warnings_of(task("a", on_failure_task_id="h"), task("h", "a")) == [
            ("handler_has_dependencies", "/tasks/h/dependencies")
        ]

    def test_handler_of_a_branch_with_dependencies(self) -> None:
        p = parallel("p", branches={"x": [task("a", on_failure_task_id="h")]})
        assert warnings_of(p, task("h", "p")) == [("handler_has_dependencies", "/tasks/h/dependencies")]

    def test_constant_name_of_an_event(self) -> None:
        wait = step("wait_for_event", "v", event_name="go")
        assert warnings_of(wait) == [("constant_event_name", "/tasks/v/event_name")]
        assert warnings_of({**wait, "event_name": "go_{{ds}}"}) == []
        assert warnings_of({**wait, "metadata": {"after": "run"}}) == []
        assert warnings_of(wait, step("emit_event", "e", event_name="go")) == []


class TestCopies:
    """Steps of loop bodies stand beside the loop too; what is wrong with them is told of the body alone."""

    @pytest.mark.parametrize(
        ("wrong", "code", "member"),
        [
            (task("t", "nope"), "missing_dependency", "dependencies/0"),
            (task("t", "t"), "self_dependency", "dependencies/0"),
            (step("switch", "t", switch_on="x", default="nope"), "missing_target", "default"),
            (step("join", "t", join_tasks=[]), "empty_join", "join_tasks"),
            (task("t", on_failure_task_id="t"), "self_callback", "on_failure_task_id"),
            (step("wait_for_event", "t", event_name="go"), "constant_event_name", "event_name"),
            (step("join", "t", "s", join_tasks=["s"]), "join_dependency_ignored", "dependencies"),
        ],
    )
    def test_it_is_told_once(self, wrong: Step, code: str, member: str) -> None:
        found = compiled(foreach("l", body=[task("s"), wrong]), task("s"), wrong)
        told = [(finding.code, finding.pointer) for finding in [*found.errors, *found.warnings]]
        assert told == [(code, f"/tasks/l/loop_body/1/{member}")]

    def test_step_after_a_parallel_in_a_body_may_name_a_step_of_a_branch(self) -> None:
        body = [parallel("p", branches={"x": [task("a")]}), task("b", "a")]
        assert errors_of(foreach("l", body=body), *body) == []

    def test_right_copies_are_silent(self) -> None:
        body = [task("s", "l", on_failure_task_id="h"), task("t", "s"), task("h")]
        assert warnings_of(foreach("l", body=body), *body) == []


class TestSharing:
    def test_two_scopes_may_use_the_same_names(self) -> None:
        branches = {name: [*fork("f", branches={"z": [task("a")]}), task("b", "f_join")] for name in ("x", "y")}
        assert errors_of(parallel("p", branches=branches)) == []

    def test_paths_may_be_a_thousand_characters_long(self) -> None:
        def nested(length: int) -> list[tuple[str, str]]:
            inner: Step = task("t" * length)
            for index in range(4):
                inner = parallel(f"{'p' * 190}{index}", branches={"x": [inner]})
            return errors_of(inner)

        assert nested(100) == []
        assert nested(300)[-1] == ("bad_name", "/tasks")

    def test_multi_choice_branches_are_scopes(self) -> None:
        choice = multi_choice("m", branches={"x": ["true", task("a"), task("b", "a")]})
        region = compile_document(workflow(choice)).plan.regions[""]
        assert set(region.scopes) == {"", "m.x"}
        assert set(region.steps) == {"m", "m.x.a", "m.x.b"}
