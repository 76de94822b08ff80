"""How iterations begin and end: in turns, so that one action stays small however long a loop is.

A turn begins as many iterations as there is room for. What is left is marked as due at once, and the next turn is the
action that the mark brings about. Together the turns come to the same as one action with room for everything.
"""

from dataclasses import replace
from math import inf

from app.domain.highway.engine.causes import CAUSE, describe_failure
from app.domain.highway.engine.run_retry import as_waiting, begin_anew, reopen_scope
from app.domain.highway.engine.sizes import SIZE, is_too_large, size_together
from app.domain.highway.engine.state import StepState
from app.domain.highway.engine.steps import begin_scope, count_end, fail, mark_started
from app.domain.highway.engine.turn import Phase, Turn
from app.domain.highway.language.paths import TOP
from milepost.schemas.steps import StepStatus

ITERATIONS_AT_ONCE = 50_000
"""How many iterations may follow each other because of one action: loops in loops that wait for nothing could be a
billion."""
_TURN = "turn"
"""Fact of a loop that is to go on by itself: scope and path of the one that counts what an action has led to."""
_COUNTED = "counted"
"""Fact of that loop: how many (steps, iterations) it is by now."""
_REOPENED = "reopened"
"""Fact of a loop that is opened again: how many of its iterations have been looked at."""


def is_parallel(turn: Turn, loop: StepState) -> bool:
    """Return whether the iterations of a loop go on beside each other."""
    is_parallel_step = turn.operators[loop.operator].is_parallel
    return is_parallel_step is not None and is_parallel_step(turn.step_of(loop))


def size_of_body(turn: Turn, loop: StepState) -> int:
    """Return how many steps one iteration begins with."""
    return len(turn.plan.region(f"{loop.path}[0]").scopes[TOP].steps)


def take_turn(turn: Turn, state: StepState, go_on: Phase) -> None:
    """Let a loop go on that there was no room for any more."""
    if _TURN in state.facts:
        scope, path = turn.counting = state.facts[_TURN]
        counting = turn.draft.find(scope, path)
        turn.came, turn.repeated = (counting.facts if counting else {}).get(_COUNTED, (0, 0))
    facts = {name: value for name, value in state.facts.items() if name != _TURN}
    turn.draft.put(loop := replace(state, due_at=None, facts=facts))
    if _REOPENED in facts:
        _reopen_more(turn, loop, go_on)
    else:
        go_on(turn, loop)


def has_more(turn: Turn, loop: StepState) -> bool:
    """Return whether more of the loop is to come, whatever becomes of the iterations that are open."""
    facts = loop.facts
    return _REOPENED in facts or (is_parallel(turn, loop) and facts["next"] < facts["count"])


def leave(turn: Turn, loop: StepState) -> None:
    """Leave what is to come of a loop to its next turn."""
    turn.draft.put(replace(loop, due_at=turn.now))
    turn.left.append(loop)


def count_turns(turn: Turn) -> None:
    """Keep in one of the loops how much this action has led to, for the turns of all that it has left."""
    if turn.counting is None and turn.left:
        turn.counting = turn.left[0].scope, turn.left[0].path
    if turn.counting is None or turn.effects.run is not None:
        return
    for loop in map(turn.current, turn.left):
        turn.draft.put(replace(loop, facts={**loop.facts, _TURN: turn.counting}))
    if (counting := turn.draft.find(*turn.counting)) is not None:
        facts = {**counting.facts, _COUNTED: (turn.came, turn.repeated)}
        turn.draft.put(replace(counting, facts=facts))


def begin_iteration(turn: Turn, loop: StepState, index: int) -> None:
    """Begin an iteration, whose frame is there."""
    region = f"{loop.path}[{index}]"
    begin_scope(turn, None, region, turn.plan.region(region).scopes[TOP])


def is_worn_out(turn: Turn, loop: StepState, done: int, most: float = inf) -> bool:
    """Fail a loop of which too many iterations have followed each other; whether it was."""
    if done < most and turn.repeated < ITERATIONS_AT_ONCE:
        turn.repeated += turn.room > 0
        return False
    message = f"the loop has not ended after {done} iterations"
    fail(turn, loop, {"name": "TooManyIterations", "message": message})
    return True


def end_iteration(turn: Turn, loop: StepState, region: str, go_on: Phase, *, has_failed: bool) -> None:
    """Keep what an iteration came to, and let its loop go on or end."""
    if not loop.is_open:
        return
    state = loop if has_failed else _keep_value(turn, loop, region)
    state = count_end(turn, state, has_failed=has_failed)
    if state.facts["open"] or has_more(turn, state):
        return
    if state.facts["failed"]:
        fail(turn, state, describe_failure(turn, "IterationFailed", state.facts.get(CAUSE), "an iteration failed"))
    else:
        go_on(turn, state)


def _keep_value(turn: Turn, loop: StepState, region: str) -> StepState:
    """Keep what an iteration came to: the result of its last step, or of its last steps by task; count its bytes.

    A value is not read any more, nor kept, with which all together are too large.
    """
    steps = turn.plan.region(region).steps
    last = [
        state
        for state in turn.draft.scope(region).values()
        if state.status is StepStatus.completed
        and not (step := steps[turn.step_of(state).name]).is_handler
        and step.is_last
    ]
    of_value = last[0].facts.get(SIZE, 0) + 1 if len(last) == 1 else size_together(last)
    size = loop.facts.get(SIZE, 0) + of_value
    loop = replace(loop, facts={**loop.facts, SIZE: size})
    if is_too_large(size):
        return loop
    results = {turn.step_of(state).task_id: turn.draft.result(state.path) for state in last}
    value = next(iter(results.values())) if len(results) == 1 else results
    turn.draft.changes.frames[region] = replace(turn.draft.frame(region), value=value)
    return loop


def reopen_iterations(turn: Turn, loop: StepState, go_on: Phase) -> None:
    """Open what did not complete in the iterations of a loop; of a sequential one only the last can have failed."""
    if "next" not in loop.facts:
        begin_anew(turn, loop)
        return
    fresh, facts = as_waiting(loop), loop.facts
    first = 0 if is_parallel(turn, fresh) else max(0, facts["next"] - 1)
    kept = {name: facts[name] for name in ("count", "next", "kept", SIZE) if name in facts}
    facts = {**fresh.facts, **kept, "open": 0, _REOPENED: first}
    _reopen_more(turn, mark_started(turn, fresh, facts=facts), go_on)


def _reopen_more(turn: Turn, loop: StepState, go_on: Phase) -> None:
    """Open what did not complete in as many iterations as there is room for, and let the loop go on after them."""
    facts = loop.facts
    index, reopened = facts[_REOPENED], 0
    while index < facts["next"] and turn.room > 0:
        path = f"{loop.path}[{index}]"
        turn.room -= size_of_body(turn, loop)
        reopened += reopen_scope(turn, path, path, TOP)
        index += 1
    facts = {**facts, "open": facts["open"] + reopened, _REOPENED: index}
    if index < facts["next"]:
        leave(turn, replace(loop, facts=facts))
        return
    del facts[_REOPENED]
    turn.draft.put(loop := replace(loop, facts=facts))
    if has_more(turn, loop) or not facts["open"]:
        go_on(turn, loop)
