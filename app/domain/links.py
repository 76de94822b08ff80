"""Which workflow run a task belongs to."""

from contextlib import suppress
from uuid import UUID

from app.domain.json_texts import JsonValue
from app.errors import ValidationFailed
from milepost.schemas.tasks import TaskSpec


def find_link(spec: TaskSpec, path_id: UUID | None, at: str) -> UUID | None:
    """Return the run that ``spec`` is linked to: by the path, by itself, or as older clients do in params or headers.

    ``at`` is the pointer of the spec in the request. Raises ValidationFailed if two of them disagree.
    """
    found = path_id
    for pointer, value in _places(spec):
        workflow_run_id = _read_id(value, f"{at}{pointer}")
        if found is not None and workflow_run_id != found:
            raise ValidationFailed.at(f"{at}{pointer}", f"names another workflow run than {found}")
        found = workflow_run_id
    return found


def has_link(spec: TaskSpec) -> bool:
    """Return whether ``spec`` names a run, or tries to."""
    return bool(_places(spec))


def place_of_link(spec: TaskSpec, at: str) -> str:
    """Return the pointer of what links ``spec`` to a run; where it could stand when nothing does."""
    return at + next((pointer for pointer, _ in _places(spec)), "/workflow_run_id")


def _places(spec: TaskSpec) -> list[tuple[str, JsonValue | UUID]]:
    params = spec.params if isinstance(spec.params, dict) else {}
    places = {
        "/workflow_run_id": spec.workflow_run_id,
        "/params/workflow_run_id": params.get("workflow_run_id"),
        "/headers/workflow_run_id": spec.headers.get("workflow_run_id"),
    }
    return [(pointer, value) for pointer, value in places.items() if value is not None]


def _read_id(value: JsonValue | UUID, pointer: str) -> UUID:
    if isinstance(value, UUID):
        return value
    with suppress(ValueError):
        if isinstance(value, str):
            return UUID(value)
    raise ValidationFailed.at(pointer, "must be the UUID of a workflow run")
