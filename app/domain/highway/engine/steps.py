"""How steps begin and end, whatever they do, and what that leads to."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from app.domain.highway.compiler.plan import Scope
from app.domain.highway.engine.handlers import call_handler
from app.domain.highway.engine.sizes import SIZE, size_of
from app.domain.highway.engine.standings import dependents_of
from app.domain.highway.engine.state import OPEN, StepState
from app.domain.highway.engine.turn import Turn
from app.domain.highway.engine.values import broken_postcondition, names_of, resolve_at, write_result
from app.domain.highway.language.budgets import BudgetSpentError
from app.domain.highway.language.guards import failed_guard
from app.domain.highway.language.paths import path_near
from app.domain.highway.language.storable_values import UnstorableError, check_values
from app.domain.json_texts import Json
from milepost.schemas.steps import StepStatus


def begin_scope(turn: Turn, container: StepState | None, region: str, scope: Scope) -> None:
    """Let a scope begin: its steps exist from now on."""
    path = path_near(container.path if container else "", region, scope.name)
    turn.draft.begin_scope(path)
    turn.room -= len(scope.steps)
    steps = turn.plan.region(region).steps
    prefix = f"{path}." if path else ""
    needs_look = not scope.steps
    for name in scope.steps:
        step = steps[name]
        state = StepState(f"{prefix}{step.task_id}", region, path, step.operator)
        turn.draft.put(state)
        turn.moved.append(state)
        needs_look = needs_look or step.is_handler
    if needs_look:
        turn.touch(path, region, scope.name)


def mark_started(turn: Turn, state: StepState, status: StepStatus = StepStatus.running, **changes: Any) -> StepState:
    """Return the step after it has started."""
    started = replace(state, status=status, started_at=state.started_at or turn.now, **changes)
    turn.draft.put(started)
    return started


def is_kept_out(turn: Turn, state: StepState) -> bool:
    """Fail a step one of whose preconditions does not hold; whether it was."""
    guards = turn.step_of(state).spec.get("preconditions")
    message = failed_guard(guards, names_of(turn, state)) if guards else None
    if message is not None:
        fail(turn, state, {"name": "PreconditionFailed", "message": message})
    return message is not None


def resolve_work(turn: Turn, state: StepState, values: Mapping[str, Json]) -> dict[str, Json] | None:
    """Return ``values`` resolved; None, and the step fails, if that is not to be.

    It is not if a value cannot be stored, or if one is missing and templates are strict.
    """
    before = len(turn.effects.unresolved)
    resolved = {name: resolve_at(turn, state, value) for name, value in values.items()}
    try:
        check_values(resolved)
    except UnstorableError as failure:
        fail(turn, state, failure.error)
        return None
    missing = sorted({text for _, text in turn.effects.unresolved[before:]})
    if not missing or not turn.draft.run.strict_templates:
        return resolved
    message = "no value for " + ", ".join("{{" + text + "}}" for text in missing)
    fail(turn, state, {"name": "UnresolvedTemplate", "message": message})
    return None


@contextmanager
def within_budget(turn: Turn, state: StepState) -> Iterator[None]:
    """Fail the step, without another attempt, if what the block does for it spends what is left of the budget."""
    try:
        yield
    except BudgetSpentError as spent:
        if not turn.budget.fails_steps:
            raise
        now = turn.current(state)
        if now.is_open:
            fail(turn, now, {"name": "BudgetExceeded", "message": f"the step was given up: {spent}"})


def complete(turn: Turn, state: StepState, result: Json = None, **facts: Json) -> None:
    """Complete a step with its result, unless a postcondition of it does not hold: then it fails."""
    with within_budget(turn, state):
        message = broken_postcondition(turn, state, result)
        if message is None:
            succeed(turn, state, result, **facts)
        else:
            fail(turn, state, {"name": "PostconditionFailed", "message": message})


def succeed(turn: Turn, state: StepState, result: Json, **facts: Json) -> None:
    """Complete a step."""
    write_result(turn, state, result)
    turn.effects.completed.append(state.path)
    if SIZE not in facts:
        facts[SIZE] = size_of(result)
    end(turn, state, StepStatus.completed, **facts)


def fail(turn: Turn, state: StepState, error: Json, **facts: Json) -> None:
    """Fail a step."""
    turn.effects.failed.append(state.path)
    end(turn, state, StepStatus.failed, error, **facts)


def set_aside(turn: Turn, state: StepState, status: StepStatus) -> None:
    """End a step that did not do anything, as what it waited for has ended."""
    effects = turn.effects
    listed = {StepStatus.skipped: effects.skipped, StepStatus.cancelled: effects.cancelled}
    listed.get(status, effects.upstream_failed).append(state.path)
    end(turn, state, status)


def end(turn: Turn, state: StepState, status: StepStatus, error: Json = None, **facts: Json) -> None:
    """End a step, call its handler, and look at what waits for it."""
    kept = {name: value for name, value in state.facts.items() if name != "again"}
    ended = replace(
        state,
        status=status,
        error=error,
        facts=kept | facts,
        due_at=None,
        awaits=None,
        completed_at=turn.now,
        started_at=state.started_at or (turn.now if status is StepStatus.completed else None),
    )
    turn.draft.put(ended)
    look_at_dependents(turn, ended)
    call_handler(turn, ended)
    turn.touch(ended.scope, ended.region, turn.step_of(ended).scope)


def look_at_dependents(turn: Turn, ended: StepState) -> None:
    """Look again at the steps that may go on now."""
    region = turn.plan.region(ended.region)
    for name in dependents_of(turn, ended, region):
        found = first = turn.find(ended, name)
        number = 1
        while found is not None and first is not None:
            if found.is_open:
                turn.moved.append(found)
            number += 1
            is_handler = region.steps[name].is_handler
            found = turn.draft.find(first.scope, f"{first.path}#{number}") if is_handler else None


def drop(turn: Turn, state: StepState, *, is_timeout: bool = False) -> None:
    """End one open step without consequences, and what is done for it: what has not begun is skipped.

    When the time of their container is over, all of it is cancelled.
    """
    turn.effects.dropped.append(state.path)
    if state.status not in OPEN:
        turn.draft.put(replace(state, facts={**state.facts, "submitted": "dropped"}, due_at=None))
        return
    is_cancelled = is_timeout or state.has_begun
    (turn.effects.cancelled if is_cancelled else turn.effects.skipped).append(state.path)
    status = StepStatus.cancelled if is_cancelled else StepStatus.skipped
    turn.draft.put(replace(state, status=status, due_at=None, awaits=None, completed_at=turn.now))


def whole_number(seconds: float) -> float:
    """Return ``seconds``, without a fraction where there is none."""
    return int(seconds) if float(seconds).is_integer() else seconds


def timed_out(message: str) -> dict[str, Json]:
    """Return the error of what had not ended in time."""
    return {"name": "TimeoutError", "message": message}


def run_out_of_time(turn: Turn, state: StepState) -> None:
    """Fail a step that had not ended when it was to, and give up what is done for it."""
    turn.effects.dropped.append(state.path)
    fail(turn, state, timed_out("had not ended in time"))


def count_end(turn: Turn, container: StepState, *, has_failed: bool) -> StepState:
    """Return a container after one of the scopes in it has ended."""
    facts = container.facts
    counted = {"open": facts["open"] - 1, "failed": has_failed or bool(facts.get("failed"))}
    after = replace(container, facts={**facts, **counted})
    turn.draft.put(after)
    return after
