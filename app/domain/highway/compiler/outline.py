"""A document taken apart: which steps there are, in which regions and scopes, before anything is linked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from app.domain.highway.compiler.plan import RetryRule
from app.domain.highway.document.checks import named_in_bodies
from app.domain.highway.document.findings import Finding, pointer_to
from app.domain.highway.document.forms import Bond, Form, Inside
from app.domain.highway.document.operators.table import FORMS
from app.domain.highway.language.durations import parse_duration
from app.domain.highway.language.paths import TOP
from app.domain.json_texts import Json

Place = tuple[str | int, ...]
"""Where something stands in the document, member by member."""
Nodes = dict[str, tuple[Mapping[str, Json], Place]]
"""Nodes of the document and where they stand, by task id."""
STEPS_MOST = 50_000
"""How many steps a definition may have, together with the copies of handlers that are called in inner scopes."""
_MAX_RETRIES, _DELAY_SECONDS, _FACTOR = 3, 5.0, 2.0


@dataclass(slots=True)
class RawStep:
    """A node of the document in its scope."""

    name: str
    task_id: str
    scope: str
    operator: str
    spec: Mapping[str, Json]
    place: Place
    retry: RetryRule | None
    is_summoned: bool = False
    """A handler that exists once it is called: it is defined further out."""
    is_called_inside: bool = False
    """Steps of scopes further in name it as their handler."""

    @property
    def form(self) -> Form:
        """Return what is known of its operator."""
        return FORMS[self.operator]

    def pointer(self, *parts: str | int) -> str:
        """Return the pointer to a member of the node."""
        return pointer_to(*self.place, *parts)


@dataclass(slots=True)
class RawScope:
    """A level of a region, or a branch."""

    name: str
    parent: str | None = None
    container: str | None = None
    branch: str | None = None
    steps: dict[str, str] = field(default_factory=dict)
    """Names of its steps by task id."""
    copies: frozenset[str] = frozenset()
    """Ids of nodes that stand here too although they belong into the body of a loop; nothing of them counts."""
    loops: dict[str, str] = field(default_factory=dict)
    """For each copy the name of the loop beside it in whose body it is."""
    default_retry: RetryRule | None = None


@dataclass(slots=True)
class RawRegion:
    """The run, or what one iteration of a loop consists of."""

    key: str
    outer: "RawRegion | None" = None
    outer_scope: str = TOP
    """Name of the scope that its loop stands in."""
    is_named_outside: bool = False
    """What it comes to is named in the region around it."""
    steps: dict[str, RawStep] = field(default_factory=dict)
    scopes: dict[str, RawScope] = field(default_factory=dict)
    branches: dict[str, tuple[str, ...]] = field(default_factory=dict)
    keyed: dict[tuple[Bond, str], list[RawStep]] = field(default_factory=dict)
    """Its steps that others are bound to, by `result_key`."""
    below: dict[tuple[str, str], RawStep] = field(default_factory=dict)
    """The first step of an id in a scope or in the branches of its steps, by scope and id."""

    def find_below(self, scope: str, task_id: str) -> RawStep | None:
        """Return the step of this id in a scope, or else in the branches of its steps; None if there is none."""
        beside = self.step_in(scope, task_id)
        return beside if beside is not None and not beside.is_summoned else self.below.get((scope, task_id))

    def note_below(self, step: RawStep) -> None:
        """Let a step be found from its scope and from those around it in this region."""
        scope: str | None = step.scope
        while scope is not None:
            self.below.setdefault((scope, step.task_id), step)
            scope = self.scopes[scope].parent

    def step_in(self, scope: str, task_id: str) -> RawStep | None:
        """Return the step of a scope that has this task id."""
        name = self.scopes[scope].steps.get(task_id)
        return None if name is None else self.steps[name]


class _TooManyStepsError(Exception):
    """Handlers that are called in inner scopes call others: together they are too many steps."""


class Reader:
    """Reads a document into regions, and finds what is empty or missing inside of nodes."""

    def __init__(self) -> None:
        self.regions: dict[str, RawRegion] = {}
        self.errors: list[Finding] = []
        self.is_too_large = False
        self._count = 0

    def read(self, document: Mapping[str, Json]) -> None:
        """Read a whole document."""
        tasks = document.get("tasks") or {}
        if not tasks:
            self.errors.append(Finding("empty_workflow", "/tasks", "A workflow needs at least one task."))
        nodes: Nodes = {name: (_without_nulls(node), ("tasks", name)) for name, node in tasks.items()}
        self._read_region(RawRegion(TOP), nodes, read_retry(document.get("default_retry_policy")))
        try:
            for region in list(self.regions.values()):
                self._summon_handlers(region)
        except _TooManyStepsError:
            detail = (
                f"The handlers that are called in branches and loops make it more than {STEPS_MOST} steps, as each"
                " scope has its own; let fewer of them call others."
            )
            self.errors.append(Finding("bad_value", "/tasks", detail))
            self.is_too_large = True

    def _read_region(self, region: RawRegion, nodes: Nodes, default: RetryRule | None) -> None:
        self.regions[region.key] = region
        self._read_scope(region, RawScope(TOP, default_retry=default), nodes)

    def _read_scope(self, region: RawRegion, scope: RawScope, nodes: Nodes) -> None:
        region.scopes[scope.name] = scope
        inside = named_in_bodies(node for node, _ in nodes.values())
        scope.copies = frozenset(inside & nodes.keys())
        own = {task_id: node for task_id, node in nodes.items() if task_id not in inside}
        moved = _old_branches(own)
        for task_id, (node, place) in own.items():
            if task_id not in moved:
                step = self._read_step(region, scope, task_id, node, place, own)
                scope.loops |= dict.fromkeys(scope.copies.intersection(named_in_bodies([node])), step.name)

    def _read_step(
        self,
        region: RawRegion,
        scope: RawScope,
        task_id: str,
        node: Mapping[str, Json],
        place: Place,
        own: Nodes,
        *,
        is_summoned: bool = False,
    ) -> RawStep:
        self._count += 1
        if is_summoned and self._count > STEPS_MOST:
            raise _TooManyStepsError
        operator = node["operator_type"]
        form = FORMS[operator]
        name = f"{scope.name}.{task_id}" if scope.name else task_id
        retry = read_retry(node.get("retry_policy")) or scope.default_retry if form.is_work else None
        step = RawStep(name, task_id, scope.name, operator, node, place, retry, is_summoned)
        region.steps[name] = step
        scope.steps[task_id] = name
        if form.offers is not None and (key := node.get("result_key")):
            region.keyed.setdefault((form.offers, key), []).append(step)
        if not is_summoned:
            region.note_below(step)
        if form.inside is Inside.branches:
            self._read_branches(region, scope, step, own)
        elif form.inside is Inside.iterations:
            self._read_body(region, scope, step)
        return step

    def _read_branches(self, region: RawRegion, scope: RawScope, step: RawStep, own: Nodes) -> None:
        workflows: Mapping[str, Json] = step.spec.get("branch_workflows", {})
        listed: Mapping[str, Json] = step.spec.get("branches", {})
        names = dict.fromkeys(workflows or listed)
        region.branches[step.name] = tuple(f"{step.name}.{branch}" for branch in names)
        for branch in names:
            inner = RawScope(f"{step.name}.{branch}", scope.name, step.name, branch, default_retry=scope.default_retry)
            if branch in workflows:
                workflow = _without_nulls(workflows[branch])
                inner.default_retry = read_retry(workflow.get("default_retry_policy")) or scope.default_retry
                place = (*step.place, "branch_workflows", branch, "tasks")
                tasks: Mapping[str, Json] = workflow.get("tasks", {})
                nodes: Nodes = {task_id: (_without_nulls(node), (*place, task_id)) for task_id, node in tasks.items()}
            else:
                nodes = self._named_tasks(step, branch, own)
            self._read_scope(region, inner, nodes)

    def _named_tasks(self, step: RawStep, branch: str, own: Nodes) -> Nodes:
        """Return the tasks of the same level that an old parallel names as its branch."""
        listed = step.spec["branches"][branch]
        names = listed.get("tasks", []) if isinstance(listed, Mapping) else listed
        key = ("branches", branch, "tasks") if isinstance(listed, Mapping) else ("branches", branch)
        for index, name in enumerate(names):
            if name not in own:
                detail = f"{step.task_id} has {name!r} in its branch {branch}, and there is no such task."
                self.errors.append(Finding("missing_target", step.pointer(*key, index), detail))
        return {name: own[name] for name in names if name in own and name != step.task_id}

    def _read_body(self, region: RawRegion, scope: RawScope, step: RawStep) -> None:
        body: Sequence[Mapping[str, Json]] = step.spec.get("loop_body", [])
        if not body:
            detail = f"{step.task_id} is a loop without steps in its body."
            self.errors.append(Finding("empty_loop_body", step.pointer("loop_body"), detail))
        inner = RawRegion(
            key=f"{region.key}.{step.name}[]" if region.key else f"{step.name}[]",
            outer=region,
            outer_scope=scope.name,
            is_named_outside=step.form.is_named_outside,
        )
        nodes: Nodes = {
            node["task_id"]: (_without_nulls(node), (*step.place, "loop_body", index))
            for index, node in enumerate(body)
        }
        self._read_region(inner, nodes, scope.default_retry)

    # Handlers that are defined further out

    def _summon_handlers(self, region: RawRegion) -> None:
        """Give every scope its own copy of the handlers that its steps name and that are defined outside."""
        waiting = list(region.steps.values())
        while waiting:
            step = waiting.pop()
            for member in ("on_success_task_id", "on_failure_task_id"):
                handler = step.spec.get(member)
                if handler is None or handler in region.scopes[step.scope].steps:
                    continue
                if (found := find_outside(region, step.scope, handler)) is not None:
                    waiting.append(self._summon(region, step.scope, found))

    def _summon(self, region: RawRegion, scope: str, found: RawStep) -> RawStep:
        found.is_called_inside = True
        return self._read_step(
            region, region.scopes[scope], found.task_id, found.spec, found.place, {}, is_summoned=True
        )


def find_outside(region: RawRegion, scope: str, task_id: str) -> RawStep | None:
    """Return the step of this id in the scopes around ``scope``, the nearest first; None if there is none."""
    for around, name in scopes_around(region, scope):
        if (found := around.step_in(name, task_id)) is not None:
            return found
    return None


def scopes_around(region: RawRegion, scope: str) -> Iterator[tuple[RawRegion, str]]:
    """Yield the scopes around one, from the inside out."""
    inside: RawRegion | None = region
    name = scope
    while inside is not None:
        parent = inside.scopes[name].parent
        if parent is not None:
            name = parent
        else:
            name, inside = inside.outer_scope, inside.outer
        if inside is not None:
            yield inside, name


def read_retry(policy: Mapping[str, Json] | None) -> RetryRule | None:
    """Return the retry policy that a member of the document is; None without one."""
    if policy is None:
        return None
    given = _without_nulls(policy)
    return RetryRule(
        max_retries=given.get("max_retries", _MAX_RETRIES),
        delay_seconds=parse_duration(given.get("delay", _DELAY_SECONDS)),
        factor=given.get("backoff_factor", _FACTOR),
    )


def _without_nulls(node: Json) -> dict[str, Json]:
    """Return the members of a node; of a copy of a step in a loop, whose form is nobody's business, maybe none."""
    return {name: value for name, value in node.items() if value is not None} if isinstance(node, Mapping) else {}


def _old_branches(own: Nodes) -> set[str]:
    """Return the ids of tasks that belong to a step of the same level which names them as a branch."""
    moved: set[str] = set()
    for task_id, (node, _) in own.items():
        if FORMS[node["operator_type"]].takes_from_beside and not node.get("branch_workflows"):
            moved |= {name for names in (node.get("branches") or {}).values() for name in names if name != task_id}
    return moved
