"""Graphs of definitions, as nodes and edges and as Mermaid."""

from typing import Any

import pytest

from app.domain.highway.compiler.compilation import compile_document
from app.domain.highway.compiler.graphs import make_graph
from app.domain.highway.document.operators.table import FORMS
from milepost.mermaid import SHAPES, write_mermaid
from milepost.schemas.workflows import WorkflowGraph
from tests.definitions import task, workflow

CHECK = {"task_id": "check", "operator_type": "condition", "condition": "1 == 1", "if_true": "a", "if_false": "b"}
ROUTE = {
    "task_id": "route",
    "operator_type": "switch",
    "switch_on": "{{x}}",
    "cases": {"one": "a", "two": "a", "three": "b"},
    "default": "b",
}
FORK = {
    "task_id": "fork",
    "operator_type": "parallel",
    "branches": {"left": ["l1", "l2"], "right": ["r"]},
    "branch_workflows": {
        "left": {"tasks": {"l1": task("l1"), "l2": task("l2", "l1")}},
        "right": {"tasks": {"r": task("r")}},
    },
}
LOOP = {"task_id": "each", "operator_type": "foreach", "items": "[1]", "loop_body": [task("one"), task("two", "one")]}


def graph_of(*tasks: dict[str, Any]) -> WorkflowGraph:
    compiled = compile_document(workflow(*tasks))
    assert compiled.errors == []
    return make_graph(compiled.plan)


def edges(graph: WorkflowGraph, kind: str) -> set[tuple[str, str, str | None]]:
    return {(edge.from_, edge.to, edge.label) for edge in graph.edges if edge.kind == kind}


class TestMakeGraph:
    def test_dependencies_lead_from_what_is_waited_for(self) -> None:
        graph = graph_of(task("a"), task("b", "a"))
        assert edges(graph, "dependency") == {("a", "b", None)}
        assert [(node.id, node.task_id, node.scope) for node in graph.nodes] == [("a", "a", ""), ("b", "b", "")]

    def test_condition_labels_its_choices(self) -> None:
        assert edges(graph_of(CHECK, task("a"), task("b")), "choice") == {
            ("check", "a", "true"),
            ("check", "b", "false"),
        }

    def test_choices_with_one_target_share_an_edge(self) -> None:
        assert edges(graph_of(ROUTE, task("a"), task("b")), "choice") == {
            ("route", "a", "one, two"),
            ("route", "b", "three, default"),
        }

    def test_branches_are_contained_under_their_names(self) -> None:
        graph = graph_of(FORK)
        assert edges(graph, "contains") == {
            ("fork", "fork.left.l1", "left"),
            ("fork", "fork.left.l2", "left"),
            ("fork", "fork.right.r", "right"),
        }
        assert edges(graph, "dependency") == {("fork.left.l1", "fork.left.l2", None)}
        assert {node.scope for node in graph.nodes} == {"", "fork.left", "fork.right"}

    def test_any_iteration_stands_for_all(self) -> None:
        graph = graph_of(LOOP)
        assert edges(graph, "contains") == {("each", "each[].one", None), ("each", "each[].two", None)}
        assert [node.scope for node in graph.nodes if node.task_id == "one"] == ["each[]"]

    def test_loop_in_a_branch_in_a_loop_has_its_path(self) -> None:
        fork = {**FORK, "branch_workflows": {"left": {"tasks": {"each": LOOP}}}, "branches": {"left": ["each"]}}
        graph = graph_of({**LOOP, "task_id": "outer", "loop_body": [fork]})
        assert ("outer[].fork.left.each", "outer[].fork.left.each[].one", None) in edges(graph, "contains")
        assert {edge.from_ for edge in graph.edges} <= {node.id for node in graph.nodes}

    def test_handlers_are_labelled_by_what_calls_them(self) -> None:
        owner = task("a", on_failure_task_id="alarm", on_success_task_id="cheer")
        assert edges(graph_of(owner, task("alarm"), task("cheer")), "handler") == {
            ("a", "alarm", "on_failure"),
            ("a", "cheer", "on_success"),
        }

    def test_joins_lead_from_what_they_join(self) -> None:
        join = {"task_id": "j", "operator_type": "join", "join_tasks": ["a", "b"], "join_mode": "any_of"}
        assert edges(graph_of(task("a"), task("b"), join), "join") == {("a", "j", None), ("b", "j", None)}


class TestWriteMermaid:
    def test_containers_are_subgraphs(self) -> None:
        assert write_mermaid(graph_of(FORK, task("after", "fork"))).splitlines() == [
            "flowchart TD",
            '  subgraph s0["fork (parallel)"]',
            '    subgraph s0b0["left"]',
            '      s1["l1"]',
            '      s2["l2"]',
            "    end",
            '    subgraph s0b1["right"]',
            '      s3["r"]',
            "    end",
            "  end",
            '  s4["after"]',
            "  s1 --> s2",
            "  s0 --> s4",
        ]

    def test_every_shape_is_that_of_an_operator(self) -> None:
        assert set(SHAPES) < set(FORMS)

    def test_handlers_hang_on_dotted_lines(self) -> None:
        text = write_mermaid(graph_of(task("a", on_failure_task_id="b"), task("b")))
        assert '  s0 -.->|"on_failure"| s1' in text.splitlines()

    @pytest.mark.parametrize("name", ['"', "end", "a|b", "<script>", "`x`", "a;b", "a\nb", "{{x}}", "#35;", "漢字"])
    def test_no_name_is_read_as_mermaid(self, name: str) -> None:
        lines = write_mermaid(graph_of(task(name))).splitlines()
        assert len(lines) == 2
        label = lines[1].removeprefix('  s0["').removesuffix('"]')
        assert not set(label.replace("#", "", label.count("#"))) & set('"|<>`{}\n[]')

    def test_graph_of_the_wire_is_drawn_alike(self) -> None:
        graph = graph_of(FORK, LOOP, CHECK, task("a"), task("b"))
        again = WorkflowGraph.model_validate_json(graph.model_dump_json(by_alias=True))
        assert write_mermaid(again) == write_mermaid(graph)
