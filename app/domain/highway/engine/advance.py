"""The engine: (state, action) -> (changes, effects), at a moment that it is told. It has no clock and does no I/O."""

from datetime import datetime

from app.domain.highway.compiler.plan import Plan
from app.domain.highway.engine.actions import (
    REOPENED,
    Action,
    ActionRefused,
    Cancel,
    Complete,
    Deadline,
    Due,
    EmitEvent,
    EndChild,
    Fail,
    Outcome,
    Retry,
    Start,
)
from app.domain.highway.engine.attempts import end_attempt
from app.domain.highway.engine.effects import RunEnd
from app.domain.highway.engine.events import emit
from app.domain.highway.engine.iterations import count_turns
from app.domain.highway.engine.operators.table import OPERATORS
from app.domain.highway.engine.run import end_run, start_run
from app.domain.highway.engine.run_retry import reopen_run
from app.domain.highway.engine.settlement import settle
from app.domain.highway.engine.state import Draft, State, StepState
from app.domain.highway.engine.steps import within_budget
from app.domain.highway.engine.turn import UNBOUNDED, Turn
from app.domain.highway.language.budgets import Budget, current_budget, spending
from app.domain.highway.language.paths import scope_of
from milepost.schemas.steps import StepStatus
from milepost.schemas.workflow_runs import RunStatus


def act(
    plan: Plan,
    state: State,
    action: Action,
    now: datetime,
    scope: str | None = None,
    room: int = UNBOUNDED,
    budget: Budget | None = None,
) -> Outcome:
    """Return what ``action`` makes of a run that stands like ``state``, which stays as it is.

    ``scope`` is that of the step in the action, where it is known; ``budget`` what it may come to. Loops for which
    there is no ``room``, in steps, are left due at ``now``. Raises ActionRefused; BudgetSpentError, unless the step
    fails that spends it; NotLoaded, if ``state`` is not a whole one and a part of it is missing.
    """
    status = state.run.status
    is_taken = status in REOPENED if isinstance(action, Retry) else status is RunStatus.running
    if not is_taken:
        raise ActionRefused(f"the run is {status}")
    spent = budget or current_budget()
    turn = Turn(plan, Draft(state), now, OPERATORS, room, spent)
    with spending(spent):
        _take(turn, action, scope)
        settle(turn)
        count_turns(turn)
    return Outcome(turn.draft.changes, turn.effects, room - turn.room)


def _take(turn: Turn, action: Action, scope: str | None) -> None:
    """Do what the action says, without its consequences for other steps."""
    match action:
        case Complete() | Fail():
            end_attempt(turn, _find_work(turn, action.path, scope), action)
        case EndChild():
            _end_child(turn, _find(turn, action.path, scope), action)
        case Due():
            state = _find(turn, action.path, action.scope)
            if state.due_at is not None and state.due_at <= turn.now:
                with within_budget(turn, state):
                    turn.operators[state.operator].come_due(turn, state)
        case EmitEvent():
            emit(turn, action.event, action.payload)
        case _:
            _act_on_run(turn, action)


def _act_on_run(turn: Turn, action: Start | Deadline | Cancel | Retry) -> None:
    match action:
        case Start():
            start_run(turn, action.kept)
        case Deadline():
            status = RunStatus.failed if turn.plan.deadline_action == "fail" else RunStatus.cancelled
            error = {"name": "DeadlineExceeded", "message": "the run had not ended by its deadline"}
            end_run(turn, RunEnd(status, None, error, "deadline"))
        case Cancel():
            end_run(turn, RunEnd(RunStatus.cancelled, None, None, "cancel_requested"))
        case Retry():
            reopen_run(turn)


def _end_child(turn: Turn, state: StepState, end: EndChild) -> None:
    end_child = turn.operators[state.operator].end_child
    if end_child is None:
        raise ActionRefused(f"{end.path} does not wait for a child {end.child}")
    end_child(turn, state, end)


def _find(turn: Turn, path: str, scope: str | None) -> StepState:
    found = turn.draft.find(scope_of(path) if scope is None else scope, path)
    if found is None:
        raise ActionRefused(f"there is no step {path}")
    return found


def _find_work(turn: Turn, path: str, scope: str | None) -> StepState:
    state = _find(turn, path, scope)
    is_offered = state.status in (StepStatus.runnable, StepStatus.running)
    is_submitted = state.facts.get("submitted") == "open"
    is_work = turn.operators[state.operator].assignment is not None
    if not is_work or "again" in state.facts or not (is_offered or is_submitted):
        raise ActionRefused(f"{path} is {state.status}; it has no attempt to end")
    if turn.step_of(state).waits_for_branches:
        raise ActionRefused(f"{path} is not done by workers")
    return state
