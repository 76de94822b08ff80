"""What a definition is for its execution: regions, the scopes in them, and the steps with what each waits for.

A region is what has its own loop variables: the run, or one iteration of a loop. Its scopes are its own level and the
branches of the parallels in it. Inside a region a step is known by its name, which is its path without that of the
region: `extract`, or `fork.left.load`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from app.domain.highway.language.paths import TOP, name_in
from app.domain.highway.language.rules import TriggerRule
from app.domain.json_texts import Json

Node = tuple[str, bool | None]
"""A step, and whether its end is meant and not its start; None: the end of what a router may choose."""
_BRANCHES_KNOWN = 16
_INDEX = re.compile(r"\[\d+\]")
_NUMBER = re.compile(r"#\d+")


@dataclass(frozen=True, slots=True, eq=False)
class Branches:
    """What a router may choose: the branch of a target is it, and what depends on the router and on a step of it.

    Branches are found when they are asked for: those of many targets may have the same end, and all of them together
    would be as large as the square of the definition.
    """

    targets: frozenset[str]
    inner: frozenset[str]
    """Steps beside the router that depend on it, and are none of its targets."""
    after: Mapping[str, frozenset[str]]
    """For each step of the region those whose dependencies name it."""
    places: Mapping[str, int]
    """Where each step of the region stands in it."""
    members: frozenset[str] = frozenset()
    """The steps of all branches."""
    known: dict[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    """Branches that were asked for lately."""

    def branch_of(self, target: str) -> tuple[str, ...]:
        """Return the steps of the branch of a target; empty for what is none."""
        if target not in self.targets:
            return ()
        found = self.known.get(target)
        if found is None:
            if len(self.known) >= _BRANCHES_KNOWN:
                self.known.clear()
            found = self.known[target] = self.walk([target])
        return found

    def walk(self, targets: Iterable[str]) -> tuple[str, ...]:
        """Return the steps of the branches of these targets."""
        found = list(dict.fromkeys(targets))
        seen = set(found)
        left = list(found)
        while left:
            # Both are sets: to take the keys of a mapping away goes through all of them.
            next_ones = (self.after.get(left.pop(), frozenset()) & self.inner) - seen
            more = sorted(next_ones, key=self.places.__getitem__)
            seen.update(more)
            found += more
            left += more
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Need:
    """A step that another waits for; of a router, also what it has chosen."""

    step: str
    branches: Branches | None = None
    """Of a router: what it may choose. None: the step alone."""


@dataclass(frozen=True, slots=True)
class RetryRule:
    """How often a failed attempt is followed by another, and after how many seconds."""

    max_retries: int
    delay_seconds: float
    factor: float


@dataclass(frozen=True, slots=True)
class Step:
    """A node of the definition."""

    name: str
    task_id: str
    scope: str
    """Name of the scope in its region: `TOP`, or such as `fork.left`."""
    operator: str
    spec: Mapping[str, Json]
    """The node as the document has it, without nulls."""
    needs: tuple[Need, ...] = ()
    trigger: TriggerRule = TriggerRule.all_success
    joins: tuple[Need, ...] = ()
    """What a join waits for."""
    routers: tuple[str, ...] = ()
    """Routers of which it is a target: it starts only when one has chosen it."""
    gates: tuple[str, ...] = ()
    """Routers in whose branches it is, further on than a target."""
    owners: tuple[str, ...] = ()
    """Steps of its own scope that call it when they end."""
    is_handler: bool = False
    """It starts only when it is called."""
    is_summoned: bool = False
    """A handler that is defined outside: it exists once it is called."""
    on_success: str | None = None
    """Name of its handler."""
    on_failure: str | None = None
    is_leaf: bool = True
    """No dependency, join or choice leads on from it: its failure is that of its scope."""
    retry: RetryRule | None = None
    timeout_seconds: float | None = None
    """Of one attempt."""
    is_fork: bool = False
    """A parallel that is over at once: another step waits for its branches."""
    waits_for_branches: bool = False
    """A task that the service does itself: it waits for the branches of ``fork``."""
    fork: str | None = None
    """The fork whose branches it waits for; None: there is none, and it waits for nothing."""
    targets: Mapping[str, str] = field(default_factory=dict)
    """Of a router: the names of its targets, by how the document calls them."""
    activity: str | None = None
    """Of a wait for an event: the submitted activity in its region whose report that is."""
    is_submitted: bool = False
    """An activity that is over at its submission: an event carries its result."""
    followers: tuple[str, ...] = ()
    """Steps of its scope that depend on it, or on a step inside of it; not those that wait for its router's choice."""
    is_last: bool = True
    """Nothing in its scope but handlers depends on it, nor waits for the choice of a router whose branch it is in."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Steps that live and end together: a level of a region, or a branch in it."""

    name: str
    steps: tuple[str, ...]
    """Those that exist from its beginning."""
    container: str | None = None
    """The step whose branch it is."""
    branch: str | None = None


@dataclass(slots=True)
class Region:
    """All steps that share the same loop variables."""

    key: str
    """`TOP`, or the path of its loop with `[]`, such as `loop[].inner[]`."""
    steps: dict[str, Step] = field(default_factory=dict)
    scopes: dict[str, Scope] = field(default_factory=dict)
    dependents: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """For each step those that may go on when it ends."""
    routers: dict[str, Branches] = field(default_factory=dict)
    """For each router what it may choose."""
    choosers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """For each step in the branch of a router: these routers."""
    continuing: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """For each router the steps that go on after what it has chosen."""
    branches: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """For each parallel the names of its branches' scopes."""
    is_named_outside: bool = False
    """Its results are named in the region around it."""
    has_strays: bool = False
    """There are handlers that no step beside them calls, or that come to be when they are called."""
    held_by: dict[Node, list[Node]] = field(default_factory=dict)
    """Where there are strays: for the start and the end of each step what cannot come before it."""


@dataclass(slots=True)
class Plan:
    """A definition, ready to be executed."""

    name: str
    version: str
    variables: Mapping[str, Json]
    regions: dict[str, Region]
    deadline_seconds: float | None = None
    deadline_action: str = "fail"
    has_background: bool = False
    """Work may be open that nothing waits for: that of forks and of submitted activities."""

    def region(self, path: str) -> Region:
        """Return the region that the region or iteration at ``path`` is one of."""
        if not path:
            return self.regions[TOP]
        key = _INDEX.sub("[]", path)
        return self.regions[_NUMBER.sub("", key) if "#" in key else key]

    def step(self, region: str, path: str) -> Step:
        """Return what the step at ``path`` in the region at ``region`` is one of."""
        return self.region(region).steps[name_in(region, path)]
