"""A run that fails names the step that failed by itself, with its path and its own error."""

from typing import Any

import pytest

from app.domain.highway.engine.actions import Complete, EndChild, Fail, Retry
from tests.definitions import task
from tests.domain.highway.engine.test_reopening import Run
from tests.domain.highway.scripts import foreach, fork, parallel, step

DECLINED = {"name": "ValueError", "message": "card declined"}
LINE = "ValueError: card declined"


def declined(path: str) -> Fail:
    return Fail(path, DECLINED, retryable=False)


def end_of(run: Run) -> Any:
    """Return with what error the last action has ended the run."""
    assert run.end is not None
    return run.end.error


def check(run: Run, path: str, *containers: str) -> None:
    """Check that the run's error, and that of each container, names the step at ``path``."""
    assert end_of(run) == {
        "name": "StepFailed",
        "message": f"{path}: {LINE}",
        "step": path,
        "cause": DECLINED,
    }
    for container in containers:
        assert run.state.steps[container].error["message"] == f"{path}: {LINE}"
        assert run.state.steps[container].error["step"] == path


class TestCauses:
    def test_step_of_the_top_level(self) -> None:
        run = Run(task("a"), task("b", "a"))
        run.take(declined("a"))
        check(run, "a")

    @pytest.mark.parametrize("is_parallel", [True, False])
    def test_step_of_an_iteration(self, is_parallel: bool) -> None:
        run = Run(foreach("each", body=[task("charge"), task("note", "charge")], parallel=is_parallel))
        run.take(Complete("each[0].charge"), Complete("each[0].note"), declined("each[1].charge"))
        check(run, "each[1].charge", "each")

    def test_branch_in_a_loop(self) -> None:
        p = parallel("p", branches={"x": [task("a")], "y": [task("b")]})
        run = Run(foreach("each", items="[1]", body=[p]))
        run.take(declined("each[0].p.y.b"), Complete("each[0].p.x.a"))
        check(run, "each[0].p.y.b", "each[0].p", "each")

    def test_first_of_several_is_named(self) -> None:
        run = Run(parallel("p", branches={"x": [task("a")], "y": [task("b")]}))
        run.take(declined("p.y.b"))
        run.take(Fail("p.x.a", {"name": "Other", "message": "later"}, retryable=False))
        check(run, "p.y.b", "p")

    def test_join_names_what_it_joins(self) -> None:
        join = step("join", "a_join", join_tasks=["x", "z"], join_mode="all_success")
        run = Run(task("x"), task("z"), join)
        run.take(Complete("x"), declined("z"))
        check(run, "z", "a_join")

    def test_wait_for_a_fork_names_its_branch(self) -> None:
        run = Run(*fork("f", branches={"x": [task("a")]}))
        run.take(declined("f.x.a"))
        check(run, "f.x.a")

    def test_error_that_looks_like_one_of_the_service_is_not_believed(self) -> None:
        run = Run(task("a"))
        run.take(Fail("a", {"name": "BranchFailed", "message": "m", "step": "b"}, retryable=False))
        assert end_of(run)["step"] == "a"
        assert end_of(run)["message"] == "a: BranchFailed: m"

    def test_retry_forgets_it(self) -> None:
        run = Run(parallel("p", branches={"x": [task("a")], "y": [task("b")]}))
        run.take(declined("p.y.b"), declined("p.x.a"))
        run.take(Retry(), Complete("p.y.b"))
        run.take(Fail("p.x.a", DECLINED, retryable=False))
        check(run, "p.x.a", "p")


class TestChildren:
    def run(self, error: Any) -> Run:
        children = {name: {"workflow_name": "w"} for name in ("x", "y")}
        run = Run(step("child_workflow", "k", children=children))
        run.take(EndChild("k", "y", "completed"), EndChild("k", "x", "failed", None, error))
        return run

    def test_its_own_error_is_told(self) -> None:
        run = self.run({"name": "StepFailed", "message": f"charge: {LINE}"})
        assert end_of(run)["message"] == f"k: ChildFailed: not completed: x (StepFailed: charge: {LINE})"

    def test_child_without_an_error_is_named(self) -> None:
        assert end_of(self.run(None))["message"] == "k: ChildFailed: not completed: x"
