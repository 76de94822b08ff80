"""The table of operators as documents and plans know them."""

from collections.abc import Mapping

from app.domain.highway.document.forms import Form
from app.domain.highway.document.operators import (
    activity,
    child_workflow,
    condition,
    emit_event,
    foreach,
    join,
    multi_choice,
    parallel,
    reflexive,
    switch,
    task,
    terminate,
    wait,
    wait_for_event,
    while_loop,
)

FORMS: Mapping[str, Form] = {
    "task": task.FORM,
    "activity": activity.FORM,
    "reflexive": reflexive.FORM,
    "condition": condition.FORM,
    "switch": switch.FORM,
    "wait": wait.FORM,
    "emit_event": emit_event.FORM,
    "wait_for_event": wait_for_event.FORM,
    "join": join.FORM,
    "parallel": parallel.FORM,
    "multi_choice": multi_choice.FORM,
    "foreach": foreach.FORM,
    "while": while_loop.FORM,
    "child_workflow": child_workflow.FORM,
    "terminate": terminate.FORM,
}
"""One row for each operator, by the name that documents have for it."""

PLAIN = "task"
"""The operator of a step that is not told to be anything else."""
