"""Graphs of definitions as Mermaid flowcharts."""

from collections.abc import Iterator, Mapping

from milepost.schemas.workflows import EdgeKind, GraphNode, WorkflowGraph

SHAPES: Mapping[str, tuple[str, str]] = {
    "condition": ("{", "}"),
    "switch": ("{", "}"),
    "wait": ("([", "])"),
    "wait_for_event": ("([", "])"),
    "emit_event": ("([", "])"),
    "join": ("((", "))"),
    "terminate": ("(((", ")))"),
    "child_workflow": ("[[", "]]"),
}
"""How Mermaid draws a step that is no plain box, by its operator."""
_ARROWS: Mapping[EdgeKind, str] = {
    EdgeKind.dependency: "-->",
    EdgeKind.joined: "-->",
    EdgeKind.choice: "-->",
    EdgeKind.handler: "-.->",
}


def write_mermaid(graph: WorkflowGraph) -> str:
    """Return a graph as a Mermaid flowchart: containers as subgraphs, handlers by dotted lines.

    Ids are numbers, and all text of the definition is quoted, so that none of it is read as Mermaid.
    """
    return "".join(f"{line}\n" for line in _Flowchart(graph).lines())


class _Flowchart:
    """A graph while it is written."""

    def __init__(self, graph: WorkflowGraph) -> None:
        self._graph = graph
        self._ids = {node.id: f"s{number}" for number, node in enumerate(graph.nodes)}
        self._inner: dict[str, dict[str | None, list[GraphNode]]] = {}
        """Of each container its steps, by branch."""
        self._parents: dict[str, str] = {}
        nodes = {node.id: node for node in graph.nodes}
        for edge in graph.edges:
            if edge.kind is EdgeKind.contains:
                self._inner.setdefault(edge.from_, {}).setdefault(edge.label, []).append(nodes[edge.to])
                self._parents[edge.to] = edge.from_

    def lines(self) -> Iterator[str]:
        """Yield the lines of the flowchart."""
        yield "flowchart TD"
        for node in self._graph.nodes:
            if node.id not in self._parents:
                yield from self._node(node, "  ")
        for edge in self._graph.edges:
            if edge.kind is not EdgeKind.contains and not self._is_around(edge.from_, edge.to):
                label = f"|{_quote(edge.label)}|" if edge.label else ""
                yield f"  {self._ids[edge.from_]} {_ARROWS[edge.kind]}{label} {self._ids[edge.to]}"

    def _node(self, node: GraphNode, indent: str) -> Iterator[str]:
        number, label = self._ids[node.id], node.task_id
        if node.operator_type != "task":
            label += f" ({node.operator_type})"
        branches = self._inner.get(node.id)
        if branches is None:
            opening, closing = SHAPES.get(node.operator_type, ("[", "]"))
            yield f"{indent}{number}{opening}{_quote(label)}{closing}"
            return
        yield f"{indent}subgraph {number}[{_quote(label)}]"
        for place, (branch, steps) in enumerate(branches.items()):
            inside = indent + "  "
            if branch is not None:
                yield f"{inside}subgraph {number}b{place}[{_quote(branch)}]"
            for step in steps:
                yield from self._node(step, inside + ("" if branch is None else "  "))
            if branch is not None:
                yield f"{inside}end"
        yield f"{indent}end"

    def _is_around(self, one: str, other: str) -> bool:
        """Return whether one of two steps contains the other: Mermaid draws no line across the border of a box."""
        return self._contains(one, other) or self._contains(other, one)

    def _contains(self, outer: str, inner: str) -> bool:
        parent = self._parents.get(inner)
        while parent is not None and parent != outer:
            parent = self._parents.get(parent)
        return parent is not None


def _quote(text: str) -> str:
    """Return ``text`` as a Mermaid label; what could mean something to it, or to HTML, as its number."""
    shown = (letter if letter.isalnum() or letter in " _-.,:()/'" else f"#{ord(letter)};" for letter in text)
    return f'"{"".join(shown)}"'
