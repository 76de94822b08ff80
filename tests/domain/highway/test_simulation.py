"""Scripts: which actions can be taken, and when."""

from datetime import UTC, datetime

import pytest

from app.domain.highway.simulation import ScriptRefused, simulate
from tests.definitions import task
from tests.domain.highway.scripts import (
    CANCEL,
    START,
    Step,
    advance,
    child,
    compiled,
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

STEPS = (
    task("a", retry_policy=retry(1)),
    task("b", "a"),
    task("c"),
    step("child_workflow", "k", children={"x": {"workflow_name": "w"}}),
    step("wait", "w", wait_for=50),
    parallel("p", branches={"x": [task("d")]}),
    *fork("f", branches={"x": [task("e")]}),
    step("wait_for_event", "v", event_name="go_{{ds}}"),
    foreach("l", body=[task("g")]),
)


class TestRefusals:
    @pytest.mark.parametrize(
        "script",
        [
            [complete("c")],
            [CANCEL],
            [START, START],
            [START, complete("nope")],
            [START, complete("b")],
            [START, fail("b")],
            [START, complete("w")],
            [START, complete("p")],
            [START, complete("f")],
            [START, complete("f_join")],
            [START, fail("f_join")],
            [START, complete("v")],
            [START, complete("k")],
            [START, complete("l")],
            [START, complete("l[1].g")],
            [START, complete("l.g")],
            [START, complete("p.x")],
            [START, complete("c"), complete("c")],
            [START, fail("a"), fail("a")],
            [START, fail("a"), complete("a")],
            [START, child("k", "y")],
            [START, child("c", "x")],
            [START, child("k", "x"), child("k", "x")],
            [START, CANCEL, complete("c")],
            [START, CANCEL, child("k", "x")],
            [START, CANCEL, CANCEL],
            [START, CANCEL, START],
            [START, {"do": "dance"}],
        ],
    )
    def test_action_that_cannot_be_taken(self, script: list[Step]) -> None:
        with pytest.raises(ScriptRefused) as refused:
            simulate(compiled(*STEPS).plan, script)
        assert refused.value.place == len(script) - 1

    def test_advance_after_the_end_is_empty(self) -> None:
        trace = play(*STEPS, script=[CANCEL, advance(1000)])
        assert trace.then() == {}

    def test_time_may_pass_before_the_start(self) -> None:
        plan = compiled(step("wait", "w", wait_for="2025-01-15T03:00:00")).plan
        played = simulate(plan, [advance(3000), START])
        assert played["steps"][1]["then"] == {"timers": [{"task": "w", "seconds": 600}]}

    def test_run_that_has_not_begun_is_pending(self) -> None:
        assert simulate(compiled(*STEPS).plan, [])["final"] == {"run_status": "pending", "tasks": {}}


class TestAnswer:
    def test_each_step_is_repeated_with_what_it_caused(self) -> None:
        played = simulate(compiled(task("a")).plan, [START, {"do": "complete", "task": "a"}])
        assert played["steps"] == [
            {"do": "start", "then": {"runnable": [{"task": "a", "attempt": 1, "function": "jobs.a"}]}},
            {"do": "complete", "task": "a", "then": {"completed": ["a"], "run": "completed"}},
        ]
        assert played["final"] == {"run_status": "completed", "tasks": {"a": "completed"}}

    def test_start_time_may_be_given(self) -> None:
        plan = compiled(step("wait", "w", wait_for="time:12:00")).plan
        played = simulate(plan, [START], start_time=datetime(2030, 5, 1, 11, 59, tzinfo=UTC))
        assert played["steps"][0]["then"] == {"timers": [{"task": "w", "seconds": 60}]}

    def test_unfinished_run_names_every_step_that_exists(self) -> None:
        trace = play(*STEPS, script=[fail("a")])
        assert trace.status == "running"
        assert trace.tasks == {
            "a": "waiting",
            "b": "waiting",
            "c": "runnable",
            "k": "running",
            "w": "running",
            "p": "running",
            "p.x.d": "runnable",
            "f": "completed",
            "f.x.e": "runnable",
            "f_join": "running",
            "v": "running",
            "l": "running",
            "l[0].g": "runnable",
        }


class TestTime:
    def test_waits_at_one_moment_come_before_time_outs(self) -> None:
        steps = (step("wait", "w", wait_for=10), step("emit_event", "e", "w", event_name="go_{{ds}}"))
        wait = step("wait_for_event", "v", event_name="go_{{ds}}", timeout_seconds=10)
        assert play(wait, *steps, script=[advance(10)]).status == "completed"

    def test_inner_time_outs_come_before_outer_ones(self) -> None:
        inner = parallel("q", branches={"y": [task("a")]}, timeout=10)
        trace = play(parallel("p", branches={"x": [inner]}, timeout=10), script=[advance(10)])
        assert trace.then() == {"cancelled": ["p.x.q.y.a"], "failed": ["p", "p.x.q"], "run": "failed"}

    def test_what_begins_later_counts_from_there(self) -> None:
        steps = (step("wait", "w", wait_for=10), task("t", "w", timeout_policy={"timeout": 10}))
        trace = play(*steps, script=[advance(15), advance(4), advance(1)])
        assert trace.then(1) == {"completed": ["w"], "runnable": ["t"]}
        assert trace.then(2) == {}
        assert trace.then(3)["timed_out"] == ["t"]

    def test_event_names_are_those_of_the_moment(self) -> None:
        trace = play(step("wait_for_event", "v", event_name="a_{{run.id}}"), script=[emit("a_run-1")])
        assert trace.status == "completed"
