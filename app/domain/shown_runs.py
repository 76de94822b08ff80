"""Workflow runs as they are shown."""

from collections.abc import Mapping
from functools import lru_cache
from operator import attrgetter

from app.domain.json_texts import JsonValue, Storable
from app.domain.progress import make_progress
from app.domain.records import RunRow
from app.domain.reported_progress import show_progress
from milepost.schemas.links import RunLink
from milepost.schemas.reasons import Reason
from milepost.schemas.workflow_runs import WorkflowRun

_SHOWN = [name for name in WorkflowRun.model_fields if name in RunRow._fields]


def show_run(row: RunRow) -> WorkflowRun:
    """Return a stored run as it is shown."""
    shown = {name: getattr(row, name) for name in _SHOWN}
    shown["reason"] = row.reason and Reason(row.reason)
    shown["display_name"] = f"{row.workflow_name}__{row.workflow_version}"
    shown["progress"] = make_progress(row.task_count, row.task_counts)
    shown["links"] = {name: RunLink.model_validate(link) for name, link in (row.links or {}).items()}
    shown["reported_progress"] = show_progress(row.reported_progress)
    return WorkflowRun.model_construct(None, **shown)


_MEMBERS: Mapping[str, Storable] = dict.fromkeys(WorkflowRun.model_fields)
_values_of = attrgetter(*_SHOWN)


def run_members(row: RunRow) -> Mapping[str, Storable]:
    """Return what `WorkflowRun` says of a stored run; plain, for where it is only written."""
    return {
        **_MEMBERS,
        **dict(zip(_SHOWN, _values_of(row), strict=True)),
        "links": row.links or {},
        "display_name": f"{row.workflow_name}__{row.workflow_version}",
        "progress": _progress(row.task_count, tuple(row.task_counts.items())),
    }


@lru_cache(maxsize=1024)
def _progress(task_count: int | None, counts: tuple[tuple[str, int], ...]) -> Mapping[str, JsonValue]:
    return make_progress(task_count, dict(counts)).model_dump()
