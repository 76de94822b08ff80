"""Steps of whose branches those begin whose condition holds."""

from collections.abc import Iterator

from app.domain.highway.document.checks_of_expressions import check_condition
from app.domain.highway.document.checks_of_values import (
    check_anything,
    check_seconds,
    check_step_id,
    check_texts,
    object_of,
    object_with,
    whole_number,
)
from app.domain.highway.document.findings import Finding
from app.domain.highway.document.forms import COMMON, Form, Inside, Node, texts_in
from app.domain.json_texts import Json
from app.domain.json_values import escape_pointer

_CHOICE = object_with({"condition": check_condition, "tasks": check_texts}, {"condition": "bad_condition"})


def _check_choices(step: Node, pointer: str) -> Iterator[Finding]:
    """Yield the branches that have steps and no condition."""
    conditions, workflows = step.get("branches"), step.get("branch_workflows")
    if not isinstance(conditions, dict) or not isinstance(workflows, dict):
        return
    for name in workflows:
        if name not in conditions:
            detail = "has no condition of this name in branches"
            yield Finding("bad_value", f"{pointer}/branch_workflows/{escape_pointer(name)}", detail)


def _repair_branch(branch: Json) -> Json:
    return {"condition": "true", "tasks": texts_in(branch.get("tasks") if isinstance(branch, dict) else None)}


FORM = Form(
    members=COMMON
    | {
        "branches": object_of(_CHOICE, "branches, each with its condition", check_step_id),
        "branch_workflows": check_anything,
        "minimum_branches": whole_number(0),
        "timeout": check_seconds,
    },
    required={"branches": "bad_value"},
    check=_check_choices,
    inside=Inside.branches,
    repair_branch=_repair_branch,
)
