"""Runs that have ended and are tried again."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.domain.highway.engine.actions import Action, ActionRefused, Cancel, Complete, Due, EndChild, Fail, Retry, Start
from app.domain.highway.engine.advance import act
from app.domain.highway.engine.effects import RunEnd
from app.domain.highway.engine.state import RunFacts, State, merge
from app.domain.highway.simulation import show
from milepost.schemas.workflow_runs import RunStatus
from tests.definitions import task
from tests.domain.highway.scripts import (
    Step,
    brief,
    compiled,
    foreach,
    fork,
    multi_choice,
    parallel,
    retry,
    step,
    while_,
)

BEGAN = datetime(2025, 1, 15, 2, tzinfo=UTC)
NO = {"name": "E", "message": "no"}


class Run:
    """A run that takes actions."""

    def __init__(self, *steps: Step, **members: Any) -> None:
        found = compiled(*steps, **members)
        assert found.errors == []
        self.plan = found.plan
        self.now = BEGAN
        self.state = State(RunFacts({}, {"ds": "2025-01-15"}, started_at=BEGAN))
        self.args: dict[str, Any] = {}
        self.attempts: dict[str, int] = {}
        self.end: RunEnd | None = None
        self.take(Start())

    def take(self, *actions: Action) -> Step:
        """Return what the last of these actions causes."""
        for action in actions:
            outcome = act(self.plan, self.state, action, self.now)
            merge(self.state, outcome.changes)
            self.end = outcome.effects.run or self.end
            self.args |= {item.path: item.args for item in outcome.effects.runnable}
            self.attempts |= {item.path: item.attempt for item in outcome.effects.runnable}
        return brief(show([outcome.effects]))

    def wait(self, path: str, seconds: float) -> Step:
        """Return what happens when time has passed for a step."""
        self.now += timedelta(seconds=seconds)
        return self.take(Due(path, self.state.steps[path].scope))

    @property
    def tasks(self) -> dict[str, str]:
        return {path: str(state.status) for path, state in self.state.steps.items()}


class TestRetry:
    def test_failed_step_starts_again_with_its_next_attempt(self) -> None:
        run = Run(task("a"), task("b", "a"))
        run.take(Fail("a", NO))
        assert run.take(Retry()) == {"runnable": ["a"]}
        assert run.attempts == {"a": 2}
        assert run.tasks == {"a": "runnable", "b": "waiting"}
        assert run.take(Complete("a")) == {"completed": ["a"], "runnable": ["b"]}
        assert run.take(Complete("b")) == {"completed": ["b"], "run": "completed"}

    def test_its_retries_count_anew(self) -> None:
        run = Run(task("a", retry_policy=retry(1)))
        run.take(Fail("a", NO))
        run.wait("a", 10)
        run.take(Fail("a", NO), Retry())
        assert run.take(Fail("a", NO)) == {"retry_in": [("a", 10, 4)]}
        assert run.wait("a", 10) == {"runnable": ["a"]}
        assert run.take(Fail("a", NO)) == {"failed": ["a"], "run": "failed"}
        assert run.attempts == {"a": 4}

    def test_attempt_whose_loss_is_forgiven_is_no_try(self) -> None:
        run = Run(task("a", retry_policy=retry(1)))
        lost = Fail("a", NO, pause_seconds=0, is_forgiven=True)
        for attempt in (2, 3):
            assert run.take(lost) == {"retry_in": [("a", 0, attempt)]}
            assert run.wait("a", 0) == {"runnable": ["a"]}
        assert run.take(Fail("a", NO)) == {"retry_in": [("a", 10, 4)]}
        run.wait("a", 10)
        assert run.take(Fail("a", NO)) == {"failed": ["a"], "run": "failed"}

    def test_loss_is_no_failure_for_the_circuit_breaker(self) -> None:
        policy = {"failure_threshold": 1, "isolation_duration": 60}
        run = Run(task("a", circuit_breaker_policy=policy))
        run.take(Fail("a", NO, is_forgiven=True))
        assert run.wait("a", 0) == {"runnable": ["a"]}

    def test_what_completed_stays(self) -> None:
        run = Run(task("a", result_key="r"), task("b"), task("c", "a", "b", args=["{{r}}"]))
        run.take(Complete("a", 5), Fail("b", NO))
        assert run.take(Retry()) == {"runnable": ["b"]}
        assert run.take(Complete("b")) == {"completed": ["b"], "runnable": ["c"]}
        assert run.args["c"] == [5]

    def test_cancelled_and_skipped_steps_wait_again(self) -> None:
        run = Run(task("a"), task("b", "a"), step("wait", "w", wait_for=60))
        run.take(Cancel())
        assert run.tasks == {"a": "cancelled", "b": "skipped", "w": "cancelled"}
        assert run.take(Retry()) == {"runnable": ["a"], "timers": [("w", 60)]}
        assert run.attempts == {"a": 2}

    def test_step_that_was_not_chosen_is_skipped_again(self) -> None:
        router = step("condition", "c", condition="true", if_true="t", if_false="f")
        run = Run(router, task("t", "c"), task("f", "c"))
        run.take(Fail("t", NO))
        assert run.take(Retry()) == {"runnable": ["t"], "skipped": ["f"]}
        assert run.take(Complete("t")) == {"completed": ["t"], "run": "completed"}

    def test_router_that_failed_chooses_again(self) -> None:
        guards = [{"variable": "{{memory.m}}", "check": "exists"}]
        router = step("condition", "c", condition="true", if_true="t", preconditions=guards)
        run = Run(router, task("t", "c"), task("a"))
        run.take(Complete("a", memory={"m": 1}))
        assert run.state.run.status is RunStatus.failed
        assert run.take(Retry()) == {"completed": ["c"], "runnable": ["t"]}

    def test_children_are_started_again(self) -> None:
        run = Run(step("child_workflow", "k", children={"x": {"workflow_name": "w"}}))
        run.take(EndChild("k", "x", "failed"))
        assert run.take(Retry()) == {"children": [("k", "x", "w", {})]}
        assert run.take(EndChild("k", "x", "completed")) == {"completed": ["k"], "run": "completed"}

    def test_join_is_decided_again(self) -> None:
        run = Run(task("a"), task("b"), step("join", "j", join_tasks=["a", "b"], join_mode="all_success"))
        run.take(Fail("a", NO), Complete("b"))
        assert run.take(Retry()) == {"runnable": ["a"]}
        assert run.take(Complete("a")) == {"completed": ["a", "j"], "run": "completed"}

    @pytest.mark.parametrize("ends", [[], [Complete("a")]])
    def test_only_failed_and_cancelled_runs_are_tried_again(self, ends: list[Action]) -> None:
        run = Run(task("a"))
        if ends:
            run.take(*ends)
        with pytest.raises(ActionRefused):
            run.take(Retry())

    def test_deadline_counts_from_there(self) -> None:
        run = Run(task("a"), deadline_seconds=60)
        run.take(Fail("a", NO))
        run.now += timedelta(hours=1)
        run.take(Retry())
        assert run.state.run.deadline_at == run.now + timedelta(seconds=60)

    def test_activity_whose_work_failed_is_submitted_again(self) -> None:
        activity = step("activity", "a", function="f", result_key="job")
        run = Run(activity, step("wait_for_event", "v", "a", event_name="{{job.completion_event}}"))
        run.take(Fail("a", NO))
        assert run.take(Retry()) == {
            "submitted": ["a"],
            "runnable": ["a"],
            "awaiting": [("v", "$activity:a", None)],
        }
        assert run.attempts == {"a": 2}
        assert run.take(Complete("a", 1))["completed"] == ["v"]


class TestContainers:
    def test_only_what_did_not_complete_in_branches(self) -> None:
        p = parallel("p", branches={"x": [task("a"), task("a2", "a")], "y": [task("b")]})
        run = Run(p, task("after", "p", args=["{{p}}"]))
        run.take(Fail("p.x.a", NO), Complete("p.y.b", 1))
        assert run.take(Retry()) == {"runnable": ["p.x.a"]}
        assert run.tasks["p"] == "running"
        assert run.take(Complete("p.x.a", 2)) == {"completed": ["p.x.a"], "runnable": ["p.x.a2"]}
        assert run.take(Complete("p.x.a2", 3)) == {"completed": ["p", "p.x.a2"], "runnable": ["after"]}
        assert run.args["after"] == [{"x": {"a": 2, "a2": 3}, "y": {"b": 1}}]

    def test_time_out_of_branches_counts_anew(self) -> None:
        run = Run(parallel("p", branches={"x": [task("a")]}, timeout=10))
        run.wait("p", 10)
        assert run.take(Retry()) == {"runnable": ["p.x.a"]}
        assert run.wait("p", 10) == {"cancelled": ["p.x.a"], "failed": ["p"], "run": "failed"}

    def test_parallel_that_never_began(self) -> None:
        run = Run(task("a"), parallel("p", "a", branches={"x": [task("b")]}))
        run.take(Fail("a", NO), Retry())
        assert run.take(Complete("a")) == {"completed": ["a"], "runnable": ["p.x.b"]}

    def test_branches_that_were_activated(self) -> None:
        run = Run(multi_choice("m", branches={"x": ["true", task("a")], "y": ["false", task("b")]}))
        run.take(Fail("m.x.a", NO))
        assert run.take(Retry()) == {"runnable": ["m.x.a"]}
        assert run.take(Complete("m.x.a")) == {"completed": ["m", "m.x.a"], "run": "completed"}

    def test_too_few_branches_are_counted_again(self) -> None:
        run = Run(multi_choice("m", branches={"x": ["{{memory.m}}", task("a")]}), task("b"))
        run.take(Complete("b", memory={"m": True}))
        assert run.take(Retry())["activated"] == [("m", ["x"])]

    def test_postcondition_that_failed_is_looked_at_again(self) -> None:
        guards = [{"variable": "{{memory.m}}", "check": "exists"}]
        run = Run(parallel("p", branches={"x": [task("a")]}, postconditions=guards), task("b"))
        run.take(Complete("p.x.a"), Complete("b", memory={"m": 1}))
        assert run.take(Retry()) == {"completed": ["p"], "run": "completed"}

    def test_fork(self) -> None:
        run = Run(*fork("f", branches={"x": [task("a")], "y": [task("b")]}))
        run.take(Fail("f.x.a", NO), Complete("f.y.b", 1))
        assert run.take(Retry()) == {"builtin_waiting": ["f_join"], "runnable": ["f.x.a"]}
        assert run.take(Complete("f.x.a")) == {"completed": ["f.x.a", "f_join"], "run": "completed"}

    def test_fork_whose_join_timed_out(self) -> None:
        run = Run(*fork("f", branches={"x": [task("a")]}, kwargs={"timeout_seconds": 5}))
        run.wait("f_join", 5)
        assert run.tasks == {"f": "completed", "f_join": "failed", "f.x.a": "cancelled"}
        assert run.take(Retry()) == {"builtin_waiting": ["f_join"], "runnable": ["f.x.a"]}
        assert run.wait("f_join", 5)["timed_out"] == ["f_join"]

    def test_fork_whose_branch_was_over_in_the_action_that_ended_the_run(self) -> None:
        steps = fork("f", branches={"x": [step("emit_event", "e", event_name="told")]})
        run = Run(*steps, step("terminate", "stop", "f", status="failed"))
        assert run.tasks == {"f": "completed", "f_join": "cancelled", "stop": "completed", "f.x.e": "completed"}
        assert run.take(Retry()) == {"completed": ["f_join"], "run": "completed"}


class TestLoops:
    def test_sequential_loop_goes_on_at_the_iteration_that_failed(self) -> None:
        run = Run(foreach("l", body=[task("t"), task("u", "t")], items="[1, 2, 3]", result_key="r"))
        run.take(Complete("l[0].t"), Complete("l[0].u", "x"), Complete("l[1].t"), Fail("l[1].u", NO))
        assert run.take(Retry()) == {"runnable": ["l[1].u"]}
        assert run.take(Complete("l[1].u", "y")) == {"completed": ["l[1].u"], "runnable": ["l[2].t"]}
        assert run.take(Complete("l[2].t"), Complete("l[2].u", "z"))["run"] == "completed"
        assert run.state.results["l"] == ["x", "y", "z"]

    def test_parallel_loop_repeats_the_iterations_that_failed(self) -> None:
        run = Run(foreach("l", body=[task("t")], items="[1, 2, 3]", parallel=True))
        run.take(Fail("l[0].t", NO), Complete("l[1].t", "y"), Fail("l[2].t", NO))
        assert run.take(Retry()) == {"runnable": ["l[0].t", "l[2].t"]}
        assert run.take(Complete("l[2].t", "z"), Complete("l[0].t", "x"))["run"] == "completed"
        assert run.state.results["l"] == ["x", "y", "z"]

    def test_loop_without_a_list_looks_again(self) -> None:
        run = Run(foreach("l", body=[task("t")], items="{{memory.list}}"), task("a"))
        run.take(Complete("a", memory={"list": [1]}))
        assert run.take(Retry()) == {"runnable": ["l[0].t"]}

    def test_while_goes_on_at_the_iteration_that_failed(self) -> None:
        run = Run(while_("l", body=[task("t")], condition="iteration < 2"))
        run.take(Complete("l[0].t"), Fail("l[1].t", NO))
        assert run.take(Retry()) == {"runnable": ["l[1].t"]}
        assert run.take(Complete("l[1].t")) == {"completed": ["l", "l[1].t"], "run": "completed"}

    def test_nested(self) -> None:
        p = parallel("p", branches={"x": [foreach("m", body=[task("t")])], "y": [task("b")]})
        run = Run(foreach("l", body=[p], items="[1]"))
        run.take(Complete("l[0].p.x.m[0].t"), Complete("l[0].p.y.b"), Fail("l[0].p.x.m[1].t", NO))
        assert run.take(Retry()) == {"runnable": ["l[0].p.x.m[1].t"]}
        done = run.take(Complete("l[0].p.x.m[1].t"))
        assert done == {"completed": ["l", "l[0].p", "l[0].p.x.m", "l[0].p.x.m[1].t"], "run": "completed"}


class TestHandlers:
    STEPS = (
        task("a", on_success_task_id="s", on_failure_task_id="h"),
        task("s"),
        task("h", args=["{{failed_task_id}}"]),
    )

    def test_they_wait_to_be_called(self) -> None:
        run = Run(*self.STEPS)
        run.take(Fail("a", NO), Fail("h", NO))
        assert run.take(Retry()) == {"runnable": ["a"]}
        assert run.take(Complete("a")) == {"completed": ["a"], "runnable": ["s"], "skipped": ["h"]}
        assert run.take(Complete("s")) == {"completed": ["s"], "run": "completed"}

    def test_failed_one_is_called_again_with_its_next_attempt(self) -> None:
        run = Run(*self.STEPS)
        run.take(Fail("a", NO), Fail("h", NO), Retry())
        assert run.take(Fail("a", NO)) == {"failed": ["a"], "runnable": ["h"], "skipped": ["s"]}
        assert run.attempts == {"a": 2, "h": 2}

    def test_completed_one_is_called_again_as_another_step(self) -> None:
        run = Run(*self.STEPS)
        run.take(Fail("a", NO), Complete("h"), Retry())
        assert run.take(Fail("a", NO)) == {"failed": ["a"], "runnable": ["h#2"], "skipped": ["s"]}

    def test_failed_handler_of_a_success_starts_again(self) -> None:
        run = Run(*self.STEPS)
        run.take(Complete("a"), Fail("s", NO))
        assert run.take(Retry()) == {"runnable": ["s"], "skipped": ["h"]}
        assert run.take(Complete("s")) == {"completed": ["s"], "run": "completed"}

    def test_handler_in_a_nested_scope(self) -> None:
        loop = foreach("l", body=[task("a", on_failure_task_id="h")], items="[1]")
        run = Run(loop, task("h"))
        run.take(Fail("l[0].a", NO), Fail("l[0].h", NO))
        assert run.take(Retry()) == {"runnable": ["l[0].a"]}
        done = run.take(Complete("l[0].a"))
        assert done == {"completed": ["l", "l[0].a"], "skipped": ["h", "l[0].h"], "run": "completed"}

    def test_one_that_was_called_twice_is_skipped_where_nobody_calls_it_again(self) -> None:
        owners = [task(name, on_failure_task_id="h") for name in ("a", "b")]
        run = Run(*owners, task("h"))
        run.take(Fail("a", NO), Fail("b", NO), Fail("h", NO), Fail("h#2", NO), Retry(), Fail("a", NO))
        assert run.take(Complete("b")) == {"completed": ["b"], "skipped": ["h#2"]}
        assert run.take(Complete("h")) == {"completed": ["h"], "run": "failed"}
