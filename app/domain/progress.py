"""How far a workflow run is: its tasks, counted."""

from collections.abc import Mapping

from milepost.schemas.workflow_runs import Progress

ENDED = ("completed", "failed", "cancelled")
COUNTED = ("pending", "running", "sleeping", *ENDED)


def make_progress(task_count: int | None, counts: Mapping[str, int]) -> Progress:
    """Return the progress of a run that declared ``task_count`` tasks and has ``counts`` of them by status."""
    by_status = {status: counts.get(status, 0) for status in COUNTED}
    total = sum(by_status.values()) if task_count is None else task_count
    ended = sum(by_status[status] for status in ENDED)
    percent = 100 * ended / total if total else None
    return Progress.model_construct(None, total=total, percent=percent, **by_status)
