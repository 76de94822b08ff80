"""Steps of executed runs on the wire, and what was worth a warning in them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import ConfigDict, Field

from milepost.schemas import examples
from milepost.schemas.wire import Answer, Body, JsonValue, PageQuery, ShortText


class StepStatus(StrEnum):
    """Where a step stands; the last five are final."""

    waiting = "waiting"
    runnable = "runnable"
    running = "running"
    completed = "completed"
    failed = "failed"
    skipped = "skipped"
    upstream_failed = "upstream_failed"
    cancelled = "cancelled"


class WorkflowStep(Answer):
    """A step of an executed run: a node of its definition in one scope."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.WORKFLOW_STEP]})

    path: str
    """Where it stands: `load`, `fork.left.load`, `loop[0].load`."""
    status: StepStatus
    operator_type: str
    attempt: int
    """0 before its first attempt."""
    task_id: UUID | None
    """The work item that workers get for it."""
    result: JsonValue
    error: JsonValue
    """Of its last failure."""
    awaits: str | None
    """The event that it waits for."""
    due_at: datetime | None
    """When something happens to it by itself: its next attempt, the end of its wait, or its time-out."""
    started_at: datetime | None
    completed_at: datetime | None


class WorkflowStepPage(Answer):
    """Steps of a run, in the order in which they came into being."""

    items: list[WorkflowStep]
    next_cursor: str | None


class StepQuery(PageQuery):
    """Which steps of a run."""

    status: list[StepStatus] = Field(default_factory=list, description="Repeat it for any of several.")


class RunWarning(Answer):
    """Something in an executed run that was worth a warning."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.RUN_WARNING]})

    path: str
    """The step."""
    code: str
    expression: str
    """The text between the braces that had no value."""
    detail: str
    at: datetime


class RunWarningPage(Answer):
    """The warnings of a run, oldest first."""

    items: list[RunWarning]
    next_cursor: str | None


class WorkflowRunRerun(Body):
    """From where a run is to be done again."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"from_step": "load"}]})

    from_step: Annotated[ShortText, Field(description="A step of the top level; it and what follows is done again.")]
