"""Progress that is reported in parts: a report is merged into what was reported before."""

from collections.abc import Mapping
from typing import NamedTuple

from pydantic import MISSING

from app.domain.json_texts import JsonValue
from milepost.schemas.progress import ProgressReport, ReportedProgress

NOTHING: Mapping[str, JsonValue] = dict.fromkeys(ReportedProgress.model_fields)
"""Progress of which no member was reported: what is stored then is null."""


class ReportedChange(NamedTuple):
    """What a report changes."""

    clears: bool
    """All that was reported before is forgotten first."""
    members: Mapping[str, JsonValue]

    def then(self, later: "ReportedChange") -> "ReportedChange":
        """Return what this change and a ``later`` one come to."""
        return later if later.clears else ReportedChange(self.clears, {**self.members, **later.members})

    def of(self, stored: Mapping[str, JsonValue] | None) -> Mapping[str, JsonValue] | None:
        """Return what is stored next; None when nothing is left."""
        merged = {**NOTHING, **({} if self.clears or stored is None else stored), **self.members}
        return None if merged == NOTHING else merged


def read_report(report: ProgressReport | None) -> ReportedChange:
    """Return what ``report`` changes; None clears all of it."""
    if report is None:
        return ReportedChange(clears=True, members={})
    given = {name: getattr(report, name) for name in NOTHING}
    return ReportedChange(clears=False, members={name: value for name, value in given.items() if value is not MISSING})


def show_progress(stored: Mapping[str, JsonValue] | None) -> ReportedProgress | None:
    """Return stored progress as it is shown."""
    return None if stored is None else ReportedProgress.model_validate(stored)
