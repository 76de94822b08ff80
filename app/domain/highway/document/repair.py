"""A document whose form is wrong, made good enough to look at its structure: so that all errors are told at once.

What is repaired is never executed.
"""

from collections.abc import Container, Mapping

from app.domain.highway.document.forms import Form, Inside, texts_in
from app.domain.highway.document.operators.table import FORMS, PLAIN
from app.domain.highway.language.rules import JoinMode, TriggerRule
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
    operator = _one_of(given.get("operator_type"), FORMS, PLAIN)
    step: dict[str, Json] = {
        **_HARMLESS,
        **{name: given[name] for name in _KEPT if isinstance(given.get(name), str)},
        "task_id": task_id,
        "operator_type": operator,
        "dependencies": texts_in(given.get("dependencies")),
        "trigger_rule": _one_of(given.get("trigger_rule"), {*TriggerRule}, TriggerRule.all_success),
        "join_tasks": texts_in(given.get("join_tasks")),
        "join_mode": _one_of(given.get("join_mode"), {*JoinMode}, JoinMode.all_of),
        "cases": _texts_by_name(given.get("cases")),
    }
    step |= {name: given[name] for name in ("if_true", "if_false", "default") if isinstance(given.get(name), str)}
    return step | _repair_inside(operator, given, depth)


def _repair_inside(operator: str, given: Mapping[str, Json], depth: int) -> dict[str, Json]:
    form = FORMS[operator]
    if form.inside is Inside.iterations:
        body = given.get("loop_body")
        nodes = body if isinstance(body, list) else []
        named = [node for node in nodes if isinstance(node, Mapping) and isinstance(node.get("task_id"), str)]
        return {"loop_body": [_repair_step(node["task_id"], node, depth - 1) for node in named] if depth > 0 else []}
    if form.inside is not Inside.branches:
        return {}
    branches, workflows = given.get("branches"), given.get("branch_workflows")
    return {
        "branches": _repair_branches(form, branches if isinstance(branches, Mapping) else {}),
        "branch_workflows": {
            str(name): {"tasks": _repair_tasks(workflow.get("tasks"), depth - 1)}
            for name, workflow in (workflows if isinstance(workflows, Mapping) else {}).items()
            if isinstance(workflow, Mapping)
        },
    }


def _repair_branches(form: Form, branches: Mapping[str, Json]) -> dict[str, Json]:
    repair = form.repair_branch
    return {} if repair is None else {str(name): repair(branch) for name, branch in branches.items()}


def _one_of(value: Json, known: Container[str], otherwise: str) -> str:
    return value if isinstance(value, str) and value in known else otherwise


def _texts_by_name(value: Json) -> dict[str, str]:
    members = value.items() if isinstance(value, Mapping) else ()
    return {str(name): text for name, text in members if isinstance(text, str)}
