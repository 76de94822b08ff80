"""How steps begin that contain branches."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from app.domain.highway.compiler.plan import Need
from app.domain.highway.engine.sizes import SIZE, is_too_large, size_together, too_large
from app.domain.highway.engine.state import UNSUCCESSFUL, StepState
from app.domain.highway.engine.working import Working
from app.domain.highway.language.conditions import evaluate
from app.schemas.steps import StepStatus


class Containing(Working):
    """Parallels, forks and multi_choices."""

    # Branches

    def start_parallel(self, state: StepState) -> None:
        """Begin all branches."""
        self._begin_branches(state, self.plan.region(state.region).branches.get(self.step_of(state).name, ()))

    def start_multi_choice(self, state: StepState) -> None:
        """Begin the branches whose condition holds."""
        step = self.step_of(state)
        names = self.names(state)
        chosen = {
            scope: scope[len(step.name) + 1 :]
            for scope in self.plan.region(state.region).branches.get(step.name, ())
            if evaluate(step.spec["branches"][scope[len(step.name) + 1 :]]["condition"], names)
        }
        least = step.spec.get("minimum_branches", 1)
        if len(chosen) < least:
            message = f"{len(chosen)} branches were chosen; at least {least} must be"
            self.fail(state, {"name": "TooFewBranches", "message": message})
            return
        if chosen:
            self.effects.activated.append((state.path, list(chosen.values())))
        self._begin_branches(state, list(chosen))

    def _begin_branches(self, state: StepState, branches: Sequence[str]) -> None:
        region = self.plan.region(state.region)
        step = self.step_of(state)
        begun = [region.scopes[name] for name in branches if region.scopes[name].steps]
        started = self.mark_started(state, facts={**state.facts, "open": len(begun), "begun": list(branches)})
        for scope in begun:
            self.begin_scope(state, state.region, scope)
        self.look_at_dependents(started)
        if step.is_fork or not begun:
            self.complete(started, {region.scopes[name].branch: {} for name in branches})
        else:
            self.limit_branches(started)

    def limit_branches(self, state: StepState) -> None:
        """Let the time-out of the branches run from now on, if there is one."""
        if (timeout := self.step_of(state).spec.get("timeout")) is not None:
            self.draft.put(replace(state, due_at=self.after(timeout)))

    def complete_branches(self, state: StepState, container: StepState) -> None:
        """Complete a step with the results of a container's branches, unless they are too large together."""
        scopes = self.plan.region(container.region).scopes
        paths = (f"{container.path}.{scopes[name].branch}" for name in container.facts.get("begun", ()))
        steps = (step for path in paths for step in self.draft.scope(path).values())
        size = size_together(step for step in steps if step.status is StepStatus.completed)
        if is_too_large(size):
            self.fail(state, too_large(f"the results in the branches of {container.path}"))
        else:
            self.complete(state, self._branch_results(container), **{SIZE: size})

    def _branch_results(self, container: StepState) -> dict[str, dict[str, Any]]:
        """Return the results of a container's branches: by branch and task."""
        region = self.plan.region(container.region)
        results: dict[str, dict[str, Any]] = {}
        for name in container.facts.get("begun", ()):
            branch = region.scopes[name].branch or ""
            of_branch = results.setdefault(branch, {})
            for state in self.draft.scope(f"{container.path}.{branch}").values():
                if state.status is StepStatus.completed:
                    of_branch[state.path.rpartition(".")[2]] = self.draft.result(state.path)
        return results

    # Forks

    def start_wait_for_branches(self, state: StepState) -> None:
        """Wait for the branches of a fork, if they are not over."""
        if self.look_at_fork(self.mark_started(state)):
            return
        self.effects.builtin_waiting.append(state.path)
        seconds = self.resolve(state, self.step_of(state).spec.get("kwargs", {})).get("timeout_seconds")
        if isinstance(seconds, int | float) and not isinstance(seconds, bool):
            self.draft.put(replace(self.current(state), due_at=self.after(seconds)))

    def look_at_fork(self, state: StepState) -> bool:
        """End a step that waits for the branches of a fork if they are over; whether it has ended."""
        step = self.step_of(state)
        fork = None if step.fork is None else self.find(state, step.fork)
        if fork is None:
            is_coming = step.fork is not None and self.standing(state, Need(step.fork)) is None
            if not is_coming:
                self.complete(state, {})
            return not is_coming
        if fork.is_open or fork.facts.get("open", 0):
            return False
        if fork.status in UNSUCCESSFUL or fork.facts.get("failed"):
            self.fail(state, {"name": "BranchFailed", "message": f"a branch of {fork.path} did not succeed"})
        else:
            self.complete_branches(state, fork)
        return True
