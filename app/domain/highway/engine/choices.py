"""How a router chooses which of its targets starts."""

from app.domain.highway.engine.state import StepState
from app.domain.highway.engine.steps import complete, mark_started
from app.domain.highway.engine.turn import Turn
from app.domain.json_texts import Json


def choose(turn: Turn, state: StepState, target: str | None, value: Json) -> None:
    """Complete a router that has chosen this target, or none, because of this value."""
    chosen = None if target is None else turn.step_of(state).targets[target]
    complete(turn, mark_started(turn, state), value, chosen=chosen)
