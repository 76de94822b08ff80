"""What is known of a run when it is created, and what of that contradicts itself."""

from app.domain.json_texts import Storable
from app.domain.moves import FINAL
from milepost.schemas.problems import FieldError
from milepost.schemas.workflow_runs import WorkflowRunCreate

_RECORDED = ("status", "result", "error", "expected_by", "started_at", "completed_at")
RECORDED = frozenset(_RECORDED)
"""The fields that say more of a new run than that it exists."""


def recorded(body: WorkflowRunCreate) -> dict[str, Storable]:
    """Return what is known of a new run, by name."""
    return {name: getattr(body, name) for name in _RECORDED}


def find_contradictions(body: WorkflowRunCreate, at: str) -> list[FieldError]:
    """Return what cannot be true together of a run that is created; ``at`` is its place in the body."""
    has_ended = body.status in FINAL
    errors = []
    if has_ended and body.tasks:
        detail = f"a {body.status} run takes no tasks"
        errors.append(FieldError(pointer=f"{at}/tasks", detail=detail))
    if body.completed_at and not has_ended:
        detail = "may only be given together with a final status"
        errors.append(FieldError(pointer=f"{at}/completed_at", detail=detail))
    elif body.completed_at and body.started_at and body.completed_at < body.started_at:
        errors.append(FieldError(pointer=f"{at}/completed_at", detail="the run would end before it started"))
    return errors
