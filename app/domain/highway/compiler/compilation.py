"""From a document to its plan, and what is wrong with its structure.

The document has passed `check_form`. A member that is null counts as absent.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from app.domain.highway.compiler.checks import check_cycles, check_events, check_paths
from app.domain.highway.compiler.links import Linker
from app.domain.highway.compiler.outline import Reader
from app.domain.highway.compiler.pairs import find_activities
from app.domain.highway.compiler.plan import Plan
from app.domain.highway.compiler.planner import Planner
from app.domain.highway.document.findings import Finding
from app.domain.highway.document.texts import VERSION
from app.domain.json_texts import Json


@dataclass(frozen=True, slots=True)
class Compiled:
    """What became of a document: its plan, which is good only if there are no errors."""

    plan: Plan
    errors: list[Finding]
    warnings: list[Finding]


def compile_document(document: Mapping[str, Json]) -> Compiled:
    """Return the plan of a document, and what is found about its structure."""
    reader = Reader()
    reader.read(document)
    errors = reader.errors
    warnings: list[Finding] = []
    plan = Plan(
        name=str(document.get("name") or ""),
        version=str(document.get("version") or VERSION),
        variables=document.get("variables") or {},
        regions={},
        deadline_seconds=document.get("deadline_seconds"),
        deadline_action=document.get("deadline_action") or "fail",
    )
    if reader.is_too_large:
        return Compiled(plan, errors, warnings)
    activities = find_activities(reader.regions.values())
    for raw in reader.regions.values():
        linker = Linker(raw, errors, warnings)
        linker.link()
        plan.regions[raw.key] = region = Planner(linker, activities).plan()
        check_cycles(region, raw, errors)
        plan.has_background |= any(step.is_fork or step.is_submitted for step in region.steps.values())
    check_events(reader.regions.values(), warnings)
    check_paths(plan, errors)
    return Compiled(plan, _without_repeats(errors), _without_repeats(warnings))


def _without_repeats(findings: list[Finding]) -> list[Finding]:
    """Return each finding once: what is summoned into several scopes is found in each of them."""
    return list(dict.fromkeys(findings))
