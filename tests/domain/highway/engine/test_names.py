"""What templates find."""

from typing import Any

import pytest

from app.domain.highway.simulation import simulate
from tests.definitions import task
from tests.domain.highway.scripts import (
    START,
    Step,
    compiled,
    complete,
    fail,
    foreach,
    parallel,
    play,
    step,
)


def _seen(value: Any, *, script: list[Step] | None = None, inputs: Any = None, **members: Any) -> Any:
    """Return what `value` becomes in a step after `a`, whose result key is `r`."""
    steps = (task("a", result_key="r"), task("t", "a", args=[value]))
    trace = play(*steps, script=script or [complete("a", {"x": 5})], inputs=inputs, **members)
    return trace.offers["t"]["args"][0]


class TestOrder:
    def test_result_key_comes_before_task_id(self) -> None:
        steps = (task("a", result_key="b"), task("b", "a"), task("t", "b", args=["{{b}}"]))
        assert play(*steps, script=[complete("a", 1), complete("b", 2)]).offers["t"]["args"] == [1]

    def test_task_id_comes_before_variables_and_inputs(self) -> None:
        assert _seen("{{a.x}}", variables={"a": {"x": 1}}, inputs={"a": {"x": 2}}) == 5

    def test_variables_come_before_inputs(self) -> None:
        assert _seen("{{v}}", variables={"v": 1}, inputs={"v": 2}) == 1
        assert _seen("{{i}}", inputs={"i": 2}) == 2

    def test_loop_variables_come_first(self) -> None:
        body = [task("item"), task("t", "item", args=["{{item}}"])]
        trace = play(foreach("l", body=body, items="[7]"), script=[complete("l[0].item", 1)])
        assert trace.offers["l[0].t"]["args"] == [7]

    def test_last_result_under_a_key_counts(self) -> None:
        steps = (task("a", result_key="r"), task("b", "a", result_key="r"), task("t", "b", args=["{{r}}"]))
        assert play(*steps, script=[complete("a", 1), complete("b", 2)]).offers["t"]["args"] == [2]


class TestNamespaces:
    @pytest.mark.parametrize(
        ("value", "seen"),
        [
            ("{{results.r.x}}", 5),
            ("{{results.a.x}}", 5),
            ("{{a.output.x}}", 5),
            ("{{a.result.x}}", 5),
            ("{{variables.v}}", 1),
            ("{{inputs.i}}", 2),
            ("{{run.id}}", "run-1"),
            ("{{run.run_date}}", "2025-01-15"),
            ("{{workflow.id}}", "run-1"),
            ("{{workflow.name}}", "linear"),
            ("{{workflow.version}}", "1.0.0"),
            ("{{ds}}", "2025-01-15"),
            ("{{memory.m}}", 3),
        ],
    )
    def test_namespace(self, value: str, seen: Any) -> None:
        script = [complete("a", {"x": 5}, memory={"m": 3})]
        assert _seen(value, script=script, variables={"v": 1}, inputs={"i": 2}) == seen

    @pytest.mark.parametrize("value", ["{{ENV}}", "{{ENV.HOME}}", "{{secrets.key}}", "{{memory.n}}", "{{run.nope}}"])
    def test_denied_and_unknown_names_stay(self, value: str) -> None:
        assert _seen(value, inputs={"ENV": {"HOME": 1}, "secrets": {"key": 1}}) == value

    def test_run_is_a_free_object(self) -> None:
        plan = compiled(task("t", args=["{{run.owner}}", "{{workflow.owner}}", "{{data_interval_start}}"])).plan
        facts = {"owner": "x", "data_interval_start": "2025-01-01T00:00:00Z"}
        played = simulate(plan, [START], run=facts)
        assert played["steps"][0]["then"]["runnable"][0]["args"] == ["x", "x", "2025-01-01T00:00:00Z"]

    def test_output_of_a_task_whose_key_is_its_name(self) -> None:
        steps = (task("a", result_key="a"), task("t", "a", args=["{{a.output.x}}", "{{a.x}}"]))
        assert play(*steps, script=[complete("a", {"x": 5})]).offers["t"]["args"] == [5, 5]

    def test_own_member_called_result_comes_first(self) -> None:
        assert _seen("{{a.result}}", script=[complete("a", {"result": 1})]) == 1

    def test_payload_of_an_event(self) -> None:
        steps = (
            step("emit_event", "e", event_name="go", payload={"n": 1}),
            step("wait_for_event", "v", "e", event_name="go", result_key="got"),
            task("t", "v", args=["{{v.payload.n}}", "{{got.event}}", "{{e}}"]),
        )
        assert play(*steps).offers["t"]["args"] == [1, "go", {"event": "go"}]

    def test_memory_is_merged(self) -> None:
        steps = (task("a"), task("b", "a"), task("t", "b", args=["{{memory.x}}", "{{memory.y}}"]))
        script = [complete("a", memory={"x": 1, "y": 1}), complete("b", memory={"y": 2})]
        assert play(*steps, script=script).offers["t"]["args"] == [1, 2]


class TestUnresolved:
    def test_text_stays_and_is_told(self) -> None:
        trace = play(task("t", args=["a {{ nope.x }} b"], kwargs={"k": "{{zip}}"}, idempotency_key="{{key}}"))
        assert trace.offers["t"]["args"] == ["a {{ nope.x }} b"]
        assert trace.then()["unresolved"] == ["key", "nope.x", "zip"]

    def test_null_is_a_value(self) -> None:
        trace = play(task("a"), task("t", "a", args=["{{a}}", "x{{a}}"]), script=[complete("a", None)])
        assert trace.offers["t"]["args"] == [None, "xnull"]
        assert trace.unresolved == []

    def test_unknowns_in_conditions_guards_and_items_are_not_told(self) -> None:
        trace = play(
            step("condition", "c", condition="{{nope}} == 1"),
            task("g", preconditions=[{"variable": "{{nope}}", "check": "exists"}]),
            foreach("l", body=[task("t")], items="{{nope}}"),
        )
        assert trace.then() == {"completed": ["c"], "failed": ["g", "l"], "run": "failed"}

    def test_what_a_value_contains_is_not_resolved(self) -> None:
        assert _seen("{{r}}", script=[complete("a", "{{ds}}")]) == "{{ds}}"

    def test_function_is_no_template(self) -> None:
        assert play(task("t", function="{{ds}}")).offers["t"]["function"] == "{{ds}}"


class TestStrict:
    @pytest.mark.parametrize(
        "strict",
        [
            task("t", args=["{{nope}}"], retry_policy={"max_retries": 3}),
            task("t", idempotency_key="{{nope}}"),
            step("emit_event", "t", event_name="e", payload={"x": "{{nope}}"}),
            step("wait_for_event", "t", event_name="e_{{nope}}"),
            step("switch", "t", switch_on="{{nope}}", cases={}),
            step("child_workflow", "t", children={"x": {"workflow_name": "w", "inputs": {"i": "{{nope}}"}}}),
            step("terminate", "t", result={"x": "{{nope}}"}),
        ],
    )
    def test_name_without_a_value_fails_the_step_for_good(self, strict: Step) -> None:
        played = simulate(compiled(strict).plan, [START], strict_templates=True)
        assert played["steps"][0]["then"] == {"failed": ["t"], "unresolved": ["nope"], "run": "failed"}


class TestHandlers:
    def test_steps_inside_of_a_handler_are_told_of_the_failure(self) -> None:
        body = [task("t", args=["{{failed_task_id}}", "{{error_message}}"])]
        handler = parallel("h", branches={"x": [foreach("l", body=body, items="[1]")]})
        trace = play(task("a", on_failure_task_id="h"), handler, script=[fail("a", {"message": "no"})])
        assert trace.offers["h.x.l[0].t"]["args"] == ["a", "no"]
