"""Steps that choose which of their targets starts, by a value."""

from collections.abc import Mapping

from app.domain.highway.engine.choices import choose
from app.domain.highway.engine.run_retry import begin_anew
from app.domain.highway.engine.state import StepState
from app.domain.highway.engine.steps import resolve_work, run_out_of_time
from app.domain.highway.engine.turn import Phases, Turn


def start(turn: Turn, state: StepState) -> None:
    """Choose by the case that the value is."""
    spec = turn.step_of(state).spec
    work = resolve_work(turn, state, {"switch_on": spec["switch_on"]})
    if work is None:
        return
    value = work["switch_on"]
    text = str(value).lower() if isinstance(value, bool) else str(value)
    cases: Mapping[str, str] = spec.get("cases", {})
    choose(turn, state, cases.get(text, spec.get("default")), text)


PHASES = Phases(start, run_out_of_time, begin_anew)
