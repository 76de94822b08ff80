"""Workflow runs that are about to be created."""

from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

from app.domain.json_texts import JsonValue


class RunToCreate(NamedTuple):
    """A run that is about to be created; what the members mean is said at the columns of the model."""

    workflow_run_id: UUID
    workflow_name: str
    workflow_version: str
    workflow_hash: str | None
    queue: str
    inputs: JsonValue
    tags: Mapping[str, JsonValue]
    created_by: str | None
    absurd_run_id: str | None
    parent_workflow_run_id: UUID | None
    task_count: int | None
    heartbeat_seconds: float | None
    tag_texts: Mapping[str, str] | None
    deadline_seconds: float | None
    actor: str
    request_id: str | None
