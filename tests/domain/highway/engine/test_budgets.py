"""Budgets of actions and simulations: what is dear fails its step, or refuses the script, and is over soon."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from app.domain.highway.compiler.compilation import compile_document
from app.domain.highway.engine.actions import Complete, Outcome, Start
from app.domain.highway.engine.advance import act
from app.domain.highway.engine.state import RunFacts, State, merge
from app.domain.highway.language.budgets import (
    Budget,
    BudgetSpentError,
    make_action_budget,
    make_inline_budget,
    spending,
)
from app.domain.highway.language.conditions import equals, evaluate
from app.domain.highway.language.templates import resolve
from app.domain.highway.simulation import ScriptRefused, simulate
from milepost.schemas.steps import StepStatus
from tests.definitions import task, workflow
from tests.domain.highway.scripts import Step, foreach, step, while_

NOW = datetime(2025, 1, 15, tzinfo=UTC)
SMALL = Budget(steps=1 << 40, elements=1000, characters=10_000, is_patient=True, fails_steps=True)
MANY = list(range(5000))
GUARD = {"variable": "a", "check": "equals", "value": "{{b}}"}


def small() -> Budget:
    return replace(SMALL)


def started(*steps: Step, inputs: Any, budget: Budget) -> tuple[State, Outcome]:
    state = State(RunFacts(inputs=inputs))
    outcome = act(compile_document(workflow(*steps)).plan, state, Start(), NOW, budget=budget)
    merge(state, outcome.changes)
    return state, outcome


class Values:
    def __init__(self, **values: Any) -> None:
        self.values = values

    def find(self, path: Any) -> tuple[Any, int] | None:
        return (self.values[path[0]], 1) if path[0] in self.values else None


class TestSteps:
    @pytest.mark.parametrize(
        "dear",
        [
            step("condition", "dear", condition="{{a}} == {{b}}", if_true="after"),
            step("condition", "dear", condition="5001 in {{a}}", if_true="after"),
            step("switch", "dear", switch_on="{{text}}{{text}}", default="after"),
            step("emit_event", "dear", event_name="e", payload={"x": "{{text}}", "y": "{{text}}"}),
            task("dear", kwargs={"x": "{{text}}" * 2}),
            task("dear", kwargs={"x": ["{{range(900)}}", "{{range(901)}}"]}),
            task("dear", preconditions=[{"variable": "a", "check": "in_set", "value": ["{{a}}"]}] * 3),
            foreach("dear", items="{{a}}{{text}}", body=[task("x")]),
            while_("dear", condition="{{a}} == {{b}}", body=[task("x")]),
            step(
                "join",
                "dear",
                join_tasks=["first"],
                preconditions=[{"variable": "a", "check": "equals", "value": "{{b}}"}],
            ),
        ],
    )
    def test_step_that_spends_the_budget_fails_and_the_run_goes_on(self, dear: Step) -> None:
        target = [] if dear["operator_type"] in {"task", "emit_event", "foreach", "while", "join"} else [task("after")]
        first = step("emit_event", "first", event_name="first")
        inputs = {"a": MANY, "b": list(MANY), "text": "x" * 6000}
        state, outcome = started(first, dear, task("other"), *target, inputs=inputs, budget=small())
        assert state.steps["dear"].status is StepStatus.failed
        assert state.steps["dear"].error["name"] == "BudgetExceeded"
        assert state.steps["other"].status is StepStatus.runnable
        assert "dear" in outcome.effects.failed

    def test_dear_postcondition_fails_the_step_without_another_attempt(self) -> None:
        guard = {"variable": "{{result}}", "check": "equals", "value": "{{b}}"}
        dear = task("dear", postconditions=[guard], retry_policy={"max_retries": 3, "delay": 1})
        state, _ = started(dear, inputs={"b": MANY}, budget=small())
        plan = compile_document(workflow(dear)).plan
        outcome = act(plan, state, Complete("dear", list(MANY)), NOW, budget=small())
        assert outcome.effects.failed == ["dear"]
        assert not outcome.effects.retry_in

    def test_action_without_a_step_to_fail_is_not_done_at_all(self) -> None:
        with pytest.raises(BudgetSpentError):
            started(task("t", kwargs={"x": "{{a}}"}), inputs={"a": "x" * 1_000_000}, budget=make_inline_budget())

    def test_short_action_is_within_what_the_event_loop_gives(self) -> None:
        steps = [task(f"t{i}", kwargs={"x": "{{a}}"}) for i in range(50)]
        state, _ = started(*steps, inputs={"a": "x"}, budget=make_inline_budget())
        assert {found.status for found in state.steps.values()} == {StepStatus.runnable}

    def test_time_that_is_over_ends_the_step(self) -> None:
        dear = step("condition", "dear", condition="{{a}} == {{b}}")
        state, _ = started(dear, inputs={"a": MANY, "b": list(MANY)}, budget=make_action_budget(lambda: True))
        assert state.steps["dear"].error["name"] == "BudgetExceeded"

    def test_49_000_items_are_within_the_budget(self) -> None:
        loop = foreach("l", items="{{a}}", body=[task("x", kwargs={"of": "{{item}}"})], parallel=True)
        state, _ = started(loop, inputs={"a": list(range(49_000))}, budget=make_action_budget(lambda: False))
        assert state.steps["l"].status is StepStatus.running
        assert len(state.steps) == 49_001


class TestSimulations:
    def test_script_that_spends_the_budget_is_refused_at_its_step(self) -> None:
        plan = compile_document(workflow(task("t"), task("u", "t", kwargs={"x": "{{t}}{{t}}"}))).plan
        script = [{"do": "start"}, {"do": "complete", "task": "t", "result": "x" * 20_000}]
        with pytest.raises(ScriptRefused) as refused:
            simulate(plan, script, budget=Budget(1000, 1000, 30_000))
        assert refused.value.place == 1

    def test_steps_are_counted(self) -> None:
        plan = compile_document(
            workflow(while_("w", condition="true", body=[step("emit_event", "e", event_name="e")]))
        ).plan
        with pytest.raises(ScriptRefused):
            simulate(plan, [{"do": "start"}], budget=Budget(500, 1 << 40, 1 << 40))

    def test_values_that_double_each_time_are_refused_before_they_are_large(self) -> None:
        steps = [step("emit_event", "e0", event_name="n0", payload="x")]
        for i in range(60):
            steps.append(step("wait_for_event", f"w{i}", f"e{i}", event_name=f"n{i}"))
            payload = dict.fromkeys("ab", "{{w" + str(i) + "}}")
            steps.append(step("emit_event", f"e{i + 1}", f"w{i}", event_name=f"n{i + 1}", payload=payload))
        plan = compile_document(workflow(*steps)).plan
        with pytest.raises(ScriptRefused, match="characters"):
            simulate(plan, [{"do": "start"}], budget=Budget(100_000, 100_000, 1_000_000))


class TestWork:
    @pytest.mark.parametrize(
        "work",
        [
            lambda: equals([[i] for i in MANY], [[i] for i in MANY]),
            lambda: equals({str(i): i for i in MANY}, {str(i): i for i in MANY}),
            lambda: evaluate("{{a}} contains 5001", Values(a=MANY)),
            lambda: evaluate("{{a}} contains 5001", Values(a=str(MANY) * 10)),
            lambda: evaluate("x " + "or x " * 2000, Values(x=False)),
            lambda: resolve("{{a}}", Values(a={"deep": MANY})),
            lambda: resolve(["{{a}}"] * 100, Values(a="x" * 200)),
            lambda: resolve("y" * 20_000, Values()),
            lambda: resolve("{{range(100000)}}", Values()),
            lambda: resolve("{{a.x}}", Values(a='{"x": "' + "y" * 100_000 + '"}')),
        ],
    )
    def test_it_is_counted(self, work: Any) -> None:
        with spending(Budget(1000, 1000, 10_000)), pytest.raises(BudgetSpentError):
            work()

    def test_value_nested_without_end_is_refused(self) -> None:
        value: Any = "x"
        for _ in range(5000):
            value = [value]
        with pytest.raises(BudgetSpentError, match="nested"):
            resolve("<{{v}}>", Values(v=value))
