"""How scopes end: branches, iterations and the run itself."""

from dataclasses import replace

from app.domain.highway.compiler.plan import Region
from app.domain.highway.compiler.planner import is_stray
from app.domain.highway.compiler.precedence import find_held
from app.domain.highway.engine.causes import CAUSE, caused_by, find_cause
from app.domain.highway.engine.run import end_top
from app.domain.highway.engine.state import StepState
from app.domain.highway.engine.steps import set_aside
from app.domain.highway.engine.turn import Turn
from app.domain.highway.language.paths import TOP, loop_of, scope_of
from milepost.schemas.steps import StepStatus

_LEAF_FAILURES = frozenset({StepStatus.failed, StepStatus.upstream_failed})


def look_at_scope(turn: Turn, path: str, region: str, name: str) -> None:
    """See whether a scope is over, and with it its branch, its iteration or the run."""
    if turn.draft.has_open(path):
        _skip_strays(turn, turn.plan.region(region), path)
        return
    states = turn.draft.scope(path)
    steps = turn.plan.region(region).steps
    has_failed = any(
        state.status in _LEAF_FAILURES and steps[turn.step_of(state).name].is_leaf for state in states.values()
    )
    scope = turn.plan.region(region).scopes[name]
    if scope.container is None and region == TOP:
        end_top(turn, has_failed=has_failed)
        return
    cause = find_cause(states.values()) if has_failed else None
    _end_inside(turn, loop_of(region) if scope.container is None else scope_of(path), region, has_failed, cause)


def _end_inside(turn: Turn, path: str, region: str, has_failed: bool, cause: str | None) -> None:
    """Tell the step at ``path`` that a branch or an iteration in it is over, and which step made that fail."""
    state = turn.draft.find(scope_of(path), path)
    end_inside = None if state is None else turn.operators[state.operator].end_inside
    if state is None or end_inside is None:
        return
    if cause is not None and CAUSE not in state.facts:
        turn.draft.put(state := replace(state, facts={**state.facts, **caused_by(cause)}))
    end_inside(turn, state, region, has_failed=has_failed)


def _skip_strays(turn: Turn, region: Region, path: str) -> None:
    """Skip handlers that are called only in scopes further in, once all other steps have ended.

    Other handlers do not count, nor does what waits for these, as it would wait for ever.
    """
    if not region.has_strays:
        return
    open_states = [state for state in turn.draft.scope(path).values() if state.is_open]
    handlers = [state for state in open_states if turn.step_of(state).is_handler]
    strays = [state for state in handlers if _is_stray(turn, state)]
    if not strays:
        return
    held = find_held(region.held_by, [turn.step_of(state).name for state in strays])
    if any(not step.is_handler and step.name not in held for step in map(turn.step_of, open_states)):
        return
    for state in strays:
        set_aside(turn, state, StepStatus.skipped)


def _is_stray(turn: Turn, state: StepState) -> bool:
    step = turn.step_of(state)
    return "called" not in state.facts and (is_stray(step) or step.is_summoned)
