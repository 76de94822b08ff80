"""How loops begin, go on and end: in turns, so that one action stays small however long the loop is.

A turn begins as many iterations as there is room for. What is left is marked as due at once, and the next turn is the
action that the mark brings about. Together the turns come to the same as one action with room for everything.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from app.domain.highway.engine.containing import Containing
from app.domain.highway.engine.sizes import SIZE, is_too_large, too_large
from app.domain.highway.engine.state import Frame, StepState
from app.domain.highway.language.budgets import current_budget
from app.domain.highway.language.conditions import evaluate
from app.domain.highway.language.operators import Operator
from app.domain.highway.language.paths import TOP
from app.domain.highway.language.templates import UNKNOWN, has_template, look_up, read_json, resolve, whole_template

ITERATIONS_MOST = 1000
"""How often a while loop may repeat."""
ITERATIONS_AT_ONCE = 50_000
"""How many iterations may follow each other because of one action: loops in loops that wait for nothing could be a
billion."""
ITEMS_MOST = 50_000
"""How many items a parallel loop may have."""
STEPS_MOST = 1_000_000
"""How many steps of parallel loops may come into being because of one action; loops in loops count together."""
ITEMS_A_FRAME = 100
"""How many items of iterations that have not begun are kept together."""
_TURN = "turn"
"""Fact of a loop that is to go on by itself: scope and path of the one that counts what an action has led to."""
_COUNTED = "counted"
"""Fact of that loop: how many (steps, iterations) it is by now."""
_REOPENED = "reopened"
"""Fact of a loop that is opened again: how many of its iterations have been looked at."""


class Looping(Containing):
    """Loops over items, and while a condition holds."""

    def start_foreach(self, state: StepState) -> None:
        """Begin the first iteration of a sequential loop, or all of a parallel one, as far as there is room."""
        spec = self.step_of(state).spec
        items = self._items(state, spec["items"])
        if not isinstance(items, list):
            message = f"items is not a list but {type(items).__name__}"
            self.fail(self.mark_started(state), {"name": "NotAList", "message": message})
            return
        if self._is_parallel(state) and (why := self._find_too_many(state, len(items))):
            self.fail(self.mark_started(state), {"name": "TooManySteps", "message": why})
            return
        facts = {**state.facts, "count": len(items), "open": 0, "next": 0}
        started = self.mark_started(state, facts=facts)
        if not items:
            self.complete(started, [])
            return
        begun = self._room_for(started)
        self._keep_items(started, items, begun)
        self.draft.put(started := replace(started, facts={**facts, "kept": begun}))
        self._begin_iterations(started, begun)

    def _items(self, state: StepState, items: str) -> Any:
        """Return what a loop goes through: what a path or a template names; JSON text is what it says."""
        expression = whole_template(items)
        if expression is None and has_template(items):
            return _read_list(resolve(items, self.names(state)).value)
        value = look_up(items if expression is None else expression, self.names(state))
        if value is not UNKNOWN:
            return _read_list(value)
        return _read_list(items) if expression is None else None

    def _is_parallel(self, loop: StepState) -> bool:
        return loop.operator is Operator.foreach and bool(self.step_of(loop).spec.get("parallel"))

    def _find_too_many(self, loop: StepState, items: int) -> str | None:
        """Count the steps that a parallel loop brings; why they are too many, if they are."""
        if items > ITEMS_MOST:
            return f"more than {ITEMS_MOST} iterations would begin at once"
        self.came += items * self._size_of_body(loop)
        return f"more than {STEPS_MOST} steps would come into being at once" if self.came > STEPS_MOST else None

    def _size_of_body(self, loop: StepState) -> int:
        return len(self.plan.region(f"{loop.path}[0]").scopes[TOP].steps)

    # Items

    def _keep_items(self, loop: StepState, items: Sequence[Any], begun: int) -> None:
        """Keep the items: those of iterations that begin now in their frames, the others together with some more."""
        for index in range(begun):
            self._make_frame(loop, index, items[index])
        for number, first in enumerate(range(begun, len(items), ITEMS_A_FRAME)):
            kept = list(items[first : first + ITEMS_A_FRAME])
            self.draft.changes.frames[_path_of_items(loop, number)] = Frame(variables={"items": kept})

    def _find_item(self, loop: StepState, index: int) -> Any:
        """Return the item of an iteration that has not begun. Raises NotLoaded."""
        number, place = divmod(index - loop.facts["kept"], ITEMS_A_FRAME)
        return self.draft.frame(_path_of_items(loop, number)).variables["items"][place]

    def _make_frame(self, loop: StepState, index: int, item: Any) -> None:
        self.draft.changes.frames[f"{loop.path}[{index}]"] = Frame(variables={"item": item, "index": index})

    # Turns

    def take_turn(self, state: StepState) -> None:
        """Let a loop go on that there was no room for any more."""
        if _TURN in state.facts:
            scope, path = self.counting = state.facts[_TURN]
            counting = self.draft.find(scope, path)
            self.came, self.repeated = (counting.facts if counting else {}).get(_COUNTED, (0, 0))
        facts = {name: value for name, value in state.facts.items() if name != _TURN}
        self.draft.put(loop := replace(state, due_at=None, facts=facts))
        if _REOPENED in facts:
            self.reopen_more(loop)
        else:
            self.go_on(loop)

    def has_more(self, loop: StepState) -> bool:
        """Return whether more of the loop is to come, whatever becomes of the iterations that are open."""
        facts = loop.facts
        return _REOPENED in facts or (self._is_parallel(loop) and facts["next"] < facts["count"])

    def go_on(self, loop: StepState) -> None:
        """Begin what follows in a loop, the next iteration or those that are left of a parallel one, or complete it."""
        facts = loop.facts
        if loop.operator is Operator.while_:
            self._repeat(loop, facts["next"])
        elif not facts["open"] and is_too_large(facts.get(SIZE, 0)):
            self.fail(loop, too_large("the values of the iterations"))
        elif facts["next"] >= facts["count"]:
            if not facts["open"]:
                values = self.draft.values(loop.path, facts["count"])
                self.complete(loop, values, **{SIZE: facts[SIZE]} if SIZE in facts else {})
        elif self._is_parallel(loop) or not self._is_worn_out(loop, facts["next"]):
            begun = self._room_for(loop)
            if "kept" in facts:
                for index in range(facts["next"], facts["next"] + begun):
                    self._make_frame(loop, index, self._find_item(loop, index))
            self._begin_iterations(loop, begun)

    def _room_for(self, loop: StepState) -> int:
        """Return how many iterations of a loop over items may begin now: of a sequential one at most one."""
        left: int = loop.facts["count"] - loop.facts["next"]
        if not self._is_parallel(loop):
            return min(left, 1) if self.room > 0 else 0
        return min(left, -(-self.room // max(self._size_of_body(loop), 1))) if self.room > 0 else 0

    def _begin_iterations(self, loop: StepState, begun: int) -> None:
        """Begin so many iterations, whose frames are there, and leave the others to the next turn."""
        following = loop.facts["next"]
        facts = {**loop.facts, "open": loop.facts["open"] + begun, "next": following + begun}
        self.draft.put(loop := replace(loop, facts=facts))
        for index in range(following, following + begun):
            self._begin_iteration(loop, index)
            current_budget().expect_steps(len(self.moved))
        if not begun or self.has_more(loop):
            self.leave(loop)

    def leave(self, loop: StepState) -> None:
        """Leave what is to come of a loop to its next turn."""
        self.draft.put(replace(loop, due_at=self.now))
        self.left.append(loop)

    def count_turns(self) -> None:
        """Keep in one of the loops how much this action has led to, for the turns of all that it has left."""
        if self.counting is None and self.left:
            self.counting = self.left[0].scope, self.left[0].path
        if self.counting is None or self.effects.run is not None:
            return
        for loop in map(self.current, self.left):
            self.draft.put(replace(loop, facts={**loop.facts, _TURN: self.counting}))
        if (counting := self.draft.find(*self.counting)) is not None:
            facts = {**counting.facts, _COUNTED: (self.came, self.repeated)}
            self.draft.put(replace(counting, facts=facts))

    def _begin_iteration(self, loop: StepState, index: int) -> None:
        region = f"{loop.path}[{index}]"
        self.begin_scope(None, region, self.plan.region(region).scopes[TOP])

    def _is_worn_out(self, loop: StepState, done: int) -> bool:
        """Fail a loop of which too many iterations have followed each other; whether it was."""
        is_long = loop.operator is Operator.while_ and done >= ITERATIONS_MOST
        if not is_long and self.repeated < ITERATIONS_AT_ONCE:
            self.repeated += self.room > 0
            return False
        message = f"the loop has not ended after {done} iterations"
        self.fail(loop, {"name": "TooManyIterations", "message": message})
        return True

    # While a condition holds

    def start_while(self, state: StepState) -> None:
        """Begin the first iteration, if the condition holds."""
        self._repeat(self.mark_started(state, facts={**state.facts, "open": 0, "next": 0}), 0)

    def _repeat(self, state: StepState, done: int) -> None:
        """Begin the next iteration of a while loop, ``done`` of which are over, or end the loop."""
        if self.room <= 0:
            self.leave(state)
            return
        with self.within_budget(state):
            self._repeat_once(state, done)

    def _repeat_once(self, state: StepState, done: int) -> None:
        if not evaluate(self.step_of(state).spec["condition"], self.names(state, {"iteration": done})):
            self.complete(state, {"iterations": done})
        elif not self._is_worn_out(state, done):
            self.draft.put(state := replace(state, facts={**state.facts, "open": 1, "next": done + 1}))
            self.draft.changes.frames[f"{state.path}[{done}]"] = Frame(variables={"iteration": done})
            self._begin_iteration(state, done)

    # Opened again

    def reopen_iterations(self, fresh: StepState, before: StepState) -> None:
        """Open what did not complete in the iterations of a loop; of a sequential one only the last can have failed."""
        facts = before.facts
        first = 0 if self._is_parallel(fresh) else max(0, facts["next"] - 1)
        kept = {name: facts[name] for name in ("count", "next", "kept", SIZE) if name in facts}
        facts = {**fresh.facts, **kept, "open": 0, _REOPENED: first}
        self.reopen_more(self.mark_started(fresh, facts=facts))

    def reopen_more(self, loop: StepState) -> None:
        """Open what did not complete in as many iterations as there is room for, and let the loop go on after them."""
        facts = loop.facts
        index, reopened = facts[_REOPENED], 0
        while index < facts["next"] and self.room > 0:
            path = f"{loop.path}[{index}]"
            self.room -= self._size_of_body(loop)
            reopened += self.reopen_scope(path, path, TOP)
            index += 1
        facts = {**facts, "open": facts["open"] + reopened, _REOPENED: index}
        if index < facts["next"]:
            self.leave(replace(loop, facts=facts))
            return
        del facts[_REOPENED]
        self.draft.put(loop := replace(loop, facts=facts))
        if self.has_more(loop) or not facts["open"]:
            self.go_on(loop)

    def reopen_scope(self, path: str, region: str, name: str) -> bool:
        """Open what did not complete in a scope; whether there was any."""
        raise NotImplementedError


def _path_of_items(loop: StepState, number: int) -> str:
    """Return the path of the frame that keeps items of a loop; no iteration has such a path."""
    return f"{loop.path}[..{number}]"


def _read_list(value: Any) -> Any:
    """Return the list that a text is the JSON of; any other value as it is."""
    return read_json(value) if isinstance(value, str) else value
