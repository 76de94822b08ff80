"""Operators: the kinds of steps, and by which rules they begin and are joined."""

from enum import StrEnum

WAIT_FOR_BRANCHES = "tools.workflow.wait_for_parallel_branches"
"""Function of the task that the service does itself: it waits for the branches of a fork."""
REFLEXIVE_LOOP = "tools.agent.reflexive_loop"
"""Function that the work item of a reflexive step asks for."""


class Operator(StrEnum):
    """What kind of step it is."""

    task = "task"
    activity = "activity"
    reflexive = "reflexive"
    condition = "condition"
    switch = "switch"
    wait = "wait"
    emit_event = "emit_event"
    wait_for_event = "wait_for_event"
    join = "join"  # type: ignore[assignment]  # str has a method of this name
    parallel = "parallel"
    multi_choice = "multi_choice"
    foreach = "foreach"
    while_ = "while"
    child_workflow = "child_workflow"
    terminate = "terminate"


WORK = frozenset({Operator.task, Operator.activity, Operator.reflexive})
"""Steps that workers do."""
ROUTERS = frozenset({Operator.condition, Operator.switch})
"""Steps that choose which of their targets starts."""
FORKING = frozenset({Operator.parallel, Operator.multi_choice})
"""Steps that contain branches."""
LOOPS = frozenset({Operator.foreach, Operator.while_})
"""Steps that contain iterations."""


class TriggerRule(StrEnum):
    """When a step starts, by how the steps it depends on have ended."""

    all_success = "all_success"
    all_done = "all_done"
    one_success = "one_success"
    one_done = "one_done"
    none_failed = "none_failed"


class JoinMode(StrEnum):
    """When a join is over, by how the steps it joins have ended."""

    all_of = "all_of"
    any_of = "any_of"
    all_success = "all_success"
    one_success = "one_success"
