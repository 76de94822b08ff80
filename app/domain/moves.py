"""Which status may follow which: the state machines, as data."""

from collections.abc import Mapping

from app.schemas.workflow_runs import RunStatus

FINAL: frozenset[RunStatus] = frozenset({RunStatus.completed, RunStatus.failed, RunStatus.cancelled})

RUN_MOVES: Mapping[RunStatus, frozenset[RunStatus]] = {
    RunStatus.pending: frozenset({RunStatus.running, *FINAL}),
    RunStatus.running: FINAL,
    **{status: frozenset() for status in FINAL},
}

RUN_VERBS: Mapping[RunStatus, tuple[str, ...]] = {
    RunStatus.pending: (),
    RunStatus.running: (),
    **dict.fromkeys(FINAL, ("delete",)),
}

OPEN: tuple[RunStatus, ...] = tuple(status for status in RunStatus if status not in FINAL)


def allowed_for(status: RunStatus) -> list[str]:
    """Return what a run in ``status`` can do: the statuses it may move to, then the verbs."""
    statuses = [target.value for target in RunStatus if target in RUN_MOVES[status]]
    return [*statuses, *RUN_VERBS[status]]
