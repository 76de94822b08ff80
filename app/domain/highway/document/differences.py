"""Differences between two versions of a definition, step by step."""

from collections.abc import Iterator, Mapping

from app.domain.highway.document.checks import named_in_bodies
from app.domain.highway.document.texts import VERSION
from app.domain.json_texts import Json
from app.domain.json_values import escape_pointer, same_json
from milepost.schemas.workflows import DocumentChange, StepChange, WorkflowDifferences

_NOT_COMPARED = ("version", "tasks")
Steps = dict[str, Mapping[str, Json]]


def compare_documents(before: Mapping[str, Json], after: Mapping[str, Json]) -> WorkflowDifferences:
    """Return what is different in ``after``; both have been registered under one name.

    A member that is null is absent. Lists are compared as a whole. What stands in a branch or in the body of a loop
    is a step of its own.
    """
    earlier, later = _steps_of(before), _steps_of(after)
    changed = [
        StepChange.model_construct(step=path, changes=changes)
        for path, node in earlier.items()
        if path in later and (changes := list(_changes(node, later[path])))
    ]
    return WorkflowDifferences.model_construct(
        workflow_name=after["name"],
        from_=before.get("version") or VERSION,
        to=after.get("version") or VERSION,
        added=[path for path in later if path not in earlier],
        removed=[path for path in earlier if path not in later],
        changed=changed,
        workflow=list(_changes(_without(before, _NOT_COMPARED), _without(after, _NOT_COMPARED))),
    )


def _steps_of(document: Mapping[str, Json]) -> Steps:
    steps: Steps = {}
    _collect(document.get("tasks") or {}, "", steps)
    return steps


def _collect(tasks: Mapping[str, Json], prefix: str, steps: Steps) -> None:
    """Add the steps of one level, and of the levels in them, under their paths."""
    copies = named_in_bodies(tasks.values())
    for task_id, node in tasks.items():
        if task_id in copies:
            continue
        path = f"{prefix}{task_id}"
        branches = node.get("branch_workflows") or {}
        named = {branch: _without(workflow, ("tasks",)) for branch, workflow in branches.items()}
        steps[path] = {**_without(node, ("branch_workflows", "loop_body")), "branch_workflows": named or None}
        for branch, workflow in branches.items():
            _collect(workflow.get("tasks") or {}, f"{path}.{branch}.", steps)
        _collect({step["task_id"]: step for step in node.get("loop_body") or ()}, f"{path}[].", steps)


def _without(node: Mapping[str, Json], names: tuple[str, ...]) -> dict[str, Json]:
    return {name: value for name, value in node.items() if name not in names}


def _changes(before: Json, after: Json, pointer: str = "") -> Iterator[DocumentChange]:
    """Yield the innermost members that are not the same."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys([*before, *after]):
            yield from _changes(before.get(name), after.get(name), f"{pointer}/{escape_pointer(name)}")
    elif not same_json(before, after):
        yield DocumentChange.model_construct(pointer=pointer, before=before, after=after)
