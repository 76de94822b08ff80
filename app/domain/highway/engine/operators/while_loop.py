"""Loops that go on while a condition holds."""

from dataclasses import replace

from app.domain.highway.engine.iterations import (
    begin_iteration,
    end_iteration,
    is_worn_out,
    leave,
    reopen_iterations,
    take_turn,
)
from app.domain.highway.engine.state import Frame, StepState
from app.domain.highway.engine.steps import complete, mark_started, within_budget
from app.domain.highway.engine.turn import Phases, Turn
from app.domain.highway.engine.values import names_of
from app.domain.highway.language.conditions import evaluate

ITERATIONS_MOST = 1000
"""How often a while loop may repeat."""


def start(turn: Turn, state: StepState) -> None:
    """Begin the first iteration, if the condition holds."""
    _repeat(turn, mark_started(turn, state, facts={**state.facts, "open": 0, "next": 0}), 0)


def come_due(turn: Turn, state: StepState) -> None:
    """Take the next turn."""
    take_turn(turn, state, _go_on)


def end_inside(turn: Turn, container: StepState, region: str, *, has_failed: bool) -> None:
    """Go on after an iteration."""
    end_iteration(turn, container, region, _go_on, has_failed=has_failed)


def reopen(turn: Turn, state: StepState) -> None:
    """Open what did not complete in the iterations."""
    reopen_iterations(turn, state, _go_on)


def _go_on(turn: Turn, loop: StepState) -> None:
    _repeat(turn, loop, loop.facts["next"])


def _repeat(turn: Turn, state: StepState, done: int) -> None:
    """Begin the next iteration of a while loop, ``done`` of which are over, or end the loop."""
    if turn.room <= 0:
        leave(turn, state)
        return
    with within_budget(turn, state):
        _repeat_once(turn, state, done)


def _repeat_once(turn: Turn, state: StepState, done: int) -> None:
    if not evaluate(turn.step_of(state).spec["condition"], names_of(turn, state, {"iteration": done})):
        complete(turn, state, {"iterations": done})
    elif not is_worn_out(turn, state, done, ITERATIONS_MOST):
        turn.draft.put(state := replace(state, facts={**state.facts, "open": 1, "next": done + 1}))
        turn.draft.changes.frames[f"{state.path}[{done}]"] = Frame(variables={"iteration": done})
        begin_iteration(turn, state, done)


PHASES = Phases(start, come_due, reopen, end_inside=end_inside, takes_turns=True)
