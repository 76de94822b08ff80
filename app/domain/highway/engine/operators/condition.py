"""Steps that choose which of two targets starts, by a condition."""

from app.domain.highway.engine.choices import choose
from app.domain.highway.engine.run_retry import begin_anew
from app.domain.highway.engine.state import StepState
from app.domain.highway.engine.steps import run_out_of_time
from app.domain.highway.engine.turn import Phases, Turn
from app.domain.highway.engine.values import names_of
from app.domain.highway.language.conditions import evaluate


def start(turn: Turn, state: StepState) -> None:
    """Choose by whether the condition holds."""
    spec = turn.step_of(state).spec
    value = evaluate(spec["condition"], names_of(turn, state))
    choose(turn, state, spec.get("if_true" if value else "if_false"), value)


PHASES = Phases(start, run_out_of_time, begin_anew)
