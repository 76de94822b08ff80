"""What the members of a step may be, for each operator."""

from collections.abc import Iterable, Iterator, Mapping

from app.domain.highway.document.checks_of_expressions import check_condition, check_guard, check_wait, duration_from
from app.domain.highway.document.checks_of_values import (
    Check,
    check_anything,
    check_filled_text,
    check_flag,
    check_members,
    check_object,
    check_other_workflow,
    check_seconds,
    check_step_id,
    check_text,
    check_texts,
    list_of,
    number_above,
    object_of,
    object_with,
    one_of,
    show,
    whole_number,
)
from app.domain.highway.document.findings import Finding
from app.domain.highway.language.operators import JoinMode, Operator, TriggerRule
from app.domain.json_texts import Json

_RETRIES_MOST = 9_999
_FACTOR_MOST = 1000
_TURNS_MOST = 10

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


def _check_function(value: Json, pointer: str) -> Iterable[Finding]:
    if isinstance(value, str) and (not value or value.isspace()):
        return (Finding("missing_function", pointer, "must name the function that workers do, and is blank"),)
    return check_text(value, pointer)


_COMMON: Mapping[str, Check] = {
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

_WORK: Mapping[str, Check] = {
    "function": _check_function,
    "args": list_of(check_anything, "arguments"),
    "kwargs": check_object,
}
_CHILD = object_with({"workflow_name": check_other_workflow, "inputs": check_object}, {"workflow_name": "bad_value"})
_CHOICE = object_with({"condition": check_condition, "tasks": check_texts}, {"condition": "bad_condition"})

_OWN: Mapping[Operator, Mapping[str, Check]] = {
    Operator.task: _WORK,
    Operator.activity: _WORK,
    Operator.reflexive: {
        "generator": check_filled_text,
        "generator_kwargs": check_object,
        "verifier": check_filled_text,
        "verifier_kwargs": check_object,
        "max_turns": whole_number(1, _TURNS_MOST),
        "correction_prompt_template": check_text,
    },
    Operator.condition: {"condition": check_condition, "if_true": check_text, "if_false": check_text},
    Operator.switch: {
        "switch_on": check_text,
        "cases": object_of(check_text, "task ids"),
        "default": check_text,
    },
    Operator.wait: {"wait_for": check_wait},
    Operator.emit_event: {"event_name": check_filled_text, "payload": check_object},
    Operator.wait_for_event: {"event_name": check_filled_text, "timeout_seconds": check_seconds},
    Operator.join: {"join_tasks": check_texts, "join_mode": one_of(*JoinMode)},
    Operator.parallel: {
        "branches": object_of(check_texts, "lists of task ids", check_step_id),
        "branch_workflows": check_anything,
        "timeout": check_seconds,
    },
    Operator.multi_choice: {
        "branches": object_of(_CHOICE, "branches, each with its condition", check_step_id),
        "branch_workflows": check_anything,
        "minimum_branches": whole_number(0),
        "timeout": check_seconds,
    },
    Operator.foreach: {
        "items": check_filled_text,
        "loop_body": check_anything,
        "parallel": check_flag,
        "dynamic": check_flag,
    },
    Operator.while_: {"condition": check_condition, "loop_body": check_anything},
    Operator.child_workflow: {
        "children": object_of(_CHILD, "children", check_filled_text),
        "timeout_seconds": check_seconds,
    },
    Operator.terminate: {
        "status": one_of("completed", "failed", "cancelled"),
        "result": check_object,
        "reason": check_text,
    },
}
"""Members that belong to one operator; `loop_body` and `branch_workflows` are looked at step by step, elsewhere."""

FIELDS: Mapping[Operator, Mapping[str, Check]] = {operator: {**_COMMON, **own} for operator, own in _OWN.items()}

REQUIRED: Mapping[Operator, Mapping[str, str]] = {
    Operator.task: {"function": "missing_function"},
    Operator.activity: {"function": "missing_function"},
    Operator.reflexive: {"generator": "bad_value", "verifier": "bad_value"},
    Operator.condition: {"condition": "bad_condition"},
    Operator.switch: {"switch_on": "bad_value"},
    Operator.wait: {"wait_for": "bad_duration"},
    Operator.emit_event: {"event_name": "bad_value"},
    Operator.wait_for_event: {"event_name": "bad_value"},
    Operator.join: {"join_tasks": "bad_value"},
    Operator.multi_choice: {"branches": "bad_value"},
    Operator.foreach: {"items": "bad_value"},
    Operator.while_: {"condition": "bad_condition"},
}
"""Members that an operator cannot do without, each with the code of its absence."""


_OPERATORS: Mapping[str, Operator] = {operator.value: operator for operator in Operator}


def operator_of(step: Mapping[str, Json]) -> Operator | None:
    """Return what kind of step it is; None if that is missing or unknown."""
    name = step.get("operator_type")
    return _OPERATORS.get(name) if isinstance(name, str) else None


def check_members_of_step(step: Mapping[str, Json], pointer: str) -> Iterator[Finding]:
    """Yield what is wrong with the members of a step, except for the steps that it contains."""
    operator = operator_of(step)
    if operator:
        yield from check_members(step, pointer, FIELDS[operator], REQUIRED.get(operator, {}))
        return
    detail = f"must be one of {', '.join(Operator)}, not {show(step.get('operator_type'))}"
    yield Finding("unknown_operator", f"{pointer}/operator_type", detail)
    known = {name: member for name, member in step.items() if name in _COMMON}
    yield from check_members(known, pointer, _COMMON, {})
