"""Definitions of growing size: what examining them costs grows as they do."""

import sys
from collections.abc import Callable
from typing import Any

import pytest

from app.domain.highway.compiler.compilation import compile_document
from app.domain.highway.compiler.examination import examine_document
from app.domain.highway.compiler.graphs import make_graph
from app.domain.highway.compiler.outline import STEPS_MOST
from tests.definitions import task, workflow
from tests.domain.highway.scripts import foreach, parallel, step

Document = dict[str, Any]


def chain(size: int) -> Document:
    return workflow(task("s0"), *(task(f"s{i}", f"s{i - 1}") for i in range(1, size)))


def wide_join(size: int) -> Document:
    joined = [f"s{i}" for i in range(size)]
    return workflow(*map(task, joined), step("join", "j", join_tasks=joined), task("after", "j"))


def long_branch(size: int) -> Document:
    """A router, a chain of steps in its branch, and as many that go on after what it has chosen."""
    router = step("condition", "r", condition="a", if_true="b0")
    branch = [task("b0", "r"), *(task(f"b{i}", "r", f"b{i - 1}") for i in range(1, size))]
    return workflow(router, *branch, *(task(f"c{i}", "r") for i in range(size)))


def wide_switch(size: int) -> Document:
    router = step("switch", "r", switch_on="x", cases={str(i): f"c{i}" for i in range(size)})
    targets = [task(f"c{i}", "r") for i in range(size)]
    shared = [task("d0", "r", *(f"c{i}" for i in range(size)))]
    return workflow(router, *targets, *shared, *(task(f"d{i}", "r", f"d{i - 1}") for i in range(1, size)))


def switch_targets(size: int) -> Document:
    router = step("switch", "r", switch_on="x", cases={str(i): f"c{i}" for i in range(size)})
    return workflow(router, *(task(f"c{i}", "r") for i in range(size)), task("after", "r"))


def one_target(size: int) -> Document:
    routers = [step("condition", f"r{i}", condition="a", if_true="x") for i in range(size)]
    return workflow(*routers, task("x", *(f"r{i}" for i in range(size))))


def one_handler(size: int) -> Document:
    return workflow(task("h"), *(task(f"s{i}", on_failure_task_id="h") for i in range(size)))


def handlers_of_branches(size: int) -> Document:
    called = [parallel(f"p{i}", branches={"x": [task("a", on_failure_task_id=f"h{i}")]}) for i in range(size)]
    return workflow(*called, *(task(f"h{i}") for i in range(size)))


def same_names(size: int) -> Document:
    branches = {f"x{i}": [task("a"), task("b", "a")] for i in range(size)}
    return workflow(parallel("p", branches=branches), *(task(f"e{i}", "a") for i in range(size)))


def forks(size: int) -> Document:
    wait = {"function": "tools.workflow.wait_for_parallel_branches"}
    return workflow(
        *(parallel(f"p{i}", result_key=f"k{i}", branches={"x": [task("a")]}) for i in range(size)),
        *(task(f"w{i}", f"p{i}", **wait, kwargs={"of": "{{k" + str(i) + "}}"}) for i in range(size)),
    )


def loops(size: int) -> Document:
    bodies = [[task(f"a{i}"), task(f"b{i}", f"a{i}")] for i in range(size)]
    copies = [node for body in bodies for node in body]
    return workflow(*(foreach(f"l{i}", body=body) for i, body in enumerate(bodies)), *copies)


class Name(str):
    """A text of which every look into a set or a mapping is a call, also where C goes through the names by itself."""

    __slots__ = ()

    def __hash__(self) -> int:
        return super().__hash__()


def with_names(value: Any) -> Any:
    """Return a document all texts of which are names."""
    match value:
        case str():
            return Name(value)
        case dict():
            return {with_names(name): with_names(member) for name, member in value.items()}
        case list():
            return [with_names(member) for member in value]
    return value


def count_calls(work: Callable[[], object]) -> int:
    """Return how many calls of functions ``work`` makes, also of those of C: unlike time, always the same."""
    count = 0

    def note(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


class TestLinearity:
    @pytest.mark.parametrize(
        "shape",
        [
            chain,
            wide_join,
            long_branch,
            wide_switch,
            switch_targets,
            one_target,
            one_handler,
            handlers_of_branches,
            same_names,
            forks,
            loops,
        ],
    )
    def test_cost_grows_as_the_definition(self, shape: Callable[[int], Document]) -> None:
        def examine(document: Document) -> None:
            plan = examine_document(document).plan
            assert plan is not None
            make_graph(plan)

        small, large = with_names(shape(100)), with_names(shape(400))
        examine(small)
        assert count_calls(lambda: examine(large)) < 5 * count_calls(lambda: examine(small))

    def test_switch_with_very_many_targets_costs_no_more_for_each(self) -> None:
        few, many = with_names(switch_targets(500)), with_names(switch_targets(2000))
        compile_document(few)
        cost = count_calls(lambda: compile_document(few))
        assert count_calls(lambda: compile_document(many)) < 5 * cost

    def test_handlers_that_call_handlers_in_many_scopes_are_refused(self) -> None:
        size = 300
        called = [parallel(f"p{i}", branches={"x": [task("a", on_failure_task_id="h0")]}) for i in range(size)]
        chained = [task(f"h{i}", on_failure_task_id=f"h{i + 1}") for i in range(size)]
        found = examine_document(workflow(*called, *chained, task(f"h{size}")))
        assert [(error.code, error.pointer) for error in found.errors] == [("bad_value", "/tasks")]
        assert str(STEPS_MOST) in found.errors[0].detail
