"""Linked steps made into the plan of their region."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from app.domain.highway.compiler.links import Linker
from app.domain.highway.compiler.outline import RawStep
from app.domain.highway.compiler.pairs import find_forks
from app.domain.highway.compiler.plan import Need, Region, Scope, Step
from app.domain.highway.compiler.precedence import turn_round, waits_of
from app.domain.highway.language.durations import parse_duration
from app.domain.highway.language.rules import TriggerRule

Names = Mapping[tuple[str, str], tuple[str, str]]
"""Steps by steps, both as (region, name)."""


@dataclass(slots=True)
class Planner:
    """Plans one region, once its steps are linked."""

    linker: Linker
    activities: Names
    """The submitted activity that each wait for an event is about."""
    forks: Mapping[str, str | None] = field(default_factory=dict)
    forked: frozenset[str] = frozenset()
    submitted: frozenset[str] = frozenset()
    followers: dict[str, dict[str, None]] = field(default_factory=dict)
    preceding: set[str] = field(default_factory=set)
    """Steps that another step of their own scope, which is no handler, comes after."""
    continued: set[str] = field(default_factory=set)
    """Routers whose choice such a step comes after."""
    followed: set[str] = field(default_factory=set)
    """Steps that another step of their own scope depends on or joins."""

    def plan(self) -> Region:
        """Return the region with all its steps."""
        raw = self.linker.raw
        self.forks = find_forks(raw)
        self.forked = frozenset(name for name in self.forks.values() if name is not None)
        self.submitted = frozenset(name for key, name in self.activities.values() if key == raw.key)
        self._note_followers()
        for router in self.continued:
            branches = self.linker.links[router].branches
            self.preceding |= frozenset() if branches is None else branches.members
        region = Region(raw.key, is_named_outside=raw.is_named_outside, branches=dict(raw.branches))
        for scope in raw.scopes.values():
            steps = tuple(name for name in scope.steps.values() if not raw.steps[name].is_summoned)
            region.scopes[scope.name] = Scope(scope.name, steps, scope.container, scope.branch)
        region.steps = {name: self._step(step) for name, step in raw.steps.items()}
        for name, links in self.linker.links.items():
            if links.branches is not None:
                region.routers[name] = links.branches
            if links.choosers:
                region.choosers[name] = tuple(links.choosers)
        _connect(region)
        _note_held(region)
        return region

    def _step(self, raw: RawStep) -> Step:
        links, spec = self.linker.links[raw.name], raw.spec
        timeout = (spec.get("timeout_policy") or {}).get("timeout") if raw.form.is_work else None
        activity = self.activities.get((self.linker.raw.key, raw.name))
        return Step(
            name=raw.name,
            task_id=raw.task_id,
            scope=raw.scope,
            operator=raw.operator,
            spec=spec,
            needs=tuple(self._need(other) for other in links.depends if not self._is_neutral(raw.name, other)),
            trigger=TriggerRule(spec.get("trigger_rule", TriggerRule.all_success)),
            joins=tuple(self._need(name) for name in links.joins),
            routers=tuple(links.routers),
            gates=self._gates(raw.name) if not links.routers else (),
            owners=tuple(links.owners) if not raw.is_summoned else (),
            is_handler=self.linker.is_handler(raw),
            is_summoned=raw.is_summoned,
            on_success=self._handler(raw, "on_success_task_id"),
            on_failure=self._handler(raw, "on_failure_task_id"),
            is_leaf=not links.targets and raw.name not in self.followed,
            retry=raw.retry,
            timeout_seconds=None if timeout is None else parse_duration(timeout),
            is_fork=raw.name in self.forked,
            waits_for_branches=raw.name in self.forks,
            fork=self.forks.get(raw.name),
            targets=links.targets,
            activity=activity[1] if activity and activity[0] == self.linker.raw.key else None,
            is_submitted=raw.name in self.submitted,
            followers=tuple(self.followers[raw.name]),
            is_last=raw.name not in self.preceding,
        )

    def _need(self, name: str) -> Need:
        """Return what waiting for a step means: of a router, also for what it has chosen."""
        return Need(name, self.linker.links[name].branches)

    def _is_neutral(self, name: str, router: str) -> bool:
        """Return whether a dependency on a router only says that the step is in a branch of it."""
        links = self.linker.links[name]
        return router in links.routers or router in links.choosers

    def _gates(self, name: str) -> tuple[str, ...]:
        """Return the routers in whose branches a step is, the innermost alone."""
        links = self.linker.links[name]
        found = [router for router in links.depends if router in links.choosers]
        around = {outer for inner in found for outer in self.linker.links[inner].choosers}
        return tuple(router for router in found if router not in around)

    def _handler(self, raw: RawStep, member: str) -> str | None:
        handler = raw.spec.get(member)
        if handler is None or handler == raw.task_id:
            return None
        found = self.linker.raw.step_in(raw.scope, handler)
        return None if found is None else found.name

    def _note_followers(self) -> None:
        """Note for each step which others of its scope depend on it, into a branch of it, or on its branch's router."""
        self.followers = {name: {} for name in self.linker.raw.steps}
        for name, links in self.linker.links.items():
            scope = self.linker.raw.steps[name].scope
            is_handler = self.linker.is_handler(self.linker.raw.steps[name])
            for other in (*links.depends, *links.joins):
                beside = self._stand_in(scope, other)
                if beside is None:
                    continue
                self.followers[beside][name] = None
                if not is_handler:
                    self.preceding.add(beside)
                if beside == other:
                    self.followed.add(other)
                    self._follow_choice(other, name, is_handler=is_handler)
            for target in links.targets.values():
                self.followers[name][target] = None
                if not self.linker.is_handler(self.linker.raw.steps[target]):
                    self.preceding.add(name)

    def _follow_choice(self, router: str, name: str, *, is_handler: bool) -> None:
        """Note that a step goes on after what a router has chosen, so that what may be chosen comes before it."""
        branches = self.linker.links[router].branches
        if branches is not None and not is_handler and name not in branches.members:
            self.continued.add(router)

    def _stand_in(self, scope: str, name: str) -> str | None:
        """Return the step of ``scope`` that is, or contains, the step called ``name``."""
        raw = self.linker.raw
        inside: str | None = name
        while inside is not None and raw.steps[inside].scope != scope:
            inside = raw.scopes[raw.steps[inside].scope].container
        return inside


def _connect(region: Region) -> None:
    """Note for each step of a region which others may go on when it ends."""
    dependents: dict[str, dict[str, None]] = {name: {} for name in region.steps}
    continuing: dict[str, dict[str, None]] = {}
    for step in region.steps.values():
        for name in _moved_by(step):
            dependents[name][step.name] = None
        for need in (*step.needs, *step.joins):
            if need.branches is not None:
                continuing.setdefault(need.step, {})[step.name] = None
    region.continuing = {name: tuple(steps) for name, steps in continuing.items()}
    # The inner ones first: what waits for a step inside is also to be told that its container never began.
    for scope in reversed(region.scopes.values()):
        if scope.container is not None:
            for name in scope.steps:
                dependents[scope.container] |= dependents[name]
    for name, others in dependents.items():
        inside = f"{name}."
        region.dependents[name] = tuple(other for other in others if not other.startswith(inside))


def _moved_by(step: Step) -> Iterator[str]:
    """Yield the steps at whose end ``step`` may go on."""
    for need in (*step.needs, *step.joins):
        yield need.step
    yield from (*step.routers, *step.gates, *step.owners)
    if step.fork is not None:
        yield step.fork


def _note_held(region: Region) -> None:
    """Note what would wait for ever for handlers that are called only in scopes further in."""
    has_strays = any(is_stray(step) for step in region.steps.values())
    region.has_strays = has_strays or any(step.is_summoned for step in region.steps.values())
    if has_strays:
        region.held_by = turn_round(waits_of(region))


def is_stray(step: Step) -> bool:
    """Return whether a step is a handler that no step beside it calls or chooses."""
    return step.is_handler and not (step.is_summoned or step.owners or step.routers)
