"""Loops that there is no room for in one action."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.highway.compiler.compilation import compile_document
from app.domain.highway.engine import iterations
from app.domain.highway.engine.actions import Cancel, Complete, Due, Fail, Retry, Start
from app.domain.highway.engine.advance import act
from app.domain.highway.engine.operators import foreach as foreach_operator
from app.domain.highway.engine.state import Frame, RunFacts, State, StepState, merge
from app.domain.highway.engine.turn import UNBOUNDED
from milepost.schemas.steps import StepStatus
from milepost.schemas.workflow_runs import RunStatus
from tests.definitions import task
from tests.domain.highway.generated_workflows import Generator, seeded
from tests.domain.highway.partial_states import Loading
from tests.domain.highway.played_runs import BEGAN, Played
from tests.domain.highway.scripts import Step, compiled, foreach, parallel, step, while_

EMIT = step("emit_event", "e", event_name="x")
ITEMS = "{{range(7)}}"
ITEMS_ASKED = (50_000, 50_001)


class Run:
    """A run whose actions have little room; it is only known as far as it is asked for."""

    def __init__(self, *steps: Step, room: int = 2) -> None:
        found = compiled(*steps)
        assert found.errors == []
        self.loading = Loading(found.plan)
        self.room = room
        self.whole = State(RunFacts({}, {}, started_at=BEGAN))
        self.begun: list[int] = []
        self.take(Start())

    def take(self, action: Any) -> None:
        outcome = self.loading.act(self.whole, action, BEGAN, room=self.room)
        self.begun.append(outcome.begun)
        merge(self.whole, outcome.changes)

    def turn(self) -> bool:
        """Let what is due go on once; whether anything was."""
        due = next((s for s in self.whole.steps.values() if s.due_at is not None), None)
        if due is not None:
            self.take(Due(due.path, due.scope))
        return due is not None

    def rest(self) -> None:
        """Let everything go on that is due."""
        while self.turn():
            pass

    def __getitem__(self, path: str) -> StepState:
        return self.whole.steps[path]

    @property
    def status(self) -> RunStatus:
        return self.whole.run.status

    def begun_iterations(self) -> int:
        return sum(path.startswith("l[") for path in self.whole.steps)


def _loop(**members: Any) -> Step:
    return foreach("l", body=[task("a", args=["{{item}}", "{{index}}"], result_key="r")], items=ITEMS, **members)


class TestTurns:
    @given(seed=st.integers(0, 2**32), room=st.integers(1, 4))
    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    def test_they_come_to_the_same_as_one_action(self, seed: int, room: int) -> None:
        found = compiled_document(seed)
        if found is None:
            return
        ends = []
        for of_action in (room, UNBOUNDED):
            played = Played(found, seeded(seed), is_steady=True, room=of_action)
            for _ in played.play():
                pass
            steps = played.state.steps
            ends.append(({path: s.status for path, s in steps.items()}, played.state.results, played.state.run.status))
        assert ends[0] == ends[1]

    def test_turn_that_is_not_due_any_more_changes_nothing(self) -> None:
        run = Run(_loop(parallel=True), room=UNBOUNDED)
        assert not run.turn()
        assert act(run.loading.plan, run.whole, Due("l", ""), BEGAN).changes.steps == {}

    def test_parallel_loop_begins_as_many_as_there_is_room_for(self) -> None:
        run = Run(_loop(parallel=True), room=3)
        assert run.begun_iterations() == 2
        assert run["l"].due_at == BEGAN
        run.turn()
        assert run.begun_iterations() == 5
        run.rest()
        assert run.begun_iterations() == 7
        assert run["l"].due_at is None
        assert max(run.begun) == 3

    def test_its_results_are_in_the_order_of_its_items(self) -> None:
        run = Run(_loop(parallel=True))
        run.rest()
        for index in reversed(range(7)):
            run.take(Complete(f"l[{index}].a", index * 10))
        assert run.whole.results["l"] == [0, 10, 20, 30, 40, 50, 60]
        assert run.status is RunStatus.completed

    @pytest.mark.parametrize("size", [1, 2, 100])
    def test_each_iteration_has_its_item(self, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
        monkeypatch.setattr(foreach_operator, "ITEMS_A_FRAME", size)
        run = Run(_loop(parallel=True))
        run.rest()
        items = [run.whole.frames[f"l[{index}]"].variables for index in range(7)]
        assert items == [{"item": index, "index": index} for index in range(7)]

    def test_those_that_have_begun_may_end_before_the_others_begin(self) -> None:
        run = Run(_loop(parallel=True))
        run.take(Complete("l[0].a", 0))
        assert run["l"].is_open
        run.rest()
        for index in range(1, 7):
            run.take(Complete(f"l[{index}].a", index))
        assert run.whole.results["l"] == list(range(7))

    def test_failure_of_one_does_not_keep_the_others_from_beginning(self) -> None:
        run = Run(_loop(parallel=True))
        run.take(Fail("l[0].a", "no"))
        assert run["l"].is_open
        run.rest()
        for index in range(1, 7):
            run.take(Complete(f"l[{index}].a", index))
        assert run["l"].status is StepStatus.failed
        assert run.status is RunStatus.failed

    @pytest.mark.parametrize("is_parallel", [True, False])
    def test_iterations_that_end_by_themselves_are_all_done(self, *, is_parallel: bool) -> None:
        run = Run(foreach("l", body=[EMIT], items=ITEMS, parallel=is_parallel))
        assert run.begun_iterations() < 7
        run.rest()
        assert run.whole.results["l"] == [{"event": "x"}] * 7
        assert run.status is RunStatus.completed
        assert max(run.begun) <= 2

    def test_while_loop_goes_on_in_turns(self) -> None:
        run = Run(while_("l", body=[EMIT], condition="iteration < 9"))
        assert run["l"].due_at == BEGAN
        run.rest()
        assert run.whole.results["l"] == {"iterations": 9}

    def test_loops_in_loops_share_the_room(self) -> None:
        inner = foreach("m", body=[EMIT], items=ITEMS, parallel=True)
        run = Run(foreach("l", body=[inner], items=ITEMS, parallel=True), room=5)
        run.rest()
        assert run.status is RunStatus.completed
        assert max(run.begun) <= 6
        assert len(run.whole.results["l"]) == 7


class TestBounds:
    def test_loops_in_loops_that_wait_for_nothing_come_to_an_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(iterations, "ITERATIONS_AT_ONCE", 30)
        inner = foreach("m", body=[EMIT], items=ITEMS)
        for room in (3, UNBOUNDED):
            run = Run(foreach("l", body=[inner], items=ITEMS), room=room)
            run.rest()
            assert run.status is RunStatus.failed
            assert run["l[4].m"].error["name"] == "TooManyIterations"

    def test_too_many_steps_at_once_fail_the_loop(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(foreach_operator, "STEPS_MOST", 7)
        run = Run(_loop(parallel=True))
        assert run.status is RunStatus.running
        monkeypatch.setattr(foreach_operator, "STEPS_MOST", 6)
        run = Run(_loop(parallel=True))
        assert run["l"].error["name"] == "TooManySteps"

    def test_fifty_thousand_items_may_have_a_body_of_several_steps(self) -> None:
        body = [task("a"), task("b", "a"), task("c", "b")]
        loops = {
            items: foreach("l", body=body, items=f"{{{{range({items})}}}}", parallel=True) for items in ITEMS_ASKED
        }
        assert Run(loops[50_000], room=9)["l"].status is StepStatus.running
        assert Run(loops[50_001], room=9)["l"].error["name"] == "TooManySteps"

    @pytest.mark.parametrize("room", [3, UNBOUNDED])
    def test_what_is_still_to_begin_counts(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        monkeypatch.setattr(foreach_operator, "STEPS_MOST", 20)
        inner = foreach("m", body=[EMIT], items=ITEMS, parallel=True)
        run = Run(foreach("l", body=[inner], items=ITEMS, parallel=True), room=room)
        run.rest()
        assert run.status is RunStatus.failed
        failed = [s.path for s in run.whole.steps.values() if s.error and s.error["name"] == "TooManySteps"]
        assert len(failed) == 6


class TestEnds:
    def test_cancelled_loop_begins_nothing_any_more(self) -> None:
        run = Run(_loop(parallel=True))
        run.take(Cancel())
        assert run["l"].status is StepStatus.cancelled
        assert run["l"].due_at is None
        assert run.begun_iterations() == 1

    def test_time_out_around_it_ends_it(self) -> None:
        run = Run(parallel("p", branches={"x": [_loop(parallel=True)]}, timeout=0))
        run.take(Due("p", ""))
        assert run["p.x.l"].status is StepStatus.cancelled
        assert run["p.x.l"].due_at is None

    def test_retry_opens_it_again_and_begins_the_rest(self) -> None:
        run = Run(_loop(parallel=True), room=2)
        run.turn()
        run.turn()
        run.take(Complete("l[1].a", 1))
        run.take(Fail("l[3].a", "no"))
        run.take(Cancel())
        assert run.begun_iterations() == 5
        run.take(Retry())
        run.rest()
        assert run.begun_iterations() == 7
        for index in (0, 2, 3, 4, 5, 6):
            run.take(Complete(f"l[{index}].a", index))
        assert run.whole.results["l"] == list(range(7))
        assert run.status is RunStatus.completed

    def test_retry_opens_iterations_in_turns(self) -> None:
        run = Run(_loop(parallel=True), room=2)
        run.rest()
        run.take(Cancel())
        run.take(Retry())
        assert run["l[1].a"].status is StepStatus.runnable
        assert run["l[2].a"].status is StepStatus.cancelled
        for index in range(2):
            run.take(Complete(f"l[{index}].a", index))
        assert run["l"].status is StepStatus.running
        run.rest()
        for index in range(2, 7):
            run.take(Complete(f"l[{index}].a", index))
        assert run.whole.results["l"] == list(range(7))

    def test_loop_of_which_all_frames_were_there_goes_on(self) -> None:
        run = Run(_loop(), room=UNBOUNDED)
        for index in range(1, 7):  # as earlier versions have left it
            variables = {"item": index, "index": index}
            run.whole.frames[f"l[{index}]"] = Frame(variables=variables)
        del run.whole.frames["l[..0]"]
        facts = {name: value for name, value in run["l"].facts.items() if name != "kept"}
        run.whole.put(replace(run["l"], facts=facts))
        for index in range(7):
            run.take(Complete(f"l[{index}].a", index))
        assert run.whole.results["l"] == list(range(7))


def compiled_document(seed: int) -> Any:
    """Return the plan of a generated definition; None if it is refused."""
    found = compile_document(Generator(seeded(seed), is_steady=True).document())
    return None if found.errors else found.plan
