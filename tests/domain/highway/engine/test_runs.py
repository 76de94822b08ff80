"""How a run goes on and ends."""

from tests.definitions import task
from tests.domain.highway.scripts import (
    CANCEL,
    advance,
    complete,
    emit,
    fail,
    foreach,
    fork,
    parallel,
    play,
    retry,
    step,
)


class TestProgress:
    def test_step_starts_when_its_dependencies_have_ended(self) -> None:
        trace = play(task("a"), task("b"), task("c", "a", "b"), script=[complete("a"), complete("b")])
        assert trace.then(1) == {"completed": ["a"]}
        assert trace.then(2) == {"completed": ["b"], "runnable": ["c"]}

    def test_what_does_not_depend_on_a_failure_goes_on(self) -> None:
        trace = play(task("a"), task("b"), task("c", "b"), script=[fail("a"), complete("b")])
        assert trace.then(1) == {"failed": ["a"]}
        assert trace.then(2) == {"completed": ["b"], "runnable": ["c"]}

    def test_all_that_depends_on_a_failure_fails_at_once(self) -> None:
        trace = play(task("a"), task("z"), task("b", "a", "z"), task("c", "b"), script=[fail("a")])
        assert trace.then() == {"failed": ["a"], "upstream_failed": ["b", "c"]}

    def test_dependents_fail_before_the_handler_of_a_failure_ends_the_run(self) -> None:
        stop = step("terminate", "stop", status="failed")
        trace = play(task("a", on_failure_task_id="stop"), task("b", "a"), task("c", "b"), stop, script=[fail("a")])
        assert trace.then() == {
            "failed": ["a"],
            "upstream_failed": ["b", "c"],
            "completed": ["stop"],
            "run": "failed",
        }


class TestEnd:
    def test_run_ends_when_nothing_is_open(self) -> None:
        trace = play(task("a"), task("b"), script=[complete("a"), complete("b")])
        assert trace.then(1) == {"completed": ["a"]}
        assert trace.then(2) == {"completed": ["b"], "run": "completed"}

    def test_failed_step_that_another_depends_on_is_no_leaf(self) -> None:
        trace = play(task("a"), task("b", "a", trigger_rule="all_done"), script=[fail("a"), complete("b")])
        assert trace.then() == {"completed": ["b"], "run": "completed"}

    def test_failed_leaf_fails_the_run(self) -> None:
        trace = play(task("a"), task("b"), script=[fail("a"), complete("b")])
        assert trace.status == "failed"

    def test_failed_step_that_is_joined_is_no_leaf(self) -> None:
        join = step("join", "j", join_tasks=["a", "b"], join_mode="all_of")
        trace = play(task("a"), task("b"), join, script=[fail("a"), complete("b")])
        assert trace.then() == {"completed": ["b", "j"], "run": "completed"}

    def test_failed_router_with_targets_is_no_leaf(self) -> None:
        router = step(
            "condition",
            "c",
            condition="true",
            if_true="t",
            preconditions=[{"variable": "nope", "check": "exists"}],
        )
        trace = play(router, task("t", trigger_rule="all_done"))
        assert trace.then() == {"failed": ["c"], "upstream_failed": ["t"], "run": "failed"}

    def test_edge_to_a_handler_leaves_its_owner_a_leaf(self) -> None:
        trace = play(task("a", on_failure_task_id="h"), task("h"), script=[fail("a"), complete("h")])
        assert trace.then() == {"completed": ["h"], "run": "failed"}

    def test_failed_owner_with_other_dependents_is_no_leaf(self) -> None:
        rescue = task("b", "a", trigger_rule="all_done")
        trace = play(
            task("a", on_failure_task_id="h"), task("h"), rescue, script=[fail("a"), complete("h"), complete("b")]
        )
        assert trace.status == "completed"

    def test_run_waits_for_the_losers_of_a_join(self) -> None:
        join = step("join", "j", join_tasks=["a", "b"], join_mode="any_of")
        trace = play(task("a"), task("b"), join, script=[complete("a"), complete("b")])
        assert trace.then(1) == {"completed": ["a", "j"]}
        assert trace.then(2) == {"completed": ["b"], "run": "completed"}

    def test_loser_may_fail_without_failing_the_run(self) -> None:
        join = step("join", "j", join_tasks=["a", "b"], join_mode="one_success")
        trace = play(task("a"), task("b"), join, script=[complete("a"), fail("b")])
        assert trace.then() == {"failed": ["b"], "run": "completed"}


class TestTerminate:
    def test_started_work_is_cancelled_and_the_rest_is_skipped(self) -> None:
        trace = play(
            task("a"),
            step("terminate", "stop", "a", status="failed", result={"why": "{{a}}"}),
            task("busy"),
            task("later", "busy"),
            script=[complete("a", "x")],
        )
        assert trace.then() == {
            "completed": ["a", "stop"],
            "cancelled": ["busy"],
            "skipped": ["later"],
            "run": "failed",
        }
        assert trace.final["result"] == {"why": "x"}

    def test_empty_result_is_left_out(self) -> None:
        trace = play(step("terminate", "stop", status="completed", result={}, reason=""))
        assert trace.then() == {"completed": ["stop"], "run": "completed"}
        assert "result" not in trace.final

    def test_run_without_terminate_has_no_result(self) -> None:
        trace = play(task("a", result_key="r"), script=[complete("a", 1)])
        assert "result" not in trace.final

    def test_terminate_in_a_branch_ends_the_run(self) -> None:
        trace = play(
            parallel(
                "p", branches={"x": [task("a"), step("terminate", "stop", "a")], "y": [task("b"), task("c", "b")]}
            ),
            task("after", "p"),
            script=[complete("p.x.a")],
        )
        assert trace.then() == {
            "completed": ["p.x.a", "p.x.stop"],
            "cancelled": ["p", "p.y.b"],
            "skipped": ["after", "p.y.c"],
            "run": "completed",
        }

    def test_terminate_in_a_loop_ends_the_run(self) -> None:
        trace = play(foreach("l", body=[step("terminate", "stop", status="cancelled")]))
        assert trace.then() == {"completed": ["l[0].stop"], "cancelled": ["l"], "run": "cancelled"}

    def test_handler_of_terminate_does_not_start(self) -> None:
        trace = play(step("terminate", "stop", on_success_task_id="h"), task("h"))
        assert trace.then() == {"completed": ["stop"], "skipped": ["h"], "run": "completed"}


class TestCancel:
    def test_everything_that_waits_is_cancelled_if_it_has_begun(self) -> None:
        trace = play(
            task("a", retry_policy=retry(1)),
            step("wait", "w", wait_for="PT1H"),
            step("wait_for_event", "v", event_name="go_{{ds}}"),
            step("child_workflow", "k", children={"x": {"workflow_name": "child"}}),
            *fork("f", branches={"x": [task("b")]}),
            step("join", "j", join_tasks=["a", "w"]),
            task("later", "a"),
            script=[fail("a"), CANCEL],
        )
        assert trace.then() == {
            "cancelled": ["a", "f.x.b", "f_join", "k", "v", "w"],
            "skipped": ["j", "later"],
            "run": "cancelled",
        }
        assert trace.tasks["f"] == "completed"

    def test_step_that_waits_for_a_circuit_breaker_has_not_begun(self) -> None:
        breaker = {"failure_threshold": 1, "isolation_duration": 30}
        trace = play(
            task("a", function="api", circuit_breaker_policy=breaker),
            task("b", "a", function="api", circuit_breaker_policy=breaker, trigger_rule="all_done"),
            script=[fail("a"), CANCEL],
        )
        assert trace.then() == {"skipped": ["b"], "run": "cancelled"}

    def test_iterations_that_have_not_begun_do_not_exist(self) -> None:
        trace = play(foreach("l", body=[task("t"), task("u", "t")]), script=[CANCEL])
        assert trace.tasks == {"l": "cancelled", "l[0].t": "cancelled", "l[0].u": "skipped"}


class TestDeadline:
    def test_deadline_counts_from_the_start(self) -> None:
        trace = play(
            task("a"),
            task("b", "a"),
            script=[advance(10), complete("a"), advance(19), advance(1)],
            deadline_seconds=30,
        )
        assert trace.then(3) == {}
        assert trace.then(4) == {"cancelled": ["b"], "run": "failed"}

    def test_deadline_may_cancel(self) -> None:
        trace = play(task("a"), task("b", "a"), script=[advance(30)], deadline_seconds=30, deadline_action="cancel")
        assert trace.then() == {"cancelled": ["a"], "skipped": ["b"], "run": "cancelled"}

    def test_step_that_is_due_at_the_deadline_comes_first(self) -> None:
        trace = play(step("wait", "w", wait_for=30), script=[advance(30)], deadline_seconds=30)
        assert trace.then() == {"completed": ["w"], "run": "completed"}

    def test_nothing_happens_after_the_deadline(self) -> None:
        trace = play(
            step("wait", "w", wait_for=40), step("wait", "x", wait_for=10), script=[advance(60)], deadline_seconds=30
        )
        assert trace.then() == {"completed": ["x"], "cancelled": ["w"], "run": "failed"}

    def test_event_after_the_end_changes_nothing(self) -> None:
        trace = play(
            step("wait_for_event", "v", event_name="e_{{ds}}", timeout_seconds=5),
            script=[advance(5), emit("e_2025-01-15", 1)],
        )
        assert trace.then(1) == {"failed": ["v"], "run": "failed"}
        assert trace.then(2) == {"emitted": [("e_2025-01-15", 1)]}
