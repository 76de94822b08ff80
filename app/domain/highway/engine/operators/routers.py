"""Steps that choose which of their targets starts, by a condition or by a value."""

from collections.abc import Mapping

from app.domain.highway.engine.state import StepState
from app.domain.highway.engine.steps import complete, mark_started, resolve_work
from app.domain.highway.engine.turn import Turn
from app.domain.highway.engine.values import names_of
from app.domain.highway.language.conditions import evaluate
from app.domain.json_texts import Json


def start_condition(turn: Turn, state: StepState) -> None:
    """Choose by whether the condition holds."""
    spec = turn.step_of(state).spec
    value = evaluate(spec["condition"], names_of(turn, state))
    _choose(turn, state, spec.get("if_true" if value else "if_false"), value)


def start_switch(turn: Turn, state: StepState) -> None:
    """Choose by the case that the value is."""
    spec = turn.step_of(state).spec
    work = resolve_work(turn, state, {"switch_on": spec["switch_on"]})
    if work is None:
        return
    value = work["switch_on"]
    text = str(value).lower() if isinstance(value, bool) else str(value)
    cases: Mapping[str, str] = spec.get("cases", {})
    _choose(turn, state, cases.get(text, spec.get("default")), text)


def _choose(turn: Turn, state: StepState, target: str | None, value: Json) -> None:
    chosen = None if target is None else turn.step_of(state).targets[target]
    complete(turn, mark_started(turn, state), value, chosen=chosen)
