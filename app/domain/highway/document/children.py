"""Which workflows a document starts as children, and where it says so."""

from collections.abc import Iterator, Mapping

from app.domain.highway.document.findings import pointer_to
from app.domain.json_texts import Json


def find_children(document: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    """Yield the name of each workflow that a checked document starts, with the place of the name."""
    left: list[tuple[tuple[str | int, ...], Json]] = [((), document)]
    while left:
        place, value = left.pop()
        if isinstance(value, list):
            left += [((*place, index), item) for index, item in enumerate(value)]
        elif isinstance(value, Mapping):
            left += [((*place, key), item) for key, item in value.items()]
            name = value.get("workflow_name")
            if len(place) > 1 and place[-2] == "children" and isinstance(name, str):
                yield pointer_to(*place, "workflow_name"), name
