"""What documents and plans know of an operator: the members of its steps, what stands inside of them, how they link."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from app.domain.highway.document.checks_of_expressions import check_guard, duration_from
from app.domain.highway.document.checks_of_values import (
    Check,
    check_anything,
    check_filled_text,
    check_flag,
    check_object,
    check_text,
    check_texts,
    list_of,
    number_above,
    object_with,
    one_of,
    whole_number,
)
from app.domain.highway.document.findings import Finding
from app.domain.highway.language.rules import TriggerRule
from app.domain.json_texts import Json

_RETRIES_MOST = 9_999
_FACTOR_MOST = 1000

Node = Mapping[str, Json]
"""A step as a document has it."""


class Inside(Enum):
    """What the steps of an operator contain."""

    nothing = "nothing"
    branches = "branches"
    iterations = "iterations"


class Bond(Enum):
    """What two steps have with each other, one of which reads the result of the other."""

    branches = "branches"
    """The one waits for the branches of the other."""
    report = "report"
    """The one waits for what workers report of the other."""


class Form(NamedTuple):
    """All that documents and plans know of the steps of one operator."""

    members: Mapping[str, Check]
    """Those that a step may have; what it contains is looked at step by step, elsewhere."""
    required: Mapping[str, str] = {}
    """Members that it cannot do without, each with the code of its absence."""
    check: Callable[[Node, str], Iterable[Finding]] | None = None
    """Finds what is wrong with several members together, of the step that stands at a pointer."""
    inside: Inside = Inside.nothing
    is_work: bool = False
    """Workers do it: it is tried again when it fails, and has a time limit."""
    is_named_outside: bool = False
    """What its iterations come to is named in the region around it."""
    takes_from_beside: bool = False
    """Its branches may name steps that stand beside it: those are inside of it then."""
    repair_branch: Callable[[Json], Json] | None = None
    """Makes a member of `branches` good enough to look at the structure."""
    targets_of: Callable[[Node], Iterator[tuple[tuple[str, ...], str]]] | None = None
    """Of a router: yields its targets, and where they stand in the step."""
    joins: str | None = None
    """Member with the steps that it joins."""
    emits: str | None = None
    """Member with the name of the event that it emits."""
    awaits: str | None = None
    """Member with the name of the event that it waits for."""
    offers: Bond | None = None
    """How others may be bound to it that read its result."""
    bond: Bond | None = None
    """How it is bound to the step whose result it reads by one of `names_read`."""
    names_read: Callable[[Node], Sequence[str] | None] | None = None
    """Returns the names by which it is bound; None if it is a step that is not."""


check_retry_policy = object_with(
    {
        "max_retries": whole_number(0, _RETRIES_MOST),
        "delay": duration_from(0),
        "backoff_factor": number_above(0, _FACTOR_MOST),
    }
)
_check_timeout_policy = object_with(
    {"timeout": duration_from(0, excluded=True), "kill_on_timeout": check_flag}, {"timeout": "bad_duration"}
)
_check_circuit_breaker_policy = object_with(
    {
        "failure_threshold": whole_number(1),
        "success_threshold": whole_number(1),
        "isolation_duration": duration_from(0),
        "isolation_duration_seconds": duration_from(0),
        "catch_exceptions": check_texts,
        "ignore_exceptions": check_texts,
    }
)

COMMON: dict[str, Check] = {
    "task_id": check_anything,
    "operator_type": check_anything,
    "dependencies": check_texts,
    "trigger_rule": one_of(*TriggerRule),
    "retry_policy": check_retry_policy,
    "timeout_policy": _check_timeout_policy,
    "circuit_breaker_policy": _check_circuit_breaker_policy,
    "idempotency_key": check_filled_text,
    "metadata": check_object,
    "description": check_text,
    "result_key": check_filled_text,
    "on_success_task_id": check_text,
    "on_failure_task_id": check_text,
    "is_internal_loop_task": check_flag,
    "is_internal_parallel_task": check_flag,
    "preconditions": list_of(check_guard, "guards"),
    "postconditions": list_of(check_guard, "guards"),
}
"""Members that a step of any operator may have; its id is looked at together with its place."""


def _check_function(value: Json, pointer: str) -> Iterable[Finding]:
    if isinstance(value, str) and (not value or value.isspace()):
        return (Finding("missing_function", pointer, "must name the function that workers do, and is blank"),)
    return check_text(value, pointer)


CALL: dict[str, Check] = {
    "function": _check_function,
    "args": list_of(check_anything, "arguments"),
    "kwargs": check_object,
}
"""Members of what calls a function of workers."""


def texts_in(value: Json) -> list[str]:
    """Return the texts in a list; none of what is no list."""
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
