"""Refusals on the wire: RFC 9457 problem details."""

from pydantic import Field

from milepost.schemas.wire import Answer, JsonValue


class FieldError(Answer):
    """One place in a request that cannot be accepted."""

    pointer: str = Field(examples=["/workflow_name"])
    """An RFC 6901 pointer into the body, or the bare name of a parameter or header."""
    detail: str = Field(examples=["is required"])
    code: str | None = Field(default=None, exclude_if=lambda code: code is None, examples=["missing_target"])
    """What kind of error of a workflow definition it is; absent elsewhere."""


class Problem(Answer):
    """Why a request was refused; nothing was written. Source: RFC 9457."""

    type: str = Field(examples=["/problems/not-found"])
    """Where this kind of refusal is explained."""
    title: str
    status: int
    detail: str
    instance: str = Field(examples=["/v1/workflow-runs/0197c2a4-5b1e-7c3d-9f00-6a1b2c3d4e5f"])
    """The path that was asked for."""
    code: str = Field(examples=["not-found"])
    """The last part of `type`: branch on this."""
    request_id: str = Field(examples=["0197c2a4-6d00-7a10-8000-1f2e3d4c5b6a"])


class ValidationProblem(Problem):
    """A refusal that names each place that cannot be accepted."""

    errors: list[FieldError]


class ConflictProblem(Problem):
    """A refusal because of where things stand."""

    current: JsonValue = None
    """The resource as it stands; null where there is none."""
    allowed: list[str] = Field(default_factory=list, examples=[["delete"]])
    """What it can do from there: statuses first, then verbs."""


class CountProblem(Problem):
    """A refusal because another number matches than was expected."""

    count: int = Field(examples=[312])
    """How many match."""


class ForgottenProblem(Problem):
    """A refusal because what was asked for is not kept any more."""

    oldest: int = Field(examples=[48213])
    """The first position that is kept."""
