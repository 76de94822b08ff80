"""The form of a document: whether every member of it is what it may be; its structure is found by compiling it."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from app.domain.highway.document.checks_of_expressions import check_cron, check_date
from app.domain.highway.document.checks_of_steps import check_members_of_step, operator_of
from app.domain.highway.document.checks_of_values import (
    Check,
    check_anything,
    check_flag,
    check_members,
    check_object,
    check_seconds,
    check_step_id,
    check_text,
    check_texts,
    check_workflow_name,
    check_workflow_version,
    object_of,
    one_of,
    show,
    whole_number,
)
from app.domain.highway.document.findings import Finding
from app.domain.highway.document.forms import Inside, check_retry_policy
from app.domain.highway.document.operators.table import FORMS
from app.domain.json_texts import Json
from app.domain.json_values import DEPTH_MOST, escape_pointer

FINDINGS_MOST = 1000
"""More would help nobody, and a document of a megabyte could have a hundred thousand."""

_WORKFLOW: Mapping[str, Check] = {
    "name": check_workflow_name,
    "version": check_workflow_version,
    "description": check_text,
    "tasks": check_anything,
    "variables": check_object,
    "start_task": check_text,
    "schedule": check_cron,
    "start_date": check_date,
    "catchup": check_flag,
    "is_paused": check_flag,
    "tags": check_texts,
    "max_active_runs": whole_number(1),
    "default_retry_policy": check_retry_policy,
    "deadline_seconds": check_seconds,
    "deadline_action": one_of("fail", "cancel"),
}
_BRANCH: Mapping[str, Check] = {**_WORKFLOW, "name": check_text, "version": check_text}
"""A branch is exported as a workflow too, under a name that nobody chose."""


def check_form(document: Json) -> list[Finding]:
    """Return what is wrong with the form of a document, in its own order; empty if all is right.

    At most the first 1000 are found. A member that is null is absent. The copies of the steps of a loop that stand
    beside it are not looked at.
    """
    if _is_too_deep(document):
        return [Finding("bad_value", "", f"is nested deeper than {DEPTH_MOST} levels")]
    if not isinstance(document, dict):
        return [Finding("bad_value", "", "must be an object")]
    findings = _check_workflow(document, "", _WORKFLOW, {"name": "bad_name"})
    return list(islice(findings, FINDINGS_MOST))


def named_in_bodies(steps: Iterable[Json]) -> set[str]:
    """Return the ids of all steps that the loops among ``steps`` have in their bodies, however deep.

    The builder also copies them beside the loop; what has such an id there is no step of its own.
    """
    named: set[str] = set()
    for step in steps:
        body = _body_of(step)
        named.update(task_id for task_id in map(_id_of, body) if isinstance(task_id, str))
        named |= named_in_bodies(body) if body else set()
    return named


def _id_of(step: Json) -> Json:
    return step.get("task_id") if isinstance(step, dict) else None


def _body_of(step: Json) -> Sequence[Json]:
    operator = operator_of(step) if isinstance(step, dict) else None
    if operator is None or FORMS[operator].inside is not Inside.iterations:
        return ()
    body = step.get("loop_body")
    return body if isinstance(body, list) else ()


def _is_too_deep(document: Json) -> bool:
    level = [document]
    for _ in range(DEPTH_MOST):
        level = [member for value in level for member in _members_of(value)]
        if not level:
            return False
    return any(isinstance(value, dict | list) for value in level)


def _members_of(value: Json) -> Iterable[Json]:
    match value:
        case dict():
            return value.values()
        case list():
            return value
        case _:
            return ()


def _check_workflow(
    workflow: Mapping[str, Json], pointer: str, fields: Mapping[str, Check], required: Mapping[str, str]
) -> Iterator[Finding]:
    yield from check_members(workflow, pointer, fields, required)
    tasks = workflow.get("tasks")
    if tasks is None:
        return
    place = f"{pointer}/tasks"
    if not isinstance(tasks, dict):
        yield Finding("bad_value", place, f"must be an object of steps, not {show(tasks)}")
        return
    steps = [_Placed(task_id, step, f"{place}/{escape_pointer(task_id)}") for task_id, step in tasks.items()]
    yield from _check_steps(steps, _check_key)


class _Placed(NamedTuple):
    """A step where it stands, with the id it has or should have."""

    task_id: Json
    step: Json
    pointer: str


def _check_steps(steps: Sequence[_Placed], check_id: Callable[[_Placed], Iterable[Finding]]) -> Iterator[Finding]:
    hidden = named_in_bodies(placed.step for placed in steps)
    if not hidden:
        yield from _check_each(steps, check_id)
        return
    own = [placed for placed in steps if not _is_among(placed, hidden)]
    copies = [placed for placed in steps if _is_among(placed, hidden)]
    reached = named_in_bodies(placed.step for placed in own)
    for placed in copies:
        if not _is_among(placed, reached):
            # It would never run, as it stands only in a body that is itself ignored.
            yield Finding("bad_name", placed.pointer, "stands in the body of a loop that contains itself; rename one")
    yield from _check_each(own, check_id)


def _check_each(steps: Iterable[_Placed], check_id: Callable[[_Placed], Iterable[Finding]]) -> Iterator[Finding]:
    for placed in steps:
        yield from check_id(placed)
        yield from _check_step(placed.step, placed.pointer)


def _is_among(placed: _Placed, ids: set[str]) -> bool:
    return isinstance(placed.task_id, str) and placed.task_id in ids


def _check_key(placed: _Placed) -> Iterator[Finding]:
    task_id, step, pointer = placed
    yield from check_step_id(task_id, pointer)
    if isinstance(step, dict) and step.get("task_id") != task_id:
        detail = f"must be {show(task_id)}, the name that the step stands under, not {show(step.get('task_id'))}"
        yield Finding("bad_value", f"{pointer}/task_id", detail)


def _check_own_id(placed: _Placed) -> Iterable[Finding]:
    return check_step_id(placed.task_id, f"{placed.pointer}/task_id") if isinstance(placed.step, dict) else ()


def _check_step(step: Json, pointer: str) -> Iterator[Finding]:
    if not isinstance(step, dict):
        yield Finding("bad_value", pointer, f"must be a step, which is an object, not {show(step)}")
        return
    yield from check_members_of_step(step, pointer)
    operator = operator_of(step)
    if operator is None:
        return
    form = FORMS[operator]
    if form.inside is Inside.iterations:
        yield from _check_body(step.get("loop_body"), f"{pointer}/loop_body")
    elif form.inside is Inside.branches:
        branches = step.get("branch_workflows")
        yield from _check_branches({} if branches is None else branches, f"{pointer}/branch_workflows")
    if form.check is not None:
        yield from form.check(step, pointer)


def _check_body(body: Json, pointer: str) -> Iterator[Finding]:
    if body is None:
        return
    if not isinstance(body, list):
        yield Finding("bad_value", pointer, f"must be a list of steps, not {show(body)}")
        return
    ids = [step.get("task_id") if isinstance(step, dict) else None for step in body]
    steps = [
        _Placed(task_id, step, f"{pointer}/{index}")
        for index, (task_id, step) in enumerate(zip(ids, body, strict=True))
    ]
    yield from _check_steps(steps, _check_own_id)
    counts = Counter(task_id for task_id in ids if isinstance(task_id, str))
    for placed in steps:
        if isinstance(placed.task_id, str) and counts[placed.task_id] > 1:
            detail = f"{show(placed.task_id)} stands more than once in this body"
            yield Finding("bad_name", f"{placed.pointer}/task_id", detail)


def _check_branch(workflow: Json, pointer: str) -> Iterator[Finding]:
    if isinstance(workflow, dict):
        yield from _check_workflow(workflow, pointer, _BRANCH, {"tasks": "bad_value"})
    else:
        yield Finding("bad_value", pointer, f"must be a workflow, which is an object, not {show(workflow)}")


_check_branches = object_of(_check_branch, "workflows, one for each branch", check_step_id)
