"""Definitions as they were sent, and everything that is found about them."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.highway.compiler.examination import examine_document
from app.domain.highway.compiler.plan import Plan
from app.domain.highway.document.findings import Finding
from app.domain.highway.document.texts import definition_hash
from app.domain.json_texts import Json
from app.errors import ValidationFailed
from milepost.schemas.problems import FieldError
from milepost.schemas.workflows import LATEST

_RESERVED_VERSIONS = frozenset({LATEST, "diff"})
"""What stands in the place of a version in addresses, and means something else."""


@dataclass(frozen=True, slots=True)
class SentDocument:
    """A document as it came."""

    value: Json
    source: str
    media_type: str
    """``application/yaml`` or ``application/json``."""


@dataclass(frozen=True, slots=True)
class ExaminedDocument:
    """A document and all that is found about it."""

    document: Json
    workflow_hash: str
    errors: Sequence[Finding]
    warnings: Sequence[Finding]
    plan: Plan | None
    """None when there are errors."""

    def refuse(self, at: str = "") -> Plan:
        """Return the plan. Raises ValidationFailed when there is none; ``at`` is where the document stands."""
        if self.plan is None:
            raise ValidationFailed(
                [FieldError(pointer=at + error.pointer, detail=error.detail, code=error.code) for error in self.errors]
            )
        return self.plan


def examine(document: Json) -> ExaminedDocument:
    """Return everything that is found about a document."""
    found = examine_document(document)
    errors = [*found.errors, *_check_version(document)]
    return ExaminedDocument(document, definition_hash(document), errors, found.warnings, None if errors else found.plan)


def _check_version(document: Json) -> Sequence[Finding]:
    version = document.get("version") if isinstance(document, dict) else None
    if not isinstance(version, str) or version not in _RESERVED_VERSIONS:
        return []
    return [Finding("bad_name", "/version", f"{version} cannot be the name of a version; addresses use it")]
