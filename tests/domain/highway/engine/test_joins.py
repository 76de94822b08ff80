"""When joins end, and how."""

import pytest

from tests.definitions import task
from tests.domain.highway.scripts import Step, advance, complete, emit, fail, parallel, play, step

_OFF = step("condition", "off", condition="false", if_true="s1", if_false=None)
_SKIPPED = (_OFF, task("s1", "off"), task("s2", "s1"))


def _join(mode: str, *joined: str, dependencies: tuple[str, ...] = (), **members: object) -> Step:
    return step("join", "j", *dependencies, join_tasks=list(joined), join_mode=mode, **members)


class TestAllOf:
    def test_it_completes_when_all_have_ended(self) -> None:
        trace = play(task("a"), task("b"), _join("all_of", "a", "b"), script=[fail("a"), fail("b")])
        assert trace.then(1) == {"failed": ["a"]}
        assert trace.then(2) == {"failed": ["b"], "completed": ["j"], "run": "completed"}

    def test_it_completes_if_all_are_skipped(self) -> None:
        assert play(*_SKIPPED, _join("all_of", "s1", "s2")).tasks["j"] == "completed"

    def test_it_is_the_mode_of_a_join_without_one(self) -> None:
        trace = play(task("a"), step("join", "j", join_tasks=["a"]), script=[fail("a")])
        assert trace.tasks["j"] == "completed"


class TestAnyOf:
    def test_first_success_decides(self) -> None:
        trace = play(task("a"), task("b"), _join("any_of", "a", "b"), script=[complete("a")])
        assert trace.then() == {"completed": ["a", "j"]}

    def test_first_failure_decides(self) -> None:
        trace = play(task("a"), task("b"), _join("any_of", "a", "b"), script=[fail("a"), complete("b")])
        assert trace.then(1) == {"failed": ["a", "j"]}
        assert trace.status == "failed"

    def test_upstream_failed_is_inherited(self) -> None:
        steps = (task("z"), task("a", "z"), task("b"), _join("any_of", "a", "b"), task("t", "j"))
        trace = play(*steps, script=[fail("z")])
        assert trace.then() == {"failed": ["z"], "upstream_failed": ["a", "j", "t"]}

    def test_cancelled_is_inherited(self) -> None:
        p = parallel("p", branches={"x": [task("a")]}, timeout=5)
        trace = play(p, task("b"), _join("any_of", "a", "b"), script=[advance(5)])
        assert trace.then() == {"cancelled": ["j", "p.x.a"], "failed": ["p"]}

    def test_skipped_one_does_not_decide(self) -> None:
        trace = play(*_SKIPPED, task("a"), _join("any_of", "s1", "a"), script=[complete("a")])
        assert "completed" in trace.then(0)
        assert "j" not in trace.then(0)["completed"]
        assert trace.then(1) == {"completed": ["a", "j"], "run": "completed"}

    def test_of_several_at_once_a_success_wins(self) -> None:
        waits = [step("wait_for_event", name, event_name="e_{{ds}}") for name in ("a", "b")]
        waits[0]["postconditions"] = [{"variable": "nope", "check": "exists"}]
        trace = play(*waits, _join("any_of", "a", "b"), script=[emit("e_2025-01-15")])
        assert trace.then()["failed"] == ["a"]
        assert trace.then()["completed"] == ["b", "j"]

    def test_success_of_a_container_wins_over_a_failure_at_once(self) -> None:
        waits = [step("wait_for_event", name, event_name="e_{{ds}}") for name in ("a", "b")]
        waits[0]["postconditions"] = [{"variable": "nope", "check": "exists"}]
        p = parallel("p", branches={"x": [waits[1]]})
        trace = play(waits[0], p, _join("any_of", "a", "p"), script=[emit("e_2025-01-15")])
        assert trace.then()["completed"] == ["j", "p", "p.x.b"]

    def test_it_is_skipped_if_all_are(self) -> None:
        assert play(*_SKIPPED, _join("any_of", "s1", "s2")).tasks["j"] == "skipped"


class TestAllSuccess:
    def test_it_fails_at_the_first_failure(self) -> None:
        trace = play(task("a"), task("b"), _join("all_success", "a", "b"), script=[fail("a")])
        assert trace.then() == {"failed": ["a", "j"]}

    def test_skipped_ones_are_tolerated(self) -> None:
        trace = play(*_SKIPPED, task("a"), _join("all_success", "s1", "a"), script=[complete("a")])
        assert trace.then() == {"completed": ["a", "j"], "run": "completed"}

    def test_it_is_skipped_if_all_are(self) -> None:
        assert play(*_SKIPPED, _join("all_success", "s1", "s2")).tasks["j"] == "skipped"


class TestOneSuccess:
    def test_first_success_completes_it(self) -> None:
        trace = play(task("a"), task("b"), _join("one_success", "a", "b"), script=[fail("a"), complete("b")])
        assert trace.then(1) == {"failed": ["a"]}
        assert trace.then(2) == {"completed": ["b", "j"], "run": "completed"}

    def test_it_fails_when_all_have_ended_without_one(self) -> None:
        trace = play(task("a"), task("b"), _join("one_success", "a", "b"), script=[fail("a"), fail("b")])
        assert trace.then() == {"failed": ["b", "j"], "run": "failed"}

    def test_it_is_skipped_if_all_are(self) -> None:
        assert play(*_SKIPPED, _join("one_success", "s1", "s2")).tasks["j"] == "skipped"


class TestDependencies:
    def test_join_waits_for_its_dependencies_too(self) -> None:
        steps = (task("a"), task("d"), _join("any_of", "a", dependencies=("d",)))
        trace = play(*steps, script=[complete("a"), complete("d")])
        assert trace.then(1) == {"completed": ["a"]}
        assert trace.then(2) == {"completed": ["d", "j"], "run": "completed"}

    def test_failed_dependency_is_upstream_of_it(self) -> None:
        trace = play(task("a"), task("d"), _join("all_of", "a", dependencies=("d",)), script=[fail("d")])
        assert trace.then() == {"failed": ["d"], "upstream_failed": ["j"]}

    def test_dependency_that_is_joined_does_not_count_as_one(self) -> None:
        steps = (task("a"), task("b"), _join("all_of", "a", "b", dependencies=("a", "b")))
        trace = play(*steps, script=[fail("a"), complete("b")])
        assert trace.then() == {"completed": ["b", "j"], "run": "completed"}

    @pytest.mark.parametrize("mode", ["all_of", "all_success", "any_of", "one_success"])
    def test_step_of_a_branch_can_be_joined(self, mode: str) -> None:
        p = parallel("p", branches={"x": [task("a")], "y": [task("b")]})
        trace = play(p, _join(mode, "a", "b"), script=[complete("p.x.a"), complete("p.y.b")])
        assert trace.tasks["j"] == "completed"

    def test_join_has_the_value_null(self) -> None:
        trace = play(
            task("a"), _join("all_of", "a", result_key="r"), task("t", "j", args=["{{r}}"]), script=[complete("a")]
        )
        assert trace.offers["t"]["args"] == [None]

    def test_precondition_is_looked_at_when_it_is_decided(self) -> None:
        guards = [{"variable": "{{a}}", "check": "equals", "value": 1}]
        steps = (task("a"), _join("all_of", "a", preconditions=guards))
        assert play(*steps, script=[complete("a", 1)]).tasks["j"] == "completed"
        assert play(*steps, script=[complete("a", 2)]).tasks["j"] == "failed"

    def test_handler_of_a_join_is_called(self) -> None:
        steps = (task("a"), _join("all_success", "a", on_failure_task_id="h"), task("h", args=["{{failed_task_id}}"]))
        assert play(*steps, script=[fail("a")]).offers["h"]["args"] == ["j"]
