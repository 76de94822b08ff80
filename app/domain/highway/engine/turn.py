"""A turn: one action on a run, with what it changes, what it causes, and what is still to be looked at.

Everything that is to be looked at again is put on a list, so that nothing recurses: first the steps whose dependencies
moved, then those that are ready to start, then whether scopes are over, and at last joins for which the first ending
decides (of several at once a success wins).
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from heapq import heappop, heappush
from typing import NamedTuple, Protocol

from app.domain.highway.compiler.plan import Plan, Step
from app.domain.highway.engine.actions import EndChild
from app.domain.highway.engine.effects import Effects
from app.domain.highway.engine.state import Draft, StepState
from app.domain.highway.language.budgets import Budget, current_budget
from app.domain.highway.language.paths import path_near, scope_of
from app.domain.json_texts import Json
from app.domain.moments import later
from milepost.schemas.steps import StepStatus

UNBOUNDED = 2**62
"""Room for everything."""

Phase = Callable[["Turn", StepState], None]
"""What is done about a step, given as it stands."""


class EndInside(Protocol):
    """What is done about a step when a branch or an iteration in it is over, which is, or is in, this region."""

    def __call__(self, turn: "Turn", container: StepState, region: str, *, has_failed: bool) -> None:
        """Count the end, and go on or end the container."""


class Assignment(NamedTuple):
    """What the work items of an operator ask workers for."""

    function_of: Callable[[Step], str]
    work_of: Callable[[Step], dict[str, Json]]
    """What of a step is resolved for it."""
    kwargs_of: Callable[[Step, Mapping[str, Json]], Json]
    """Makes the keyword arguments of that, once it is resolved."""


class Phases(NamedTuple):
    """All that the steps of one operator do."""

    start: Phase
    """Nothing that it waits for is left."""
    come_due: Phase
    """The moment has come that it was marked for."""
    reopen: Phase
    """It did not complete, or has let go on what did not, and the run is tried again."""
    is_judged_last: Callable[[Step], bool] | None = None
    """Of what does not begin but is judged, by `start`, each time others have ended: whether only when all is quiet."""
    follow: Phase | None = None
    """Something that it waits for while it runs has ended."""
    end_inside: EndInside | None = None
    """A branch or an iteration in it is over."""
    end_child: Callable[["Turn", StepState, EndChild], None] | None = None
    """A run that it has started is over."""
    assignment: Assignment | None = None
    """Workers do it, and report of it."""
    is_parallel: Callable[[Step], bool] | None = None
    """Of a loop: whether its iterations go on beside each other; without it none do."""
    takes_turns: bool = False
    """It is a loop: due at once, it goes on with its iterations."""
    is_over_when_due: bool = False
    """The moment that it is marked for is not its limit but its end."""
    also_named: str | None = None
    """What follows its id in another name of its result."""


@dataclass(slots=True)
class Turn:
    """One action on a run."""

    plan: Plan
    draft: Draft
    """The state, and the changes that the action makes of it."""
    now: datetime
    operators: Mapping[str, Phases]
    room: int = UNBOUNDED
    """How many more steps are to come into being by loops: what has no room is left to a later action."""
    budget: Budget = field(default_factory=current_budget)
    effects: Effects = field(default_factory=Effects)
    came: int = 0
    """Steps of parallel loops that come into being because of this action, or of that which it goes on for."""
    repeated: int = 0
    """Iterations that have followed others, counted like these steps."""
    left: list[StepState] = field(default_factory=list)
    """Loops for which there was no room."""
    counting: tuple[str, str] | None = None
    """Scope and path of the loop that keeps both counts from turn to turn."""
    moved: deque[StepState] = field(default_factory=deque)
    ready: deque[StepState] = field(default_factory=deque)
    undecided: deque[StepState] = field(default_factory=deque)
    touched: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Scopes that may be over, by path: (region, name)."""
    deepest: list[tuple[int, str]] = field(default_factory=list)
    """A heap of them."""
    named: dict[str, tuple[dict[str, str], dict[str, str]]] = field(default_factory=dict)
    """Names by result key and by id, of frames that this action has copied, by region."""
    ended: dict[str, int] = field(default_factory=dict)
    """How many steps of the branch that a router has chosen are known to have ended, by its path."""
    choices: dict[str, StepStatus] = field(default_factory=dict)
    """How branches have ended, by the path of their router."""

    # What stands where

    def step_of(self, state: StepState) -> Step:
        """Return what ``state`` is one of."""
        return self.plan.step(state.region, state.path)

    def find(self, near: StepState, name: str) -> StepState | None:
        """Return the step of that name in the region of ``near``, as that means it; None if it does not exist (yet)."""
        path = path_near(near.path, near.region, name)
        return self.draft.find(scope_of(path), path)

    def current(self, state: StepState) -> StepState:
        """Return ``state`` as it stands now."""
        return self.draft.find(state.scope, state.path) or state

    def after(self, seconds: float) -> datetime:
        """Return the moment ``seconds`` from now."""
        return later(self.now, seconds)

    # What is still to be looked at

    def touch(self, path: str, region: str, name: str) -> None:
        """Look later whether the scope at ``path`` is over."""
        if path not in self.touched:
            self.touched[path] = (region, name)
            heappush(self.deepest, (-path.count(".") - path.count("["), path))

    def next_touched(self) -> tuple[str, str, str] | None:
        """Take the deepest scope that may be over: its path, its region and its name."""
        if not self.deepest:
            return None
        path = heappop(self.deepest)[1]
        return path, *self.touched.pop(path)

    def forget(self) -> None:
        """Look at nothing any more."""
        self.moved.clear()
        self.ready.clear()
        self.undecided.clear()
        self.touched.clear()
        self.deepest.clear()

    def forget_choices(self) -> None:
        """Know nothing any more of what has ended: it may have been opened again."""
        self.ended.clear()
        self.choices.clear()
