"""How steps begin that contain others: branches and iterations."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from app.domain.highway.conditions import evaluate
from app.domain.highway.plan import TOP, Need, Operator
from app.domain.highway.state import UNSUCCESSFUL, Frame, StepState
from app.domain.highway.templates import UNKNOWN, has_template, look_up, read_json, resolve, whole_template
from app.domain.highway.working import Working
from app.schemas.steps import StepStatus

ITERATIONS_MOST = 1000
"""How often a while loop may repeat."""
ITERATIONS_AT_ONCE = 50_000
"""How many iterations of while loops one action may begin: loops in loops that wait for nothing could be a billion."""

STEPS_MOST = 50_000
"""How many steps may come into being by one action."""


class Containing(Working):
    """Parallels, forks, multi_choices and loops."""

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

    def branch_results(self, container: StepState) -> dict[str, dict[str, Any]]:
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
            self.complete(state, self.branch_results(fork))
        return True

    # Loops

    def start_foreach(self, state: StepState) -> None:
        """Begin the first iteration of a sequential loop, or all of a parallel one."""
        spec = self.step_of(state).spec
        items = self._items(state, spec["items"])
        if not isinstance(items, list):
            message = f"items is not a list but {type(items).__name__}"
            self.fail(self.mark_started(state), {"name": "NotAList", "message": message})
            return
        count = len(items)
        begun = count if spec.get("parallel") else min(count, 1)
        if self._would_be_too_many(state, begun):
            message = f"more than {STEPS_MOST} steps would come into being at once"
            self.fail(self.mark_started(state), {"name": "TooManySteps", "message": message})
            return
        facts = {**state.facts, "count": count, "open": begun, "next": begun}
        started = self.mark_started(state, facts=facts)
        if not items:
            self.complete(started, [])
        for index, item in enumerate(items):
            self.draft.changes.frames[f"{state.path}[{index}]"] = Frame(variables={"item": item, "index": index})
        for index in range(begun):
            self.begin_iteration(started, index)

    def _would_be_too_many(self, state: StepState, iterations: int) -> bool:
        """Return whether so many iterations are more than one transaction can begin."""
        body = self.plan.region(f"{state.path}[0]").scopes[TOP].steps
        return len(self.draft.changes.steps) + iterations * len(body) > STEPS_MOST

    def _items(self, state: StepState, items: str) -> Any:
        """Return what a loop goes through: what a path or a template names; JSON text is what it says."""
        expression = whole_template(items)
        if expression is None and has_template(items):
            return _read_list(resolve(items, self.names(state)).value)
        value = look_up(items if expression is None else expression, self.names(state))
        if value is not UNKNOWN:
            return _read_list(value)
        return _read_list(items) if expression is None else None

    def begin_iteration(self, loop: StepState, index: int) -> None:
        """Begin an iteration of a loop, whose frame is there."""
        region = f"{loop.path}[{index}]"
        self.begin_scope(None, region, self.plan.region(region).scopes[TOP])

    def start_while(self, state: StepState) -> None:
        """Begin the first iteration, if the condition holds."""
        self._repeat(self.mark_started(state, facts={**state.facts, "open": 0, "next": 0}), 0)

    def _repeat(self, state: StepState, done: int) -> None:
        """Begin the next iteration of a while loop, ``done`` of which are over, or end the loop."""
        if not evaluate(self.step_of(state).spec["condition"], self.names(state, {"iteration": done})):
            self.complete(state, {"iterations": done})
        elif done >= ITERATIONS_MOST or self.repeated >= ITERATIONS_AT_ONCE:
            message = f"the loop has not ended after {done} iterations"
            self.fail(state, {"name": "TooManyIterations", "message": message})
        else:
            self.repeated += 1
            self.draft.put(state := replace(state, facts={**state.facts, "open": 1, "next": done + 1}))
            self.draft.changes.frames[f"{state.path}[{done}]"] = Frame(variables={"iteration": done})
            self.begin_iteration(state, done)

    def go_on(self, loop: StepState) -> None:
        """Begin the next iteration of a loop none of which is open, or complete it."""
        facts = loop.facts
        if loop.operator is Operator.while_:
            self._repeat(loop, facts["next"])
        elif facts["next"] < facts["count"]:
            following = facts["next"]
            self.draft.put(loop := replace(loop, facts={**facts, "open": 1, "next": following + 1}))
            self.begin_iteration(loop, following)
        else:
            self.complete(loop, self.draft.values(loop.path, facts["count"]))


def _read_list(value: Any) -> Any:
    """Return the list that a text is the JSON of; any other value as it is."""
    return read_json(value) if isinstance(value, str) else value
