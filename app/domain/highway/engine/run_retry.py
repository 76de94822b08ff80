"""A run that has ended is opened again: what failed starts again, and what that held up waits again."""

from dataclasses import replace

from app.domain.highway.engine.state import StepState
from app.domain.highway.engine.turn import Turn
from app.domain.highway.language.paths import TOP
from app.domain.json_texts import Json
from milepost.schemas.steps import StepStatus
from milepost.schemas.workflow_runs import RunStatus

_UNDONE = frozenset({"failed", "dropped"})
"""What became of the work of a submitted activity, although that has completed."""


def reopen_run(turn: Turn) -> None:
    """Open the run again, from its top level down. What completed stays; a deadline counts from now."""
    seconds = turn.plan.deadline_seconds
    turn.draft.change_run(status=RunStatus.running, deadline_at=None if seconds is None else turn.after(seconds))
    reopen_scope(turn, TOP, TOP, TOP)
    turn.forget_choices()
    turn.touch(TOP, TOP, TOP)


def reopen_scope(turn: Turn, path: str, region: str, name: str) -> bool:
    """Open what did not complete in a scope; whether there was any."""
    was_over = True
    for state in list(turn.draft.scope(path).values()):
        is_done = _is_done(state)
        if not is_done or turn.step_of(state).is_fork:
            turn.operators[state.operator].reopen(turn, state)
        was_over = was_over and is_done
    if not was_over:
        turn.touch(path, region, name)
    return not was_over


def begin_anew(turn: Turn, state: StepState) -> None:
    """Let a step wait again, as if nothing in it had begun."""
    fresh = as_waiting(state)
    turn.draft.put(fresh)
    turn.moved.append(fresh)


def as_waiting(state: StepState) -> StepState:
    """Return a step as it waits to be tried again."""
    return replace(
        state,
        status=StepStatus.waiting,
        error=None,
        due_at=None,
        awaits=None,
        completed_at=None,
        facts={"before": state.attempt, **_kept_call(state)} if state.attempt else _kept_call(state),
    )


def _is_done(state: StepState) -> bool:
    return state.status is StepStatus.completed and state.facts.get("submitted") not in _UNDONE


def _kept_call(state: StepState) -> dict[str, Json]:
    """Return the call of a handler that nobody will repeat: who called it has completed, and stays so."""
    called = state.facts.get("called")
    return {"called": called} if called is not None and "failed_task_id" not in called else {}
