"""Budgets: how much the work of one action or of one simulation may come to, as those count who do it.

The engine has no clock: what its work comes to is counted in steps, compared elements and resolved characters, and who
gives a budget may say besides that it is over, by the time or because nobody waits any more.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from app.domain.json_texts import Json

MATCH_SECONDS_MOST = 0.1
"""How long one search for a regular expression may take."""
_NESTED_MOST = 500
"""Levels of a value beyond which it is not looked at: Python itself would end there."""
_LOOKS_APART = 1000
"""How much is counted between two looks at whether a budget is over."""


class BudgetSpentError(Exception):
    """An action, or a simulation, would come to more than it may; the message says to more of what."""


@dataclass(slots=True)
class Budget:
    """What is left for the work of one action or one simulation."""

    steps: int
    """How often the engine looks at a step."""
    elements: int
    """Parts of values that are compared, searched or read."""
    characters: int
    """Of JSON that templates become, and of the texts that they stand in."""
    match_seconds: float = MATCH_SECONDS_MOST
    """For one search for a regular expression."""
    is_patient: bool = False
    """Whether a search that takes longer is given up as one that finds nothing, and is no end of the budget."""
    fails_steps: bool = False
    """Whether the step fails that spends it, and the rest goes on; else the action is not done at all."""
    is_over: Callable[[], bool] | None = None
    """Says that there is no more time."""
    _unseen: int = 0

    def take_step(self) -> None:
        """Count a look at a step."""
        self.steps -= 1
        if self.steps < 0:
            raise BudgetSpentError("it takes more steps at once than it may")
        self._look(_LOOKS_APART)

    def expect_steps(self, count: int) -> None:
        """Refuse so many looks at steps that are to come, before there is memory for all of them."""
        if count > self.steps:
            raise BudgetSpentError("it takes more steps at once than it may")

    def take_elements(self, count: int = 1) -> None:
        """Count parts of values that are compared, searched or read."""
        self.elements -= count
        if self.elements < 0:
            raise BudgetSpentError("it compares or reads more elements of values than it may")
        self._look(count)

    def take_characters(self, count: int) -> None:
        """Count characters that templates become."""
        self.characters -= count
        if self.characters < 0:
            raise BudgetSpentError("its templates become more characters than they may")
        self._look(count)

    def end_match(self) -> None:
        """Count a search for a regular expression that has taken all of its time."""
        if not self.is_patient:
            raise BudgetSpentError("a search for a regular expression takes longer than it may")
        self._look(_LOOKS_APART)

    def _look(self, count: int) -> None:
        self._unseen += count
        if self._unseen >= _LOOKS_APART:
            self._unseen = 0
            if self.is_over is not None and self.is_over():
                raise BudgetSpentError("it takes longer than it may")


_UNLIMITED = Budget(1 << 62, 1 << 62, 1 << 62, is_patient=True)
_spent_now: ContextVar[Budget] = ContextVar("_spent_now", default=_UNLIMITED)


def current_budget() -> Budget:
    """Return the budget that the work of the moment is counted on; one without limits outside of any action."""
    return _spent_now.get()


@contextmanager
def spending(budget: Budget) -> Iterator[None]:
    """Count the work of the block on ``budget``."""
    token = _spent_now.set(budget)
    try:
        yield
    finally:
        _spent_now.reset(token)


def make_inline_budget() -> Budget:
    """Return what an action may come to on the event loop: some milliseconds."""
    return Budget(steps=300, elements=20_000, characters=256 * 1024, match_seconds=0.005)


def make_action_budget(is_over: Callable[[], bool]) -> Budget:
    """Return what an action of a run may come to beside the event loop; the step fails that spends it."""
    return Budget(1 << 62, 1_000_000, 16 * 1024 * 1024, is_patient=True, fails_steps=True, is_over=is_over)


def make_simulation_budget(is_over: Callable[[], bool]) -> Budget:
    """Return what a whole simulation may come to."""
    return Budget(400_000, 4_000_000, 32 * 1024 * 1024, is_patient=True, is_over=is_over)


def measure(value: Json) -> int:
    """Return about how many characters of JSON a value is, and count them. Raises BudgetSpentError."""
    budget = current_budget()
    size = _size_of(value)
    budget.take_characters(size)
    if not isinstance(value, list | dict):
        return size
    total, level, depth = size, [value], 0
    while level:
        depth += 1
        if depth > _NESTED_MOST:
            raise BudgetSpentError(f"a value is nested deeper than {_NESTED_MOST} levels")
        inner: list[Json] = []
        for holder in level:
            members = holder.values() if isinstance(holder, dict) else holder
            size = sum(map(_size_of, members)) + (sum(map(len, holder)) if isinstance(holder, dict) else 0)
            budget.take_characters(size)
            total += size
            inner += [member for member in members if isinstance(member, list | dict)]
        level = inner
    return total


def _size_of(value: Json) -> int:
    """Return about how many characters a value takes, without those inside of it."""
    return len(value) if isinstance(value, str) else 4 * (1 + len(value)) if isinstance(value, list | dict) else 4
