"""Handlers: the steps that a step calls when it has completed or failed."""

from typing import Any

import pytest
from highway_dsl import WorkflowBuilder

from app.domain.highway.document.texts import read_yaml
from tests.definitions import task
from tests.domain.highway.scripts import (
    CANCEL,
    START,
    Step,
    advance,
    complete,
    fail,
    foreach,
    parallel,
    play,
    play_document,
    retry,
    step,
)

HANDLER = task("h", args=["{{failed_task_id}}", "{{error_message}}"])


def _owner(task_id: str = "a", *dependencies: str, **members: Any) -> Step:
    return task(task_id, *dependencies, on_failure_task_id="h", **members)


class TestCall:
    def test_failure_handler_is_told_of_the_failure(self) -> None:
        trace = play(_owner(), HANDLER, script=[fail("a", "no")])
        assert trace.then() == {"failed": ["a"], "runnable": ["h"]}
        assert trace.offers["h"]["args"] == ["a", "no"]

    def test_message_of_an_error_that_is_an_object(self) -> None:
        trace = play(_owner(), HANDLER, script=[fail("a", {"name": "E", "message": "no"})])
        assert trace.offers["h"]["args"] == ["a", "no"]

    def test_it_is_called_after_the_final_outcome(self) -> None:
        trace = play(_owner(retry_policy=retry(1)), HANDLER, script=[fail("a"), advance(10), fail("a")])
        assert trace.then(1) == {"retry_in": [("a", 10, 2)]}
        assert trace.then(3) == {"failed": ["a"], "runnable": ["h"]}

    def test_success_handler(self) -> None:
        steps = (task("a", on_success_task_id="s", on_failure_task_id="h"), task("s", args=["{{a}}"]), HANDLER)
        trace = play(*steps, script=[complete("a", 5)])
        assert trace.then() == {"completed": ["a"], "runnable": ["s"], "skipped": ["h"]}
        assert trace.offers["s"]["args"] == [5]

    def test_one_handler_may_serve_for_both(self) -> None:
        steps = (task("a", on_success_task_id="h", on_failure_task_id="h"), task("h"))
        assert play(*steps, script=[complete("a")]).then()["runnable"] == ["h"]
        assert play(*steps, script=[fail("a")]).then()["runnable"] == ["h"]

    def test_it_never_starts_by_itself(self) -> None:
        assert play(_owner(), HANDLER).then() == {"runnable": ["a"]}

    def test_it_ignores_its_dependencies(self) -> None:
        trace = play(_owner(), task("b"), task("h", "a", "b"), script=[fail("a")])
        assert trace.then() == {"failed": ["a"], "runnable": ["h"]}

    def test_handler_of_a_handler(self) -> None:
        steps = (_owner(), {**HANDLER, "on_failure_task_id": "g"}, task("g", args=["{{failed_task_id}}"]))
        trace = play(*steps, script=[fail("a"), fail("h"), complete("g")])
        assert trace.then(2) == {"failed": ["h"], "runnable": ["g"]}
        assert trace.offers["g"]["args"] == ["h"]
        assert trace.status == "failed"

    @pytest.mark.parametrize("end", ["upstream_failed", "skipped", "cancelled"])
    def test_other_ends_call_nobody(self, end: str) -> None:
        off = step("condition", "off", condition="false", if_true="a")
        steps = {
            "upstream_failed": (task("z"), _owner("a", "z"), HANDLER),
            "skipped": (task("z"), off, _owner("a", "off"), HANDLER),
            "cancelled": (task("z"), _owner(), HANDLER),
        }[end]
        trace = play(*steps, script=[CANCEL if end == "cancelled" else fail("z")])
        assert trace.tasks["a"] == end
        assert trace.tasks["h"] == "skipped"


class TestOutcome:
    def test_run_of_a_failed_owner_fails(self) -> None:
        trace = play(_owner(), HANDLER, script=[fail("a"), complete("h")])
        assert trace.then() == {"completed": ["h"], "run": "failed"}
        assert trace.tasks == {"a": "failed", "h": "completed"}

    def test_failing_handler_is_a_leaf(self) -> None:
        rescue = task("b", "a", trigger_rule="all_done")
        trace = play(_owner(), HANDLER, rescue, script=[fail("a"), complete("b"), fail("h")])
        assert trace.then() == {"failed": ["h"], "run": "failed"}

    def test_it_is_skipped_when_all_owners_have_ended_without_a_call(self) -> None:
        trace = play(_owner("a"), _owner("b"), HANDLER, script=[complete("a"), complete("b")])
        assert trace.then(1) == {"completed": ["a"]}
        assert trace.then(2) == {"completed": ["b"], "skipped": ["h"], "run": "completed"}

    def test_step_that_depends_on_a_handler_waits_for_it(self) -> None:
        steps = (_owner(), HANDLER, task("t", "h"))
        trace = play(*steps, script=[fail("a"), complete("h")])
        assert trace.then() == {"completed": ["h"], "runnable": ["t"]}
        assert play(*steps, script=[complete("a")]).tasks == {"a": "completed", "h": "skipped", "t": "skipped"}


class TestSecondCall:
    def test_it_is_another_step(self) -> None:
        trace = play(_owner("a"), _owner("b"), HANDLER, script=[fail("a"), fail("b"), complete("h#2"), complete("h")])
        assert trace.then(1) == {"failed": ["a"], "runnable": ["h"]}
        assert trace.then(2) == {"failed": ["b"], "runnable": ["h#2"]}
        assert trace.offers["h#2"]["args"] == ["b", "boom"]
        assert trace.tasks == {"a": "failed", "b": "failed", "h": "completed", "h#2": "completed"}

    def test_third_one_too(self) -> None:
        owners = [_owner(name) for name in "abc"]
        trace = play(*owners, HANDLER, script=[fail(name) for name in "abc"])
        assert trace.then() == {"failed": ["c"], "runnable": ["h#3"]}

    def test_handler_may_be_a_parallel(self) -> None:
        h = parallel("h", branches={"x": [task("s", args=["{{failed_task_id}}"]), task("t", "s")]})
        script = [fail("a"), fail("b"), complete("h#2.x.s"), complete("h.x.s"), complete("h#2.x.t"), complete("h.x.t")]
        trace = play(_owner("a"), _owner("b"), h, script=script)
        assert trace.offers["h#2.x.s"]["args"] == ["b"]
        assert trace.then(3) == {"completed": ["h#2.x.s"], "runnable": ["h#2.x.t"]}
        assert trace.then(5) == {"completed": ["h#2", "h#2.x.t"]}
        assert trace.then(6) == {"completed": ["h", "h.x.t"], "run": "failed"}

    def test_handler_may_be_a_loop(self) -> None:
        h = foreach("h", body=[task("s", args=["{{item}}"])])
        script = [fail("a"), fail("b"), complete("h#2[0].s"), complete("h#2[1].s")]
        trace = play(_owner("a"), _owner("b"), h, script=script)
        assert trace.then() == {"completed": ["h#2", "h#2[1].s"]}


class TestNestedCall:
    """A handler that is defined further out lives where it is called."""

    def test_in_an_iteration(self) -> None:
        loop = foreach("l", body=[_owner(), task("b", "a", trigger_rule="all_done")])
        trace = play(loop, HANDLER, script=[fail("l[0].a"), complete("l[0].b"), complete("l[0].h")])
        assert trace.then(1) == {"failed": ["l[0].a"], "runnable": ["l[0].b", "l[0].h"]}
        assert trace.offers["l[0].h"]["args"] == ["l[0].a", "boom"]
        assert trace.then(3) == {"completed": ["l[0].h"], "runnable": ["l[1].a"]}

    def test_outer_definition_is_skipped_at_the_end(self) -> None:
        loop = foreach("l", body=[_owner()], items="[1]")
        trace = play(loop, HANDLER, task("z", "l"), script=[complete("l[0].a"), complete("z")])
        assert trace.then(1) == {"completed": ["l", "l[0].a"], "runnable": ["z"]}
        assert trace.then(2) == {"completed": ["z"], "skipped": ["h"], "run": "completed"}

    def test_handler_that_is_not_called_does_not_exist_inside(self) -> None:
        trace = play(foreach("l", body=[_owner()], items="[1]"), HANDLER, script=[complete("l[0].a")])
        assert trace.tasks == {"l": "completed", "l[0].a": "completed", "h": "skipped"}

    def test_in_a_branch(self) -> None:
        p = parallel("p", branches={"x": [_owner("a"), _owner("b")], "y": [task("c")]})
        trace = play(
            p, HANDLER, script=[fail("p.x.a"), fail("p.x.b"), complete("p.x.h"), fail("p.x.h#2"), complete("p.y.c")]
        )
        assert trace.then(2) == {"failed": ["p.x.b"], "runnable": ["p.x.h#2"]}
        assert trace.then(5) == {"completed": ["p.y.c"], "failed": ["p"], "skipped": ["h"], "run": "failed"}

    def test_failing_handler_fails_its_branch(self) -> None:
        p = parallel("p", branches={"x": [_owner("a"), task("b", "a", trigger_rule="all_done")]})
        trace = play(p, HANDLER, script=[fail("p.x.a"), complete("p.x.b"), fail("p.x.h")])
        assert trace.then() == {"failed": ["p", "p.x.h"], "skipped": ["h"], "run": "failed"}

    def test_it_sees_the_variables_of_its_iteration(self) -> None:
        loop = foreach("l", body=[_owner()], items="[7]")
        trace = play(loop, task("h", args=["{{item}}"]), script=[fail("l[0].a")])
        assert trace.offers["l[0].h"]["args"] == [7]

    def test_owners_beside_it_and_further_in(self) -> None:
        p = parallel("p", branches={"x": [_owner("b")]})
        trace = play(_owner("a"), p, HANDLER, script=[fail("p.x.b"), fail("a"), complete("p.x.h"), complete("h")])
        assert trace.then(1) == {"failed": ["p.x.b"], "runnable": ["p.x.h"]}
        assert trace.then(2) == {"failed": ["a"], "runnable": ["h"]}

    def test_two_levels_further_in(self) -> None:
        p = parallel("p", branches={"x": [foreach("l", body=[_owner()], items="[1]")]})
        trace = play(p, HANDLER, script=[fail("p.x.l[0].a"), complete("p.x.l[0].h")])
        assert trace.then() == {
            "completed": ["p.x.l[0].h"],
            "failed": ["p", "p.x.l"],
            "skipped": ["h"],
            "run": "failed",
        }

    def test_what_is_chained_behind_it_is_skipped_with_it(self) -> None:
        builder: Any = WorkflowBuilder("w")
        builder.parallel("p", {"x": lambda b: b.task("a", "f", on_failure_task_id="h")})
        builder.task("h", "f").task("after", "f")
        trace = play_document(read_yaml(builder.build().to_yaml()), [START, complete("p.x.a")])
        assert trace.then() == {"completed": ["p", "p.x.a"], "skipped": ["after", "h"], "run": "completed"}

    def test_its_dependencies_do_not_keep_its_container_from_being_a_leaf(self) -> None:
        p = parallel("p", branches={"x": [_owner()]})
        trace = play(p, {**HANDLER, "dependencies": ["p"]}, script=[fail("p.x.a"), complete("p.x.h")])
        assert trace.then() == {"completed": ["p.x.h"], "failed": ["p"], "skipped": ["h"], "run": "failed"}


class TestOwnHandler:
    def test_step_that_names_itself_goes_on_without(self) -> None:
        trace = play(task("a", on_failure_task_id="a", on_success_task_id="a"), script=[fail("a")])
        assert trace.then() == {"failed": ["a"], "run": "failed"}
