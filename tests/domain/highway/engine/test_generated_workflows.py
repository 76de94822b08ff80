"""What holds of all workflows and all that can happen to their runs."""

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.domain.highway.compiler.compilation import compile_document
from app.domain.highway.compiler.plan import Plan
from app.domain.highway.document.checks import check_form
from app.domain.highway.engine.actions import Retry
from app.domain.highway.engine.advance import act
from app.domain.highway.engine.state import merge
from milepost.schemas.steps import StepStatus
from milepost.schemas.workflow_runs import RunStatus
from tests.domain.highway.generated_workflows import Generator, seeded
from tests.domain.highway.played_runs import Played

SEEDS = st.integers(0, 2**32)
SETTINGS = settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))


def _plan(seed: int, *, is_steady: bool = False) -> Plan | None:
    document = Generator(seeded(seed), is_steady=is_steady).document()
    assert check_form(document) == []
    found = compile_document(document)
    return None if found.errors else found.plan


def _play(plan: Plan, seed: int, *, is_steady: bool = False) -> Played:
    played = Played(plan, seeded(seed), is_steady=is_steady)
    for _ in played.play():
        pass
    return played


class TestRuns:
    @given(seed=SEEDS)
    @SETTINGS
    def test_run_ends_and_leaves_nothing_open(self, seed: int) -> None:
        plan = _plan(seed)
        if plan is None:
            return
        played = _play(plan, seed)
        assert played.state.run.status is not RunStatus.running
        assert [step.path for step in played.state.steps.values() if step.is_open] == []
        assert not [step.path for step in played.state.steps.values() if step.facts.get("submitted") == "open"]

    @given(seed=SEEDS, order=st.integers(0, 100))
    @SETTINGS
    def test_order_of_independent_work_does_not_matter(self, seed: int, order: int) -> None:
        plan = _plan(seed, is_steady=True)
        if plan is None:
            return
        ends = [
            {step.path: step.status for step in _play(plan, random, is_steady=True).state.steps.values()}
            for random in (0, order)
        ]
        assert ends[0] == ends[1]

    @given(seed=SEEDS)
    @example(seed=47260974)
    @SETTINGS
    def test_retries_bring_every_run_to_its_end(self, seed: int) -> None:
        plan = _plan(seed)
        if plan is None:
            return
        played = _play(plan, seed)
        if played.state.run.status is RunStatus.completed:
            return
        before = dict(played.state.steps)
        merge(played.state, act(plan, played.state, Retry(), played.now).changes)
        for path, step in before.items():
            if step.status is StepStatus.completed and "submitted" not in step.facts:
                assert played.state.steps[path].status is StepStatus.completed
        played.failures = 0.0
        played.go_on()
        assert played.state.run.status is not RunStatus.running
        assert [step.path for step in played.state.steps.values() if step.is_open] == []
        assert all(played.state.steps[path].attempt >= step.attempt for path, step in before.items())
