"""Which status may follow which: the state machines, as data."""

from collections.abc import Mapping

from milepost.schemas.tasks import TaskStatus
from milepost.schemas.workflow_runs import RunStatus

FINAL: tuple[RunStatus, ...] = (RunStatus.completed, RunStatus.failed, RunStatus.cancelled)
OPEN: tuple[RunStatus, ...] = tuple(status for status in RunStatus if status not in FINAL)

RUN_MOVES: Mapping[RunStatus, tuple[RunStatus, ...]] = {
    RunStatus.pending: (RunStatus.running, *FINAL),
    RunStatus.running: FINAL,
    **dict.fromkeys(FINAL, ()),
}
"""Where a workflow run may go by itself; only the verb `retry` leads out of a final status."""

RUN_VERBS: Mapping[RunStatus, tuple[str, ...]] = {
    RunStatus.pending: ("cancel",),
    RunStatus.running: ("cancel",),
    RunStatus.completed: ("delete",),
    RunStatus.failed: ("retry", "delete"),
    RunStatus.cancelled: ("retry", "delete"),
}

TASK_FINAL: tuple[TaskStatus, ...] = (TaskStatus.completed, TaskStatus.failed, TaskStatus.cancelled)
TASK_OPEN: tuple[TaskStatus, ...] = tuple(status for status in TaskStatus if status not in TASK_FINAL)
TASK_WAITING: tuple[TaskStatus, ...] = (TaskStatus.pending, TaskStatus.sleeping)

TASK_MOVES: Mapping[TaskStatus, tuple[TaskStatus, ...]] = {
    TaskStatus.pending: (TaskStatus.running, TaskStatus.failed, TaskStatus.cancelled),
    TaskStatus.running: (TaskStatus.pending, TaskStatus.sleeping, *TASK_FINAL),
    TaskStatus.sleeping: (TaskStatus.running, TaskStatus.failed, TaskStatus.cancelled),
    **dict.fromkeys(TASK_FINAL, ()),
}
"""Where a task may go by itself; only the verb `retry` leads out of a final status."""

WORK_ITEM_MOVES: Mapping[TaskStatus, tuple[TaskStatus, ...]] = {
    **TASK_MOVES,
    **{status: (*TASK_MOVES[status], TaskStatus.sleeping) for status in TASK_WAITING},
}
"""Where the work item of a step may go: its run also ends attempts that no worker has, and lets others follow later."""

TASK_VERBS: Mapping[TaskStatus, tuple[str, ...]] = {
    **dict.fromkeys(TASK_OPEN, ("cancel",)),
    TaskStatus.completed: (),
    TaskStatus.failed: ("retry",),
    TaskStatus.cancelled: ("retry",),
}


class UnknownMoveError(Exception):
    """A task was to be moved as no row of the table says: a defect of who moves it."""


def check_task_move(before: str, after: TaskStatus, *, is_work_item: bool) -> None:
    """Raise UnknownMoveError unless a task may go by itself from ``before`` to ``after``."""
    if after not in (WORK_ITEM_MOVES if is_work_item else TASK_MOVES)[TaskStatus(before)]:
        raise UnknownMoveError(f"a {before} task cannot become {after}")


def check_task_verb(status: str, verb: str) -> None:
    """Raise UnknownMoveError unless ``verb`` is for a task in ``status``."""
    if verb not in TASK_VERBS[TaskStatus(status)]:
        raise UnknownMoveError(f"{verb} is not for a {status} task")


def allowed_for_run(status: RunStatus, *, is_executed: bool = False, is_paused: bool = False) -> list[str]:
    """Return what a run in ``status`` can do: the statuses it may move to, then the verbs.

    Those that the service executes have some of their own.
    """
    own: tuple[str, ...] = ()
    if is_executed:
        own = ("rerun",) if status in FINAL else ("resume",) if is_paused else ("pause",)
    return [*RUN_MOVES[status], *RUN_VERBS[status], *own]


def allowed_for_task(status: TaskStatus) -> list[str]:
    """Return what a task in ``status`` can do: the statuses it may move to, then the verbs."""
    return [*TASK_MOVES[status], *TASK_VERBS[status]]
