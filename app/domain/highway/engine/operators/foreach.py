"""Loops over items, one after another or all beside each other."""

from collections.abc import Sequence
from dataclasses import replace

from app.domain.highway.engine.iterations import (
    begin_iteration,
    end_iteration,
    has_more,
    is_parallel,
    is_worn_out,
    leave,
    reopen_iterations,
    size_of_body,
    take_turn,
)
from app.domain.highway.engine.sizes import SIZE, is_too_large, too_large
from app.domain.highway.engine.state import Frame, StepState
from app.domain.highway.engine.steps import complete, fail, mark_started
from app.domain.highway.engine.turn import Phases, Turn
from app.domain.highway.engine.values import names_of
from app.domain.highway.language.expressions import has_template, whole_template
from app.domain.highway.language.templates import UNKNOWN, look_up, read_json, resolve
from app.domain.json_texts import Json

ITEMS_MOST = 50_000
"""How many items a parallel loop may have."""
STEPS_MOST = 1_000_000
"""How many steps of parallel loops may come into being because of one action; loops in loops count together."""
ITEMS_A_FRAME = 100
"""How many items of iterations that have not begun are kept together."""


def start(turn: Turn, state: StepState) -> None:
    """Begin the first iteration of a sequential loop, or all of a parallel one, as far as there is room."""
    spec = turn.step_of(state).spec
    items = _items(turn, state, spec["items"])
    if not isinstance(items, list):
        message = f"items is not a list but {type(items).__name__}"
        fail(turn, mark_started(turn, state), {"name": "NotAList", "message": message})
        return
    if is_parallel(turn, state) and (why := _find_too_many(turn, state, len(items))):
        fail(turn, mark_started(turn, state), {"name": "TooManySteps", "message": why})
        return
    facts = {**state.facts, "count": len(items), "open": 0, "next": 0}
    started = mark_started(turn, state, facts=facts)
    if not items:
        complete(turn, started, [])
        return
    begun = _room_for(turn, started)
    _keep_items(turn, started, items, begun)
    turn.draft.put(started := replace(started, facts={**facts, "kept": begun}))
    _begin_iterations(turn, started, begun)


def come_due(turn: Turn, state: StepState) -> None:
    """Take the next turn."""
    take_turn(turn, state, _go_on)


def end_inside(turn: Turn, container: StepState, region: str, *, has_failed: bool) -> None:
    """Go on after an iteration."""
    end_iteration(turn, container, region, _go_on, has_failed=has_failed)


def reopen(turn: Turn, state: StepState) -> None:
    """Open what did not complete in the iterations."""
    reopen_iterations(turn, state, _go_on)


def _items(turn: Turn, state: StepState, items: str) -> Json:
    """Return what a loop goes through: what a path or a template names; JSON text is what it says."""
    expression = whole_template(items)
    if expression is None and has_template(items):
        return _read_list(resolve(items, names_of(turn, state)).value)
    value = look_up(items if expression is None else expression, names_of(turn, state))
    if value is not UNKNOWN:
        return _read_list(value)
    return _read_list(items) if expression is None else None


def _find_too_many(turn: Turn, loop: StepState, items: int) -> str | None:
    """Count the steps that a parallel loop brings; why they are too many, if they are."""
    if items > ITEMS_MOST:
        return f"more than {ITEMS_MOST} iterations would begin at once"
    turn.came += items * size_of_body(turn, loop)
    return f"more than {STEPS_MOST} steps would come into being at once" if turn.came > STEPS_MOST else None


def _keep_items(turn: Turn, loop: StepState, items: Sequence[Json], begun: int) -> None:
    """Keep the items: those of iterations that begin now in their frames, the others together with some more."""
    for index in range(begun):
        _make_frame(turn, loop, index, items[index])
    for number, first in enumerate(range(begun, len(items), ITEMS_A_FRAME)):
        kept = list(items[first : first + ITEMS_A_FRAME])
        turn.draft.changes.frames[_path_of_items(loop, number)] = Frame(variables={"items": kept})


def _find_item(turn: Turn, loop: StepState, index: int) -> Json:
    """Return the item of an iteration that has not begun. Raises NotLoaded."""
    number, place = divmod(index - loop.facts["kept"], ITEMS_A_FRAME)
    return turn.draft.frame(_path_of_items(loop, number)).variables["items"][place]


def _make_frame(turn: Turn, loop: StepState, index: int, item: Json) -> None:
    turn.draft.changes.frames[f"{loop.path}[{index}]"] = Frame(variables={"item": item, "index": index})


def _go_on(turn: Turn, loop: StepState) -> None:
    """Begin what follows in a loop, the next iteration or those that are left of a parallel one, or complete it."""
    facts = loop.facts
    if not facts["open"] and is_too_large(facts.get(SIZE, 0)):
        fail(turn, loop, too_large("the values of the iterations"))
    elif facts["next"] >= facts["count"]:
        if not facts["open"]:
            values = turn.draft.values(loop.path, facts["count"])
            complete(turn, loop, values, **{SIZE: facts[SIZE]} if SIZE in facts else {})
    elif is_parallel(turn, loop) or not is_worn_out(turn, loop, facts["next"]):
        begun = _room_for(turn, loop)
        if "kept" in facts:
            for index in range(facts["next"], facts["next"] + begun):
                _make_frame(turn, loop, index, _find_item(turn, loop, index))
        _begin_iterations(turn, loop, begun)


def _room_for(turn: Turn, loop: StepState) -> int:
    """Return how many iterations of a loop over items may begin now: of a sequential one at most one."""
    left: int = loop.facts["count"] - loop.facts["next"]
    if not is_parallel(turn, loop):
        return min(left, 1) if turn.room > 0 else 0
    return min(left, -(-turn.room // max(size_of_body(turn, loop), 1))) if turn.room > 0 else 0


def _begin_iterations(turn: Turn, loop: StepState, begun: int) -> None:
    """Begin so many iterations, whose frames are there, and leave the others to the next turn."""
    following = loop.facts["next"]
    facts = {**loop.facts, "open": loop.facts["open"] + begun, "next": following + begun}
    turn.draft.put(loop := replace(loop, facts=facts))
    for index in range(following, following + begun):
        begin_iteration(turn, loop, index)
        turn.budget.expect_steps(len(turn.moved))
    if not begun or has_more(turn, loop):
        leave(turn, loop)


def _path_of_items(loop: StepState, number: int) -> str:
    """Return the path of the frame that keeps items of a loop; no iteration has such a path."""
    return f"{loop.path}[..{number}]"


def _read_list(value: Json) -> Json:
    """Return the list that a text is the JSON of; any other value as it is."""
    return read_json(value) if isinstance(value, str) else value


PHASES = Phases(
    start,
    come_due,
    reopen,
    end_inside=end_inside,
    is_parallel=lambda step: bool(step.spec.get("parallel")),
    takes_turns=True,
    also_named="_results",
)
