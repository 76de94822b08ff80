"""Logs of workflow runs and tasks on the wire."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from milepost.schemas import examples
from milepost.schemas.wire import Answer, Body, JsonObject, Time

LINES_A_CALL = 1000
LINES_A_PAGE = 1000
TEXT_BYTES_MOST = 16 * 1024


class LogLevel(StrEnum):
    """How important a line is, from the least on."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


class LogLineAppend(Body):
    """One line to append."""

    text: str = Field(
        description="Up to 16 KiB of UTF-8; what is longer is cut between two characters and marked `truncated`.",
        examples=["loaded 1200 rows"],
    )
    at: Time | None = Field(default=None, description="When it was written. Absent: now.")
    level: LogLevel = LogLevel.info
    fields: JsonObject = Field(default_factory=dict, description="What belongs to it; comes back as given.")


class LogAppend(Body):
    """Lines to append, in their order."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.LOG_APPEND]})

    lines: Annotated[list[LogLineAppend], Field(min_length=1, max_length=LINES_A_CALL)]


class LogAppended(Answer):
    """How many lines were appended: all that were sent."""

    appended: int = Field(examples=[2])


class LogLine(Answer):
    """One line of a log."""

    line_id: int
    """Grows in the order of arrival; no two lines have the same."""
    at: datetime
    level: LogLevel
    text: str = Field(examples=["loaded 1200 rows"])
    fields: JsonObject
    truncated: bool
    """Whether it was longer than 16 KiB."""
    attempt: int
    """Of the task that wrote it; of the run where no task did."""
    task_id: UUID | None
    """Null: the run's own line."""
    workflow_run_id: UUID | None
    """In whose log it stands as well; null for a task without a run."""


class LogPage(Answer):
    """Lines of a log, in the order asked for."""

    items: list[LogLine]
    next_cursor: str | None
    """Pass it as `cursor` for what follows; null at the end. With a filter a page may be short and others follow."""


class LogOrder(StrEnum):
    """Which lines come first; those of the same time keep their order of arrival."""

    at = "at"
    newest_at = "-at"


class LogQuery(BaseModel):
    """Which lines of a log, and which part of them."""

    model_config = ConfigDict(extra="forbid")

    level: LogLevel | None = Field(default=None, description="At least so important.")
    after: Time | None = Field(default=None, description="Written after this moment, exclusive.")
    before: Time | None = Field(default=None, description="Written before this moment, exclusive.")
    q: str | None = Field(
        default=None,
        min_length=1,
        max_length=500,
        description="A part of the text, taken literally; upper and lower case are the same.",
        examples=["timeout"],
    )
    attempt: int | None = Field(default=None, ge=1, le=2_147_483_647, description="Of this attempt.")
    order: LogOrder | None = Field(default=None, description="Oldest first unless it says otherwise.")
    limit: int | None = Field(default=None, ge=1, le=LINES_A_PAGE, description="Lines on a page. Absent: 50.")
    cursor: str | None = Field(default=None, max_length=500, description="`next_cursor` of the page before.")
    tail: int | None = Field(
        default=None, ge=1, le=LINES_A_PAGE, description="The last so many, oldest first; without cursor and order."
    )
