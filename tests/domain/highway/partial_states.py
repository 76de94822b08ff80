"""States of which only the parts are known that the engine asks for, as the service loads them."""

from dataclasses import dataclass, field
from datetime import datetime

from app.domain.highway.compiler.plan import Plan
from app.domain.highway.engine.actions import Action, Outcome
from app.domain.highway.engine.advance import act
from app.domain.highway.engine.state import Frame, NotLoaded, Part, State
from app.domain.highway.engine.turn import UNBOUNDED


@dataclass
class Loading:
    """Takes actions on states that begin empty."""

    plan: Plan
    asked: list[tuple[Part, str]] = field(default_factory=list)
    """What the last action has asked for."""

    def act(
        self, whole: State, action: Action, now: datetime, known: State | None = None, room: int = UNBOUNDED
    ) -> Outcome:
        """Return what the action does to a state of which only ``known`` is known at first."""
        state = known or State(whole.run, is_whole=False)
        self.asked = []
        while True:
            try:
                return act(self.plan, state, action, now, room=room)
            except NotLoaded as want:
                if (want.part, want.key) in self.asked:
                    raise AssertionError(f"{want} is asked for again") from want
                self.asked.append((want.part, want.key))
                load(whole, state, want.part, want.key)


def load(whole: State, state: State, part: Part, key: str) -> None:
    """Make a part of a whole state known."""
    match part:
        case Part.scope:
            state.learn_scope(key, whole.scopes.get(key, {}).values())
        case Part.result:
            state.results[key] = whole.results.get(key)
        case Part.frame:
            state.frames[key] = whole.frames.get(key, Frame())
        case Part.values:
            count = whole.steps[key].facts["count"]
            state.values[key] = [whole.frames.get(f"{key}[{index}]", Frame()).value for index in range(count)]
        case Part.open_steps:
            state.open_below[key] = [
                step
                for step in whole.steps.values()
                if step.path.startswith(key) and (step.is_open or step.facts.get("submitted") == "open")
            ]
        case Part.event:
            state.events[key] = whole.events.get(key)
        case Part.awaiting:
            waiting = [step for step in whole.steps.values() if step.awaits == key and step.is_open]
            for step in waiting:
                state.put(step)
            state.awaiting[key] = {step.path for step in waiting}
