"""Steps that choose which of their targets starts, by a value."""

from collections.abc import Iterator

from app.domain.highway.document.checks_of_values import check_text, object_of
from app.domain.highway.document.forms import COMMON, Form, Node


def _targets_of(step: Node) -> Iterator[tuple[tuple[str, ...], str]]:
    for case, target in step.get("cases", {}).items():
        yield ("cases", case), target
    if "default" in step:
        yield ("default",), step["default"]


FORM = Form(
    members=COMMON | {"switch_on": check_text, "cases": object_of(check_text, "task ids"), "default": check_text},
    required={"switch_on": "bad_value"},
    targets_of=_targets_of,
)
