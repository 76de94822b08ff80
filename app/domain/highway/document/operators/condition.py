"""Steps that choose which of two targets starts, by a condition."""

from collections.abc import Iterator

from app.domain.highway.document.checks_of_expressions import check_condition
from app.domain.highway.document.checks_of_values import check_text
from app.domain.highway.document.forms import COMMON, Form, Node


def _targets_of(step: Node) -> Iterator[tuple[tuple[str, ...], str]]:
    for member in ("if_true", "if_false"):
        if member in step:
            yield (member,), step[member]


FORM = Form(
    members=COMMON | {"condition": check_condition, "if_true": check_text, "if_false": check_text},
    required={"condition": "bad_condition"},
    targets_of=_targets_of,
)
