"""What the filter of a bulk operation asks for, as the values of a statement."""

from collections.abc import Mapping

from pydantic_core import from_json, to_json

from app.domain.json_texts import Storable
from app.domain.json_values import fingerprint
from app.domain.run_filters import read_tags
from milepost.schemas.bulk_operations import RunMatch, TaskMatch

_SEVERAL: Mapping[str, str] = {
    "workflow_name": "workflow_names",
    "workflow_version": "workflow_versions",
    "status": "statuses",
    "reason": "reasons",
    "created_by": "created_bys",
    "queue": "queues",
    "parent_workflow_run_id": "parent_workflow_run_ids",
    "task_name": "task_names",
    "workflow_run_id": "workflow_run_ids",
    "parent_task_id": "parent_task_ids",
    "claimed_by": "claimed_bys",
}


def read_match(match: RunMatch | TaskMatch) -> dict[str, Storable]:
    """Return the values asked for by name: one value alone under its own name, several under the plural.

    Nothing stands there where no condition is given. Raises ValidationFailed.
    """
    filters: dict[str, Storable] = {}
    for name, values in match:
        distinct = sorted(set(values))
        if name == "late":
            filters |= {"late" if late else "never_late": True for late in distinct}
        elif name == "tag":
            filters |= read_tags(values, at="/filter/tag")
        elif len(distinct) > 1:
            filters[_SEVERAL[name]] = distinct
        elif distinct:
            filters[name] = distinct[0]
    return filters


def purpose_of(resource: str, verb: str, filters: Mapping[str, Storable]) -> bytes:
    """Return what a token is good for: the same however the filter is written."""
    return fingerprint([resource, verb, from_json(to_json(dict(filters)))])
