"""How scopes end: branches, iterations and the run itself."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.domain.highway.compiler.plan import Region
from app.domain.highway.compiler.planner import is_stray
from app.domain.highway.compiler.precedence import find_held
from app.domain.highway.engine.effects import RunEnd
from app.domain.highway.engine.reopening import Reopening
from app.domain.highway.engine.sizes import SIZE, is_too_large, size_together, too_large
from app.domain.highway.engine.state import StepState
from app.domain.highway.language.paths import TOP, loop_of, scope_of
from app.schemas.steps import StepStatus
from app.schemas.workflow_runs import RunStatus

_LEAF_FAILURES = frozenset({StepStatus.failed, StepStatus.upstream_failed})


class Ending(Reopening):
    """What follows when all steps of a scope have ended."""

    def look_at_scope(self, path: str, region: str, name: str) -> None:
        """See whether a scope is over, and with it its branch, its iteration or the run."""
        if self.draft.has_open(path):
            self._skip_strays(self.plan.region(region), path)
            return
        states = self.draft.scope(path)
        steps = self.plan.region(region).steps
        has_failed = any(
            state.status in _LEAF_FAILURES and steps[self.step_of(state).name].is_leaf for state in states.values()
        )
        scope = self.plan.region(region).scopes[name]
        if scope.container is not None:
            self._end_branch(scope_of(path), has_failed=has_failed)
        elif region != TOP:
            self._end_iteration(region, has_failed=has_failed)
        else:
            self._end_top(has_failed=has_failed)

    def _skip_strays(self, region: Region, path: str) -> None:
        """Skip handlers that are called only in scopes further in, once all other steps have ended.

        Other handlers do not count, nor does what waits for these, as it would wait for ever.
        """
        if not region.has_strays:
            return
        open_states = [state for state in self.draft.scope(path).values() if state.is_open]
        handlers = [state for state in open_states if self.step_of(state).is_handler]
        strays = [state for state in handlers if self._is_stray(state)]
        if not strays:
            return
        held = find_held(region.held_by, [self.step_of(state).name for state in strays])
        if any(not step.is_handler and step.name not in held for step in map(self.step_of, open_states)):
            return
        for state in strays:
            self.set_aside(state, StepStatus.skipped)

    def _is_stray(self, state: StepState) -> bool:
        step = self.step_of(state)
        return "called" not in state.facts and (is_stray(step) or step.is_summoned)

    def _end_branch(self, container: str, *, has_failed: bool) -> None:
        state = self.draft.find(scope_of(container), container)
        if state is None or not state.facts.get("open"):
            return
        state = self._count_end(state, has_failed=has_failed)
        if self.step_of(state).is_fork:
            self.look_at_dependents(state)
        elif not state.facts["open"] and state.is_open:
            if state.facts["failed"]:
                self.fail(state, {"name": "BranchFailed", "message": "a branch failed"})
            else:
                self.complete_branches(state, state)

    def _end_iteration(self, region: str, *, has_failed: bool) -> None:
        path = loop_of(region)
        state = self.draft.find(scope_of(path), path)
        if state is None or not state.is_open:
            return
        if not has_failed:
            state = self._keep_value(state, region)
        state = self._count_end(state, has_failed=has_failed)
        if state.facts["open"] or self.has_more(state):
            return
        if state.facts["failed"]:
            self.fail(state, {"name": "IterationFailed", "message": "an iteration failed"})
        else:
            self.go_on(state)

    def _count_end(self, container: StepState, *, has_failed: bool) -> StepState:
        """Return a container after one of the scopes in it has ended."""
        facts = container.facts
        counted = {"open": facts["open"] - 1, "failed": has_failed or bool(facts.get("failed"))}
        after = replace(container, facts={**facts, **counted})
        self.draft.put(after)
        return after

    def _keep_value(self, loop: StepState, region: str) -> StepState:
        """Keep what an iteration came to: the result of its last step, or of its last steps by task; count its bytes.

        A value is not read any more, nor kept, with which all together are too large.
        """
        steps = self.plan.region(region).steps
        last = [
            state
            for state in self.draft.scope(region).values()
            if state.status is StepStatus.completed
            and not (step := steps[self.step_of(state).name]).is_handler
            and step.is_last
        ]
        of_value = last[0].facts.get(SIZE, 0) + 1 if len(last) == 1 else size_together(last)
        size = loop.facts.get(SIZE, 0) + of_value
        loop = replace(loop, facts={**loop.facts, SIZE: size})
        if is_too_large(size):
            return loop
        results = {self.step_of(state).task_id: self.draft.result(state.path) for state in last}
        value = next(iter(results.values())) if len(results) == 1 else results
        self.draft.changes.frames[region] = replace(self.draft.frame(region), value=value)
        return loop

    def _end_top(self, *, has_failed: bool) -> None:
        states = self.draft.scope(TOP)
        if self.plan.has_background:
            for state in self.draft.open_below(""):
                self.drop(state)
        named = {
            key: state
            for state in states.values()
            if (key := self.step_of(state).spec.get("result_key")) and state.status is StepStatus.completed
        }
        is_large = is_too_large(size_together(named.values()))
        results = {} if is_large else {key: self.draft.result(state.path) for key, state in named.items()}
        if not has_failed:
            error = too_large("the results of the run's steps") if is_large else None
            status = RunStatus.failed if is_large else RunStatus.completed
            self.finish_run(RunEnd(status, None if is_large else results, error))
            return
        failed = [state for state in states.values() if state.status is StepStatus.failed]
        at_fault = min(failed, key=lambda state: (state.completed_at or self.now, state.path), default=None)
        error = None if at_fault is None else {"name": "StepFailed", "step": at_fault.path, **_as_error(at_fault.error)}
        reason = "upstream" if at_fault is None else None
        self.finish_run(RunEnd(RunStatus.failed, results or None, error, reason))


def _as_error(error: Any) -> dict[str, Any]:
    if isinstance(error, Mapping):
        message = f"{error.get('name') or error.get('type') or 'error'}: {error.get('message', '')}"
        return {"message": message, "cause": dict(error)}
    return {"message": str(error)}
