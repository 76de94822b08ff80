"""A region's steps linked with each other: what each waits for, and what cannot be linked."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeVar

from app.domain.highway.compiler.outline import RawRegion, RawStep, scopes_around
from app.domain.highway.compiler.plan import Branches
from app.domain.highway.document.findings import Finding
from app.domain.highway.document.operators.table import FORMS
from app.domain.json_texts import Json

T = TypeVar("T")


class Elsewhere(Enum):
    """What a dependency names that is no step to wait for."""

    satisfied = "satisfied"
    """It stands outside of the loop, or around the branch: it is over, or has begun."""
    missing = "missing"


@dataclass(slots=True)
class Links:
    """What is known of one step while a region is being linked."""

    depends: dict[str, int | None]
    """Names of the steps that it depends on, with their place among its dependencies."""
    joins: dict[str, None]
    listed: set[str]
    """All steps that its dependencies name, also where a join names them twice."""
    targets: dict[str, str]
    """Names of its targets by how the document calls them."""
    routers: dict[str, None]
    owners: dict[str, None]
    choosers: dict[str, None]
    """Routers in whose branches it is."""
    branches: Branches | None = None
    """Of a router: what it may choose."""


class Linker:
    """Links the steps of one region."""

    def __init__(self, raw: RawRegion, errors: list[Finding], warnings: list[Finding]) -> None:
        self.raw = raw
        self.errors = errors
        self.warnings = warnings
        self.links = {name: Links({}, {}, set(), {}, {}, {}, {}) for name in raw.steps}
        self.handlers: set[str] = set()

    def link(self) -> None:
        """Link all steps."""
        for step in self.raw.steps.values():
            self._link_targets(step)
            self._link_handlers(step)
        for step in self.raw.steps.values():
            self._link_dependencies(step)
            self._link_joins(step)
        for name, links in self.links.items():
            if links.targets:
                self._take_routers_after_targets(name)
        self._find_branches([name for name, step in self.raw.steps.items() if step.form.targets_of is not None])

    def is_handler(self, step: RawStep) -> bool:
        """Return whether a step starts only when it is called."""
        return step.name in self.handlers or step.is_called_inside

    # What names mean

    def resolve(self, scope: str, task_id: str) -> str | Elsewhere:
        """Return the step that ``task_id`` names seen from ``scope``, or that it is elsewhere."""
        inside: str | None = scope
        while inside is not None:
            if (loop := self.raw.scopes[inside].loops.get(task_id)) is not None:
                return loop
            if (found := self.raw.find_below(inside, task_id)) is not None:
                return Elsewhere.satisfied if scope.startswith(f"{found.name}.") else found.name
            inside = self.raw.scopes[inside].parent
        for region, name in scopes_around(self.raw, scope):
            if task_id in region.scopes[name].copies or region.find_below(name, task_id) is not None:
                return Elsewhere.satisfied
        return Elsewhere.missing

    # Edges

    def _link_targets(self, step: RawStep) -> None:
        for member, target in first_of_each(targets_of(step.operator, step.spec)):
            found = self.raw.step_in(step.scope, target)
            if found is None or found.name == step.name:
                detail = f"{step.task_id} leads to {target!r}, and there is no such task beside it."
                self.errors.append(Finding("missing_target", step.pointer(*member), detail))
                continue
            self.links[step.name].targets[target] = found.name
            self.links[found.name].routers[step.name] = None

    def _link_handlers(self, step: RawStep) -> None:
        for member in ("on_success_task_id", "on_failure_task_id"):
            handler = step.spec.get(member)
            if handler is None:
                continue
            if handler == step.task_id:
                self.warnings.append(names_itself(step, member))
                continue
            found = self.raw.step_in(step.scope, handler)
            if found is None:
                detail = f"{step.task_id} names the handler {handler!r}, and there is no such task."
                self.errors.append(Finding("missing_callback", step.pointer(member), detail))
                continue
            self.handlers.add(found.name)
            self.links[found.name].owners[step.name] = None

    def _link_dependencies(self, step: RawStep) -> None:
        named: list[str] = step.spec.get("dependencies", [])
        if self.is_handler(step):
            if named and not step.is_summoned:
                self.warnings.append(ignores_dependencies(step))
                for index, dependency in enumerate(named):
                    self._find_dependency(step, dependency, index)
            return
        joined = joined_twice(step)
        if joined:
            self.warnings.append(ignores_joined(step))
        for index, dependency in enumerate(named):
            if dependency not in joined:
                self._link_dependency(step, dependency, index)
            elif isinstance(found := self.resolve(step.scope, dependency), str):
                self.links[step.name].listed.add(found)

    def _link_dependency(self, step: RawStep, dependency: str, index: int) -> None:
        found = self._find_dependency(step, dependency, index)
        if found is None:
            return
        self.links[step.name].depends.setdefault(found, index)
        self.links[step.name].listed.add(found)
        target = self.raw.steps[found]
        if target.scope and not f"{step.scope}.".startswith(f"{target.scope}."):
            self._warn_of_branch(step, target, step.pointer("dependencies", index))

    def _find_dependency(self, step: RawStep, dependency: str, index: int) -> str | None:
        """Return the step that a dependency names; None if there is nothing to wait for."""
        if dependency == step.task_id:
            self.errors.append(depends_on_itself(step, "dependencies", index))
            return None
        found = self.resolve(step.scope, dependency)
        if found is Elsewhere.missing:
            detail = f"{step.task_id} depends on {dependency!r}, and there is no such task."
            self.errors.append(Finding("missing_dependency", step.pointer("dependencies", index), detail))
        return found if isinstance(found, str) else None

    def _warn_of_branch(self, step: RawStep, target: RawStep, place: str) -> None:
        scope = self.raw.scopes[target.scope]
        if target.place[-2] != "tasks" or "branch_workflows" not in target.place:
            return  # an old parallel names tasks that stand beside it
        detail = f"{step.task_id} depends on {target.task_id}, which is inside the branch {scope.branch}."
        self.warnings.append(Finding("dependency_into_branch", place, detail))

    def _link_joins(self, step: RawStep) -> None:
        member = step.form.joins
        if member is None:
            return
        named: list[str] = step.spec.get(member, [])
        if not named:
            self.errors.append(joins_nothing(step, member))
        for index, joined in enumerate(named):
            found = self.resolve(step.scope, joined)
            if joined == step.task_id:
                self.errors.append(depends_on_itself(step, member, index))
            elif found is Elsewhere.missing:
                detail = f"{step.task_id} joins {joined!r}, and there is no such task."
                self.errors.append(Finding("missing_join_task", step.pointer(member, index), detail))
            elif isinstance(found, str):
                self.links[step.name].joins[found] = None

    def _take_routers_after_targets(self, router: str) -> None:
        """Replace a router's dependencies on its own targets, written before it, by what those depend on outside."""
        links = self.links[router]
        targets = set(links.targets.values())
        early = targets & links.depends.keys()
        if not early:
            return
        step = self.raw.steps[router]
        detail = f"{step.task_id} depends on its own targets; what they depend on counts instead."
        self.warnings.append(Finding("handlers_before_router", step.pointer("dependencies"), detail))
        outside = {name for target in targets for name in self.links[target].depends} - targets - {router}
        links.depends = {name: place for name, place in links.depends.items() if name not in targets}
        for name in sorted(outside):
            links.depends.setdefault(name, None)

    def _find_branches(self, routers: Sequence[str]) -> None:
        """Note for each router what it may choose, and for the steps in its branches that they are there."""
        if not routers:
            return
        after, dependents = self._turn_round()
        places = {name: place for place, name in enumerate(self.raw.steps)}
        for name in routers:
            links, scope = self.links[name], self.raw.steps[name].scope
            targets = frozenset(links.targets.values())
            beside = (other for other in dependents.get(name, ()) if self.raw.steps[other].scope == scope)
            branches = Branches(targets, frozenset(beside) - targets, after, places)
            members = branches.walk(targets)
            links.branches = replace(branches, members=frozenset(members))
            for member in members:
                self.links[member].choosers[name] = None

    def _turn_round(self) -> tuple[dict[str, frozenset[str]], dict[str, list[str]]]:
        """Return for each step those whose dependencies name it, and those that depend on it."""
        after: dict[str, set[str]] = {}
        dependents: dict[str, list[str]] = {}
        for name, links in self.links.items():
            for other in links.listed:
                after.setdefault(other, set()).add(name)
            for other in links.depends:
                dependents.setdefault(other, []).append(name)
        return {name: frozenset(others) for name, others in after.items()}, dependents


def names_itself(step: RawStep, member: str) -> Finding:
    """Return the warning of a step that is its own handler."""
    detail = f"{step.task_id} names itself as its handler; that is ignored."
    return Finding("self_callback", step.pointer(member), detail)


def ignores_dependencies(step: RawStep) -> Finding:
    """Return the warning of a handler that has dependencies."""
    detail = f"{step.task_id} is a handler: it starts when it is called, and its dependencies are ignored."
    return Finding("handler_has_dependencies", step.pointer("dependencies"), detail)


def joined_twice(step: RawStep) -> set[str]:
    """Return what a join names in its dependencies and in its tasks."""
    member = step.form.joins
    joined = [] if member is None else step.spec.get(member, [])
    return set(joined) & set(step.spec.get("dependencies", []))


def ignores_joined(step: RawStep) -> Finding:
    """Return the warning of a join that depends on what it joins."""
    detail = f"{step.task_id} joins {', '.join(sorted(joined_twice(step)))}; the same dependency is ignored."
    return Finding("join_dependency_ignored", step.pointer("dependencies"), detail)


def joins_nothing(step: RawStep, member: str) -> Finding:
    """Return the error of a join without tasks."""
    return Finding("empty_join", step.pointer(member), f"{step.task_id} joins no tasks.")


def depends_on_itself(step: RawStep, member: str, index: int) -> Finding:
    """Return the error of a step that waits for itself."""
    return Finding("self_dependency", step.pointer(member, index), f"{step.task_id} waits for itself.")


def first_of_each(named: Iterable[tuple[T, str]]) -> Iterator[tuple[T, str]]:
    """Yield what names something for the first time: a step is told once that what it names is missing."""
    seen: set[str] = set()
    for where, name in named:
        if name not in seen:
            seen.add(name)
            yield where, name


def targets_of(operator: str, spec: Mapping[str, Json]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Return the targets of a router and where they stand in its node; none of what is no router."""
    find = FORMS[operator].targets_of
    return iter(()) if find is None else find(spec)
