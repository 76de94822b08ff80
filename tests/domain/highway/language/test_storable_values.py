"""What templates make and nothing can hold fails the step that makes it."""

from typing import Any

import pytest

from app.domain.highway.compiler.checks import PATH_BYTES_MOST
from app.domain.highway.simulation import ScriptRefused
from tests.definitions import task
from tests.domain.highway.scripts import (
    Step,
    Trace,
    advance,
    child,
    complete,
    errors_of,
    foreach,
    parallel,
    play,
    step,
    while_,
)

NAMES: list[Any] = ["", "  ", "n" * 256, "n" * 20_000, "$activity:" + "n" * 2000, ["n" * 300]]


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


def emit(**members: Any) -> Step:
    return step("emit_event", "e", **members)


def fails(trace: Trace, path: str) -> bool:
    return trace.tasks[path] == "failed" and trace.status == "failed"


class TestNamesOfEvents:
    @pytest.mark.parametrize("name", NAMES, ids=[str(place) for place in range(len(NAMES))])
    @pytest.mark.parametrize("operator", ["emit_event", "wait_for_event"])
    def test_name_that_no_event_can_have_fails_the_step(self, operator: str, name: Any) -> None:
        trace = play(step(operator, "e", event_name="{{name}}"), inputs={"name": name})
        assert fails(trace, "e")
        assert trace.then().get("emitted") is None

    def test_longest_name_is_emitted(self) -> None:
        trace = play(emit(event_name="{{name}}"), inputs={"name": "n" * 255})
        assert trace.status == "completed"

    def test_failure_is_followed_like_any_other(self) -> None:
        undo = task("undo", args=["{{error_message}}"])
        trace = play(emit(event_name="{{name}}", on_failure_task_id="undo"), undo, inputs={"name": "n" * 256})
        assert "256 characters" in trace.offers["undo"]["args"][0]


class TestValues:
    @pytest.mark.parametrize(
        "last",
        [
            task("t", args=["{{deep}}"]),
            task("t", kwargs={"a": {"b": "{{deep}}"}}),
            step("emit_event", "t", event_name="e", payload={"a": "{{deep}}"}),
            step("terminate", "t", result={"a": "{{deep}}"}),
        ],
        ids=lambda last: last["operator_type"],
    )
    def test_value_nested_too_deep_fails_the_step_that_makes_it(self, last: Step) -> None:
        assert fails(play(last, inputs={"deep": nested(64)}), "t")
        assert play(last, inputs={"deep": nested(60)}).tasks["t"] != "failed"

    def test_loop_that_nests_deeper_each_time_ends(self) -> None:
        body = [
            step("emit_event", "e", event_name="n{{iteration}}", payload={"a": "{{w.payload}}"}),
            step("wait_for_event", "w", "e", event_name="n{{iteration}}"),
        ]
        trace = play(while_("l", body=body, condition="{{iteration}} < 300"))
        assert fails(trace, "l")

    def test_child_that_came_to_something_too_deep_has_failed(self) -> None:
        parent = step("child_workflow", "c", children={"one": {"workflow_name": "other"}})
        trace = play(parent, script=[child("c", "one", result={"a": nested(64)})])
        assert fails(trace, "c")

    def test_results_of_branches_and_iterations_are_kept_as_deep_as_they_are(self) -> None:
        loop = foreach("l", body=[parallel("p", branches={"x": [task("t")]})], items="[1]")
        trace = play(loop, script=[complete("l[0].p.x.t", nested(64))])
        assert trace.status == "completed"


class TestTimes:
    @pytest.mark.parametrize("seconds", [1e300, 10**400, -1e300], ids=["huge", "of 400 digits", "negative"])
    def test_time_out_of_branches_may_be_any_number(self, seconds: float) -> None:
        join = task("j", "p", kwargs={"timeout_seconds": "{{seconds}}"}, args=["{{p_data}}"])
        join["function"] = "tools.workflow.wait_for_parallel_branches"
        fork = parallel("p", branches={"x": [task("t")]}, result_key="p_data")
        trace = play(fork, join, script=[advance(1)], inputs={"seconds": seconds})
        assert trace.tasks["j"] == ("running" if seconds > 0 else "failed")

    def test_simulated_time_does_not_pass_the_end_of_the_calendar(self) -> None:
        century = 36_525 * 86_400
        with pytest.raises(ScriptRefused, match="the calendar ends") as refused:
            play(step("wait", "w", wait_for=century), script=[advance(century)] * 90)
        assert refused.value.place == 80


class TestPaths:
    def test_bytes_of_a_path_are_limited_not_its_characters(self) -> None:
        name = "é" * 190
        inner = parallel("p", branches={name: [parallel(name, branches={name: [task("t")]})]})
        assert len(f"p.{name}.{name}.{name}.t") < PATH_BYTES_MOST
        assert errors_of(inner) == [("bad_name", "/tasks")]
