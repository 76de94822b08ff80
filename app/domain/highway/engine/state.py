"""Where the execution of a run stands, as far as it is known, and what an action changes of that."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from app.domain.json_texts import Json
from milepost.schemas.steps import StepStatus
from milepost.schemas.workflow_runs import RunStatus

OPEN = frozenset({StepStatus.waiting, StepStatus.runnable, StepStatus.running})
SATISFIED = frozenset({StepStatus.completed, StepStatus.skipped})
UNSUCCESSFUL = frozenset({StepStatus.failed, StepStatus.upstream_failed, StepStatus.cancelled})


@dataclass(frozen=True, slots=True)
class StepState:
    """One step of a run. ``facts`` is what its operator remembers, as JSON."""

    path: str
    region: str
    scope: str
    """Path of its scope."""
    operator: str
    status: StepStatus = StepStatus.waiting
    attempt: int = 0
    facts: Mapping[str, Json] = field(default_factory=dict)
    error: Json = None
    due_at: datetime | None = None
    awaits: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Return whether it has not ended."""
        status = self.status
        return status is StepStatus.waiting or status is StepStatus.runnable or status is StepStatus.running

    @property
    def has_begun(self) -> bool:
        """Return whether it was started: an open step that has not begun waits for others, or for a circuit breaker."""
        return self.status is not StepStatus.waiting or self.attempt > self.facts.get("before", 0)


@dataclass(frozen=True, slots=True)
class Frame:
    """The variables of a region, and the steps whose results its names stand for."""

    variables: Mapping[str, Json] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    """Path of the step by `result_key`."""
    ids: Mapping[str, str] = field(default_factory=dict)
    """Path of the step by `task_id`."""
    value: Json = None
    """What the iteration came to."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What is known of the run as a whole."""

    inputs: Json = None
    run: Mapping[str, Json] = field(default_factory=dict)
    """What `{{run.KEY}}` reads."""
    memory: Mapping[str, Json] = field(default_factory=dict)
    breakers: Mapping[str, Json] = field(default_factory=dict)
    """Circuit breakers by function."""
    strict_templates: bool = False
    started_at: datetime | None = None
    deadline_at: datetime | None = None
    status: RunStatus = RunStatus.running


@dataclass(frozen=True, slots=True)
class Emitted:
    """An event that was emitted."""

    payload: Json
    at: datetime


class Part(StrEnum):
    """A part of the state that can be loaded by itself, by its key."""

    scope = "scope"
    """The steps of one scope, by its path; without their results."""
    result = "result"
    """The result of one step, by its path."""
    frame = "frame"
    """By the path of its region."""
    values = "values"
    """The values of all iterations of a loop, by its path."""
    open_steps = "open_steps"
    """All open steps below a path, and those whose work item is open."""
    event = "event"
    """By its name."""
    awaiting = "awaiting"
    """Which steps wait for an event, by its name."""


class NotLoaded(LookupError):
    """A part of the state is needed that is not known yet: load it, and take the action again."""

    def __init__(self, part: Part, key: str) -> None:
        super().__init__(f"{part} {key!r}")
        self.part = part
        self.key = key


@dataclass(slots=True)
class State:
    """What is known of a run. A whole one knows everything; of another, parts are loaded as they are asked for."""

    run: RunFacts
    is_whole: bool = True
    scopes: dict[str, dict[str, StepState]] = field(default_factory=dict)
    results: dict[str, Json] = field(default_factory=dict)
    frames: dict[str, Frame] = field(default_factory=dict)
    events: dict[str, Emitted | None] = field(default_factory=dict)
    awaiting: dict[str, set[str]] = field(default_factory=dict)
    """Paths (and scopes) of the steps that wait for an event, as far as loaded."""
    open_below: dict[str, list[StepState]] = field(default_factory=dict)
    values: dict[str, list[Json]] = field(default_factory=dict)
    steps: dict[str, StepState] = field(default_factory=dict)
    """Every step that is known, by its path."""

    def put(self, step: StepState) -> None:
        """Know ``step`` as it stands now; its scope only if that is known as a whole."""
        self.steps[step.path] = step
        if self.is_whole:
            self.scopes.setdefault(step.scope, {})
            if step.awaits is not None:
                self.awaiting.setdefault(step.awaits, set()).add(step.path)
        if step.scope in self.scopes:
            self.scopes[step.scope][step.path] = step

    def learn_scope(self, path: str, steps: Iterable[StepState]) -> None:
        """Know the scope at ``path``: its stored ``steps``, unless they are known as they stand since."""
        known = {step.path: self.steps.get(step.path, step) for step in steps}
        newer = {step.path: step for step in self.steps.values() if step.scope == path}
        self.scopes[path] = known | newer
        self.steps |= known


@dataclass(slots=True)
class Changes:
    """What an action has changed: to be written down, and to be merged into the state."""

    run: RunFacts | None = None
    steps: dict[str, StepState] = field(default_factory=dict)
    results: dict[str, Json] = field(default_factory=dict)
    frames: dict[str, Frame] = field(default_factory=dict)
    events: dict[str, Emitted] = field(default_factory=dict)
    scopes: set[str] = field(default_factory=set)
    """Paths of scopes that have begun."""


class Draft:
    """A state with the changes of one action on it; the state itself stays as it is."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.changes = Changes()
        self._new: dict[str, dict[str, StepState]] = {}
        self._awaits: dict[str, set[str]] = {}

    @property
    def run(self) -> RunFacts:
        """Return what is known of the run."""
        return self.changes.run or self._state.run

    def change_run(self, **facts: Json) -> None:
        """Change facts of the run."""
        self.changes.run = replace(self.run, **facts)

    def begin_scope(self, path: str) -> None:
        """Know the scope at ``path`` as one that has no steps yet."""
        self.changes.scopes.add(path)

    def scope(self, path: str) -> dict[str, StepState]:
        """Return the steps of the scope at ``path``, by path; empty if it has not begun. Raises NotLoaded."""
        known = self._state.scopes.get(path)
        if known is None and not self._state.is_whole and path not in self.changes.scopes:
            raise NotLoaded(Part.scope, path)
        new = self._new.get(path)
        if not known:
            return new or {}
        return {**known, **new} if new else known

    def has_open(self, path: str) -> bool:
        """Return whether any step of the scope at ``path`` has not ended. Raises NotLoaded."""
        new = self._new.get(path, {})
        if any(step.is_open for step in new.values()):
            return True
        known = self._state.scopes.get(path)
        if known is None:
            known = self.scope(path)
        return any(step.is_open and step.path not in new for step in reversed(known.values()))

    def find(self, scope: str, path: str) -> StepState | None:
        """Return a step of the scope at ``scope``; None if it does not exist. Raises NotLoaded."""
        changed = self.changes.steps.get(path)
        if changed is not None:
            return changed
        known = self._state.scopes.get(scope)
        return self.scope(scope).get(path) if known is None else known.get(path)

    def put(self, step: StepState) -> None:
        """Change or add a step."""
        self.changes.steps[step.path] = step
        self._new.setdefault(step.scope, {})[step.path] = step
        if step.awaits is not None:
            self._awaits.setdefault(step.awaits, set()).add(step.path)

    def result(self, path: str) -> Json:
        """Return the result of the step at ``path``. Raises NotLoaded."""
        for results in (self.changes.results, self._state.results):
            if path in results:
                return results[path]
        if self._state.is_whole:
            return None
        raise NotLoaded(Part.result, path)

    def frame(self, region: str) -> Frame:
        """Return the frame of a region. Raises NotLoaded."""
        found = self.changes.frames.get(region) or self._state.frames.get(region)
        if found is None:
            if not self._state.is_whole:
                raise NotLoaded(Part.frame, region)
            found = Frame()
        return found

    def event(self, name: str) -> Emitted | None:
        """Return the first emit of an event; None if there was none. Raises NotLoaded."""
        if name in self.changes.events:
            return self.changes.events[name]
        if name not in self._state.events and not self._state.is_whole:
            raise NotLoaded(Part.event, name)
        return self._state.events.get(name)

    def keep_event(self, name: str, payload: Json, at: datetime) -> Emitted:
        """Note the first emit of an event."""
        self.changes.events[name] = Emitted(payload, at)
        return self.changes.events[name]

    def awaiting(self, name: str) -> list[StepState]:
        """Return the steps that wait for an event. Raises NotLoaded."""
        paths = self._state.awaiting.get(name)
        if paths is None and not self._state.is_whole:
            raise NotLoaded(Part.awaiting, name)
        found = [
            self.changes.steps.get(path) or self._state.steps[path]
            for path in sorted({*(paths or ()), *self._awaits.get(name, ())})
        ]
        return [step for step in found if step.awaits == name and step.is_open]

    def open_below(self, prefix: str) -> list[StepState]:
        """Return the steps below ``prefix`` that have not ended, or whose work item has not. Raises NotLoaded."""
        loaded = self._state.open_below
        if self._state.is_whole:
            known: Iterable[StepState] = self._state.steps.values()
        elif (above := next((above for above in loaded if prefix.startswith(above)), None)) is not None:
            known = loaded[above]
        else:
            raise NotLoaded(Part.open_steps, prefix)
        current = {step.path: step for step in known} | self.changes.steps
        return [
            step
            for path, step in sorted(current.items())
            if path.startswith(prefix) and (step.is_open or step.facts.get("submitted") == "open")
        ]

    def values(self, loop: str, count: int) -> list[Json]:
        """Return the values of the iterations of a loop, in their order. Raises NotLoaded."""
        paths = [f"{loop}[{index}]" for index in range(count)]
        known = [self.changes.frames.get(path) or self._state.frames.get(path) for path in paths]
        stored = self._state.values.get(loop)
        if stored is None and None in known and not self._state.is_whole:
            raise NotLoaded(Part.values, loop)
        return [
            frame.value if frame is not None else stored[index] if stored is not None and index < len(stored) else None
            for index, frame in enumerate(known)
        ]


def merge(state: State, changes: Changes) -> None:
    """Make ``state`` what ``changes`` have made of it."""
    state.run = changes.run or state.run
    for path in changes.scopes:
        state.scopes.setdefault(path, {})
    for step in changes.steps.values():
        state.put(step)
    state.results |= changes.results
    state.frames |= changes.frames
    state.events |= changes.events
    for name, paths in state.awaiting.items():
        paths |= {step.path for step in changes.steps.values() if step.awaits == name}
    if not state.is_whole:
        state.values.clear()
        state.open_below.clear()
