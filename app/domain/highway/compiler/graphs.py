"""Graphs of definitions: the steps of a plan and what leads from one to another, also as Mermaid."""

from collections.abc import Iterator, Mapping, Sequence

from app.domain.highway.compiler.links import targets_of
from app.domain.highway.compiler.plan import Need, Plan, Region, Step
from app.domain.highway.document.operators.table import FORMS, PLAIN
from app.domain.highway.language.paths import TOP, path_in
from milepost.schemas.workflows import EdgeKind, GraphEdge, GraphNode, WorkflowGraph

_ARMS: Mapping[str, str] = {"if_true": "true", "if_false": "false"}
_ARROWS: Mapping[EdgeKind, str] = {
    EdgeKind.dependency: "-->",
    EdgeKind.joined: "-->",
    EdgeKind.choice: "-->",
    EdgeKind.handler: "-.->",
}


def make_graph(plan: Plan) -> WorkflowGraph:
    """Return every step of a plan with its path, and what leads from step to step."""
    nodes = [
        GraphNode.model_construct(
            id=path_in(region.key, step.name),
            task_id=step.task_id,
            operator_type=step.operator,
            scope=path_in(region.key, step.scope),
        )
        for region in plan.regions.values()
        for step in region.steps.values()
    ]
    edges = [
        edge for region in plan.regions.values() for step in region.steps.values() for edge in _edges(region, step)
    ]
    return WorkflowGraph.model_construct(nodes=nodes, edges=edges)


def _edges(region: Region, step: Step) -> Iterator[GraphEdge]:
    scope = region.scopes[step.scope]
    if scope.container is not None:
        yield _edge(region, scope.container, step.name, EdgeKind.contains, scope.branch)
    elif region.key != TOP:
        loop, to = region.key.removesuffix("[]"), path_in(region.key, step.name)
        yield GraphEdge.model_construct(from_=loop, to=to, kind=EdgeKind.contains, label=None)
    yield from _edges_from(region, step.needs, step.name, EdgeKind.dependency)
    yield from _edges_from(region, step.joins, step.name, EdgeKind.joined)
    for target, labels in _choices(step).items():
        yield _edge(region, step.name, target, EdgeKind.choice, ", ".join(labels))
    for handler, label in ((step.on_success, "on_success"), (step.on_failure, "on_failure")):
        if handler is not None:
            yield _edge(region, step.name, handler, EdgeKind.handler, label)


def _edges_from(region: Region, needs: Sequence[Need], to: str, kind: EdgeKind) -> Iterator[GraphEdge]:
    return (_edge(region, need.step, to, kind) for need in needs)


def _edge(region: Region, from_: str, to: str, kind: EdgeKind, label: str | None = None) -> GraphEdge:
    return GraphEdge.model_construct(
        from_=path_in(region.key, from_), to=path_in(region.key, to), kind=kind, label=label
    )


def _choices(step: Step) -> dict[str, list[str]]:
    """Return the names of a router's targets, each with the choices that lead to it."""
    choices: dict[str, list[str]] = {}
    for member, target in targets_of(step.operator, step.spec):
        if target in step.targets:
            choices.setdefault(step.targets[target], []).append(_ARMS.get(member[-1], member[-1]))
    return choices


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
        if node.operator_type != PLAIN:
            label += f" ({node.operator_type})"
        branches = self._inner.get(node.id)
        if branches is None:
            opening, closing = FORMS[node.operator_type].shape
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
