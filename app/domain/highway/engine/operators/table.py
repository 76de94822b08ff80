"""The table of operators in motion."""

from collections.abc import Mapping

from app.domain.highway.engine.operators import (
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
from app.domain.highway.engine.turn import Phases

OPERATORS: Mapping[str, Phases] = {
    "task": task.PHASES,
    "activity": activity.PHASES,
    "reflexive": reflexive.PHASES,
    "condition": condition.PHASES,
    "switch": switch.PHASES,
    "wait": wait.PHASES,
    "emit_event": emit_event.PHASES,
    "wait_for_event": wait_for_event.PHASES,
    "join": join.PHASES,
    "parallel": parallel.PHASES,
    "multi_choice": multi_choice.PHASES,
    "foreach": foreach.PHASES,
    "while": while_loop.PHASES,
    "child_workflow": child_workflow.PHASES,
    "terminate": terminate.PHASES,
}
"""One row for each operator. What cannot come due runs out of time if it does; what contains nothing begins anew."""
