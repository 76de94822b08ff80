"""Iterations, their variables and what they come to."""

from typing import Any

import pytest
from highway_dsl import WorkflowBuilder

from app.domain.highway.document.texts import read_yaml
from app.domain.highway.engine import iterations
from tests.definitions import task
from tests.domain.highway.scripts import (
    START,
    Step,
    complete,
    fail,
    foreach,
    parallel,
    play,
    play_document,
    retry,
    step,
    while_,
)


def _value_of(*body: Step, script: list[Step], inputs: Any = None) -> Any:
    """Return what the only iteration of a loop comes to."""
    loop = foreach("l", body=body, items='["x"]', result_key="r")
    trace = play(loop, task("after", "l", args=["{{r}}"]), script=script, inputs=inputs)
    return trace.offers["after"]["args"][0][0]


class TestItems:
    @pytest.mark.parametrize(
        "items",
        ["{{list}}", "list", "{{inputs.list}}", "{{text}}", "text", "[10, 20]", "range(10, 12)", "{{range(2)}}"],
    )
    def test_list_or_what_names_it(self, items: str) -> None:
        trace = play(foreach("l", body=[task("t")], items=items), inputs={"list": [10, 20], "text": " [10, 20]"})
        assert trace.then() == {"runnable": ["l[0].t"]}

    def test_templates_inside_of_json_text(self) -> None:
        loop = foreach("l", body=[task("t", args=["{{item}}"])], items='[{{a}}, "{{b}}"]', parallel=True)
        trace = play(loop, inputs={"a": 1, "b": "x"})
        assert [trace.offers[f"l[{index}].t"]["args"] for index in (0, 1)] == [[1], ["x"]]

    @pytest.mark.parametrize("items", ["{{nope}}", "nope", "{{number}}", "{{object}}", "{{word}}"])
    def test_anything_else_fails_the_step(self, items: str) -> None:
        inputs = {"number": 5, "object": {"a": 1}, "word": "x"}
        trace = play(foreach("l", body=[task("t")], items=items), inputs=inputs)
        assert trace.then() == {"failed": ["l"], "run": "failed"}

    def test_empty_list_completes_at_once(self) -> None:
        trace = play(foreach("l", body=[task("t")], items="[]", result_key="r"), task("u", "l", args=["{{r}}"]))
        assert trace.then() == {"completed": ["l"], "runnable": ["u"]}
        assert trace.offers["u"]["args"] == [[]]


class TestVariables:
    def test_item_and_index(self) -> None:
        names = ["{{item.x}}", "{{index}}", "{{loop_context.item.x}}", "{{loop_context.index}}", "{{item}}"]
        trace = play(foreach("l", body=[task("t", args=names)], items='[{"x": 5}]'))
        assert trace.offers["l[0].t"]["args"] == [5, 0, 5, 0, {"x": 5}]

    def test_inner_item_hides_the_outer_one(self) -> None:
        inner = foreach("m", body=[task("t", args=["{{item}}", "{{index}}"])], items="{{item}}")
        trace = play(foreach("l", body=[inner], items="[[7, 8]]"), script=[complete("l[0].m[0].t")])
        assert trace.offers["l[0].m[1].t"]["args"] == [8, 1]

    def test_branches_see_the_variables_of_their_iteration(self) -> None:
        p = parallel("p", branches={"x": [task("t", args=["{{item}}"])]})
        assert play(foreach("l", body=[p], items="[7]")).offers["l[0].p.x.t"]["args"] == [7]

    def test_iteration_counts_from_0_in_while_bodies(self) -> None:
        loop = while_("l", body=[task("t", args=["{{iteration}}"])], condition="iteration < 2")
        trace = play(loop, script=[complete("l[0].t")])
        assert [trace.offers[f"l[{index}].t"]["args"] for index in (0, 1)] == [[0], [1]]

    def test_item_is_known_in_a_while_inside(self) -> None:
        inner = while_("w", body=[task("t", args=["{{item}}", "{{loop_context.item}}"])], condition="true")
        assert play(foreach("l", body=[inner], items="[7]")).offers["l[0].w[0].t"]["args"] == [7, 7]

    def test_each_iteration_has_its_own_results(self) -> None:
        body = [task("a", result_key="r"), task("b", "a", args=["{{r}}", "{{a}}"])]
        loop = foreach("l", body=body, parallel=True)
        trace = play(loop, script=[complete("l[0].a", "x"), complete("l[1].a", "y"), complete("l[1].b")])
        assert trace.offers["l[0].b"]["args"] == ["x", "x"]
        assert trace.offers["l[1].b"]["args"] == ["y", "y"]

    def test_results_of_an_iteration_are_not_known_outside(self) -> None:
        loop = foreach("l", body=[task("a", result_key="r")], items="[1]")
        trace = play(loop, task("t", "l", args=["{{r}}"]), script=[complete("l[0].a", "x")])
        assert trace.then()["unresolved"] == ["r"]

    def test_results_outside_are_known_inside(self) -> None:
        loop = foreach("l", "a", body=[task("t", args=["{{r}}"])], items="[1]")
        assert play(task("a", result_key="r"), loop, script=[complete("a", 3)]).offers["l[0].t"]["args"] == [3]


class TestForeach:
    def test_iterations_follow_each_other(self) -> None:
        trace = play(foreach("l", body=[task("t")]), script=[complete("l[0].t"), complete("l[1].t")])
        assert trace.then(0) == {"runnable": ["l[0].t"]}
        assert trace.then(1) == {"completed": ["l[0].t"], "runnable": ["l[1].t"]}
        assert trace.then(2) == {"completed": ["l", "l[1].t"], "run": "completed"}

    def test_parallel_iterations_begin_together(self) -> None:
        loop = foreach("l", body=[task("t")], items="range(3)", parallel=True)
        assert play(loop).then() == {"runnable": ["l[0].t", "l[1].t", "l[2].t"]}

    def test_first_failure_ends_a_sequential_loop(self) -> None:
        trace = play(foreach("l", body=[task("t")]), script=[fail("l[0].t")])
        assert trace.then() == {"failed": ["l", "l[0].t"], "run": "failed"}
        assert trace.tasks == {"l": "failed", "l[0].t": "failed"}

    def test_parallel_iterations_all_finish(self) -> None:
        loop = foreach("l", body=[task("t")], parallel=True)
        trace = play(loop, script=[fail("l[0].t"), complete("l[1].t")])
        assert trace.then(1) == {"failed": ["l[0].t"]}
        assert trace.then(2) == {"completed": ["l[1].t"], "failed": ["l"], "run": "failed"}

    def test_iteration_that_recovers_has_not_failed(self) -> None:
        body = [task("t"), task("u", "t", trigger_rule="all_done")]
        trace = play(foreach("l", body=body, items="[1]"), script=[fail("l[0].t"), complete("l[0].u")])
        assert trace.then() == {"completed": ["l", "l[0].u"], "run": "completed"}

    def test_results_stand_in_the_order_of_the_items(self) -> None:
        names = ["{{r}}", "{{l}}", "{{l_results}}", "{{l.output}}", "{{results.l_results[1]}}"]
        loop = foreach("l", body=[task("t")], parallel=True, result_key="r")
        trace = play(loop, task("u", "l", args=names), script=[complete("l[1].t", "y"), complete("l[0].t", "x")])
        assert trace.offers["u"]["args"] == [["x", "y"]] * 4 + ["y"]

    def test_body_steps_inherit_the_default_retry_policy(self) -> None:
        trace = play(foreach("l", body=[task("t")]), script=[fail("l[0].t")], default_retry_policy=retry(1))
        assert trace.then() == {"retry_in": [("l[0].t", 10, 2)]}

    def test_dependencies_that_leave_the_body_are_satisfied(self) -> None:
        p = parallel("p", branches={"x": [task("deep")]})
        trace = play(task("a"), p, foreach("l", body=[task("t", "l", "a", "deep")], items="[1]"))
        assert trace.then() == {"runnable": ["a", "l[0].t", "p.x.deep"]}

    def test_dependency_on_a_step_of_a_body_means_the_loop(self) -> None:
        document = _built(
            lambda b: b.foreach("l", "[1]", lambda x: x.task("t", "f")).task("u", "f", dependencies=["t"])
        )
        trace = play_document(document, [START, complete("l[0].t")])
        assert trace.then() == {"completed": ["l", "l[0].t"], "runnable": ["u"]}


def _built(build: Any) -> Any:
    builder: Any = WorkflowBuilder("w")
    return read_yaml(build(builder).build().to_yaml())


class TestCopies:
    def test_steps_of_bodies_are_ignored_outside(self) -> None:
        document = _built(
            lambda b: b.foreach(
                "l", "[1]", lambda x: x.task("t", "f").foreach("m", "[1]", lambda y: y.task("u", "f")).task("v", "f")
            )
        )
        assert set(document["tasks"]) == {"l", "t", "m", "u", "v"}
        trace = play_document(document, [START, complete("l[0].t"), complete("l[0].m[0].u"), complete("l[0].v")])
        assert trace.tasks == dict.fromkeys(["l", "l[0].t", "l[0].m", "l[0].m[0].u", "l[0].v"], "completed")

    def test_loop_in_a_branch(self) -> None:
        document = _built(lambda b: b.parallel("p", {"x": lambda x: x.foreach("l", "[1]", lambda y: y.task("t", "f"))}))
        trace = play_document(document, [START, complete("p.x.l[0].t")])
        assert trace.then() == {"completed": ["p", "p.x.l", "p.x.l[0].t"], "run": "completed"}

    def test_loop_in_a_branch_in_a_loop(self) -> None:
        document = _built(
            lambda b: b.foreach(
                "l",
                "[1]",
                lambda x: x.parallel("p", {"x": lambda y: y.foreach("m", "[5]", lambda z: z.task("t", "f"))}),
            )
        )
        trace = play_document(document, [START, complete("l[0].p.x.m[0].t")])
        assert trace.then()["completed"] == ["l", "l[0].p", "l[0].p.x.m", "l[0].p.x.m[0].t"]


class TestValueOfAnIteration:
    def test_result_of_its_single_last_task(self) -> None:
        assert _value_of(task("a"), task("b", "a"), script=[complete("l[0].a", 1), complete("l[0].b", 2)]) == 2

    def test_map_of_several_last_tasks(self) -> None:
        script = [complete("l[0].a", 1), complete("l[0].b", 2)]
        assert _value_of(task("a"), task("b"), script=script) == {"a": 1, "b": 2}

    def test_arm_that_was_chosen_is_the_last_task(self) -> None:
        body = (step("condition", "c", condition="true", if_true="t", if_false="f"), task("t", "c"), task("f", "c"))
        assert _value_of(*body, script=[complete("l[0].t", 5)]) == 5

    def test_step_after_a_router_comes_after_all_of_its_branches(self) -> None:
        body = (step("condition", "c", condition="true", if_true="t", if_false="f"), task("t", "c"), task("f", "c"))
        script = [complete("l[0].t", 5), complete("l[0].z", 6)]
        assert _value_of(*body, task("z", "c"), script=script) == 6

    def test_dependency_into_a_branch_counts_as_one_on_the_parallel(self) -> None:
        p = parallel("p", branches={"x": [task("a")]})
        script = [complete("l[0].p.x.a", 5), complete("l[0].z", 6)]
        assert _value_of(p, task("z", "a"), script=script) == 6

    def test_parallel_at_the_end(self) -> None:
        p = parallel("p", branches={"x": [task("a")]})
        assert _value_of(p, script=[complete("l[0].p.x.a", 5)]) == {"x": {"a": 5}}

    def test_handlers_do_not_count(self) -> None:
        body = (task("a", on_success_task_id="h"), task("h"))
        assert _value_of(*body, script=[complete("l[0].a", 5), complete("l[0].h", 6)]) == 5

    def test_join_at_the_end_is_null(self) -> None:
        body = (task("a"), step("join", "j", join_tasks=["a"]))
        assert _value_of(*body, script=[complete("l[0].a", 5)]) is None

    def test_steps_that_did_not_complete_do_not_count(self) -> None:
        off = step("condition", "c", condition="false", if_true="t")
        assert _value_of(task("a"), off, task("t", "c"), script=[complete("l[0].a", 5)]) == 5


class TestWhile:
    def test_condition_is_looked_at_before_each_iteration(self) -> None:
        loop = while_("l", body=[task("t", result_key="i")], condition="{{i}} < 2")
        trace = play(
            loop,
            task("u", "l", args=["{{l}}", "{{i}}"]),
            script=[complete("l[0].t", 1), complete("l[1].t", 2)],
            variables={"i": 0},
        )
        assert trace.then(0) == {"runnable": ["l[0].t"]}
        assert trace.then(1) == {"completed": ["l[0].t"], "runnable": ["l[1].t"]}
        assert trace.then(2) == {"completed": ["l", "l[1].t"], "runnable": ["u"]}
        assert trace.offers["u"]["args"] == [{"iterations": 2}, 2]

    def test_condition_that_is_false_at_first(self) -> None:
        trace = play(while_("l", body=[task("t")], condition="false"), task("u", "l", args=["{{l.iterations}}"]))
        assert trace.then() == {"completed": ["l"], "runnable": ["u"]}
        assert trace.offers["u"]["args"] == [0]

    def test_failed_iteration_fails_it(self) -> None:
        trace = play(while_("l", body=[task("t")], condition="true"), script=[complete("l[0].t"), fail("l[1].t")])
        assert trace.then() == {"failed": ["l", "l[1].t"], "run": "failed"}

    def test_thousand_iterations_are_allowed(self) -> None:
        body = [step("emit_event", "e", event_name="x_{{iteration}}")]
        trace = play(while_("l", body=body, condition="iteration < 1000"))
        assert trace.then()["run"] == "completed"

    def test_more_than_a_thousand_fail_it(self) -> None:
        body = [step("emit_event", "e", event_name="x_{{iteration}}")]
        trace = play(while_("l", body=body, condition="true"))
        assert trace.then()["run"] == "failed"
        assert trace.tasks["l"] == "failed"
        assert trace.tasks["l[999].e"] == "completed"
        assert "l[1000].e" not in trace.tasks

    def test_its_results_are_those_of_the_iteration_around(self) -> None:
        inner = while_("w", body=[task("t", result_key="r")], condition="iteration < 1")
        body = [inner, task("u", "w", args=["{{r}}", "{{t}}"])]
        trace = play(foreach("l", body=body, items="[1]"), script=[complete("l[0].w[0].t", 4)])
        assert trace.offers["l[0].u"]["args"] == [4, 4]

    def test_its_results_are_known_in_the_next_iteration(self) -> None:
        loop = while_("l", body=[task("t", args=["{{r}}"], result_key="r")], condition="iteration < 2")
        assert play(loop, script=[complete("l[0].t", 4)]).offers["l[1].t"]["args"] == [4]

    def test_loops_in_loops_that_wait_for_nothing_come_to_an_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(iterations, "ITERATIONS_AT_ONCE", 100)
        loop = step("emit_event", "e", event_name="x")
        for name in ("a", "b", "c"):
            loop = while_(name, body=[loop], condition="iteration < 10")
        trace = play(loop)
        assert trace.status == "failed"
        assert len(trace.tasks) < 250
