"""What the names in templates and conditions stand for, seen from a step."""

from collections.abc import Iterator, Mapping, Sequence

from app.domain.highway.compiler.plan import Plan
from app.domain.highway.engine.state import Draft, Frame, StepState
from app.domain.highway.language.expressions import Segment
from app.domain.highway.language.paths import TOP, outer_region, scope_of
from app.domain.json_texts import Json

_DENIED = frozenset({"ENV", "secrets"})
_OWN_RESULT = ("output", "result")
_OF_RUN = frozenset({"ds", "data_interval_start", "data_interval_end"})
_OF_FAILURE = frozenset({"failed_task_id", "error_message"})

Found = tuple[Json, int] | None
"""A value and how many segments of a path named it; None: there is none."""


class Names:
    """The context of a step: loop variables, results of other steps, variables, inputs and the facts of the run."""

    def __init__(self, plan: Plan, draft: Draft, state: StepState, own: Mapping[str, Json] | None = None) -> None:
        self._plan = plan
        self._draft = draft
        self._state = state
        self._own = {**state.facts.get("called", {}), **(own or {})}

    def find(self, path: Sequence[Segment]) -> Found:
        """Return the value that the first segments of ``path`` name and how many those were; None: there is none."""
        head = path[0]
        if head in _DENIED or not isinstance(head, str):
            return None
        return self._find_in_namespace(head, path) or self._find_plain(head, path) or self._find_failure(head)

    def _find_in_namespace(self, head: str, path: Sequence[Segment]) -> Found:
        run = self._draft.run
        if head in _OF_RUN:
            return (run.run[head], 1) if head in run.run else None
        if len(path) == 1:
            whole = {"inputs": run.inputs, "variables": self._plan.variables, "memory": run.memory, "run": run.run}
            return (whole[head], 1) if head in whole and self._find_plain(head, path) is None else None
        key = path[1]
        if head == "results" and isinstance(key, str):
            found = self._find_result(key, path[1:])
            return found and (found[0], found[1] + 1)
        values = self._namespace(head)
        return (values[key], 2) if isinstance(values, Mapping) and key in values else None

    def _namespace(self, head: str) -> Json:
        run = self._draft.run
        match head:
            case "workflow":
                return {**run.run, "name": self._plan.name, "version": self._plan.version}
            case "variables":
                return self._plan.variables
            case "inputs":
                return run.inputs
            case "memory":
                return run.memory
            case "run":
                return run.run
        return None

    def _find_plain(self, head: str, path: Sequence[Segment]) -> Found:
        if head in self._own:
            return self._find_own(head, path)
        variables = [frame.variables for frame in self._frames() if frame.variables]
        for known in variables:
            if head in known:
                return known[head], 1
        if head == "loop_context" and variables:
            return {name: value for known in reversed(variables) for name, value in known.items()}, 1
        found = self._find_result(head, path)
        if found is not None:
            return found
        for values in (self._plan.variables, self._draft.run.inputs):
            if isinstance(values, Mapping) and head in values:
                return values[head], 1
        return None

    def _find_own(self, head: str, path: Sequence[Segment]) -> Found:
        value = self._own[head]
        is_own_result = head == self._plan.step(self._state.region, self._state.path).task_id
        if is_own_result and len(path) > 1 and path[1] in _OWN_RESULT and not _has(value, path[1]):
            return value, 2
        return value, 1

    def _find_result(self, name: str, path: Sequence[Segment]) -> Found:
        """Return the result that a step of this region, or of one around it, has under ``name``."""
        by_key = next((frame.keys[name] for frame in self._frames() if name in frame.keys), None)
        by_id = next((frame.ids[name] for frame in self._frames() if name in frame.ids), None)
        step = by_id if by_key is None else by_key
        if step is None:
            return None
        value = self._draft.result(step)
        if by_id is None or len(path) == 1 or path[1] not in _OWN_RESULT:
            return value, 1
        return (value, 1) if _has(value, path[1]) else (self._draft.result(by_id), 2)

    def _find_failure(self, head: str) -> Found:
        """Return what a handler was told of a failure, to the steps inside of it."""
        if head not in _OF_FAILURE:
            return None
        inside = scope_of(self._state.path)
        while inside:
            container = inside[: inside.rfind("[")] if inside.endswith("]") else scope_of(inside)
            found = self._draft.find(scope_of(container), container)
            called = {} if found is None else found.facts.get("called", {})
            if head in called:
                return called[head], 1
            inside = scope_of(container)
        return None

    def _frames(self) -> Iterator[Frame]:
        region = self._state.region
        while region != TOP:
            yield self._draft.frame(region)
            region = outer_region(region)
        yield self._draft.frame(TOP)


def _has(value: Json, member: Segment) -> bool:
    return isinstance(value, Mapping) and member in value
