"""What in a region waits for what: for cycles, and for what a step keeps from ending."""

from collections.abc import Iterable, Iterator, Mapping

from app.domain.highway.compiler.plan import Need, Node, Region, Step


def waits_of(region: Region) -> dict[Node, set[Node]]:
    """Return for the start and the end of each step what has to come before."""
    waits: dict[Node, set[Node]] = {}
    for step in region.steps.values():
        waits[step.name, False] = set(_before_start(region, step))
        waits[step.name, True] = {(step.name, False), *_before_end(region, step)}
        for need in (*step.needs, *step.joins):
            if need.branches is not None and (need.step, None) not in waits:
                waits[need.step, None] = {(member, True) for member in need.branches.members}
    return waits


def turn_round(waits: Mapping[Node, set[Node]]) -> dict[Node, list[Node]]:
    """Return for each start and end what waits for it."""
    after: dict[Node, list[Node]] = {}
    for node, before in waits.items():
        for other in before:
            after.setdefault(other, []).append(node)
    return after


def find_held(after: Mapping[Node, list[Node]], names: Iterable[str]) -> set[str]:
    """Return the steps that cannot end before one of those called ``names`` has."""
    held: set[Node] = set()
    left: list[Node] = [(name, True) for name in names]
    while left:
        new = [node for node in after.get(left.pop(), ()) if node not in held]
        held.update(new)
        left += new
    return {other for other, is_end in held if is_end}


def _before_start(region: Region, step: Step) -> Iterator[Node]:
    yield from _ends_of(step.needs)
    yield from ((name, True) for name in (*step.routers, *step.gates, *step.owners))
    container = region.scopes[step.scope].container
    if container is not None:
        yield container, False


def _before_end(region: Region, step: Step) -> Iterator[Node]:
    yield from _ends_of(step.joins)
    if step.fork is not None:
        yield step.fork, True
    contained = step.fork if step.waits_for_branches else None if step.is_fork else step.name
    for branch_name in region.branches.get(contained or "", ()):
        yield from ((name, True) for name in region.scopes[branch_name].steps)


def _ends_of(needs: Iterable[Need]) -> Iterator[Node]:
    for need in needs:
        yield need.step, True
        if need.branches is not None:
            yield need.step, None
