"""Parallels, forks and multi_choices."""

from tests.definitions import task
from tests.domain.highway.scripts import (
    CANCEL,
    advance,
    complete,
    fail,
    foreach,
    fork,
    multi_choice,
    parallel,
    play,
    retry,
    step,
    warnings_of,
)


class TestParallel:
    def test_it_completes_with_its_last_branch(self) -> None:
        trace = play(
            parallel("p", branches={"x": [task("a"), task("a2", "a")], "y": [task("b")]}),
            task("after", "p"),
            script=[complete("p.x.a"), complete("p.y.b"), complete("p.x.a2")],
        )
        assert trace.then(0) == {"runnable": ["p.x.a", "p.y.b"]}
        assert trace.then(3) == {"completed": ["p", "p.x.a2"], "runnable": ["after"]}

    def test_it_fails_after_all_branches_have_ended(self) -> None:
        p = parallel("p", branches={"x": [task("a"), task("a2", "a")], "y": [task("b")]})
        trace = play(p, task("after", "p"), script=[fail("p.x.a"), complete("p.y.b")])
        assert trace.then(1) == {"failed": ["p.x.a"], "upstream_failed": ["p.x.a2"]}
        assert trace.then(2) == {
            "completed": ["p.y.b"],
            "failed": ["p"],
            "upstream_failed": ["after"],
            "run": "failed",
        }

    def test_branch_that_recovers_has_not_failed(self) -> None:
        p = parallel("p", branches={"x": [task("a"), task("b", "a", trigger_rule="all_done")]})
        trace = play(p, script=[fail("p.x.a"), complete("p.x.b")])
        assert trace.then() == {"completed": ["p", "p.x.b"], "run": "completed"}

    def test_its_value_are_the_results_by_branch_and_task(self) -> None:
        p = parallel("p", branches={"x": [task("a"), task("a2", "a")], "y": [task("b")]}, result_key="r")
        after = task("after", "p", args=["{{r}}", "{{p.y.b}}"])
        script = [complete("p.x.a", 1), complete("p.x.a2", 2), complete("p.y.b", 3)]
        assert play(p, after, script=script).offers["after"]["args"] == [{"x": {"a": 1, "a2": 2}, "y": {"b": 3}}, 3]

    def test_results_of_branches_are_known_outside(self) -> None:
        p = parallel("p", branches={"x": [task("a", result_key="r")]})
        after = task("after", "p", args=["{{r}}", "{{a}}", "{{results.r}}"])
        assert play(p, after, script=[complete("p.x.a", 5)]).offers["after"]["args"] == [5, 5, 5]

    def test_parallel_without_branches_completes_at_once(self) -> None:
        trace = play(parallel("p", branches={}), task("after", "p", args=["{{p}}"]))
        assert trace.then() == {"completed": ["p"], "runnable": ["after"]}
        assert trace.offers["after"]["args"] == [{}]

    def test_branch_steps_inherit_the_default_retry_policy(self) -> None:
        p = parallel("p", branches={"x": [parallel("q", branches={"y": [task("a")]})]})
        trace = play(p, script=[fail("p.x.q.y.a")], default_retry_policy=retry(1, 7))
        assert trace.then() == {"retry_in": [("p.x.q.y.a", 7, 2)]}

    def test_steps_of_a_parallel_that_never_started_do_not_exist(self) -> None:
        trace = play(task("a"), parallel("p", "a", branches={"x": [task("b")]}), script=[fail("a")])
        assert trace.tasks == {"a": "failed", "p": "upstream_failed"}

    def test_same_names_may_stand_in_two_branches(self) -> None:
        p = parallel("p", branches={"x": [task("a"), task("b", "a")], "y": [task("a"), task("b", "a")]})
        trace = play(p, script=[complete("p.y.a")])
        assert trace.then() == {"completed": ["p.y.a"], "runnable": ["p.y.b"]}


class TestTimeOut:
    def test_all_open_steps_of_its_branches_are_cancelled(self) -> None:
        inner = parallel("q", branches={"z": [task("c")]})
        p = parallel("p", branches={"x": [task("a"), task("a2", "a")], "y": [inner, task("d", "q")]}, timeout=30)
        trace = play(p, task("after", "p"), script=[advance(29), advance(1)])
        assert trace.then(1) == {}
        assert trace.then(2) == {
            "cancelled": ["p.x.a", "p.x.a2", "p.y.d", "p.y.q", "p.y.q.z.c"],
            "failed": ["p"],
            "upstream_failed": ["after"],
            "run": "failed",
        }

    def test_it_counts_from_its_start_in_each_iteration(self) -> None:
        p = parallel("p", branches={"x": [task("a")]}, timeout=10)
        rescue = task("r", "p", trigger_rule="all_done")
        trace = play(foreach("l", body=[p, rescue]), script=[advance(10), advance(5), complete("l[0].r"), advance(10)])
        assert trace.then(1) == {"cancelled": ["l[0].p.x.a"], "failed": ["l[0].p"], "runnable": ["l[0].r"]}
        assert trace.then(3) == {"completed": ["l[0].r"], "runnable": ["l[1].p.x.a"]}
        assert trace.then(4) == {"cancelled": ["l[1].p.x.a"], "failed": ["l[1].p"], "runnable": ["l[1].r"]}

    def test_it_ends_with_the_parallel(self) -> None:
        p = parallel("p", branches={"x": [task("a")]}, timeout=10)
        trace = play(p, task("b", "p"), script=[complete("p.x.a"), advance(20)])
        assert trace.then() == {}

    def test_iterations_inside_are_cancelled(self) -> None:
        p = parallel("p", branches={"x": [foreach("l", body=[task("a")])]}, timeout=10)
        trace = play(p, script=[advance(10)])
        assert trace.then()["cancelled"] == ["p.x.l", "p.x.l[0].a"]

    def test_its_handler_is_called(self) -> None:
        p = parallel("p", branches={"x": [task("a")]}, timeout=10, on_failure_task_id="h")
        trace = play(p, task("h", args=["{{failed_task_id}}"]), script=[advance(10)])
        assert trace.then() == {"cancelled": ["p.x.a"], "failed": ["p"], "runnable": ["h"]}
        assert trace.offers["h"]["args"] == ["p"]

    def test_wait_that_is_due_at_once_with_it_completes(self) -> None:
        p = parallel("p", branches={"x": [step("wait", "w", wait_for=10)]}, timeout=10)
        assert play(p, script=[advance(10)]).then() == {"completed": ["p", "p.x.w"], "run": "completed"}


class TestFork:
    def test_it_completes_at_once_and_its_join_waits(self) -> None:
        trace = play(*fork("f", branches={"x": [task("a")], "y": [task("b")]}), task("t", "f"))
        assert trace.then() == {
            "completed": ["f"],
            "builtin_waiting": ["f_join"],
            "runnable": ["f.x.a", "f.y.b", "t"],
        }

    def test_join_has_the_results_of_the_branches(self) -> None:
        steps = (*fork("f", branches={"x": [task("a")]}, result_key="r"), task("t", "f_join", args=["{{r}}"]))
        trace = play(*steps, script=[complete("f.x.a", 1)])
        assert trace.then() == {"completed": ["f.x.a", "f_join"], "runnable": ["t"]}
        assert trace.offers["t"]["args"] == [{"x": {"a": 1}}]

    def test_join_fails_after_all_branches_have_ended(self) -> None:
        trace = play(
            *fork("f", branches={"x": [task("a")], "y": [task("b")]}), script=[fail("f.x.a"), complete("f.y.b")]
        )
        assert trace.then(1) == {"failed": ["f.x.a"]}
        assert trace.then(2) == {"completed": ["f.y.b"], "failed": ["f_join"], "run": "failed"}

    def test_join_times_out_and_is_not_retried(self) -> None:
        steps = fork("f", branches={"x": [task("a"), task("a2", "a")]}, kwargs={"timeout_seconds": 5})
        trace = play(*steps, task("b"), script=[advance(5), complete("b")], default_retry_policy=retry(3))
        assert trace.then(1) == {"timed_out": ["f_join"], "failed": ["f_join"]}
        assert trace.then(2) == {
            "completed": ["b"],
            "cancelled": ["f.x.a"],
            "skipped": ["f.x.a2"],
            "run": "failed",
        }

    def test_its_branches_do_not_hold_the_run_open(self) -> None:
        steps = fork("f", branches={"x": [task("a")]}, kwargs={"timeout_seconds": 5})
        trace = play(*steps, script=[advance(5)])
        assert trace.then() == {
            "timed_out": ["f_join"],
            "failed": ["f_join"],
            "cancelled": ["f.x.a"],
            "run": "failed",
        }

    def test_join_that_starts_late_completes_at_once(self) -> None:
        steps = fork("f", branches={"x": [task("a")]})
        steps[1]["dependencies"] = ["f", "b"]
        trace = play(*steps, task("b"), script=[complete("f.x.a"), complete("b")])
        assert trace.then() == {"completed": ["b", "f_join"], "run": "completed"}

    def test_join_without_a_dependency_waits_all_the_same(self) -> None:
        steps = fork("f", "a", branches={"x": [task("b")]})
        steps[1]["dependencies"] = []
        trace = play(task("a"), *steps, script=[complete("a"), complete("f.x.b")])
        assert trace.then(0) == {"builtin_waiting": ["f_join"], "runnable": ["a"]}
        assert trace.then(2) == {"completed": ["f.x.b", "f_join"], "run": "completed"}

    def test_each_scope_may_have_a_fork_of_the_same_name(self) -> None:
        branches = {name: fork("f", branches={"z": [task("a")]}) for name in ("x", "y")}
        trace = play(parallel("p", branches=branches), script=[complete("p.x.f.z.a"), complete("p.y.f.z.a")])
        assert trace.then(1) == {"completed": ["p.x.f.z.a", "p.x.f_join"]}
        assert trace.then(2) == {"completed": ["p", "p.y.f.z.a", "p.y.f_join"], "run": "completed"}

    def test_fork_in_a_loop(self) -> None:
        trace = play(
            foreach("l", body=fork("f", branches={"x": [task("a")]})),
            script=[complete("l[0].f.x.a", 1), complete("l[1].f.x.a", 2)],
        )
        assert trace.then(0) == {
            "completed": ["l[0].f"],
            "builtin_waiting": ["l[0].f_join"],
            "runnable": ["l[0].f.x.a"],
        }
        assert trace.then(2) == {"completed": ["l", "l[1].f.x.a", "l[1].f_join"], "run": "completed"}

    def test_fork_that_is_skipped_skips_its_join(self) -> None:
        off = step("condition", "off", condition="false", if_true="f")
        assert play(off, *fork("f", "off", branches={"x": [task("a")]})).tasks == {
            "off": "completed",
            "f": "skipped",
            "f_join": "skipped",
        }

    def test_wait_that_reads_no_fork_completes_at_once(self) -> None:
        wait = task("w", function="tools.workflow.wait_for_parallel_branches", args=["{{nothing}}"])
        assert play(wait).then() == {"completed": ["w"], "run": "completed"}

    def test_cancelled_fork_work_does_not_leave_others_waiting(self) -> None:
        p = parallel("p", branches={"x": fork("f", branches={"y": [task("a")]}, kwargs={"timeout_seconds": 5})})
        trace = play(p, task("t", "a"), script=[advance(5), fail("p.x.f.y.a")])
        assert trace.status == "failed"

    def test_cancelled_run_cancels_the_branches(self) -> None:
        trace = play(*fork("f", branches={"x": [task("a"), task("b", "a")]}), script=[CANCEL])
        assert trace.then() == {"cancelled": ["f.x.a", "f_join"], "skipped": ["f.x.b"], "run": "cancelled"}


class TestOldParallel:
    """Branches are lists of tasks that stand beside the parallel."""

    STEPS = (
        task("a"),
        step("parallel", "p", "a", branches={"x": ["b", "c"], "y": ["d"]}),
        task("b", "p"),
        task("c", "b"),
        task("d", "p"),
        task("after", "p"),
        task("also", "c"),
    )

    def test_named_tasks_belong_to_the_parallel(self) -> None:
        trace = play(*self.STEPS, script=[complete("a"), complete("p.x.b"), complete("p.x.c"), complete("p.y.d")])
        assert trace.then(0) == {"runnable": ["a"]}
        assert trace.then(1) == {"completed": ["a"], "runnable": ["p.x.b", "p.y.d"]}
        assert trace.then(3) == {"completed": ["p.x.c"], "runnable": ["also"]}
        assert trace.then(4) == {"completed": ["p", "p.y.d"], "runnable": ["after"]}

    def test_dependency_on_a_named_task_is_no_warning(self) -> None:
        assert warnings_of(*self.STEPS) == []


class TestMultiChoice:
    CHOICE = multi_choice(
        "m",
        branches={"x": ["{{x}} > 1", task("a", result_key="r")], "y": ["{{y}}", task("b"), task("c", "b")]},
        result_key="chosen",
    )

    def test_matching_branches_run(self) -> None:
        trace = play(self.CHOICE, task("t", "m", args=["{{chosen}}"]), script=[complete("m.x.a", 5)], inputs={"x": 2})
        assert trace.then(0) == {"activated": [("m", ["x"])], "runnable": ["m.x.a"]}
        assert trace.then(1) == {"completed": ["m", "m.x.a"], "runnable": ["t"]}
        assert trace.offers["t"]["args"] == [{"x": {"a": 5}}]

    def test_too_few_fail(self) -> None:
        assert play(self.CHOICE, inputs={"x": 0}).then() == {"failed": ["m"], "run": "failed"}

    def test_minimum_may_be_none(self) -> None:
        choice = {**self.CHOICE, "minimum_branches": 0}
        assert play(choice, inputs={"x": 0}).then() == {"completed": ["m"], "run": "completed"}

    def test_minimum_may_be_two(self) -> None:
        choice = {**self.CHOICE, "minimum_branches": 2}
        assert play(choice, inputs={"x": 2}).tasks == {"m": "failed"}
        assert play(choice, inputs={"x": 2, "y": True}).then()["activated"] == [("m", ["x", "y"])]

    def test_branches_that_are_not_activated_do_not_exist(self) -> None:
        assert play(self.CHOICE, inputs={"y": True}).tasks == {"m": "running", "m.y.b": "runnable", "m.y.c": "waiting"}

    def test_time_out_cancels_its_branches(self) -> None:
        trace = play({**self.CHOICE, "timeout": 9}, script=[advance(9)], inputs={"y": True})
        assert trace.then() == {"cancelled": ["m.y.b", "m.y.c"], "failed": ["m"], "run": "failed"}

    def test_events_go_from_branch_to_branch(self) -> None:
        choice = multi_choice(
            "m",
            branches={
                "x": ["true", step("wait_for_event", "v", event_name="e_{{ds}}")],
                "y": ["true", step("emit_event", "e", event_name="e_{{ds}}")],
            },
        )
        trace = play(choice)
        assert trace.then()["completed"] == ["m", "m.x.v", "m.y.e"]
