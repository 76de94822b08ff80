"""The types that every body and parameter is built from."""

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, Strict, TypeAdapter
from typing_extensions import TypeAliasType

_RFC3339 = re.compile(
    r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt ]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)"
)
_AWARE = TypeAdapter(AwareDatetime)


class Body(BaseModel):
    """What a client sends: unknown members are refused."""

    model_config = ConfigDict(extra="forbid")


class NoBody(Body):
    """Nothing, or `{}`."""


class Answer(BaseModel):
    """What the service sends: every member is always there."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True, use_attribute_docstrings=True)


def _read_time(value: object) -> datetime:
    """Return the moment that an RFC 3339 text with an offset names.

    Source: RFC 3339, section 5.6; pydantic alone would also take numbers and times without an offset.
    """
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise ValueError("must be an RFC 3339 time with an offset, such as 2026-01-31T09:30:00Z")
    try:
        return _AWARE.validate_python(value).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("is not a time that exists") from None


Time = Annotated[datetime, BeforeValidator(_read_time)]

JsonValue = TypeAliasType("JsonValue", Annotated[Any, Field(description="Any JSON value.")])
JsonObject = TypeAliasType("JsonObject", Annotated[dict[str, Any], Field(description="Any JSON object.")])

Seconds = Annotated[float, Strict(), Field(allow_inf_nan=False)]


def _read_whole_number(value: object) -> object:
    """Return 201.0 as 201: JSON has one type of numbers."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WholeNumber = Annotated[int, Strict()]
INTEGRAL = BeforeValidator(_read_whole_number)
"""Stands behind the bounds of each whole number: before them it would keep them out of the schema."""
Flag = Annotated[bool, Strict()]

_WORKFLOW_NAME = r"^[a-z](?:_?[a-z0-9])*_?$"
_WORKFLOW_VERSION = r"^_?(?:[a-zA-Z0-9.-]_?)*$"
_MONITOR_NAME = r"^[a-z](?:_?[a-z0-9.-])*_?$"
_QUEUE_NAME = r"^[A-Za-z_][A-Za-z0-9_.-]*$"
NOT_BLANK = r"\S"
VISIBLE_ASCII = r"^[ -~]*$"
NAME_PATTERNS = {
    _WORKFLOW_NAME: "lower-case letters, digits and single underscores, starting with a letter",
    _WORKFLOW_VERSION: "letters, digits, dots, dashes and single underscores",
    _MONITOR_NAME: "lower-case letters, digits, dots, dashes and single underscores, starting with a letter",
    _QUEUE_NAME: "letters, digits, dots, dashes and underscores, starting with a letter or an underscore",
    NOT_BLANK: "more than blanks",
    VISIBLE_ASCII: "printable ASCII characters",
}
"""What a text that matches a pattern is, in words."""

WorkflowName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        pattern=_WORKFLOW_NAME,
        description="Lower-case letters, digits and single underscores, starting with a letter.",
        examples=["nightly_etl"],
    ),
]
WorkflowVersion = Annotated[
    str,
    Field(
        min_length=1,
        max_length=100,
        pattern=_WORKFLOW_VERSION,
        description="Letters, digits, dots, dashes and single underscores.",
        examples=["1.0.0"],
    ),
]
MonitorName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        pattern=_MONITOR_NAME,
        description="Lower-case letters, digits, dots, dashes and single underscores, starting with a letter.",
        examples=["nightly-etl"],
    ),
]
QueueName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=100,
        pattern=_QUEUE_NAME,
        description="A queue is made on first use.",
        examples=["default"],
    ),
]
ShortText = Annotated[str, Field(min_length=1, max_length=255)]


class CountTotal(StrEnum):
    """Whether a list also tells how many match."""

    exact = "exact"


class PageQuery(BaseModel):
    """Which part of a list."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=50, ge=1, le=200, description="Items on a page.")
    cursor: str | None = Field(default=None, max_length=500, description="`next_cursor` of the page before.")
