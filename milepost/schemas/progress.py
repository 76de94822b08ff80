"""Progress that owners and workers report of their own."""

from typing import Annotated, Any

from pydantic import MISSING, AfterValidator, ConfigDict, Field

from milepost.schemas import examples
from milepost.schemas.wire import Answer, Body

AMOUNT_MOST = 1e300


def _check_amount(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= AMOUNT_MOST:
        raise ValueError("must be a number, 0 or more")
    return value


Amount = Annotated[Any, AfterValidator(_check_amount), Field(json_schema_extra={"type": "number", "minimum": 0})]
Unit = Annotated[str, Field(max_length=100)]
Message = Annotated[str, Field(max_length=2000)]


class ProgressReport(Body):
    """How far it is; what is absent stays as it was reported before, and null clears it."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.REPORTED_PROGRESS]})

    done: Amount | None | MISSING = Field(default=MISSING, description="How much is done; 0 or more.")
    total: Amount | None | MISSING = Field(default=MISSING, description="Of how much; 0 or more.")
    unit: Unit | None | MISSING = Field(default=MISSING, description="What is counted.", examples=["rows"])
    message: Message | None | MISSING = Field(
        default=MISSING, description="What is being done.", examples=["loading orders"]
    )


class ReportedProgress(Answer):
    """How far it is, as was reported."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.REPORTED_PROGRESS]})

    done: int | float | None
    total: int | float | None
    unit: str | None
    message: str | None
