"""Graphs of definitions: the steps of a plan and what leads from one to another."""

from collections.abc import Iterator, Mapping, Sequence

from app.domain.highway.compiler.links import targets_of
from app.domain.highway.compiler.plan import Need, Plan, Region, Step
from app.domain.highway.language.paths import TOP, path_in
from milepost.schemas.workflows import EdgeKind, GraphEdge, GraphNode, WorkflowGraph

_ARMS: Mapping[str, str] = {"if_true": "true", "if_false": "false"}


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
