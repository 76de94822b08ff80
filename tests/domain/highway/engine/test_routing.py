"""What conditions and switches choose, and what their branches are."""

from typing import Any

import pytest
from highway_dsl import JoinMode, WorkflowBuilder

from app.domain.highway.document.texts import read_yaml
from tests.definitions import task
from tests.domain.highway.scripts import (
    START,
    Step,
    Trace,
    advance,
    complete,
    fail,
    foreach,
    parallel,
    play,
    play_document,
    step,
    warnings_of,
)


def _condition(task_id: str, *dependencies: str, condition: str = "{{go}}", **members: Any) -> Step:
    return step("condition", task_id, *dependencies, condition=condition, **members)


def _switch(*dependencies: str, on: str = "{{kind}}", **members: Any) -> Step:
    return step("switch", "s", *dependencies, switch_on=on, **members)


def _built(builder: Any, *script: Step, inputs: Any = None) -> Trace:
    return play_document(read_yaml(builder.build().to_yaml()), [START, *script], inputs)


class TestCondition:
    def test_target_that_is_not_chosen_is_skipped(self) -> None:
        steps = (_condition("c", if_true="t", if_false="f"), task("t", "c"), task("f", "c"))
        assert play(*steps, inputs={"go": True}).then() == {"completed": ["c"], "runnable": ["t"], "skipped": ["f"]}
        assert play(*steps, inputs={"go": False}).then() == {"completed": ["c"], "runnable": ["f"], "skipped": ["t"]}

    def test_missing_arm_chooses_nothing(self) -> None:
        trace = play(_condition("c", if_true="t"), task("t", "c"), inputs={"go": False})
        assert trace.then() == {"completed": ["c"], "skipped": ["t"], "run": "completed"}

    def test_its_value_is_the_boolean(self) -> None:
        after = task("after", "c", args=["{{c}}"])
        assert play(_condition("c"), after, inputs={"go": "yes"}).offers["after"]["args"] == [True]

    def test_target_never_starts_by_itself(self) -> None:
        trace = play(task("a"), _condition("c", "a", if_true="t"), task("t"), script=[complete("a")], inputs={"go": 1})
        assert trace.then(0) == {"runnable": ["a"]}
        assert trace.then(1) == {"completed": ["a", "c"], "runnable": ["t"]}


class TestSwitch:
    @pytest.mark.parametrize(
        ("value", "chosen"),
        [("a", "x"), (True, "y"), (1, "z"), (None, "n"), (1.5, "h"), ("other", "d")],
    )
    def test_text_of_the_value_is_looked_up(self, value: Any, chosen: str) -> None:
        cases = {"a": "x", "true": "y", "1": "z", "None": "n", "1.5": "h"}
        names = [*cases.values(), "d"]
        trace = play(_switch(cases=cases, default="d"), *(task(name, "s") for name in names), inputs={"kind": value})
        assert trace.then()["runnable"] == [chosen]
        assert trace.then()["skipped"] == sorted(set(names) - {chosen})

    def test_no_match_without_default_chooses_nothing(self) -> None:
        trace = play(_switch(cases={"a": "x"}), task("x", "s"), inputs={"kind": "b"})
        assert trace.then() == {"completed": ["s"], "skipped": ["x"], "run": "completed"}

    def test_its_value_is_the_key(self) -> None:
        after = task("after", "s", args=["{{s}}"])
        assert play(_switch(cases={}), after, inputs={"kind": True}).offers["after"]["args"] == ["true"]

    def test_unknown_value_takes_the_default_and_is_told(self) -> None:
        trace = play(_switch(cases={"a": "x"}, default="d", on="{{ nope.x }}"), task("x", "s"), task("d", "s"))
        assert trace.then() == {
            "completed": ["s"],
            "runnable": ["d"],
            "skipped": ["x"],
            "unresolved": ["nope.x"],
        }

    def test_two_cases_may_have_one_target(self) -> None:
        trace = play(_switch(cases={"a": "x", "b": "x"}), task("x", "s"), inputs={"kind": "b"})
        assert trace.then()["runnable"] == ["x"]


class TestAfterARouter:
    """A dependency on a router, of a step that is not its target, waits for the chosen branch."""

    STEPS = (
        _condition("c", if_true="t", if_false="f"),
        task("t", "c"),
        task("t2", "c", "t"),
        task("f", "c"),
        task("f2", "c", "f"),
        task("after", "c"),
    )

    def test_it_waits_for_the_whole_branch(self) -> None:
        trace = play(*self.STEPS, script=[complete("t"), complete("t2")], inputs={"go": True})
        assert trace.then(0) == {"completed": ["c"], "runnable": ["t"], "skipped": ["f", "f2"]}
        assert trace.then(1) == {"completed": ["t"], "runnable": ["t2"]}
        assert trace.then(2) == {"completed": ["t2"], "runnable": ["after"]}

    def test_it_fails_if_the_branch_fails(self) -> None:
        trace = play(*self.STEPS, script=[fail("f")], inputs={"go": False})
        assert trace.then() == {"failed": ["f"], "upstream_failed": ["after", "f2"], "run": "failed"}

    def test_it_goes_on_if_nothing_was_chosen(self) -> None:
        trace = play(_condition("c", if_true="t"), task("t", "c"), task("after", "c"), inputs={"go": False})
        assert trace.then() == {"completed": ["c"], "skipped": ["t"], "runnable": ["after"]}

    def test_branch_with_several_ends_is_over_with_the_last(self) -> None:
        steps = (_condition("c", if_true="t"), task("t", "c"), task("u", "c", "t"), task("v", "c", "t"))
        after = task("after", "c", trigger_rule="all_done")
        trace = play(*steps, after, script=[complete("t"), fail("u"), complete("v")], inputs={"go": True})
        assert trace.then(2) == {"failed": ["u"]}
        assert trace.then(3) == {"completed": ["v"], "runnable": ["after"]}

    def test_failure_that_the_branch_recovers_from_is_none(self) -> None:
        steps = (_condition("c", if_true="t"), task("t", "c"), task("u", "c", "t", trigger_rule="all_done"))
        trace = play(*steps, task("after", "c"), script=[fail("t"), complete("u")], inputs={"go": True})
        assert trace.then() == {"completed": ["u"], "runnable": ["after"]}

    def test_failed_router_fails_it(self) -> None:
        guarded = _condition("c", if_true="t", preconditions=[{"variable": "nope", "check": "exists"}])
        trace = play(guarded, task("t", "c"), task("t2", "c", "t"), task("after", "c"))
        assert trace.then() == {"failed": ["c"], "upstream_failed": ["after", "t", "t2"], "run": "failed"}

    def test_branch_may_contain_a_parallel(self) -> None:
        p = parallel("p", "c", "t", branches={"x": [task("a")]})
        steps = (_condition("c", if_true="t"), task("t", "c"), p, task("after", "c"))
        trace = play(*steps, script=[complete("t"), complete("p.x.a")], inputs={"go": True})
        assert trace.then(1) == {"completed": ["t"], "runnable": ["p.x.a"]}
        assert trace.then(2) == {"completed": ["p", "p.x.a"], "runnable": ["after"]}

    def test_step_in_a_branch_may_wait_for_a_router_outside(self) -> None:
        p = parallel("p", branches={"x": [task("a", "c")]})
        steps = (_condition("c", if_true="t"), task("t", "c"), p)
        trace = play(*steps, script=[complete("t")], inputs={"go": True})
        assert trace.then(0) == {"completed": ["c"], "runnable": ["t"]}
        assert trace.then(1) == {"completed": ["t"], "runnable": ["p.x.a"]}


class TestTargets:
    def test_target_of_several_routers_runs_if_one_chose_it(self) -> None:
        steps = (
            _condition("c", condition="{{one}}", if_true="t", if_false="x"),
            task("x", "c"),
            _condition("d", "x", condition="true", if_false="t"),
            task("t", "c", "d"),
        )
        trace = play(*steps, inputs={"one": True})
        assert trace.then() == {"completed": ["c"], "runnable": ["t"], "skipped": ["d", "x"]}

    def test_target_of_several_routers_is_skipped_if_none_chose_it(self) -> None:
        steps = (
            _condition("c", condition="{{one}}", if_true="t", if_false="x"),
            task("x", "c"),
            _condition("d", "x", condition="true", if_false="t"),
            task("t", "c", "d"),
        )
        trace = play(*steps, script=[complete("x")], inputs={"one": False})
        assert trace.then(0) == {"completed": ["c"], "runnable": ["x"]}
        assert trace.then(1) == {"completed": ["d", "x"], "skipped": ["t"], "run": "completed"}

    def test_chosen_target_waits_for_its_other_dependencies(self) -> None:
        trace = play(
            _condition("c", if_true="t"), task("a"), task("t", "c", "a"), script=[complete("a")], inputs={"go": 1}
        )
        assert trace.then(0) == {"completed": ["c"], "runnable": ["a"]}
        assert trace.then(1) == {"completed": ["a"], "runnable": ["t"]}

    def test_skipped_dependencies_of_a_chosen_target_are_satisfied(self) -> None:
        steps = (_condition("c", if_true="t", if_false="f"), task("f", "c"), task("t", "c", "f"))
        assert play(*steps, inputs={"go": True}).then() == {"completed": ["c"], "runnable": ["t"], "skipped": ["f"]}

    def test_chosen_target_with_a_failed_dependency_is_upstream_failed(self) -> None:
        steps = (task("a"), task("b"), _condition("c", "b", if_true="t"), task("t", "c", "a"))
        trace = play(*steps, script=[fail("a"), complete("b")], inputs={"go": True})
        assert trace.then() == {"completed": ["b", "c"], "upstream_failed": ["t"], "run": "failed"}

    def test_handler_that_is_chosen_starts(self) -> None:
        steps = (task("a", on_failure_task_id="h"), _switch("a", on="x", cases={"x": "h"}), task("h"))
        trace = play(*steps, script=[complete("a")])
        assert trace.then() == {"completed": ["a", "s"], "runnable": ["h"]}

    def test_handler_and_target_is_skipped_if_neither_calls(self) -> None:
        steps = (task("a", on_failure_task_id="h"), _switch("a", on="y", cases={"x": "h"}), task("h"))
        trace = play(*steps, script=[complete("a")])
        assert trace.then() == {"completed": ["a", "s"], "skipped": ["h"], "run": "completed"}


class TestTargetsBeforeTheirRouter:
    STEPS = (
        task("a"),
        task("x", "a"),
        task("y", "x"),
        step("switch", "s", "y", switch_on="{{a}}", cases={"x": "x", "y": "y"}),
        task("after", "s"),
    )

    def test_router_waits_for_what_its_targets_wait_for(self) -> None:
        trace = play(*self.STEPS, script=[complete("a", "y"), complete("y")])
        assert trace.then(0) == {"runnable": ["a"]}
        assert trace.then(1) == {"completed": ["a", "s"], "runnable": ["y"], "skipped": ["x"]}
        assert trace.then(2) == {"completed": ["y"], "runnable": ["after"]}

    def test_it_is_told(self) -> None:
        assert warnings_of(*self.STEPS) == [("handlers_before_router", "/tasks/s/dependencies")]


class TestBuiltBranches:
    def test_untaken_branch_is_skipped_whole(self) -> None:
        builder: Any = WorkflowBuilder("w")
        builder.condition(
            "c",
            "{{go}}",
            if_true=lambda b: b.task("t1", "f").task("t2", "f").task("t3", "f"),
            if_false=lambda b: b.task("f1", "f"),
        ).task("after", "f")
        trace = _built(builder, complete("f1"), inputs={"go": False})
        assert trace.then(0) == {"completed": ["c"], "runnable": ["f1"], "skipped": ["t1", "t2", "t3"]}
        assert trace.then(1) == {"completed": ["f1"], "runnable": ["after"]}

    def test_condition_in_a_branch(self) -> None:
        builder: Any = WorkflowBuilder("w")
        builder.condition(
            "c",
            "{{go}}",
            if_true=lambda b: b.task("t", "f").condition(
                "d", "{{deep}}", if_true=lambda x: x.task("u", "f"), if_false=lambda x: x.task("v", "f")
            ),
            if_false=lambda b: b.task("e", "f"),
        ).task("after", "f")
        trace = _built(builder, complete("t"), complete("v"), inputs={"go": True, "deep": False})
        assert trace.then(1) == {"completed": ["d", "t"], "runnable": ["v"], "skipped": ["u"]}
        assert trace.then(2) == {"completed": ["v"], "runnable": ["after"]}
        untaken = _built(builder, inputs={"go": False})
        assert untaken.then() == {"completed": ["c"], "runnable": ["e"], "skipped": ["d", "t", "u", "v"]}

    def test_loop_in_a_branch(self) -> None:
        builder: Any = WorkflowBuilder("w")
        builder.condition(
            "c",
            "{{go}}",
            if_true=lambda b: b.foreach("l", "[1]", lambda x: x.task("t", "f")).task("u", "f"),
            if_false=lambda b: b.task("e", "f"),
        ).task("after", "f")
        trace = _built(builder, complete("l[0].t"), complete("u"), inputs={"go": True})
        assert trace.then(0) == {"completed": ["c"], "runnable": ["l[0].t"], "skipped": ["e"]}
        assert trace.then(1) == {"completed": ["l", "l[0].t"], "runnable": ["u"]}
        assert trace.then(2) == {"completed": ["u"], "runnable": ["after"]}

    def test_join_in_a_branch_judges_the_failures_of_the_branch(self) -> None:
        builder: Any = WorkflowBuilder("w")
        builder.condition(
            "c",
            "{{go}}",
            if_true=lambda b: (
                b.task("t", "f")
                .task("u", "f", dependencies=["t"])
                .task("v", "f", dependencies=["t"])
                .join("j", ["u", "v"], JoinMode.ONE_SUCCESS)
            ),
            if_false=lambda b: b.task("e", "f"),
        ).task("after", "f")
        trace = _built(builder, complete("t"), fail("u"), complete("v"), inputs={"go": True})
        assert trace.then() == {"completed": ["j", "v"], "runnable": ["after"]}
        untaken = _built(builder, inputs={"go": False})
        assert untaken.then() == {"completed": ["c"], "runnable": ["e"], "skipped": ["j", "t", "u", "v"]}

    def test_router_in_a_loop(self) -> None:
        body = [_condition("c", condition="{{item}} > 1", if_true="t", if_false="f"), task("t", "c"), task("f", "c")]
        trace = play(foreach("l", body=body), script=[complete("l[0].f"), complete("l[1].t")])
        assert trace.then(0) == {"completed": ["l[0].c"], "runnable": ["l[0].f"], "skipped": ["l[0].t"]}
        assert trace.then(1) == {
            "completed": ["l[0].f", "l[1].c"],
            "runnable": ["l[1].t"],
            "skipped": ["l[1].f"],
        }

    def test_router_that_fails_in_a_branch_fails_the_branch(self) -> None:
        guarded = _condition("c", preconditions=[{"variable": "nope", "check": "exists"}])
        trace = play(parallel("p", branches={"x": [guarded]}))
        assert trace.then() == {"failed": ["p", "p.x.c"], "run": "failed"}

    def test_wait_in_a_branch(self) -> None:
        steps = (_condition("c", if_true="w"), step("wait", "w", "c", wait_for=5), task("after", "c"))
        trace = play(*steps, script=[advance(5)], inputs={"go": True})
        assert trace.then(0) == {"completed": ["c"], "timers": [("w", 5)]}
        assert trace.then(1) == {"completed": ["w"], "runnable": ["after"]}


class TestUntakenBranches:
    """A branch that is not chosen is skipped whole, whatever its steps would do by themselves."""

    @pytest.mark.parametrize("rule", ["all_done", "none_failed", "all_success"])
    def test_trigger_rule_does_not_start_it(self, rule: str) -> None:
        steps = (
            _condition("c", if_true="t"),
            task("t", "c"),
            task("u", "c", "t", trigger_rule=rule),
            task("v", "c", "u"),
        )
        trace = play(*steps, inputs={"go": False})
        assert trace.then() == {"completed": ["c"], "skipped": ["t", "u", "v"], "run": "completed"}

    def test_join_of_all_does_not_complete_in_it(self) -> None:
        join = step("join", "j", "c", "u", join_tasks=["t", "u"], join_mode="all_of")
        steps = (_condition("c", if_true="t"), task("t", "c"), task("u", "c", "t"), join, task("v", "c", "j"))
        trace = play(*steps, inputs={"go": False})
        assert trace.then() == {"completed": ["c"], "skipped": ["j", "t", "u", "v"], "run": "completed"}

    def test_completed_dependency_outside_does_not_start_it(self) -> None:
        steps = (task("b"), _condition("c", "b", if_true="t"), task("t", "c"), task("u", "c", "t", "b"))
        trace = play(*steps, script=[complete("b")], inputs={"go": False})
        assert trace.then() == {"completed": ["b", "c"], "skipped": ["t", "u"], "run": "completed"}

    def test_step_waits_for_the_choice(self) -> None:
        steps = (task("b"), task("a"), _condition("c", "a", if_true="t"), task("t", "c"))
        last = task("u", "c", "t", "b", trigger_rule="one_success")
        trace = play(*steps, last, script=[complete("b"), complete("a")], inputs={"go": True})
        assert trace.then(1) == {"completed": ["b"]}
        assert trace.then(2) == {"completed": ["a", "c"], "runnable": ["t", "u"]}

    def test_step_of_both_branches_runs(self) -> None:
        steps = (_condition("c", if_true="t", if_false="f"), task("t", "c"), task("f", "c"), task("m", "c", "t", "f"))
        trace = play(*steps, task("after", "c"), script=[complete("f"), complete("m")], inputs={"go": False})
        assert trace.then(1) == {"completed": ["f"], "runnable": ["m"]}
        assert trace.then(2) == {"completed": ["m"], "runnable": ["after"]}

    def test_step_of_the_branches_of_two_routers_runs_if_one_chose_it(self) -> None:
        steps = [_condition(name, condition=f"{{{{{name}}}}}", if_true=f"t_{name}") for name in ("c", "d")]
        targets = [task("t_c", "c"), task("t_d", "d"), task("m", "t_c", "c", "t_d", "d")]
        trace = play(*steps, *targets, script=[complete("t_c")], inputs={"c": True, "d": False})
        assert trace.then() == {"completed": ["t_c"], "runnable": ["m"]}

    def test_untaken_arm_in_a_taken_branch_is_skipped(self) -> None:
        inner = _condition("d", "c", "t", condition="false", if_true="v")
        steps = (_condition("c", if_true="t"), task("t", "c"), inner, task("v", "d", "c"))
        last = task("w", "v", "d", "c", trigger_rule="all_done")
        trace = play(*steps, last, script=[complete("t")], inputs={"go": True})
        assert trace.then() == {"completed": ["d", "t"], "skipped": ["v", "w"], "run": "completed"}
