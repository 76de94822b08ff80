"""States of which only parts are known."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.highway.compiler.compilation import compile_document
from app.domain.highway.compiler.plan import Plan
from app.domain.highway.engine.actions import Action, Complete, Start
from app.domain.highway.engine.advance import act
from app.domain.highway.engine.state import Part, RunFacts, State, merge
from tests.definitions import task
from tests.domain.highway.generated_workflows import Generator, seeded
from tests.domain.highway.partial_states import Loading
from tests.domain.highway.played_runs import BEGAN, INPUTS, Played
from tests.domain.highway.scripts import Step, compiled, foreach, parallel


class TestPartialStates:
    @given(seed=st.integers(0, 2**32))
    @settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
    def test_they_lead_to_the_same_as_whole_ones(self, seed: int) -> None:
        found = compile_document(Generator(seeded(seed)).document())
        if found.errors:
            return
        played = Played(found.plan, seeded(seed))
        known = State(played.state.run, is_whole=False)
        loading = Loading(found.plan)
        for action, outcome in played.play():
            assert loading.act(played.state, action, played.now) == outcome
            again = loading.act(played.state, action, played.now, known)
            assert again == outcome
            merge(known, again.changes)


def _asked_for(plan: Plan, *actions: Action) -> list[tuple[Part, str]]:
    """Return what the last of some actions asks for."""
    whole = State(RunFacts(INPUTS, {}, started_at=BEGAN))
    for action in (Start(), *actions[:-1]):
        merge(whole, act(plan, whole, action, BEGAN).changes)
    loading = Loading(plan)
    loading.act(whole, actions[-1], BEGAN)
    return loading.asked


def _scopes(asked: list[tuple[Part, str]]) -> set[str]:
    return {key for part, key in asked if part is Part.scope}


class TestWhatIsAskedFor:
    @pytest.mark.parametrize(
        ("body", "path"),
        [
            ([task("a", result_key="r"), task("b", "a", args=["{{r}}", "{{item}}"])], "a"),
            ([parallel("p", branches={"x": [task("a"), task("b", "a")], "y": [task("c")]})], "p.x.a"),
            ([foreach("m", body=[task("a"), task("b", "a")], parallel=True)], "m[1].a"),
        ],
    )
    def test_iteration_asks_for_its_own_scope(self, body: list[Step], path: str) -> None:
        loop = foreach("l", body=body, items="range(5)", parallel=True)
        asked = _asked_for(compiled(loop).plan, Complete(f"l[3].{path}"))
        assert _scopes(asked) == {f"l[3].{path}".rpartition(".")[0]}

    def test_end_of_an_iteration_asks_for_the_loop_alone(self) -> None:
        loop = foreach("l", body=[task("a")], items="range(5)", parallel=True)
        asked = _asked_for(compiled(loop, task("after", "l")).plan, Complete("l[3].a"))
        assert _scopes(asked) == {"l[3]", ""}
        assert Part.values not in {part for part, _ in asked}

    def test_branch_asks_for_its_own_scope(self) -> None:
        p = parallel("p", branches={name: [task("a"), task("b", "a")] for name in "xyz"})
        asked = _asked_for(compiled(p, task("after", "p")).plan, Complete("p.y.a"))
        assert _scopes(asked) == {"p.y"}

    def test_end_of_a_branch_asks_for_its_container_alone(self) -> None:
        p = parallel("p", branches={name: [task("a")] for name in "xyz"})
        asked = _asked_for(compiled(p, task("after", "p")).plan, Complete("p.y.a"))
        assert _scopes(asked) == {"p.y", ""}


class TestPlans:
    @given(seed=st.integers(0, 2**32))
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    def test_execution_leaves_them_as_they_are(self, seed: int) -> None:
        document: Any = Generator(seeded(seed)).document()
        found = compile_document(document)
        if found.errors:
            return
        before = repr(found.plan)
        for _ in Played(found.plan, seeded(seed)).play():
            pass
        assert repr(found.plan) == before

    @given(seed=st.integers(0, 2**32))
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    def test_action_leaves_the_state_as_it_is(self, seed: int) -> None:
        found = compile_document(Generator(seeded(seed)).document())
        if found.errors:
            return
        played = Played(found.plan, seeded(seed))
        before = repr(played.state)
        for _ in played.play():
            assert repr(played.state) == before
            break
