"""Whether the members of a step are those that its operator has."""

from collections.abc import Iterator, Mapping

from app.domain.highway.document.checks_of_values import check_members, show
from app.domain.highway.document.findings import Finding
from app.domain.highway.document.forms import COMMON
from app.domain.highway.document.operators.table import FORMS
from app.domain.json_texts import Json


def operator_of(step: Mapping[str, Json]) -> str | None:
    """Return what kind of step it is; None if that is missing or unknown."""
    name = step.get("operator_type")
    return name if isinstance(name, str) and name in FORMS else None


def check_members_of_step(step: Mapping[str, Json], pointer: str) -> Iterator[Finding]:
    """Yield what is wrong with the members of a step, except for the steps that it contains."""
    operator = operator_of(step)
    if operator:
        form = FORMS[operator]
        yield from check_members(step, pointer, form.members, form.required)
        return
    detail = f"must be one of {', '.join(FORMS)}, not {show(step.get('operator_type'))}"
    yield Finding("unknown_operator", f"{pointer}/operator_type", detail)
    known = {name: member for name, member in step.items() if name in COMMON}
    yield from check_members(known, pointer, COMMON, {})
