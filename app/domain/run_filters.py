"""What the filters of a list ask for, as the values of a statement."""

from app.domain.json_texts import Storable
from app.errors import ValidationFailed
from milepost.schemas.workflow_runs import RunFilter

_SEVERAL = {
    "workflow_name": "workflow_names",
    "workflow_version": "workflow_versions",
    "status": "statuses",
    "reason": "reasons",
}
_ONE = (
    "created_by",
    "queue",
    "parent_workflow_run_id",
    *(f"{time}_{side}" for time in ("created", "started", "completed", "updated") for side in ("after", "before")),
)


def read_filters(query: RunFilter) -> dict[str, Storable]:
    """Return the values asked for by name: one value alone under its own name, several under the plural.

    Raises ValidationFailed.
    """
    filters = {name: getattr(query, name) for name in _ONE if getattr(query, name) is not None}
    for name, plural in _SEVERAL.items():
        values = sorted(set(getattr(query, name)))
        if len(values) == 1:
            filters[name] = values[0]
        elif values:
            filters[plural] = values
    if query.late is not None:
        filters["late" if query.late else "never_late"] = True
    return filters | read_tags(query.tag)


def read_tags(tags: list[str], *, at: str = "tag") -> dict[str, Storable]:
    """Return the filter of tags, ``at`` a place in the request. Raises ValidationFailed."""
    wanted: dict[str, str | list[str]] = {}
    for tag in tags:
        key, colon, value = tag.partition(":")
        if not colon:
            raise ValidationFailed.at(at, "must be key:value")
        if wanted.setdefault(key, value) != value:
            wanted[key] = []  # two values of one key: no text is equal to a list, so that nothing matches
    return {"tags": wanted} if wanted else {}
