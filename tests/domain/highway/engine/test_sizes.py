"""Results that are put together from others, and how large they may be."""

from typing import Any

import pytest

from app.domain.highway.engine import sizes
from app.domain.highway.engine.actions import Action, Complete, EndChild, Retry, Start
from app.domain.highway.engine.advance import act
from app.domain.highway.engine.sizes import size_of
from app.domain.highway.engine.state import NotLoaded, RunFacts, State, merge
from app.domain.highway.simulation import simulate
from milepost.schemas.workflow_runs import RunStatus
from tests.definitions import task
from tests.domain.highway.partial_states import Loading
from tests.domain.highway.played_runs import BEGAN
from tests.domain.highway.scripts import Step, compiled, foreach, fork, parallel, step

TEXT = "x" * 98
"""A hundred bytes of JSON."""


@pytest.fixture(autouse=True)
def _bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "RESULT_BYTES_MOST", 350)


class Run:
    """A run that is only known as far as it is asked for."""

    def __init__(self, *steps: Step) -> None:
        found = compiled(*steps)
        assert found.errors == []
        self.loading = Loading(found.plan)
        self.whole = State(RunFacts({}, {}, started_at=BEGAN))
        self.end: Any = None
        self.take(Start())

    def take(self, *actions: Action) -> None:
        for action in actions:
            outcome = self.loading.act(self.whole, action, BEGAN)
            merge(self.whole, outcome.changes)
            self.end = outcome.effects.run

    def error(self, path: str) -> Any:
        return (self.whole.steps[path].error or {}).get("name")


def _loop(*, is_parallel: bool) -> Step:
    return foreach("l", body=[task("a")], items="{{range(4)}}", parallel=is_parallel)


class TestBounds:
    def test_parallel_loop_fails_when_all_iterations_have_ended(self) -> None:
        run = Run(_loop(is_parallel=True))
        for index in range(4):
            assert run.error("l") is None
            run.take(Complete(f"l[{index}].a", TEXT))
        assert run.error("l") == "ResultTooLarge"
        assert "l" not in run.whole.results
        assert run.whole.run.status is RunStatus.failed

    def test_sequential_loop_fails_at_once(self) -> None:
        run = Run(foreach("l", body=[task("a")], items="{{range(9)}}"))
        for index in range(4):
            run.take(Complete(f"l[{index}].a", TEXT))
        assert run.error("l") == "ResultTooLarge"
        assert "l[4].a" not in run.whole.steps

    def test_loop_within_the_bound_completes(self) -> None:
        run = Run(_loop(is_parallel=True))
        run.take(*(Complete(f"l[{index}].a", "x" * 80) for index in range(4)))
        assert run.whole.run.status is RunStatus.completed

    def test_retried_loop_is_still_too_large(self) -> None:
        run = Run(_loop(is_parallel=True))
        run.take(*(Complete(f"l[{index}].a", TEXT) for index in range(4)), Retry())
        assert run.error("l") == "ResultTooLarge"

    def test_branches(self) -> None:
        run = Run(parallel("p", branches={"x": [task("a"), task("b")], "y": [task("c"), task("d")]}))
        run.take(*(Complete(f"p.{path}", TEXT) for path in ("x.a", "x.b", "y.c", "y.d")))
        assert run.error("p") == "ResultTooLarge"

    def test_branches_of_a_fork(self) -> None:
        run = Run(*fork("f", branches={"x": [task("a"), task("b"), task("c"), task("d")]}))
        run.take(*(Complete(f"f.x.{name}", TEXT) for name in "abcd"))
        assert run.error("f_join") == "ResultTooLarge"

    def test_containers_in_containers(self) -> None:
        inner = parallel("p", branches={"x": [task("a")], "y": [task("b")]})
        run = Run(foreach("l", body=[inner], items="{{range(2)}}", parallel=True))
        run.take(*(Complete(f"l[{i}].p.{path}", TEXT) for i in range(2) for path in ("x.a", "y.b")))
        assert run.error("l") == "ResultTooLarge"

    def test_children(self) -> None:
        children = {name: {"workflow_name": "w"} for name in "abcd"}
        run = Run(step("child_workflow", "k", children=children))
        run.take(*(EndChild("k", name, "completed", TEXT) for name in "abcd"))
        assert run.error("k") == "ResultTooLarge"
        assert size_of(run.whole.steps["k"].facts) < 700

    def test_result_of_the_run(self) -> None:
        run = Run(*(task(name, result_key=f"of_{name}") for name in "abcd"))
        run.take(*(Complete(name, TEXT) for name in "abcd"))
        assert run.whole.run.status is RunStatus.failed
        assert run.end.error["name"] == "ResultTooLarge"
        assert run.end.result is None

    def test_result_of_terminate(self) -> None:
        run = Run(step("terminate", "t", status="completed", result={"a": TEXT * 4}))
        assert run.error("t") == "ResultTooLarge"
        assert run.whole.run.status is RunStatus.failed

    def test_simulation_says_the_same(self) -> None:
        plan = compiled(_loop(is_parallel=False)).plan
        script = [{"do": "start"}, *({"do": "complete", "task": f"l[{i}].a", "result": TEXT} for i in range(4))]
        assert simulate(plan, script)["steps"][-1]["then"]["failed"] == ["l"]

    def test_nothing_is_read_of_what_is_too_large(self) -> None:
        run = Run(parallel("p", branches={"x": [task(name) for name in "abcd"]}))
        run.take(*(Complete(f"p.x.{name}", TEXT) for name in "abc"))
        state = State(run.whole.run, is_whole=False)
        for path in ("", "p.x"):
            state.learn_scope(path, [s for s in run.whole.steps.values() if s.scope == path])
        state.frames |= run.whole.frames
        try:
            outcome = act(run.loading.plan, state, Complete("p.x.d", TEXT), BEGAN)
        except NotLoaded as want:
            raise AssertionError(want) from want
        assert outcome.changes.steps["p"].error["name"] == "ResultTooLarge"
