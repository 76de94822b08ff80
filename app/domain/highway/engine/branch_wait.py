"""Tasks that no worker does: they wait for the branches of a fork."""

from dataclasses import replace

from app.domain.highway.compiler.plan import Need
from app.domain.highway.engine.branches import complete_branches
from app.domain.highway.engine.causes import CAUSE, caused_by, describe_failure
from app.domain.highway.engine.standings import standing
from app.domain.highway.engine.state import UNSUCCESSFUL, StepState
from app.domain.highway.engine.steps import complete, fail, mark_started, timed_out
from app.domain.highway.engine.turn import Turn
from app.domain.highway.engine.values import resolve_at


def start(turn: Turn, state: StepState) -> None:
    """Wait for the branches of a fork, if they are not over."""
    if look_at_fork(turn, mark_started(turn, state)):
        return
    turn.effects.builtin_waiting.append(state.path)
    seconds = resolve_at(turn, state, turn.step_of(state).spec.get("kwargs", {})).get("timeout_seconds")
    if isinstance(seconds, int | float) and not isinstance(seconds, bool):
        turn.draft.put(replace(turn.current(state), due_at=turn.after(seconds)))


def look_at_fork(turn: Turn, state: StepState) -> bool:
    """End a step that waits for the branches of a fork if they are over; whether it has ended."""
    step = turn.step_of(state)
    fork = None if step.fork is None else turn.find(state, step.fork)
    if fork is None:
        is_coming = step.fork is not None and standing(turn, state, Need(step.fork)) is None
        if not is_coming:
            complete(turn, state, {})
        return not is_coming
    if fork.is_open or fork.facts.get("open", 0):
        return False
    if fork.status in UNSUCCESSFUL or fork.facts.get("failed"):
        cause = fork.facts.get(CAUSE)
        error = describe_failure(turn, "BranchFailed", cause, f"a branch of {fork.path} did not succeed")
        fail(turn, state, error, **caused_by(cause))
    else:
        complete_branches(turn, state, fork)
    return True


def come_due(turn: Turn, state: StepState) -> None:
    """Fail a task whose branches take too long."""
    turn.effects.timed_out.append(state.path)
    fail(turn, state, timed_out("the branches had not ended in time"))
