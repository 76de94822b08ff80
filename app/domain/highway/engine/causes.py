"""What made a container fail: the step in it that failed by itself, however deep it stands."""

from collections.abc import Iterable

from app.domain.error_lines import error_line
from app.domain.highway.engine.state import StepState
from app.domain.highway.engine.turn import Turn
from app.domain.highway.language.paths import scope_of
from app.domain.json_texts import Json
from milepost.schemas.steps import StepStatus

CAUSE = "cause"
"""Fact of a step that failed, or is to, because of another: the path of that."""


def find_cause(states: Iterable[StepState]) -> str | None:
    """Return the path of the step that made a scope fail: that which failed first, by itself rather than by others."""
    failed = [
        (state.completed_at, CAUSE in state.facts, state.path, state.facts.get(CAUSE, state.path))
        for state in states
        if state.status is StepStatus.failed and state.completed_at is not None
    ]
    return min(failed)[-1] if failed else None


def describe_failure(turn: Turn, name: str, cause: str | None, otherwise: str) -> dict[str, Json]:
    """Return the error of a step that failed because of the one at the path ``cause``: with its path and its error."""
    found = None if cause is None else turn.draft.find(scope_of(cause), cause)
    if found is None:
        return {"name": name, "message": otherwise}
    line = error_line(found.error)
    return {"name": name, "message": f"{found.path}: {line}" if line else f"{found.path} failed", "step": found.path}


def caused_by(cause: str | None) -> dict[str, Json]:
    """Return the fact of a step that fails because of the one at this path."""
    return {} if cause is None else {CAUSE: cause}
