"""Waits, events and child workflows."""

from typing import Any

import pytest

from tests.definitions import task, workflow
from tests.domain.highway.scripts import (
    START,
    Step,
    advance,
    child,
    complete,
    emit,
    foreach,
    play,
    play_document,
    step,
)


class TestWait:
    @pytest.mark.parametrize(
        ("wait_for", "seconds"),
        [
            ("PT1.5H", 5400),
            ("P1DT1S", 86401),
            (90, 90),
            ("90", 90),
            (0.5, 0.5),
            ("duration:90", 90),
            ("duration:2m", 120),
            ("time:02:00:30", 30),
            ("time:02:00", 86400),
            ("time:01:00", 82800),
            ("2025-01-15T03:00:00", 3600),
            ("2025-01-15T03:00:00+01:00", None),
            ("2025-01-01", None),
            ("PT0S", None),
            ("{{delay}}", 7),
            ("PT{{delay}}S", 7),
        ],
    )
    def test_value(self, wait_for: Any, seconds: float | None) -> None:
        trace = play(step("wait", "w", wait_for=wait_for), inputs={"delay": 7})
        if seconds is None:
            assert trace.then() == {"completed": ["w"], "run": "completed"}
        else:
            assert trace.then() == {"timers": [("w", seconds)]}

    def test_it_completes_when_its_time_has_come(self) -> None:
        steps = (step("wait", "w", wait_for=10), task("t", "w", args=["{{w}}"]))
        trace = play(*steps, script=[advance(9), advance(1)])
        assert trace.then(1) == {}
        assert trace.then(2) == {"completed": ["w"], "runnable": ["t"]}
        assert trace.offers["t"]["args"] == [None]

    def test_value_that_is_none_fails(self) -> None:
        trace = play(step("wait", "w", wait_for="{{delay}}"), inputs={"delay": "soon"})
        assert trace.then() == {"failed": ["w"], "run": "failed"}

    def test_several_in_one_advance_come_in_their_order(self) -> None:
        steps = (step("wait", "w", wait_for=5), step("wait", "x", "w", wait_for=5), step("wait", "y", wait_for=7))
        trace = play(*steps, script=[advance(10)])
        assert trace.steps[1]["then"]["completed"] == ["w", "y", "x"]


class TestEvents:
    WAIT = step("wait_for_event", "v", event_name="go_{{ds}}", result_key="got")

    def test_wait_completes_with_the_event(self) -> None:
        steps = (self.WAIT, task("t", "v", args=["{{got}}", "{{v.payload.n}}"]))
        trace = play(*steps, script=[emit("other"), emit("go_2025-01-15", {"n": 1})])
        assert trace.then(0) == {"awaiting": [("v", "go_2025-01-15", None)]}
        assert trace.then(1) == {"emitted": [("other", None)]}
        assert trace.then(2) == {"emitted": [("go_2025-01-15", {"n": 1})], "completed": ["v"], "runnable": ["t"]}
        assert trace.offers["t"]["args"] == [{"event": "go_2025-01-15", "payload": {"n": 1}}, 1]

    def test_event_that_was_emitted_before_completes_it_at_once(self) -> None:
        steps = (task("a"), {**self.WAIT, "dependencies": ["a"]})
        trace = play(*steps, script=[emit("go_2025-01-15"), complete("a")])
        assert trace.then() == {"completed": ["a", "v"], "run": "completed"}

    def test_first_payload_stays(self) -> None:
        steps = (task("a"), {**self.WAIT, "dependencies": ["a"]}, task("t", "v", args=["{{got.payload}}"]))
        trace = play(*steps, script=[emit("go_2025-01-15", 1), emit("go_2025-01-15", 2), complete("a")])
        assert trace.then(2) == {"emitted": [("go_2025-01-15", 2)]}
        assert trace.offers["t"]["args"] == [1]

    def test_time_out_fails_it(self) -> None:
        steps = ({**self.WAIT, "timeout_seconds": 30, "on_failure_task_id": "h"}, task("t", "v"), task("h"))
        trace = play(*steps, script=[advance(30)])
        assert trace.then(0) == {"awaiting": [("v", "go_2025-01-15", 30)]}
        assert trace.then(1) == {"failed": ["v"], "upstream_failed": ["t"], "runnable": ["h"]}

    def test_time_out_ends_with_the_wait(self) -> None:
        steps = ({**self.WAIT, "timeout_seconds": 30}, task("t", "v"))
        assert play(*steps, script=[emit("go_2025-01-15"), advance(60)]).then() == {}

    def test_emit_wakes_waits_of_the_run(self) -> None:
        sender = step("emit_event", "e", "a", event_name="go_{{ds}}", payload={"n": "{{a}}"})
        trace = play(self.WAIT, task("a"), sender, script=[complete("a", 3)])
        assert trace.then() == {
            "completed": ["a", "e", "v"],
            "emitted": [("go_2025-01-15", {"n": 3})],
            "run": "completed",
        }

    def test_emit_without_payload(self) -> None:
        assert play(step("emit_event", "e", event_name="x")).then()["emitted"] == [("x", {})]

    def test_event_before_the_run_is_kept(self) -> None:
        trace = play_document(workflow(self.WAIT), [emit("go_2025-01-15", 1), START])
        assert trace.then(0) == {"emitted": [("go_2025-01-15", 1)]}
        assert trace.then(1) == {"completed": ["v"], "run": "completed"}

    def test_wait_may_accept_only_events_since_the_run_began(self) -> None:
        steps = ({**self.WAIT, "metadata": {"after": "run"}}, task("t", "v", args=["{{got.payload}}"]))
        trace = play_document(workflow(*steps), [emit("go_2025-01-15", 1), START, emit("go_2025-01-15", 2)])
        assert trace.then(1) == {"awaiting": [("v", "go_2025-01-15", None)]}
        assert trace.then(2)["completed"] == ["v"]
        assert trace.offers["t"]["args"] == [2]

    def test_such_a_wait_accepts_what_was_emitted_before_it_in_the_run(self) -> None:
        steps = (task("a"), {**self.WAIT, "dependencies": ["a"], "metadata": {"after": "run"}})
        trace = play(*steps, script=[emit("go_2025-01-15", 1), complete("a")])
        assert trace.then() == {"completed": ["a", "v"], "run": "completed"}

    def test_several_waits_complete_together(self) -> None:
        trace = play(foreach("l", body=[self.WAIT], parallel=True), script=[emit("go_2025-01-15")])
        assert trace.then()["completed"] == ["l", "l[0].v", "l[1].v"]


class TestChildren:
    STEP = step(
        "child_workflow",
        "k",
        children={
            "x": {"workflow_name": "one", "inputs": {"ds": "{{ds}}"}},
            "y": {"workflow_name": "two"},
        },
        result_key="r",
    )
    AFTER = task("t", "k", args=["{{r}}"], trigger_rule="all_done")

    def _results(self, *script: Step, **members: Any) -> Any:
        return play({**self.STEP, **members}, self.AFTER, script=script).offers["t"]["args"][0]

    def test_each_child_is_a_run(self) -> None:
        trace = play(self.STEP)
        assert trace.then() == {"children": [("k", "x", "one", {"ds": "2025-01-15"}), ("k", "y", "two", {})]}

    def test_it_completes_with_the_last_one(self) -> None:
        trace = play(self.STEP, script=[child("k", "y", result=2), child("k", "x", result=1)])
        assert trace.then(1) == {}
        assert trace.then(2) == {"completed": ["k"], "run": "completed"}

    def test_its_value_are_their_ends(self) -> None:
        assert self._results(child("k", "y", result=2), child("k", "x", result=1)) == {
            "x": {"status": "completed", "result": 1},
            "y": {"status": "completed", "result": 2},
        }

    def test_it_fails_when_all_have_ended_unless_all_completed(self) -> None:
        trace = play(self.STEP, script=[child("k", "x", "failed"), child("k", "y")])
        assert trace.then(1) == {}
        assert trace.then(2) == {"failed": ["k"], "run": "failed"}

    def test_it_has_a_value_also_when_failing(self) -> None:
        assert self._results(child("k", "x", "cancelled"), child("k", "y", result=2)) == {
            "x": {"status": "cancelled", "result": None},
            "y": {"status": "completed", "result": 2},
        }

    def test_time_out_fails_it(self) -> None:
        trace = play({**self.STEP, "timeout_seconds": 30}, script=[child("k", "x"), advance(30)])
        assert trace.then() == {"failed": ["k"], "run": "failed"}
        assert self._results(child("k", "x", result=1), advance(30), timeout_seconds=30) == {
            "x": {"status": "completed", "result": 1},
            "y": {"status": "cancelled", "result": None},
        }

    def test_without_children_it_completes_at_once(self) -> None:
        assert play(step("child_workflow", "k", children={})).then() == {"completed": ["k"], "run": "completed"}
