"""A run that has ended is opened again: what failed starts again, and what that held up waits again."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from app.domain.highway.engine.starting import Starting
from app.domain.highway.engine.state import StepState
from app.domain.highway.language.operators import FORKING, LOOPS
from app.domain.highway.language.paths import TOP
from app.schemas.steps import StepStatus
from app.schemas.workflow_runs import RunStatus

_UNDONE = frozenset({"failed", "dropped"})
"""What became of the work of a submitted activity, although that has completed."""


class Reopening(Starting):
    """Retry of a whole run."""

    def reopen_run(self) -> None:
        """Open the run again, from its top level down. What completed stays; a deadline counts from now."""
        seconds = self.plan.deadline_seconds
        self.draft.change_run(status=RunStatus.running, deadline_at=None if seconds is None else self.after(seconds))
        self.reopen_scope(TOP, TOP, TOP)
        self.forget_choices()
        self.touch(TOP, TOP, TOP)

    def reopen_scope(self, path: str, region: str, name: str) -> bool:
        """Open what did not complete in a scope; whether there was any."""
        was_over = True
        for state in list(self.draft.scope(path).values()):
            if self._is_done(state):
                if self.step_of(state).is_fork:
                    self._reopen_fork(state)
                continue
            was_over = False
            self._reopen(state)
        if not was_over:
            self.touch(path, region, name)
        return not was_over

    def _is_done(self, state: StepState) -> bool:
        return state.status is StepStatus.completed and state.facts.get("submitted") not in _UNDONE

    def _reopen(self, state: StepState) -> None:
        fresh = replace(
            state,
            status=StepStatus.waiting,
            error=None,
            due_at=None,
            awaits=None,
            completed_at=None,
            facts={"before": state.attempt, **_kept_call(state)} if state.attempt else _kept_call(state),
        )
        if state.operator in FORKING and "begun" in state.facts:
            self._reopen_branches(fresh, state.facts["begun"])
        elif state.operator in LOOPS and "next" in state.facts:
            self.reopen_iterations(fresh, state)
        else:
            self.draft.put(fresh)
            self.moved.append(fresh)

    def _reopen_fork(self, fork: StepState) -> None:
        """Open what did not complete in the branches of a fork, which itself has completed at once.

        Nor is a branch open any more whose last step completed in the action that ended the run, uncounted.
        """
        reopened = self._count_reopened(fork, fork.facts.get("begun", ()))
        self.draft.put(replace(fork, facts={**fork.facts, "open": reopened, "failed": False}))

    def _reopen_branches(self, fresh: StepState, begun: Sequence[str]) -> None:
        reopened = self._count_reopened(fresh, begun)
        facts = {**fresh.facts, "begun": list(begun), "open": reopened}
        running = replace(fresh, status=StepStatus.running, facts=facts)
        self.draft.put(running)
        if self.step_of(fresh).is_fork or not reopened:
            self.complete_branches(running, running)
        else:
            self.limit_branches(running)

    def _count_reopened(self, container: StepState, begun: Sequence[str]) -> int:
        """Open what did not complete in branches; in how many of them there was any."""
        scopes = self.plan.region(container.region).scopes
        return sum(
            self.reopen_scope(f"{container.path}.{scopes[name].branch}", container.region, name) for name in begun
        )


def _kept_call(state: StepState) -> dict[str, Any]:
    """Return the call of a handler that nobody will repeat: who called it has completed, and stays so."""
    called = state.facts.get("called")
    return {"called": called} if called is not None and "failed_task_id" not in called else {}
