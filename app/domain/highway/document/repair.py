"""A document whose form is wrong, made good enough to look at its structure: so that all errors are told at once.

What is repaired is never executed.
"""

from collections.abc import Mapping

from app.domain.highway.language.operators import JoinMode, Operator, TriggerRule
from app.domain.json_texts import Json

_DEPTH_MOST = 64
_KEPT = ("on_success_task_id", "on_failure_task_id", "result_key", "event_name")
_HARMLESS: Mapping[str, Json] = {"function": "any.function", "event_name": "any_{{event}}"}


def repair_document(document: Json) -> dict[str, Json]:
    """Return a document that can be compiled, with everything that names a task as it stands."""
    tasks = document.get("tasks") if isinstance(document, Mapping) else None
    return {"name": "any", "tasks": _repair_tasks(tasks, _DEPTH_MOST)}


def _repair_tasks(tasks: Json, depth: int) -> dict[str, Json]:
    if not isinstance(tasks, Mapping) or depth <= 0:
        return {}
    return {str(task_id): _repair_step(str(task_id), node, depth) for task_id, node in tasks.items()}


def _repair_step(task_id: str, node: Json, depth: int) -> dict[str, Json]:
    given: Mapping[str, Json] = node if isinstance(node, Mapping) else {}
    operator = _one_of(given.get("operator_type"), Operator, Operator.task)
    step: dict[str, Json] = {
        **_HARMLESS,
        **{name: given[name] for name in _KEPT if isinstance(given.get(name), str)},
        "task_id": task_id,
        "operator_type": operator,
        "dependencies": _texts(given.get("dependencies")),
        "trigger_rule": _one_of(given.get("trigger_rule"), TriggerRule, TriggerRule.all_success),
        "join_tasks": _texts(given.get("join_tasks")),
        "join_mode": _one_of(given.get("join_mode"), JoinMode, JoinMode.all_of),
        "cases": _texts_by_name(given.get("cases")),
    }
    step |= {name: given[name] for name in ("if_true", "if_false", "default") if isinstance(given.get(name), str)}
    return step | _repair_inside(operator, given, depth)


def _repair_inside(operator: str, given: Mapping[str, Json], depth: int) -> dict[str, Json]:
    if operator in (Operator.foreach, Operator.while_):
        body = given.get("loop_body")
        nodes = body if isinstance(body, list) else []
        named = [node for node in nodes if isinstance(node, Mapping) and isinstance(node.get("task_id"), str)]
        return {"loop_body": [_repair_step(node["task_id"], node, depth - 1) for node in named] if depth > 0 else []}
    if operator not in (Operator.parallel, Operator.multi_choice):
        return {}
    branches, workflows = given.get("branches"), given.get("branch_workflows")
    return {
        "branches": _repair_branches(operator, branches if isinstance(branches, Mapping) else {}),
        "branch_workflows": {
            str(name): {"tasks": _repair_tasks(workflow.get("tasks"), depth - 1)}
            for name, workflow in (workflows if isinstance(workflows, Mapping) else {}).items()
            if isinstance(workflow, Mapping)
        },
    }


def _repair_branches(operator: str, branches: Mapping[str, Json]) -> dict[str, Json]:
    if operator == Operator.parallel:
        return {str(name): _texts(names) for name, names in branches.items()}
    given = {str(name): branch if isinstance(branch, Mapping) else {} for name, branch in branches.items()}
    return {name: {"condition": "true", "tasks": _texts(branch.get("tasks"))} for name, branch in given.items()}


def _one_of(value: Json, known: type[Operator | TriggerRule | JoinMode], otherwise: str) -> str:
    return value if isinstance(value, str) and value in {member.value for member in known} else otherwise


def _texts(value: Json) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _texts_by_name(value: Json) -> dict[str, str]:
    members = value.items() if isinstance(value, Mapping) else ()
    return {str(name): text for name, text in members if isinstance(text, str)}
