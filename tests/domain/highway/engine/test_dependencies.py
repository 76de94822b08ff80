"""When steps start, by how what they depend on has ended."""

import pytest

from tests.definitions import task
from tests.domain.highway.scripts import (
    Step,
    advance,
    complete,
    fail,
    multi_choice,
    parallel,
    play,
    step,
)

_OFF = step("condition", "off", condition="false", if_true="skipped")
_SKIPPED = task("skipped", "off")
"""A step that is skipped at once."""


def _after(rule: str, *dependencies: str) -> Step:
    return task("t", *dependencies, trigger_rule=rule)


class TestAllSuccess:
    def test_skipped_dependency_does_not_matter_beside_a_completed_one(self) -> None:
        trace = play(_OFF, _SKIPPED, task("a"), task("t", "skipped", "a"), script=[complete("a")])
        assert trace.then() == {"completed": ["a"], "runnable": ["t"]}

    def test_all_skipped_is_skipped(self) -> None:
        trace = play(_OFF, _SKIPPED, task("t", "skipped"))
        assert trace.then() == {"completed": ["off"], "skipped": ["skipped", "t"], "run": "completed"}

    def test_cancelled_dependency_is_a_failure(self) -> None:
        trace = play(parallel("p", branches={"x": [task("a")]}, timeout=5), task("t", "a"), script=[advance(5)])
        assert trace.then() == {
            "cancelled": ["p.x.a"],
            "failed": ["p"],
            "upstream_failed": ["t"],
            "run": "failed",
        }


class TestTriggerRules:
    def test_all_done_waits_for_all(self) -> None:
        trace = play(task("a"), task("b"), _after("all_done", "a", "b"), script=[fail("a"), fail("b")])
        assert trace.then(1) == {"failed": ["a"]}
        assert trace.then(2) == {"failed": ["b"], "runnable": ["t"]}

    def test_all_done_runs_after_skipped_steps(self) -> None:
        assert play(_OFF, _SKIPPED, _after("all_done", "skipped")).then()["runnable"] == ["t"]

    def test_one_success_runs_at_the_first_success(self) -> None:
        trace = play(task("a"), task("b"), _after("one_success", "a", "b"), script=[fail("a"), complete("b")])
        assert trace.then(1) == {"failed": ["a"]}
        assert trace.then(2) == {"completed": ["b"], "runnable": ["t"]}

    def test_one_success_without_one_is_upstream_failed_when_all_have_ended(self) -> None:
        steps = (_OFF, _SKIPPED, task("a"), task("b"), _after("one_success", "skipped", "a", "b"))
        trace = play(*steps, script=[fail("a"), fail("b")])
        assert trace.then(1) == {"failed": ["a"]}
        assert trace.then(2) == {"failed": ["b"], "upstream_failed": ["t"], "run": "failed"}

    def test_one_success_with_skipped_ones_alone_is_skipped(self) -> None:
        assert play(_OFF, _SKIPPED, _after("one_success", "skipped")).tasks["t"] == "skipped"

    @pytest.mark.parametrize("end", [complete("a"), fail("a")])
    def test_one_done_runs_after_the_first_completed_or_failed(self, end: Step) -> None:
        trace = play(task("a"), task("b"), _after("one_done", "a", "b"), script=[end])
        assert trace.then()["runnable"] == ["t"]

    def test_one_done_does_not_count_skipped_ones(self) -> None:
        trace = play(_OFF, _SKIPPED, task("a"), _after("one_done", "skipped", "a"), script=[complete("a")])
        assert "t" not in trace.then(0).get("runnable", [])
        assert trace.then(1)["runnable"] == ["t"]

    def test_none_failed_runs_even_if_all_are_skipped(self) -> None:
        assert play(_OFF, _SKIPPED, _after("none_failed", "skipped")).then()["runnable"] == ["t"]

    @pytest.mark.parametrize("rule", ["none_failed", "all_success"])
    def test_rule_that_allows_no_failure_does_not_wait_for_the_others(self, rule: str) -> None:
        trace = play(task("a"), task("b"), _after(rule, "a", "b"), script=[fail("a")])
        assert trace.then() == {"failed": ["a"], "upstream_failed": ["t"]}


class TestDependencyIntoABranch:
    def test_it_resolves_to_that_step(self) -> None:
        p = parallel("p", branches={"x": [task("a"), task("b", "a")]})
        trace = play(p, task("t", "a"), script=[complete("p.x.a")])
        assert trace.then() == {"completed": ["p.x.a"], "runnable": ["p.x.b", "t"]}

    def test_step_that_never_comes_to_be_counts_as_its_container(self) -> None:
        p = parallel("p", "z", branches={"x": [parallel("q", branches={"y": [task("a")]})]})
        trace = play(task("z"), p, task("t", "a"), script=[fail("z")])
        assert trace.then() == {"failed": ["z"], "upstream_failed": ["p", "t"], "run": "failed"}

    def test_step_of_a_skipped_parallel_counts_as_skipped(self) -> None:
        trace = play(_OFF, _SKIPPED, parallel("p", "skipped", branches={"x": [task("a")]}), task("t", "a"))
        assert trace.tasks == {"off": "completed", "skipped": "skipped", "p": "skipped", "t": "skipped"}

    def test_branch_that_is_not_activated_counts_as_skipped_at_once(self) -> None:
        m = multi_choice("m", branches={"x": ["false", task("a")], "y": ["true", task("b")]})
        trace = play(m, task("t", "a"))
        assert trace.then() == {"activated": [("m", ["y"])], "runnable": ["m.y.b"], "skipped": ["t"]}

    def test_sibling_branch_may_wait_for_a_branch(self) -> None:
        p = parallel("p", branches={"x": [task("a")], "y": [task("b", "a")]})
        trace = play(p, script=[complete("p.x.a"), complete("p.y.b")])
        assert trace.then(0) == {"runnable": ["p.x.a"]}
        assert trace.then(1) == {"completed": ["p.x.a"], "runnable": ["p.y.b"]}
        assert trace.then(2) == {"completed": ["p", "p.y.b"], "run": "completed"}

    def test_sibling_of_a_branch_that_is_not_activated_is_skipped(self) -> None:
        m = multi_choice("m", branches={"x": ["false", task("a")], "y": ["true", task("b", "a")]})
        assert play(m).then() == {
            "activated": [("m", ["y"])],
            "skipped": ["m.y.b"],
            "completed": ["m"],
            "run": "completed",
        }

    def test_branch_may_wait_for_a_step_beside_its_container(self) -> None:
        p = parallel("p", branches={"x": [task("a", "z")]})
        trace = play(task("z"), p, script=[complete("z")])
        assert trace.then(0) == {"runnable": ["z"]}
        assert trace.then(1) == {"completed": ["z"], "runnable": ["p.x.a"]}
