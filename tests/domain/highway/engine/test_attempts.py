"""Attempts at work: retries, time-outs, guards and circuit breakers."""

from typing import Any

import pytest

from tests.definitions import task
from tests.domain.highway.scripts import (
    Step,
    advance,
    complete,
    emit,
    fail,
    play,
    retry,
    step,
)


class TestOffer:
    def test_it_carries_the_resolved_arguments(self) -> None:
        trace = play(task("t", args=["{{ds}}", 1], kwargs={"a": {"b": ["{{ds}}"]}}, idempotency_key="k-{{ds}}"))
        assert trace.steps[0]["then"]["runnable"] == [
            {
                "task": "t",
                "attempt": 1,
                "function": "jobs.t",
                "args": ["2025-01-15", 1],
                "kwargs": {"a": {"b": ["2025-01-15"]}},
                "idempotency_key": "k-2025-01-15",
            }
        ]

    def test_what_is_empty_is_left_out(self) -> None:
        trace = play(task("t", args=[], kwargs={}))
        assert trace.steps[0]["then"] == {"runnable": [{"task": "t", "attempt": 1, "function": "jobs.t"}]}

    def test_reflexive_step_is_one_work_item(self) -> None:
        loop = step(
            "reflexive",
            "t",
            generator="llm.call",
            generator_kwargs={"prompt": "{{ds}}"},
            verifier="python.run",
            verifier_kwargs={"code": "{{ds}}"},
            max_turns=2,
            correction_prompt_template="fix {{error}}",
        )
        trace = play(loop, script=[complete("t", 1)])
        assert trace.offers["t"]["function"] == "tools.agent.reflexive_loop"
        assert trace.offers["t"]["kwargs"] == {
            "generator": "llm.call",
            "generator_kwargs": {"prompt": "2025-01-15"},
            "verifier": "python.run",
            "verifier_kwargs": {"code": "2025-01-15"},
            "max_turns": 2,
            "correction_prompt_template": "fix {{error}}",
        }
        assert trace.unresolved == []
        assert trace.then() == {"completed": ["t"], "run": "completed"}


class TestRetry:
    def test_delays_grow_by_the_factor(self) -> None:
        script = [fail("t"), advance(10), fail("t"), advance(19), advance(1), fail("t"), advance(40), fail("t")]
        trace = play(task("t", retry_policy=retry(3)), script=script)
        assert trace.then(1) == {"retry_in": [("t", 10, 2)]}
        assert trace.then(2) == {"runnable": ["t"]}
        assert trace.then(3) == {"retry_in": [("t", 20, 3)]}
        assert trace.then(4) == {}
        assert trace.then(6) == {"retry_in": [("t", 40, 4)]}
        assert trace.then(8) == {"failed": ["t"], "run": "failed"}
        assert trace.offers["t"]["attempt"] == 4

    def test_retries_are_additional_attempts(self) -> None:
        trace = play(task("t", retry_policy=retry(1)), script=[fail("t"), advance(10), fail("t")])
        assert trace.then() == {"failed": ["t"], "run": "failed"}

    def test_no_retries_at_all(self) -> None:
        trace = play(task("t", retry_policy=retry(0)), script=[fail("t")], default_retry_policy=retry(5))
        assert trace.then() == {"failed": ["t"], "run": "failed"}

    def test_delay_of_0_is_over_with_the_next_advance(self) -> None:
        trace = play(task("t", retry_policy=retry(1, 0)), script=[fail("t"), advance(0)])
        assert trace.then(1) == {"retry_in": [("t", 0, 2)]}
        assert trace.then(2) == {"runnable": ["t"]}

    def test_defaults_of_a_policy(self) -> None:
        trace = play(task("t", retry_policy={}), script=[fail("t"), advance(5), fail("t"), advance(10), fail("t")])
        assert trace.then() == {"retry_in": [("t", 20, 4)]}

    def test_failure_that_is_not_retryable_is_final(self) -> None:
        trace = play(task("t", retry_policy=retry(3)), script=[fail("t", retryable=False)])
        assert trace.then() == {"failed": ["t"], "run": "failed"}

    @pytest.mark.parametrize(
        "work",
        [
            task("t"),
            step("activity", "t", function="f"),
            step("reflexive", "t", generator="g", verifier="v"),
        ],
    )
    def test_default_applies_to_work(self, work: Step) -> None:
        trace = play(work, script=[fail("t")], default_retry_policy=retry(1, 3))
        assert trace.then() == {"retry_in": [("t", 3, 2)]}

    def test_default_applies_to_nothing_else(self) -> None:
        waits = (
            step("wait_for_event", "v", event_name="e_{{ds}}", timeout_seconds=5),
            step("child_workflow", "k", children={"x": {"workflow_name": "w"}}, timeout_seconds=5),
        )
        trace = play(*waits, script=[advance(5)], default_retry_policy=retry(1))
        assert trace.then() == {"failed": ["k", "v"], "run": "failed"}

    def test_templates_are_resolved_for_each_attempt(self) -> None:
        steps = (task("a"), task("t", args=["{{memory.m | default(0)}}"], retry_policy=retry(1)))
        trace = play(*steps, script=[fail("t"), complete("a", memory={"m": 5}), advance(10)])
        assert trace.offers["t"]["args"] == [5]


class TestTimeout:
    def test_it_is_a_failed_attempt(self) -> None:
        t = task("t", timeout_policy={"timeout": "PT30S"}, retry_policy=retry(1))
        trace = play(t, script=[advance(30), advance(10), advance(30)])
        assert trace.then(1) == {"timed_out": ["t"], "retry_in": [("t", 10, 2)]}
        assert trace.then(2) == {"runnable": ["t"]}
        assert trace.then(3) == {"timed_out": ["t"], "failed": ["t"], "run": "failed"}

    def test_several_attempts_in_one_advance(self) -> None:
        t = task("t", timeout_policy={"timeout": 30}, retry_policy=retry(1))
        trace = play(t, script=[advance(100)])
        assert trace.then() == {
            "timed_out": ["t", "t"],
            "retry_in": [("t", 10, 2)],
            "runnable": ["t"],
            "failed": ["t"],
            "run": "failed",
        }

    def test_it_ends_with_the_attempt(self) -> None:
        steps = (task("t", timeout_policy={"timeout": 30}), task("u", "t"))
        assert play(*steps, script=[complete("t"), advance(100)]).then() == {}

    def test_pause_before_a_retry_does_not_count(self) -> None:
        t = task("t", timeout_policy={"timeout": 30}, retry_policy=retry(1, 100))
        assert play(t, script=[fail("t"), advance(99)]).then() == {}


def _guard(check: str, value: Any = None, variable: str = "{{result}}") -> list[Step]:
    return [{"variable": variable, "check": check, "value": value}]


class TestGuards:
    def test_false_precondition_fails_without_an_attempt(self) -> None:
        t = task("t", preconditions=_guard("equals", 1, "{{x}}"), retry_policy=retry(3))
        assert play(t, inputs={"x": 2}).then() == {"failed": ["t"], "run": "failed"}
        assert play(t, inputs={"x": 1}).then() == {"runnable": ["t"]}

    def test_false_postcondition_is_a_failed_attempt(self) -> None:
        t = task("t", postconditions=_guard("in_set", ["a"]), retry_policy=retry(1))
        trace = play(t, script=[complete("t", "b"), advance(10), complete("t", "a")])
        assert trace.then(1) == {"retry_in": [("t", 10, 2)]}
        assert trace.then(3) == {"completed": ["t"], "run": "completed"}

    @pytest.mark.parametrize("variable", ["{{result}}", "{{t}}", "{{r}}", "result", "{{t.output}}"])
    def test_own_result_has_its_names_already(self, variable: str) -> None:
        t = task("t", result_key="r", postconditions=_guard("equals", 1, variable))
        assert play(t, script=[complete("t", 1)]).status == "completed"

    def test_result_that_is_refused_is_not_known(self) -> None:
        t = task("t", result_key="r", postconditions=_guard("equals", 1), args=["{{r | default('none')}}"])
        trace = play({**t, "retry_policy": retry(1)}, script=[complete("t", 2), advance(10)])
        assert trace.offers["t"]["args"] == ["none"]

    @pytest.mark.parametrize(
        "guarded",
        [
            step("condition", "t", condition="false", postconditions=_guard("equals", True)),
            step("emit_event", "t", event_name="e", postconditions=_guard("equals", 1, "{{result.event}}")),
            step("foreach", "t", items="[]", loop_body=[task("u")], postconditions=_guard("equals", 1)),
            step("parallel", "t", preconditions=_guard("exists", None, "{{nope}}")),
            step("wait", "t", wait_for=0, preconditions=_guard("exists", None, "{{nope}}")),
        ],
    )
    def test_steps_of_other_kinds_have_guards_too(self, guarded: Step) -> None:
        assert play(guarded).then() == {"failed": ["t"], "run": "failed"}

    def test_failed_guard_calls_the_handler_with_its_message(self) -> None:
        guards = [{"variable": "{{x}}", "check": "exists", "message": "no x"}]
        steps = (task("t", preconditions=guards, on_failure_task_id="h"), task("h", args=["{{error_message}}"]))
        assert play(*steps).offers["h"]["args"] == ["no x"]


class TestCircuitBreaker:
    BREAKER: Step = {"failure_threshold": 2, "success_threshold": 1, "isolation_duration": "PT30S"}  # noqa: RUF012

    def _task(self, name: str, *dependencies: str, **members: Any) -> Step:
        return task(name, *dependencies, function="api", circuit_breaker_policy=self.BREAKER, **members)

    def test_attempt_waits_while_it_is_open(self) -> None:
        steps = (self._task("a"), self._task("b"), self._task("c", "a", "b", trigger_rule="all_done"))
        trace = play(*steps, script=[fail("a"), fail("b"), advance(29), advance(1), complete("c")])
        assert trace.then(2) == {"failed": ["b"]}
        assert trace.then(3) == {}
        assert trace.then(4) == {"runnable": ["c"]}
        assert trace.offers["c"]["attempt"] == 1
        assert trace.then(5) == {"completed": ["c"], "run": "completed"}

    def test_retry_waits_too(self) -> None:
        steps = (self._task("a", retry_policy=retry(2, 10, 1)), self._task("b"))
        trace = play(*steps, script=[fail("b"), fail("a"), advance(10), advance(20)])
        assert trace.then(2) == {"retry_in": [("a", 10, 2)]}
        assert trace.then(3) == {}
        assert trace.then(4) == {"runnable": ["a"]}

    def test_success_between_failures_keeps_it_closed(self) -> None:
        steps = (self._task("a"), self._task("b"), self._task("c"), self._task("d", "a", trigger_rule="all_done"))
        trace = play(*steps, script=[fail("b"), complete("c"), fail("a")])
        assert trace.then() == {"failed": ["a"], "runnable": ["d"]}

    def test_failure_after_the_isolation_opens_it_again(self) -> None:
        steps = (self._task("a"), self._task("b"), self._task("c", "b", trigger_rule="all_done"))
        last = self._task("d", "c", trigger_rule="all_done")
        trace = play(*steps, last, script=[fail("a"), fail("b"), advance(30), fail("c"), advance(29), advance(1)])
        assert trace.then(4) == {"failed": ["c"]}
        assert trace.then(5) == {}
        assert trace.then(6) == {"runnable": ["d"]}

    def test_other_functions_and_steps_without_one_go_on(self) -> None:
        steps = (self._task("a"), self._task("b"), task("c", "a", "b", function="api", trigger_rule="all_done"))
        other = task("d", "a", "b", function="other", circuit_breaker_policy=self.BREAKER, trigger_rule="all_done")
        trace = play(*steps, other, script=[fail("a"), fail("b")])
        assert trace.then() == {"failed": ["b"], "runnable": ["c", "d"]}

    def test_ignored_errors_do_not_count(self) -> None:
        breaker = {"failure_threshold": 1, "ignore_exceptions": ["Expected"]}
        steps = (
            task("a", function="api", circuit_breaker_policy=breaker),
            task("b", "a", function="api", circuit_breaker_policy=breaker, trigger_rule="all_done"),
        )
        assert play(*steps, script=[fail("a", {"name": "Expected"})]).then()["runnable"] == ["b"]
        assert "runnable" not in play(*steps, script=[fail("a", {"name": "Other"})]).then()


class TestActivity:
    AWAITED = (
        step("activity", "a", function="ml.train", result_key="job", retry_policy=retry(1)),
        step("wait_for_event", "v", "a", event_name="{{job.completion_event}}", result_key="done"),
        task("t", "v", args=["{{done.payload}}"]),
    )

    def test_activity_is_a_task(self) -> None:
        trace = play(step("activity", "a", function="ml.train"), script=[complete("a", 1)])
        assert trace.then(0) == {"runnable": ["a"]}
        assert trace.then(1) == {"completed": ["a"], "run": "completed"}

    def test_awaited_one_is_over_at_its_submission(self) -> None:
        trace = play(*self.AWAITED)
        assert trace.then() == {"submitted": ["a"], "runnable": ["a"], "awaiting": [("v", "$activity:a", None)]}
        assert trace.tasks == {"a": "completed", "v": "running", "t": "waiting"}

    def test_event_carries_its_result(self) -> None:
        trace = play(*self.AWAITED, script=[complete("a", 5)])
        assert trace.then() == {"emitted": [("$activity:a", 5)], "completed": ["v"], "runnable": ["t"]}
        assert trace.offers["t"]["args"] == [5]

    def test_its_attempts_are_retried(self) -> None:
        trace = play(*self.AWAITED, script=[fail("a"), advance(10), complete("a", 5)])
        assert trace.then(1) == {"retry_in": [("a", 10, 2)]}
        assert trace.then(2) == {"runnable": ["a"]}
        assert trace.then(3)["completed"] == ["v"]

    def test_final_failure_does_not_leave_anybody_waiting(self) -> None:
        trace = play(*self.AWAITED, script=[fail("a", retryable=False)])
        assert trace.then() == {"failed": ["v"], "upstream_failed": ["t"], "run": "failed"}

    def test_wait_that_begins_after_the_report(self) -> None:
        steps = (self.AWAITED[0], task("b"), {**self.AWAITED[1], "dependencies": ["a", "b"]}, self.AWAITED[2])
        trace = play(*steps, script=[complete("a", 5), complete("b")])
        assert trace.then(1) == {"emitted": [("$activity:a", 5)]}
        assert trace.then(2) == {"completed": ["b", "v"], "runnable": ["t"]}
        failed = play(*steps, script=[fail("a", retryable=False), complete("b")])
        assert failed.then() == {"completed": ["b"], "failed": ["v"], "upstream_failed": ["t"], "run": "failed"}

    def test_wait_inside_of_a_loop(self) -> None:
        wait = step("wait_for_event", "v", event_name="{{job.completion_event}}")
        loop = step("foreach", "l", "a", items="[1]", loop_body=[wait])
        trace = play(self.AWAITED[0], loop, script=[complete("a", 5)])
        assert trace.then(0)["submitted"] == ["a"]
        assert trace.then(1)["completed"] == ["l", "l[0].v"]

    def test_time_out_of_its_container_ends_the_wait_for_it(self) -> None:
        branch = {"x": {"name": "x", "tasks": {"a": self.AWAITED[0]}}}
        p = step("parallel", "p", branch_workflows={**branch, "y": {"name": "y", "tasks": {"b": task("b")}}}, timeout=5)
        wait = step("wait_for_event", "v", event_name="$activity:p.x.a")
        named = step("wait_for_event", "w", "a", event_name="{{job.completion_event}}")
        trace = play(p, wait, named, script=[advance(5)])
        assert trace.then() == {"cancelled": ["p.y.b"], "failed": ["p", "v", "w"], "run": "failed"}

    def test_event_of_another_name_does_not_complete_it(self) -> None:
        assert play(*self.AWAITED, script=[emit("a")]).then() == {"emitted": [("a", None)]}
