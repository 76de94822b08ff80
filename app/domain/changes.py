"""Changes as they are told: from the rows of the feed to what readers get, and which of them a reader wants."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

from app.domain.json_texts import JsonText, JsonValue, Storable, write_json
from milepost.schemas.changes import ChangeFilter

TOLD = (
    "verb",
    "id",
    "workflow_run_id",
    "workflow_name",
    "queue",
    "status",
    "attempt",
    "revision",
    "reason",
    "actor",
)
"""What is stored of each change, in this order; the triggers write it."""


class ChangeRow(NamedTuple):
    """Some changes of one kind with consecutive positions, as the feed stores them."""

    last_position: int
    change_count: int
    kind: str
    at: datetime
    changes: JsonText

    @property
    def first_position(self) -> int:
        """Return the position of the first of them."""
        return self.last_position - self.change_count + 1


class ToldChange:
    """One change, with its place."""

    def __init__(self, position: int, row: ChangeRow, told: Sequence[JsonValue]) -> None:
        self.position = position
        self.name = f"{row.kind}.{told[0]}"
        self.members: Mapping[str, Storable] = {
            "position": position,
            "at": row.at,
            "kind": row.kind,
            **dict(zip(TOLD, told, strict=True)),
        }

    @cached_property
    def event(self) -> bytes:
        """It as a server-sent event, written once for all who read it. Source: the HTML standard, 9.2.6."""
        return f"id: {self.position}\nevent: {self.name}\ndata: ".encode() + write_json(self.members) + b"\n\n"


def read_changes(row: ChangeRow, after: int) -> list[ToldChange]:
    """Return those of the changes of ``row`` that stand behind the position ``after``."""
    told = enumerate(row.changes.read(), row.first_position)
    return [ToldChange(position, row, change) for position, change in told if position > after]


_FILTERS = ("kind", "verb", "status", "workflow_run_id", "workflow_name", "queue")


class ChangeSieve:
    """Which changes a reader wants."""

    def __init__(self, wanted: ChangeFilter) -> None:
        given = {name: frozenset(map(str, getattr(wanted, name))) for name in _FILTERS}
        self._values = [(name, values) for name, values in given.items() if values]

    def pick(self, changes: Sequence[ToldChange]) -> Sequence[ToldChange]:
        """Return those of ``changes`` that are wanted."""
        if not self._values:
            return changes
        return [change for change in changes if self._wants(change.members)]

    def _wants(self, members: Mapping[str, Storable]) -> bool:
        return all(members[name] in values for name, values in self._values)
