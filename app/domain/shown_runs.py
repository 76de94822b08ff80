"""Workflow runs as they are shown."""

from app.domain.progress import make_progress
from app.domain.records import RunRow
from milepost.schemas.reasons import Reason
from milepost.schemas.workflow_runs import WorkflowRun

_SHOWN = [name for name in WorkflowRun.model_fields if name in RunRow._fields]


def show_run(row: RunRow) -> WorkflowRun:
    """Return a stored run as it is shown."""
    shown = {name: getattr(row, name) for name in _SHOWN}
    shown["reason"] = row.reason and Reason(row.reason)
    shown["display_name"] = f"{row.workflow_name}__{row.workflow_version}"
    shown["progress"] = make_progress(row.task_count, row.task_counts)
    return WorkflowRun.model_construct(None, **shown)
