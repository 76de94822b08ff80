"""Everything that is found about a document: its form and its structure, all at once."""

from dataclasses import dataclass

from app.domain.highway.compiler.compilation import compile_document
from app.domain.highway.compiler.plan import Plan
from app.domain.highway.document.checks import FINDINGS_MOST, check_form
from app.domain.highway.document.findings import Finding
from app.domain.highway.document.repair import repair_document
from app.domain.json_texts import Json


@dataclass(frozen=True, slots=True)
class Examined:
    """What is found about a document, and its plan; None where there are errors."""

    errors: list[Finding]
    warnings: list[Finding]
    plan: Plan | None


def examine_document(document: Json) -> Examined:
    """Return what is found about any JSON that is meant to be a definition."""
    errors = check_form(document)
    if not errors:
        compiled = compile_document(document)
        plan = None if compiled.errors else compiled.plan
        return Examined(compiled.errors[:FINDINGS_MOST], compiled.warnings[:FINDINGS_MOST], plan)
    places = {finding.pointer for finding in errors}
    compiled = compile_document(repair_document(document))
    errors += [finding for finding in compiled.errors if not _is_told(finding.pointer, places)]
    return Examined(errors[:FINDINGS_MOST], compiled.warnings[:FINDINGS_MOST], None)


def _is_told(pointer: str, places: set[str]) -> bool:
    """Return whether something is wrong with the form of this place already, or with what contains it."""
    while pointer:
        if pointer in places:
            return True
        pointer = pointer.rpartition("/")[0]
    return pointer in places
